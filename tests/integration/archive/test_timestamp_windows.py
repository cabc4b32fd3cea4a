"""Windows over timestamps: the range is half-open to the microsecond, in UTC, on both sides alike."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from airflow_provider_chista.model import Window
from tests.integration.archive.conftest import Store
from tests.integration.support.archives import Archive
from tests.integration.support.engines import connector

DDL = {
    "mysql": "at DATETIME(6) NOT NULL, moment TIMESTAMP(6) NOT NULL",
    "mariadb": "at DATETIME(6) NOT NULL, moment TIMESTAMP(6) NOT NULL",
    "postgres": "at TIMESTAMP NOT NULL, moment TIMESTAMPTZ NOT NULL",
}
MOMENTS = (
    "2024-02-28 23:59:59.999999",
    "2024-02-29 00:00:00.000000",
    "2024-02-29 12:30:00.000001",
    "2024-02-29 23:59:59.999999",
    "2024-03-01 00:00:00.000000",
)


@pytest.fixture(scope="module", params=["mysql", "mariadb", "postgres"])
def archive(request: pytest.FixtureRequest, store: Store) -> Iterator[Archive]:
    table = f"CREATE TABLE {{schema}}.events (id INT PRIMARY KEY, {DDL[request.param]})"
    with connector(request.param, {"events": table}) as made:
        zone = "SET TIME ZONE 'UTC'" if request.param == "postgres" else "SET time_zone = '+00:00'"
        rows = ", ".join(f"({number}, '{moment}', '{moment}')" for number, moment in enumerate(MOMENTS))
        made.engine.execute(zone, f"INSERT INTO {made.schema}.events VALUES {rows}")
        made.register()
        archive = Archive(made, store.client, store.control, f"{store.database}_{request.param}", "events")
        archive.snapshot()
        archive.drain()
        yield archive
        archive.capture.source.close()
        archive.client.command(f"DROP DATABASE IF EXISTS {archive.database}")


@pytest.mark.parametrize("column", ["at", "moment"])
def test_a_window_owns_the_moments_from_its_start_to_before_its_end(archive: Archive, column: str) -> None:
    day = Window(column, datetime(2024, 2, 29, tzinfo=UTC), datetime(2024, 3, 1, tzinfo=UTC))
    half = Window(column, datetime(2024, 2, 29, tzinfo=UTC), datetime(2024, 2, 29, 12, 30, 0, 1, tzinfo=UTC))
    assert (archive.verify(day).rows, archive.verify(half).rows) == (3, 1)
    assert [archive.capture.source.count(archive.table, window) for window in (day, half)] == [3, 1]
    assert [archive.manifests().count(window) for window in (day, half)] == [3, 1]


def test_exactly_the_windows_rows_are_purged_and_stay_in_the_archive(archive: Archive) -> None:
    window = Window("moment", datetime(2024, 2, 29, tzinfo=UTC), datetime(2024, 3, 1, tzinfo=UTC))
    proof = archive.verify(window)
    archive.approve(proof, window)
    assert archive.purge(window).deleted == 3
    archive.drain()
    assert archive.seal(window).rows == 3
    assert archive.source_keys() == {"0", "4"}
    assert archive.archive_keys() == {"0", "1", "2", "3", "4"}
