"""The observer of the story sees a single altered value of any type at the source, in the archive too, and a missing row."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from airflow_provider_chista.canonical import field_text
from airflow_provider_chista.model import TableId
from tests.chaos.copies import BASE, Copies, copies
from tests.chaos.story import Story, story
from tests.chaos.worker import Worker
from tests.integration.fuzz.conftest import Store, store
from tests.integration.fuzz.table import NAME
from tests.integration.support import services
from tests.integration.support.engines import ENGINES, Connector

__all__ = ["store"]

BLOCKS = 12


@pytest.fixture(params=["postgres", "mysql", "mariadb"])
def table(request: pytest.FixtureRequest, stack_env: dict[str, str]) -> Iterator[Copies]:
    engine, name = ENGINES[request.param], f"it_{services.token()}"
    engine.create_schema(name, [])
    try:
        with copies(Connector(engine, name, [TableId(name, NAME)]), BLOCKS * BASE, Random(5)) as made:
            made.copy(range(BLOCKS * BASE))
            yield made
    finally:
        engine.drop_schema(name)


def other_row(table: Copies, row_id: int, place: int) -> int:
    """A row to copy with another value in that column."""
    kind = table.columns[place].kind

    def text(base: int) -> str | None:
        value = table.base[base][place]
        return None if value is None else field_text(kind, value)

    return next(base for base in table.base if text(base) != text(row_id % BASE))


def test_each_altered_value_is_seen_and_nothing_else(table: Copies) -> None:
    worker = Worker(table, Random(7))
    for _ in range(60):
        worker.work()
    assert table.ids() == worker.ids
    assert len(worker.touched) > 30
    assert table.altered() == []
    untouched = iter(sorted(worker.ids - worker.touched.keys()))
    altered = []
    with table.writer.session() as cursor:
        for place in range(len(table.columns) - 1):
            row_id = next(untouched)
            cursor.execute(
                f"UPDATE {table.table} SET c{place} = (SELECT c{place} FROM {table.known}.base k"
                f" WHERE k.id = {other_row(table, row_id, place)}) WHERE id = {row_id}"
            )
            altered.append(row_id)
        cursor.execute(
            f"UPDATE {table.table} SET {table.day_column} = DATE '1999-01-01' WHERE id = {next(untouched)}"
        )
    assert len(table.altered()) == len(altered) + 1
    assert set(altered) < set(table.altered())


def rewrite(told: Story, row_id: int, **replaced: str) -> None:
    """The archive's row once more, in a newer version and with other values."""
    target = told.archive.target
    changes = {"_chista_version": "_chista_version + 1", **replaced}
    listed = ", ".join(f"{value} AS {name}" for name, value in changes.items())
    told.archive.client.command(
        f"INSERT INTO {target} SELECT * REPLACE ({listed}) FROM (SELECT * FROM {target} FINAL WHERE id = {row_id})"
    )


@pytest.mark.timeout(900)
def test_an_altered_value_and_a_missing_row_of_the_archive_are_seen(store: Store, tmp_path: Path) -> None:
    with story("postgres", store, tmp_path, Random(3), 4 * BASE, lambda text: None) as told:
        witness, copies, target = told.witness, told.copies, told.archive.target
        untouched = sorted(told.worker.ids - told.worker.touched.keys())
        row_id, *others = untouched
        twin = next(other for other in others if other % BASE == row_id % BASE)
        for place in range(0, len(copies.columns), 20):
            base = other_row(copies, row_id, place)
            stranger = next(other for other in others if other % BASE == base)
            for like in (stranger, twin):
                rewrite(
                    told, row_id, **{f"c{place}": f"(SELECT c{place} FROM {target} FINAL WHERE id = {like})"}
                )
                if like == stranger:
                    with pytest.raises(AssertionError, match=f"row {row_id}, c{place} "):
                        witness.require_exact()
            witness.require_exact()
        rewrite(told, row_id, _chista_deleted="1")
        with pytest.raises(AssertionError, match="missing from the archive"):
            witness.require_exact()
