"""The drain: from a topic's recorded positions to given ends, in bounded micro-batches.

Consuming and decoding a batch overlap with inserting the one before. Each batch is planned, then inserted, and its position
is recorded after ClickHouse acknowledged the rows. What is written depends only on offsets (versions, deduplication tokens),
and a run that finds a plan without its position repeats that very batch, so a run that was killed anywhere and repeated
leaves the same rows.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from confluent_kafka import ConsumerGroupTopicPartitions, KafkaException, TopicPartition

from airflow_provider_chista.archive import positions
from airflow_provider_chista.archive.batches import BatchWriter, Sink
from airflow_provider_chista.archive.deadletters import over_limit
from airflow_provider_chista.archive.lease import Lease
from airflow_provider_chista.archive.process import tuned
from airflow_provider_chista.archive.records import Records
from airflow_provider_chista.archive.report import REACHED_END, DrainLimits, DrainReport
from airflow_provider_chista.archive.topic import REQUEST_SECONDS, Kafka, TopicState
from airflow_provider_chista.clickhouse.control import Control
from airflow_provider_chista.errors import FatalError, TransientError


@dataclass(slots=True)
class Drain:
    """Drains topics into a sink.

    :param target: name under which the positions are kept.
    :param stopped: asked between micro-batches; True ends the run cleanly (``on_kill``).
    :param progress: called after each written micro-batch with the report so far.
    :param accept_gap: see :func:`airflow_provider_chista.archive.positions.load`.
    :param task: who drains, for the lease; None: without a lease, beside others.
    :param partitions: those to drain; None: all.
    """

    kafka: Kafka
    control: Control
    sink: Sink
    target: str
    limits: DrainLimits = field(default_factory=DrainLimits)
    stopped: Callable[[], bool] = lambda: False
    progress: Callable[[DrainReport], None] = lambda report: None
    accept_gap: bool = False
    task: str | None = ""
    partitions: Collection[int] | None = None

    def run(
        self, topic: str, ends: Mapping[int, int] | None = None, before: DrainReport | None = None
    ) -> DrainReport:
        """Drain a topic up to ``ends`` (default: its end offsets now; empty: the topic did not exist at the barrier).

        :param before: report of a part of this drain that ended at a change of the columns; the numbers and the limits go on.
        :raises FatalError: a gap, too many dead letters; :class:`SchemaChangedError` at a record with other columns.
        :raises TransientError: Kafka or ClickHouse did not answer, or another drain of the partitions did not end; what was
            recorded stays valid.
        """
        started = time.monotonic() - (before.seconds if before else 0.0)
        if ends is not None and not ends:
            return self._nothing(topic)
        state = self.kafka.describe(topic)
        ends = self._mine(topic, self._ends(state, ends))
        if self.task is None:
            return self._drained(state, ends, before, started, None)
        lease = Lease(self.control, self.target, topic, sorted(ends), self.task)
        lease.acquire(self.limits.seconds, self.stopped)
        try:
            return self._drained(state, ends, before, started, lease)
        finally:
            with suppress(TransientError):
                lease.release()

    @tuned()
    def _drained(
        self,
        state: TopicState,
        ends: Mapping[int, int],
        before: DrainReport | None,
        started: float,
        lease: Lease | None,
    ) -> DrainReport:
        start = positions.load(self.control, self.target, state, accept_gap=self.accept_gap)
        if not start.begun:
            positions.record(self.control, self.target, state, start.generation, start.next_offsets)
        report = DrainReport(
            state.name,
            self.target,
            start.generation,
            next_offsets={p: start.next_offsets[p] for p in ends},
            ends=dict(ends),
        )
        if before:
            report.counts, report.bytes = before.counts, before.bytes
        if lease:
            lease.follow(report)
        writer = BatchWriter(
            self.control,
            self.sink,
            self.target,
            state,
            self.limits,
            report,
            self.stopped,
            (*([lease.require] if lease else []), self.kafka.same_topic(state)),
            self.progress,
        )
        again = {
            p: (start.next_offsets[p], end) for p, end in start.planned.items() if end <= ends.get(p, -1)
        }
        try:
            self._copy(writer, again, started, planned=True)
            self._copy(writer, {p: (report.next_offsets[p], end) for p, end in ends.items()}, started)
        finally:
            report.seconds = time.monotonic() - started
        if report.remaining == 0:
            report.ended = REACHED_END
        self._require_few_dead(report)
        self._mirror_to_group(report)
        return report

    def _require_few_dead(self, report: DrainReport) -> None:
        """The share of dead letters of a short run is known at its end only; they are recorded then."""
        dead, limits = report.counts["dead"], self.limits
        passed = over_limit(
            dead, report.records, most=limits.dead_letters, share=limits.dead_letter_share, ended=True
        )
        if passed:
            raise FatalError(
                f"{dead} records of {report.topic} went to the dead letters, {passed}. Everything that was read is recorded. "
                "Look at the state table dead_letters; mend the cause and replay them, or raise the limit"
            )

    def _mine(self, topic: str, ends: dict[int, int]) -> dict[int, int]:
        if self.partitions is None:
            return ends
        missing = sorted(set(self.partitions) - ends.keys())
        if missing:
            raise FatalError(f"{topic} has no partitions {missing}; it has {sorted(ends)}")
        return {p: end for p, end in ends.items() if p in self.partitions}

    def _nothing(self, topic: str) -> DrainReport:
        """The topic did not exist at the barrier: its table has had no event, unless it was drained before."""
        positions.require_undrained(self.control, self.target, self.kafka.ping(), topic)
        return DrainReport(topic, self.target, ended=REACHED_END)

    def _ends(self, state: TopicState, wanted: Mapping[int, int] | None) -> dict[int, int]:
        if wanted is None:
            return dict(state.ends)
        beyond = {p: end for p, end in wanted.items() if end > state.ends.get(p, -1)}
        if beyond:
            raise FatalError(
                f"the barrier's end offsets {beyond} are beyond the end of {state.name} ({dict(state.ends)}); "
                "the topic was truncated or created again after the barrier was taken"
            )
        return dict(wanted)

    def _copy(
        self,
        writer: BatchWriter,
        ranges: dict[int, tuple[int, int]],
        started: float,
        *,
        planned: bool = False,
    ) -> None:
        """Records of the ranges, in micro-batches.

        :param planned: each partition's range is one micro-batch, whatever the limits say.
        """
        report, limits = writer.report, self.limits
        buffered: dict[int, Records] = {}
        size = rows = 0
        batch_started = time.monotonic()
        with writer:
            most = max(1, min(1000, limits.batch_rows, limits.rows))
            for records in self.kafka.read(report.topic, ranges, self.stopped, most=most):
                if records:
                    buffered.setdefault(records.partition, Records(records.partition)).extend(records)
                    size += records.bytes
                    rows += len(records)
                now = time.monotonic()
                if planned:
                    continue
                report.ended = self._limit(report, rows, size, now - started)
                if buffered and (
                    limits.full(rows, size) or report.ended or now - batch_started >= limits.batch_seconds
                ):
                    writer.send(buffered, size)
                    buffered, size, rows, batch_started = {}, 0, 0, now
                if report.ended:
                    break
            if self.stopped():
                report.ended = "stopped"
            elif buffered:
                writer.send(buffered, size)
            writer.wait()
            # Partitions were read to their ends; the last offsets may be holes (compaction, transaction markers).
            holes = {p: end for p, (_, end) in ranges.items() if report.next_offsets[p] < end}
            if holes and not report.ended:
                writer.require()
                writer.record(holes)

    def _limit(self, report: DrainReport, rows: int, size: int, seconds: float) -> str:
        for reached, name, value in (
            (report.records + rows >= self.limits.rows, "rows", self.limits.rows),
            (report.bytes + size >= self.limits.bytes, "bytes", self.limits.bytes),
            (seconds >= self.limits.seconds, "seconds", self.limits.seconds),
        ):
            if reached:
                return f"reached the limit of {value} {name}"
        return ""

    def _mirror_to_group(self, report: DrainReport) -> None:
        """Commit the positions to the consumer group ``chista.<target>``, only for lag tools; nothing reads them back."""
        offsets = [TopicPartition(report.topic, p, offset) for p, offset in report.next_offsets.items()]
        request = ConsumerGroupTopicPartitions(f"chista.{self.target}", offsets)
        admin = self.kafka.admin()
        futures = admin.alter_consumer_group_offsets([request], request_timeout=REQUEST_SECONDS)
        for future in futures.values():
            try:
                future.result()
            except KafkaException:
                report.ended += "; the consumer group's offsets could not be mirrored"
