"""Dags beside an archive's own: one that brings rows back when somebody asks for it, one that audits what was purged.

.. code-block:: text

    restore: captured ─ drain ─ restore ─ captured ─ drain
    audit: one mapped task for each table
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from airflow.sdk import DAG, Param

from airflow_provider_chista.dag import DEFAULT_ARGS, LONG_AGO, WINDOW_PARAMS, ArchiveTable, up_to
from airflow_provider_chista.operators.audit import AuditArchiveOperator
from airflow_provider_chista.operators.drain import DrainTopicOperator
from airflow_provider_chista.operators.restore import RestoreRowsOperator
from airflow_provider_chista.sensors.capture import SourceCapturedSensor

_TEXT: dict[str, Any] = {"type": ["null", "string"]}
"""A field that may stay empty; Airflow's form insists on every other one."""
_WINDOW = {
    "window_start": Param(
        None, **_TEXT, format="date", title="Window start", description="First day of the rows (UTC)."
    ),
    "window_end": Param(
        None, **_TEXT, format="date", title="Window end", description="Their end, exclusive (UTC)."
    ),
}

_RESTORES = """Brings archived rows back to the source, by hand: those of a window, of row keys, or of a purge batch.

Each row is compared with the archive before its transaction commits; rows that are at the source already are left alone.
**Dry run** shows how many would come back.
"""
_AUDITS = """Proves that what was purged is still in the archive as it was, and that nothing lies open.

A finding fails the task of its table, and is named in its log with what to do. Nothing is changed at the source.
"""


def restore_dag(
    dag_id: str,
    *,
    tables: Sequence[ArchiveTable],
    source_conn_id: str,
    restore_conn_id: str,
    connector: str,
    topic_prefix: str,
    kafka_conn_id: str = "kafka_default",
    kafka_connect_conn_id: str = "kafka_connect_default",
    clickhouse_conn_id: str = "clickhouse_default",
    schema_registry_conn_id: str | None = None,
    default_args: Mapping[str, Any] | None = None,
    **dag_kwargs: Any,
) -> DAG:
    """A Dag without schedule that brings rows of one table back to the source (:class:`RestoreRowsOperator`).

    Its form asks for the table, for a window, row keys or a purge batch, what to do with rows that are there in another form,
    and whether it is a dry run. The archive is drained before, so that rows which the application has deleted do not come
    back, and behind it, so that a window of restored rows can be verified, and purged again, at once.

    :param dag_id: the Dag's id; :param tables: those of the archive.
    :param source_conn_id: the source as the verify user; :param restore_conn_id: the source as the restore user.
    :param connector: the archive's connector; :param topic_prefix: first part of its topics' names.
    :param kafka_conn_id: Kafka; :param kafka_connect_conn_id: Kafka Connect; :param clickhouse_conn_id: ClickHouse.
    :param schema_registry_conn_id: schema registry, for a connector that writes Avro; None: it writes JSON.
    :param default_args: over the defaults of 5 retries, 15 seconds apart.
    :param dag_kwargs: further arguments of the Dag.
    """
    systems: dict[str, Any] = {
        "source_conn_id": source_conn_id,
        "kafka_conn_id": kafka_conn_id,
        "kafka_connect_conn_id": kafka_connect_conn_id,
        "clickhouse_conn_id": clickhouse_conn_id,
        "schema_registry_conn_id": schema_registry_conn_id,
    }
    stream: dict[str, Any] = {
        "connector": connector,
        "topic_prefix": topic_prefix,
        "tables": ["{{ params.table }}"],
    }
    pair: dict[str, Any] = {"table": "{{ params.table }}", "target": "{{ archived[params.table] }}"}
    names = [table.source for table in tables]
    form = {
        "table": Param(names[0], enum=names, title="Table", description="Source table whose rows come back."),
        **_WINDOW,
        "row_keys": Param(
            None,
            type=["null", "array"],
            title="Row keys",
            description="In place of a window, as the ledger's tables spell them.",
        ),
        "batch_id": Param(
            None, **_TEXT, title="Purge batch", description="In place of a window: its id in the ledger."
        ),
        "conflicts": Param(
            "refuse", enum=["refuse", "skip"], title="Rows that the source has in another form"
        ),
        "dry_run": Param(
            False, type="boolean", title="Dry run", description="Log the statement and the counts alone."
        ),
        "reason": WINDOW_PARAMS["reason"],
    }
    macros = {
        "archived": {table.source: table.target for table in tables},
        "time_columns": {table.source: table.time_column or "" for table in tables},
    }
    dag_kwargs["user_defined_macros"] = {**macros, **dag_kwargs.get("user_defined_macros", {})}
    with _dag(dag_id, None, form, default_args, "restore", _RESTORES, dag_kwargs) as dag:
        before = SourceCapturedSensor(task_id="source_captured", **stream, **systems)
        drain = DrainTopicOperator(task_id="drain", **up_to(before), **pair, **systems)
        restore = RestoreRowsOperator(
            task_id="restore",
            restore_conn_id=restore_conn_id,
            time_column="{{ time_columns[params.table] }}",
            batch_id="{{ params.batch_id or '' }}",
            row_keys="{{ (params.row_keys or []) | tojson }}",
            conflicts="{{ params.conflicts }}",
            **pair,
            **systems,
        )
        behind = SourceCapturedSensor(task_id="restore_captured", **stream, **systems)
        inserts = DrainTopicOperator(task_id="drain_inserts", **up_to(behind), **pair, **systems)
        before >> drain >> restore >> behind >> inserts
    return dag


