"""One look at an archive table: what became of each purged row, and which rows of sealed windows nobody accounts for.

ClickHouse does the comparison; what differs, and what only the source can account for, comes here in blocks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_chista.archive.evidence import Batch, Digest, Evidence, chunks
from airflow_provider_chista.archive.manifest import Manifests
from airflow_provider_chista.clickhouse import rowhash
from airflow_provider_chista.clickhouse.load import text_file
from airflow_provider_chista.model import Window
from airflow_provider_chista.sources.base import Source

KEPT = 100_000
"""Rows that look damaged and are kept in memory; all are counted."""

_SPANS = 20
"""Ranges of sealed windows that are looked at one by one; more of them are looked at as one, with what lies between."""

_PAGE = 20_000
"""Rows that are looked for at the source at a time."""

_FATES = ("proven", "rewritten", "deleted", "missing", "differing")


@dataclass(frozen=True, slots=True)
class Suspect:
    """A row that looks damaged.

    :param finding: ``missing``, ``differing`` or ``extra``.
    :param row_hash: the proven hash; empty of a row that no purge knows.
    :param version: the visible one; 0: none is.
    :param is_unknown: whether it looks damaged because the source does not have it.
    """

    row_key: str
    finding: str
    row_hash: str
    version: int
    is_unknown: bool = False


@dataclass(slots=True)
class Look:
    """What a look saw.

    :param fates: purged rows: there as ``proven``; ``rewritten`` in a newer version; ``deleted`` by the application;
        ``missing``; ``differing``.
    :param living: rows that no purge knows in this version, and the source has.
    :param digest: of all purged rows' hashes as the archive has them; those of rows that were written again or deleted are
        the proven ones.
    :param unsound: batches whose digest is not the sealed one.
    :param suspects: rows that look damaged, by key; :param beyond: how many more, by finding.
    """

    fates: Counter[str] = field(default_factory=Counter)
    living: int = 0
    digest: Digest = field(default_factory=Digest)
    unsound: list[Batch] = field(default_factory=list)
    suspects: dict[str, Suspect] = field(default_factory=dict)
    beyond: Counter[str] = field(default_factory=Counter)

    def suspect(self, suspects: Iterable[Suspect]) -> None:
        """Keep rows that look damaged while there is room."""
        for suspect in suspects:
            if len(self.suspects) < KEPT or suspect.row_key in self.suspects:
                self.suspects.setdefault(suspect.row_key, suspect)
            else:
                self.beyond[suspect.finding] += 1

    def count(self, finding: str) -> int:
        """Rows with a finding."""
        return self.beyond[finding] + sum(s.finding == finding for s in self.suspects.values())


@dataclass(frozen=True, slots=True)
class Inspection:
    """Looks at the batches of one archive table whose hashes cover the same columns.

    :param manifests: of the table with these columns.
    """

    source: Source
    manifests: Manifests
    evidence: Evidence
    batches: Sequence[Batch]

    def look(self, look: Look) -> None:
        """Add what there is to see."""
        distrusted = self.evidence.distrusted
        for is_distrusted, relation in ((False, self.evidence.recorded), (True, self.evidence.rebuilt())):
            batches = {b.batch_id: b for b in self.batches if (b.batch_id in distrusted) is is_distrusted}
            for ids in chunks(list(batches)):
                self._purged(look, self._compared(relation), [batches[i] for i in ids])
        for span in spans([batch.window for batch in self.batches]):
            self._account(look, self._unknown(span))

    def _purged(self, look: Look, compared: str, batches: Sequence[Batch]) -> None:
        """The fates of the purged rows."""
        evidence, bound = self.evidence, {"batches": [batch.batch_id for batch in batches]}
        counts = ", ".join(f"countIf(fate = '{fate}')" for fate in _FATES)
        seen = {
            row[0]: row[1:]
            for row in evidence.rows(
                f"SELECT batch_id, {rowhash.DIGEST}, {counts} FROM ({compared}) GROUP BY batch_id", bound
            )
        }
        fates: Counter[str] = Counter()
        for batch in batches:
            text, *numbers = seen.get(batch.batch_id, (str(Digest()),))
            look.digest += Digest.parse(text)
            fates.update(dict(zip(_FATES, numbers, strict=False)))
            if text != batch.digest:
                look.unsound.append(batch)
        look.fates.update(fates)
        if fates["missing"] or fates["differing"]:
            damaged = f"SELECT row_key, fate, proven, version FROM ({compared}) WHERE fate IN ('missing', 'differing')"
            for block in evidence.stream(f"{damaged} ORDER BY row_key, fate", bound):
                look.suspect(Suspect(*row) for row in block)
        if fates["rewritten"]:
            unexplained = (
                f"SELECT c.row_key, argMax(proven, proven_version), c.version FROM ({compared}) AS c"
                f" LEFT JOIN ({evidence.versions}) AS v ON v.row_key = c.row_key"
                " WHERE fate = 'rewritten' AND NOT has(v.versions, c.version) GROUP BY c.row_key, c.version"
            )
            self._account(
                look,
                (
                    [Suspect(key, "differing", proven, version, True) for key, proven, version in block]
                    for block in evidence.stream(unexplained, bound)
                ),
            )

    def _compared(self, relation: str) -> str:
        """SELECT of the purged rows with their fates, and the row hash that counts for the digest."""
        shown = self.manifests.selected(None, purged=True).statement
        return (
            "SELECT e.batch_id AS batch_id, e.row_key AS row_key, e.row_hash AS proven, e.version AS proven_version,"
            " a._chista_row_version AS version,"
            " multiIf(a.there = 0, if(d.deleted > e.version, 'deleted', 'missing'), version > e.version, 'rewritten',"
            " version = e.version AND a._chista_hash = e.row_hash, 'proven', 'differing') AS fate,"
            " if(fate IN ('rewritten', 'deleted'), e.row_hash, a._chista_hash) AS row_hash"
            f" FROM ({relation}) AS e"
            f" LEFT JOIN (SELECT *, 1 AS there FROM ({shown})) AS a ON a._chista_key = e.row_key"
            f" LEFT JOIN ({self.evidence.deletes}) AS d ON d.row_key = e.row_key"
        )

    def _unknown(self, window: Window | None) -> Iterator[list[Suspect]]:
        """Visible rows of a window whose key no purge has deleted."""
        shown = self.manifests.selected(window, purged=True)
        statement = (
            f"SELECT a._chista_key, a._chista_row_version FROM ({shown.statement}) AS a"
            f" LEFT JOIN ({self.evidence.versions}) AS v ON v.row_key = a._chista_key WHERE empty(v.versions)"
        )
        for block in self.evidence.stream(statement, shown.parameters):
            yield [Suspect(key, "extra", "", version, True) for key, version in block]

    def _account(self, look: Look, blocks: Iterable[list[Suspect]]) -> None:
        """Look for rows at the source; what it does not have looks damaged, unless a waiting delete may be its end."""
        for block in blocks:
            for start in range(0, len(block), _PAGE):
                rows = block[start : start + _PAGE]
                present = self.source.present(self.manifests.table, [row.row_key for row in rows])
                absent = [row for row in rows if row.row_key not in present]
                waiting = self._waiting([row.row_key for row in absent]) if absent else {}
                look.living += len(rows) - len(absent)
                look.suspect(row for row in absent if waiting.get(row.row_key, 0) <= row.version)

    def _waiting(self, row_keys: Sequence[str]) -> Mapping[str, int]:
        """Newest version of the deletes of these keys that wait in quarantine."""
        control = self.manifests.control
        rows: list[dict[str, Any]] = control.rows(
            f"SELECT row_key, max(version) AS version FROM {control.name('deletes')} FINAL"
            " WHERE target = {target:String} AND state = 'waiting' AND row_key IN (SELECT k FROM wanted) GROUP BY row_key",
            {"target": str(self.manifests.target)},
            text_file("wanted", "k", row_keys),
        )
        return {row["row_key"]: row["version"] for row in rows}


def spans(windows: Sequence[Window | None]) -> list[Window | None]:
    """Ranges that cover the windows and, as far as there are few of them, nothing else; None: everything."""
    found: list[Window] = []
    for window in sorted((w for w in windows if w), key=lambda w: (w.column, w.start)):
        last = found[-1] if found else None
        if last and last.column == window.column and window.start <= last.end:
            found[-1] = Window(last.column, last.start, max(last.end, window.end))
        else:
            found.append(window)
    if None in windows:
        return [None]
    if len(found) <= _SPANS:
        return list(found)
    return [
        Window(
            column,
            min(w.start for w in found if w.column == column),
            max(w.end for w in found if w.column == column),
        )
        for column in sorted({w.column for w in found})
    ]
