"""The vocabulary that all layers share: tables, columns, their canonical kinds, and windows of rows."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum

from airflow_provider_chista.errors import FatalError


class Kind(StrEnum):
    """What a column's values are, independent of the engine that holds them.

    A source type maps to exactly one kind (the type tables in ``sources/``); a kind has one canonical text (``canonical.py``,
    ``docs/row-hash.md``) and the ClickHouse types that hold it (``clickhouse/types.py``).
    """

    INT8 = "int8"
    INT16 = "int16"
    INT32 = "int32"
    INT64 = "int64"
    UINT8 = "uint8"
    UINT16 = "uint16"
    UINT32 = "uint32"
    UINT64 = "uint64"
    BOOL = "bool"
    DECIMAL = "decimal"
    FLOAT32 = "float32"
    """4-byte float whose text is its decimal digits: MySQL and MariaDB cannot show the bits."""
    FLOAT64 = "float64"
    """8-byte float whose text is its decimal digits."""
    IEEE32 = "ieee32"
    """4-byte float whose text is its bits: PostgreSQL does not always print the shortest digits."""
    IEEE64 = "ieee64"
    """8-byte float whose text is its bits."""
    DATE = "date"
    TIME = "time"
    DATETIME = "datetime"
    UUID = "uuid"
    BYTES = "bytes"
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


class Encoding(StrEnum):
    """How a value travels in a change event; ``debezium/encodings.py`` decodes each."""

    NUMBER = "number"
    UNSIGNED_LONG = "unsigned long"
    BOOLEAN = "boolean"
    BIT_NUMBER = "bit number"
    BIT_STRING = "bit string"
    FLOAT = "float"
    DECIMAL = "decimal"
    NUMERIC = "numeric"
    DAYS = "days"
    MICROSECONDS = "microseconds"
    ZONED = "zoned"
    TIME = "time"
    TIME_OF_DAY = "time of day"
    UUID = "uuid"
    BASE64 = "base64"
    BASE64_TEXT = "base64 text"
    TEXT = "text"
    LABEL = "label"
    LABELS = "labels"
    MYSQL_JSON = "mysql json"
    GEOMETRY = "geometry"
    VECTOR = "vector"
    POINT = "point"
    INTERVAL = "interval"
    HSTORE = "hstore"
    ARRAY = "array"


_USUAL: dict[Kind, Encoding] = {
    **dict.fromkeys(INTEGER_BOUNDS, Encoding.NUMBER),
    Kind.UINT64: Encoding.UNSIGNED_LONG,
    Kind.BOOL: Encoding.BOOLEAN,
    Kind.DECIMAL: Encoding.DECIMAL,
    **dict.fromkeys((Kind.FLOAT32, Kind.FLOAT64, Kind.IEEE32, Kind.IEEE64), Encoding.FLOAT),
    Kind.DATE: Encoding.DAYS,
    Kind.TIME: Encoding.TIME,
    Kind.DATETIME: Encoding.MICROSECONDS,
    Kind.UUID: Encoding.UUID,
    Kind.BYTES: Encoding.BASE64,
    Kind.TEXT: Encoding.TEXT,
}


class Fate(StrEnum):
    """What becomes of the values of a type."""

    PROVABLE = "provable"
    """Stored exactly; the row hash proves it."""
    REFUSED = "refused"
    """Cannot be stored exactly: named at the preflight. The column may be excluded; its table is then never purged."""


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
    """One column of a source table as its catalogue describes it, and how the archive holds it.

    :param name: the name, exactly as the source spells it.
    :param declared: the type as the source prints it, such as ``int unsigned`` or ``character varying(25)``.
    :param kind: the canonical kind; None when the type is not supported.
    :param nullable: whether the source accepts NULL.
    :param refusal: why the column cannot be archived; None when it can.
    :param excludable: False: the connector fails over its type even when the column is excluded.
    :param collation: the collation of a text column where the source has one per column (MySQL, MariaDB), else None.
    :param type_name: name of its row in the engine's type table; empty: follows from ``declared``.
    :param encoding: how its values travel in change events; None: as is usual for the kind.
    :param element: type of an array's elements, as the source names it.
    :param precision: digits of a decimal, length of a bit string.
    :param scale: digits of a decimal behind the point.
    :param labels: labels of an enumeration or a set, which Debezium escapes.
    :param stored_as: ClickHouse type that was chosen or found; None: the default of the kind.
    :param provable: False when the user chose a type that does not hold every value exactly; the table is never purged.
    :param whole: True when every event is sure to carry its value; PostgreSQL leaves out what it stores out of line (TOAST).
    :param added: True when the archive table got the column later, so that older records and rows do not have it.
    """

    name: str
    declared: str
    kind: Kind | None
    nullable: bool
    refusal: str | None = None
    collation: str | None = None
    type_name: str = ""
    encoding: Encoding | None = None
    element: str = ""
    precision: int = 0
    scale: int = 0
    labels: tuple[str, ...] = ()
    stored_as: str | None = None
    provable: bool = True
    whole: bool = False
    added: bool = False
    excludable: bool = True

    @property
    def archived_as(self) -> Kind:
        """The kind; :class:`FatalError` with the reason for a column that cannot be archived."""
        if self.kind is None:
            raise FatalError(f"column {self.name} ({self.declared}) cannot be archived: {self.refusal}")
        return self.kind

    @property
    def sent_as(self) -> Encoding:
        """How its values travel in change events."""
        return self.encoding or _USUAL[self.archived_as]

    @property
    def holds_null(self) -> bool:
        """Whether the archive can hold NULL: the source accepts it, or did, or older rows lack the column."""
        return self.nullable or "Nullable(" in (self.stored_as or "")


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A column of the source that the archive leaves out.

    :param generated: True: the source computes it from other columns; False: the user excluded it.
    :param gone: True: the source does not have it any more, but older records do.
    """

    name: str
    generated: bool
    gone: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """A source table: identity, archived columns in their ordinal order, primary key columns in key order (empty: none).

    :param left_out: columns that are neither stored nor hashed.
    :param gone: columns of the archive table that the source does not have any more; older records have them.
    """

    id: TableId
    columns: tuple[Column, ...]
    primary_key: tuple[str, ...]
    left_out: tuple[LeftOut, ...] = ()
    gone: tuple[Column, ...] = ()

    def column(self, name: str) -> Column:
        """The column of that name; :class:`FatalError` names the columns there are when it is missing."""
        for column in self.columns:
            if column.name == name:
                return column
        names = ", ".join(column.name for column in self.columns)
        raise FatalError(f"table {self.id} has no column {name!r}; its columns are: {names}")

    @property
    def stored(self) -> tuple[Column, ...]:
        """The source's columns that the archive table has: those of now, then those that are gone at the source."""
        return (*self.columns, *self.gone)

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

    def without(self, names: Collection[str]) -> Table:
        """The table without the columns that the user excludes.

        :raises FatalError: there is no such column, or it is part of the primary key.
        """
        for name in names:
            column = self.column(name)
            if not column.excludable:
                raise FatalError(
                    f"column {name} ({column.declared}) of {self.id} cannot be excluded: {column.refusal}"
                )
        keys = [name for name in self.primary_key if name in names]
        if keys:
            raise FatalError(
                f"column {keys[0]} of {self.id} is part of the primary key and cannot be excluded; "
                "its rows would have no identity"
            )
        return replace(
            self,
            columns=tuple(column for column in self.columns if column.name not in names),
            left_out=(
                *self.left_out,
                *(LeftOut(c.name, generated=False) for c in self.columns if c.name in names),
            ),
        )

    @property
    def excluded(self) -> frozenset[str]:
        """Names of the source's columns that the user excluded."""
        return frozenset(column.name for column in self.left_out if not (column.generated or column.gone))

    @property
    def hashed(self) -> tuple[Column, ...]:
        """The columns that the row hash covers: all but those that the user stores in a type that is not exact."""
        return tuple(column for column in self.columns if column.provable)

    def differing(self, one: Sequence[str | None], other: Sequence[str | None]) -> list[str]:
        """Names of the hashed columns in which two rows, given as canonical field texts, differ."""
        return [c.name for c, a, b in zip(self.hashed, one, other, strict=True) if a != b]

    @property
    def refused(self) -> tuple[Column, ...]:
        """Columns that cannot be archived, each with its reason."""
        return tuple(column for column in self.columns if column.refusal)

    @property
    def unproven(self) -> tuple[str, ...]:
        """Names of the columns that keep the table from being purged: excluded, or stored in a type that is not exact."""
        inexact = (column.name for column in self.columns if not column.provable)
        return (*sorted(self.excluded), *inexact)

    @property
    def fingerprint(self) -> str:
        """16 hex digits that change with any column, type, nullability, their order, the key, and what is left out."""
        parts = [f"{c.name}\x1f{c.declared}\x1f{c.type_name}\x1f{c.nullable}" for c in self.columns]
        left_out = [f"{c.name}\x1f{c.generated}" for c in self.left_out if not c.gone]
        text = "\x1d".join("\x1e".join(part) for part in (parts, self.primary_key, left_out))
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def require_archivable(self) -> None:
        """Raise :class:`FatalError` naming every column that cannot be archived, or the missing primary key."""
        if not self.primary_key:
            raise FatalError(
                f"table {self.id} has no primary key, so its rows have no identity in the archive; "
                "add a primary key at the source"
            )
        if self.refused:
            reasons = "; ".join(f"{c.name} ({c.declared}): {c.refusal}" for c in self.refused)
            raise FatalError(
                f"table {self.id} has columns that cannot be archived exactly: {reasons}. Change them, or exclude them; the "
                "table is then archived but never purged"
            )


