"""The processes of the tasks of an archive are killed by SIGKILL while they work, and the scheduler with them.

Each is caught by what it has done: slowed down until half of its work is done, frozen there, and killed. What the rows are,
the tests know from the rows that they have inserted themselves.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import date

import pytest
from clickhouse_connect.driver.client import Client

from stack.settings import Stack
from tests.system.support import ledger
from tests.system.support.airflow import THINKING, WAITING, Airflow, Dag, Run, wait_for
from tests.system.support.killed import (
    APPROVE,
    DRAIN,
    PAIR,
    PURGE,
    SEAL,
    VERIFY,
    nothing_is_lost,
    number,
    purged_once,
    write,
)
from tests.system.support.processes import Scheduler, TaskProcess
from tests.system.support.tables import Hashes, notes

FIRST, SECOND = ("1994-01-01", "1994-01-02"), ("1995-01-01", "1995-01-02")
ROWS = 400
"""Rows of each window."""

WAITS = "another purge of employees.kills runs; waiting for its end"


@pytest.fixture(scope="module")
def record() -> Hashes:
    """The rows that the application has written."""
    days = [date.fromisoformat(start) for start, _ in (FIRST, SECOND)]
    return write([row for n, day in enumerate(days) for row in notes(1 + n * ROWS, day, ROWS)])


@pytest.fixture(scope="module")
def dag(airflow: Airflow, record: Hashes) -> Dag:
    dag = airflow.dag("systest_kills")
    dag.unpause()
    return dag


@pytest.fixture(scope="module")
def first(dag: Dag) -> Run:
    return dag.archive(*FIRST)


@pytest.fixture(scope="module")
def second(dag: Dag, first: Run) -> Run:
    """The run whose purge loses its scheduler."""
    return dag.archive(*SECOND)


@pytest.fixture(scope="module")
def scheduler(stack: Stack) -> Iterator[Scheduler]:
    scheduler = Scheduler(stack)
    yield scheduler
    scheduler.clean()


def proven_parts(client: Client, run: Run) -> int:
    return number(
        client,
        "SELECT count() FROM chista.verified_parts FINAL WHERE verify_id IN"
        " (SELECT verify_id FROM chista.ledger WHERE run_id = {run:String} AND stage = 'begun')",
        run=run.run_id,
    )


def pause(client: Client, paused: bool) -> None:
    client.command(
        "INSERT INTO chista.pauses (target, paused, reason, actor) VALUES ({target:String}, {paused:Bool}, 'test', 'test')",
        {"target": PAIR.target, "paused": paused},
    )


@contextmanager
def held_log() -> Iterator[None]:
    """An application's transaction that has locked the rows of the purge log."""
    with closing(PAIR.engine.admin()) as connection, closing(connection.cursor()) as cursor:
        cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")
        cursor.execute("BEGIN")
        cursor.execute(f"SELECT count(*) FROM chista.purge_log WHERE table_name = '{PAIR.source}' FOR UPDATE")
        assert cursor.fetchall() == ((ROWS,),)
        yield
        cursor.execute("ROLLBACK")


def killed(run: Run, task: str, sign: Callable[[], object]) -> None:
    """The first try of a task, killed where the sign is seen; Airflow tries it again."""
    tried = TaskProcess.of(run, task, 1)
    tried.run_until(sign)
    tried.kill()
    run.wait_for_try(task, 2)


def test_a_drain_goes_on_behind_the_batches_that_it_has_stored(
    first: Run, clickhouse: Client, record: Hashes
) -> None:
    def stored() -> int:
        return number(clickhouse, "SELECT count() FROM archive_mariadb.kills")

    killed(first, DRAIN, lambda: stored() > 100)
    first.wait_for_task(DRAIN, "success")
    assert 0 < first.xcom(DRAIN)["records"] < 2 * ROWS
    assert PAIR.in_archive(clickhouse) == PAIR.in_source() == record
    assert stored() == 2 * ROWS


def test_a_proof_goes_on_behind_the_parts_that_it_has_proven(first: Run, clickhouse: Client) -> None:
    killed(first, VERIFY, lambda: proven_parts(clickhouse, first) > 2)
    first.wait_for_task(VERIFY, "success")
    assert "parts are proven" in first.said(VERIFY)
    assert ledger.stages(clickhouse, PAIR.target, run_id=first.run_id) == ["begun", "verified"]
    assert first.xcom(VERIFY)["rows"] == ROWS


