"""Dags of restores and audits: what their tasks become of what somebody filled in."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk import DAG, BaseOperator

from airflow_provider_chista.dag import ArchiveTable
from airflow_provider_chista.upkeep import audit_dag, restore_dag

STREAM: dict[str, Any] = {"source_conn_id": "v", "connector": "shop", "topic_prefix": "shop"}
TABLES = [ArchiveTable("shop.orders", "cold.orders", "day"), ArchiveTable("shop.'kinds'}}", "cold.kinds")]


@pytest.fixture
def restores() -> DAG:
    return restore_dag("shop_restore", tables=TABLES, restore_conn_id="r", **STREAM)


def rendered(dag: DAG, task_id: str, **filled_in: Any) -> BaseOperator:
    """A task behind its templates, with the form as somebody sent it."""
    task = dag.task_dict[task_id]
    task.render_template_fields({"params": {**dag.params.dump(), **filled_in}})  # type: ignore[typeddict-item]
    return task


def test_a_restore_is_of_the_table_and_the_rows_that_were_chosen(restores: DAG) -> None:
    found: Any = rendered(restores, "restore", table="shop.orders", row_keys=["1", "2"], conflicts="skip")
    assert (found.table, found.target, found.time_column) == ("shop.orders", "cold.orders", "day")
    assert (found.row_keys, found.batch_id, found.conflicts) == ('["1", "2"]', "", "skip")


def test_a_restore_of_a_table_without_windows_has_no_time_column(restores: DAG) -> None:
    found: Any = rendered(restores, "restore", table="shop.'kinds'}}", batch_id="b-1")
    assert (found.table, found.target, found.time_column) == ("shop.'kinds'}}", "cold.kinds", "")
    assert (found.row_keys, found.batch_id, found.conflicts) == ("[]", "b-1", "refuse")


def test_the_archive_is_drained_of_the_same_table_before_and_behind(restores: DAG) -> None:
    for task_id in ("source_captured", "restore_captured"):
        assert rendered(restores, task_id, table="shop.orders").tables == ["shop.orders"]  # type: ignore[attr-defined]
    for task_id, captured in (("drain", "source_captured"), ("drain_inserts", "restore_captured")):
        drain: Any = restores.task_dict[task_id]
        assert drain.upstream_task_ids >= {captured}
        drain.barrier = None
        drain = rendered(restores, task_id, table="shop.orders")
        assert (drain.table, drain.target) == ("shop.orders", "cold.orders")


def test_further_macros_and_params_stand_beside_those_of_the_factory() -> None:
    dag = restore_dag(
        "d",
        tables=TABLES,
        restore_conn_id="r",
        params={"ticket": 7},
        user_defined_macros={"more": 1},
        **STREAM,
    )
    assert {"ticket", "table", "reason"} <= set(dag.params)
    assert {"more", "archived", "time_columns"} <= set(dag.user_defined_macros or {})


def test_an_audit_has_a_mapped_task_for_each_table() -> None:
    dag = audit_dag("shop_audit", tables=TABLES, cron=None, **STREAM)
    task: Any = dag.task_dict["audit"]
    assert task.expand_input.value == {"tables": [{t.source: t.target} for t in TABLES]}
    assert type(dag.timetable).__name__ == "NullTimetable"
    assert type(audit_dag("weekly", tables=TABLES, **STREAM).timetable).__name__ != "NullTimetable"
