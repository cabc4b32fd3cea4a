"""Real purges that are held back: by sessions at work, by pace, by the pause switch, by a limit."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from airflow_provider_chista.archive import purge as purging_module
from airflow_provider_chista.archive.ledger import Stage
from airflow_provider_chista.archive.purge import Purge
from airflow_provider_chista.archive.purgereport import PurgeReport
from airflow_provider_chista.archive.throttle import ThrottleOptions
from airflow_provider_chista.clickhouse import sql
from airflow_provider_chista.errors import FatalError, RefusedError, TransientError
from tests.integration.archive.conftest import Store
from tests.integration.support.archives import Archive, archives
from tests.integration.support.engines import Connector, connector, wait_for

ROWS = 600
TABLES = {
    name: f"CREATE TABLE {{schema}}.{name} (id INT PRIMARY KEY, name VARCHAR(40) NULL)"
    for name in (
        "limited",
        "paced",
        "loaded",
        "paused",
        "stopped",
        "rejected",
        "vanished",
        "whole",
        "refused",
    )
}


@pytest.fixture(scope="module", params=["mysql", "mariadb", "postgres"])
def captured(request: pytest.FixtureRequest, store: Store) -> Iterator[Connector]:
    with connector(request.param, TABLES) as made:
        for name in TABLES:
            made.engine.execute(
                f"INSERT INTO {made.schema}.{name} VALUES (%s, %s)",
                many=[(i, f"n{i}") for i in range(ROWS)],
            )
        made.register()
        yield made


@pytest.fixture
def approved(captured: Connector, store: Store) -> Iterator[Callable[[str], Archive]]:
    """A table that is archived, proven and approved."""
    with archives(captured, store.client, store.control, store.database) as opened:

        def make(name: str) -> Archive:
            archive = opened(name)
            archive.snapshot()
            archive.drain()
            archive.approve(archive.verify())
            return archive

        yield make


def held(archive: Archive, txn_size: int = 20, **throttle: Any) -> Purge:
    return archive.purging(txn_size=txn_size, throttle=ThrottleOptions(**throttle))


class Running:
    """A purge on a thread of its own, as slow as twenty rows in a fifth of a second."""

    def __init__(self, archive: Archive, **throttle: Any) -> None:
        self.archive, self.purge = archive, held(archive, **{"rows_per_second": 100, **throttle})
        self.lines: list[str] = []
        self.stop = threading.Event()
        self.purge.told, self.purge.stopped = self.lines.append, self.stop.is_set
        self._pool = ThreadPoolExecutor(1)
        self.result: Future[PurgeReport] = self._pool.submit(self.purge.run)

    def left(self) -> int:
        return len(self.archive.in_source())

    def until(self, rows: int) -> None:
        wait_for(lambda: self.left() <= rows, pause=0.02)

    def still(self, seconds: float) -> bool:
        before = self.left()
        time.sleep(seconds)
        return self.left() == before

    def pause(self, paused: bool, target: str | None = None) -> None:
        name = str(self.archive.target) if target is None else target
        self.archive.client.command(
            f"INSERT INTO {self.archive.control.name('pauses')} (target, paused, reason, actor)"
            f" VALUES ('{name}', {int(paused)}, 'load test', 'otto')"
        )

    def close(self) -> None:
        self._pool.shutdown()
        self.purge.source.close()


@pytest.fixture
def running() -> Iterator[Callable[..., Running]]:
    made: list[Running] = []

    def make(archive: Archive, **throttle: Any) -> Running:
        made.append(Running(archive, **throttle))
        return made[-1]

    yield make
    for each in made:
        each.stop.set()
        each.close()


def test_a_limit_ends_a_run_unsealed_and_later_ones_finish_its_batch(
    approved: Callable[[str], Archive],
) -> None:
    made = approved("limited")
    committed = made.source_keys()
    first = held(made, limit=250).run()
    assert (first.ended, first.deleted, first.unfinished, len(made.in_source())) == ("limit", 250, True, 350)
    assert made.ledger().last(Stage.DELETED, first.verify_id) is None
    made.require_nothing_lost(committed)
    assert made.drain()["application_deletes"] == 0
    with pytest.raises(FatalError, match="is not finished; run PurgeSourceOperator again"):
        made.seal()
    short = held(made, run_time=timedelta(seconds=1), rows_per_second=100).run()
    assert (short.ended, short.batch_id) == ("run_time", first.batch_id)
    assert 250 < short.deleted < 600
    last = held(made, limit=600).run()
    assert (last.ended, last.deleted, last.unfinished) == ("finished", 600, False)
    assert made.in_source() == []
    made.drain()
    assert made.seal().rows == 600
    made.require_nothing_lost(committed)
    assert held(made).run().ended == "sealed"


def test_a_limit_that_is_the_batchs_size_finishes_it(approved: Callable[[str], Archive]) -> None:
    made = approved("whole")
    dry = made.purging(dry_run=True, throttle=ThrottleOptions(limit=1)).run()
    assert (dry.ended, dry.deleted, dry.unfinished) == ("dry_run", 0, False)
    report = held(made, limit=ROWS).run()
    assert (report.ended, report.deleted) == ("finished", ROWS)
    assert (report.throttled, report.throttled_seconds) == ({}, 0.0)


def test_rows_per_second_hold(approved: Callable[[str], Archive]) -> None:
    made = approved("paced")
    began = time.monotonic()
    report = held(made, txn_size=500, rows_per_second=200).run()
    assert time.monotonic() - began >= (ROWS - 200) / 200  # the last transaction's second is not waited for
    assert (report.ended, report.deleted) == ("finished", ROWS)
    assert 0.5 < report.throttled["rows_per_second"] <= report.throttled_seconds


def test_sessions_at_work_hold_a_purge_until_they_end(approved: Callable[[str], Archive]) -> None:
    made, sessions = approved("loaded"), 25
    sleep = "SELECT pg_sleep(3)" if made.engine.flavour == "postgres" else "SELECT SLEEP(3)"
    ready = threading.Barrier(sessions + 1)

    def work() -> None:
        with closing(made.engine.admin()) as connection, closing(connection.cursor()) as cursor:
            ready.wait()
            cursor.execute(sleep)

    threads = [threading.Thread(target=work) for _ in range(sessions)]
    for thread in threads:
        thread.start()
    ready.wait()
    time.sleep(0.5)
    report = held(made, max_load=20).run()
    for thread in threads:
        thread.join()
    assert (report.ended, report.deleted) == ("finished", ROWS)
    assert report.throttled["max_load"] >= 1


def test_a_row_in_clickhouse_pauses_a_purge_and_lets_it_go_on_within_a_second(
    approved: Callable[[str], Archive], running: Callable[..., Running]
) -> None:
    made = running(approved("paused"), rows_per_second=60)
    made.until(550)
    for target in (None, "", None):  # the same words again are a pause again
        made.pause(True, target)
        time.sleep(1.1)
        before = made.left()
        assert before > 100
        assert made.still(2.0)
        made.pause(False, target)
        wait_for(lambda before=before: made.left() < before, seconds=1.5, pause=0.02)
    made.pause(True, "archive.another")
    report = made.result.result(30)
    assert (report.ended, report.deleted) == ("finished", ROWS)
    assert report.throttled["sentinel"] >= 6
    assert any("otto (load test)" in line and str(made.archive.target) in line for line in made.lines)


def test_a_kill_ends_a_pause_within_a_second_and_leaves_what_was_deleted_recorded(
    approved: Callable[[str], Archive], running: Callable[..., Running]
) -> None:
    archive = approved("stopped")
    made = running(archive)
    made.until(550)
    made.pause(True)
    time.sleep(2.5)
    recorded = archive.control.rows(
        f"SELECT count() AS n FROM {archive.control.name('purged')} FINAL WHERE target = {{t:String}} AND state = 'deleted'",
        {"t": str(archive.target)},
    )
    assert recorded == [{"n": ROWS - made.left()}]
    asked = time.monotonic()
    made.stop.set()
    with pytest.raises(TransientError, match="was stopped after"):
        made.result.result(10)
    assert time.monotonic() - asked < 1.5
    made.pause(False)
    assert held(archive).run().deleted == ROWS


def test_a_proof_that_is_rejected_during_a_long_pause_is_purged_no_further(
    approved: Callable[[str], Archive], running: Callable[..., Running], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(purging_module, "_LONG_SECONDS", 1.0)
    archive = approved("rejected")
    made = running(archive)
    made.until(550)
    made.pause(True)
    time.sleep(2.5)
    proof = archive.ledger().proof()
    assert proof is not None
    archive.approve(proof, stage=Stage.REJECTED, actor="b.user")
    left = made.left()
    made.pause(False)
    with pytest.raises(RefusedError, match=r"nothing more was deleted: .*b\.user rejected"):
        made.result.result(10)
    assert made.left() == left > 0


def test_a_row_that_leaves_the_archive_during_a_pause_stays_at_the_source(
    approved: Callable[[str], Archive], running: Callable[..., Running]
) -> None:
    archive = approved("vanished")
    made = running(archive)
    made.until(550)
    made.pause(True)
    time.sleep(2.5)
    last = max(row[0] for row in archive.in_source())
    archive.client.command(f"DELETE FROM {sql.table(archive.target)} WHERE id = {last}")
    made.pause(False)
    report = made.result.result(30)
    assert dict(report.skipped) == {"no longer in the archive as proven": 1}
    assert [row[0] for row in archive.in_source()] == [last]


def test_what_nobody_can_tell_is_refused_before_anything_is_deleted(
    approved: Callable[[str], Archive],
) -> None:
    made = approved("refused")
    postgres = made.engine.flavour == "postgres"

    def refused(words: str, **options: Any) -> None:
        purge = replace(held(made, **options.pop("throttle")), **options)
        with closing(purge.source), pytest.raises(RefusedError, match=words):
            purge.run()
        assert len(made.in_source()) == ROWS

    unknown = "no standby streams" if postgres else "does not know the lag of its replicas"
    refused(unknown, throttle={"max_lag": 5})
    with made.engine.source() as primary, made.engine.source("purge") as poor:
        refused("the server is no replica", throttle={"max_lag": 5}, replicas={"r": primary})
        refused("max_lag is not given", throttle={}, replicas={"r": primary})
        if postgres:
            refused('GRANT pg_read_all_stats TO "chista_purge"', throttle={"max_load": 5}, inspector=poor)
        else:
            refused(r"GRANT .* TO 'chista_purge'@'%'", throttle={"max_lag": 5}, replicas={"r": poor})
