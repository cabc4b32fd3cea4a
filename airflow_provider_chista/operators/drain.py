"""Operator: move change events from a topic into an archive table."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from airflow.sdk import Context

from airflow_provider_chista import metrics
from airflow_provider_chista.archive.policies import DeletePolicy, TruncatePolicy
from airflow_provider_chista.archive.progress import Progress
from airflow_provider_chista.archive.report import DrainLimits, DrainReport
from airflow_provider_chista.errors import TransientError
from airflow_provider_chista.hooks.errors import airflow_errors
from airflow_provider_chista.lineage import DRAIN, Moved
from airflow_provider_chista.links import QueryLink, TopicLink, letters_query
from airflow_provider_chista.operators.base import TableOperator, task_name
from airflow_provider_chista.progress import Reporter

_DEFAULTS = DrainLimits()


class DrainTopicOperator(TableOperator):
    """Drains a table's topic into its archive table, in bounded micro-batches, from the recorded positions.

    Ends at the barrier's offsets, or at the topic's end offsets of its start, or at a limit. Positions are recorded in
    ClickHouse after the rows were acknowledged, so that a killed or repeated run leaves the same rows. With the delete policy
    ``archive`` the purge log is drained too, and deletes before the barrier are decided. Returns a summary: records by
    operation, bytes, seconds, why it ended, what is left. A record with other columns lets the archive table follow the
    source, where that is safe, and the drain goes on. Other parameters: :class:`TableOperator`.

    :param topic_prefix: the connector's ``topic.prefix``.
    :param barrier: end offsets of :class:`SourceCapturedSensor`; None: the end offsets of now.
    :param delete_policy: ``archive``, ``mirror`` or ``ignore``.
    :param max_rows: records at most; :param max_bytes: bytes at most; :param max_seconds: seconds at most.
    :param batch_rows: records of a micro-batch.
    :param max_dead_letters: undecodable records before the run stops; :param max_dead_letter_share: part of the records, from
        0 to 1, that may be so.
    :param patience: seconds that a write is tried again while ClickHouse does not answer or is short of something.
    :param partitions: those of the topic to drain, for mapped tasks; None: all. The last task that reaches the barrier
        decides the deletes.
    :param follow_seconds: keep draining what arrives for that long, for live copies; 0 drains once.
    :param on_truncate: what a TRUNCATE at the source does: ``stop``, ``keep`` the archive's rows, or ``apply`` (only with
        the policy ``mirror``).
    :param ignore_columns: columns of records that neither the source nor the archive has, because they were added and dropped
        again before the archive saw them; their values are dropped.
    :param accept_gap: go on behind records that retention removed, or with a topic that was created again.
    """

    operator_extra_links = (
        TopicLink(),
        QueryLink(),
    )
    template_fields: Sequence[str] = (
        *TableOperator.template_fields,
        "topic_prefix",
        "barrier",
        "delete_policy",
        "partitions",
        "follow_seconds",
        "on_truncate",
    )

    def __init__(
        self,
        *,
        topic_prefix: str,
        barrier: dict[str, dict[str, int]] | None = None,
        delete_policy: str = DeletePolicy.ARCHIVE,
        max_rows: int = _DEFAULTS.rows,
        max_bytes: int = _DEFAULTS.bytes,
        max_seconds: float = _DEFAULTS.seconds,
        batch_rows: int = _DEFAULTS.batch_rows,
        max_dead_letters: int = _DEFAULTS.dead_letters,
        max_dead_letter_share: float = _DEFAULTS.dead_letter_share,
        patience: float = _DEFAULTS.patience,
        partitions: Sequence[int] | None = None,
        follow_seconds: float | str = 0.0,
        on_truncate: str = TruncatePolicy.STOP,
        ignore_columns: Sequence[str] = (),
        accept_gap: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.topic_prefix = topic_prefix
        self.barrier = barrier
        self.delete_policy = delete_policy
        self.max_rows = max_rows
        self.max_bytes = max_bytes
        self.max_seconds = max_seconds
        self.batch_rows = batch_rows
        self.max_dead_letters = max_dead_letters
        self.max_dead_letter_share = max_dead_letter_share
        self.patience = patience
        self.partitions = partitions
        self.follow_seconds = follow_seconds
        self.on_truncate = on_truncate
        self.ignore_columns = ignore_columns
        self.accept_gap = accept_gap

    def query_sql(self, context: Context) -> str:
        """The dead letters of the archive table."""
        return letters_query(self.ids[1])

    def execute(self, context: Context) -> dict[str, Any]:
        """Drain."""
        from airflow_provider_chista.archive.barrier import Barrier
        from airflow_provider_chista.archive.catchup import TableDrain
        from airflow_provider_chista.archive.follow import FollowedTable, Follower
        from airflow_provider_chista.debezium.changes import UPSERTS

        name, target = self.ids
        limits = DrainLimits(
            rows=self.max_rows,
            bytes=self.max_bytes,
            seconds=self.max_seconds,
            batch_rows=self.batch_rows,
            dead_letters=self.max_dead_letters,
            dead_letter_share=self.max_dead_letter_share,
            patience=self.patience,
        )
        started, meter = time.monotonic(), metrics.Meter.of(context, name, target)
        shown = Reporter(context, "drain", self.log, unit="records")
        with airflow_errors(), shown, self.connections.opened() as services:
            table = FollowedTable(
                lambda: services.source.catalogue(name),
                lambda source, lacking: services.follow(source, target, lacking),
            )
            drain = TableDrain(
                services.kafka,
                services.control.client,
                services.control,
                services.types,
                table(),
                target,
                self.topic_prefix,
                DeletePolicy(self.delete_policy),
                limits,
                self.accept_gap,
                truncates=TruncatePolicy(self.on_truncate),
                refresh=table,
                ignored=self.ignore_columns,
                task=task_name(context),
                partitions=self.partitions,
                avro=services.avro,
                stopped=self._stop.is_set,
            )
            drain.progress = batches = Batches(drain.topic, meter, shown, self.partitions)
            barrier = Barrier.from_json(self.barrier) if self.barrier is not None else None
            follow = float(self.follow_seconds)
            summary = Follower(drain, self._stop.wait).run(follow) if follow else drain.run(barrier)
            batches.ended(summary["remaining"])
            stored = sum(summary.get(f"op_{op}", 0) for op in UPSERTS)
            self.moved = Moved(DRAIN, drain.table, summary["records"], summary["bytes"], stored)
            if self._stop.is_set():
                raise TransientError(f"the drain of {drain.topic} was stopped; what was drained is recorded")
        meter.took(metrics.DRAIN_DURATION, time.monotonic() - started)
        self.log.info("drained %s into %s: %s", drain.topic, target, summary)
        return summary


class Batches:
    """Tells of each micro-batch of a task, which may drain the topic many times, and the purge log before it."""

    def __init__(
        self, topic: str, meter: metrics.Meter, shown: Reporter, partitions: Sequence[int] | None = None
    ) -> None:
        self._topic, self._meter, self._shown = topic, meter, shown
        self._tags = {} if partitions is None else {"partitions": "_".join(map(str, sorted(partitions)))}
        self._before: Counter[str] = Counter()
        self._counts: Counter[str] = Counter()

    def __call__(self, report: DrainReport) -> None:
        """Take the report behind a micro-batch."""
        if report.topic != self._topic:
            self._shown.show(Progress(report.topic, report.records, report.remaining))
            return
        if report.counts is not self._counts:
            # Another drain. One that goes on behind a change of the columns goes on with the same counts.
            self._before += self._counts
            self._counts = report.counts
        self._tell(report.remaining, report.left if len(report.ends) > 1 else {})

    def ended(self, remaining: int) -> None:
        """Take what is left at the end; the last offsets of a topic may have no record, and so no micro-batch."""
        self._tell(remaining, {})

    def _tell(self, remaining: int, left: Mapping[int, int]) -> None:
        counts = self._before + self._counts
        self._meter.total(metrics.DRAIN_RECORDS, counts.total())
        self._meter.total(metrics.DRAIN_DEAD_LETTERS, counts["dead"])
        self._meter.gauge(metrics.DRAIN_LAG, remaining, **self._tags)
        self._shown.show(Progress(self._topic, counts.total(), remaining, left))
