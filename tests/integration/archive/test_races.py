"""What the application, a backup or a connector does in the middle of a purge, on the three engines: nothing is lost, and
the window can be proven and purged again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import pytest

from airflow_provider_chista.archive import barrier, snapshot
from airflow_provider_chista.archive import compare as comparing
from airflow_provider_chista.archive.ledger import Stage
from airflow_provider_chista.archive.purge import Purge
from airflow_provider_chista.archive.throttle import ThrottleOptions
from airflow_provider_chista.archive.verify import Proof
from airflow_provider_chista.errors import FatalError, RefusedError, TransientError
from airflow_provider_chista.sources.locks import PurgeLock
from tests.integration.archive.conftest import Store
from tests.integration.support.archives import Archive, archives
from tests.integration.support.engines import MYSQL_FAMILY, Connector, connector, wait_for

ROWS = 30
NAMES = ("back", "again", "anew", "read", "waited", "committed", "reused", "restored", "resurrected", "moved")
TABLES = {
    name: f"CREATE TABLE {{schema}}.{name} (id INT PRIMARY KEY, name VARCHAR(50) NULL)" for name in NAMES
}


@pytest.fixture(scope="module", params=["mysql", "mariadb", "postgres"])
def captured(request: pytest.FixtureRequest, store: Store) -> Iterator[Connector]:
    with connector(request.param, TABLES) as made:
        for name in NAMES:
            made.engine.execute(
                f"INSERT INTO {made.schema}.{name} VALUES (%s, %s)", many=[(i, f"n{i}") for i in range(ROWS)]
            )
        made.register()
        yield made


@pytest.fixture
def archive(captured: Connector, store: Store) -> Iterator[Callable[[str], Archive]]:
    with archives(captured, store.client, store.control, store.database) as opened:

        def archived(name: str) -> Archive:
            made = opened(name)
            made.snapshot()
            made.drain()
            return made

        yield archived


def approved(made: Archive) -> Proof:
    proof = made.verify()
    made.approve(proof)
    return proof


def purge_to_the_end(made: Archive) -> int:
    """Prove, purge and seal what is left at the source; the rows deleted."""
    approved(made)
    deleted = made.purge().deleted
    made.drain()
    assert made.seal().rows == deleted
    assert made.in_source() == []
    return deleted


def apart(made: Archive) -> Any:
    """A session of the application with a transaction of its own."""
    session = made.engine.admin()
    if made.engine.flavour in MYSQL_FAMILY:
        session.autocommit(False)
    else:
        session.autocommit = False
    return session


def silently(made: Archive, statement: str, rows: Sequence[Sequence[object]]) -> None:
    """Write rows that no change event tells of, as a source has them that was restored from a backup."""
    engine, schema = made.engine, made.connector.schema
    if engine.flavour in MYSQL_FAMILY:
        engine.execute("SET SESSION sql_log_bin = 0", statement, many=rows)
        return
    engine.execute(f"ALTER PUBLICATION {schema} DROP TABLES IN SCHEMA {schema}")
    engine.execute(statement, many=rows)
    engine.execute(f"ALTER PUBLICATION {schema} ADD TABLES IN SCHEMA {schema}")


def instead(purging: Purge, delete: Callable[..., Any]) -> None:
    """Let the purge's guarded delete be another call."""
    purging.source.guarded_delete = delete  # type: ignore[method-assign]


def test_a_row_that_was_changed_and_changed_back_is_purged_and_the_window_proven_again(
    archive: Callable[[str], Archive],
) -> None:
    """The drain comes to the newer versions of the same content after the purge."""
    made = archive("back")
    committed = made.source_keys()
    approved(made)
    made.engine.execute(
        f"UPDATE {made.id} SET name = 'locked' WHERE id < 3",
        f"UPDATE {made.id} SET name = CONCAT('n', id) WHERE id < 3",
        f"DELETE FROM {made.id} WHERE id = 5",
        f"INSERT INTO {made.id} VALUES (5, 'n5')",
    )
    before = made.in_source()
    assert made.purge().deleted == ROWS
    summary = made.drain()
    assert (summary["purge_deletes"], summary["application_deletes"]) == (ROWS, 1)
    assert made.seal().rows == ROWS
    made.require_nothing_lost(committed)
    assert made.shown() == before
    assert made.verify().rows == 0
    made.engine.execute(f"INSERT INTO {made.id} VALUES (1, 'n1')")
    made.drain()
    assert made.verify().rows == 1


