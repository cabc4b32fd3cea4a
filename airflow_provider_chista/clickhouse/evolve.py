"""An archive table that exists: whether it holds the source's rows exactly, and how it follows a change of their columns.

Followed without a question: a column that the source gained (added, Nullable, since older rows do not have it), a type that
became wider, a NOT NULL that was dropped, a column that the source dropped (kept; new rows have NULL there). Everything else
is a difference that a person has to decide on (``docs/schema-changes.md``).

Records do not tell their types. Those from before a change of a type are read like those from behind it, so a change by which
an older record could be read as another value is a difference too, even where ClickHouse's type can hold both.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, replace

from airflow_provider_chista.clickhouse import sql
from airflow_provider_chista.clickhouse.layout import (
    DELETED,
    META_COLUMNS,
    VERSION,
    cluster_in,
    column_type,
    left_out_in,
    note_of,
    noted,
    table_note,
    with_null,
)
from airflow_provider_chista.clickhouse.types import TypeMap, bare, integer_kind, integer_name
from airflow_provider_chista.errors import FatalError
from airflow_provider_chista.model import INTEGER_BOUNDS, Column, Encoding, Kind, LeftOut, Table, TableId


@dataclass(frozen=True, slots=True)
class Existing:
    """A table in ClickHouse: engine, sorting key, and (type, comment) of each column by name."""

    engine_full: str
    sorting_key: str
    columns: dict[str, tuple[str, str]]
    comment: str = ""

    @property
    def engine(self) -> str:
        """Name of the engine."""
        return re.split(r"[ (]", self.engine_full)[0]

    @property
    def cluster(self) -> str:
        """The cluster that the table was made on; empty when there is none."""
        return cluster_in(self.comment)

    @property
    def excluded(self) -> frozenset[str]:
        """Columns of the source that the table leaves out by the user's choice."""
        return (left_out_in(self.comment) or {}).get("excluded", frozenset())

    @property
    def left_out(self) -> frozenset[str]:
        """Every column that records may have and the table leaves out, those that are gone at the source included."""
        return frozenset().union(*(left_out_in(self.comment) or {}).values())


@dataclass(frozen=True, slots=True)
class Fit:
    """How an existing table fits.

    :param differences: what keeps it from holding the rows, in words.
    :param missing: columns to add; :param changes: columns whose type has to change, with the new type;
        :param freed: columns gone at the source that have to become Nullable, with the new type.
    :param adopted: the source table, each column as the archive holds it.
    :param notes: columns whose comment describes what the source had before; :param note: the table's comment, if it changes.
    """

    differences: tuple[str, ...]
    missing: tuple[Column, ...]
    changes: tuple[tuple[Column, str], ...]
    freed: tuple[tuple[Column, str], ...]
    adopted: Table
    notes: tuple[Column, ...] = ()
    note: str | None = None

    @property
    def is_complete(self) -> bool:
        """Nothing has to be altered but comments."""
        return not (self.differences or self.missing or self.changes or self.freed)

    def require(self, target: TableId) -> None:
        """Raise :class:`FatalError` with every difference."""
        if self.differences:
            raise FatalError(
                f"the existing table {target} cannot hold {self.adopted.id} exactly: {'; '.join(self.differences)}. "
                "Archive into another table, or rename the existing one; docs/schema-changes.md tells how to go on when the "
                "source's rows are in it already"
            )

    def alterations(self) -> list[str]:
        """The clauses of ALTER TABLE that make it fit."""
        added = [
            f"ADD COLUMN IF NOT EXISTS {sql.identifier(column.name)} {column.stored_as} COMMENT"
            f" {sql.literal(note_of(column))}"
            for column in self.missing
        ]
        changed = [
            f"MODIFY COLUMN {sql.identifier(column.name)} {ddl} COMMENT {sql.literal(note_of(column))}"
            for column, ddl in (*self.changes, *self.freed)
        ]
        notes = [
            f"COMMENT COLUMN {sql.identifier(column.name)} {sql.literal(note_of(column))}"
            for column in self.notes
        ]
        note = [f"MODIFY COMMENT {sql.literal(self.note)}"] if self.note else []
        return added + changed + notes + note


