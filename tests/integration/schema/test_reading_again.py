"""Reading a table again: by label, once, and as the way to a purge of rows that are older than a column."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest

from airflow_provider_chista.archive import snapshot
from airflow_provider_chista.archive.ledger import Stage
from airflow_provider_chista.errors import FatalError, RefusedError
from airflow_provider_chista.model import TableId
from airflow_provider_chista.sensors.snapshot import SnapshotCompletedSensor
from tests.integration.archive.conftest import Store, store
from tests.integration.support.archives import Archive, archives
from tests.integration.support.engines import MYSQL_FAMILY, Connector, connector, wait_for
from tests.integration.support.tasks import context

__all__ = ["store"]

ROWS = "(id INT PRIMARY KEY, a INT NULL)"
TABLES = {
    name: f"CREATE TABLE {{schema}}.{name} {ROWS}" for name in ("purged", "labels", "died", "x", "y", "z")
}
TABLES |= {
    "busy": "CREATE TABLE {schema}.busy (id INT PRIMARY KEY, a INT NULL, b VARCHAR(10) NULL)",
    "keyless": "CREATE TABLE {schema}.keyless (id INT NOT NULL, a INT NULL)",
}


@pytest.fixture(scope="module", params=["mysql", "mariadb", "postgres"])
def captured(request: pytest.FixtureRequest, store: Store) -> Iterator[Connector]:
    with connector(request.param, TABLES) as made:
        made.engine.execute(
            *(f"INSERT INTO {made.schema}.{name} (id, a) VALUES (1, 10), (2, 20)" for name in TABLES)
        )
        made.register()
        with closing(made.capture().source):
            seen(made, store, *TABLES)
        yield made


@pytest.fixture
def archive(captured: Connector, store: Store) -> Iterator[Callable[[str], Archive]]:
    with archives(captured, store.client, store.control, store.database) as opened:
        yield opened


def seen(
    made: Connector, store: Store, *names: str, again: str | None = None, seconds: float = 60
) -> dict[str, int]:
    """Rows sent per table, once every snapshot was seen completed."""
    capture, tables = made.capture(), [TableId(made.schema, name) for name in names]
    with closing(capture.source):
        found = wait_for(
            lambda: (
                status
                if (status := snapshot.advance(capture, store.control, tables, again)).completed
                else None
            ),
            seconds,
            0.3,
        )
    return {table.name: found.rows()[str(table)] for table in tables}


def signals(made: Connector) -> str:
    return "chista.`signal`" if made.engine.flavour in MYSQL_FAMILY else "chista.signal"


def asked(made: Connector, name: str) -> list[str]:
    """Ids of the signals that asked for a table."""
    rows = made.engine.query(
        f"SELECT id FROM {signals(made)} WHERE type = 'execute-snapshot' AND data LIKE '%\"{made.schema}.{name}\"%'"
    )
    return sorted(row[0] for row in rows)


def sensor(made: Connector, store: Store, name: str, **more: Any) -> Any:
    task = SnapshotCompletedSensor(
        task_id="t", connector=made.name, topic_prefix=made.name, tables=[f"{made.schema}.{name}"],
        source_conn_id=f"{made.engine.flavour}_verify", poke_interval=0.3, timeout=60, **more,
    )  # fmt: skip
    return task.execute(context())


def test_rows_older_than_a_column_are_purged_only_after_they_were_read_again(
    captured: Connector, store: Store, archive: Callable[[str], Archive], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__CHISTA__STATE_DATABASE", store.control.database)
    made = archive("purged")
    made.drain()
    made.engine.execute(
        f"ALTER TABLE {made.id} ADD COLUMN c INT NOT NULL DEFAULT 5",
        f"INSERT INTO {made.id} (id, a, c) VALUES (3, 30, 7)",
    )
    made.drain()
    assert made.shown() == [(1, 10, None), (2, 20, None), (3, 30, 7)]
    with pytest.raises(FatalError, match=r"0 missing .*, 0 only .*, 2 differing .*key 1 is differing in c"):
        made.verify()
    with pytest.raises(RefusedError, match="has no proof"):
        made.purge(require_approval=False)
    assert sensor(captured, store, "purged") == {str(made.id): 2}, "the snapshot from before is no answer"
    assert asked(captured, "purged") == []
    assert sensor(captured, store, "purged", again="added c") == {str(made.id): 3}
    made.drain()
    proof = made.verify()
    assert made.shown() == [(1, 10, 5), (2, 20, 5), (3, 30, 7)]
    entry = made.ledger().last(Stage.VERIFIED, proof.verify_id)
    assert entry is not None
    assert (entry.detail["schema"], entry.detail["columns"]) == (made.table.fingerprint, ["id", "a", "c"])
    made.approve(proof)
    assert made.purge().deleted == 3
    assert made.in_source() == []
    made.drain()
    assert made.shown() == [(1, 10, 5), (2, 20, 5), (3, 30, 7)]


def test_a_label_asks_once_and_another_one_again(captured: Connector, store: Store) -> None:
    captured.engine.execute(f"INSERT INTO {captured.schema}.labels (id, a) VALUES (3, 30)")
    assert seen(captured, store, "labels") == {"labels": 2}
    assert asked(captured, "labels") == []
    assert seen(captured, store, "labels", again="first") == {"labels": 3}
    first = asked(captured, "labels")
    assert first == [snapshot.signal_of(captured.name, TableId(captured.schema, "labels"), "first")]
    captured.engine.execute(f"DELETE FROM {captured.schema}.labels WHERE id = 3")
    assert seen(captured, store, "labels", again="first") == {"labels": 3}, "a retry, a cleared task"
    assert asked(captured, "labels") == first
    assert seen(captured, store, "labels", again="second") == {"labels": 2}
    both = asked(captured, "labels")
    assert len(both) == 2
    assert seen(captured, store, "labels", again="first") == {"labels": 3}, "an older run that was cleared"
    assert seen(captured, store, "labels") == {"labels": 2}
    assert asked(captured, "labels") == both


def test_an_empty_label_is_none(captured: Connector, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__CHISTA__STATE_DATABASE", store.control.database)
    before = asked(captured, "z")
    assert sensor(captured, store, "z", again="") == {f"{captured.schema}.z": 2}
    assert asked(captured, "z") == before


def test_a_request_that_died_before_it_was_sent_is_sent_by_the_next_look(
    captured: Connector, store: Store
) -> None:
    table = TableId(captured.schema, "died")
    signal_id = snapshot.signal_of(captured.name, table, "l")
    remembered = {"connector": captured.name, "table_name": str(table), "state": "requested"}
    store.control.insert("snapshots", [{**remembered, "signal_id": signal_id, "rows": 0}])
    assert asked(captured, "died") == []
    assert seen(captured, store, "died") == {"died": 2}, "without a label the first snapshot will do"
    assert asked(captured, "died") == []
    assert seen(captured, store, "died", again="l") == {"died": 2}
    assert asked(captured, "died") == [signal_id]


def test_requests_that_overtake_each_other_are_all_seen_completed(captured: Connector, store: Store) -> None:
    """Debezium's notifications carry the id of the newest signal only; here three come at once."""
    tables = {name: TableId(captured.schema, name) for name in "xyz"}
    ids = {name: snapshot.signal_of(captured.name, table, "at once") for name, table in tables.items()}
    store.control.insert(
        "snapshots",
        [
            {
                "connector": captured.name,
                "table_name": str(table),
                "state": "requested",
                "signal_id": ids[name],
                "rows": 0,
            }
            for name, table in tables.items()
        ],
    )
    captured.engine.execute(
        f"INSERT INTO {signals(captured)} (id, type, data) VALUES (%s, 'execute-snapshot', %s)",
        many=[
            (ids[name], json.dumps({"type": "incremental", "data-collections": [str(table)]}))
            for name, table in tables.items()
        ],
    )
    assert seen(captured, store, "x", "y", "z", again="at once") == {"x": 2, "y": 2, "z": 2}
    assert [asked(captured, name) for name in "xyz"] == [[ids[name]] for name in "xyz"]
    with closing((capture := captured.capture()).source):
        notes = snapshot.notifications(capture)
    assert {notes.table(table, ids[name]).state for name, table in tables.items()} == {"completed", "unknown"}


