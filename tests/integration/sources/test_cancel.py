"""Statements that a source runs for this process end when another thread says so."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from airflow_provider_chista.errors import TransientError
from airflow_provider_chista.model import Table, TableId
from tests.integration.support import services
from tests.integration.support.engines import ENGINES, Engine, locked, wait_for, waiting_for

ENDS_WITHIN = 5.0


@pytest.fixture(params=ENGINES)
def held(request: pytest.FixtureRequest, stack_env: dict[str, str]) -> Iterator[tuple[Engine, Table]]:
    """A table that nobody can read, since another session holds it."""
    engine, schema = ENGINES[request.param], f"it_ca_{services.token()}"
    engine.create_schema(schema, ["CREATE TABLE {schema}.t (id INT PRIMARY KEY)"])
    with engine.source() as source:
        table = source.catalogue(TableId(schema, "t"))
    with locked(engine, table.id):
        yield engine, table
    engine.drop_schema(schema)


def test_statements_of_a_source_and_its_siblings_end(held: tuple[Engine, Table]) -> None:
    engine, table = held
    with engine.source() as source, source.another() as sibling, ThreadPoolExecutor(2) as pool:
        reads = [pool.submit(each.count, table, None) for each in (source, sibling)]
        wait_for(lambda: waiting_for(engine, table.id) == 2)
        source.cancel()
        for each in reads:
            # Not the lock timeout, after which the sources give up by themselves.
            with pytest.raises(TransientError, match=r"1317|canceling statement due to user request"):
                each.result(ENDS_WITHIN)
        assert waiting_for(engine, table.id) == 0


def test_a_source_that_runs_nothing_is_not_disturbed(held: tuple[Engine, Table]) -> None:
    engine, _ = held
    with engine.source() as source:
        position = source.position()
        source.cancel()
        assert source.position()
        assert position