def compare(types: TypeMap, table: Table, existing: Existing, lacking: Collection[str] = ()) -> Fit:
    """Compare a source table with an existing archive table.

    :param lacking: columns that records lack, because they are older than the column.
    """
    differences = _frame(table, existing)
    differences += [
        f"column {name} is there already and cannot be excluded any more"
        for name in sorted(table.excluded - existing.excluded)
        if name in existing.columns
    ]
    columns: list[Column] = []
    missing: list[Column] = []
    changes: list[tuple[Column, str]] = []
    notes: list[Column] = []
    for column in table.columns:
        is_key = column.name in table.primary_key
        if column.name not in existing.columns:
            if is_key:
                differences.append(f"column {column.name} of the primary key is missing")
            column = replace(
                column, added=True, stored_as=with_null(column_type(types, column), nullable=True)
            )
            missing.append(column)
        else:
            found, comment = existing.columns[column.name]
            known = noted(column.name, comment, found)
            chosen = column.stored_as if column.provable else None
            if chosen and with_null(chosen, False) != with_null(found, False):
                differences.append(
                    f"column {column.name} is {found}; a type that is chosen later ({chosen}) does not change it"
                )
            column = _continued(column, known, found, column.name in lacking)
            wanted = _held(types, column, found, is_key)
            otherwise = known and _read_otherwise(known, column)
            if wanted is None or (wanted != found and not known):
                differences.append(
                    f"column {column.name} is {found}, it must be {wanted or column_type(types, column)}"
                )
            elif otherwise:
                differences.append(f"column {column.name} {otherwise}")
            elif wanted != found:
                changes.append((column, wanted))
            elif known and note_of(column) != comment:
                notes.append(column)
            column = _as_stored(column, wanted or found)
        columns.append(column)
    gone = _gone(table, existing)
    notes += [c for c in gone if c.holds_null and note_of(c) != existing.columns[c.name][1]]
    adopted = replace(
        table,
        columns=tuple(columns),
        gone=tuple(_as_stored(column, with_null(column.stored_as or "", True)) for column in gone),
        left_out=(*table.left_out, *_left_out_before(table, existing)),
    )
    note = table_note(adopted, existing.cluster)
    is_own = left_out_in(existing.comment) is not None
    return Fit(
        tuple(differences),
        tuple(missing),
        tuple(changes),
        tuple((column, with_null(column.stored_as or "", True)) for column in gone if not column.holds_null),
        adopted,
        tuple(notes),
        note if note != existing.comment and (is_own or table.excluded) else None,
    )


def _continued(column: Column, known: Column | None, found: str, lacking: bool) -> Column:
    """The source's column with what the archive knows of its past: choices, labels, whether older records lack it."""
    column = replace(column, added=lacking or bool(known and known.added))
    if known and known.labels:
        column = replace(column, labels=tuple(dict.fromkeys((*column.labels, *known.labels))))
    if known and not known.provable and not column.stored_as:
        column = replace(column, provable=False, stored_as=found)
    return column


def _read_otherwise(known: Column, column: Column) -> str | None:
    """Why older records of a column, read like new ones, could give other values; None when they cannot."""
    before, now = known.sent_as, column.sent_as
    told = f"was {known.declared} and is {column.declared} now"
    if before is now:
        same = {
            Encoding.BIT_STRING: (known.precision, column.precision),
            Encoding.ARRAY: (known.element, column.element),
        }.get(before)
        differs = same is not None and same[0] != same[1]
    else:
        labels = "".join((*known.labels, *column.labels))
        differs = {before, now} not in _ALIKE or re.search(r"[\\,\n\r\0]", labels) is not None
    return f"{told}; records from before would be read as other values" if differs else None


_ALIKE = (
    {Encoding.NUMBER, Encoding.UNSIGNED_LONG},
    {Encoding.TEXT, Encoding.LABEL},
    {Encoding.TEXT, Encoding.LABELS},
)
"""Pairs of encodings of which each reads the other's values, where one type holds both and no label is escaped in events."""


