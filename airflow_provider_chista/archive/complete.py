"""Rows that PostgreSQL sent incompletely, completed from the rows before them.

With ``REPLICA IDENTITY DEFAULT`` an update leaves out values that are stored out of line (TOAST) and did not change. The last
known value of the same key is then the right one, because the events of a key arrive in order: it is looked for among the
earlier rows of the micro-batch, then in the archive. A row whose key changed is completed from the row of its old key, which
the record's header names. A value that is not found leaves its row marked as incomplete: it has no hash and is never purged.

A drain that was killed before it recorded its position reads records again whose rows the archive has already, while merges
may have removed the rows before them. What the archive holds of the very same record therefore comes first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pyarrow as pa
from clickhouse_connect.driver.client import Client

from airflow_provider_chista.canonical import NULL, parse_key
from airflow_provider_chista.clickhouse import layout, rowhash, sql
from airflow_provider_chista.clickhouse.errors import translated
from airflow_provider_chista.clickhouse.load import key_file, query_with
from airflow_provider_chista.clickhouse.types import NETSTRING, TypeMap
from airflow_provider_chista.debezium.encodings import decoded
from airflow_provider_chista.debezium.toast import UNCHANGED
from airflow_provider_chista.errors import FatalError
from airflow_provider_chista.model import Column, Kind, Table, TableId

OLD_KEY_HEADER = "__debezium.oldkey"

UNKNOWN_KEY = "?"
"""Stands for the old key of a row whose old key's events may not have been drained; no row key looks so."""


@dataclass(slots=True)
class Row:
    """A decoded row with its version.

    :param values: decoded values of the table's columns and of those that are gone; may hold ``UNCHANGED``.
    :param row_key: its key, and :param old_key: the key it had before, empty when it did not change; known where needed.
    :param incomplete: names of the columns whose value is not known.
    """

    values: tuple[Any, ...]
    version: int
    op: str
    source_time_ms: int
    row_key: str = ""
    old_key: str = ""
    incomplete: tuple[str, ...] = ()

    @property
    def is_partial(self) -> bool:
        """Whether a value is missing."""
        return any(value is UNCHANGED for value in self.values)


@dataclass(frozen=True, slots=True)
class _Archived:
    """A row that the archive holds.

    :param deleted: whether it is one that a delete wrote, with the content of a row before it.
    :param values: ``UNCHANGED`` where they are not known or were not asked for.
    """

    version: int
    deleted: bool
    values: Sequence[Any]

    def follows(self, gap: int) -> bool:
        """Whether its values are surely from behind the record of that version (-1: there is none)."""
        return gap < 0 or (self.version > gap and not self.deleted)


