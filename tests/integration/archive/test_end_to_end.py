"""Every stage on real Debezium, on the three engines: what leaves the source was proven, and is in the archive."""

from __future__ import annotations

import multiprocessing
import random
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from airflow_provider_chista.archive import barrier, snapshot
from airflow_provider_chista.archive.ledger import Stage
from airflow_provider_chista.archive.policies import DeletePolicy
from airflow_provider_chista.archive.topic import TopicMissingError
from airflow_provider_chista.clickhouse import sql
from airflow_provider_chista.debezium.config import topic_name
from airflow_provider_chista.errors import ChistaError, FatalError, RefusedError, TransientError
from airflow_provider_chista.model import TableId, Window
from tests.integration.archive.conftest import Store
from tests.integration.support.archives import Archive, archives, purge_in_process
from tests.integration.support.engines import Connector, connector, wait_for

ROWS = "(id INT PRIMARY KEY, name VARCHAR(255) NULL, day DATE NOT NULL)"
TABLES = {
    name: f"CREATE TABLE {{schema}}.{name} {ROWS}"
    for name in ("whole", "tampered", "changed", "killed", "refused", "empty", "parent")
} | {
    "child": "CREATE TABLE {schema}.child (id INT PRIMARY KEY, parent INT NOT NULL,"
    " CONSTRAINT child_fk FOREIGN KEY (parent) REFERENCES {schema}.parent (id) ON DELETE CASCADE)"
}
JANUARY = Window("day", datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 2, 1, tzinfo=UTC))
HOSTILE = ["", "~", "|1:x", "null", 'O\'Brien, "x"\\', "line\nbreak", "é 😀", None, " trailing "]


@pytest.fixture(scope="module", params=["mysql", "mariadb", "postgres"])
def captured(request: pytest.FixtureRequest, store: Store) -> Iterator[Connector]:
    with connector(request.param, TABLES) as made:
        for name in TABLES:
            if name not in ("empty", "child"):
                insert(made, name, range(600))
        made.register()
        yield made


@pytest.fixture
def archive(captured: Connector, store: Store) -> Iterator[Callable[[str], Archive]]:
    with archives(captured, store.client, store.control, store.database) as opened:
        yield opened


def insert(made: Connector, table: str, ids: range) -> None:
    """Every third row lies outside of January."""
    days = ("2024-01-01", "2024-01-31", "9999-12-31")
    made.engine.execute(
        f"INSERT INTO {made.schema}.{table} VALUES (%s, %s, %s)",
        many=[(i, HOSTILE[i % len(HOSTILE)], days[i % 3]) for i in ids],
    )


def archived(archive: Callable[[str], Archive], name: str) -> Archive:
    made = archive(name)
    made.snapshot()
    made.drain()
    return made


def test_the_whole_path_and_what_the_application_does_afterwards(archive: Callable[[str], Archive]) -> None:
    made = archive("whole")
    assert made.snapshot().rows() == {str(made.id): 600}
    insert(made.connector, "whole", range(600, 900))
    table = made.id
    made.engine.execute(
        f"UPDATE {table} SET name = 'changed' WHERE id < 10", f"DELETE FROM {table} WHERE id IN (1, 2)"
    )
    committed = {str(n) for n in range(900)} - {"1", "2"}
    summary = made.drain()
    assert (summary["op_r"] + summary["op_c"], summary["application_deletes"]) == (900, 2)
    assert made.shown() == made.in_source()

    proof = made.verify(JANUARY)
    assert proof.rows == 599  # two of three rows, without row 1
    made.require_nothing_lost(committed)
    made.approve(proof, JANUARY)
    before = made.in_source()
    report = made.purge(JANUARY)
    made.require_nothing_lost(committed)
    assert (report.proven, report.deleted, dict(report.skipped)) == (599, 599, {})
    assert made.in_source() == [row for row in before if row[2].year == 9999]
    assert made.shown() == before

    summary = made.drain()
    assert (summary["purge_deletes"], summary["application_deletes"], summary["held_deletes"]) == (599, 0, 0)
    assert made.shown() == before
    sealed = made.seal(JANUARY)
    assert (sealed.rows, sealed.digest, sealed.rewritten) == (599, proof.digest, 0)
    assert made.engine.query(
        f"SELECT count(*) FROM chista.purge_log WHERE batch_id = '{sealed.batch_id}'"
    ) == [(0,)]

    made.engine.execute(
        f"UPDATE {table} SET name = 'later' WHERE id = 5",  # outside of the window, still at the source
        f"DELETE FROM {table} WHERE id = 8",
        f"INSERT INTO {table} VALUES (0, 'again', '2024-01-05')",  # a purged key comes back
        f"INSERT INTO {table} VALUES (3, 'short', '2024-01-05')",
        f"DELETE FROM {table} WHERE id = 3",
    )
    assert made.drain()["application_deletes"] == 2
    shown = {row[0]: row[1] for row in made.shown()}
    assert (shown[0], shown[5], shown[6]) == ("again", "later", "changed")
    assert 8 not in shown
    assert 3 not in shown
    made.require_nothing_lost(committed - {"3", "8"})
    again = made.seal(JANUARY)
    assert (again.rows, again.rewritten) == (599, 2)

    # Purged rows are no longer expected at the source; the row that came back is.
    assert made.verify(JANUARY).rows == 1
    assert made.verify(None).rows == len(made.in_source())


