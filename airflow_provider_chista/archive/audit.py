"""The audit: what was purged is still in the archive as it was proven, and nothing around the archive lies open for long.

ClickHouse computes the row hashes of the archived rows again and holds them, batch by batch, against those that the purge
was done by, and these against the sealed digests; rows leave ClickHouse only where something differs. Rows of a sealed
window that no purge knows are looked for at the source. What looks damaged is looked at again behind a catch-up: a change
that the stream has not brought yet is no damage.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from itertools import groupby
from typing import Any

from airflow_provider_chista.archive.backlog import AuditLimits, Backlog
from airflow_provider_chista.archive.evidence import NOTHING, Batch, Evidence
from airflow_provider_chista.archive.inspection import Inspection, Look, Suspect
from airflow_provider_chista.archive.ledger import Ledger, Stage
from airflow_provider_chista.archive.manifest import Manifests
from airflow_provider_chista.archive.settle import recover_all
from airflow_provider_chista.clickhouse.control import Control
from airflow_provider_chista.errors import FatalError
from airflow_provider_chista.findings import Finding, Severity
from airflow_provider_chista.model import TableId, describe, names
from airflow_provider_chista.sources.base import Source

REPORTED = 1_000
"""Damaged rows of a kind that are read by value and written to the table of mismatches."""

_PAGE = 100
"""Damaged rows whose values are held at a time."""

_NAMED = 5
"""Damaged rows that a finding names."""


@dataclass(slots=True)
class TableReport:
    """What the audit of one archive table found.

    :param rows: purged rows of the audited batches; :param digest: of their hashes, as the archive has them.
    :param proven: rows of them that are there as proven; :param rewritten: that are there in a newer version;
        :param deleted: that the application has deleted since.
    :param living: rows of the sealed windows that no purge knows in this version, and the source has.
    :param missing: purged rows that are gone; :param differing: that have another content;
        :param extra: rows that neither the source nor a purge knows; :param evidence: altered records of purges.
    :param waiting_deletes: open things, whatever their age; so ``dead_letters`` and ``unsealed_batches``.
    :param findings: what is wrong, with the remedy.
    """

    audit_id: str
    target: str
    batches: int = 0
    rows: int = 0
    digest: str = NOTHING
    proven: int = 0
    rewritten: int = 0
    deleted: int = 0
    living: int = 0
    missing: int = 0
    differing: int = 0
    extra: int = 0
    evidence: int = 0
    waiting_deletes: int = 0
    dead_letters: int = 0
    unsealed_batches: int = 0
    seconds: float = 0.0
    findings: list[Finding] = field(default_factory=list)

    def find(self, check: str, found: str, remedy: str) -> None:
        """Add a finding."""
        self.findings.append(Finding(check, Severity.ERROR, self.target, found, remedy))

    def summary(self) -> dict[str, Any]:
        """The report as JSON values."""
        return asdict(self) | {"seconds": round(self.seconds, 3), "findings": [str(f) for f in self.findings]}


@dataclass(frozen=True, slots=True)
class AuditReport:
    """The reports of all tables."""

    tables: tuple[TableReport, ...]

    @property
    def findings(self) -> list[Finding]:
        """The findings of all tables."""
        return [finding for table in self.tables for finding in table.findings]

    def summary(self) -> dict[str, Any]:
        """Number of findings, and the tables' reports by archive table, as JSON values."""
        return {
            "findings": len(self.findings),
            "tables": {table.target: table.summary() for table in self.tables},
        }

    def require_sound(self) -> None:
        """Raise :class:`FatalError` with every finding and its remedy when there is one."""
        if self.findings:
            targets = names([table.target for table in self.tables if table.findings])
            raise FatalError(
                f"the audit of {targets} found: "
                + " ".join(f"({i}) {finding}" for i, finding in enumerate(self.findings, 1))
            )


def archived_tables(control: Control, flavour: str) -> dict[TableId, TableId]:
    """Archive table to source table, of all that the ledger knows of an engine."""
    rows = control.rows(
        f"SELECT target, argMax(source, at) AS newest FROM {control.name('ledger')}"
        " WHERE startsWith(source, {engine:String}) GROUP BY target ORDER BY target",
        {"engine": f"{flavour}:"},
    )
    return {
        TableId.parse(row["target"]): TableId.parse(row["newest"].removeprefix(f"{flavour}:")) for row in rows
    }


def audit(tables: Mapping[TableId, TableId], opened: Callable[[TableId, TableId], Audit]) -> AuditReport:
    """Audit tables one after the other; one that cannot be audited is a finding.

    :param tables: archive table to source table.
    :param opened: makes the audit of a source table and its archive table.
    :raises TransientError: a server did not answer.
    """
    reports = []
    for target, name in tables.items():
        try:
            report = opened(name, target).run()
        except FatalError as error:
            report = TableReport("", str(target))
            report.find(
                "not audited",
                str(error).rstrip("."),
                "mend it; or name the tables to audit, when this one was given up or is of another server",
            )
        reports.append(report)
    return AuditReport(tuple(reports))