@pytest.mark.parametrize("drained", [False, True], ids=["before it is drained", "after it was drained"])
def test_a_table_that_is_read_again_in_the_middle_of_a_purge(
    archive: Callable[[str], Archive], drained: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(comparing, "KEPT", 5)  # as if they were more rows than are kept in memory
    made = archive("read" if drained else "again")
    committed, before = made.source_keys(), made.in_source()
    approved(made)
    made.purge(throttle=ThrottleOptions(limit=10), txn_size=10)
    wait_for(
        lambda: snapshot.advance(made.capture, made.control, [made.id], again="in the middle").completed,
        pause=0.2,
    )
    if drained:
        made.drain()
    report = made.purge()
    if drained:
        # Their proof is of older versions.
        assert (report.deleted, dict(report.skipped)) == (10, {"no longer in the archive as proven": 20})
    else:
        assert report.deleted == ROWS
    made.drain()
    made.require_nothing_lost(committed)
    assert made.seal().rows == report.deleted
    assert made.shown() == before
    assert purge_to_the_end(made) == ROWS - report.deleted
    assert made.shown() == before


def test_rows_changed_and_deleted_in_the_lock_wait_of_the_purge_are_left_alone(
    archive: Callable[[str], Archive],
) -> None:
    made = archive("waited")
    committed = made.source_keys()
    approved(made)
    with closing(apart(made)) as application, ThreadPoolExecutor(1) as pool:
        cursor = application.cursor()
        cursor.execute(f"UPDATE {made.id} SET name = 'changed' WHERE id = 5")
        cursor.execute(f"DELETE FROM {made.id} WHERE id IN (6, 7)")
        cursor.execute(f"INSERT INTO {made.id} VALUES (7, 'again')")
        running = pool.submit(made.purge)
        time.sleep(1)
        assert len(made.in_source()) == ROWS, "the purge did not wait"
        application.commit()
        report = running.result(30)
    assert dict(report.skipped) == {"changed at the source": 2, "gone from the source": 1}
    assert made.in_source() == [(5, "changed"), (7, "again")]
    summary = made.drain()
    assert (summary["purge_deletes"], summary["application_deletes"]) == (ROWS - 3, 2)
    made.require_nothing_lost(committed - {"6"})
    made.seal()
    assert {row[0]: row[1] for row in made.shown() if row[0] in (5, 6, 7)} == {5: "changed", 7: "again"}
    assert purge_to_the_end(made) == 2


def test_what_the_application_does_right_behind_the_commit_of_the_purge_is_its_own(
    archive: Callable[[str], Archive],
) -> None:
    """The reply of the commit is lost, the application inserts, deletes and changes the keys, and the task is tried again."""
    made = archive("committed")
    committed = made.source_keys()
    approved(made)
    purging = made.purging()
    delete = purging.source.guarded_delete

    def killed(*arguments: Any) -> list[str]:
        delete(*arguments)
        made.engine.execute(
            f"INSERT INTO {made.id} VALUES (1, 'n1')",  # the purged content once more
            f"INSERT INTO {made.id} VALUES (2, 'other'), (3, 'n3')",
            f"DELETE FROM {made.id} WHERE id = 3",
            f"UPDATE {made.id} SET name = 'changed' WHERE id = 2",
        )
        raise KeyboardInterrupt

    instead(purging, killed)
    with closing(purging.source), pytest.raises(KeyboardInterrupt):
        purging.run()
    assert made.purge().deleted == ROWS
    assert made.in_source() == [(1, "n1"), (2, "changed")]
    summary = made.drain()
    assert (summary["purge_deletes"], summary["application_deletes"]) == (ROWS, 1)
    sealed = made.seal()
    assert (sealed.rows, sealed.rewritten) == (ROWS, 3)
    made.require_nothing_lost(committed - {"3"})
    assert 3 not in {row[0] for row in made.shown()}
    assert purge_to_the_end(made) == 2


def test_two_tasks_purge_one_batch_and_a_key_of_it_twice(
    archive: Callable[[str], Archive], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Airflow took a task for dead that was not: both are about to delete, and the application inserts in between.

    Without the lock of the purge, as where a connection pooler shares sessions.
    """
    for name in ("acquire", "keep"):
        monkeypatch.setattr(PurgeLock, name, lambda lock: True)
    made = archive("reused")
    committed = made.source_keys()
    approved(made)
    purging = made.purging()
    delete = purging.source.guarded_delete

    def overtaken(*arguments: Any) -> list[str]:
        assert made.purge().deleted == ROWS
        made.engine.execute(f"INSERT INTO {made.id} VALUES (1, 'n1')")
        return delete(*arguments)

    instead(purging, overtaken)
    with closing(purging.source):
        assert purging.run().deleted == ROWS
    assert made.in_source() == []
    summary = made.drain()
    assert (summary["purge_deletes"], summary["application_deletes"]) == (ROWS + 1, 0)
    assert made.seal().rows == ROWS
    made.require_nothing_lost(committed)
    assert made.verify().rows == 0
    # The key once more: inserted, deleted by the application, inserted, purged by another batch.
    made.engine.execute(f"INSERT INTO {made.id} VALUES (1, 'x')", f"DELETE FROM {made.id} WHERE id = 1")
    assert made.drain()["application_deletes"] == 1
    assert 1 not in {row[0] for row in made.shown()}
    made.engine.execute(f"INSERT INTO {made.id} VALUES (1, 'last')")
    made.drain()
    assert purge_to_the_end(made) == 1
    assert {row[0]: row[1] for row in made.shown()}[1] == "last"


def test_a_key_used_again_between_drain_and_seal_is_caught_up_with(archive: Callable[[str], Archive]) -> None:
    made = archive("anew")
    committed = made.source_keys()
    approved(made)
    made.purge()
    made.drain()
    made.engine.execute(f"INSERT INTO {made.id} VALUES (1, 'anew')")
    with pytest.raises(FatalError, match=r"row 1 was purged, but is at the source again"):
        made.seal()
    keys = iter(range(2, 10))

    def again() -> None:
        """The application is always one key ahead."""
        made.drain()
        made.engine.execute(f"INSERT INTO {made.id} VALUES ({next(keys)}, 'anew')")

    with pytest.raises(TransientError, match=r"writes purged rows of .* again while they are looked at"):
        made.seal(catch_up=again)
    sealed = made.seal(catch_up=made.drain)
    assert (sealed.rows, sealed.rewritten) == (ROWS, 5)
    assert {row[0]: row[1] for row in made.shown()}[1] == "anew"
    made.require_nothing_lost(committed)


@pytest.mark.parametrize("sealed", [False, True], ids=["before the seal", "after the seal"])
def test_a_source_restored_from_a_backup_is_found_and_mended(
    archive: Callable[[str], Archive], sealed: bool
) -> None:
    """Some purged rows are back, one of them with an older content, and the source's purge log is that of the backup."""
    made = archive("restored" if sealed else "resurrected")
    committed, before = made.source_keys(), made.in_source()
    approved(made)
    made.purge()
    made.drain()
    if sealed:
        made.seal()
    silently(made, f"INSERT INTO {made.id} VALUES (%s, %s)", [(1, "n1"), (2, "of the backup"), (3, "n3")])
    made.engine.execute(f"DELETE FROM chista.purge_log WHERE table_name = '{made.id}'")
    made.drain()
    with pytest.raises(FatalError, match=r"is at the source again and no change event says so"):
        made.seal(catch_up=made.drain)
    with pytest.raises(FatalError, match=r"3 missing from the archive.*key 1 is missing"):
        made.verify()
    with pytest.raises(RefusedError):
        made.purge()
    made.require_nothing_lost(committed)
    assert made.shown() == before
    # The archive takes the rows over from the source, and the window is purged as any other.
    assert made.verify(repairs=10).rows == 3
    made.engine.execute(f"UPDATE {made.id} SET name = 'later' WHERE id = 1")
    proof = made.verify()  # in its second comparison
    assert proof.rows == 3
    made.approve(proof)
    assert made.purge().deleted == 3
    made.drain()
    made.seal()
    made.require_nothing_lost(committed)
    assert made.in_source() == []
    changed = {1: "later", 2: "of the backup"}
    assert made.shown() == [(number, changed.get(number, name)) for number, name in before]


def test_a_connector_that_is_dropped_and_made_anew_in_the_middle_of_a_purge(
    archive: Callable[[str], Archive], captured: Connector
) -> None:
    """Deletes that no connector saw never come back: nothing is lost, nothing is sealed, and the window goes on."""
    made = archive("moved")
    committed, before = made.source_keys(), made.in_source()
    approved(made)
    made.purge(throttle=ThrottleOptions(limit=10), txn_size=10)
    made.drain()
    purging = made.purging(throttle=ThrottleOptions(limit=10), txn_size=10)
    delete = purging.source.guarded_delete

    def uncaptured(*arguments: Any) -> list[str]:
        drop(captured)
        return delete(*arguments)

    instead(purging, uncaptured)
    with closing(purging.source):
        assert purging.run().ended == "limit"
    with pytest.raises(RefusedError, match="does not exist any more"):
        made.purge()
    made.require_nothing_lost(committed)
    captured.register()
    # It streams, and has read the last ten rows again; nothing of that is drained yet.
    barrier.wait(made.capture, made.table_drain().topics, timeout=60, poll_seconds=0.1)
    assert made.purge().deleted == ROWS
    summary = made.drain()
    assert (summary["application_deletes"], summary["held_deletes"]) == (0, 0)
    made.require_nothing_lost(committed)
    assert made.in_source() == []
    assert made.shown() == before
    with pytest.raises(
        FatalError, match=rf"is not sealed: {ROWS} rows were deleted, 20 purge-log entries and 20 "
    ):
        made.seal()
    assert made.verify().rows == 0
    made.engine.execute(f"INSERT INTO {made.id} VALUES (1, 'new')")
    made.drain()
    approved(made)
    assert made.purge().deleted == 1
    made.require_nothing_lost(committed)


def drop(captured: Connector) -> None:
    """Remove the connector with its offsets and slot; its topics stay."""
    captured.connect.stop(captured.name)
    wait_for(lambda: not captured.connect.status(captured.name).tasks)
    captured.connect.delete_offsets(captured.name)
    captured.connect.delete(captured.name)
    if captured.engine.flavour == "postgres":
        slots = f"FROM pg_replication_slots WHERE slot_name = '{captured.name}'"
        wait_for(lambda: not captured.engine.query(f"SELECT 1 {slots} AND active"))
        captured.engine.execute(f"SELECT pg_drop_replication_slot(slot_name) {slots}")


def test_an_approval_ends_with_its_time_its_proof_or_a_comparison_that_contradicts(
    archive: Callable[[str], Archive],
) -> None:
    made = archive("back")
    made.engine.execute(f"DELETE FROM {made.id}", f"INSERT INTO {made.id} VALUES (1, 'a'), (2, 'b')")
    made.drain()
    proof = approved(made)

    def refused(message: str) -> None:
        with pytest.raises(RefusedError, match=message):
            made.purge()
        assert {row[0] for row in made.in_source()} >= {1, 2}

    made.approve(proof, stage=Stage.REJECTED, actor="")
    refused(f"the timeout rejected the proof {proof.verify_id}")
    made.approve(proof)
    newer = made.verify()
    refused(f"nobody approved the proof {newer.verify_id}")
    made.approve(newer)
    silently(made, f"INSERT INTO {made.id} VALUES (%s, %s)", [(9, "x")])
    with pytest.raises(FatalError, match="1 missing"):
        made.verify()
    refused("has no proof")
