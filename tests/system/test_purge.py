"""A purge that is killed in the middle, and two runs that purge the same rows at the same time."""

from __future__ import annotations

import time
from datetime import date

import pytest
from clickhouse_connect.driver.client import Client

from tests.system.support import ledger
from tests.system.support.airflow import FINAL, Airflow, Dag, Run, wait_for
from tests.system.support.tables import TITLES, titles

PAIR = TITLES["mariadb"]
KILLED, SHARED = ("1992-01-01", "1992-01-02"), ("1993-01-01", "1993-01-02")
MANY = 3000


@pytest.fixture(scope="module")
def dag(airflow: Airflow, loaded: None) -> Dag:
    dag = airflow.dag("systest_archive")
    if not dag.runs():
        dag.settle_schedule()
    dag.unpause()
    return dag


@pytest.fixture(scope="module")
def killed(dag: Dag) -> Run:
    PAIR.insert(titles(date(1992, 1, 1), MANY))
    return dag.archive(*KILLED)


@pytest.fixture(scope="module")
def shared(dag: Dag, killed: Run) -> tuple[Run, Run]:
    """Two runs of one window, beside the one that is killed."""
    PAIR.insert(titles(date(1993, 1, 1), 40))
    return dag.archive(*SHARED), dag.archive(*SHARED)


def test_a_purge_that_is_killed_stops_within_seconds_and_loses_nothing(
    killed: Run, shared: tuple[Run, Run], clickhouse: Client
) -> None:
    before = PAIR.in_source(*KILLED)
    killed.answer({"employees_titles.approve": ("Approve", None)})
    wait_for("the purge to delete", 120, lambda: PAIR.count(*KILLED) < MANY, poll=0.02)
    killed.set_task("employees_titles.purge", "failed")
    started = time.monotonic()
    wait_for(
        "the purge to stop",
        30,
        lambda: "was stopped after" in killed.said("employees_titles.purge"),
        poll=0.2,
    )
    assert time.monotonic() - started < 20
    left = PAIR.in_source(*KILLED)
    assert 0 < len(left) < MANY
    time.sleep(2)
    assert PAIR.in_source(*KILLED) == left
    archive = PAIR.in_archive(clickhouse)
    assert before.items() <= archive.items()


def test_cleared_it_goes_on_with_its_batch_and_the_numbers_are_right(killed: Run, clickhouse: Client) -> None:
    killed.wait("failed")
    killed.clear("employees_titles.purge", downstream=True)
    killed.wait()
    assert PAIR.count(*KILLED) == 0
    assert killed.xcom("employees_titles.purge")["deleted"] == MANY
    assert killed.xcom("employees_titles.seal")["rows"] == MANY
    assert ledger.stages(clickhouse, PAIR.target, run_id=killed.run_id) == [
        "verified", "approved", "intent", "deleted", "sealed",
    ]  # fmt: skip


def test_two_runs_of_one_window_at_the_same_time_delete_each_row_once(
    shared: tuple[Run, Run], clickhouse: Client
) -> None:
    for run in shared:
        states = run.states()
        if states.get("employees_titles.approve") not in FINAL:
            run.answer({"employees_titles.approve": ("Approve", None)})
    for run in shared:
        run.wait()
    summaries = [run.xcom("employees_titles.purge") for run in shared]
    assert sum(summary["deleted"] for summary in summaries) == 40
    for summary in summaries:
        assert summary["deleted"] + sum(summary["skipped"].values()) == summary["proven"]
    assert PAIR.count(*SHARED) == 0
    archive = PAIR.in_archive(clickhouse)
    assert sum(key.endswith("|1993-01-01") for key in archive) == 40
    purged = clickhouse.query(
        "SELECT count(), uniqExact(row_key) FROM chista.purged FINAL"
        " WHERE target = {target:String} AND state = 'deleted' AND row_key LIKE '%|1993-01-01'",
        {"target": PAIR.target},
    ).result_rows
    assert purged == [(40, 40)]