def audit_dag(
    dag_id: str,
    *,
    tables: Sequence[ArchiveTable],
    source_conn_id: str,
    connector: str,
    topic_prefix: str,
    cron: str | None = "@weekly",
    kafka_conn_id: str = "kafka_default",
    kafka_connect_conn_id: str = "kafka_connect_default",
    clickhouse_conn_id: str = "clickhouse_default",
    schema_registry_conn_id: str | None = None,
    default_args: Mapping[str, Any] | None = None,
    **dag_kwargs: Any,
) -> DAG:
    """A Dag that proves again what was purged, each table in a mapped task of its name (:class:`AuditArchiveOperator`).

    A table with findings fails alone, and the run with it. The form takes a window, to audit a part of the purges alone.

    :param dag_id: the Dag's id; :param tables: those of the archive.
    :param source_conn_id: the source as the verify user.
    :param connector: the archive's connector; :param topic_prefix: first part of its topics' names.
    :param cron: when; None for a Dag without schedule.
    :param kafka_conn_id: Kafka; :param kafka_connect_conn_id: Kafka Connect; :param clickhouse_conn_id: ClickHouse.
    :param schema_registry_conn_id: schema registry, for a connector that writes Avro; None: it writes JSON.
    :param default_args: over the defaults of 5 retries, 15 seconds apart.
    :param dag_kwargs: further arguments of the Dag.
    """
    with _dag(dag_id, cron, _WINDOW, default_args, "audit", _AUDITS, dag_kwargs) as dag:
        AuditArchiveOperator.partial(
            task_id="audit",
            source_conn_id=source_conn_id,
            kafka_conn_id=kafka_conn_id,
            kafka_connect_conn_id=kafka_connect_conn_id,
            clickhouse_conn_id=clickhouse_conn_id,
            schema_registry_conn_id=schema_registry_conn_id,
            connector=connector,
            topic_prefix=topic_prefix,
            window_start="{{ params.window_start or '' }}",
            window_end="{{ params.window_end or '' }}",
            map_index_template="{{ task.tables | join }}",
        ).expand(tables=[{table.source: table.target} for table in tables])
    return dag


def _dag(
    dag_id: str,
    cron: str | None,
    form: Mapping[str, Param],
    default_args: Mapping[str, Any] | None,
    tag: str,
    doc_md: str,
    given: Mapping[str, Any],
) -> DAG:
    """A Dag with this form and what restores and audits have alike; ``given`` wins, and its params are added."""
    usual = {"start_date": LONG_AGO, "max_active_runs": 1, "tags": ["chista", tag], "doc_md": doc_md}
    return DAG(
        dag_id,
        schedule=cron,
        catchup=False,
        default_args={**DEFAULT_ARGS, **(default_args or {})},
        **{**usual, **given, "params": {**form, **given.get("params", {})}},
    )
