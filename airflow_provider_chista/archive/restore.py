"""The restore: archived rows go back to the source, each compared with the archive before its transaction commits.

The rows are chosen once: their keys and ClickHouse's hashes are frozen in a manifest of the restore's own. Per sub-batch, one
source transaction inserts the rows that are missing there, computes their row hashes again from what the source then
holds, and commits only when every one equals ClickHouse's. A row that is at the source already is never written: equal, it
is counted as there, so that a restore that was killed can be repeated; different, it is a conflict. The inserts come back
through the change stream as new versions of the rows, like any other insert.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from airflow_provider_chista.archive.deletes import waiting_deletes
from airflow_provider_chista.archive.ledger import Ledger, Stage
from airflow_provider_chista.archive.manifest import Manifests, Row
from airflow_provider_chista.archive.settle import deleted_page
from airflow_provider_chista.canonical import parse_key, sort_key
from airflow_provider_chista.errors import FatalError, RefusedError, TransientError
from airflow_provider_chista.findings import Severity
from airflow_provider_chista.model import Window, names
from airflow_provider_chista.sources.base import Source
from airflow_provider_chista.sources.restoring import ArchivedRow, Restored, sorted_out

_CHUNK = 20_000
"""Most rows that are read from the archive, or looked up, at a time."""

_FIRST_PAGE = 500
_PAGE_BYTES = 32 * 1024 * 1024
"""Text of a page of rows, about; how many rows that are is learnt from the page before it."""

_TXN_BYTES = 4 * 1024 * 1024
"""Text of one statement, unless a single row is longer: quoted it has to fit into ``max_allowed_packet``."""

_RESTORES = uuid.UUID("3d0f6d0a-55f0-5b63-9d3d-0c3d1c1f2a77")


class Conflicts(StrEnum):
    """What to do with a row that is at the source with another content than in the archive."""

    REFUSE = "refuse"
    SKIP = "skip"


@dataclass(frozen=True, slots=True)
class Selection:
    """Which rows to restore: exactly one of a window, row keys, and the rows that a purge batch deleted.

    :param row_keys: row keys as the state tables spell them (``docs/row-hash.md``).
    :raises FatalError: nothing was chosen, or more than one.
    """

    window: Window | None = None
    row_keys: tuple[str, ...] = ()
    batch_id: str = ""

    def __post_init__(self) -> None:
        if [bool(self.window), bool(self.row_keys), bool(self.batch_id)].count(True) != 1:
            raise FatalError(
                "a restore needs one choice of rows and got "
                + (f"{self}" if self.window or self.row_keys or self.batch_id else "none")
                + "; give a window (time_column with window_start and window_end), row_keys, or batch_id"
            )

    def __str__(self) -> str:
        parts = [str(self.window)] if self.window else []
        parts += [f"{len(self.row_keys)} row keys"] if self.row_keys else []
        parts += [f"purge batch {self.batch_id}"] if self.batch_id else []
        return " and ".join(parts)


@dataclass(frozen=True, slots=True)
class RestoreOptions:
    """How a restore works.

    :param conflicts: refuse, or leave the source's row and count it.
    :param txn_size: most rows per source transaction.
    :param dry_run: count, write nothing at the source.
    :param actor: who asked for it, for the ledger.
    """

    conflicts: Conflicts = Conflicts.REFUSE
    txn_size: int = 1_000
    dry_run: bool = False
    actor: str = ""

    def __post_init__(self) -> None:
        if self.txn_size < 1:
            raise FatalError(f"txn_size is {self.txn_size}; a transaction needs at least one row")


@dataclass(slots=True)
class RestoreReport:
    """Outcome of a restore, in rows.

    :param selected: rows of the selection that the archive shows; :param digest: of their hashes.
    :param restored: inserted by this run (dry run: would be); :param already_there: at the source as archived.
    :param conflicts: at the source with another content, left as they are.
    :param not_archived: rows of the batch that the archive shows no more, because the application deleted them since.
    """

    restore_id: str
    selected: int = 0
    restored: int = 0
    already_there: int = 0
    conflicts: int = 0
    not_archived: int = 0
    digest: str = ""
    seconds: float = 0.0
    dry_run: bool = False

    def add(self, found: Restored) -> None:
        """Count a sub-batch."""
        self.restored += len(found.missing)
        self.already_there += len(found.equal)
        self.conflicts += len(found.conflicts)

    def summary(self) -> dict[str, Any]:
        """The report as JSON values."""
        return {
            "restore_id": self.restore_id,
            "selected": self.selected,
            "restored": self.restored,
            "already_there": self.already_there,
            "conflicts": self.conflicts,
            "not_archived": self.not_archived,
            "digest": self.digest,
            "seconds": round(self.seconds, 3),
            "dry_run": self.dry_run,
        }


@dataclass(slots=True)
class Restore:
    """One restore of one table.

    :param source: the source as the restore user, who inserts.
    :param ledger: of the selection's window; of the whole table for keys and batches.
    :param stopped: asked between transactions; True ends the run, which can be repeated.
    :param progress: called after each transaction with the report so far.
    """

    source: Source
    manifests: Manifests
    ledger: Ledger
    selection: Selection
    options: RestoreOptions
    stopped: Callable[[], bool] = lambda: False
    progress: Callable[[RestoreReport], None] = lambda report: None

    def run(self) -> RestoreReport:
        """Insert the rows of the selection that are not at the source.

        :raises RefusedError: a promise could not be kept; nothing of the transaction at hand was written.
        :raises TransientError: a server did not answer, or a lock was not granted; repeat the restore.
        """
        started = time.monotonic()
        report = RestoreReport(self._restore_id, dry_run=self.options.dry_run)
        self._require_allowed()
        try:
            self._select(report)
            self._write(report, started)
        finally:
            self.manifests.drop([report.restore_id])
        return report

    @property
    def _restore_id(self) -> str:
        """The same for every try of a task, so that a try takes over the list of one that was killed."""
        author = self.ledger.author
        parts = (self.manifests.target, repr(self.selection), author.dag_id, author.run_id, author.task_id)
        return str(uuid.uuid5(_RESTORES, "\x1f".join(map(str, parts))))

    def _require_allowed(self) -> None:
        table, reasons = self.manifests.table, []
        if table.unproven:
            reasons.append(
                f"columns {', '.join(table.unproven)} of {table.id} are excluded, or stored in a type that need not be "
                "exact, so no row can come back whole"
            )
        findings = self.source.grant_findings("restore", [table.id])
        reasons += [str(finding) for finding in findings if finding.severity is Severity.ERROR]
        if self.selection.batch_id and not self.ledger.finished(self.selection.batch_id):
            reasons.append(
                f"the ledger has no finished purge batch {self.selection.batch_id} of {self.manifests.target}; look for its "
                "batch_id there, and run PurgeSourceOperator again where it was not finished"
            )
        if waiting := waiting_deletes(self.manifests.control, self.manifests.target):
            reasons.append(
                f"{waiting} deletes of {self.manifests.target} wait in quarantine, and may be the application's; drain to a "
                "barrier first"
            )
        self._refuse(reasons)

    def _refuse(self, reasons: Sequence[str]) -> None:
        if reasons:
            raise RefusedError(
                f"refused to restore {self.selection} of {self.manifests.table.id}; nothing was written: "
                + "; ".join(f"({i}) {reason}" for i, reason in enumerate(reasons, 1))
            )

    def _select(self, report: RestoreReport) -> None:
        """Freeze keys and hashes of the rows to restore."""
        manifests, restore_id = self.manifests, report.restore_id
        manifests.drop([restore_id])
        if self.selection.window:
            report.selected = manifests.freeze(restore_id, self.selection.window, purged=True)
        for keys in self._listed():
            visible = manifests.visible(keys)
            found = [key for key in keys if key in visible]
            if self.selection.row_keys and len(found) < len(keys):
                lacking = [key for key in keys if key not in visible]
                self._refuse(
                    [f"{manifests.target} does not show {len(lacking)} of the keys: {names(lacking[:5])}"]
                )
            manifests.write(
                restore_id,
                [Row(position, key, *visible[key]) for position, key in enumerate(found, report.selected)],
            )
            report.selected += len(found)
            report.not_archived += len(keys) - len(found)
        if unhashed := manifests.unhashed(restore_id):
            self._refuse(
                [
                    f"{unhashed} of the rows are incomplete in {manifests.target}: the source left values out of its events, "
                    "and nobody knows them"
                ]
            )
        report.digest = manifests.digest(restore_id)

    def _listed(self) -> Iterator[list[str]]:
        """The keys of a selection that names them, in lists."""
        if self.selection.row_keys:
            kinds = self.manifests.table.key_kinds
            keys = sorted(set(self.selection.row_keys), key=lambda key: sort_key(parse_key(kinds, key)))
            for start in range(0, len(keys), _CHUNK):
                yield keys[start : start + _CHUNK]
        elif self.selection.batch_id:
            after = ""
            while page := deleted_page(self.manifests, self.selection.batch_id, after, _CHUNK):
                after = page[-1]["row_key"]
                yield [row["row_key"] for row in page]

    def _write(self, report: RestoreReport, started: float) -> None:
        finished = False
        try:
            for page in self._pages(report.restore_id):
                for part in parts(page, self.options.txn_size):
                    if self.stopped():
                        raise TransientError(
                            f"the restore was stopped after {report.restored} rows; run the task again to go on"
                        )
                    report.add(self._sub_batch(part))
                    self.progress(report)
            finished = True
        finally:
            report.seconds = time.monotonic() - started
            if not self.options.dry_run and (finished or report.restored):
                self._record(report, finished)

    def _sub_batch(self, rows: Sequence[ArchivedRow]) -> Restored:
        table = self.manifests.table
        if self.options.dry_run:
            return sorted_out(rows, self.source.hashes_of(table, [row.key for row in rows]))
        return self.source.restore(table, rows, skip=self.options.conflicts is Conflicts.SKIP)

    def _pages(self, restore_id: str) -> Iterator[list[ArchivedRow]]:
        position, limit = -1, _FIRST_PAGE
        while listed := self.manifests.page(restore_id, position, limit):
            position = listed[-1].position
            fields = self.manifests.fields([row.row_key for row in listed])
            if lacking := [row.row_key for row in listed if row.row_key not in fields]:
                raise FatalError(
                    f"{self.manifests.target} does not show {len(lacking)} of the rows any more, such as key {lacking[0]}: "
                    "they were deleted while they were restored. Run the restore again"
                )
            page = [ArchivedRow(row.row_key, row.row_hash, fields[row.row_key]) for row in listed]
            yield page
            per_row = max(1, sum(map(size_of, page)) // len(page))
            limit = max(1, min(_CHUNK, 8 * len(page), _PAGE_BYTES // per_row))

    def _record(self, report: RestoreReport, finished: bool) -> None:
        selection = self.selection
        chosen: dict[str, Any] = {"window": str(selection.window)} if selection.window else {}
        chosen |= {"batch_id": selection.batch_id} if selection.batch_id else {}
        chosen |= {"row_keys": len(selection.row_keys)} if selection.row_keys else {}
        self.ledger.record(
            Stage.RESTORED,
            verify_id=report.restore_id,
            batch_id=selection.batch_id,
            rows=report.restored,
            digest=report.digest,
            actor=self.options.actor,
            detail={
                "selection": chosen,
                "selected": report.selected,
                "already_there": report.already_there,
                "conflicts": report.conflicts,
                "not_archived": report.not_archived,
                "policy": str(self.options.conflicts),
                "finished": finished,
            },
        )


def size_of(row: ArchivedRow) -> int:
    """Characters of a row's texts."""
    return sum(map(len, filter(None, row.values)))


def parts(rows: Sequence[ArchivedRow], txn_size: int) -> Iterator[list[ArchivedRow]]:
    """Sub-batches of at most ``txn_size`` rows and about 4 MiB of text; a longer row is alone."""
    part: list[ArchivedRow] = []
    size = 0
    for row in rows:
        own = size_of(row)
        if part and (len(part) == txn_size or size + own > _TXN_BYTES):
            yield part
            part, size = [], 0
        part.append(row)
        size += own
    if part:
        yield part
