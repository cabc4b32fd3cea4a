"""A Dag from YAML is the Dag that the same words make in Python."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
import yaml
from airflow.sdk import DAG, BaseOperator
from airflow.sdk.definitions.param import ParamsDict
from airflow.sdk.definitions.xcom_arg import XComArg
from airflow.serialization.serialized_objects import DagSerialization

from airflow_provider_chista.config import load_dags
from airflow_provider_chista.config.models import Archive, Notifications, Table, TaskDefaults, Throttle
from airflow_provider_chista.dag import ArchiveTable, archive_dag
from airflow_provider_chista.upkeep import audit_dag, restore_dag
from tests.unit.config.notifiers import Recorder

FILE = Path(__file__).with_name("every_setting.yaml")

ORDERS: dict[str, Any] = {
    "source_conn_id": "orders_verify",
    "purge_conn_id": "orders_purge",
    "capture_conn_id": "orders_capture",
    "capture_password": "${env:ORDERS_CAPTURE_PASSWORD}",
    "connector": "orders",
    "topic_prefix": "shop.orders",
    "slot": "orders_slot",
    "publication": "orders_publication",
    "kafka_conn_id": "my_kafka",
    "kafka_connect_conn_id": "my_connect",
    "clickhouse_conn_id": "archive_house",
    "schema_registry_conn_id": "my_registry",
    "connector_overrides": {
        "snapshot.fetch.size": 1000,
        "database.ssl.keystore.password": "${file:/secrets:keystore}",
        "snapshot.tables.order.by.row.count": True,
    },
    "retention": timedelta(days=400),
    "cron": "0 3 * * *",
    "start_date": datetime(2020, 2, 29, tzinfo=UTC),
    "approval_timeout": timedelta(days=7, hours=12),
    "approval_notifiers": [Recorder("{{ dag.dag_id }} waits", "chat")],
    "throttle": {
        "max_lag": 5,
        "lag_conn_ids": ["replica"],
        "max_load": 20,
        "rows_per_second": 500,
        "sleep_ratio": 0.5,
        "hours": "22:00-06:00",
        "run_time": timedelta(minutes=45),
        "limit": 1000,
        "sentinel": "pause_orders",
    },
    "min_replicas": 2,
    "snapshot": "initial",
    "asset_events": False,
    "default_args": {
        "owner": "dba",
        "retries": 3,
        "retry_delay": timedelta(seconds=30),
        "retry_exponential_backoff": 2,
        "max_retry_delay": timedelta(minutes=10),
        "execution_timeout": timedelta(hours=6),
        "pool": "nights",
        "pool_slots": 2,
        "priority_weight": 5,
        "weight_rule": "absolute",
        "queue": "archive",
        "executor": "LocalExecutor",
        "depends_on_past": True,
        "wait_for_downstream": True,
        "max_active_tis_per_dag": 3,
        "deferrable": True,
        "poke_interval": 5,
        "timeout": 7200,
        "cluster": "three",
        "replicated": True,
        "kafka_bootstrap_servers": "kafka:9092",
        "replication_factor": 3,
        "topic_retention": timedelta(days=30),
        "max_record_bytes": 16 * 2**20,
        "heartbeat_ms": 5000,
        "server_id": 77,
        "batch_rows": 20_000,
        "max_dead_letters": 5,
        "max_dead_letter_share": 0.25,
        "patience": 30,
        "parallel": 4,
        "part_rows": 500_000,
        "catch_up_timeout": 60,
        "max_repairs": 10,
        "mask_values": True,
        "txn_size": 200,
    },
    "on_failure_callback": [Recorder("{{ run_id }} failed")],
    "on_success_callback": [Recorder()],
    "tags": ["from", "defaults"],
    "description": "orders of the shop",
    "doc_md": "# Orders\n{{ kept }} as it is\n",
    "dag_display_name": "Orders",
    "catchup": True,
    "max_active_runs": 2,
    "max_active_tasks": 8,
    "max_consecutive_failed_dag_runs": 3,
    "dagrun_timeout": timedelta(days=3),
    "end_date": datetime(2030, 1, 1, tzinfo=timezone(timedelta(hours=2))),
    "is_paused_upon_creation": True,
    "owner_links": {"dba": "mailto:dba@example.com"},
    "params": {"reason": "audit"},
    "tables": [
        ArchiveTable("shop.orders", "archive.orders", "created_on", on_truncate="keep", repair=True),
        ArchiveTable(
            "shop.lines",
            "archive.lines",
            purge=False,
            exclude=["note"],
            column_types={
                "amount": "Decimal(18, 2)",
                "doc": {"type": "JSON", "provable": False},
                "password": "String",
            },
        ),
        ArchiveTable(
            "shop.events",
            "archive.events",
            "created_on",
            listed=["shop.lines(lines_order) -> shop.orders"],
            on_truncate="keep",
            repair=True,
            method="partition",
            partition_action="detach",
        ),
    ],
}
PLAIN: dict[str, Any] = {
    "source_conn_id": "a",
    "purge_conn_id": "b",
    "capture_conn_id": "c",
    "connector": "plain",
    "topic_prefix": "plain",
    "cron": None,
    "clickhouse_conn_id": "archive_house",
    "retention": timedelta(days=400),
    "tags": ["from", "defaults"],
    "default_args": {"retries": 7, "pool": "nights"},
    "throttle": {"limit": 5, "max_lag": 1},
    "tables": [ArchiveTable("shop.plain", "archive.plain", "day", on_truncate="keep", repair=True)],
}
BESIDE: dict[str, Any] = {
    name: ORDERS[name]
    for name in (
        "tables", "source_conn_id", "connector", "topic_prefix", "kafka_conn_id", "kafka_connect_conn_id",
        "clickhouse_conn_id", "schema_registry_conn_id", "default_args", "on_failure_callback", "on_success_callback",
        "is_paused_upon_creation", "owner_links",
    )
}  # fmt: skip
RESTORE: dict[str, Any] = {**BESIDE, "restore_conn_id": "orders_restore"}
AUDIT: dict[str, Any] = {**BESIDE, "cron": "@monthly"}


@pytest.fixture(scope="module")
def loaded() -> dict[str, DAG]:
    return load_dags(FILE)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(
    ("dag_id", "factory", "arguments"),
    [
        ("orders", archive_dag, ORDERS),
        ("orders_restore", restore_dag, RESTORE),
        ("orders_audit", audit_dag, AUDIT),
        ("plain", archive_dag, PLAIN),
    ],
)
def test_every_task_and_argument_is_that_of_the_same_call(
    loaded: dict[str, DAG], dag_id: str, factory: Callable[..., DAG], arguments: dict[str, Any]
) -> None:
    made = factory(dag_id, **arguments)
    found = loaded[dag_id]
    assert sorted(found.task_ids) == sorted(made.task_ids)
    for task in made.tasks:
        if isinstance(task, BaseOperator):
            assert facts(found.task_dict[task.task_id]) == facts(task), task.task_id
    assert (found.on_failure_callback, found.on_success_callback) == (
        made.on_failure_callback,
        made.on_success_callback,
    )
    assert serialised(found) == serialised(made)


def test_restores_and_audits_are_made_where_they_are_asked_for(loaded: dict[str, DAG]) -> None:
    assert set(loaded) == {"orders", "orders_restore", "orders_audit", "plain"}


def facts(task: BaseOperator) -> dict[str, Any]:
    """What the constructors of a task were given, and what became of its place among the others."""
    names = {
        name
        for each in type(task).__mro__
        if "__init__" in vars(each)
        for name in inspect.signature(inspect.unwrap(each.__init__)).parameters
    }
    left_out = {"self", "args", "kwargs", "dag", "task_group", "default_args"}
    values = {name: getattr(task, name, None) for name in names - left_out}
    found = {name: plain(value) for name, value in values.items() if not inspect.ismethod(value)}
    return found | {"class": type(task), "behind": task.upstream_task_ids, "before": task.downstream_task_ids}


def plain(value: Any) -> Any:
    if isinstance(value, XComArg):
        return str(value)
    return value.dump() if isinstance(value, ParamsDict) else value


def serialised(dag: DAG) -> Any:
    places = {"fileloc", "relative_fileloc"}
    text = json.dumps(DagSerialization.to_dict(dag), sort_keys=True, default=str)
    return {name: value for name, value in json.loads(text)["dag"].items() if name not in places}


def test_the_file_of_the_comparison_has_every_setting() -> None:
    document = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    defaults, orders = document["defaults"], document["archives"]["orders"]
    for part, model in (("default_args", TaskDefaults), ("throttle", Throttle)):
        assert {*defaults[part], *orders[part]} == set(model.model_fields)
    tables = [defaults["table_defaults"], orders["table_defaults"], *orders["tables"]]
    assert {name for table in tables for name in table} == set(Table.model_fields)
    assert set(orders["notifications"]) == set(Notifications.model_fields)
    assert {*defaults, *orders} == set(Archive.model_fields)
