"""Micro-batches of a drain: decoded on the drain's thread, planned, written and recorded on another, one behind the other."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from types import TracebackType
from typing import Any, Protocol, Self

from airflow_provider_chista.archive import positions
from airflow_provider_chista.archive.deadletters import over_limit
from airflow_provider_chista.archive.lease import TakenOverError
from airflow_provider_chista.archive.records import Records
from airflow_provider_chista.archive.report import DrainLimits, DrainReport
from airflow_provider_chista.archive.topic import TopicState
from airflow_provider_chista.clickhouse.control import Control
from airflow_provider_chista.errors import FatalError, TransientError

_PAUSES = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
"""Seconds before a write is tried again; the last one repeats."""


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

    def prepare(self, state: TopicState, generation: int, records: Records) -> PreparedBatch:
        """Decode records of one partition."""

    def write(self, state: TopicState, generation: int, batch: PreparedBatch) -> None:
        """Write a batch and return after the acknowledgement; writing it twice changes nothing."""


@dataclass(slots=True)
class BatchWriter:
    """Writes the micro-batches of one drain, the next one being decoded meanwhile.

    :param required: asked before each write; they raise when another drain has taken over, or the topic is another one.
    """

    control: Control
    sink: Sink
    target: str
    state: TopicState
    limits: DrainLimits
    report: DrainReport
    stopped: Callable[[], bool]
    required: Sequence[Callable[[], None]]
    progress: Callable[[DrainReport], None]
    _sender: ThreadPoolExecutor = field(init=False)
    _sending: Future[None] | None = field(init=False, default=None)

    def __enter__(self) -> Self:
        self._sender = ThreadPoolExecutor(1, thread_name_prefix="chista-insert")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._sender.shutdown()
        self._sending = None

    def send(self, buffered: dict[int, Records], size: int) -> None:
        """Decode records, which are taken out of ``buffered``, and write them once the batch before is written.

        :param size: bytes of their keys and values.
        :raises FatalError: too many records cannot be decoded, or the batch before met a record with other columns.
        """
        batches = [
            self.sink.prepare(self.state, self.report.generation, records) for records in buffered.values()
        ]
        size -= sum(
            records.bytes - records.before(batch.next_offset).bytes
            for batch, records in zip(batches, buffered.values(), strict=True)
            if batch.stopped
        )
        buffered.clear()
        dead = self.report.counts["dead"] + sum(batch.counts["dead"] for batch in batches)
        self.wait()
        read = self.report.records + sum(batch.counts.total() for batch in batches)
        passed = over_limit(dead, read, most=self.limits.dead_letters, share=self.limits.dead_letter_share)
        if passed:
            raise FatalError(
                f"{dead} records of {self.state.name} cannot be decoded, {passed}; this micro-batch was not written. First "
                f"error: {_first_error(batches)}. Check that the topic belongs to {self.target}, or raise the limit"
            )
        for batch in batches:
            self.report.counts.update(batch.counts)
        self.report.bytes += size
        self._sending = self._sender.submit(self._write, batches)

    def wait(self) -> None:
        """Wait for what is being written; its errors are raised here."""
        if self._sending:
            self._sending.result()
            self._sending = None

    def require(self) -> None:
        """Raise when nothing more may be written."""
        for ask in self.required:
            self._patiently(ask)

    def record(self, next_offsets: Mapping[int, int]) -> None:
        """Record positions."""
        if next_offsets:
            self._patiently(
                lambda: positions.record(
                    self.control, self.target, self.state, self.report.generation, next_offsets
                )
            )
            self.report.next_offsets.update(next_offsets)

    def _write(self, batches: list[PreparedBatch]) -> None:
        generation = self.report.generation
        plans = {batch.partition: (batch.first, batch.next_offset) for batch in batches}
        self.require()
        self._patiently(lambda: positions.plan(self.control, self.target, self.state, generation, plans))
        for batch in batches:
            self._patiently(partial(self.sink.write, self.state, generation, batch))
        self.record({batch.partition: batch.next_offset for batch in batches})
        self.progress(self.report)
        for batch in batches:
            if batch.stopped:
                message = (
                    f"{self.state.name}, partition {batch.partition}, offset {batch.next_offset}: {batch.stopped}. "
                    "Everything before it is archived, nothing behind it was read"
                )
                if batch.drifted:
                    raise SchemaChangedError(message, batch.lacking, self.report)
                raise FatalError(message)

    def _patiently(self, write: Callable[[], None]) -> None:
        """Do what may be done twice, and again while ClickHouse does not answer or is short of something."""
        deadline = time.monotonic() + self.limits.patience
        tried = 0
        while True:
            try:
                return write()
            except TakenOverError:
                raise
            except TransientError:
                pause = _PAUSES[min(tried, len(_PAUSES) - 1)]
                if time.monotonic() + pause >= deadline or self.stopped():
                    raise
                time.sleep(pause)
                tried += 1


def _first_error(batches: list[PreparedBatch]) -> str:
    for batch in batches:
        for letter in getattr(batch.content, "dead_letters", ()):
            return f"partition {letter['partition']}, offset {letter['offset']}: {letter['error']}"
    return "none"