@dataclass(slots=True)
class Audit:
    """The audit of one archive table.

    :param ledger: of the whole table.
    :param start: only batches whose window reaches beyond it; :param end: and begins before it; None: no bound.
    :param catch_up: brings the archive to the source's present state; called once when something looks damaged. None: what
        the drain has not brought yet may look damaged.
    """

    source: Source
    manifests: Manifests
    ledger: Ledger
    limits: AuditLimits = field(default_factory=AuditLimits)
    start: datetime | None = None
    end: datetime | None = None
    catch_up: Callable[[], None] | None = None
    log: Callable[[str], None] = lambda text: None

    def run(self) -> TableReport:
        """Look at everything, write what is damaged to ``mismatches`` and the outcome to the ledger.

        :raises FatalError: the archive table does not fit the source table, or the ledger cannot be read.
        :raises TransientError: a server did not answer.
        """
        began, report = time.monotonic(), TableReport(str(uuid.uuid4()), str(self.manifests.target))
        evidence = Evidence(self.manifests.control, self.manifests.table.id, self.manifests.target)
        batches = evidence.sealed(self.start, self.end)
        report.batches, report.rows = len(batches), sum(batch.rows for batch in batches)
        broken = evidence.broken(batches)
        evidence = replace(evidence, distrusted=frozenset(batch.batch_id for batch in broken))
        inspections = list(self._inspections(report, evidence, batches))
        look = self._look(inspections)
        if look.suspects and self.catch_up is not None:
            self.log(
                f"{len(look.suspects)} rows of {report.target} look damaged; waiting for the capture to pass them"
            )
            self.catch_up()
            before, look = look.suspects, self._look(inspections)
            # What the source lacked before the catch-up, and the archive shows in the same version behind it, has no delete.
            look.suspects = {k: s for k, s in look.suspects.items() if not s.is_unknown or before.get(k) == s}
        report.digest, report.living = str(look.digest), look.living
        report.proven, report.rewritten = look.fates["proven"], look.fates["rewritten"]
        report.deleted = look.fates["deleted"]
        if broken:
            self._find_altered(report, evidence, broken)
        self._find_damage(report, look, inspections)
        self._find_open(report)
        report.seconds = time.monotonic() - began
        self._record(report)
        return report

    def _inspections(
        self, report: TableReport, evidence: Evidence, batches: Sequence[Batch]
    ) -> Iterator[Inspection]:
        """One for all batches whose hashes cover the same columns: a column that came later is no change of older rows."""
        table = self.manifests.table
        stored = {column.name: column for column in table.stored}
        now = tuple(column.name for column in table.hashed)
        for covered, some in groupby(
            sorted(batches, key=lambda b: b.columns or now), lambda b: b.columns or now
        ):
            group = list(some)
            if gone := [name for name in covered if name not in stored]:
                report.find(
                    "lost columns",
                    f"the archive has no columns {names(gone)} any more, which the proofs of {len(group)} batches cover "
                    f"({sum(b.rows for b in group)} rows); the batches cannot be audited",
                    "bring the columns back from a backup of ClickHouse",
                )
                continue
            as_proven = replace(table, columns=tuple(stored[name] for name in covered), gone=())
            yield Inspection(self.source, replace(self.manifests, table=as_proven), evidence, group)

    def _look(self, inspections: Sequence[Inspection]) -> Look:
        # What a killed purge has deleted is no unknown row.
        recover_all(self.source, self.manifests, self.ledger)
        look = Look()
        for inspection in inspections:
            inspection.look(look)
        return look

    def _find_altered(self, report: TableReport, evidence: Evidence, broken: Sequence[Batch]) -> None:
        """Batches whose rows in ``purged`` are not those that were sealed."""
        report.evidence, keys = evidence.altered(broken, REPORTED)
        self._write(report, [self._mismatch(report, key, "evidence") for key in keys])
        which = (
            f"{report.evidence} rows of them are not as their manifest and the captured purge log say: keys "
            f"{names(keys[:_NAMED])}"
            if keys
            else "purged, manifest and purge log agree: it is the ledger's entry that is not as it was sealed"
        )
        report.find(
            "altered evidence",
            f"the records of {len(broken)} batches (state table purged) do not give the sealed digest: {_batches(broken)}; "
            f"{which}",
            f"find out who changed the state tables; take the rows from the manifest of the batch's proof (state table "
            f"mismatches, verify_id {report.audit_id}), or the state database from a backup",
        )

    def _find_damage(self, report: TableReport, look: Look, inspections: Sequence[Inspection]) -> None:
        """Rows of the archive that are not as they should be, by what is wrong with them."""
        see = f"state table mismatches, verify_id {report.audit_id}"
        bring_back = (
            "bring them back from a backup of ClickHouse, or from older versions of the table where they are still held "
            "(read it without FINAL, before it is merged), with the version that purged has"
        )
        for finding, told, remedy in (
            (
                "missing",
                "purged rows are not in the archive any more",
                f"{bring_back}; {see}",
            ),
            (
                "differing",
                "purged rows are not in the archive as they were proven",
                f"{bring_back}; source_values has the proven values where the table still holds them: {see}",
            ),
            (
                "extra",
                "rows of sealed windows are in the archive, at the source they are not, and neither a purge nor a delete "
                "accounts for them",
                "mark rows as deleted that the application deleted while nothing was captured, remove those that somebody "
                f"wrote into the archive; {see}",
            ),
        ):
            rows = [suspect for suspect in look.suspects.values() if suspect.finding == finding]
            setattr(report, finding, look.count(finding))
            if look.count(finding):
                examples = self._name(report, rows[:REPORTED], inspections)
                found = f"{look.count(finding)} {told}: {'; '.join(examples)}"
                if look.unsound and finding != "extra":
                    found += f". Batches that do not give their sealed digest: {_batches(look.unsound)}"
                changed = {b.schema for b in look.unsound} - {self.manifests.table.fingerprint}
                if changed and finding == "differing":
                    found += (
                        ". Columns changed since their proofs: values that are written in another way since (more digits "
                        "behind the point) differ without being damaged"
                    )
                report.find(f"{finding} rows", found, remedy)

    def _name(
        self, report: TableReport, suspects: Sequence[Suspect], inspections: Sequence[Inspection]
    ) -> list[str]:
        """Write damaged rows to the state table; the first ones in words."""
        examples: list[str] = []
        for start in range(0, len(suspects), _PAGE):
            page = suspects[start : start + _PAGE]
            keys, hashes = [s.row_key for s in page], [s.row_hash for s in page if s.row_hash]
            records = {s.row_key: self._mismatch(report, s.row_key, s.finding) for s in page}
            for manifests in (inspection.manifests for inspection in inspections):
                # A hash covers the columns of its own batch: the inspection that knows the proven row tells its values.
                proven = manifests.held_as(keys, hashes)
                for key, now in manifests.fields(keys).items():
                    if key in proven or not records[key]["archive_values"]:
                        records[key]["archive_values"] = list(now)
                    if key in proven:
                        records[key]["columns"] = manifests.table.differing(proven[key], now)
                for key, before in proven.items():
                    records[key]["source_values"] = list(before)
            for suspect in page[: _NAMED - len(examples)]:
                columns = records[suspect.row_key]["columns"]
                examples.append(f"key {suspect.row_key}" + (f" (in {names(columns)})" if columns else ""))
            self._write(report, list(records.values()))
        return examples

    def _find_open(self, report: TableReport) -> None:
        """What lies open, and the age of the newest proof."""
        backlog = Backlog.of(self.manifests.control, self.manifests.target, self.limits)
        report.waiting_deletes, deletes = backlog.deletes()
        report.dead_letters, letters = backlog.letters()
        report.unsealed_batches, batches = backlog.batches()
        report.findings += [*deletes, *letters, *batches, *backlog.proofs()]

    def _mismatch(self, report: TableReport, row_key: str, finding: str) -> dict[str, Any]:
        return {
            "verify_id": report.audit_id,
            "target": report.target,
            "row_key": row_key,
            "finding": finding,
            "columns": [],
            "source_values": [],
            "archive_values": [],
        }

    def _write(self, report: TableReport, records: Sequence[Mapping[str, Any]]) -> None:
        self.manifests.control.insert("mismatches", records)

    def _record(self, report: TableReport) -> None:
        """The ledger's entry; nothing wrong or not, the audit happened."""
        bounds = {"start": self.start, "end": self.end}
        left_out = ("audit_id", "target", "rows", "digest", "findings")
        self.ledger.record(
            Stage.AUDITED,
            verify_id=report.audit_id,
            rows=report.rows,
            digest=report.digest,
            detail={
                **{name: value for name, value in report.summary().items() if name not in left_out},
                **{name: bound.isoformat() for name, bound in bounds.items() if bound},
                "findings": sorted({finding.check for finding in report.findings}),
            },
        )


def _batches(batches: Sequence[Batch]) -> str:
    """The first batches in words."""
    told = [f"{batch.batch_id} ({describe(batch.window)})" for batch in batches[:_NAMED]]
    return names(told) + (f" and {len(batches) - len(told)} more" if len(batches) > len(told) else "")