@dataclass(frozen=True, slots=True)
class Completion:
    """Completes the rows of one archive table."""

    client: Client
    types: TypeMap
    table: Table
    target: TableId

    def complete(self, rows: Sequence[Row], lost: Mapping[str, Sequence[int]]) -> None:
        """Fill the missing values of a micro-batch's rows, given in offset order with their keys.

        :param lost: versions of records that could not be decoded, by row key; rows before them are not the last known ones.
        """
        known: dict[str, Row] = {}
        partial = [row for row in rows if row.is_partial]
        same = self._archived(partial, [row.row_key for row in partial], "=")
        based = [row for row in partial if row.old_key != UNKNOWN_KEY]
        before = self._archived(based, [row.old_key or row.row_key for row in based], "<")
        for row in rows:
            if row.is_partial:
                base = row.old_key or row.row_key
                gap = max((at for at in lost.get(base, ()) if at < row.version), default=-1)
                self._fill(row, gap, same.get(row.version), known.get(base), before.get(row.version))
            known[row.row_key] = row

    def _fill(
        self, row: Row, gap: int, same: _Archived | None, earlier: Row | None, before: _Archived | None
    ) -> None:
        """Complete a row from the archive's row of the same record, from the batch's row before it, or from the archive's.

        :param gap: version of a record between, whose values are not known; -1: none.
        """
        if earlier and earlier.version < gap:
            earlier = None
        if before and (not before.follows(gap) or (earlier and before.version < earlier.version)):
            before = None
        values = list(row.values)
        for index, column in enumerate(self.table.stored):
            if values[index] is not UNCHANGED:
                continue
            if same:
                values[index] = same.values[index]
            if values[index] is UNCHANGED and earlier and column.name not in earlier.incomplete:
                values[index] = earlier.values[index]
            if values[index] is UNCHANGED and before:
                values[index] = before.values[index]
            if values[index] is UNCHANGED:
                row.incomplete += (column.name,)
                values[index] = None if column.holds_null else _EMPTY[self._decodable(column)]
        row.values = tuple(values)

    def _decodable(self, column: Column) -> Kind:
        kind = column.archived_as
        if kind not in _EMPTY:
            raise FatalError(
                f"column {column.name} ({column.declared}) was left out of an event as unchanged, which only texts, bytes "
                "and decimals can be; set REPLICA IDENTITY FULL on the table"
            )
        return kind

    def _archived(
        self, rows: Sequence[Row], row_keys: Sequence[str], version: Literal["=", "<"]
    ) -> dict[int, _Archived]:
        """The archive's newest row of each of the keys whose version compares so with that of the row; by the latter."""
        if not rows:
            return {}
        kinds = self.table.key_kinds
        keys = key_file(
            "wanted", self.types, self.table, [parse_key(kinds, key) for key in row_keys],
            {"v UInt64": pa.array([row.version for row in rows], pa.uint64())},
        )  # fmt: skip
        missing = [
            (index, column)
            for index, column in enumerate(self.table.stored)
            if any(row.values[index] is UNCHANGED for row in rows)
        ]
        texts = ", ".join(
            f"if(has({sql.ROW}.{sql.identifier(layout.INCOMPLETE)}, {sql.literal(column.name)}), NULL,"
            f" {self._text(column)})"
            for _, column in missing
        )
        own, at = f"{sql.ROW}.{layout.VERSION}", f"{sql.FILE}.v"
        statement = (
            f"SELECT {at}, max({own}), argMax({sql.ROW}.{layout.DELETED}, {own}), argMax(tuple({texts}), {own})"
            f" FROM {sql.table(self.target)} AS {sql.ROW} INNER JOIN wanted AS {sql.FILE}"
            f" ON {sql.key_match(self.table.primary_key)}"
            f" WHERE {sql.key_among(self.table.primary_key, 'wanted')} AND {own} {version} {at} GROUP BY {at}"
        )
        with translated(f"reading the unchanged values of {len(rows)} rows from {self.target}"):
            result = query_with(self.client, statement, keys)
        archived = {}
        for wanted_by, found, deleted, values in result:
            row: list[Any] = [UNCHANGED] * len(self.table.stored)
            for (index, column), text in zip(missing, values, strict=True):
                if text == NULL:
                    row[index] = None
                elif text is not None:
                    row[index] = decoded(self._decodable(column), text)
            archived[wanted_by] = _Archived(found, bool(deleted), row)
        return archived

    def _text(self, column: Column) -> str:
        """Canonical text of a stored value; in a type that need not be exact, of what ClickHouse shows of it."""
        if column.provable:
            return rowhash.field(self.types, column, f"{sql.ROW}.")
        name = f"{sql.ROW}.{sql.identifier(column.name)}"
        shown = _SHOWN.get(column.archived_as, "{c}").format(c=f"assumeNotNull(toString({name}))")
        return f"if(isNull({name}), '{NULL}', {shown})"


def incomplete(client: Client, table: Table, target: TableId) -> str | None:
    """How many visible rows of an archive table are incomplete, in words; None when every one is whole."""
    name = sql.identifier(layout.INCOMPLETE)
    with translated(f"counting the incomplete rows of {target}"):
        found = client.command(f"SELECT count() FROM {sql.table(target)} FINAL WHERE notEmpty({name})")
    if not int(str(found)):
        return None
    return (
        f"{found} rows of {target} are incomplete: events of {table.id} left values out, and the archive did not have them "
        f"either ({layout.INCOMPLETE} names the columns)"
    )


def incomplete_remedy(table: Table) -> str:
    """What to do about incomplete rows."""
    return f"ALTER TABLE {table.id} REPLICA IDENTITY FULL, then update each such row once (SET a column = itself), and drain"


_SHOWN: dict[Kind, str] = {
    Kind.TEXT: NETSTRING,
    Kind.BYTES: "lower(hex({c}))",
}
"""SQL of the canonical text of a value that is at hand as text."""

_EMPTY: dict[Kind, Any] = {Kind.TEXT: "", Kind.BYTES: b"", Kind.DECIMAL: "0"}
"""The kinds that PostgreSQL stores out of line, with what a column that cannot be NULL holds in a row that is marked as
incomplete in it."""
