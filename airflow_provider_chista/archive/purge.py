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
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow_provider_chista.archive import window as windows
from airflow_provider_chista.archive.complete import incomplete, incomplete_remedy
from airflow_provider_chista.archive.deadletters import REMEDY as LETTERS_REMEDY
from airflow_provider_chista.archive.deadletters import open_letters
from airflow_provider_chista.archive.factors import SourceFactors, pause_switch
from airflow_provider_chista.archive.ledger import Entry, Ledger, Stage, batch_of
from airflow_provider_chista.archive.manifest import Manifests, Row
from airflow_provider_chista.archive.settle import DELETED, recover, settle
from airflow_provider_chista.archive.sinks import DeletePolicy
from airflow_provider_chista.archive.throttle import Throttle, ThrottleOptions, Verdict
from airflow_provider_chista.clickhouse import ddl
from airflow_provider_chista.errors import FatalError, RefusedError
from airflow_provider_chista.model import describe
from airflow_provider_chista.sources.base import Source

_CHUNK = 20_000
"""Rows whose presence in the archive is checked, and whose outcome is recorded, at a time."""

_FRESH_SECONDS = 10.0
"""How long a check of rows' presence in the archive is relied on."""

_SHORT_SECONDS = 1.0
"""A longer pause comes after the outcome of the rows before it was recorded."""

_LONG_SECONDS = 60.0
"""After a longer pause every reason not to purge is looked for again."""

FINISHED = "finished"


@dataclass(frozen=True, slots=True)
class PurgeOptions:
    """How a purge works.

    :param retention: a window that ends later than now minus this is refused.
    :param policy: the table's delete policy; ``mirror`` is refused.
    :param txn_size: rows per source transaction (pt-archiver's name).
    :param dry_run: print SQL and counts, delete nothing.
    :param require_approval: refuse without an approval of this proof in the ledger.
    :param listed: foreign keys and triggers that are known and accepted, spelled as the refusal spells them.
    :param slot: the connector's replication slot; :param publication: its publication; both PostgreSQL only.
    :param throttle: what holds it back.
    """

    retention: timedelta
    policy: DeletePolicy = DeletePolicy.ARCHIVE
    txn_size: int = 1_000
    dry_run: bool = False
    require_approval: bool = True
    listed: tuple[str, ...] = ()
    slot: str | None = None
    publication: str | None = None
    throttle: ThrottleOptions = field(default_factory=ThrottleOptions)


@dataclass(slots=True)
class PurgeReport:
    """Outcome of a batch.

    :param proven: rows of the manifest; :param deleted: rows deleted at the source; :param skipped: by reason.
    :param ended: why the run ended: ``finished``, ``limit``, ``run_time``, ``dry_run``, or ``sealed`` when it was before.
    :param throttled: paused seconds by factor; of factors that held at once each counts.
    :param throttled_seconds: paused seconds in all.
    """

    batch_id: str
    verify_id: str
    proven: int
    deleted: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    dry_run: bool = False
    ended: str = FINISHED
    throttled: dict[str, float] = field(default_factory=dict)
    throttled_seconds: float = 0.0

    @property
    def unfinished(self) -> bool:
        """Whether rows of the batch are left, for a run that goes on with it."""
        return self.ended in (Verdict.LIMIT, Verdict.RUN_TIME)

    def summary(self) -> dict[str, Any]:
        """The report as JSON values."""
        return {
            "batch_id": self.batch_id,
            "verify_id": self.verify_id,
            "proven": self.proven,
            "deleted": self.deleted,
            "skipped": dict(self.skipped),
            "seconds": round(self.seconds, 3),
            "dry_run": self.dry_run,
            "ended": self.ended,
            "throttled": {name: round(seconds, 3) for name, seconds in self.throttled.items()},
            "throttled_seconds": round(self.throttled_seconds, 3),
        }


