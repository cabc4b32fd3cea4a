"""The purge: proven rows leave the source, each in a transaction that proves it once more.

The batch works on the positive list of a manifest. Per sub-batch: the archive must still show the rows with the proven hash,
then one source transaction writes the purge log and deletes exactly the rows whose recomputed hash equals the one that
ClickHouse computed over what it stored. Rows that were changed, are gone or are no longer in the archive are skipped
with the reason. The purge log at the source is the truth of what was deleted: a run that was killed reads it first.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

from airflow_provider_chista.archive.factors import SourceFactors, pause_switch
from airflow_provider_chista.archive.ledger import Entry, Ledger, Stage, batch_of
from airflow_provider_chista.archive.manifest import Manifests, Row
from airflow_provider_chista.archive.parts import share_out
from airflow_provider_chista.archive.purgereport import FINISHED, PurgeMethod, PurgeOptions, PurgeReport
from airflow_provider_chista.archive.refusals import Refusals
from airflow_provider_chista.archive.removal import Removal
from airflow_provider_chista.archive.settle import DELETED, recover, settle
from airflow_provider_chista.archive.throttle import Throttle, Verdict
from airflow_provider_chista.errors import FatalError, RefusedError, TransientError
from airflow_provider_chista.model import describe
from airflow_provider_chista.sources.base import Source
from airflow_provider_chista.sources.locks import PurgeLock
from airflow_provider_chista.sources.partitions import Partition

_CHUNK = 20_000
"""Rows whose presence in the archive is checked, and whose outcome is recorded, at a time."""

_FRESH_SECONDS = 10.0
"""How long a check of rows' presence in the archive is relied on."""

_SHORT_SECONDS = 1.0
"""A longer pause comes after the outcome of the rows before it was recorded."""

_LOCK_SECONDS = 1.0
"""Between two questions whether another purge of the table has ended."""

_LONG_SECONDS = 60.0
"""After a longer pause every reason not to purge is looked for again."""