def test_an_approval_that_was_not_written_down_is_asked_for_again(
    first: Run, second: Run, clickhouse: Client
) -> None:
    first.wait_for_task(APPROVE, *WAITING)
    time.sleep(THINKING)
    first.respond(APPROVE, "Approve")
    TaskProcess.of(first, APPROVE, 1).kill()
    first.wait_for_try(APPROVE, 2)
    assert "approved" not in ledger.stages(clickhouse, PAIR.target, run_id=first.run_id)
    assert PAIR.count(*FIRST) == ROWS
    first.answer({APPROVE: ("Approve", "asked twice")})


def test_a_purge_goes_on_with_its_batch(first: Run, clickhouse: Client, record: Hashes) -> None:
    killed(first, PURGE, lambda: PAIR.count(*FIRST) < ROWS)
    assert PAIR.count(*FIRST) > 0
    nothing_is_lost(clickhouse, record)
    first.wait_for_task(PURGE, "success")
    assert PAIR.count(*FIRST) == 0
    nothing_is_lost(clickhouse, record)


@pytest.mark.timeout(900)
def test_a_scheduler_that_dies_leaves_a_purge_which_keeps_its_lock_until_it_has_ended(
    first: Run, second: Run, scheduler: Scheduler, clickhouse: Client, record: Hashes
) -> None:
    """The seal of the first run dies with the scheduler, behind its record. The purge of the second one lives on, without
    anybody who can tell it that Airflow has begun another try.
    """
    with held_log():
        seal = TaskProcess.of(first, SEAL, 1)
        seal.run_until(lambda: "sealed" in ledger.stages(clickhouse, PAIR.target, run_id=first.run_id))
        second.answer({APPROVE: ("Approve", None)})
        purge = TaskProcess.of(second, PURGE, 1)
        purge.run_until(lambda: PAIR.count(*SECOND) < ROWS)
        pause(clickhouse, True)
        purge.resume()
        wait_for("the purge to pause", 120, lambda: "paused: " in second.said(PURGE))
        left = PAIR.count(*SECOND)
        assert 0 < left < ROWS
        # Linux hangs up on a process group that loses its leader while a member of it is stopped: so the worker, which is
        # of the scheduler's group, is frozen when that has died, and its task, which is of no group but its own, before.
        purge.process.suspend()
        scheduler.kill()
        purge.worker.suspend()
        purge.resume()
        seal.kill(worker=True)
    nothing_is_lost(clickhouse, record)
    second.wait_for_try(PURGE, 2)
    wait_for("the second try to wait for the first", 120, lambda: WAITS in second.said(PURGE))
    assert purge.alive
    assert PAIR.count(*SECOND) == left
    pause(clickhouse, False)
    wait_for("the first try to end its batch", 120, lambda: PAIR.count(*SECOND) == 0)
    purge.worker.resume()
    nothing_is_lost(clickhouse, record)


def test_a_restore_goes_on_behind_the_rows_that_it_has_brought_back(
    airflow: Airflow, first: Run, clickhouse: Client, record: Hashes
) -> None:
    first.wait()
    dag = airflow.dag("systest_kills_restore")
    dag.unpause()
    run = dag.archive(*FIRST)
    killed(run, "restore", lambda: PAIR.count() > 0)
    there = PAIR.count()
    assert 0 < there < ROWS
    run.wait()
    summary = run.xcom("restore")
    assert (summary["selected"], summary["conflicts"]) == (ROWS, 0)
    assert summary["restored"] + summary["already_there"] == ROWS
    assert summary["already_there"] >= there
    assert PAIR.in_source() == {key: row_hash for key, row_hash in record.items() if int(key) <= ROWS}


def test_both_runs_end_with_each_row_deleted_and_logged_once(
    first: Run, second: Run, clickhouse: Client, record: Hashes
) -> None:
    for run in (first, second):
        run.wait()
        purged_once(clickhouse, run, ROWS)
    assert PAIR.in_archive(clickhouse) == record
    tried = {task: facts["try_number"] for task, facts in first.tasks().items()}
    assert all(tried[task] > 1 for task in (DRAIN, VERIFY, APPROVE, PURGE, SEAL))
    assert second.tasks()[PURGE]["try_number"] == 2
    assert "rows deleted, " not in second.said(PURGE)
