"""The Dag factory: one call gives the whole archive of a source, from preflight to seal.

.. code-block:: text

    preflight ─ register ─ running ─ create tables ─ snapshot ─ captured ─┬─ table A
                                                                         ├─ table B
                                                                         └─ …
    with snapshot="windows", create tables ─┬─ table A: snapshot window ─ captured ─ …
    table: drain ─ drained ─ verify ─ approve ─ purge ─ purge captured ─ drain deletes ─ seal
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import DAG, BaseNotifier, BaseOperator, Param, TaskGroup

from airflow_provider_chista.archive.throttle import ThrottleOptions
from airflow_provider_chista.assets import Event, archive_asset
from airflow_provider_chista.debezium.config import default_slot, is_topic_prefix
from airflow_provider_chista.errors import FatalError
from airflow_provider_chista.model import names
from airflow_provider_chista.operators.approve import ApprovePurgeOperator
from airflow_provider_chista.operators.connector import RegisterConnectorOperator
from airflow_provider_chista.operators.drain import DrainTopicOperator
from airflow_provider_chista.operators.preflight import PreflightOperator
from airflow_provider_chista.operators.purge import PurgeSourceOperator, SealArchiveOperator
from airflow_provider_chista.operators.snapshot import SnapshotWindowOperator
from airflow_provider_chista.operators.table import CreateArchiveTableOperator
from airflow_provider_chista.operators.verify import VerifyArchiveOperator
from airflow_provider_chista.sensors.capture import SourceCapturedSensor
from airflow_provider_chista.sensors.connector import ConnectorRunningSensor
from airflow_provider_chista.sensors.snapshot import SnapshotCompletedSensor
from airflow_provider_chista.sensors.topic import TopicDrainedSensor
from airflow_provider_chista.timetables.retention import RetentionTimetable


@dataclass(frozen=True, slots=True)
class ArchiveTable:
    """One table of an archive.

    :param source: source table, ``schema.table`` (MySQL and MariaDB: ``database.table``).
    :param target: archive table in ClickHouse, ``database.table``.
    :param time_column: a timestamp, a date, or a text that holds ISO-8601 dates; None archives the table whole in every run.
    :param purge: whether its rows may be deleted at the source; False ends with the proof.
    :param listed: foreign keys and triggers that are known and accepted, as the refusal spells them.
    :param exclude: columns to leave out; :param column_types: ClickHouse types by column; see
        :class:`CreateArchiveTableOperator`.
    :param on_truncate: what a TRUNCATE at the source does: ``stop`` or ``keep``.
    :param repair: whether rows that the stream did not carry exactly are read from the source
        (:class:`VerifyArchiveOperator`).
    :param method: how rows leave the source, ``rows`` or ``partition``; :param partition_action: ``drop`` or ``detach``;
        as in :class:`PurgeSourceOperator`.
    """

    source: str
    target: str
    time_column: str | None = None
    purge: bool = True
    listed: Sequence[str] = ()
    exclude: Sequence[str] = ()
    column_types: Mapping[str, Any] | None = None
    on_truncate: str = "stop"
    repair: bool = False
    method: str = "rows"
    partition_action: str = "drop"

    @property
    def group(self) -> str:
        """Id of the table's task group."""
        return "".join(c if c.isalnum() or c in "-_" else "_" for c in self.source)


WINDOW_PARAMS: dict[str, Param] = {
    "window_start": Param(
        None,
        type=["null", "string"],
        format="date",
        title="Window start",
        description="First day of the rows (UTC). Empty: the run's data interval.",
    ),
    "window_end": Param(
        None,
        type=["null", "string"],
        format="date",
        title="Window end",
        description="End of the rows, exclusive (UTC). Empty: the run's data interval.",
    ),
    "dry_run": Param(
        False, type="boolean", title="Dry run", description="Archive and verify; log what would be deleted."
    ),
    "purge": Param(
        True,
        type="boolean",
        title="Purge",
        description="Ask for approval, then delete the proven rows at the source.",
    ),
    "reason": Param(
        None,
        type=["null", "string"],
        title="Reason",
        description="Why this run is started; kept in the ledger.",
    ),
}
"""The trigger form of an archive Dag."""


DEFAULT_ARGS: dict[str, Any] = {"retries": 5, "retry_delay": timedelta(seconds=15)}
"""What every task gets that is not told otherwise."""

LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
"""A start date that is before every row, since Airflow gives runs before it no tasks."""

_TO_THE_BARRIER: dict[str, Any] = {"max_rows": 2**48, "max_bytes": 2**60, "max_seconds": 7 * 86_400.0}
"""Limits of a drain that what follows it waits for: the barrier alone ends it."""

_MEASURED = ("max_lag", "max_load", "lag_conn_ids")
"""Parts of a throttle that source and replicas must be able to tell, so that the preflight asks them."""


def archive_dag(
    dag_id: str,
    *,
    tables: Sequence[ArchiveTable],
    source_conn_id: str,
    capture_conn_id: str | None = None,
    connector: str | None = None,
    topic_prefix: str | None = None,
    purge_conn_id: str | None = None,
    capture_password: str | None = None,
    connector_overrides: Mapping[str, object] | None = None,
    slot: str | None = None,
    publication: str = "chista",
    retention: timedelta = timedelta(days=365),
    cron: str | None = "@daily",
    start_date: datetime = LONG_AGO,
    kafka_conn_id: str = "kafka_default",
    kafka_connect_conn_id: str = "kafka_connect_default",
    clickhouse_conn_id: str = "clickhouse_default",
    schema_registry_conn_id: str | None = None,
    approval_timeout: timedelta = timedelta(days=2),
    approval_notifiers: Sequence[BaseNotifier] = (),
    throttle: Mapping[str, Any] | None = None,
    min_replicas: int = 1,
    snapshot: str = "initial",
    asset_events: bool = True,
    default_args: Mapping[str, Any] | None = None,
    **dag_kwargs: Any,
) -> DAG:
    """A Dag that archives tables of one source, and deletes what is proven and approved.

    A run owns the rows of one window: the form's dates, or the data interval of :class:`RetentionTimetable`, which gives each
    day's rows to one run once they are ``retention`` old. Schedule, manual run and backfill mean the same thing by
    their dates: the dates of the rows.

    :param dag_id: the Dag's id.
    :param tables: what to archive.
    :param connector: the connector's name; :param topic_prefix: first part of its topics' names; both are the Dag's id by
        default. Another id makes another connector then, which reads everything anew; give both to rename the Dag.
    :param source_conn_id: the source as the verify user; :param purge_conn_id: the source as the purge user; None where
        no table is purged.
    :param capture_conn_id: the source as the capture user, as the Connect worker reaches it; None: ``source_conn_id``, whose
        user then needs the grants of both, and whose password goes to Connect where there is no ``capture_password``.
    :param capture_password: config provider reference of the capture user's password, such as ``${env:NAME}``.
    :param connector_overrides: further properties of the connector, such as those of TLS.
    :param slot: replication slot; :param publication: publication; PostgreSQL only.
    :param retention: age from which rows are archived by schedule, and below which none is purged.
    :param cron: ticks that bound the windows; None for a Dag without schedule.
    :param start_date: as in Airflow, which gives a manual run dated before it no tasks and calls it a success; so it is
        long ago, and a Dag with ``catchup`` should give its own.
    :param kafka_conn_id: Kafka; :param kafka_connect_conn_id: Kafka Connect; :param clickhouse_conn_id: ClickHouse.
    :param schema_registry_conn_id: schema registry, for a connector that writes Avro (docs/avro.md); None: it writes JSON.
    :param approval_timeout: how long to wait for an approval; then the answer is Reject.
    :param approval_notifiers: Airflow's notifiers, which tell people that an approval is waited for.
    :param throttle: what holds the purges back: arguments of :class:`PurgeSourceOperator` by name, such as
        ``{"max_lag": 5, "lag_conn_ids": ["orders_replica"], "hours": "22:00-06:00"}``.
    :param min_replicas: replicas of an archive table that must hold what is purged (docs/clusters.md).
    :param snapshot: what brings the rows from before the connector: ``initial``, its own snapshot of whole tables, or
        ``windows``, a request of each run for the rows of its window (:class:`SnapshotWindowOperator`), for tables of which
        only some ranges are wanted. The connector then is registered with ``snapshot.mode=no_data``.
    :param asset_events: whether proofs, purges and seals give events to the assets of their tables
        (:func:`airflow_provider_chista.assets.archive_asset`).
    :param default_args: over the defaults of 5 retries, 15 seconds apart.
    :param dag_kwargs: further arguments of the Dag.
    :raises FatalError: a value of ``throttle`` or ``snapshot`` cannot be used, the topic prefix cannot be part of a topic's
        name, or tables are to be purged and there is no ``purge_conn_id``.
    :raises TypeError: ``throttle`` has another argument.
    """
    connector, topic_prefix = connector or dag_id, topic_prefix or dag_id
    capture_conn_id = capture_conn_id or source_conn_id
    if not is_topic_prefix(topic_prefix):
        raise FatalError(
            f"topic_prefix is {topic_prefix!r}; give one of letters, digits, '.', '_', '-' for the topics' names"
        )
    purged = [table.source for table in tables if table.purge]
    if purged and purge_conn_id is None:
        raise FatalError(
            f"purge_conn_id is missing, and these are to be purged: {names(purged)}; give it, or purge=False"
        )
    overrides = _overrides(snapshot, tables, connector_overrides or {})
    systems: dict[str, Any] = {
        "kafka_conn_id": kafka_conn_id,
        "kafka_connect_conn_id": kafka_connect_conn_id,
        "clickhouse_conn_id": clickhouse_conn_id,
        "schema_registry_conn_id": schema_registry_conn_id,
    }
    shared: dict[str, Any] = {"source_conn_id": source_conn_id, **systems}
    stream: dict[str, Any] = {"connector": connector, "topic_prefix": topic_prefix}
    held_back = _checked_throttle(throttle or {})
    sources = [table.source for table in tables]
    slot = slot or default_slot(topic_prefix)
    targets = {table.source: table.target for table in tables}
    choices: dict[str, Any] = {
        "exclude": {table.source: list(table.exclude) for table in tables if table.exclude},
        "column_types": {table.source: dict(table.column_types) for table in tables if table.column_types},
    }
    with DAG(
        dag_id,
        schedule=RetentionTimetable(cron, retention) if cron else None,
        start_date=start_date,
        catchup=dag_kwargs.pop("catchup", False),
        params={**WINDOW_PARAMS, **dag_kwargs.pop("params", {})},
        default_args={**DEFAULT_ARGS, **(default_args or {})},
        max_active_runs=dag_kwargs.pop("max_active_runs", 4),
        tags=dag_kwargs.pop("tags", ["chista", "archive"]),
        **dag_kwargs,
    ) as dag:
        preflight = PreflightOperator(
            task_id="preflight",
            tables=targets,
            purge_tables=purged,
            capture_conn_id=capture_conn_id,
            time_columns={table.source: table.time_column for table in tables if table.time_column},
            listed=[name for table in tables for name in table.listed],
            slot=slot,
            publication=publication,
            purge_conn_id=purge_conn_id,
            min_replicas=min_replicas,
            **{name: value for name, value in held_back.items() if name in _MEASURED},
            **choices,
            **shared,
        )
        register = RegisterConnectorOperator(
            task_id="register_connector",
            tables=sources,
            exclude=choices["exclude"],
            capture_conn_id=capture_conn_id,
            password=capture_password,
            overrides=overrides,
            slot=slot,
            publication=publication,
            **stream,
            **shared,
        )
        running = ConnectorRunningSensor(task_id="connector_running", connector=connector, **shared)
        create = CreateArchiveTableOperator(task_id="create_tables", tables=targets, **choices, **shared)
        preflight >> register >> running >> create
        if snapshot == "initial":
            completed = SnapshotCompletedSensor(
                task_id="snapshot_completed", tables=sources, **stream, **shared
            )
            captured = SourceCapturedSensor(task_id="source_captured", tables=sources, **stream, **shared)
            create >> completed >> captured
        for table in tables:
            with TaskGroup(table.group):
                if snapshot == "windows":
                    captured = _read_window(table, create, stream, shared)
                verify = _archive(table, captured, stream, shared)
                stages: dict[str, BaseOperator] = {Event.VERIFIED: verify}
                if table.purge and purge_conn_id is not None:
                    guards = {
                        "retention": retention,
                        "slot": slot,
                        "publication": publication,
                        "min_replicas": min_replicas,
                        **held_back,
                    }
                    asking = {"response_timeout": approval_timeout, "notifiers": list(approval_notifiers)}
                    purge, seal = _purge(table, verify, stream, shared, purge_conn_id, guards, asking)
                    stages |= {Event.PURGED: purge, Event.SEALED: seal}
                if asset_events:
                    for event, stage in stages.items():
                        stage.outlets.append(archive_asset(table.target, event, clickhouse_conn_id))
    return dag


