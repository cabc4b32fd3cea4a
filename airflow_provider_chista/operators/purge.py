"""Operators: delete proven rows at the source, and seal the batch."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from airflow.sdk import Context, Variable
from airflow.sdk.exceptions import AirflowSkipException

from airflow_provider_chista import metrics
from airflow_provider_chista.archive.policies import DeletePolicy
from airflow_provider_chista.archive.progress import Progress
from airflow_provider_chista.archive.purgereport import PurgeMethod, PurgeOptions, PurgeReport
from airflow_provider_chista.archive.throttle import ThrottleOptions
from airflow_provider_chista.assets import Event, emit
from airflow_provider_chista.debezium.config import control_topic, topic_name
from airflow_provider_chista.errors import ChistaError
from airflow_provider_chista.hooks.errors import airflow_errors
from airflow_provider_chista.lineage import PURGE, SEAL, Moved
from airflow_provider_chista.model import TableId, describe
from airflow_provider_chista.operators.base import WindowOperator, author
from airflow_provider_chista.progress import Reporter
from airflow_provider_chista.sources.base import Source
from airflow_provider_chista.sources.partitions import PartitionAction

_OFF = frozenset({"", "0", "false", "no", "off", "none"})
"""Values of the Airflow Variable ``sentinel`` that let the purge run."""


class PurgeSourceOperator(WindowOperator):
    """Deletes the proven rows of the window at the source, each in a transaction that proves it once more.

    Needs a proof of exactly this window and its approval in the ledger, and refuses, with all reasons at once, when a
    promise could not be kept: a window younger than ``retention``, a ``mirror`` table, open dead letters, foreign keys
    with CASCADE or SET NULL and DELETE triggers that are not ``listed``, deletes that wait in quarantine, an earlier batch
    that nobody sealed, a connector that was configured otherwise since the proof, anything that could drop rows of the
    archive table (a TTL, CLEANUP merges, a mutation), too few replicas, changed columns.
    Rows that were changed since the proof, are gone, or are no longer in the archive are skipped with the reason. Can be
    killed and repeated at any point. Returns a summary: proven, deleted, skipped by reason, why it ended, what throttled it,
    and the space that the table takes at the source.
    Other parameters: :class:`WindowOperator`.

    One purge of a table runs at a time; another one waits for its end. Between two transactions it waits as long as anything
    holds it back (docs/throttle.md): replica lag, load, pace, time of day, the Variable ``sentinel``, a row in the state
    table ``pauses``; ``execution_timeout`` bounds that. A run that ``run_time`` or ``limit`` ends skips what is downstream,
    so that nothing is sealed; cleared, it goes on with its batch.

    :param verify_id: the proof to purge by, usually ``{{ ti.xcom_pull(task_ids='verify')['verify_id'] }}``; None: the
        window's newest.
    :param retention: a window that ends later than now minus this is refused.
    :param txn_size: rows per source transaction.
    :param parallel: transactions at a time, each with a connection of its own to the source.
    :param dry_run: log SQL and counts, delete nothing, skip what is downstream; the param ``dry_run`` does the same.
    :param require_approval: False purges without an approval.
    :param listed: foreign keys, triggers and unsealed batches that are known and accepted, as the refusal spells them.
    :param min_replicas: replicas of the archive table that must hold every proven row (docs/clusters.md).
    :param method: ``rows`` deletes rows; ``partition`` removes the partitions that lie in the window whole, PostgreSQL only.
    :param partition_action: ``drop`` the partitions, or ``detach`` them and leave them beside as tables.
    :param delete_policy: the table's delete policy.
    :param slot: the connector's replication slot; PostgreSQL only.
    :param publication: the connector's publication, which must carry table and purge log; PostgreSQL only.
    :param max_lag: seconds that a replica may be behind; one whose lag is unknown is too far behind.
    :param lag_conn_ids: connections to the replicas whose lag counts; PostgreSQL finds its standbys when there are none.
    :param max_load: sessions that may run a statement at the source, the purge's own left out.
    :param rows_per_second: rows deleted at most in a second; a transaction then holds at most as many.
    :param sleep_ratio: seconds of rest for each second that a transaction took.
    :param hours: daily window in UTC in which rows may be deleted, ``HH:MM-HH:MM``; it may cross midnight.
    :param run_time: how long a try of the task lasts, its pauses included, before it ends unfinished.
    :param limit: rows that a try of the task deletes before it ends unfinished.
    :param sentinel: name of an Airflow Variable that pauses the purge while it has a value other than ``0``, ``false``,
        ``no``, ``off`` or ``none``.
    """

    template_fields: Sequence[str] = (
        *WindowOperator.template_fields,
        "verify_id",
        "listed",
        "delete_policy",
        "lag_conn_ids",
        "sentinel",
    )
    ui_color = "#f8d7da"

    def __init__(
        self,
        *,
        purge_conn_id: str,
        retention: timedelta,
        verify_id: str | None = None,
        txn_size: int = 1_000,
        parallel: int = 1,
        dry_run: bool = False,
        require_approval: bool = True,
        listed: Sequence[str] = (),
        min_replicas: int = 1,
        method: str = PurgeMethod.ROWS,
        partition_action: str = PartitionAction.DROP,
        delete_policy: str = DeletePolicy.ARCHIVE,
        slot: str | None = None,
        publication: str | None = None,
        max_lag: float | None = None,
        lag_conn_ids: Sequence[str] = (),
        max_load: int | None = None,
        rows_per_second: float | None = None,
        sleep_ratio: float = 0.0,
        hours: str | None = None,
        run_time: timedelta | None = None,
        limit: int | None = None,
        sentinel: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(purge_conn_id=purge_conn_id, **kwargs)
        self.retention = retention
        self.verify_id = verify_id
        self.txn_size = txn_size
        self.parallel = parallel
        self.dry_run_only = dry_run
        self.require_approval = require_approval
        self.listed = listed
        self.min_replicas = min_replicas
        self.method = method
        self.partition_action = partition_action
        self.delete_policy = delete_policy
        self.slot = slot
        self.publication = publication
        self.max_lag = max_lag
        self.lag_conn_ids = lag_conn_ids
        self.max_load = max_load
        self.rows_per_second = rows_per_second
        self.sleep_ratio = sleep_ratio
        self.hours = hours
        self.run_time = run_time
        self.limit = limit
        self.sentinel = sentinel

    def execute(self, context: Context) -> dict[str, Any]:
        """Purge."""
        from airflow_provider_chista.archive.connector import configured
        from airflow_provider_chista.archive.purge import Purge

        name, target = self.ids
        meter, shown = metrics.Meter.of(context, name, target), Reporter(context, "purge", self.log)

        def progress(report: PurgeReport) -> None:
            shown.show(Progress(str(name), report.done - report.done_before, report.proven - report.done))
            meter.total(metrics.PURGE_DELETED, report.deleted - report.deleted_before)
            meter.total(metrics.PURGE_SKIPPED, report.skipped.total() - report.skipped_before)

        with airflow_errors(), shown, self.connections.opened() as services:
            options = self._options(context)
            window = self.window(context)
            table = services.archived(name, target)
            if options.dry_run and options.method is PurgeMethod.ROWS:
                self.log.info("dry run, the statements:\n%s", services.source.guarded_delete_sql(table))
            if options.dry_run:
                self.log.info(
                    "dry run, the throttle: %s; lag_conn_ids: %s; sentinel: %s",
                    options.throttle, ", ".join(self.lag_conn_ids) or "none", self.sentinel or "none",
                )  # fmt: skip
            report = Purge(
                services.purge_source,
                services.source,
                services.manifests(table, target),
                services.ledger(name, target, window, author(context)),
                options,
                self.verify_id,
                stopped=self._stop.is_set,
                progress=progress,
                replicas={conn_id: services.opened_source(conn_id) for conn_id in self.lag_conn_ids},
                sentinel=self._paused_by_variable,
                told=self.log.info,
                configured=lambda connector: configured(services.connect, connector, name),
            ).run()
            if not options.dry_run:
                progress(report)  # with what was recorded behind the last chunk
                deleted = report.deleted - report.deleted_before
                self.moved = Moved(PURGE, table, report.proven, written=deleted)
                meter.took(metrics.PURGE_DURATION, report.seconds)
            summary = report.summary() | {"space": self._space(services.source, name)}
        if report.partitions:
            done = f"would {options.partition_action}" if options.dry_run else options.partition_action
            self.log.info("partitions, %s: %s", done, ", ".join(report.partitions))
        if options.dry_run:
            context["ti"].xcom_push("purge", summary)
            raise AirflowSkipException(
                f"dry run: {report.proven} proven rows of {describe(window)} would be deleted; nothing was"
            )
        self.log.info("purged %s of %s: %s", describe(window), name, report.summary())
        if report.unfinished:
            context["ti"].xcom_push("purge", summary)
            raise AirflowSkipException(
                f"{report.ended} ended the purge of {describe(window)}: {report.deleted} of {report.proven} proven rows "
                "are deleted; clear this task and what follows to go on with the batch"
            )
        facts = {"rows": report.deleted, "skipped": report.skipped.total(), "batch_id": report.batch_id}
        emit(context, self, Event.PURGED, (name, target), window, facts)
        return summary

    def _space(self, source: Source, name: TableId) -> dict[str, Any] | None:
        """What the table takes at the source; None when nobody can tell, which is no reason to fail a purge."""
        try:
            space = source.space(name)
        except ChistaError as error:
            self.log.warning("the space of %s is not known: %s", name, error)
            return None
        self.log.info("space of %s: %s", name, space)
        return space.summary()

    def _options(self, context: Context) -> PurgeOptions:
        return PurgeOptions(
            retention=self.retention,
            policy=DeletePolicy(self.delete_policy),
            txn_size=self.txn_size,
            parallel=self.parallel,
            dry_run=self.dry_run_only or bool((context.get("params") or {}).get("dry_run", False)),
            require_approval=self.require_approval,
            listed=tuple(self.listed),
            min_replicas=self.min_replicas,
            method=PurgeMethod(self.method),
            partition_action=PartitionAction(self.partition_action),
            slot=self.slot,
            publication=self.publication,
            throttle=ThrottleOptions(
                max_lag=self.max_lag,
                max_load=self.max_load,
                rows_per_second=self.rows_per_second,
                sleep_ratio=self.sleep_ratio,
                hours=self.hours,
                run_time=self.run_time,
                limit=self.limit,
            ),
        )

    def _paused_by_variable(self) -> str | None:
        """The reason to pause that the Variable gives, if any."""
        value = Variable.get(self.sentinel, default=None) if self.sentinel else None
        if value is None or str(value).strip().lower() in _OFF:
            return None
        return f"the Airflow Variable {self.sentinel} is {str(value)!r}"


class SealArchiveOperator(WindowOperator):
    """Seals the window: the purge's own deletes came back, matched one for one, and the rows are still in the archive.

    Run it after the archive was drained to a barrier that was taken after the purge. Trims the source's purge log.
    Returns rows and digest of the batch. Other parameters: :class:`WindowOperator`.

    :param topic_prefix: the connector's ``topic.prefix``.
    :param connector: the connector's name: by it the archive is caught up when the application has written purged rows again
        since that barrier; None: such rows refuse the seal.
    :param catch_up_timeout: seconds that the connector may take for it.
    :param verify_id: the proof whose batch is sealed, with those that the same run began before it was cleared; None: every
        batch of the window that was begun.
    """

    template_fields: Sequence[str] = (
        *WindowOperator.template_fields,
        "topic_prefix",
        "connector",
        "verify_id",
    )

    def __init__(
        self,
        *,
        purge_conn_id: str,
        topic_prefix: str,
        connector: str | None = None,
        catch_up_timeout: float = 300.0,
        verify_id: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(purge_conn_id=purge_conn_id, **kwargs)
        self.topic_prefix = topic_prefix
        self.connector = connector
        self.catch_up_timeout = catch_up_timeout
        self.verify_id = verify_id

    def execute(self, context: Context) -> dict[str, Any]:
        """Seal."""
        from airflow_provider_chista.archive.seal import Seal

        name, target = self.ids
        with airflow_errors(), self.connections.opened() as services:
            window = self.window(context)
            report = Seal(
                services.purge_source,
                services.manifests(services.archived(name, target), target),
                services.ledger(name, target, window, author(context)),
                topic_name(self.topic_prefix, name),
                control_topic(self.topic_prefix, "purge_log"),
                self.verify_id,
                stopped=self._stop.is_set,
                catch_up=services.catching_up(
                    name,
                    target,
                    connector=self.connector or None,
                    topic_prefix=self.topic_prefix,
                    timeout=self.catch_up_timeout,
                    stopped=self._stop.is_set,
                ),
            ).run()
            self.moved = Moved(SEAL, services.table, report.rows, equal=True)
        self.log.info("sealed %s of %s: %s", describe(window), name, report.summary())
        facts = {"rows": report.rows, "digest": report.digest, "batch_id": report.batch_id}
        emit(context, self, Event.SEALED, (name, target), window, facts)
        return report.summary()
