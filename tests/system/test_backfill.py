"""`airflow backfill create` over several days, two runs at once: each run owns exactly the rows of its day."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta

import pytest
from clickhouse_connect.driver.client import Client

from tests.system.support import ledger
from tests.system.support.airflow import ENDED, FINAL, Airflow, Run, wait_for
from tests.system.support.tables import SALARIES, salaries

ROWS = {date(1990, 3, 1): 7, date(1990, 3, 2): 20, date(1990, 3, 3): 5}
OUTSIDE = {date(1990, 2, 28): 4, date(1990, 3, 4): 6}
PAIR = SALARIES["mysql"]


@pytest.fixture(scope="module")
def runs(airflow: Airflow, triggered: Run, cli: Callable[..., str]) -> list[Run]:
    triggered.wait()
    PAIR.insert([row for day, count in {**ROWS, **OUTSIDE}.items() for row in salaries(day, count)])
    known = {run.run_id for run in airflow.dag("archive_mysql").runs()}
    first, last = (day.isoformat() for day in (min(ROWS), max(ROWS)))
    cli(
        "backfill", "create", "--dag-id", "archive_mysql", "--from-date", first, "--to-date", last,
        "--max-active-runs", "2",
    )  # fmt: skip

    def made() -> list[Run] | None:
        found = [run for run in airflow.dag("archive_mysql").runs() if run.run_id not in known]
        return sorted(found, key=lambda run: run.run_id) if len(found) == 3 else None

    return list(wait_for("three runs of the backfill", 60, made))


def test_a_backfill_makes_one_run_for_each_day_and_two_run_at_once(
    runs: list[Run], clickhouse: Client
) -> None:
    most = 0
    left = {run.run_id for run in runs}

    def answer_all() -> bool:
        nonlocal most
        states = {run: run.facts()["state"] for run in runs}
        most = max(most, sum(state == "running" for state in states.values()))
        for run, state in states.items():
            asks = run.states().get("employees_salaries.approve")
            if run.run_id in left and state == "running" and asks not in (None, "none", *FINAL):
                run.answer({"employees_salaries.approve": ("Approve", None)})
                left.discard(run.run_id)
        return all(state in ENDED for state in states.values())

    wait_for("the backfill to end", 400, answer_all)
    for run in runs:
        run.wait()
    assert most == 2
    starts = [run.facts()["data_interval_start"][:10] for run in runs]
    assert starts == [day.isoformat() for day in ROWS]


def test_each_run_purged_exactly_the_rows_of_its_day(runs: list[Run], clickhouse: Client) -> None:
    for run, count in zip(runs, ROWS.values(), strict=True):
        assert run.xcom("employees_salaries.verify")["rows"] == count
        assert run.xcom("employees_salaries.purge")["deleted"] == count
        assert run.xcom("employees_salaries.seal")["rows"] == count
        assert ledger.stages(clickhouse, PAIR.target, run_id=run.run_id) == [
            "verified", "approved", "intent", "deleted", "sealed",
        ]  # fmt: skip


def test_in_the_end_the_days_are_gone_from_the_source_and_whole_in_the_archive(
    runs: list[Run], clickhouse: Client
) -> None:
    archive = PAIR.in_archive(clickhouse)
    for day, count in ROWS.items():
        assert PAIR.count(day.isoformat(), (day + timedelta(days=1)).isoformat()) == 0
        assert sum(key.endswith(f"|{day.isoformat()}") for key in archive) == count
    for day, count in OUTSIDE.items():
        assert PAIR.count(day.isoformat(), (day + timedelta(days=1)).isoformat()) == count
    assert PAIR.in_source().items() <= archive.items()
