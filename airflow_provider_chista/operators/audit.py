"""Operator: audit what was archived and purged."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow.sdk import Context

from airflow_provider_chista import metrics
from airflow_provider_chista.archive import window as windows
from airflow_provider_chista.errors import FatalError
from airflow_provider_chista.hooks.errors import airflow_errors
from airflow_provider_chista.links import ConnectorLink, QueryLink, audits_query
from airflow_provider_chista.model import TableId
from airflow_provider_chista.operators.base import ArchiveOperator, author

if TYPE_CHECKING:
    from airflow_provider_chista.archive.audit import Audit
    from airflow_provider_chista.hooks.services import Services


class AuditArchiveOperator(ArchiveOperator):
    """Proves again that purged rows are in the archive as they were when they were deleted, and looks for what lies open.

    Of every sealed batch ClickHouse computes the digest again; rows that are missing, differ, or that neither a purge nor the
    source knows are named by key, in the log and in the state table ``mismatches``. Rows that the application has written or
    deleted since, and restored ones, are no damage. Deletes in quarantine, dead letters and unsealed batches that are older
    than allowed, and a table without a young proof, are findings too. Any finding fails the task, behind the audit of all
    tables; each table gets an entry ``audited`` in the ledger either way. Changes nothing at the source. Returns the counts
    of each table. Other parameters: :class:`ArchiveOperator`.

    :param tables: source table to archive table; None: all of the source's engine that the ledger knows.
    :param window_start: audit only batches whose window reaches beyond it, ISO-8601 UTC; :param window_end: and begins
        before it.
    :param connector: name of the connector; :param topic_prefix: its ``topic.prefix``. With both the archive is caught up
        once when something looks damaged, before it is called so; without, drain to a barrier before the audit.
    :param catch_up_timeout: seconds to wait for the capture then.
    :param max_waiting_age: age from which a delete in quarantine is a finding; None: never.
    :param max_letter_age: the same of open dead letters; :param max_unsealed_age: of purges that are not sealed;
        :param max_proof_age: of a table's newest proof.
    """

    template_fields: Sequence[str] = (
        "tables",
        "window_start",
        "window_end",
        "connector",
        "topic_prefix",
        "source_conn_id",
    )
    operator_extra_links: Any = (ConnectorLink(), QueryLink())
    ui_color = "#d6e9c6"

    def __init__(
        self,
        *,
        tables: dict[str, str] | None = None,
        window_start: str | None = None,
        window_end: str | None = None,
        connector: str | None = None,
        topic_prefix: str | None = None,
        catch_up_timeout: float = 300.0,
        max_waiting_age: timedelta | None = timedelta(days=1),
        max_letter_age: timedelta | None = timedelta(days=1),
        max_unsealed_age: timedelta | None = timedelta(days=1),
        max_proof_age: timedelta | None = timedelta(days=7),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.tables = tables
        self.window_start = window_start
        self.window_end = window_end
        self.connector = connector
        self.topic_prefix = topic_prefix
        self.catch_up_timeout = catch_up_timeout
        self.max_waiting_age = max_waiting_age
        self.max_letter_age = max_letter_age
        self.max_unsealed_age = max_unsealed_age
        self.max_proof_age = max_proof_age

    def query_sql(self, context: Context) -> str:
        """The audits of these tables."""
        return audits_query(map(TableId.parse, (self.tables or {}).values()))

    def execute(self, context: Context) -> dict[str, Any]:
        """Audit."""
        from airflow_provider_chista.archive.audit import audit

        with airflow_errors(), self.connections.opened() as services:
            tables = self._tables(services)
            report = audit(tables, partial(self._audit, context, services))
            context["ti"].xcom_push("audit", report.summary())
            for table in report.tables:
                self.log.info("audited %s: %s", table.target, table.summary())
                meter = metrics.Meter.of(context, tables[TableId.parse(table.target)], table.target)
                meter.gauge(metrics.AUDIT_FINDINGS, len(table.findings))
            report.require_sound()
        return report.summary()

    def _tables(self, services: Services) -> Mapping[TableId, TableId]:
        """Archive table to source table."""
        from airflow_provider_chista.archive.audit import archived_tables

        if self.tables is not None:
            return {TableId.parse(target): TableId.parse(name) for name, target in self.tables.items()}
        return archived_tables(services.control, services.source.flavour)

    def _audit(self, context: Context, services: Services, name: TableId, target: TableId) -> Audit:
        from airflow_provider_chista.archive.audit import Audit
        from airflow_provider_chista.archive.backlog import AuditLimits
        from airflow_provider_chista.archive.question import question

        manifests = services.manifests(services.archived(name, target), target)
        start, end = (windows.parse_bound(b) if b else None for b in (self.window_start, self.window_end))
        self.log.info(
            "auditing %s. Who deleted a row of it, when, on what proof, and where it is now (docs/audit.md):\n%s",
            target, question(manifests.types, manifests.table),
        )  # fmt: skip
        return Audit(
            services.source,
            manifests,
            services.ledger(name, target, None, author(context)),
            AuditLimits(self.max_waiting_age, self.max_letter_age, self.max_unsealed_age, self.max_proof_age),
            start,
            end,
            self._catching_up(services, name, target),
            log=self.log.info,
        )

    def _catching_up(self, services: Services, name: TableId, target: TableId) -> Callable[[], None] | None:
        """How to catch up, when the connector is named."""
        if bool(self.connector) != bool(self.topic_prefix):
            raise FatalError("connector and topic_prefix belong together; give both, or neither")
        return services.catching_up(
            name,
            target,
            connector=self.connector or None,
            topic_prefix=self.topic_prefix or None,
            timeout=self.catch_up_timeout,
            stopped=self._stop.is_set,
        )
