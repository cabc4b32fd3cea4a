"""Which rows a run owns, however it was started; runs that own none fail with the fix in their last line."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta

import pytest
from clickhouse_connect.driver.client import Client

from tests.system.support import ledger
from tests.system.support.airflow import Airflow, Run
from tests.system.support.tables import EMPLOYEES, TITLES, TODAY, Hashes, titles

PAIR = TITLES["mariadb"]
PAST = ("1991-05-01", "1991-05-02")
FIX = "Give window_start and window_end"


@dataclass(frozen=True)
class Started:
    """Runs of one table, all begun at the same time."""

    rows: Hashes
    dry: Run
    kept: Run
    young: Run
    dateless: Run
    reversed: Run
    by_cli: Run


@pytest.fixture(scope="module")
def started(airflow: Airflow, loaded: None, cli: Callable[..., str]) -> Started:
    assert EMPLOYEES["mariadb"].count()
    PAIR.insert([*titles(date(1991, 5, 1), 30), *titles(TODAY, 12)])
    dag = airflow.dag("systest_archive")
    dag.settle_schedule()
    dag.unpause()
    runs = {
        "dry": dag.archive(*PAST, dry_run=True),
        "kept": dag.trigger(f"{PAST[0]}T00:00:00Z", conf={"purge": False}),
        "young": dag.trigger(f"{TODAY.isoformat()}T00:00:00Z"),
        "dateless": dag.trigger(),
        "reversed": dag.archive(*reversed(PAST)),
    }
    known = {run.run_id for run in dag.runs()}
    cli("dags", "trigger", "-l", "2020-01-05T00:00:00+00:00", "systest_archive")
    return Started(PAIR.in_source(), **runs, by_cli=dag.wait_for_run(known))


@pytest.mark.parametrize(
    ("name", "cause", "fix"),
    [
        ("dateless", "this run has no data interval and no window was given", FIX),
        ("reversed", "window [1991-05-02T00:00:00+00:00, 1991-05-01T00:00:00+00:00) is empty or reversed", "later"),
        ("by_cli", "this run is dated 2020-01-05", "`airflow dags trigger -l` computes it from now. Trigger by the UI"),
    ],
)  # fmt: skip
def test_a_run_without_a_window_fails_before_anything_is_changed_and_says_how_to_give_one(
    started: Started, name: str, cause: str, fix: str
) -> None:
    run: Run = getattr(started, name)
    run.wait("failed")
    assert run.tasks()["preflight"]["try_number"] == 1
    assert cause in run.last_line("preflight")
    assert fix in run.last_line("preflight")
    assert set(run.states().values()) == {"failed", "upstream_failed"}


def test_a_dry_run_shows_the_statements_and_deletes_nothing(started: Started) -> None:
    started.dry.wait()
    purge = started.dry.said("employees_titles.purge")
    assert "DELETE" in purge
    assert (
        "dry run: 30 proven rows of from_date in [1991-05-01, 1991-05-02) would be deleted; nothing was"
        in purge
    )
    report = started.dry.xcom("employees_titles.purge", "purge")
    assert (report["dry_run"], report["proven"], report["deleted"]) == (True, 30, 0)
    behind = ("purge", "purge_captured", "drain_deletes", "seal")
    assert {started.dry.states()[f"employees_titles.{task}"] for task in behind} == {"skipped"}


def test_a_run_dated_by_its_rows_and_with_purge_off_ends_with_their_proof(
    started: Started, clickhouse: Client
) -> None:
    started.kept.wait()
    assert "from_date in [1991-05-01, 1991-05-02)" in started.kept.said("preflight")
    assert started.kept.states()["employees_titles.approve"] == "skipped"
    assert started.kept.xcom("employees_titles.verify")["rows"] == 30
    assert ledger.stages(clickhouse, PAIR.target, run_id=started.kept.run_id) == ["verified"]


def test_rows_younger_than_the_retention_are_archived_and_never_purged(
    started: Started, clickhouse: Client
) -> None:
    """One careless click in the form, which fills in now, means today's rows."""
    started.young.answer({"employees_titles.approve": ("Approve", "a careless click")})
    started.young.wait("failed")
    line = started.young.last_line("employees_titles.purge")
    tomorrow = TODAY + timedelta(days=1)
    assert f"window from_date in [{TODAY}, {tomorrow}) ends later than" in line
    assert "younger than the retention of 365 days. Nothing was deleted. Choose an older window" in line
    assert started.young.xcom("employees_titles.verify")["rows"] == 12


def test_after_all_of_them_the_source_is_as_it_was_and_the_archive_equal(
    started: Started, clickhouse: Client
) -> None:
    assert PAIR.in_source() == started.rows
    assert PAIR.in_archive(clickhouse) == started.rows
    assert "intent" not in ledger.stages(clickhouse, PAIR.target)