@dataclass(slots=True)
class Purge:
    """One window's purge.

    :param source: the source as the purge user, who deletes.
    :param inspector: the source as the verify user, who sees foreign keys, triggers, sessions and standbys.
    :param verify_id: the proof to purge by; None: the window's newest.
    :param stopped: asked between transactions; True ends the run, which can be continued.
    :param progress: called after each chunk with the report so far.
    :param replicas: replicas whose lag counts, by name; none: those that the source knows.
    :param sentinel: asked between transactions; a text pauses the run, and is the reason.
    :param told: takes a line when a reason to pause appears, changes or is gone.
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
    _factors: SourceFactors = field(init=False)
    _throttle: Throttle = field(init=False)

    def __post_init__(self) -> None:
        self._factors = SourceFactors(self.inspector, self.replicas)

    def run(self) -> PurgeReport:
        """Delete the proven rows of the window at the source, or as many of them as ``limit`` and ``run_time`` allow.

        Only a batch whose rows all have their outcome is recorded as ``deleted``, and can be sealed.

        :raises RefusedError: a promise could not be kept; the message lists every reason, nothing was deleted.
        :raises TransientError: a server did not answer; rows deleted so far are in the source's purge log.
        """
        started = time.monotonic()
        self._throttle = self._made_throttle()
        proof = self._admitted(self.verify_id)
        batch_id = batch_of(proof.verify_id)
        report = PurgeReport(batch_id, proof.verify_id, proof.rows, dry_run=self.options.dry_run)
        if self.options.dry_run:
            report.ended = "dry_run"
        elif self.ledger.last(Stage.SEALED, proof.verify_id) is not None:
            report.ended = "sealed"
        else:
            self._begin(proof, batch_id)
            recover(self.source, self.manifests, proof.verify_id)
            report.ended = self._delete(report)
        self._count(report)
        report.seconds = time.monotonic() - started
        if report.ended == FINISHED:
            self.ledger.record(
                Stage.DELETED,
                verify_id=proof.verify_id,
                batch_id=batch_id,
                rows=report.deleted,
                detail={"skipped": dict(report.skipped)},
            )
        return report

    def refusals(self, proof: Entry | None) -> list[str]:
        """Every reason not to purge, in words; empty when none."""
        window, table, target = self.ledger.window, self.manifests.table, self.manifests.target
        reasons = []
        if self.options.policy is not DeletePolicy.ARCHIVE:
            reasons.append(
                f"the delete policy of {target} is {self.options.policy}: the purge's own deletes would be applied or "
                "lost; use the policy archive"
            )
        try:
            windows.require_older(window, self.options.retention, datetime.now(UTC))
        except RefusedError as error:
            reasons.append(str(error))
        if proof is None:
            reasons.append(
                f"{describe(window)} of {target} has no proof; run VerifyArchiveOperator for exactly this window"
            )
        else:
            reasons += self._refusals_of(proof)
        if table.unproven:
            reasons.append(
                f"columns {', '.join(table.unproven)} of {table.id} are excluded, or stored in a type that need not be "
                "exact, so no row is proven whole"
            )
        if letters := open_letters(self.manifests.control, target):
            reasons.append(f"{letters}; {LETTERS_REMEDY}")
        if found := incomplete(self.manifests.control.client, table, target):
            reasons.append(f"{found}; {incomplete_remedy(table)}")
        if ddl.has_ttl(self.manifests.control.client, target):
            reasons.append(f"{target} has a TTL, which could drop the archived rows; remove it")
        findings = [
            *self.inspector.settings_findings(slot=self.options.slot),
            *self.inspector.table_findings(
                table, listed=self.options.listed, publication=self.options.publication
            ),
            *self._factors.findings(self.options.throttle),
        ]
        reasons += [str(finding) for finding in findings if finding.severity in ("error", "purge")]
        return reasons

    def _made_throttle(self) -> Throttle:
        factors = [
            pause_switch(self.manifests.control, self.manifests.target, self.sentinel),
            *self._factors.factors(self.options.throttle),
        ]
        return Throttle(self.options.throttle, factors, self.stopped, self.told)

    def _admitted(self, verify_id: str | None, *, again: bool = False) -> Entry:
        proof = self.ledger.proof(verify_id)
        reasons = self.refusals(proof)
        if reasons or proof is None:
            more = "more " if again else ""
            raise RefusedError(
                f"refused to purge {self.manifests.table.id}, {describe(self.ledger.window)}; nothing {more}was deleted: "
                + "; ".join(f"({i}) {reason}" for i, reason in enumerate(reasons, 1))
            )
        return proof

    def _refusals_of(self, proof: Entry) -> list[str]:
        table, reasons = self.manifests.table, []
        if proof.detail.get("schema") != table.fingerprint:
            reasons.append(f"the columns of {table.id} changed since the proof; verify again")
        if self.manifests.length(proof.verify_id) != proof.rows:
            reasons.append(
                f"the manifest of the proof {proof.verify_id} is not complete any more; verify again"
            )
        if self.options.require_approval and not self.options.dry_run:
            verdict = self.ledger.verdict(proof.verify_id)
            if verdict is None:
                reasons.append(f"nobody approved the proof {proof.verify_id}")
            elif verdict.stage is Stage.REJECTED:
                reasons.append(f"{verdict.actor or 'the timeout'} rejected the proof {proof.verify_id}")
            elif not verdict.actor:
                reasons.append(f"the approval of the proof {proof.verify_id} names no user")
        return reasons

    def _begin(self, proof: Entry, batch_id: str) -> None:
        if self.ledger.last(Stage.INTENT, proof.verify_id) is None:
            self.ledger.record(
                Stage.INTENT,
                verify_id=proof.verify_id,
                batch_id=batch_id,
                rows=proof.rows,
                digest=proof.digest,
            )
        if self.ledger.last(Stage.INTENT, proof.verify_id) is None:
            raise FatalError(
                f"the intent of batch {batch_id} cannot be read back from the ledger; nothing was deleted"
            )

    def _delete(self, report: PurgeReport) -> str:
        """Work on the batch until it is finished, or the throttle ends the run; return which of these."""
        position = -1
        chunk = self.options.throttle.rows_within(_FRESH_SECONDS, _CHUNK)
        while rows := self.manifests.unsettled(report.verify_id, report.batch_id, position, chunk):
            paused = self._throttle.total
            verdict = self._throttle.wait()
            if verdict is Verdict.STOPPED:
                raise FatalError(
                    f"the purge of batch {report.batch_id} was stopped after {report.deleted} rows; run the task again to "
                    "go on"
                )
            if verdict is not Verdict.GO:
                return verdict
            if self._throttle.total - paused > _LONG_SECONDS:
                self._admitted(report.verify_id, again=True)
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
            part = left[done : done + self._throttle.rows(self.options.txn_size)]
            outcomes |= self._sub_batch(batch_id, part)
            done += len(part)
        settle(self.manifests, batch_id, [row for row in rows if row.row_key in outcomes], outcomes)
        return left[done - 1].position if done < len(left) else rows[-1].position

    def _may_go_on(self, checked: float) -> bool:
        return (
            self._throttle.wait(_SHORT_SECONDS) is Verdict.GO and time.monotonic() - checked < _FRESH_SECONDS
        )

    def _sub_batch(self, batch_id: str, rows: Sequence[Row]) -> dict[str, tuple[str, str]]:
        table, began = self.manifests.table, time.monotonic()
        deleted = set(
            self.source.guarded_delete(table, batch_id, [(row.row_key, row.row_hash) for row in rows])
        )
        self._throttle.worked(len(rows), len(deleted), time.monotonic() - began)
        others = [row.row_key for row in rows if row.row_key not in deleted]
        present = self.source.present(table, others) if others else set()
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
