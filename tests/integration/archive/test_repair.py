"""Rows that the stream did not carry exactly become exact; what the application does meanwhile wins."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from datetime import UTC, datetime
from typing import Any

import pytest

from airflow_provider_chista.archive.ledger import Stage
from airflow_provider_chista.archive.positions import LAST_REPAIR
from airflow_provider_chista.archive.repair import OPERATION, Repair
from airflow_provider_chista.clickhouse import layout, sql
from airflow_provider_chista.errors import FatalError, TransientError
from airflow_provider_chista.model import Table, Window
from airflow_provider_chista.sources.base import Source
from tests.integration.archive.conftest import Store
from tests.integration.support.archives import Archive, archives
from tests.integration.support.engines import Connector, connector

ROWS = "(id INT PRIMARY KEY, f FLOAT NULL, name VARCHAR(100) NOT NULL, day DATE NOT NULL)"
TABLES = {name: f"CREATE TABLE {{schema}}.{name} {ROWS}" for name in ("floats", "raced", "busy", "wrong")}
JANUARY = Window("day", datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 2, 1, tzinfo=UTC))
SIX_DIGITS = 123456.789
"""A number of which MySQL's snapshots show six digits."""


@pytest.fixture(scope="module", params=["mysql", "mariadb", "postgres"])
def captured(request: pytest.FixtureRequest, store: Store) -> Iterator[Connector]:
    with connector(request.param, TABLES) as made:
        for name in TABLES:
            rows = [(n, SIX_DIGITS + n, f"n{n}", "2024-01-10" if n % 2 else "2024-02-10") for n in range(40)]
            made.engine.execute(f"INSERT INTO {made.schema}.{name} VALUES (%s, %s, %s, %s)", many=rows)
        made.register()
        yield made


@pytest.fixture
def archived(captured: Connector, store: Store) -> Iterator[Callable[[str], Archive]]:
    with archives(captured, store.client, store.control, store.database) as opened:

        def of(name: str) -> Archive:
            made = opened(name)
            made.snapshot()
            made.drain()
            return made

        yield of


def damage(made: Archive, where: str) -> None:
    """Change the name of rows in the archive alone, as if their events had said so."""
    made.client.command(
        f"INSERT INTO {sql.table(made.target)} SELECT * REPLACE ('damaged' AS name, {layout.VERSION} + 1 AS"
        f" {layout.VERSION}) FROM {sql.table(made.target)} FINAL WHERE {where}"
    )


def operations(made: Archive) -> dict[int, str]:
    rows = made.client.query(
        f"SELECT id, {layout.OPERATION} FROM {sql.table(made.target)} FINAL ORDER BY id"
    ).result_rows
    return {row[0]: row[1] for row in rows}


def stages(made: Archive) -> list[tuple[str, int]]:
    rows = made.control.rows(
        f"SELECT stage, rows FROM {made.control.name('ledger')} WHERE target = {{target:String}} ORDER BY at",
        {"target": str(made.target)},
    )
    return [(row["stage"], row["rows"]) for row in rows]


def test_floats_of_a_snapshot_and_lost_rows_are_repaired_and_recorded(
    archived: Callable[[str], Archive],
) -> None:
    made = archived("floats")
    # MySQL and MariaDB show six digits of a float in a snapshot; what PostgreSQL sends is exact.
    lossy = made.engine.flavour != "postgres"
    damage(made, "id = 1")
    made.client.command(f"DELETE FROM {sql.table(made.target)} WHERE id IN (3, 5)")
    with pytest.raises(FatalError, match="2 missing from the archive, 0 only in the archive"):
        made.verify(JANUARY)
    with pytest.raises(FatalError, match="2 missing"):
        made.verify(JANUARY, repairs=1)
    assert OPERATION not in operations(made).values()

    proof = made.verify(JANUARY, repairs=20)
    assert proof.rows == 20
    mended = set(range(1, 40, 2)) if lossy else {1, 3, 5}
    assert {n for n, op in operations(made).items() if op == OPERATION} == mended
    least = f"SELECT min({layout.VERSION} % 16) FROM {sql.table(made.target)} WHERE {layout.OPERATION} = '{OPERATION}'"
    assert made.client.command(least) == 1  # above its event, or above none
    assert stages(made) == [
        (Stage.MISMATCHED, 20), (Stage.MISMATCHED, 20), (Stage.REPAIRED, len(mended)), (Stage.VERIFIED, 20),
    ]  # fmt: skip
    repaired = made.ledger(JANUARY).last(Stage.REPAIRED, "")
    assert repaired
    assert repaired.detail == {"missing": 2, "differing": len(mended) - 2}
    rows = made.control.rows(
        f"SELECT row_key, finding, columns, source_values, archive_values FROM {made.control.name('mismatches')} FINAL"
        " WHERE verify_id = {id:String} ORDER BY toInt32(row_key)",
        {"id": repaired.verify_id},
    )
    assert [row["row_key"] for row in rows] == [str(n) for n in sorted(mended)]
    first, second = rows[:2]
    assert (first["finding"], first["columns"]) == ("differing", ["f", "name"] if lossy else ["name"])
    assert (first["source_values"][2], first["archive_values"][2]) == ("2:n1", "7:damaged")
    assert (second["finding"], second["archive_values"]) == ("missing", [])

    # A row that only the archive has stays, and fails the comparison.
    made.client.command(
        f"INSERT INTO {sql.table(made.target)} SELECT * REPLACE (1001 AS id) FROM"
        f" (SELECT * FROM {sql.table(made.target)} FINAL WHERE id = 7)"
    )
    with pytest.raises(FatalError, match="0 missing from the archive, 1 only in the archive, 0 differing"):
        made.verify(JANUARY, repairs=20)
    assert 1001 in operations(made)


