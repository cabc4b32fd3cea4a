"""What lies open around an archive table: deletes in quarantine, dead letters, unsealed batches, a proof that is old."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow_provider_chista.archive.deadletters import REMEDY as LETTERS_REMEDY
from airflow_provider_chista.archive.deadletters import open_letters
from airflow_provider_chista.archive.positions import generation_of
from airflow_provider_chista.clickhouse.control import Control
from airflow_provider_chista.findings import Finding, Severity
from airflow_provider_chista.model import TableId

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class AuditLimits:
    """Ages from which something open is a finding; None: never.

    :param waiting: deletes in quarantine; :param letters: open dead letters; :param unsealed: purges that were begun and
        not sealed; :param proof: the newest proof of a table.
    """

    waiting: timedelta | None = _DAY
    letters: timedelta | None = _DAY
    unsealed: timedelta | None = _DAY
    proof: timedelta | None = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Backlog:
    """The open things of one archive table, each kind with its number and the age of the oldest by ClickHouse's clock.

    :param generation: of the topic that is drained now. Records of an earlier one do not come any more.
    """

    control: Control
    target: TableId
    limits: AuditLimits
    generation: int

    @classmethod
    def of(cls, control: Control, target: TableId, limits: AuditLimits) -> Backlog:
        """The table's backlog."""
        return cls(control, target, limits, generation_of(control, str(target)))

    def deletes(self) -> tuple[int, list[Finding]]:
        """Deletes in quarantine: how many, and what is wrong with them."""
        row = self._row(
            "SELECT count() AS n, min(recorded_at) AS since, argMin(row_key, recorded_at) AS first,"
            " countIf(generation < {generation:UInt16}) AS stranded, now64(3, 'UTC') AS now"
            f" FROM {self.control.name('deletes')} FINAL WHERE target = {{target:String}} AND state = 'waiting'"
        )
        findings = []
        if row["stranded"]:
            findings.append(
                self._finding(
                    "gap",
                    f"{row['stranded']} deletes in quarantine are of an earlier generation of the topic than "
                    f"{self.generation}, which no drain decides any more (state table deletes)",
                    "verify the table: a row that is only in the archive was deleted by the application. Then remove the "
                    "records from the state table",
                )
            )
        elif row["n"] and self._is_old(row, self.limits.waiting):
            findings.append(
                self._finding(
                    "waiting deletes",
                    f"{row['n']} deletes wait in quarantine (state table deletes), the oldest since {_when(row['since'])}, "
                    f"of the key {row['first']}: nobody knows yet whether they are the purge's or the application's",
                    "drain to a barrier; one that is still held belongs to a purge whose log entry did not come back: see "
                    "that the connector captures chista.purge_log",
                )
            )
        return row["n"], findings

    def letters(self) -> tuple[int, list[Finding]]:
        """Open dead letters."""
        letters = open_letters(self.control, self.target)
        if letters is None:
            return 0, []
        row = self._row(
            f"SELECT min(recorded_at) AS since, now64(3, 'UTC') AS now FROM {self.control.name('dead_letters')} FINAL"
            " WHERE target = {target:String} AND state = 'open'"
        )
        if not self._is_old(row, self.limits.letters):
            return letters.count, []
        found = f"{letters}. The oldest is open since {_when(row['since'])}"
        return letters.count, [self._finding("dead letters", found, LETTERS_REMEDY)]

    def batches(self) -> tuple[int, list[Finding]]:
        """Purges that were begun and are not sealed."""
        rows = self.control.rows(
            "SELECT any(window) AS window, any(batch_id) AS batch, min(at) AS since, countIf(stage = 'deleted') AS finished,"
            f" now64(3, 'UTC') AS now FROM {self.control.name('ledger')}"
            " WHERE target = {target:String} AND stage IN ('intent', 'deleted', 'sealed')"
            " GROUP BY verify_id HAVING countIf(stage = 'intent') AND NOT countIf(stage = 'sealed') ORDER BY since",
            {"target": str(self.target)},
        )
        old = [row for row in rows if self._is_old(row, self.limits.unsealed)]
        if not old:
            return len(rows), []
        first = old[0]
        how = "every row has its outcome" if first["finished"] else "the purge did not come to its end"
        found = (
            f"{len(old)} purges were begun and not sealed; the oldest is batch {first['batch']} of the window "
            f"{first['window']}, begun {_when(first['since'])}; {how}"
        )
        if lost := self._of_earlier_topics([row["batch"] for row in old]):
            found += (
                f". {lost} of their rows were purged before the topic was created again (generation {self.generation} now): "
                "deletes that were not drained by then do not come back, and their batch cannot be sealed any more"
            )
        remedy = (
            "clear the run's purge task with what follows it; or drain to a barrier and run SealArchiveOperator for the "
            "window; the seal says what is missing"
        )
        return len(rows), [self._finding("unsealed batches", found, remedy)]

    def _of_earlier_topics(self, batches: list[str]) -> int:
        """Rows that these batches have deleted, as they were in an earlier generation of the topic."""
        statement = (
            f"SELECT count() AS n FROM {self.control.name('purged')} FINAL WHERE target = {{target:String}} AND"
            " state = 'deleted' AND batch_id IN {batches:Array(String)} AND bitShiftRight(version, 52) < {generation:UInt16}"
        )
        parameters = {"target": str(self.target), "batches": batches, "generation": self.generation}
        return int(self.control.rows(statement, parameters)[0]["n"])

    def proofs(self) -> list[Finding]:
        """The newest comparisons of the table: how old, and whether one found differences that no proof followed."""
        row = self._row(
            f"SELECT maxIf(at, stage = 'verified') AS since, now64(3, 'UTC') AS now FROM {self.control.name('ledger')}"
            " WHERE target = {target:String} AND stage IN ('verified', 'mismatched')"
        )
        findings = []
        if self._is_old(row, self.limits.proof):
            findings.append(
                self._finding(
                    "old proof",
                    f"the newest proof is of {_when(row['since'])}"
                    if row["since"].year > 1970
                    else "there is no proof",
                    "see why the archive's DAG does not run, or run VerifyArchiveOperator; or allow more by max_proof_age",
                )
            )
        refuted = self._row(
            "SELECT count() AS n, any(window) AS window FROM (SELECT window, argMax(stage, at) AS newest"
            f" FROM {self.control.name('ledger')} WHERE target = {{target:String}} AND stage IN ('verified', 'mismatched')"
            " GROUP BY window) WHERE newest = 'mismatched'"
        )
        if refuted["n"]:
            findings.append(
                self._finding(
                    "refuted proof",
                    f"the newest comparison of {refuted['n']} windows, such as {refuted['window']}, found differences",
                    "mend them and verify the window again (state table mismatches)",
                )
            )
        return findings

    def _row(self, statement: str) -> dict[str, Any]:
        return self.control.rows(statement, {"target": str(self.target), "generation": self.generation})[0]

    def _finding(self, check: str, found: str, remedy: str) -> Finding:
        return Finding(check, Severity.ERROR, str(self.target), found, remedy)

    def _is_old(self, row: dict[str, Any], limit: timedelta | None) -> bool:
        age: timedelta = row["now"] - row["since"]
        return limit is not None and age > limit


def _when(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(" ", "seconds")
