"""The restore as a task: it writes only what the form asks for, and says who asked."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from airflow_provider_chista.clickhouse import sql
from airflow_provider_chista.model import TableId
from airflow_provider_chista.operators.restore import RestoreRowsOperator
from airflow_provider_chista.operators.table import CreateArchiveTableOperator
from tests.integration.operators.conftest import Place
from tests.integration.support.tasks import context


def task(place: Place, **more: Any) -> RestoreRowsOperator:
    known = {"task_id": "restore", "restore_conn_id": "mysql_restore", "time_column": "day"}
    return RestoreRowsOperator(**{**known, **place.orders, **place.systems, **more})


@pytest.fixture
def archived(place: Place) -> Place:
    """The archive has orders 1000 to 1009, of two days, and the source none of them."""
    CreateArchiveTableOperator(
        task_id="create", tables={place.orders["table"]: place.orders["target"]}, **place.systems
    ).execute(context())
    place.engine.execute(f"DELETE FROM {place.schema}.orders WHERE id >= 1000")
    place.client.command(
        f"INSERT INTO {sql.table(TableId.parse(place.orders['target']))} (id, name, day, _chista_version)"
        " SELECT 1000 + number, toString(number), toDate('2023-03-01') + number % 2, 1 FROM numbers(10)"
    )
    return place


def there(place: Place) -> list[int]:
    found = place.engine.query(f"SELECT id FROM {place.schema}.orders WHERE id >= 1000 ORDER BY id")
    return [row[0] for row in found]


def test_the_forms_window_is_restored_and_the_ledger_says_who_asked(archived: Place) -> None:
    run = context(("2023-03-01", "2023-03-02"))
    run["dag_run"] = SimpleNamespace(triggering_user_name="otto", run_after=None)
    summary = task(archived).execute(run)
    assert (summary["selected"], summary["restored"], summary["dry_run"]) == (5, 5, False)
    assert there(archived) == [1000, 1002, 1004, 1006, 1008]
    entries = archived.control.rows(
        f"SELECT actor, rows, run_id, digest FROM {archived.control.name('ledger')} WHERE stage = 'restored'",
        {},
    )
    assert entries == [{"actor": "otto", "rows": 5, "run_id": run["ti"].run_id, "digest": summary["digest"]}]


def test_a_dry_run_counts_and_skips_what_is_downstream(archived: Place) -> None:
    run = context(dry_run=True)
    with pytest.raises(
        AirflowSkipException, match="2 of 2 rows of 2 row keys would be restored; nothing was"
    ):
        task(archived, row_keys='["1001", "1003"]').execute(run)
    assert run["ti"].pushed["restore"]["restored"] == 2
    assert there(archived) == []


def test_nothing_chosen_another_policy_and_a_user_without_insert_fail_at_once(archived: Place) -> None:
    for more, said in (
        ({}, "needs one choice of rows and got none"),
        ({"row_keys": ["1001"], "conflicts": "overwrite"}, "conflicts is 'overwrite'"),
        ({"row_keys": ["1001"], "restore_conn_id": "mysql_verify"}, "GRANT INSERT ON"),
        ({"batch_id": "of another table"}, "has no finished purge batch of another table"),
    ):
        with pytest.raises(AirflowFailException, match=said):
            task(archived, **more).execute(context())
    assert there(archived) == []
