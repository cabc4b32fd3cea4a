"""The proof: (row key, row hash) of source and archive, in key order and with bounded memory.

The rows are compared in parts, ranges of keys: a long comparison can be shared by several connections, a run that was killed
goes on behind the parts that it had proven, and what differs is compared again without the rest. Of an equal part nothing
but digests of blocks leaves ClickHouse. A difference is not a failure until the capture has passed it: the archive is caught
up, its part compared row by row, and only what still differs is read by value and reported, or repaired and compared again.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import timedelta
from types import MappingProxyType
from typing import Any

from airflow_provider_chista.archive.compare import (
    BLOCK,
    Differences,
    Pair,
    block_digests,
    compare,
    read_ahead,
)
from airflow_provider_chista.archive.confirm import settled
from airflow_provider_chista.archive.ledger import Ledger, Stage
from airflow_provider_chista.archive.manifest import Manifests
from airflow_provider_chista.archive.mismatches import Mismatches
from airflow_provider_chista.archive.parts import PART_ROWS, cut, share_out
from airflow_provider_chista.archive.progress import Progress
from airflow_provider_chista.archive.repair import CHUNK, Repair
from airflow_provider_chista.archive.settle import recover_all
from airflow_provider_chista.errors import FatalError, TransientError
from airflow_provider_chista.keyrange import KeyRange
from airflow_provider_chista.model import Window, describe
from airflow_provider_chista.sources.base import Source

RESUMED_WITHIN = timedelta(hours=6)
"""Age from which an interrupted comparison is begun anew: its parts are proofs of that long ago."""


@dataclass(frozen=True, slots=True)
class VerifyOptions:
    """How rows are compared.

    :param repairs: the most rows that are repaired when they still differ (``archive/repair.py``); 0: none is. With more
        differing rows nothing is repaired.
    :param parallel: parts that are compared at a time, each with a connection of its own to the source.
    :param part_rows: rows of a part, about; 0: never cut.
    :param masked: write and tell digests in the place of differing values.
    """

    repairs: int = 0
    parallel: int = 1
    part_rows: int = PART_ROWS
    masked: bool = False

    def __post_init__(self) -> None:
        if self.parallel < 1 or self.part_rows < 0 or self.repairs < 0:
            raise FatalError(
                f"parallel is {self.parallel}, part_rows {self.part_rows} and the most repairs {self.repairs}; a "
                "verification needs at least one connection, and counts of rows that are not negative"
            )


@dataclass(frozen=True, slots=True)
class Proof:
    """A window whose rows were proven equal.

    :param rows: rows compared; :param digest: of their hashes; :param seconds: wall clock seconds of this run.
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


def verify(
    source: Source,
    manifests: Manifests,
    ledger: Ledger,
    window: Window | None,
    *,
    catch_up: Callable[[], None],
    options: VerifyOptions | None = None,
    stopped: Callable[[], bool] = lambda: False,
    evidence: Mapping[str, str] = MappingProxyType({}),
    log: Callable[[str], None] = lambda text: None,
    progress: Callable[[Progress], None] = lambda progress: None,
) -> Proof:
    """Prove that the archive holds every row of the window exactly as the source has it.

    :param catch_up: brings the archive to the source's present state; called when a comparison differs, and once more before
        rows count as different (``archive/confirm.py``).
    :param stopped: asked between lists of rows; True ends the run, which can be continued by the same Airflow run.
    :param evidence: what else the ledger keeps with the proof (``archive/connector.py``).
    :param progress: called with each list of rows that the source has hashed; what is left is estimated by the parts before.
    :raises FatalError: rows still differ; the message counts them and names the first with their columns. All (up to
        1,000) are in the state table ``mismatches``.
    :raises TransientError: the application changed rows of the window during each comparison.
    """
    verification = Verification(
        source,
        manifests,
        ledger,
        window,
        catch_up,
        options or VerifyOptions(),
        stopped,
        log,
        evidence,
        progress,
    )
    return verification.run()


