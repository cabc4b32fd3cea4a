"""Rows that no snapshot has: windows of them are read by Debezium's incremental snapshot, each once, and archived exactly."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, TaskDeferred

from airflow_provider_chista.archive import snapshot
from airflow_provider_chista.debezium.offsets import snapshot_running
from airflow_provider_chista.lineage import SNAPSHOT, Moved
from airflow_provider_chista.model import Window
from airflow_provider_chista.operators.snapshot import SnapshotWindowOperator
from tests.integration.archive.conftest import Store
from tests.integration.support.archives import Archive
from tests.integration.support.engines import MYSQL_FAMILY, Connector, connector, wait_for
from tests.integration.support.tasks import context

MOMENT = {"mysql": "TIMESTAMP(6)", "mariadb": "TIMESTAMP(6)", "postgres": "TIMESTAMPTZ"}
PLAIN = {"mysql": "DATETIME(6)", "mariadb": "DATETIME(6)", "postgres": "TIMESTAMP"}
DAYS = ("2024-02-28", "2024-02-29", "2024-03-01", "2024-03-02")
TIMES = ("00:00:00.000000", "12:30:00.000001", "23:59:59.999999")
PER_DAY = len(TIMES)


@pytest.fixture(scope="module", params=["mysql", "mariadb", "postgres"])
def archive(request: pytest.FixtureRequest, store: Store) -> Iterator[Archive]:
    """A connector that leaves out what was there before it; its table has three rows a day, and one that it streamed."""
    flavour = request.param
    ddl = (
        f"CREATE TABLE {{schema}}.events (id INT PRIMARY KEY, moment {MOMENT[flavour]} NOT NULL,"
        f" at {PLAIN[flavour]} NOT NULL, day DATE NOT NULL, text VARCHAR(10) NOT NULL, `100%` DATE NOT NULL, n INT NOT NULL)"
    )
    with connector(flavour, {"events": ddl if flavour in MYSQL_FAMILY else ddl.replace("`", '"')}) as made:
        zone = "SET TIME ZONE 'UTC'" if flavour == "postgres" else "SET time_zone = '+00:00'"
        moments = [(day, f"{day} {time}") for day in DAYS for time in TIMES]
        rows = [(i, moment, moment, day, day, day, 0) for i, (day, moment) in enumerate(moments)]
        made.engine.execute(zone, f"INSERT INTO {made.schema}.events VALUES {', '.join(map(str, rows))}")
        made.register(overrides={"snapshot.mode": "no_data"})
        wait_for(lambda: streams(made), 60)
        found = Archive(made, store.client, store.control, f"{store.database}_{flavour}", "events")
        try:
            found.drain()
            yield found
        finally:
            found.capture.source.close()
            found.client.command(f"DROP DATABASE IF EXISTS {found.database}")


def streams(made: Connector) -> bool:
    """The connector has read the schema, and holds no lock any more."""
    offset = made.connect.offsets(made.name)
    return offset is not None and not snapshot_running(offset)


def asked(archive: Archive) -> int:
    """Requests for snapshots of the table."""
    name = "chista.`signal`" if archive.engine.flavour in MYSQL_FAMILY else "chista.signal"
    like = f"type = 'execute-snapshot' AND data LIKE '%\"{archive.id}\"%'"
    return int(archive.engine.query(f"SELECT COUNT(*) FROM {name} WHERE {like}")[0][0])


def task(archive: Archive, column: str = "day", **more: Any) -> SnapshotWindowOperator:
    return SnapshotWindowOperator(
        task_id="t", connector=archive.connector.name, topic_prefix=archive.connector.name, table=str(archive.id),
        time_column=column, source_conn_id=f"{archive.engine.flavour}_verify", poke_interval=0.3, timeout=90, **more,
    )  # fmt: skip


def days(first: int, end: int) -> tuple[str, str]:
    return DAYS[first], (*DAYS, "2024-03-03")[end]


def ids(archive: Archive) -> list[int]:
    return sorted(
        row[0] for row in archive.client.query(f"SELECT id FROM {archive.target} FINAL").result_rows
    )


@pytest.fixture(autouse=True)
def state(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__CHISTA__STATE_DATABASE", store.control.database)


def test_a_window_is_read_once_and_proven_and_the_others_are_not_there(archive: Archive) -> None:
    assert ids(archive) == []
    window, reading = days(1, 2), task(archive)
    assert reading.execute(context(window)) == {str(archive.id): PER_DAY}
    assert reading.moved == Moved(SNAPSHOT, read=PER_DAY, written=PER_DAY), "for OpenLineage"
    archive.drain()
    assert ids(archive) == [3, 4, 5]
    owned = Window("day", datetime(2024, 2, 29, tzinfo=UTC), datetime(2024, 3, 1, tzinfo=UTC))
    assert archive.verify(owned).rows == PER_DAY
    assert asked(archive) == 1
    archive.engine.execute(f"UPDATE {archive.id} SET n = 1 WHERE id = 4")
    assert task(archive).execute(context(window)) == {str(archive.id): PER_DAY}, "a cleared task"
    assert asked(archive) == 1
    assert task(archive, again="incident 7").execute(context(window)) == {str(archive.id): PER_DAY}
    assert asked(archive) == 2
    archive.drain()
    assert archive.verify(owned).rows == PER_DAY


def test_windows_that_are_asked_for_at_once_are_all_read_whole(archive: Archive) -> None:
    """As runs of a backfill beside each other; a row before, between and behind the windows stays out."""
    before = asked(archive)
    windows = [days(0, 1), days(2, 3)]
    with ThreadPoolExecutor(len(windows)) as pool:
        list(pool.map(lambda window: task(archive).execute(context(window)), windows))
    archive.drain()
    assert ids(archive) == [0, 1, 2, 3, 4, 5, 6, 7, 8]
    assert asked(archive) == before + 2
    whole = Window("day", datetime(2024, 2, 28, tzinfo=UTC), datetime(2024, 3, 2, tzinfo=UTC))
    assert archive.verify(whole).rows == 3 * PER_DAY


@pytest.mark.parametrize("column", ["moment", "at", "text", "100%"])
def test_every_kind_of_time_column_bounds_what_is_read(archive: Archive, column: str) -> None:
    found = task(archive, column).execute(context(days(3, 4)))
    assert found == {str(archive.id): PER_DAY}
    archive.drain()
    assert {9, 10, 11} <= set(ids(archive))


@pytest.mark.parametrize("column", ["moment", "at", "day", "text", "100%"])
def test_the_condition_means_the_same_rows_whatever_time_zone_the_connectors_session_has(
    archive: Archive, column: str
) -> None:
    window = Window(column, datetime(2024, 2, 29, tzinfo=UTC), datetime(2024, 3, 1, tzinfo=UTC))
    condition = archive.capture.source.window_filter(archive.id, window)
    zone = (
        "SET TIME ZONE 'Asia/Tokyo'" if archive.engine.flavour == "postgres" else "SET time_zone = '+09:00'"
    )
    with closing(archive.engine.admin()) as connection, closing(connection.cursor()) as cursor:
        cursor.execute(zone)
        cursor.execute(f"SELECT id FROM {archive.id} WHERE {condition} ORDER BY id")
        assert [row[0] for row in cursor.fetchall()] == [3, 4, 5]


def test_a_window_without_rows_is_done(archive: Archive) -> None:
    assert task(archive).execute(context(("1999-01-01", "1999-02-01"))) == {str(archive.id): 0}


def test_what_cannot_bound_a_window_fails_by_name_and_asks_for_nothing(archive: Archive) -> None:
    before = asked(archive)
    for column, message in (
        ("id", "window column id of .* is int"),
        ("nothing", "nothing"),
        ("", "has no time_column"),
    ):
        with pytest.raises(AirflowFailException, match=message):
            task(archive, column).execute(context(days(0, 1)))
    with pytest.raises(AirflowFailException, match="no data interval"):
        task(archive).execute(context())
    assert asked(archive) == before


def test_it_waits_in_the_triggerer_with_its_window_as_dates(archive: Archive) -> None:
    with pytest.raises(TaskDeferred) as deferred:
        task(archive, deferrable=True).execute(context(("2024-01-01", "2024-01-05")))
    _, arguments = deferred.value.trigger.serialize()
    assert arguments["arguments"]["window"] == [
        "day",
        "2024-01-01T00:00:00+00:00",
        "2024-01-05T00:00:00+00:00",
    ]
    assert "password" not in str(arguments)
    with closing((capture := archive.connector.capture()).source):
        window = Window("day", datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 1, 5, tzinfo=UTC))
        wait_for(lambda: snapshot.advance(capture, archive.control, [archive.id], window=window).completed)
