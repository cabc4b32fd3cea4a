"""Comparisons that are no proof: some of the rows, or sums of all row hashes; nothing may be purged by them.

``digest`` compares sums of the row hashes of a part, computed by the source and by ClickHouse, and only the rows of a part
whose sums differ. ``sample`` compares the rows of some parts, drawn by a seed. Single keys and a range of keys are compared
whole. As in a proof, a difference counts when it is still there after the archive has caught up.
"""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from airflow_provider_chista.archive.compare import Differences, Pair, compare, read_ahead
from airflow_provider_chista.archive.confirm import settled
from airflow_provider_chista.archive.ledger import Ledger, Stage
from airflow_provider_chista.archive.manifest import Manifests
from airflow_provider_chista.archive.mismatches import Mismatches
from airflow_provider_chista.archive.parts import PART_ROWS, cut, share_out
from airflow_provider_chista.archive.progress import Progress
from airflow_provider_chista.archive.settle import recover_all
from airflow_provider_chista.canonical import parse_key, sort_key
from airflow_provider_chista.errors import FatalError, TransientError
from airflow_provider_chista.keyrange import KeyRange
from airflow_provider_chista.model import Window, describe
from airflow_provider_chista.sources.base import Source

_KEYS_AT_A_TIME = 1_000


class Mode(StrEnum):
    """How much of the rows is compared, and how."""

    FULL = "full"
    """Each row by its hash."""
    DIGEST = "digest"
    """Sums of row hashes, and each row where the sums differ."""
    SAMPLE = "sample"
    """Each row of some parts."""


_PART_ROWS = {Mode.FULL: PART_ROWS, Mode.DIGEST: 250_000, Mode.SAMPLE: 10_000}


@dataclass(frozen=True, slots=True)
class CheckOptions:
    """What is compared, and how.

    :param mode: see :class:`Mode`; :param keys: a range of row keys, instead of the whole window.
    :param row_keys: single row keys, instead of anything else.
    :param share: of the parts that a sample compares, at least one. :param seed: of their draw; None: by chance.
    :param parallel: parts that are compared at a time, each with a connection of its own to the source.
    :param part_rows: rows of a part, about; None: as suits the mode.
    :param masked: write and tell digests in the place of differing values.
    """

    mode: Mode = Mode.FULL
    keys: KeyRange | None = None
    row_keys: tuple[str, ...] = ()
    share: float = 0.01
    seed: int | None = None
    parallel: int = 1
    part_rows: int | None = None
    masked: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.share <= 1:
            raise FatalError(f"the share of a sample is {self.share}; it must be above 0 and at most 1")
        if self.parallel < 1 or (self.part_rows is not None and self.part_rows < 1):
            raise FatalError(
                f"parallel is {self.parallel} and part_rows {self.part_rows}; both must be at least 1"
            )
        if (self.row_keys or self.keys) and self.mode is not Mode.FULL:
            raise FatalError(f"given keys are compared one by one, not by {self.mode}; leave the mode out")
        if self.row_keys and self.keys:
            raise FatalError("a check takes single row keys or a range of keys, not both")

    @property
    def chosen(self) -> str:
        """The given keys, in words; empty when there are none."""
        return f"{len(self.row_keys)} row keys" if self.row_keys else str(self.keys or "")


@dataclass(frozen=True, slots=True)
class Check:
    """A comparison that found the rows equal.

    :param rows: rows compared, by their hashes or within a sum; :param parts: compared, :param of: there are.
    :param digest: of these rows, where no row keys were given; :param seed: of a sample; :param seconds: wall clock seconds.
    """

    verify_id: str
    mode: Mode
    rows: int
    parts: int
    of: int
    digest: str
    seed: int | None
    seconds: float

    def summary(self) -> dict[str, Any]:
        """The check as JSON values."""
        return {
            "verify_id": self.verify_id,
            "mode": str(self.mode),
            "rows": self.rows,
            "parts": self.parts,
            "of_parts": self.of,
            "digest": self.digest,
            "seed": self.seed,
            "seconds": round(self.seconds, 3),
        }


def check(
    source: Source,
    manifests: Manifests,
    ledger: Ledger,
    window: Window | None,
    options: CheckOptions,
    *,
    catch_up: Callable[[], None],
    stopped: Callable[[], bool] = lambda: False,
    log: Callable[[str], None] = lambda text: None,
    progress: Callable[[Progress], None] = lambda progress: None,
) -> Check:
    """Compare rows of the window, or given keys, without a proof.

    :param catch_up: brings the archive to the source's present state; called when a comparison differs, and once more before
        rows count as different (``archive/confirm.py``).
    :param stopped: asked before each part; True ends the run.
    :param progress: called with each part that was compared; what is left is estimated by the parts before.
    :raises FatalError: rows still differ; the message counts them and names the first with their columns. All (up to
        1,000) are in the state table ``mismatches``.
    :raises TransientError: the application changed rows during each comparison.
    """
    return _Checking(source, manifests, ledger, window, options, catch_up, stopped, log, progress).run()


_Part = KeyRange | tuple[str, ...]
"""A range of keys, or single row keys."""