def _left_out_before(table: Table, existing: Existing) -> list[LeftOut]:
    """Columns that were left out and that the source does not have any more; records from before have them."""
    present = {c.name for c in table.columns} | {c.name for c in table.left_out} | existing.columns.keys()
    return [LeftOut(name, generated=False, gone=True) for name in sorted(existing.left_out - present)]


def _frame(table: Table, existing: Existing) -> list[str]:
    """Differences of engine, sorting key and the provider's own columns."""
    differences = []
    arguments = re.search(r"ReplacingMergeTree\((.*?)\)(?: |$)", existing.engine_full)
    if not arguments or not re.search(rf"\b{VERSION}, {DELETED}$", arguments[1]):
        differences.append(
            f"engine is {existing.engine_full.split(' ORDER BY')[0]}, it must be ReplacingMergeTree({VERSION}, {DELETED})"
        )
    wanted = ", ".join(f"(?:{re.escape(n)}|{re.escape(sql.identifier(n))})" for n in table.primary_key)
    if not re.fullmatch(rf"{wanted}|\({wanted}\)", existing.sorting_key):
        found = existing.sorting_key.removeprefix("(").removesuffix(")")
        differences.append(
            f"it is ordered by ({found}), it must be ordered by the primary key ({', '.join(table.primary_key)})"
        )
    for name, ddl in META_COLUMNS.items():
        found = existing.columns.get(name, ("missing", ""))[0]
        if found != ddl:
            differences.append(f"column {name} is {found}, it must be {ddl}")
    return differences


def _gone(table: Table, existing: Existing) -> list[Column]:
    """Columns of the archive, of the provider's making, that the source does not have any more, or computes by now."""
    known = {c.name for c in table.columns} | table.excluded | META_COLUMNS.keys()
    found = [
        noted(name, comment, ddl) for name, (ddl, comment) in existing.columns.items() if name not in known
    ]
    return [replace(column, added=True) for column in found if column]


def _as_stored(column: Column, ddl: str) -> Column:
    """The column as a type holds it; older records of a column that was once wider still fit."""
    kind = integer_kind(ddl) if column.archived_as.is_integer else None
    return replace(column, stored_as=ddl, kind=kind or column.kind)


def _held(types: TypeMap, column: Column, found: str, is_key: bool) -> str | None:
    """The type that the column gets: the one found when it holds the values, a wider one, or None when neither does."""
    if not column.provable:
        chosen = column_type(types, column)
        return (
            found if bare(chosen) == bare(found) and ("Nullable(" in found or not column.nullable) else None
        )
    inner = found if types.holding(column, found) else _wider(types, column, found)
    if inner is None or (is_key and inner != found):
        return None
    nullable = column.nullable or "Nullable(" in found or (column.added and not is_key)
    return inner if "Nullable(" in inner or not nullable else with_null(inner, True)


def _wider(types: TypeMap, column: Column, found: str) -> str | None:
    """A type that holds what the column held before and what it holds now; None when only a person can tell."""
    nullable, inner, wanted = "Nullable(" in found, bare(found), types.default(column)
    kind = integer_kind(found)
    if kind and column.archived_as.is_integer:
        bounds = (INTEGER_BOUNDS[kind], INTEGER_BOUNDS[column.archived_as])
        low, high = min(b[0] for b in bounds), max(b[1] for b in bounds)
        for wider, (first, last) in INTEGER_BOUNDS.items():
            if first <= low and high <= last:
                return with_null(integer_name(wider), nullable)
        return None
    decimals = [re.fullmatch(r"Decimal\((\d+), (\d+)\)", ddl) for ddl in (inner, wanted)]
    if decimals[0] and decimals[1] and column.archived_as is Kind.DECIMAL:
        (digits, scale), (more, places) = ((int(m[1]), int(m[2])) for m in decimals if m)
        whole = max(digits - scale, more - places)
        if places >= scale and whole + places <= 76:
            return with_null(f"Decimal({whole + places}, {places})", nullable)
    if (inner, wanted) == ("Float32", "Float64"):
        return with_null(wanted, nullable)
    return None
