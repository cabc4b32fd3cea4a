"""The lock of a purge: one at a time, gone with its connection, taken again when it was lost and nobody has it."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_chista.errors import TransientError
from airflow_provider_chista.model import TableId
from airflow_provider_chista.sources.locks import PurgeLock
from tests.integration.support.engines import ENGINES, Engine

TABLE, OTHER = TableId("a_schema", "a_table"), TableId("a_schema", "another")


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest, stack_env: dict[str, str]) -> Engine:
    return ENGINES[request.param]


def end_connection(engine: Engine, lock: PurgeLock) -> None:
    """The server ends the connection that holds the lock."""
    cursor: Any = lock._connection.cursor()
    ask, end = (
        ("SELECT pg_backend_pid()", "SELECT pg_terminate_backend({})")
        if engine.flavour == "postgres"
        else ("SELECT CONNECTION_ID()", "KILL {}")
    )
    cursor.execute(ask)
    number = cursor.fetchone()[0]
    lock._connection.rollback()
    engine.execute(end.format(number))


def test_one_purge_of_a_table_at_a_time(engine: Engine) -> None:
    with engine.source("purge") as source, engine.source("purge") as second:
        with (
            PurgeLock(source, TABLE) as lock,
            PurgeLock(second, TABLE) as late,
            PurgeLock(second, OTHER) as beside,
        ):
            assert lock.acquire()
            assert lock.acquire()
            lock.keep()
            assert not late.acquire()
            assert beside.acquire()
        with PurgeLock(second, TABLE) as later:
            assert later.acquire()


def test_a_lost_connection_takes_the_lock_along(engine: Engine) -> None:
    with (
        engine.source("purge") as source,
        PurgeLock(source, TABLE) as lock,
        PurgeLock(source, TABLE) as other,
    ):
        assert lock.acquire()
        end_connection(engine, lock)
        lock.keep()
        assert not other.acquire()
        end_connection(engine, lock)
        assert other.acquire()
        with pytest.raises(TransientError, match=r"lost, and another purge of the table has begun"):
            lock.keep()
