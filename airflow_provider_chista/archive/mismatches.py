"""Rows that differ, by value: written to the state table ``mismatches``, and told in words."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from airflow_provider_chista.archive.archived import Archived
from airflow_provider_chista.archive.compare import Differences
from airflow_provider_chista.archive.ledger import Ledger, Stage
from airflow_provider_chista.errors import MismatchError
from airflow_provider_chista.model import describe
from airflow_provider_chista.sources.base import Source

REPORTED = 1_000
"""Differing keys of a failed comparison that are read by value and written to the state table."""

_NAMED = 5
"""Differing keys that a message names."""

_UNEXPLAINED = " (only the archive has it, and no purge in the ledger explains that: was a delete missed?)"


_DIGEST = "sha256:"


def _digest(value: str) -> str:
    return f"{_DIGEST}{hashlib.sha256(value.encode()).hexdigest()[:16]}"


def masked_sql(value: str) -> str:
    """SQL of the digest that is told in the place of a value, as :class:`Mismatches` writes it; of a digest itself."""
    digest = f"concat('{_DIGEST}', left(lower(hex(SHA256({value}))), 16))"
    return f"if(match({value}, '^{_DIGEST}[0-9a-f]{{16}}$'), {value}, {digest})"


@dataclass(frozen=True, slots=True)
class Mismatches:
    """Reads and records differing rows of one archive table.

    :param masked: write and tell digests in the place of values.
    """

    source: Source
    archived: Archived
    masked: bool = False

    def record(
        self,
        verify_id: str,
        differences: Differences,
        keys: Sequence[str],
        refused: Mapping[str, str] | None = None,
    ) -> list[str]:
        """Write both sides' canonical field texts of those keys; return the first five in words.

        :param refused: by row key, why it could not be repaired.
        """
        archived = self.archived
        here, there = self.source.rows(archived.table, keys), archived.fields(keys)
        records: list[dict[str, Any]] = []
        examples: list[str] = []
        for row_key in keys:
            finding = differences.keys[row_key]
            left, right = here.get(row_key), there.get(row_key)
            columns = archived.table.differing(left, right) if left and right else []
            records.append(
                {
                    "verify_id": verify_id,
                    "target": str(archived.target),
                    "row_key": row_key,
                    "finding": finding,
                    "columns": columns,
                    "source_values": self._shown(left),
                    "archive_values": self._shown(right),
                }
            )
            if len(examples) < _NAMED:
                where = f" in {', '.join(columns)}" if columns else ""
                why = f" (cannot be repaired: {refused[row_key]})" if refused and row_key in refused else ""
                extra = _UNEXPLAINED if finding == "extra" else ""
                examples.append(f"key {row_key} is {finding}{extra}{where}{why}")
        archived.control.insert("mismatches", records)
        return examples

    def failure(
        self,
        ledger: Ledger,
        verify_id: str,
        differences: Differences,
        rows: int,
        refused: Mapping[str, str] | None = None,
    ) -> MismatchError:
        """Record a comparison whose differences stay; the error that says so.

        :param rows: that were compared, at the source; :param refused: by row key, why it could not be repaired.
        """
        archived = self.archived
        examples = self.record(verify_id, differences, list(differences.keys)[:REPORTED], refused)
        ledger.record(
            Stage.MISMATCHED,
            verify_id=verify_id,
            rows=rows,
            detail={
                "missing": differences.missing,
                "extra": differences.extra,
                "differing": differences.differing,
            },
        )
        return MismatchError(
            f"{archived.table.id} and its archive {archived.target} differ in {describe(ledger.window)}: {differences} "
            f"({rows} rows at the source). {'; '.join(examples)}. See the state table mismatches, verify_id {verify_id}. "
            "Nothing will be purged",
            differences.total,
        )

    def _shown(self, values: Sequence[str | None] | None) -> list[str | None]:
        if values is None:
            return []
        if not self.masked:
            return list(values)
        return [None if value is None else _digest(value) for value in values]
