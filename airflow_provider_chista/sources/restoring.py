"""Archived rows on their way back to the source: what goes in, what became of it, and what came back differently."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from airflow_provider_chista.model import Table


@dataclass(frozen=True, slots=True)
class ArchivedRow:
    """A row as the archive holds it.

    :param row_hash: ClickHouse's hash of what it stored.
    :param values: canonical field texts (None for NULL) of the table's columns, in their order.
    """

    key: str
    row_hash: str
    values: tuple[str | None, ...]


@dataclass(slots=True)
class Restored:
    """What became of the rows of one transaction, by key.

    :param missing: were not at the source, and are now; :param equal: were there as archived; :param conflicts: are there
        with another content, and were left as they are.
    """

    missing: set[str] = field(default_factory=set)
    equal: list[str] = field(default_factory=list)
    conflicts: list[str] = field(default_factory=list)


def sorted_out(rows: Sequence[ArchivedRow], hashes: Mapping[str, str]) -> Restored:
    """Compare archived rows with the hashes, by key, of those that the source has."""
    found = Restored()
    for row in rows:
        if row.key not in hashes:
            found.missing.add(row.key)
        elif hashes[row.key] == row.row_hash:
            found.equal.append(row.key)
        else:
            found.conflicts.append(row.key)
    return found


def differing(table: Table, rows: Sequence[ArchivedRow], found: Mapping[str, Sequence[str | None]]) -> str:
    """Which columns of inserted rows differ from the archive, in words.

    :param found: canonical field texts at the source, by key.
    """
    parts = []
    for row in rows:
        if row.key not in found:
            parts.append(f"key {row.key} is not there")
            continue
        names = table.differing(row.values, found[row.key])
        parts.append(f"key {row.key} differs in {', '.join(names) or 'its hash, since the archive changed'}")
    return "; ".join(parts)