@dataclass(slots=True)
class Verification:
    """Comparisons of one window, one after the other.

    :param catch_up: as of :func:`verify`; :param stopped: as of :func:`verify`.
    :param verify_id: of the manifest; :param ranges: its parts; :param pending: parts that are not proven, by number.
    :param frozen: parts of which the manifest may have rows; :param counted: rows that the source had, by part.
    :param hashed: rows that the source has hashed in the comparison of now, by part.
    :param refused: by row key, why it could not be repaired.
    """

    source: Source
    manifests: Manifests
    ledger: Ledger
    window: Window | None
    catch_up: Callable[[], None]
    options: VerifyOptions
    stopped: Callable[[], bool]
    log: Callable[[str], None]
    evidence: Mapping[str, str]
    progress: Callable[[Progress], None]
    verify_id: str = ""
    ranges: Sequence[KeyRange] = ()
    pending: list[int] = field(default_factory=list)
    frozen: set[int] = field(default_factory=set)
    counted: dict[int, int] = field(default_factory=dict)
    hashed: dict[int, int] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)

    def run(self) -> Proof:
        """The proof."""
        started = time.monotonic()
        self._begin()
        differences = self._outcome()
        if differences.total and self._repair(differences):
            differences = self._outcome()
        if differences.total:
            raise self._mismatches().failure(
                self.ledger, self.verify_id, differences, sum(self.counted.values()), self.refused
            )
        return self._proven(started)

    def _begin(self) -> None:
        """Go on with what an earlier try of this run left, or begin anew."""
        control = self.manifests.control
        left = self.ledger.interrupted(RESUMED_WITHIN)
        if left is not None and left.detail.get("circumstances") == self._circumstances:
            self.verify_id = left.verify_id
            self.ranges = [KeyRange(*bounds) for bounds in left.detail["ranges"]]
            rows = control.rows(
                f"SELECT part, rows FROM {control.name('verified_parts')} FINAL WHERE verify_id = {{id:String}}",
                {"id": self.verify_id},
            )
            self.counted = {row["part"]: row["rows"] for row in rows}
            self.pending = [part for part in range(len(self.ranges)) if part not in self.counted]
            self.frozen = set(self.pending)
            self.log(
                f"going on with {self.verify_id}: {len(self.counted)} of {len(self.ranges)} parts are proven"
            )
            return
        self.verify_id = str(uuid.uuid4())
        self.ranges = cut(self.source, self.manifests, self.window, self.options.part_rows)
        self.pending = list(range(len(self.ranges)))
        if len(self.ranges) > 1:
            self.ledger.record(
                Stage.BEGUN,
                verify_id=self.verify_id,
                detail={
                    "circumstances": self._circumstances,
                    "ranges": [[keys.first, keys.end] for keys in self.ranges],
                },
            )

    @property
    def _circumstances(self) -> dict[str, str]:
        """What must be the same for parts to belong to one proof."""
        return {"schema": self.manifests.table.fingerprint, **self.evidence}

    def _outcome(self) -> Differences:
        """What still differs after the capture has passed it."""
        recover_all(self.source, self.manifests, self.ledger)
        equal = share_out(self._summed, self.pending, self.options.parallel)
        self.pending = [part for part, is_equal in zip(self.pending, equal, strict=True) if not is_equal]
        if not self.pending:
            return Differences()
        self.log(
            f"{len(self.pending)} of {len(self.ranges)} parts differ ({sum(self.counted.values())} rows at the source); "
            "waiting for the capture to pass the differences, then comparing row by row"
        )
        self.catch_up()
        return settled(self._compared, self.source, self.manifests, self.window, self.catch_up, self.log)

    def _summed(self, part: int) -> bool:
        """Freeze one part and compare it by blocks; the source hashes while ClickHouse does. Whether it is equal."""
        rows = self.source.hashes(self.manifests.table, self.window, BLOCK, keys=self.ranges[part])
        with read_ahead(block_digests(self._unless_stopped(rows, part)), 0) as digests:
            self._freeze(part)
            there = self.manifests.block_digests(self.verify_id, part, BLOCK)
            here = list(digests)
        self.counted[part] = sum(count for count, _ in here)
        if here != there:
            return False
        self._note(part)
        return True

    def _compared(self) -> Differences:
        """Compare the pending parts row by row; those that are equal are pending no more."""
        source, manifests, ledger = self.source, self.manifests, self.ledger
        # What a killed purge has deleted is no difference.
        recover_all(source, manifests, ledger)
        parts = dict(
            zip(self.pending, share_out(self._part, self.pending, self.options.parallel), strict=True)
        )
        if any(differences.extra for differences in parts.values()):
            # A run beside this one may be purging rows of the same window.
            recover_all(source, manifests, ledger)
            struck = manifests.strike_purged(self.verify_id)
            for differences in parts.values():
                differences.explain(struck)
        found = Differences()
        for part, differences in parts.items():
            found.include(differences)
            if not differences.total:
                self._note(part)
        self.pending = [part for part, differences in parts.items() if differences.total]
        return found

    def _part(self, part: int) -> Differences:
        """Freeze one part again, without what is known to be purged, and compare it row by row."""
        manifests = self.manifests
        rows = self.source.hashes(manifests.table, self.window, BLOCK, keys=self.ranges[part])
        with read_ahead(self._unless_stopped(rows, part)) as ahead:
            self._freeze(part)
            # Before the comparison, which keeps few of the keys that differ.
            manifests.strike_purged(self.verify_id)
            self.counted[part], differences = compare(
                manifests.table.key_kinds, ahead, manifests.stream(self.verify_id, part)
            )
        return differences

    def _freeze(self, part: int) -> None:
        if part in self.frozen:
            self.manifests.drop_part(self.verify_id, part)
        self.frozen.add(part)
        self.manifests.freeze(self.verify_id, self.window, self.ranges[part], part)

    def _note(self, part: int) -> None:
        """Record an equal part of several, for a run that goes on with it."""
        if len(self.ranges) > 1:
            self.manifests.control.insert(
                "verified_parts", [{"verify_id": self.verify_id, "part": part, "rows": self.counted[part]}]
            )

    def _tell(self) -> None:
        """Tell how far the comparison is; parts are worked on side by side."""
        counted, hashed = dict(self.counted), dict(self.hashed)
        left: int | None = None
        if counted:
            usual = sum(counted.values()) // len(counted)
            left = sum(max(0, counted.get(part, usual) - hashed.get(part, 0)) for part in self.pending)
        self.progress(Progress(str(self.manifests.table.id), sum(hashed.values()), left))

    def _unless_stopped(self, rows: Generator[list[Pair], None, None], part: int) -> Iterator[list[Pair]]:
        self.hashed[part] = 0
        # Closed here: an error that is raised keeps the frames, and with them the source's transaction.
        with closing(rows):
            for chunk in rows:
                if self.stopped():
                    raise TransientError(
                        f"the verification {self.verify_id} of {describe(self.window)} was stopped; run the task again to go "
                        "on"
                    )
                self.hashed[part] += len(chunk)
                self._tell()
                yield chunk

    def _proven(self, started: float) -> Proof:
        """Record the proof."""
        manifests, ledger = self.manifests, self.ledger
        proof = Proof(
            self.verify_id,
            manifests.length(self.verify_id),
            manifests.digest(self.verify_id),
            time.monotonic() - started,
        )
        ledger.record(
            Stage.VERIFIED,
            verify_id=self.verify_id,
            rows=proof.rows,
            digest=proof.digest,
            detail={
                "schema": manifests.table.fingerprint,
                "columns": [column.name for column in manifests.table.columns],
                **self.evidence,
            },
        )
        manifests.drop(ledger.superseded(self.verify_id))
        return proof

    def _mismatches(self) -> Mismatches:
        return Mismatches(self.source, self.manifests, self.options.masked)

    def _repair(self, differences: Differences) -> bool:
        """Repair missing and differing rows, each recorded with both values; False when none was."""
        most = self.options.repairs
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
            self._mismatches().record(self.verify_id, differences, part)
            done, refused = repair.run(part, f"{self.verify_id} {start}")
            written += done
            self.refused |= refused
        self.log(f"repaired {written} rows from the source ({differences}); comparing again")
        return True
