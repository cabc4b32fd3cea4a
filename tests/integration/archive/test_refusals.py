"""What may not be purged although it was proven and approved, and what must not be in the way of several runs at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from airflow_provider_chista.archive import barrier
from airflow_provider_chista.archive import window as windows
from airflow_provider_chista.archive.lease import Lease
from airflow_provider_chista.archive.ledger import Author, Stage, batch_of
from airflow_provider_chista.archive.quarantine import open_quarantine
from airflow_provider_chista.clickhouse import sql
from airflow_provider_chista.errors import RefusedError, TransientError
from airflow_provider_chista.model import TableId, Window
from tests.integration.archive.conftest import Store
from tests.integration.support.archives import Archive, archives
from tests.integration.support.engines import Connector, connector

TABLES = {
    name: f"CREATE TABLE {{schema}}.{name} (id INT PRIMARY KEY, day DATE NOT NULL)"
    for name in ("waiting", "again", "quiet")
}
ROWS = 90


def month(number: int, day: int = 1, more: int = 1) -> Window:
    return Window(
        "day",
        datetime(2024, number, day, tzinfo=UTC),
        datetime(2024, number + more, day, tzinfo=UTC),
    )


JANUARY, FEBRUARY, MARCH = month(1), month(2), month(3)


@pytest.fixture(scope="module")
def captured(store: Store) -> Iterator[Connector]:
    with connector("postgres", TABLES) as made:
        for name in TABLES:
            made.engine.execute(
                f"INSERT INTO {made.schema}.{name} VALUES (%s, %s)",
                many=[(i, f"2024-0{i % 3 + 1}-{i // 3 % 28 + 1:02}") for i in range(ROWS)],
            )
        made.register()
        yield made


@pytest.fixture(scope="module")
def archive(captured: Connector, store: Store) -> Iterator[Callable[[str], Archive]]:
    with archives(captured, store.client, store.control, store.database) as opened:

        def archived(name: str) -> Archive:
            made = opened(name)
            made.snapshot()
            made.drain()
            return made

        yield archived


@pytest.fixture(scope="module")
def quiet(archive: Callable[[str], Archive]) -> Archive:
    """An archive of which nothing is purged."""
    return archive("quiet")


def proven(made: Archive, window: Window | None) -> str:
    proof = made.verify(window)
    made.approve(proof, window)
    return proof.verify_id


def captured_only(made: Archive) -> dict[str, int]:
    """Drain everything that was committed, and decide no delete."""
    drain = made.table_drain()
    barrier.wait(made.capture, drain.topics, timeout=60, poll_seconds=0.1)
    return drain.run()


def refused(made: Archive, window: Window | None, words: str, error: type[Exception] = RefusedError) -> None:
    """The purge is refused for this reason alone, and nothing was deleted."""
    before = made.in_source()
    with pytest.raises(error, match=rf"nothing was deleted: \(1\) (?!.*\(2\)).*{words}"):
        made.purge(window)
    assert made.in_source() == before


def waits(made: Archive, offset: int, state: str = "waiting") -> None:
    """A delete is captured, or decided."""
    record = {
        "target": str(made.target),
        "topic": "t",
        "generation": 0,
        "partition": 0,
        "offset": offset,
        "version": 0,
    }
    more = {"row_key": "1000", "transaction": "x", "source_time": datetime.now(UTC), "batch_id": ""}
    made.control.insert("deletes", [{**record, **more, "state": state}])


def test_deletes_that_nobody_decided_are_in_the_way_and_those_of_runs_beside_are_not(
    archive: Callable[[str], Archive],
) -> None:
    made = archive("waiting")
    # A drain without a barrier decides no delete.
    made.engine.execute(f"DELETE FROM {made.id} WHERE id IN (1, 4)")
    assert captured_only(made)["op_d"] == 2
    proven(made, JANUARY)
    # Another run may be about to decide them, so that the task is tried again.
    told = (
        rf"2 deletes of {made.target} wait in quarantine .*, the oldest for .* drain the table to a barrier"
    )
    refused(made, JANUARY, told, TransientError)
    made.drain()
    proven(made, JANUARY)
    # A delete that was captured after the proof says nothing about what it relies on.
    waits(made, 1)
    assert open_quarantine(made.control, made.id, made.target)
    assert made.purge(JANUARY).deleted == 30
    waits(made, 1, "applied")
    # Deletes of another window's batch are the purge's own, although its log was not drained yet.
    assert captured_only(made)["op_d"] == 30
    proven(made, FEBRUARY)
    assert made.purge(FEBRUARY).deleted == 28
    # What a drain at work has captured it will decide.
    lease = Lease(made.control, str(made.target), "another topic", [0], "another run")
    lease.acquire(5)
    waits(made, 2)
    assert open_quarantine(made.control, made.id, made.target) is None
    lease.release()
    found = open_quarantine(made.control, made.id, made.target)
    assert found is not None
    assert (found.count, found.age < timedelta(minutes=1)) == (1, True)


def began(made: Archive, window: Window, verify_id: str, age: timedelta) -> None:
    """Somebody began a purge."""
    entry = {
        "target": str(made.target),
        "window": windows.name(window),
        "stage": "intent",
        "verify_id": verify_id,
    }
    more = {"batch_id": batch_of(verify_id), "detail": "{}", "at": datetime.now(UTC) - age}
    made.control.insert("ledger", [{**entry, **more}])


def test_an_unsealed_batch_is_in_the_way_when_it_shares_rows_or_was_forgotten(quiet: Archive) -> None:
    began(quiet, FEBRUARY, "beside", timedelta(0))
    # Runs of a backfill purge beside each other, and a run whose purge was killed proves its window again.
    for window in (JANUARY, FEBRUARY):
        proven(quiet, window)
        assert quiet.purge(window, dry_run=True).proven == 30
    told = (
        r"batch \S+ of the window day:2024-02-01\S+ was begun .*it may have rows of this window; wait until"
    )
    for window in (month(1, 15), None):
        proven(quiet, window)
        refused(quiet, window, told, TransientError)
    quiet.ledger(FEBRUARY).record(Stage.SEALED, verify_id="beside")
    assert quiet.purge(None, dry_run=True).proven == ROWS

    began(quiet, MARCH, "young", timedelta(hours=22))
    assert quiet.purge(JANUARY, dry_run=True).proven == 30
    began(quiet, MARCH, "old", timedelta(days=2))
    refused(quiet, JANUARY, r"nothing happened to it for 2 days, 0:00:\d\d; clear the purge of that window")
    assert quiet.purge(JANUARY, dry_run=True, listed=(batch_of("old"),)).proven == 30
    # As long as rows are purged, it is not forgotten.
    row = {"target": str(quiet.target), "row_key": "0", "row_hash": "", "version": 0, "state": "skipped"}
    quiet.control.insert("purged", [{**row, "batch_id": batch_of("old")}])
    assert quiet.purge(JANUARY, dry_run=True).proven == 30


def test_a_cleared_run_seals_the_batch_that_its_killed_purge_has_left(
    archive: Callable[[str], Archive],
) -> None:
    made, run = archive("again"), Author("dag", "run", "purge")
    first = proven(made, JANUARY)
    killed = made.purging(JANUARY, run, txn_size=10)
    killed.stopped = iter([False, False, *[True] * 100]).__next__
    with closing(killed.source), pytest.raises(TransientError, match="was stopped after 20 rows"):
        killed.run()
    made.drain()
    second = proven(made, JANUARY)
    assert made.purge(JANUARY, author=run).deleted == 10
    assert made.ledger(JANUARY).unsealed() == [first, second]
    made.drain()
    assert made.seal(JANUARY, second, run).rows == 10
    assert made.ledger(JANUARY).unsealed() == []


def test_a_connector_that_was_configured_otherwise_since_the_proof(
    captured: Connector, quiet: Archive
) -> None:
    proven(quiet, JANUARY)
    # Another table that the connector captures is no other configuration for this one.
    captured.tables.append(TableId(captured.schema, "more"))
    captured.engine.execute(f"CREATE TABLE {captured.schema}.more (id INT PRIMARY KEY)")
    captured.register()
    assert quiet.purge(JANUARY, dry_run=True).proven == 30
    captured.register(heartbeat_ms=700)
    refused(quiet, JANUARY, f"the configuration of the connector {captured.name} changed since the proof")
    captured.register()
    assert quiet.purge(JANUARY, dry_run=True).proven == 30

    purging = replace(quiet.purging(JANUARY), configured=lambda name: None)
    told = f"connector {captured.name} of the proof does not exist any more"
    with closing(purging.source), pytest.raises(RefusedError, match=told):
        purging.run()
    quiet.ledger(FEBRUARY).record(
        Stage.VERIFIED, verify_id="bare", detail={"schema": quiet.table.fingerprint}
    )
    quiet.ledger(FEBRUARY).record(Stage.APPROVED, verify_id="bare", actor="a.user")
    refused(quiet, FEBRUARY, "does not say by which connector's configuration it was made; verify again")


def test_whatever_could_drop_archived_rows_is_in_the_way(quiet: Archive) -> None:
    proven(quiet, JANUARY)
    name = sql.table(quiet.target)
    setting = "allow_experimental_replacing_merge_with_cleanup"
    quiet.client.command(f"ALTER TABLE {name} MODIFY SETTING {setting} = 1")
    refused(quiet, JANUARY, rf"{setting} = 1.*MODIFY SETTING {setting} = 0")
    quiet.client.command(f"ALTER TABLE {name} RESET SETTING {setting}")
    with pytest.raises(RefusedError, match=r"min_replicas is 2, but .* is not replicated .*docs/clusters.md"):
        quiet.purge(JANUARY, min_replicas=2)
    assert quiet.purge(JANUARY, min_replicas=1, dry_run=True).proven == 30
