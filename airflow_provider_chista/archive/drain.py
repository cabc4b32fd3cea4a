"""The drain: from a topic's recorded positions to given ends, in bounded micro-batches.

Consuming and decoding a batch overlap with inserting the one before; a position is recorded after ClickHouse
acknowledged the rows. What is written depends only on offsets (versions, deduplication tokens), so a run that was
killed anywhere and repeated leaves the same rows.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Protocol

from confluent_kafka import ConsumerGroupTopicPartitions, KafkaException, TopicPartition

from airflow_provider_chista.archive import positions
from airflow_provider_chista.archive.topic import REQUEST_SECONDS, Kafka, Record, TopicState
from airflow_provider_chista.clickhouse.control import Control
from airflow_provider_chista.errors import FatalError


@dataclass(frozen=True, slots=True)
class DrainLimits:
    """Bounds of one drain; the first that is reached ends it. Records come in lists of up to 1,000, so a bound may be
    passed by that many.

    :param rows: records read in all.
    :param bytes: bytes of keys and values read in all.
    :param seconds: wall clock seconds.
    :param batch_rows: records of a micro-batch.
    :param batch_bytes: bytes of keys and values of a micro-batch.
    :param batch_seconds: age of a micro-batch.
    :param dead_letters: records that may go to the dead letters before the run stops.
    """

    rows: int = 50_000_000
    bytes: int = 64 * 2**30
    seconds: float = 3600.0
    batch_rows: int = 50_000
    batch_bytes: int = 64 * 2**20
    batch_seconds: float = 5.0
    dead_letters: int = 100


@dataclass(slots=True)
class PreparedBatch:
    """Decoded records of one partition, ready to be written.

    :param first: offset of the first record; ``next_offset`` is where the partition stands once this is written.
    :param counts: records by operation (``r``, ``c``, ``u``, ``d``, ``t``, ``tombstone``, ``dead``).
    :param content: what the sink writes.
    :param stopped: why the partition cannot go on behind ``next_offset``.
    :param drifted: whether the reason is that the record has other columns than the table.
    :param lacking: columns of the table that the record at ``next_offset`` lacks, when it has no others besides.
    """

    partition: int
    first: int
    next_offset: int
    counts: Counter[str]
    content: Any
    stopped: str | None = None
    drifted: bool = False
    lacking: frozenset[str] = frozenset()


class SchemaChangedError(FatalError):
    """A record has other columns than the table it is drained into; everything before it is archived.

    :param lacking: columns that the record lacks, when that is all; :param report: what was done up to the record.
    """

    def __init__(self, message: str, lacking: frozenset[str], report: DrainReport) -> None:
        super().__init__(message)
        self.lacking = lacking
        self.report = report


class Sink(Protocol):
    """Where records go: decodes on the drain's thread, writes on the sender's."""

    def keep_headers(self, value: bytes) -> bool:
        """Whether the headers of a record with that value are needed."""

    def prepare(
        self, state: TopicState, generation: int, partition: int, records: list[Record]
    ) -> PreparedBatch:
        """Decode records of one partition, given in offset order."""

    def write(self, state: TopicState, generation: int, batch: PreparedBatch) -> None:
        """Write a batch and return after the acknowledgement; writing it twice changes nothing."""


@dataclass(slots=True)
class DrainReport:
    """What a drain did.

    :param target: name under which the positions are kept (the archive table).
    :param counts: records by operation.
    :param bytes: bytes of their keys and values.
    :param seconds: wall clock seconds.
    :param ended: why it ended, in words.
    :param next_offsets: recorded position per partition.
    :param remaining: offsets between the positions and the ends.
    """

    topic: str
    target: str
    generation: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    bytes: int = 0
    seconds: float = 0.0
    ended: str = ""
    next_offsets: dict[int, int] = field(default_factory=dict)
    remaining: int = 0

    @property
    def records(self) -> int:
        """Records read, dead letters and tombstones included."""
        return sum(self.counts.values())

    @property
    def reached_end(self) -> bool:
        """Whether everything up to the given ends was drained."""
        return self.remaining == 0 and self.ended.startswith(REACHED_END)

    def summary(self) -> dict[str, Any]:
        """The report as JSON values, for XCom and logs."""
        return {
            "topic": self.topic,
            "target": self.target,
            "records": self.records,
            **{f"op_{op}": count for op, count in sorted(self.counts.items())},
            "bytes": self.bytes,
            "seconds": round(self.seconds, 3),
            "ended": self.ended,
            "next_offsets": {str(p): offset for p, offset in sorted(self.next_offsets.items())},
            "remaining": self.remaining,
        }


REACHED_END = "reached the end offsets"


@dataclass(slots=True)
class Drain:
    """Drains topics into a sink.

    :param target: name under which the positions are kept.
    :param stopped: asked between micro-batches; True ends the run cleanly (``on_kill``).
    :param progress: called after each written micro-batch with the report so far.
    :param accept_gap: see :func:`airflow_provider_chista.archive.positions.load`.
    """

    kafka: Kafka
    control: Control
    sink: Sink
    target: str
    limits: DrainLimits = field(default_factory=DrainLimits)
    stopped: Callable[[], bool] = lambda: False
    progress: Callable[[DrainReport], None] = lambda report: None
    accept_gap: bool = False

    def run(
        self, topic: str, ends: Mapping[int, int] | None = None, before: DrainReport | None = None
    ) -> DrainReport:
        """Drain a topic up to ``ends`` (default: its end offsets now; empty: the topic did not exist at the barrier).

        :param before: report of a part of this drain that ended at a change of the columns; the numbers and the limits go on.
        :raises FatalError: a gap, too many dead letters; :class:`SchemaChangedError` at a record with other columns.
        :raises TransientError: Kafka or ClickHouse did not answer; what was recorded stays valid.
        """
        started = time.monotonic() - (before.seconds if before else 0.0)
        if ends is not None and not ends:
            return self._nothing(topic)
        state = self.kafka.describe(topic)
        start = positions.load(self.control, self.target, state, accept_gap=self.accept_gap)
        if not start.begun:
            positions.record(self.control, self.target, state, start.generation, start.next_offsets)
        ends = self._ends(state, ends)
        report = DrainReport(topic, self.target, start.generation, next_offsets=dict(start.next_offsets))
        if before:
            report.counts, report.bytes = before.counts, before.bytes
        ranges = {p: (start.next_offsets[p], end) for p, end in ends.items()}
        try:
            self._copy(state, report, ranges, started)
        finally:
            report.seconds = time.monotonic() - started
            report.remaining = sum(max(0, end - report.next_offsets[p]) for p, end in ends.items())
        if report.remaining == 0:
            report.ended = REACHED_END
        self._mirror_to_group(report)
        return report

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
        self, state: TopicState, report: DrainReport, ranges: dict[int, tuple[int, int]], started: float
    ) -> None:
        buffered: dict[int, list[Record]] = {}
        size = rows = 0
        batch_started = time.monotonic()
        sending: Future[None] | None = None
        with ThreadPoolExecutor(1, thread_name_prefix="chista-insert") as sender:
            most = max(1, min(1000, self.limits.batch_rows, self.limits.rows))
            for records in self.kafka.read(
                state.name, ranges, self.stopped, most=most, keep_headers=self.sink.keep_headers
            ):
                for record in records:
                    buffered.setdefault(record.partition, []).append(record)
                    size += len(record.value or b"") + len(record.key or b"")
                rows += len(records)
                now = time.monotonic()
                report.ended = self._limit(report, rows, size, now - started)
                full = rows >= self.limits.batch_rows or size >= self.limits.batch_bytes
                if buffered and (full or report.ended or now - batch_started >= self.limits.batch_seconds):
                    sending = self._send(sender, sending, state, report, buffered, size)
                    buffered, size, rows, batch_started = {}, 0, 0, now
                if report.ended:
                    break
            if self.stopped():
                report.ended = "stopped"
            elif buffered:
                sending = self._send(sender, sending, state, report, buffered, size)
            if sending:
                sending.result()
            if not report.ended:
                self._record_holes(state, report, ranges)

    def _limit(self, report: DrainReport, rows: int, size: int, seconds: float) -> str:
        for reached, name, value in (
            (report.records + rows >= self.limits.rows, "rows", self.limits.rows),
            (report.bytes + size >= self.limits.bytes, "bytes", self.limits.bytes),
            (seconds >= self.limits.seconds, "seconds", self.limits.seconds),
        ):
            if reached:
                return f"reached the limit of {value} {name}"
        return ""

    def _send(
        self,
        sender: ThreadPoolExecutor,
        sending: Future[None] | None,
        state: TopicState,
        report: DrainReport,
        buffered: dict[int, list[Record]],
        size: int,
    ) -> Future[None]:
        batches = [self.sink.prepare(state, report.generation, p, records) for p, records in buffered.items()]
        dead = report.counts["dead"] + sum(batch.counts["dead"] for batch in batches)
        if sending:
            sending.result()
        if dead > self.limits.dead_letters:
            raise FatalError(
                f"{dead} records of {state.name} cannot be decoded, more than max_dead_letters={self.limits.dead_letters}; "
                f"this micro-batch was not written. First error: {_first_error(batches)}. Check that the topic belongs "
                f"to {self.target}, or raise the limit"
            )
        for batch in batches:
            report.counts.update(batch.counts)
            if batch.stopped:
                size -= sum(
                    len(record.value or b"") + len(record.key or b"")
                    for record in buffered[batch.partition]
                    if record.offset >= batch.next_offset
                )
        report.bytes += size
        return sender.submit(self._write, state, report, batches)

    def _write(self, state: TopicState, report: DrainReport, batches: list[PreparedBatch]) -> None:
        for batch in batches:
            self.sink.write(state, report.generation, batch)
        reached = {batch.partition: batch.next_offset for batch in batches}
        positions.record(self.control, self.target, state, report.generation, reached)
        report.next_offsets.update(reached)
        self.progress(report)
        for batch in batches:
            if batch.stopped:
                message = (
                    f"{state.name}, partition {batch.partition}, offset {batch.next_offset}: {batch.stopped}. Everything "
                    "before it is archived, nothing behind it was read"
                )
                if batch.drifted:
                    raise SchemaChangedError(message, batch.lacking, report)
                raise FatalError(message)

    def _record_holes(
        self, state: TopicState, report: DrainReport, ranges: dict[int, tuple[int, int]]
    ) -> None:
        """Partitions were read to their ends; the last offsets may be holes (compaction, transaction markers)."""
        behind = {p: end for p, (_, end) in ranges.items() if report.next_offsets[p] < end}
        if behind:
            positions.record(self.control, self.target, state, report.generation, behind)
            report.next_offsets.update(behind)

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


def _first_error(batches: list[PreparedBatch]) -> str:
    for batch in batches:
        for letter in getattr(batch.content, "dead_letters", ()):
            return f"partition {letter['partition']}, offset {letter['offset']}: {letter['error']}"
    return "none"