@dataclass(frozen=True, slots=True)
class Window:
    """Rows whose ``column`` lies in the half-open range ``[start, end)``, both UTC.

    ``column`` is a timestamp, a date, or a text holding ISO-8601 dates; for the last two both bounds must be midnights.
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

    def bounds(self, kind: Kind) -> tuple[str, str]:
        """Both bounds for a comparison in SQL, as timestamps or as ISO-8601 dates.

        :raises FatalError: the column holds dates and a bound is not a midnight UTC.
        """
        start, end = self.start.astimezone(UTC), self.end.astimezone(UTC)
        if kind is Kind.DATETIME:
            first, last = (
                bound.replace(tzinfo=None).isoformat(" ", "microseconds") for bound in (start, end)
            )
            return first, last
        for bound in (start, end):
            if (bound.hour, bound.minute, bound.second, bound.microsecond) != (0, 0, 0, 0):
                raise FatalError(
                    f"window bound {bound.isoformat()} is not a midnight UTC, but {self.column} holds dates; "
                    "choose whole days"
                )
        return start.date().isoformat(), end.date().isoformat()

    @property
    def dates(self) -> str:
        """``[start, end)`` in as few characters as say it: days where the bounds are midnights UTC."""
        return f"[{self.days[0]}, {self.days[1]})"

    @property
    def days(self) -> tuple[str, str]:
        """Both bounds, ISO-8601: a date where a bound is a midnight UTC."""
        start, end = (bound.isoformat().removesuffix("T00:00:00+00:00") for bound in (self.start, self.end))
        return start, end

    def __str__(self) -> str:
        return f"{self.column} in {self.dates}"


def describe(window: Window | None) -> str:
    """A window in words, with the whole table as its own case."""
    return str(window) if window else "the whole table"


def names(items: Sequence[object]) -> str:
    """Comma-separated texts, for messages."""
    return ", ".join(str(item) for item in items)
