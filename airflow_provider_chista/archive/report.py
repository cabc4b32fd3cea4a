"""Bounds of a drain, and what it did."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class DrainLimits:
    """Bounds of one drain; the first that is reached ends it. Records come in lists of up to 1,000, so a bound may be
    passed by that many.

    :param rows: records read in all.
    :param bytes: bytes of keys and values read in all.
    :param seconds: wall clock seconds.
    :param batch_rows: records of a micro-batch.
    :param batch_bytes: bytes of keys and values of a micro-batch; half of it when its records are large, since memory then
        holds most of them several times.
    :param batch_seconds: age of a micro-batch.
    :param dead_letters: records that may go to the dead letters before the run stops.
    :param dead_letter_share: part of the records, from 0 to 1, that may go there.
    :param patience: seconds that a write is tried again while ClickHouse does not answer or is short of something.
    """

    rows: int = 50_000_000
    bytes: int = 64 * 2**30
    seconds: float = 3600.0
    batch_rows: int = 50_000
    batch_bytes: int = 24 * 2**20
    batch_seconds: float = 5.0
    dead_letters: int = 100
    dead_letter_share: float = 1.0
    patience: float = 60.0

    def full(self, rows: int, size: int) -> bool:
        """Whether a micro-batch of so many records and bytes is complete."""
        large = size >= rows * _LARGE_RECORD
        return rows >= self.batch_rows or size >= (self.batch_bytes // 2 if large else self.batch_bytes)


_LARGE_RECORD = 16 * 1024
"""Bytes of a record's key and value, on average of its micro-batch."""

REACHED_END = "reached the end offsets"


@dataclass(slots=True)
class DrainReport:
    """What a drain did.

    :param target: name under which the positions are kept (the archive table).
    :param counts: records by operation.
    :param bytes: bytes of their keys and values.
    :param seconds: wall clock seconds.
    :param ended: why it ended, in words.
    :param next_offsets: recorded position per partition; :param ends: offsets that the drain works towards, per partition.
    """

    topic: str
    target: str
    generation: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    bytes: int = 0
    seconds: float = 0.0
    ended: str = ""
    next_offsets: dict[int, int] = field(default_factory=dict)
    ends: dict[int, int] = field(default_factory=dict)

    @property
    def left(self) -> dict[int, int]:
        """Offsets between position and end, per partition."""
        return {p: max(0, end - self.next_offsets[p]) for p, end in sorted(self.ends.items())}

    @property
    def remaining(self) -> int:
        """Offsets between the positions and the ends."""
        return sum(self.left.values())

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
