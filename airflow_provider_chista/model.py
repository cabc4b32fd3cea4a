"""The vocabulary that all layers share: tables, columns, their canonical kinds, and windows of rows."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from airflow_provider_chista.errors import FatalError


class Kind(StrEnum):
    """What a column's values are, independent of the engine that holds them.

    A source type maps to exactly one kind (the type tables in ``sources/``); a kind maps to one ClickHouse type, one
    decoder and one canonical text (``clickhouse/types.py``, ``canonical.py``).
    """

    INT8 = "int8"
    INT16 = "int16"
    INT32 = "int32"
    INT64 = "int64"
    UINT8 = "uint8"
    UINT16 = "uint16"
    UINT32 = "uint32"
    UINT64 = "uint64"
    DATE = "date"
    TEXT = "text"

    @property
    def is_integer(self) -> bool:
        """True for the signed and unsigned integers."""
        return self in INTEGER_BOUNDS


INTEGER_BOUNDS: dict[Kind, tuple[int, int]] = {
    **{Kind(f"int{bits}"): (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) for bits in (8, 16, 32, 64)},
    **{Kind(f"uint{bits}"): (0, 2**bits - 1) for bits in (8, 16, 32, 64)},
}
"""Smallest and largest value of each integer kind, both inclusive."""


@dataclass(frozen=True, slots=True, order=True)
class TableId:
    """A table's two-part name: ``database.table`` on MySQL and MariaDB, ``schema.table`` on PostgreSQL and ClickHouse."""

    schema: str
    name: str

    @classmethod
    def parse(cls, text: str) -> TableId:
        """Split ``schema.table`` at its first dot; raise :class:`FatalError` when there is no such pair."""
        schema, dot, name = text.partition(".")
        if not (schema and dot and name):
            raise FatalError(
                f"{text!r} does not name a table; write it as schema.table (MySQL and MariaDB: database.table)"
            )
        return cls(schema, name)

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}"


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a source table as its catalogue describes it.

    :param name: the name, exactly as the source spells it.
    :param declared: the type as the source prints it, such as ``int unsigned`` or ``character varying(25)``.
    :param kind: the canonical kind; None when the type is not supported.
    :param nullable: whether the source accepts NULL.
    :param refusal: why the column cannot be archived; None when it can.
    :param collation: the collation of a text column where the source has one per column (MySQL, MariaDB), else None.
    """

    name: str
    declared: str
    kind: Kind | None
    nullable: bool
    refusal: str | None = None

    @property
    def archived_as(self) -> Kind:
        """The kind; :class:`FatalError` with the reason for a column that cannot be archived."""
        if self.kind is None:
            raise FatalError(f"column {self.name} ({self.declared}) cannot be archived: {self.refusal}")
        return self.kind

    collation: str | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """A source table: identity, columns in their ordinal order, primary key columns in key order (empty: none)."""

    id: TableId
    columns: tuple[Column, ...]
    primary_key: tuple[str, ...]

    def column(self, name: str) -> Column:
        """The column of that name; :class:`FatalError` names the columns there are when it is missing."""
        for column in self.columns:
            if column.name == name:
                return column
        names = ", ".join(column.name for column in self.columns)
        raise FatalError(f"table {self.id} has no column {name!r}; its columns are: {names}")

    @property
    def key_columns(self) -> tuple[Column, ...]:
        """The primary key's columns in key order."""
        return tuple(self.column(name) for name in self.primary_key)

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """Kind of each column."""
        return tuple(column.archived_as for column in self.columns)

    @property
    def key_kinds(self) -> tuple[Kind, ...]:
        """Kind of each column of the primary key, in key order."""
        return tuple(column.archived_as for column in self.key_columns)

    @property
    def refused(self) -> tuple[Column, ...]:
        """Columns that cannot be archived, each with its reason."""
        return tuple(column for column in self.columns if column.refusal)

    @property
    def fingerprint(self) -> str:
        """16 hex digits that change when a column, a type, a nullability, their order or the key changes."""
        parts = [f"{c.name}\x1f{c.kind}\x1f{c.nullable}" for c in self.columns]
        return hashlib.sha256("\x1e".join([*parts, *self.primary_key]).encode()).hexdigest()[:16]

    def require_archivable(self) -> None:
        """Raise :class:`FatalError` naming every column that cannot be archived, or the missing primary key."""
        if not self.primary_key:
            raise FatalError(
                f"table {self.id} has no primary key, so its rows have no identity in the archive; "
                "add a primary key at the source"
            )
        if self.refused:
            reasons = "; ".join(f"{c.name} ({c.declared}): {c.refusal}" for c in self.refused)
            raise FatalError(f"table {self.id} has columns that cannot be archived exactly: {reasons}")


@dataclass(frozen=True, slots=True)
class Window:
    """Rows whose ``column`` lies in the half-open range ``[start, end)``, both UTC.

    ``column`` is a date, or a text holding ISO-8601 dates; both bounds must then be midnights.
    """

    column: str
    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        if self.start.tzinfo is None or self.end.tzinfo is None:
            raise FatalError(
                f"window bounds need a time zone, got {self.start} and {self.end}; give them in UTC"
            )
        if self.start >= self.end:
            raise FatalError(
                f"window [{self.start.isoformat()}, {self.end.isoformat()}) is empty or reversed; "
                "its end must be later than its start"
            )

    def bounds(self) -> tuple[str, str]:
        """Both bounds as ISO-8601 dates for a comparison in SQL; :class:`FatalError` unless both are midnights UTC."""
        start, end = self.start.astimezone(UTC), self.end.astimezone(UTC)
        for bound in (start, end):
            if (bound.hour, bound.minute, bound.second, bound.microsecond) != (0, 0, 0, 0):
                raise FatalError(
                    f"window bound {bound.isoformat()} is not a midnight UTC, but {self.column} holds dates; "
                    "choose whole days"
                )
        return start.date().isoformat(), end.date().isoformat()

    @property
    def dates(self) -> str:
        """``[start, end)`` in as few characters as say it: days where both bounds are midnights UTC."""
        first, last = (bound.isoformat().removesuffix("T00:00:00+00:00") for bound in (self.start, self.end))
        return f"[{first}, {last})"

    def __str__(self) -> str:
        return f"{self.column} in {self.dates}"


def describe(window: Window | None) -> str:
    """A window in words, with the whole table as its own case."""
    return str(window) if window else "the whole table"


def names(items: Sequence[object]) -> str:
    """Comma-separated texts, for messages."""
    return ", ".join(str(item) for item in items)
