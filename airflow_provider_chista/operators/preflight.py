"""Operator: check everything before anything is changed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk import Context

from airflow_provider_chista.archive.throttle import ThrottleOptions
from airflow_provider_chista.hooks.errors import airflow_errors
from airflow_provider_chista.hooks.window import run_window
from airflow_provider_chista.model import TableId, describe
from airflow_provider_chista.operators.base import ArchiveOperator

if TYPE_CHECKING:
    from airflow_provider_chista.archive.preflight import ArchivePlan


class PreflightOperator(ArchiveOperator):
    """Checks source settings, grants, keys and types, Kafka, Kafka Connect and ClickHouse; changes nothing at the source.

    Logs one report with every finding and its remedy. Fails on findings that prevent archiving; findings that only
    prevent a purge are warnings here, and the purge refuses by them. A run that has no window fails here too, before
    anything was changed. Returns counts by severity and the subjects that must not be purged. Other parameters:
    :class:`ArchiveOperator`.

    :param tables: source table to archive table.
    :param time_columns: source table to its time column.
    :param window_start: first day of the window; :param window_end: its end; as in :class:`WindowOperator`.
    :param purge_tables: source tables whose rows will be deleted, for which the purge user needs its rights; None: all.
    :param capture_conn_id: the source as the capture user; its grants are asked when the connection has a password.
    :param exclude: columns to leave out; :param column_types: chosen ClickHouse types; as in
        :class:`CreateArchiveTableOperator`.
    :param listed: foreign keys and triggers that are known and accepted, as the findings spell them.
    :param slot: the connector's replication slot; PostgreSQL only.
    :param publication: the connector's publication; PostgreSQL only.
    :param min_replicas: the purge's, which each archive table must have.
    :param max_lag: the purge's; :param max_load: the purge's; :param lag_conn_ids: the purge's. Source and replicas must be
        able to tell what these ask for; as in :class:`PurgeSourceOperator`.
    """

    template_fields: Sequence[str] = (
        "tables",
        "time_columns",
        "window_start",
        "window_end",
        "purge_tables",
        "exclude",
        "column_types",
        "listed",
        "source_conn_id",
        "purge_conn_id",
        "capture_conn_id",
        "lag_conn_ids",
    )

    def __init__(
        self,
        *,
        tables: dict[str, str],
        time_columns: dict[str, str] | None = None,
        window_start: str | None = None,
        window_end: str | None = None,
        purge_tables: list[str] | None = None,
        capture_conn_id: str | None = None,
        exclude: dict[str, list[str]] | None = None,
        column_types: dict[str, dict[str, Any]] | None = None,
        listed: Sequence[str] = (),
        slot: str | None = None,
        publication: str | None = None,
        min_replicas: int = 1,
        max_lag: float | None = None,
        max_load: int | None = None,
        lag_conn_ids: Sequence[str] = (),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.tables = tables
        self.time_columns = time_columns
        self.window_start = window_start
        self.window_end = window_end
        self.purge_tables = purge_tables
        self.capture_conn_id = capture_conn_id
        self.exclude = exclude
        self.column_types = column_types
        self.listed = listed
        self.slot = slot
        self.publication = publication
        self.min_replicas = min_replicas
        self.max_lag = max_lag
        self.max_load = max_load
        self.lag_conn_ids = lag_conn_ids

    def execute(self, context: Context) -> dict[str, Any]:
        """Make all checks."""
        with airflow_errors(), self.connections.opened() as services:
            plan = self._plan()
            for table, column in plan.time_columns.items():
                window = run_window(context, column, self.window_start, self.window_end)
                self.log.info("this run owns the rows of %s with %s", table, describe(window))
            report = services.preflight(
                plan, capture_conn_id=self.capture_conn_id, lag_conn_ids=self.lag_conn_ids
            )
            self.log.info("%s", report)
            report.require_no_error()
        return report.summary()

    def _plan(self) -> ArchivePlan:
        from airflow_provider_chista.archive.preflight import ArchivePlan
        from airflow_provider_chista.clickhouse.choices import Choices

        return ArchivePlan(
            targets={TableId.parse(table): TableId.parse(target) for table, target in self.tables.items()},
            time_columns={TableId.parse(t): column for t, column in (self.time_columns or {}).items()},
            purged=tuple(
                TableId.parse(t) for t in (self.tables if self.purge_tables is None else self.purge_tables)
            ),
            choices={
                TableId.parse(t): Choices.parse((self.exclude or {}).get(t), (self.column_types or {}).get(t))
                for t in self.tables
            },
            listed=tuple(self.listed),
            slot=self.slot,
            publication=self.publication,
            avro=self.schema_registry_conn_id is not None,
            throttle=ThrottleOptions(max_lag=self.max_lag, max_load=self.max_load),
            min_replicas=self.min_replicas,
        )