class Interrupted:
    """A source that does something between the archive's versions and the rows; everything else is its own."""

    def __init__(self, source: Source, meanwhile: Callable[[], None]) -> None:
        self._source = source
        self._meanwhile = meanwhile

    def rows(self, table: Table, keys: Sequence[str]) -> dict[str, tuple[str | None, ...]]:
        before = self._source.rows(table, keys)
        self._meanwhile()
        return before


def test_what_the_application_does_during_a_repair_wins(archived: Callable[[str], Archive]) -> None:
    made = archived("raced")
    table = made.id
    damage(made, "id < 6")

    def meanwhile() -> None:
        made.engine.execute(
            f"UPDATE {table} SET name = 'newer', f = 1 WHERE id = 1",
            f"DELETE FROM {table} WHERE id = 2",
            f"UPDATE {table} SET id = 300, f = 1 WHERE id = 3",
            f"DELETE FROM {table} WHERE id = 4",
            f"INSERT INTO {table} VALUES (4, 1, 'again', '2024-01-10')",
        )
        made.drain()

    source: Any = Interrupted(made.capture.source, meanwhile)
    assert Repair(source, made.manifests()).run([str(n) for n in range(6)], "token") == (6, {})
    shown = {row[0]: row[2] for row in made.shown()}
    assert {n: shown.get(n) for n in (0, 1, 2, 3, 4, 5, 300)} == {
        0: "n0", 1: "newer", 2: None, 3: None, 4: "again", 5: "n5", 300: "n3",
    }  # fmt: skip


def test_repairs_beside_an_application_that_updates_the_same_rows(archived: Callable[[str], Archive]) -> None:
    made = archived("busy")
    damage(made, "id % 3 = 0")
    stop = threading.Event()

    def application() -> None:
        with closing(made.engine.admin()) as connection, connection.cursor() as cursor:
            number = 0
            while not stop.is_set():
                number += 1
                cursor.execute(
                    f"UPDATE {made.id} SET name = %s, f = 0.5 WHERE id = %s", (f"u{number}", number % 40)
                )
                connection.commit()
                stop.wait(0.1)  # a row often enough rests while it is confirmed and repaired

    running = threading.Thread(target=application)
    running.start()
    try:
        for _ in range(3):
            with suppress(FatalError, TransientError):  # rows may change faster than they are compared
                made.verify(repairs=40)
    finally:
        stop.set()
        running.join()
    assert made.verify(repairs=40).rows == 40
    made.drain()
    assert made.shown() == made.in_source()


def test_a_row_that_no_repair_mends_and_a_table_that_cannot_be_repaired(
    archived: Callable[[str], Archive],
) -> None:
    made = archived("wrong")
    made.client.command(
        f"INSERT INTO {sql.table(made.target)} SELECT * REPLACE ('x' AS name, bitOr({layout.VERSION}, {LAST_REPAIR})"
        f" AS {layout.VERSION}) FROM {sql.table(made.target)} FINAL WHERE id = 1"
    )
    with pytest.raises(
        FatalError, match=r"1 differing.*key 1 .*cannot be repaired: it was repaired 15 times"
    ):
        made.verify(JANUARY, repairs=20)
    assert operations(made)[1] == "r"
    made.engine.execute(f"ALTER TABLE {made.id} DROP COLUMN f")
    made.followed()
    with pytest.raises(FatalError, match=r"cannot be repaired: .*values of f \(dropped at the source"):
        made.verify(JANUARY, repairs=20)