@dataclass(slots=True)
class _Checking:
    source: Source
    manifests: Manifests
    ledger: Ledger
    window: Window | None
    options: CheckOptions
    catch_up: Callable[[], None]
    stopped: Callable[[], bool]
    log: Callable[[str], None]
    progress: Callable[[Progress], None]
    verify_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    pending: list[_Part] = field(default_factory=list)
    counted: dict[_Part, int] = field(default_factory=dict)
    digests: dict[_Part, str] = field(default_factory=dict)

    def run(self) -> Check:
        started, options = time.monotonic(), self.options
        parts = self._parts()
        seed, of = None, len(parts)
        if options.mode is Mode.SAMPLE:
            seed = random.SystemRandom().getrandbits(32) if options.seed is None else options.seed
            drawn = random.Random(seed).sample(range(of), max(1, round(of * options.share)))  # noqa: S311
            parts = [parts[number] for number in sorted(drawn)]
        self.pending = parts
        differences = self._outcome()
        if differences.total:
            raise self._failure(differences)
        found = Check(
            self.verify_id,
            options.mode,
            sum(self.counted.values()),
            len(parts),
            of,
            _added(self.digests.values()) if self.digests else "",
            seed,
            time.monotonic() - started,
        )
        self.ledger.record(
            Stage.CHECKED,
            verify_id=self.verify_id,
            rows=found.rows,
            digest=found.digest,
            detail={
                "mode": str(options.mode),
                "keys": options.chosen,
                "parts": found.parts,
                "of_parts": of,
                "seed": seed,
                "schema": self.manifests.table.fingerprint,
            },
        )
        return found

    def _parts(self) -> list[_Part]:
        options = self.options
        if options.row_keys:
            keys = sorted(set(options.row_keys))
            return [tuple(keys[i : i + _KEYS_AT_A_TIME]) for i in range(0, len(keys), _KEYS_AT_A_TIME)]
        if options.keys:
            return [options.keys]
        return [*cut(self.source, self.manifests, self.window, options.part_rows or _PART_ROWS[options.mode])]

    def _outcome(self) -> Differences:
        """What still differs after the capture has passed it."""
        found = self._compared()
        if not found.total:
            return found
        self.log(f"{found}; waiting for the capture to pass them, then comparing again")
        self.catch_up()
        return settled(self._compared, self.source, self.manifests, self.window, self.catch_up, self.log)

    def _compared(self) -> Differences:
        """Compare the pending parts; those that are equal are pending no more."""
        # What a killed purge has deleted is no difference.
        recover_all(self.source, self.manifests, self.ledger)
        found, left = Differences(), []
        outcomes = share_out(self._told, self.pending, self.options.parallel)
        for part, differences in zip(self.pending, outcomes, strict=True):
            if differences.extra:
                extra = [key for key, finding in differences.keys.items() if finding == "extra"]
                differences.explain(self.manifests.overtaken(extra))
            found.include(differences)
            if differences.total:
                left.append(part)
            elif self.options.mode is Mode.DIGEST and isinstance(part, KeyRange) and part not in self.digests:
                self.digests[part] = self.source.digest(self.manifests.table, self.window, part)
        self.pending = left
        return found

    def _told(self, part: _Part) -> Differences:
        """As :meth:`_part`, and tells how far the check is; parts are worked on side by side."""
        differences, counted = self._part(part), dict(self.counted)
        rows = sum(counted.values())
        left = round(rows / len(counted) * sum(each not in counted for each in self.pending))
        self.progress(Progress(str(self.manifests.table.id), rows, left))
        return differences

    def _part(self, part: _Part) -> Differences:
        if self.stopped():
            raise TransientError(
                f"the check {self.verify_id} of {describe(self.window)} was stopped; run the task again"
            )
        if isinstance(part, tuple):
            here, there = self.source.hashes_of(self.manifests.table, part), self.manifests.unpurged(part)
            rows: Iterator[list[Pair]] = iter([self._ordered(here)])
            self.counted[part], differences = compare(
                self.manifests.table.key_kinds, rows, iter([self._ordered(there)])
            )
            return differences
        if self.options.mode is Mode.DIGEST:
            digest = self.manifests.digest_of(self.window, part)
            if digest == self.source.digest(self.manifests.table, self.window, part):
                self.counted[part], self.digests[part] = int(digest.partition(":")[0]), digest
                return Differences()
        with read_ahead(self.source.hashes(self.manifests.table, self.window, keys=part)) as rows:
            self.counted[part], differences = compare(
                self.manifests.table.key_kinds, rows, self.manifests.hashes(self.window, part)
            )
        return differences

    def _ordered(self, hashes: Mapping[str, str]) -> list[Pair]:
        kinds = self.manifests.table.key_kinds
        return sorted(hashes.items(), key=lambda pair: sort_key(parse_key(kinds, pair[0])))

    def _failure(self, differences: Differences) -> FatalError:
        mismatches = Mismatches(self.source, self.manifests, self.options.masked)
        return mismatches.failure(self.ledger, self.verify_id, differences, sum(self.counted.values()))


def _added(digests: Iterable[str]) -> str:
    """The digest of all rows from those of parts (``clickhouse/rowhash.py``)."""
    rows = first = second = 0
    for digest in digests:
        count, _, words = digest.partition(":")
        rows += int(count)
        first += int(words[:16], 16)
        second += int(words[16:], 16)
    return f"{rows}:{first % 2**64:016x}{second % 2**64:016x}"