def _overrides(
    snapshot: str, tables: Sequence[ArchiveTable], given: Mapping[str, object]
) -> Mapping[str, object]:
    """Properties of the connector, with those that the way of its snapshot needs."""
    if snapshot not in ("initial", "windows"):
        raise FatalError(f"snapshot is {snapshot!r}; it must be 'initial' or 'windows'")
    if snapshot == "initial":
        return given
    if whole := [table.source for table in tables if table.time_column is None]:
        raise FatalError(f"snapshot='windows' needs a time_column of each table; missing: {names(whole)}")
    return {"snapshot.mode": "no_data", **given}


def _read_window(
    table: ArchiveTable,
    create: CreateArchiveTableOperator,
    stream: Mapping[str, Any],
    shared: Mapping[str, Any],
) -> SourceCapturedSensor:
    """Ask for the window's rows, and wait until they are in the topic; a table of its own fails alone."""
    asked = SnapshotWindowOperator(
        task_id="snapshot_window",
        table=table.source,
        time_column=str(table.time_column),
        **stream,
        **shared,
    )
    captured = SourceCapturedSensor(task_id="source_captured", tables=[table.source], **stream, **shared)
    create >> asked >> captured
    return captured


def _checked_throttle(given: Mapping[str, Any]) -> dict[str, Any]:
    """What was given, and nothing but arguments of a throttle with values that can be used."""
    ThrottleOptions(
        **{name: value for name, value in given.items() if name not in ("lag_conn_ids", "sentinel")}
    )
    return dict(given)