def test_verify_names_a_tampered_a_missing_and_an_extra_row(archive: Callable[[str], Archive]) -> None:
    made = archived(archive, "tampered")
    name = sql.table(made.target)
    insert_row = f"INSERT INTO {name} (id, name, day, _chista_version, _chista_deleted) VALUES"
    made.client.command(f"{insert_row} (7, 'tampered', '2024-01-30', 1000000, 0)")
    made.client.command(f"DELETE FROM {name} WHERE id = 8")
    made.client.command(f"{insert_row} (5000, 'extra', '2024-01-31', 1000000, 0)")
    with pytest.raises(FatalError) as caught:
        made.verify()
    message = str(caught.value)
    assert "1 missing from the archive, 1 only in the archive, 1 differing" in message
    for part in ("key 7 is differing in name, day", "key 8 is missing", "key 5000 is extra"):
        assert part in message
    rows = made.control.rows(
        f"SELECT row_key, finding, columns, source_values, archive_values FROM {made.control.name('mismatches')}"
        " WHERE target = {t:String} ORDER BY toInt32(row_key)",
        {"t": str(made.target)},
    )
    assert [(row["row_key"], row["finding"]) for row in rows] == [
        ("7", "differing"),
        ("8", "missing"),
        ("5000", "extra"),
    ]
    assert rows[0]["archive_values"] == ["7", "8:tampered", "2024-01-30"]
    assert rows[0]["source_values"] == ["7", None, "2024-01-31"]
    assert made.ledger().proof() is None
    with pytest.raises(RefusedError, match="has no proof"):
        made.purge()


def test_rows_that_changed_or_went_since_the_proof_are_skipped(archive: Callable[[str], Archive]) -> None:
    made = archived(archive, "changed")
    proof = made.verify()
    made.approve(proof)
    made.engine.execute(
        f"UPDATE {made.id} SET name = 'changed meanwhile' WHERE id IN (10, 11)",
        f"DELETE FROM {made.id} WHERE id = 12",
    )
    made.client.command(f"DELETE FROM {sql.table(made.target)} WHERE id = 13")
    report = made.purge()
    assert report.deleted == 596
    assert dict(report.skipped) == {
        "changed at the source": 2, "gone from the source": 1, "no longer in the archive as proven": 1
    }  # fmt: skip
    assert [row[0] for row in made.in_source()] == [10, 11, 13]
    assert made.drain()["application_deletes"] == 1
    assert made.seal().rows == 596
    assert {row[0]: row[1] for row in made.shown()}[10] == "changed meanwhile"
    assert 12 not in {row[0] for row in made.shown()}


