"""The archive Dags from trigger and schedule to the seal; every number is counted beside the provider."""

from __future__ import annotations

import json
from datetime import timedelta

from clickhouse_connect.driver.client import Client

from tests.system.support import ledger
from tests.system.support.airflow import Airflow, Run
from tests.system.support.tables import (
    CHISTA,
    DUE,
    EMPLOYEES,
    SALARIES,
    SHIPMENTS,
    Before,
    Hashes,
    Pair,
)


def archived_and_purged(
    client: Client, pair: Pair, held: Hashes, window: tuple[str, str] | None, rows: int
) -> None:
    """Every row is in the archive as it was; of the window none is at the source any more, of the rest all are."""
    assert pair.in_archive(client) == held
    assert pair.count(*(window or ())) == 0
    assert pair.count() == len(held) - rows
    sealed = ledger.entries(client, pair.target)[-1]
    assert (sealed["stage"], sealed["rows"]) == ("sealed", rows)


def test_archive_mysql_asks_before_it_deletes(triggered: Run, before: Before) -> None:
    triggered.wait_for_task("test_chista.approve", "awaiting_input", "deferred")
    asked = triggered.question("test_chista.approve")
    assert asked["subject"] == f"the whole table: delete {len(before.chista)} rows of test.chista?"
    assert "archive_mysql.chista" in asked["body"]
    assert CHISTA["mysql"].in_source() == before.chista
    assert list(asked["params"]) == ["reason"]
    triggered.answer(
        {
            "test_chista.approve": ("Approve", "proved equal"),
            "employees_salaries.approve": ("Reject", "auditors need them"),
        }
    )


def test_archive_postgres_runs_by_its_schedule_and_owns_the_day_that_is_retention_old(scheduled: Run) -> None:
    interval = scheduled.facts()
    assert interval["run_type"] == "scheduled"
    assert interval["data_interval_start"][:10] == DUE.isoformat()
    assert interval["data_interval_end"][:10] == (DUE + timedelta(days=1)).isoformat()
    scheduled.answer(
        {
            "public_shipments.approve": ("Approve", None),
            "employees_salaries.approve": ("Approve", None),
        }
    )


def test_archive_mysql_ends_with_every_approved_row_sealed(
    triggered: Run, before: Before, clickhouse: Client
) -> None:
    triggered.wait()
    archived_and_purged(clickhouse, CHISTA["mysql"], before.chista, None, len(before.chista))
    summary = triggered.xcom("test_chista.purge")
    assert (summary["proven"], summary["deleted"], summary["skipped"]) == (len(before.chista),) * 2 + ({},)
    assert triggered.xcom("test_chista.seal")["rows"] == len(before.chista)
    assert ledger.stages(clickhouse, "archive_mysql.chista") == [
        "verified", "approved", "intent", "deleted", "sealed",
    ]  # fmt: skip
    approved = ledger.entries(clickhouse, "archive_mysql.chista")[1]
    assert (approved["actor"], json.loads(approved["detail"])) == ("admin", {"reason": "proved equal"})


def test_a_rejection_leaves_the_source_untouched_and_the_ledger_says_who(
    triggered: Run, before: Before, clickhouse: Client
) -> None:
    salaries = SALARIES["mysql"]
    assert salaries.in_source() == before.salaries
    assert salaries.in_archive(clickhouse) == before.salaries
    states = triggered.states()
    assert states["employees_salaries.approve"] == "success"
    behind = ("purge", "purge_captured", "drain_deletes", "seal")
    assert {states[f"employees_salaries.{task}"] for task in behind} == {"skipped"}
    # Airflow may ask again (see Run.answer); each answer that was given is in the ledger.
    verified, *answers = ledger.entries(clickhouse, salaries.target)
    assert (verified["stage"], verified["rows"]) == ("verified", 200)
    assert verified["window"] == "from_date:1986-01-01T00:00:00+00:00/1987-01-01T00:00:00+00:00"
    said = {(answer["stage"], answer["actor"], json.loads(answer["detail"])["reason"]) for answer in answers}
    assert said == {("rejected", "admin", "auditors need them")}


def test_parents_of_cascading_keys_are_proven_and_not_purged(triggered: Run, clickhouse: Client) -> None:
    employees = EMPLOYEES["mysql"]
    assert employees.in_archive(clickhouse) == employees.in_source()
    assert triggered.xcom("employees_employees.verify")["rows"] == employees.count() == 20
    children = {name.partition("(")[0] for name in triggered.xcom("preflight")["purge_refused"]}
    assert children == {f"employees.{table}" for table in ("dept_emp", "dept_manager", "salaries", "titles")}


def test_archive_postgres_ends_with_exactly_the_rows_of_its_day_purged(
    scheduled: Run, before: Before, clickhouse: Client
) -> None:
    scheduled.wait()
    day = (DUE.isoformat(), (DUE + timedelta(days=1)).isoformat())
    archived_and_purged(clickhouse, SHIPMENTS, before.shipments, day, 90)
    salaries = SALARIES["postgres"]
    assert salaries.count(*day) == 0
    assert (len(salaries.in_archive(clickhouse)), salaries.count()) == (207 + 25, 207 + 5)
    assert EMPLOYEES["postgres"].in_archive(clickhouse) == EMPLOYEES["postgres"].in_source()


def test_a_run_tells_its_assets_which_rows_it_proved_purged_and_sealed(scheduled: Run) -> None:
    told = scheduled.events()
    assets = {
        f"clickhouse://clickhouse_default/{pair.target.replace('.', '/')}": rows
        for pair, rows in ((SHIPMENTS, 90), (SALARIES["postgres"], 20), (EMPLOYEES["postgres"], 20))
    }
    expected = {**assets}
    for asset, rows in [*assets.items()][:2]:
        expected |= {f"{asset}?event=purged": rows, f"{asset}?event=sealed": rows}
    assert {uri: extra["rows"] for uri, extra in told.items()} == expected
    event = told[next(iter(assets))]
    assert (event["event"], event["source"]) == ("verified", "public.shipments")
    assert event["window_start"] == DUE.isoformat()
    assert event["digest"] == scheduled.xcom("public_shipments.verify")["digest"]


def test_the_proof_of_a_window_starts_the_report_that_counts_its_rows(
    airflow: Airflow, scheduled: Run
) -> None:
    dag = airflow.dag("report")
    report = dag.wait_for_run()
    report.wait()
    window = {"window_start": DUE.isoformat(), "window_end": (DUE + timedelta(days=1)).isoformat()}
    assert report.xcom("count_rows") == [{**window, "rows": 90, "proven": 90}]
    dag.pause()


def test_the_tasks_have_left_their_links_and_their_progress(scheduled: Run) -> None:
    links = scheduled.links("public_shipments.verify")
    assert links["Connector"].endswith("/connectors/shipments-connector/status")
    assert "/play#" in links["ClickHouse query"]
    assert scheduled.links("public_shipments.drain")["Topic"] is None, "the connection names no page"
    progress = scheduled.stored("public_shipments.drain", "progress")
    assert (progress["left"], progress["ended"]) == (0, True)
    assert progress["records"] == scheduled.xcom("public_shipments.drain")["records"]
    assert scheduled.stored("public_shipments.purge", "progress")["rows"] == 90


def test_nothing_went_to_the_dead_letters(triggered: Run, scheduled: Run, clickhouse: Client) -> None:
    assert ledger.dead_letters(clickhouse) == 0


def test_the_schedule_made_no_further_run(airflow: Airflow, scheduled: Run) -> None:
    assert airflow.dag("archive_postgres").runs() == [scheduled]