def up_to(captured: SourceCapturedSensor) -> dict[str, Any]:
    """Arguments of a drain: whose topics, and that it ends at the barrier that this sensor found."""
    return {"topic_prefix": captured.topic_prefix, "barrier": captured.output, **_TO_THE_BARRIER}


def _archive(
    table: ArchiveTable, captured: SourceCapturedSensor, stream: Mapping[str, Any], shared: Mapping[str, Any]
) -> VerifyArchiveOperator:
    """Drain to the barrier, wait for it, verify."""
    pair: dict[str, Any] = {"table": table.source, "target": table.target, **shared}
    drain = DrainTopicOperator(task_id="drain", on_truncate=table.on_truncate, **up_to(captured), **pair)
    ends: dict[str, Any] = {"topic_prefix": captured.topic_prefix, "barrier": captured.output}
    drained = TopicDrainedSensor(task_id="drained", **ends, **pair)
    verify = VerifyArchiveOperator(
        task_id="verify", time_column=table.time_column, repair=table.repair, **stream, **pair
    )
    captured >> drain >> drained >> verify
    return verify


def _purge(
    table: ArchiveTable,
    verify: VerifyArchiveOperator,
    stream: Mapping[str, Any],
    shared: Mapping[str, Any],
    purge_conn_id: str,
    guards: Mapping[str, Any],
    asking: Mapping[str, Any],
) -> tuple[PurgeSourceOperator, SealArchiveOperator]:
    """Ask, delete, wait for the deletes to come back, seal."""
    window: dict[str, Any] = {"table": table.source, "target": table.target, "time_column": table.time_column}
    proof = f"{{{{ ti.xcom_pull(task_ids='{verify.task_id}')['verify_id'] }}}}"
    approve = ApprovePurgeOperator(
        task_id="approve",
        verify_id=proof,
        source_conn_id=shared["source_conn_id"],
        clickhouse_conn_id=shared["clickhouse_conn_id"],
        **asking,
        **window,
    )
    purge = PurgeSourceOperator(
        task_id="purge",
        purge_conn_id=purge_conn_id,
        verify_id=proof,
        listed=list(table.listed),
        method=table.method,
        partition_action=table.partition_action,
        **guards,
        **window,
        **shared,
    )
    captured = SourceCapturedSensor(task_id="purge_captured", tables=[table.source], **stream, **shared)
    pair: dict[str, Any] = {"table": table.source, "target": table.target, **shared}
    drain = DrainTopicOperator(
        task_id="drain_deletes", on_truncate=table.on_truncate, **up_to(captured), **pair
    )
    seal = SealArchiveOperator(
        task_id="seal", purge_conn_id=purge_conn_id, verify_id=proof, **stream, **window, **shared
    )
    verify >> approve >> purge >> captured >> drain >> seal
    return purge, seal
