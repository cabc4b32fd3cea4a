"""The comparison: two streams of (row key, row hash) in key order, merged with bounded memory."""

from __future__ import annotations

import hashlib
import queue
import threading
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from airflow_provider_chista.canonical import parse_key, sort_key
from airflow_provider_chista.model import Kind

KEPT = 100_000
"""Differing keys that are kept in memory; all are counted."""

_AHEAD = 8
"""Lists that a stream is read ahead: 160,000 rows of the source, some 40 MB."""

BLOCK = 20_000
"""Rows of a list of a stream, and of a block whose digest is compared."""

_JOIN_SECONDS = 5.0

Pair = tuple[str, str]
Item = TypeVar("Item")


@dataclass(slots=True)
class Differences:
    """Keys that differ: ``missing`` from the archive, ``extra`` in the archive, ``differing`` in their row hash."""

    missing: int = 0
    extra: int = 0
    differing: int = 0
    keys: dict[str, str] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """All differing keys."""
        return self.missing + self.extra + self.differing

    def add(self, finding: str, row_key: str) -> None:
        """Count a key and keep it while there is room."""
        setattr(self, finding, getattr(self, finding) + 1)
        if len(self.keys) < KEPT:
            self.keys[row_key] = finding

    def include(self, others: Differences) -> None:
        """Add those of another part of the rows."""
        self.missing += others.missing
        self.extra += others.extra
        self.differing += others.differing
        for row_key, finding in others.keys.items():
            if len(self.keys) < KEPT:
                self.keys[row_key] = finding

    def explain(self, purged: Collection[str]) -> None:
        """Take off the extra keys that a purge has deleted at the source while the streams were read."""
        for row_key in [key for key, finding in self.keys.items() if finding == "extra" and key in purged]:
            del self.keys[row_key]
            self.extra -= 1

    def __str__(self) -> str:
        return f"{self.missing} missing from the archive, {self.extra} only in the archive, {self.differing} differing"


def compare(
    kinds: Sequence[Kind], source: Iterable[list[Pair]], archive: Iterable[list[Pair]]
) -> tuple[int, Differences]:
    """Merge two streams of (row key, row hash) in :func:`airflow_provider_chista.canonical.sort_key` order.

    Equal stretches are compared as whole lists; keys are only parsed where the streams differ.

    :returns: rows of the source, and the differences.
    """
    differences, rows = Differences(), 0
    left, right = _Buffered(source), _Buffered(archive)
    while True:
        a, b = left.fill(), right.fill()
        if not a and not b:
            return rows, differences
        step = min(len(a), len(b))
        if step and a[:step] == b[:step]:
            left.take(step)
            right.take(step)
            rows += step
            continue
        i = j = 0
        while (i < len(a) or not a) and (j < len(b) or not b) and (i < len(a) or j < len(b)):
            if i < len(a) and j < len(b) and a[i] == b[j]:
                i, j, rows = i + 1, j + 1, rows + 1
                continue
            order = _order(kinds, a, i, b, j)
            if order == 0:
                differences.add("differing", a[i][0])
                i, j, rows = i + 1, j + 1, rows + 1
            elif order < 0:
                differences.add("missing", a[i][0])
                i, rows = i + 1, rows + 1
            else:
                differences.add("extra", b[j][0])
                j += 1
        left.take(i)
        right.take(j)


def block_digests(rows: Iterable[list[Pair]]) -> Iterator[tuple[int, str]]:
    """Rows, and SHA-256 over the lines ``hash key``, of each list of a stream: equal when and only when the lists are.

    ``Manifests.block_digests`` has the same of a manifest. A hash has 64 characters and a key ends where its grammar says
    (``docs/row-hash.md``), so that no two different lists have the same lines.
    """
    for block in rows:
        lines = "".join([f"{row_hash}{key}\n" for key, row_hash in block])
        yield len(block), hashlib.sha256(lines.encode()).hexdigest()


@contextmanager
def read_ahead(items: Iterator[Item], ahead: int = _AHEAD) -> Iterator[Iterator[Item]]:
    """Read a stream in a thread of its own from now on; the stream is closed at the end of the block.

    So a server goes on computing hashes while this process is busy with something else. An error of the stream is raised
    where its item would have come.

    :param ahead: most items that wait to be taken; 0: any number.
    """
    taken: queue.Queue[Item | _End] = queue.Queue(ahead)
    ended = threading.Event()

    def put(item: Item | _End) -> bool:
        while not ended.is_set():
            try:
                taken.put(item, timeout=0.1)
            except queue.Full:
                continue
            return True
        return False

    def read() -> None:
        end = _End()
        try:
            for item in items:
                if not put(item):
                    break
        except BaseException as error:  # noqa: BLE001  raised again in the thread that reads
            end = _End(error)
        finally:
            close = getattr(items, "close", None)
            if close is not None:
                close()
        put(end)

    def given() -> Iterator[Item]:
        while not isinstance(item := taken.get(), _End):
            yield item
        if item.error is not None:
            raise item.error

    reader = threading.Thread(target=read, name="chista-read-ahead", daemon=True)
    reader.start()
    try:
        yield given()
    finally:
        ended.set()
        # Not for ever: the server may be sorting; its connection ends with the process.
        reader.join(_JOIN_SECONDS)


@dataclass(frozen=True, slots=True)
class _End:
    """The end of a stream, with the error that ended it."""

    error: BaseException | None = None


def _order(kinds: Sequence[Kind], a: list[Pair], i: int, b: list[Pair], j: int) -> int:
    """-1: the source's key comes first (or the archive has ended), 1: the archive's, 0: the same key."""
    if i >= len(a):
        return 1
    if j >= len(b):
        return -1
    left, right = sort_key(parse_key(kinds, a[i][0])), sort_key(parse_key(kinds, b[j][0]))
    return (left > right) - (left < right)


class _Buffered:
    """A stream of lists with a part taken off at a time; an empty list from :meth:`fill` means that it has ended."""

    def __init__(self, chunks: Iterable[list[Pair]]) -> None:
        self._chunks: Iterator[list[Pair]] = iter(chunks)
        self._rows: list[Pair] = []

    def fill(self) -> list[Pair]:
        while not self._rows:
            chunk = next(self._chunks, None)
            if chunk is None:
                break
            self._rows = chunk
        return self._rows

    def take(self, count: int) -> None:
        self._rows = self._rows[count:] if count else self._rows
