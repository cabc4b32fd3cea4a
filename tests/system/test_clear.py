"""Clearing what has ended changes nothing, and gives a rejected purge its second chance."""

from __future__ import annotations

from typing import Any

import pytest
from clickhouse_connect.driver.client import Client

from tests.system.support import ledger
from tests.system.support.airflow import Run
from tests.system.support.tables import CHISTA, SALARIES, WINDOW, Before


def picture(client: Client) -> dict[str, Any]:
    """Everything of test.chista that clearing must not change."""
    chista = CHISTA["mysql"]
    purged = "SELECT row_key, batch_id, state, row_hash FROM chista.purged FINAL WHERE target = 'archive_mysql.chista'"
    return {
        "source": chista.in_source(),
        "purge log": chista.engine.query(
            "SELECT count(*) FROM chista.purge_log WHERE table_name = 'test.chista'"
        ),
        "archive": chista.in_archive(client),
        "purged": sorted(client.query(purged).result_rows),
        "sealed": [e["digest"] for e in ledger.entries(client, chista.target) if e["stage"] == "sealed"],
    }


@pytest.fixture(scope="module")
def before_clearing(triggered: Run, clickhouse: Client) -> dict[str, Any]:
    triggered.wait()
    return picture(clickhouse)


@pytest.mark.parametrize("task", ["test_chista.purge", "test_chista.drain_deletes", "test_chista.seal"])
def test_clearing_one_task_after_the_seal_changes_nothing(
    triggered: Run, before_clearing: dict[str, Any], clickhouse: Client, task: str
) -> None:
    tried = triggered.tasks()[task]["try_number"]
    triggered.clear(task)
    triggered.wait()
    assert triggered.tasks()[task]["try_number"] == tried + 1
    assert picture(clickhouse) == before_clearing


def test_clearing_the_whole_run_proves_again_and_asks_again(
    triggered: Run, before: Before, before_clearing: dict[str, Any], clickhouse: Client
) -> None:
    triggered.clear()
    triggered.answer({"employees_salaries.approve": ("Approve", "the auditors are done")})
    triggered.wait()
    # Nothing of test.chista is left to be asked about.
    states = triggered.states()
    assert {states[f"test_chista.{task}"] for task in ("approve", "purge", "seal")} == {"skipped"}
    assert triggered.xcom("test_chista.verify")["rows"] == 0
    assert picture(clickhouse) == before_clearing

    salaries = SALARIES["mysql"]
    assert salaries.in_archive(clickhouse) == before.salaries
    assert salaries.count(*WINDOW) == 0
    assert salaries.count() == len(before.salaries) - 200
    assert ledger.stages(clickhouse, salaries.target) == [
        "verified", "rejected", "verified", "approved", "intent", "deleted", "sealed",
    ]  # fmt: skip
