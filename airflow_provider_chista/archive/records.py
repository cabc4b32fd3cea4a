"""Records of Kafka as a drain keeps them."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

Headers = list[tuple[str, bytes]]


class Record(NamedTuple):
    """One record."""

    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Headers


@dataclass(slots=True)
class Records:
    """Records of one partition in offset order, by column: what is kept of librdkafka's messages.

    :param headers: by offset, of the records that have any, as the client gives them.
    :param bytes: of keys and values.
    """

    partition: int
    offsets: list[int] = field(default_factory=list)
    keys: list[bytes | None] = field(default_factory=list)
    values: list[bytes | None] = field(default_factory=list)
    headers: dict[int, list[tuple[str, bytes | None]]] = field(default_factory=dict)
    bytes: int = field(init=False)

    def __post_init__(self) -> None:
        self.bytes = sum(map(len, filter(None, self.keys))) + sum(map(len, filter(None, self.values)))

    def __len__(self) -> int:
        return len(self.offsets)

    def __iter__(self) -> Iterator[Record]:
        return map(self.record, range(len(self)))

    @classmethod
    def of(cls, partition: int, records: Sequence[Record]) -> Records:
        """Single records put together."""
        return cls(
            partition,
            [record.offset for record in records],
            [record.key for record in records],
            [record.value for record in records],
            {record.offset: [*record.headers] for record in records if record.headers},
        )

    def record(self, place: int) -> Record:
        """One of the records."""
        offset = self.offsets[place]
        headers = [(name, value or b"") for name, value in self.headers.get(offset, ())]
        return Record(self.partition, offset, self.keys[place], self.values[place], headers)

    def extend(self, more: Records) -> None:
        """Append records of the same partition with higher offsets."""
        self.offsets += more.offsets
        self.keys += more.keys
        self.values += more.values
        self.headers |= more.headers
        self.bytes += more.bytes

    def before(self, offset: int) -> Records:
        """Those below an offset."""
        count = bisect_left(self.offsets, offset)
        headers = {at: kept for at, kept in self.headers.items() if at < offset}
        return Records(self.partition, self.offsets[:count], self.keys[:count], self.values[:count], headers)
