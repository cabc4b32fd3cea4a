"""Every operator and sensor of the provider with arguments as a Dag file gives them, templates where they are allowed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from airflow.sdk import BaseOperator

from airflow_provider_chista.operators.approve import ApprovePurgeOperator
from airflow_provider_chista.operators.audit import AuditArchiveOperator
from airflow_provider_chista.operators.connector import RegisterConnectorOperator
from airflow_provider_chista.operators.deadletters import (
    DiscardDeadLettersOperator,
    ReplayDeadLettersOperator,
)
from airflow_provider_chista.operators.drain import DrainTopicOperator
from airflow_provider_chista.operators.partitions import ListTopicPartitionsOperator
from airflow_provider_chista.operators.preflight import PreflightOperator
from airflow_provider_chista.operators.purge import PurgeSourceOperator, SealArchiveOperator
from airflow_provider_chista.operators.restore import RestoreRowsOperator
from airflow_provider_chista.operators.snapshot import SnapshotWindowOperator
from airflow_provider_chista.operators.table import CreateArchiveTableOperator
from airflow_provider_chista.operators.verify import VerifyArchiveOperator
from airflow_provider_chista.sensors.capture import SourceCapturedSensor
from airflow_provider_chista.sensors.connector import ConnectorRunningSensor
from airflow_provider_chista.sensors.snapshot import SnapshotCompletedSensor
from airflow_provider_chista.sensors.topic import TopicDrainedSensor
from airflow_provider_chista.sensors.window import WindowVerifiedSensor


@dataclass(frozen=True)
class Case:
    operator: type[BaseOperator]
    arguments: dict[str, Any]

    def make(self, **more: Any) -> Any:
        return self.operator(task_id="t", **{**self.arguments, **more})


SOURCE = {"source_conn_id": "{{ var.value.source }}"}
PAIR = {"table": "shop.{{ params.table }}", "target": "archive.{{ params.table }}"}
WINDOW = {"time_column": "day", "window_start": "{{ ds }}", "window_end": "{{ macros.ds_add(ds, 1) }}"}
STREAM = {"connector": "{{ params.connector }}", "topic_prefix": "{{ params.prefix }}"}
TABLES = {"tables": ["shop.{{ params.table }}"]}
PROOF = "{{ ti.xcom_pull(task_ids='verify')['verify_id'] }}"
BARRIER = {"barrier": {"p.shop.orders": {"0": 5}}}
LETTERS = {"offsets": {"0": ["{{ params.offset }}"]}}

OPERATORS = (
    Case(
        PreflightOperator,
        {
            "tables": {"shop.orders": "archive.{{ params.table }}"},
            "time_columns": {"shop.orders": "{{ params.column }}"},
            "listed": ["{{ params.listed }}"],
            "purge_conn_id": "{{ params.purge }}",
            "slot": "s",
            "publication": "p",
            "min_replicas": 2,
            "max_lag": 5,
            "lag_conn_ids": ["{{ params.replica }}"],
            **SOURCE,
        },
    ),
    Case(
        RegisterConnectorOperator,
        {
            "capture_conn_id": "{{ params.capture }}",
            "slot": "{{ params.slot }}",
            "publication": "{{ params.publication }}",
            "password": "${env:CAPTURE_PASSWORD}",
            "overrides": {"max.batch.size": 4096},
            **TABLES,
            **STREAM,
            **SOURCE,
        },
    ),
    Case(CreateArchiveTableOperator, {"tables": {"shop.orders": "archive.{{ params.table }}"}, **SOURCE}),
    Case(
        DrainTopicOperator,
        {
            "topic_prefix": "{{ params.prefix }}",
            "delete_policy": "{{ params.policy }}",
            "follow_seconds": "{{ params.follow }}",
            **BARRIER,
            **PAIR,
            **SOURCE,
        },
    ),
    Case(
        ListTopicPartitionsOperator,
        {
            "topic_prefix": "{{ params.prefix }}",
            "tables": {"shop.orders": "archive.{{ params.table }}"},
            "by": "{{ params.by }}",
            **BARRIER,
            **SOURCE,
        },
    ),
    Case(VerifyArchiveOperator, {**STREAM, **WINDOW, **PAIR, **SOURCE}),
    Case(ApprovePurgeOperator, {"verify_id": PROOF, **WINDOW, **PAIR, **SOURCE}),
    Case(
        PurgeSourceOperator,
        {
            "verify_id": PROOF,
            "purge_conn_id": "{{ params.purge }}",
            "retention": timedelta(days=365),
            "listed": ["{{ params.listed }}"],
            "min_replicas": 2,
            "method": "partition",
            "partition_action": "detach",
            "delete_policy": "{{ params.policy }}",
            "max_lag": 5,
            "lag_conn_ids": ["{{ params.replica }}"],
            "max_load": 25,
            "rows_per_second": 2_000,
            "sleep_ratio": 0.5,
            "hours": "22:00-06:00",
            "run_time": timedelta(hours=4),
            "limit": 1_000_000,
            "sentinel": "{{ params.sentinel }}",
            **WINDOW,
            **PAIR,
            **SOURCE,
        },
    ),
    Case(
        SealArchiveOperator,
        {
            "verify_id": PROOF,
            "purge_conn_id": "{{ params.purge }}",
            "topic_prefix": "{{ params.prefix }}",
            **WINDOW,
            **PAIR,
            **SOURCE,
        },
    ),
    Case(
        RestoreRowsOperator,
        {
            "restore_conn_id": "{{ params.restore }}",
            "row_keys": "{{ params.row_keys }}",
            "batch_id": "{{ params.batch_id }}",
            "conflicts": "{{ params.conflicts }}",
            **WINDOW,
            **PAIR,
            **SOURCE,
        },
    ),
    Case(
        AuditArchiveOperator,
        {
            "tables": {"shop.orders": "archive.{{ params.table }}"},
            "window_start": "{{ ds }}",
            "window_end": "{{ macros.ds_add(ds, 1) }}",
            "max_proof_age": None,
            **STREAM,
            **SOURCE,
        },
    ),
    Case(
        ReplayDeadLettersOperator,
        {
            "delete_policy": "{{ params.policy }}",
            "generation": "{{ params.generation }}",
            "ignore_columns": ["gone"],
            **LETTERS,
            **PAIR,
            **SOURCE,
        },
    ),
    Case(
        DiscardDeadLettersOperator,
        {
            "reason": "{{ params.reason }}",
            "generation": "{{ params.generation }}",
            **LETTERS,
            **PAIR,
            **SOURCE,
        },
    ),
)

SENSORS = (
    Case(ConnectorRunningSensor, {"connector": "{{ params.connector }}", **SOURCE}),
    Case(SnapshotCompletedSensor, {**TABLES, **STREAM, **SOURCE}),
    Case(SnapshotWindowOperator, {"table": PAIR["table"], **WINDOW, **STREAM, **SOURCE}),
    Case(SourceCapturedSensor, {**TABLES, **STREAM, **SOURCE}),
    Case(TopicDrainedSensor, {"topic_prefix": "{{ params.prefix }}", **BARRIER, **PAIR, **SOURCE}),
    Case(WindowVerifiedSensor, {**WINDOW, **PAIR, **SOURCE}),
)


def name(case: Case) -> str:
    return case.operator.__name__