@dataclass(slots=True)
class Purge:
    """One window's purge.

    :param source: the source as the purge user, who deletes.
    :param inspector: the source as the verify user, who sees foreign keys, triggers, sessions and standbys.
    :param verify_id: the proof to purge by; None: the window's newest.
    :param stopped: asked between transactions; True ends the run, which can be continued.
    :param progress: called after each chunk, and each partition, with the report so far.
    :param replicas: replicas whose lag counts, by name; none: those that the source knows.
    :param sentinel: asked between transactions; a text pauses the run, and is the reason.
    :param told: takes a line when a reason to pause appears, changes or is gone.
    :param configured: as of :class:`airflow_provider_chista.archive.refusals.Refusals`.
    """

    source: Source
    inspector: Source
    manifests: Manifests
    ledger: Ledger
    options: PurgeOptions
    verify_id: str | None = None
    stopped: Callable[[], bool] = lambda: False
    progress: Callable[[PurgeReport], None] = lambda report: None
    replicas: Mapping[str, Source] = field(default_factory=dict)
    sentinel: Callable[[], str | None] = lambda: None
    told: Callable[[str], None] = lambda line: None
    configured: Callable[[str], str | None] | None = None
    _factors: SourceFactors = field(init=False)
    _removal: Removal | None = field(init=False)
    _refusals: Refusals = field(init=False)
    _throttle: Throttle = field(init=False)
    _lock: PurgeLock = field(init=False)
    _sources: Sequence[Source] = field(init=False)

    def __post_init__(self) -> None:
        self._factors = SourceFactors(self.inspector, self.replicas)
        by_partition = self.options.method is PurgeMethod.PARTITION
        self._removal = (
            Removal(self.source, self.manifests, self.ledger.window, self.options.partition_action)
            if by_partition
            else None
        )
        self._refusals = Refusals(
            self.inspector,
            self.manifests,
            self.ledger,
            self.options,
            self._factors,
            self.configured,
            self._removal,
        )

    def run(self) -> PurgeReport:
        """Delete the proven rows of the window at the source, or as many of them as ``limit`` and ``run_time`` allow.

        Only a batch whose rows all have their outcome is recorded as ``deleted``, and can be sealed.

        :raises RefusedError: a promise could not be kept; the message lists every reason, nothing was deleted.
        :raises TransientError: a server did not answer, or only runs beside this one are in the way; rows deleted so far are
            in the source's purge log.
        """
        started = time.monotonic()
        self._throttle = self._made_throttle()
        proof = self._admitted(self.verify_id)
        batch_id = batch_of(proof.verify_id)
        report = PurgeReport(batch_id, proof.verify_id, proof.rows, dry_run=self.options.dry_run)
        self._count(report)
        report.deleted_before, report.skipped_before = report.deleted, report.skipped.total()
        if self.options.dry_run:
            report.ended = "dry_run"
            report.partitions = [str(each.id) for each in self._partitions()]
        else:
            with ExitStack() as stack:
                self._lock = stack.enter_context(PurgeLock(self.source, self.manifests.table.id))
                self._wait_for_lock(proof)
                others = [self.source.another() for _ in range(self.options.parallel - 1)]
                self._sources = [self.source, *map(stack.enter_context, others)]
                report.ended = self._worked(proof, report)
        self._count(report)
        report.seconds = time.monotonic() - started
        if report.ended == FINISHED:
            self.ledger.record(
                Stage.DELETED,
                verify_id=proof.verify_id,
                batch_id=batch_id,
                rows=report.deleted,
                detail={"skipped": dict(report.skipped), "method": self.options.method},
            )
        return report

    def _wait_for_lock(self, proof: Entry) -> None:
        """Until no other purge of the table runs."""
        name, told = self.manifests.table.id, False
        while not self._lock.acquire():
            if self.stopped():
                raise TransientError(
                    f"the purge of {name} was stopped while it waited for another one, before it deleted anything"
                )
            if not told:
                self.told(f"another purge of {name} runs; waiting for its end")
                told = True
            time.sleep(_LOCK_SECONDS)
        if told:
            self._admitted(proof.verify_id)

    def _worked(self, proof: Entry, report: PurgeReport) -> str:
        """Begin or go on with the batch; return why this run ended."""
        if self.ledger.last(Stage.SEALED, proof.verify_id) is not None:
            return "sealed"
        self._begin(proof, report.batch_id)
        recover(self.source, self.manifests, proof.verify_id)
        return self._delete(report) if self._removal is None else self._remove(report, self._removal)

    def _made_throttle(self) -> Throttle:
        factors = [
            pause_switch(self.manifests.control, self.manifests.target, self.sentinel),
            *self._factors.factors(self.options.throttle),
        ]
        return Throttle(self.options.throttle, factors, self.stopped, self.told)

    def _admitted(self, verify_id: str | None, *, again: bool = False) -> Entry:
        proof = self.ledger.proof(verify_id)
        reasons = self._refusals.of(proof)
        if reasons or proof is None:
            more = "more " if again else ""
            passes = all(reason.passes for reason in reasons)
            raise (TransientError if passes else RefusedError)(
                f"refused to purge {self.manifests.table.id}, {describe(self.ledger.window)}; nothing {more}was deleted: "
                + "; ".join(f"({i}) {reason}" for i, reason in enumerate(reasons, 1))
            )
        return proof

    def _begin(self, proof: Entry, batch_id: str) -> None:
        if self.ledger.last(Stage.INTENT, proof.verify_id) is None:
            self.ledger.record(
                Stage.INTENT,
                verify_id=proof.verify_id,
                batch_id=batch_id,
                rows=proof.rows,
                digest=proof.digest,
                detail={"method": self.options.method, "partitions": list(map(str, self._partitions()))},
            )
        intent = self.ledger.last(Stage.INTENT, proof.verify_id)
        if intent is None:
            raise FatalError(
                f"the intent of batch {batch_id} cannot be read back from the ledger; nothing was deleted"
            )
        begun = intent.detail.get("method", PurgeMethod.ROWS)
        if begun != self.options.method:
            raise RefusedError(
                f"batch {batch_id} was begun with method={begun!r}, and its seal looks for that; go on with it, or verify "
                "and approve the window again"
            )

    def _partitions(self) -> Sequence[Partition]:
        return self._removal.partitions() if self._removal else ()

    def _remove(self, report: PurgeReport, removal: Removal) -> str:
        """Remove partitions until none is left, or the throttle ends the run; return which of these."""
        ended: str | None = None
        self._count(report)
        for partition in removal.partitions():
            if (ended := self._turn(report)) is not None:
                break
            began = time.monotonic()
            removed = removal.remove(partition, report.verify_id, report.batch_id)
            self._throttle.worked(removed, removed, time.monotonic() - began)
            report.partitions.append(str(partition.id))
            report.deleted += removed
            self.progress(report)
        recover(self.source, self.manifests, report.verify_id)
        if ended is None:
            removal.settle_others(report.verify_id, report.batch_id)
        return ended or FINISHED

    def _turn(self, report: PurgeReport) -> str | None:
        """Wait until the next transaction may begin; why the run ends instead."""
        paused = self._throttle.total
        verdict = self._throttle.wait()
        if verdict is Verdict.STOPPED:
            raise TransientError(
                f"the purge of batch {report.batch_id} was stopped after {report.deleted} rows; run the task again to go on"
            )
        if verdict is not Verdict.GO:
            return verdict
        self._lock.keep()
        if self._throttle.total - paused > _LONG_SECONDS:
            self._admitted(report.verify_id, again=True)
        return None

    def _delete(self, report: PurgeReport) -> str:
        """Work on the batch until it is finished, or the throttle ends the run; return which of these."""
        position = -1
        chunk = self.options.throttle.rows_within(_FRESH_SECONDS, _CHUNK)
        while rows := self.manifests.unsettled(report.verify_id, report.batch_id, position, chunk):
            if (verdict := self._turn(report)) is not None:
                return verdict
            position = self._chunk(report.batch_id, rows)
            self._count(report)
            self.progress(report)
        return FINISHED

    def _chunk(self, batch_id: str, rows: Sequence[Row]) -> int:
        """Delete rows whose turn has come, and record what became of them; return the position of the last one.

        Ends early when the throttle holds, or the check of the rows' presence in the archive has become old.
        """
        checked = time.monotonic()
        archived = self.manifests.still_archived(rows)
        outcomes = {
            row.row_key: ("skipped", "no longer in the archive as proven")
            for row in rows
            if row.row_key not in archived
        }
        left = [row for row in rows if row.row_key in archived]
        done = 0
        while done < len(left):
            if done and not self._may_go_on(checked):
                break
            now = self._throttle.rows(self.options.txn_size * len(self._sources))
            group = left[done : done + now]
            outcomes |= self._transactions(batch_id, group)
            done += len(group)
        settle(self.manifests, batch_id, [row for row in rows if row.row_key in outcomes], outcomes)
        return left[done - 1].position if done < len(left) else rows[-1].position

    def _may_go_on(self, checked: float) -> bool:
        return (
            self._throttle.wait(_SHORT_SECONDS) is Verdict.GO and time.monotonic() - checked < _FRESH_SECONDS
        )

    def _transactions(self, batch_id: str, rows: Sequence[Row]) -> dict[str, tuple[str, str]]:
        """Delete rows in one transaction of each connection at a time; what became of them."""
        began, size = time.monotonic(), self.options.txn_size
        parts = [rows[start : start + size] for start in range(0, len(rows), size)]

        def work(pair: tuple[Source, Sequence[Row]]) -> dict[str, tuple[str, str]]:
            return self._sub_batch(batch_id, *pair)

        outcomes: dict[str, tuple[str, str]] = {}
        for done in share_out(work, list(zip(self._sources, parts, strict=False)), len(self._sources)):
            outcomes |= done
        deleted = sum(outcome == DELETED for outcome in outcomes.values())
        self._throttle.worked(len(rows), deleted, time.monotonic() - began)
        return outcomes

    def _sub_batch(self, batch_id: str, source: Source, rows: Sequence[Row]) -> dict[str, tuple[str, str]]:
        table = self.manifests.table
        deleted = set(source.guarded_delete(table, batch_id, [(row.row_key, row.row_hash) for row in rows]))
        others = [row.row_key for row in rows if row.row_key not in deleted]
        present = source.present(table, others) if others else set()
        return dict.fromkeys(deleted, DELETED) | {
            key: ("skipped", "changed at the source" if key in present else "gone from the source")
            for key in others
        }

    def _count(self, report: PurgeReport) -> None:
        control = self.manifests.control
        rows = control.rows(
            f"SELECT state, reason, count() AS n FROM {control.name('purged')} FINAL"
            " WHERE target = {target:String} AND batch_id = {batch_id:String} GROUP BY state, reason",
            {"target": str(self.manifests.target), "batch_id": report.batch_id},
        )
        report.deleted = sum(row["n"] for row in rows if row["state"] == "deleted")
        report.throttled, report.throttled_seconds = dict(self._throttle.seconds), self._throttle.total
        report.skipped = Counter({row["reason"]: row["n"] for row in rows if row["state"] == "skipped"})
