"""The proof: (row key, row hash) of source and archive, streamed in key order and merged with bounded memory.

A difference is not a failure until the capture has passed it: the archive is caught up, the whole comparison is done
again over a new manifest, and only what still differs is read by value and reported, or repaired and compared again.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_chista.archive.ledger import Ledger, Stage
from airflow_provider_chista.archive.manifest import Manifests
from airflow_provider_chista.archive.repair import CHUNK, Repair
from airflow_provider_chista.archive.settle import recover_all
from airflow_provider_chista.canonical import parse_key, sort_key
from airflow_provider_chista.errors import FatalError
from airflow_provider_chista.model import Kind, Window, describe
from airflow_provider_chista.sources.base import Source

KEPT = 100_000
"""Differing keys that are kept in memory; all are counted."""

REPORTED = 1_000
"""Differing keys that are read by value and written to the table of mismatches."""

Pair = tuple[str, str]


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

    def explain(self, purged: Collection[str]) -> None:
        """Take off the extra keys that a purge has deleted at the source while the streams were read."""
        for row_key in [key for key, finding in self.keys.items() if finding == "extra" and key in purged]:
            del self.keys[row_key]
            self.extra -= 1

    def __str__(self) -> str:
        return f"{self.missing} missing from the archive, {self.extra} only in the archive, {self.differing} differing"


@dataclass(frozen=True, slots=True)
class Proof:
    """A window whose rows were proven equal.

    :param rows: rows compared; :param digest: of their hashes; :param seconds: wall clock seconds.
    """

    verify_id: str
    rows: int
    digest: str
    seconds: float

    def summary(self) -> dict[str, Any]:
        """The proof as JSON values."""
        return {
            "verify_id": self.verify_id,
            "rows": self.rows,
            "digest": self.digest,
            "seconds": round(self.seconds, 3),
        }


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


def verify(
    source: Source,
    manifests: Manifests,
    ledger: Ledger,
    window: Window | None,
    *,
    catch_up: Callable[[], None],
    repairs: int = 0,
    log: Callable[[str], None] = lambda text: None,
) -> Proof:
    """Prove that the archive holds every row of the window exactly as the source has it.

    :param catch_up: brings the archive to the source's present state; called once when the first comparison differs, and
        once more when one behind a repair does.
    :param repairs: the most rows that are repaired when they still differ (``archive/repair.py``); 0: none is. With more
        differing rows nothing is repaired.
    :raises FatalError: rows still differ; the message counts them and names the first with their columns. All (up to
        1,000) are in the state table ``mismatches``.
    """
    verification = _Verification(source, manifests, ledger, window, catch_up, log)
    outcome = verification.outcome()
    if isinstance(outcome, Differences) and verification.repair(outcome, repairs):
        outcome = verification.outcome()
    if isinstance(outcome, Differences):
        raise verification.failure(outcome)
    return outcome


@dataclass(slots=True)
class _Verification:
    """Comparisons of one window, one after the other.

    :param catch_up: as of :func:`verify`.
    :param verify_id: of the latest; :param rows: that the source had then.
    :param refused: by row key, why it could not be repaired.
    """

    source: Source
    manifests: Manifests
    ledger: Ledger
    window: Window | None
    catch_up: Callable[[], None]
    log: Callable[[str], None]
    verify_id: str = ""
    rows: int = 0
    refused: dict[str, str] = field(default_factory=dict)

    def outcome(self) -> Proof | Differences:
        """The proof, or what still differs after the capture has passed it."""
        found = self._compared()
        if isinstance(found, Proof):
            return found
        self.log(f"{self._told(found)}; waiting for the capture to pass them, then comparing again")
        self.manifests.drop([self.verify_id])
        self.catch_up()
        return self._compared(again=True)

    def _compared(self, *, again: bool = False) -> Proof | Differences:
        """Compare once; a proof is recorded.

        :param again: after differences; purged rows are struck first, however many, since few differing keys are kept.
        """
        source, manifests, ledger = self.source, self.manifests, self.ledger
        started, verify_id = time.monotonic(), str(uuid.uuid4())
        self.verify_id = verify_id
        # What a killed purge has deleted is no difference.
        recover_all(source, manifests, ledger)
        manifests.freeze(verify_id, self.window)
        if again:
            manifests.strike_purged(verify_id)
        self.rows, differences = compare(
            manifests.table.key_kinds,
            source.hashes(manifests.table, self.window),
            manifests.stream(verify_id),
        )
        if differences.extra:
            # A run beside this one may be purging rows of the same window.
            recover_all(source, manifests, ledger)
            differences.explain(manifests.strike_purged(verify_id))
        if differences.total:
            return differences
        rows = manifests.length(verify_id)
        proof = Proof(verify_id, rows, manifests.digest(verify_id), time.monotonic() - started)
        ledger.record(
            Stage.VERIFIED,
            verify_id=verify_id,
            rows=rows,
            digest=proof.digest,
            detail={
                "schema": manifests.table.fingerprint,
                "columns": [column.name for column in manifests.table.columns],
            },
        )
        manifests.drop(ledger.superseded(verify_id))
        return proof

    def _told(self, differences: Differences) -> str:
        """The differences in words."""
        return f"{differences} ({self.rows} rows at the source)"

    def repair(self, differences: Differences, most: int) -> bool:
        """Repair missing and differing rows, each recorded with both values; False when none was."""
        keys = [key for key, finding in differences.keys.items() if finding != "extra"]
        wanted = differences.missing + differences.differing
        if not most or not wanted:
            return False
        if wanted > most:
            self.log(f"{wanted} rows differ, more than the {most} that may be repaired; none is")
            return False
        repair = Repair(self.source, self.manifests)
        repair.require_possible()
        # In the ledger before it happens: nothing changes the archive without an entry.
        self.ledger.record(
            Stage.REPAIRED,
            verify_id=self.verify_id,
            rows=len(keys),
            detail={"missing": differences.missing, "differing": differences.differing},
        )
        written = 0
        for start in range(0, len(keys), CHUNK):
            part = keys[start : start + CHUNK]
            self._record(differences, part)
            done, refused = repair.run(part, f"{self.verify_id} {start}")
            written += done
            self.refused |= refused
        self.manifests.drop([self.verify_id])
        self.log(f"repaired {written} rows from the source ({differences}); comparing again")
        return True

    def failure(self, differences: Differences) -> FatalError:
        """Record what differs; the error that says so."""
        examples = self._record(differences, list(differences.keys)[:REPORTED])
        self.ledger.record(
            Stage.MISMATCHED,
            verify_id=self.verify_id,
            rows=self.rows,
            detail={
                "missing": differences.missing,
                "extra": differences.extra,
                "differing": differences.differing,
            },
        )
        return FatalError(
            f"{self.manifests.table.id} and its archive {self.manifests.target} differ in {describe(self.window)}: "
            f"{self._told(differences)}. {'; '.join(examples)}. See the state table mismatches, verify_id {self.verify_id}. "
            "Nothing will be purged"
        )

    def _record(self, differences: Differences, keys: Sequence[str]) -> list[str]:
        """Write typed values of differing rows to the state table; the first five in words."""
        manifests = self.manifests
        here, there = self.source.rows(manifests.table, keys), manifests.fields(keys)
        records: list[dict[str, Any]] = []
        examples: list[str] = []
        for row_key in keys:
            finding = differences.keys[row_key]
            left, right = here.get(row_key), there.get(row_key)
            columns = manifests.table.differing(left, right) if left and right else []
            records.append(
                {
                    "verify_id": self.verify_id,
                    "target": str(manifests.target),
                    "row_key": row_key,
                    "finding": finding,
                    "columns": columns,
                    "source_values": list(left or ()),
                    "archive_values": list(right or ()),
                }
            )
            if len(examples) < 5:
                where = f" in {', '.join(columns)}" if columns else ""
                why = f" (cannot be repaired: {self.refused[row_key]})" if row_key in self.refused else ""
                examples.append(f"key {row_key} is {finding}{where}{why}")
        manifests.control.insert("mismatches", records)
        return examples


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