def test_a_purge_killed_at_any_moment_loses_nothing_and_counts_right(
    archive: Callable[[str], Archive],
) -> None:
    made = archived(archive, "killed")
    committed = made.source_keys()
    proof = made.verify()
    made.approve(proof)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.integration.support.archives", "pandas"])
    chance = random.Random(7)
    place = (made.engine.flavour, made.connector.name, made.database, made.control.database, made.name)
    left = [len(made.in_source())]
    for die_after in (1, 3, 0, 0, 2, 0):
        process = context.Process(target=purge_in_process, args=(*place, 20, die_after))
        process.start()
        if not die_after:
            time.sleep(0.2 + chance.random() * 0.6)
            process.kill()
        process.join(60)
        made.require_nothing_lost(committed)
        left.append(len(made.in_source()))
    assert left == sorted(left, reverse=True)
    assert left[-1] < 600
    # Deletes that the killed runs did not record have come back by now: they are the purge's all the same.
    summary = made.drain()
    assert (summary["application_deletes"], summary["held_deletes"]) == (0, 0)
    made.require_nothing_lost(committed)
    # The window can be proven again while a batch is under way: recorded by the source's own log.
    assert made.verify().rows == left[-1]
    made.approve(made.verify())
    report = made.purge()
    assert report.deleted == left[-1]
    assert made.in_source() == []
    made.drain()
    made.require_nothing_lost(committed)
    made.seal()
    sealed = made.control.rows(
        f"SELECT sum(rows) AS n FROM {made.control.name('ledger')} WHERE target = {{t:String}} AND stage = 'sealed'",
        {"t": str(made.target)},
    )
    assert sealed == [{"n": 600}]
    assert len(made.shown()) == 600
    assert made.engine.query(f"SELECT count(*) FROM chista.purge_log WHERE table_name = '{made.id}'") == [
        (0,)
    ]


def test_each_reason_to_refuse_a_purge_leaves_the_source_untouched(archive: Callable[[str], Archive]) -> None:
    made = archived(archive, "refused")
    name = sql.table(made.target)

    def refused(message: str, window: Window | None = None, **options: Any) -> None:
        with pytest.raises(RefusedError, match=message):
            made.purge(window, **options)
        assert len(made.in_source()) == 600

    refused("has no proof; run VerifyArchiveOperator")
    proof = made.verify()
    refused("has no proof", JANUARY)
    refused(f"nobody approved the proof {proof.verify_id}")
    made.approve(proof, actor="")
    refused("names no user")
    made.approve(proof, stage=Stage.REJECTED, actor="b.user")
    refused("b.user rejected")
    made.approve(proof)
    refused("delete policy .* is mirror", policy=DeletePolicy.MIRROR)
    refused("delete policy .* is ignore", policy=DeletePolicy.IGNORE)
    january = made.verify(JANUARY)
    made.approve(january, JANUARY)
    refused("younger than the retention", JANUARY, retention=timedelta(days=365 * 100))

    letter = {
        "target": str(made.target),
        "topic": "t",
        "generation": 0,
        "partition": 0,
        "offset": 0,
        "error": "x",
    }
    made.control.insert("dead_letters", [{**letter, "state": "open"}])
    refused("1 open dead letters")
    time.sleep(0.01)
    made.control.insert("dead_letters", [{**letter, "state": "resolved"}])

    made.client.command(f"ALTER TABLE {name} MODIFY TTL _chista_source_time + INTERVAL 100 YEAR")
    refused("has a TTL")
    made.client.command(f"ALTER TABLE {name} REMOVE TTL")

    made.engine.execute(f"ALTER TABLE {made.id} ADD COLUMN more INT NULL")
    made.refresh()
    refused("columns of .* changed since the proof")


def test_a_table_changed_under_a_running_purge_is_refused_by_the_source(
    archive: Callable[[str], Archive],
) -> None:
    made = archived(archive, "parent")
    proof = made.verify()
    made.approve(proof)
    child = f"{made.connector.schema}.child"
    with pytest.raises(RefusedError, match="child_fk"):
        made.purge()
    with pytest.raises(RefusedError, match=str(made.id)):
        made.purge()
    assert len(made.in_source()) == 600
    report = made.purge(listed=(child,), dry_run=True)
    assert (report.proven, report.deleted, len(made.in_source())) == (600, 0, 600)
    made.engine.execute(f"ALTER TABLE {made.id} ADD COLUMN more INT NULL")
    with pytest.raises(RefusedError, match=r"columns or the key .* changed"):
        made.purge(listed=(child,))
    assert len(made.in_source()) == 600