def test_a_request_that_failed_is_reported_and_then_made_again(captured: Connector, store: Store) -> None:
    """An incremental snapshot needs a primary key."""
    with pytest.raises(FatalError, match=r"keyless .* failed with NO_PRIMARY_KEY"):
        seen(captured, store, "keyless", again="l")
    captured.engine.execute(
        f"ALTER TABLE {captured.schema}.keyless ADD PRIMARY KEY (id)",
        f"INSERT INTO {captured.schema}.keyless (id, a) VALUES (3, 30)",
    )
    assert seen(captured, store, "keyless", again="l") == {"keyless": 3}
    ids = asked(captured, "keyless")
    assert len(ids) == 2
    assert ids[1].startswith(f"{ids[0]}-")
    assert seen(captured, store, "keyless", again="l") == {"keyless": 3}
    assert asked(captured, "keyless") == ids


def test_rows_written_while_the_table_changes_all_arrive(
    captured: Connector, archive: Callable[[str], Archive]
) -> None:
    made = archive("busy")
    stop, written = threading.Event(), []

    def write() -> None:
        number = 10
        with closing(made.engine.admin()) as connection, closing(connection.cursor()) as cursor:
            while not stop.is_set():
                cursor.execute(f"INSERT INTO {made.id} (id, a) VALUES ({number}, {number})")
                cursor.execute(f"UPDATE {made.id} SET a = a + 1 WHERE id = {number - 5}")
                written.append(number)
                number += 1

    def some_more() -> None:
        before = len(written)
        wait_for(lambda: len(written) > before + 20)

    changes = ["ADD COLUMN c INT NULL", "DROP COLUMN b", "ADD COLUMN d VARCHAR(10) NULL"]
    wider = "ALTER COLUMN a TYPE BIGINT" if made.engine.flavour == "postgres" else "MODIFY a BIGINT NULL"
    writer = threading.Thread(target=write)
    writer.start()
    try:
        for change in (*changes, wider):
            some_more()
            made.engine.execute(f"ALTER TABLE {made.id} {change}")
        some_more()
    finally:
        stop.set()
        writer.join()
    made.engine.execute(f"INSERT INTO {made.id} (id, a, c, d) VALUES (5, 5000000000, 1, 'x')")
    summary = made.drain()
    assert summary.get("op_dead", 0) == 0
    assert summary["op_c"] == len(written) + 1
    assert made.verify().rows == len(written) + 3


def test_tables_that_are_added_together_are_all_seen_completed(captured: Connector, store: Store) -> None:
    late = ["late1", "late2", "late3"]
    captured.engine.execute(
        *(f"CREATE TABLE {captured.schema}.{name} {ROWS}" for name in late),
        *(f"INSERT INTO {captured.schema}.{name} (id, a) VALUES (1, 10)" for name in late),
    )
    captured.tables.extend(TableId(captured.schema, name) for name in late)
    captured.register()
    time.sleep(1.0)
    assert seen(captured, store, *late) == dict.fromkeys(late, 1)
    assert seen(captured, store, *late) == dict.fromkeys(late, 1)
    assert [len(asked(captured, name)) for name in late] == [1, 1, 1]