def test_a_captured_table_without_rows_has_no_topic_and_is_proven_empty(
    archive: Callable[[str], Archive],
) -> None:
    made = archive("empty")
    made.snapshot()
    assert made.drain()["records"] == 0
    proof = made.verify()
    assert proof.rows == 0
    insert(made.connector, "empty", range(3))
    made.drain()
    assert made.verify().rows == 3


def test_a_table_added_to_a_running_connector_is_snapshotted_by_signal(
    captured: Connector, store: Store, archive: Callable[[str], Archive]
) -> None:
    captured.engine.execute(f"CREATE TABLE {captured.schema}.late {ROWS}")
    insert(captured, "late", range(300))
    made = archive("late")
    with pytest.raises(TopicMissingError, match="does not capture its table"):
        barrier.wait(made.capture, made.table_drain().topics, timeout=30, poll_seconds=0.1)
    captured.tables.append(made.id)
    captured.register()
    assert made.snapshot().rows() == {str(made.id): 300}
    made.engine.execute(
        f"DELETE FROM {made.id} WHERE id = 0", f"UPDATE {made.id} SET name = 'u' WHERE id = 1"
    )
    made.drain()
    assert made.verify().rows == 299
    assert made.shown() == made.in_source()
    # What was seen completed is remembered.
    assert made.snapshot().rows() == {str(made.id): 300}


def test_a_table_of_another_schema_can_be_added_later_and_is_streamed(
    captured: Connector, store: Store, archive: Callable[[str], Archive]
) -> None:
    engine, other = captured.engine, TableId(f"{captured.schema}_o", "late")
    if engine.flavour == "postgres":
        pytest.skip("the publication names schemas one by one; the other engines share one schema history")
    engine.create_schema(other.schema, [f"CREATE TABLE {{schema}}.late {ROWS}"])
    try:
        engine.execute(f"INSERT INTO {other} VALUES (1, 'before', '2024-01-01')")
        captured.tables.append(other)
        captured.register()
        capture = captured.capture()
        with closing(capture.source):
            wait_for(lambda: snapshot.advance(capture, store.control, [other]).completed, pause=0.3)
            engine.execute(f"INSERT INTO {other} VALUES (2, 'streamed', '2024-01-01')")
            topic = topic_name(captured.name, other)
            assert barrier.wait(capture, [topic], timeout=30, poll_seconds=0.1).ends == {topic: {0: 2}}
    finally:
        captured.tables.remove(other)
        captured.register()
        engine.drop_schema(other.schema)


def test_a_failed_connector_shows_its_cause(captured: Connector) -> None:
    broken = Connector(captured.engine, f"{captured.name}_x", [TableId(captured.schema, "whole")])
    # Neither is seen by the validation: no such publication, nothing to recover from.
    broken.register(overrides={} if captured.engine.flavour == "postgres" else {"snapshot.mode": "recovery"})
    try:
        wait_for(lambda: broken.connect.status(broken.name).failed, seconds=60)
        capture = broken.capture()
        with closing(capture.source), pytest.raises(ChistaError, match=r"(?i)FAILED.*(publication|recovery)"):
            barrier.wait(capture, [], timeout=30, poll_seconds=0.1)
    finally:
        broken.connect.delete(broken.name)
        broken.connect.close()


def test_a_connector_that_does_not_exist_is_named(captured: Connector) -> None:
    unknown = Connector(captured.engine, f"{captured.name}_none", [])
    capture = unknown.capture()
    with closing(capture.source), pytest.raises(FatalError, match=f"{captured.name}_none"):
        barrier.wait(capture, [], timeout=30, poll_seconds=0.1)


def test_a_wait_that_is_given_up_leaves_no_marker(captured: Connector) -> None:
    capture = captured.capture()
    written: list[str] = []
    write = capture.source.write_marker

    def write_marker(marker: str, token: str) -> None:
        written.append(marker)
        write(marker, token)

    capture.source.write_marker = write_marker  # type: ignore[method-assign]
    with closing(capture.source):
        with pytest.raises(TransientError, match="did not pass the marker"):
            barrier.wait(capture, [], timeout=0.01)
        assert [capture.source.read_marker(marker) for marker in written] == [None]
