"""SQL of a source's rows, built from tables of types: canonical field texts, row keys, row hashes, windows.

A dialect is data; this module walks it. Every expression refers to the source table by the alias ``t``. Identifiers are
quoted by the dialect and values are always bound. Placeholders are ``%s``, so quoting doubles a ``%`` in an identifier.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from airflow_provider_chista.canonical import NULL, SEPARATOR
from airflow_provider_chista.errors import FatalError
from airflow_provider_chista.keyrange import EVERY_KEY, RANGED_KINDS, KeyRange, condition
from airflow_provider_chista.model import Column, Encoding, Fate, Kind, Table, TableId, Window

RESERVED_PREFIX = "_chista_"
"""Columns that the provider adds to an archive table begin so; a source column must not."""


@dataclass(frozen=True, slots=True)
class SourceType:
    """One row of an engine's type table. In the templates ``{c}`` is the quoted column.

    :param name: the type's name as the engine's catalogue prints it, without length and display attributes.
    :param kind: the canonical kind; None: the type is refused.
    :param text: canonical text of a value that is not NULL.
    :param order: expression whose native order is the order of :func:`airflow_provider_chista.canonical.sort_key`.
    :param key: type under which a key value arrives in the parameter of a keyed statement; empty: no primary key can have it.
    :param match: condition that joins the column to that value ``{v}``; it lets the engine use the primary key's index.
        It may be looser than equality of bytes (case, trailing blanks): callers compare the canonical texts too.
        ``{charset}`` and ``{collation}`` are those of the column.
    :param value: SQL of a value from its text ``{v}``, the inverse of ``text``; ``{type}`` is the declared type. Empty: the
        dialect's.
    :param bound: from the canonical text to that text, where it is not what is usual for the kind.
    :param encoding: how Debezium sends it; None: as is usual for the kind.
    :param refusal: why it cannot be archived exactly, and the way out; empty when it can.
    :param excludable: False: the connector fails over the type even when the column is excluded.
    :param note: values that Debezium itself does not send exactly, and what becomes of them.
    """

    name: str
    kind: Kind | None
    text: str = ""
    order: str = "{c}"
    key: str = ""
    match: str = "{c} = {v}"
    value: str = ""
    bound: Callable[[str], str] | None = None
    encoding: Encoding | None = None
    refusal: str = ""
    note: str = ""
    excludable: bool = True

    @property
    def fate(self) -> Fate:
        """What becomes of the type's values."""
        return Fate.PROVABLE if self.kind else Fate.REFUSED


def float_of_bits(text: str) -> str:
    """The shortest digits of the 8-byte float whose bits are given as 16 hexadecimal digits."""
    return repr(struct.unpack(">d", bytes.fromhex(text))[0])


_BOUND: dict[Kind, Callable[[str], str]] = {
    Kind.TEXT: lambda text: text.partition(":")[2],
    Kind.IEEE32: float_of_bits,
    Kind.IEEE64: float_of_bits,
}
"""From a canonical field text to the text that an engine reads, for the kinds where the two differ."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """How an engine writes what all engines can do.

    :param quote: quotes an identifier.
    :param types: type table by name.
    :param type_name: name in the type table for a column's declared type.
    :param field: canonical field text from ``{c}`` and the type's ``{text}``, NULL included.
    :param concat: joins texts, none of them NULL.
    :param row_hash: hash of the row text ``{text}``.
    :param bounds: half-open range over ``{c}`` with two placeholders, by kind of the window's column.
    :param digest: statement that gives the count of rows, of hashes that are not NULL, and the sums (as texts, modulo 2^64)
        of the first two big-endian 64-bit words of the hashes ``h`` that the subquery ``{hashes}`` gives.
    :param value: SQL of a value from its text ``{v}`` (:meth:`bound`), for types that have none of their own.
    :param instants: half-open range over ``{c}`` of a column of instants, from seconds ``{first}`` to ``{end}`` of the Unix
        epoch, that no session's time zone changes; :param is_instant: whether a column is one.
    :param fitted: the type's template as one column needs it: without what it can do without, or with a check.
    """

    quote: Callable[[str], str]
    types: Mapping[str, SourceType]
    type_name: Callable[[str], str]
    field: str
    concat: Callable[[Sequence[str]], str]
    row_hash: str
    bounds: Mapping[Kind, str]
    digest: str
    instants: str
    is_instant: Callable[[Column], bool]
    value: str = "{v}"
    fitted: Callable[[Column, str], str] = lambda column, text: text

    def table(self, table: TableId) -> str:
        """The table's quoted, qualified name."""
        return f"{self.quote(table.schema)}.{self.quote(table.name)}"

    def column(self, column: Column) -> str:
        """The column of the source table, quoted, behind the alias ``t``."""
        return f"t.{self.quote(column.name)}"

    def type_of(self, column: Column) -> SourceType:
        """The column's row of the type table; :class:`FatalError` when it has none."""
        try:
            return self.types[column.type_name or self.type_name(column.declared)]
        except KeyError:
            raise FatalError(
                f"column {column.name} ({column.declared}) has no canonical text: {column.refusal or 'unknown type'}"
            ) from None

    def field_text(self, column: Column) -> str:
        """Canonical field text of a column; never NULL as long as the engine can build the text."""
        quoted = self.column(column)
        text = self.fitted(column, self.type_of(column).text).format(c=quoted)
        return self.field.format(c=quoted, text=text) if column.nullable else text

    def bound(self, column: Column, texts: Sequence[str | None]) -> Sequence[str | None]:
        """The texts to bind for values of a column, from their canonical field texts; None for NULL."""
        decode = self.type_of(column).bound or _BOUND.get(column.archived_as)
        return [None if text is None else decode(text) for text in texts] if decode else texts

    def value_of(self, column: Column, v: str) -> str:
        """SQL of a value of the column from the expression ``v`` of its bound text."""
        template = self.type_of(column).value or self.value
        return template.format(v=v, type=column.declared.replace("%", "%%"))

    def row_key(self, table: Table) -> str:
        """Canonical text of the primary key."""
        return self._joined(table.key_columns)

    def hash_of_row(self, table: Table) -> str:
        """Canonical row hash over the hashed columns in ordinal order."""
        return self.row_hash.format(text=self._joined(table.hashed))

    def order_by(self, table: Table) -> str:
        """ORDER BY list that streams rows in the order of ``canonical.sort_key``."""
        return ", ".join(
            self.type_of(column).order.format(c=self.column(column)) for column in table.key_columns
        )

    def matches(self, table: Table, value: Callable[[int], str]) -> str:
        """Condition that joins the table to key values; ``value(i)`` is the expression of the key's i-th value."""
        return " AND ".join(
            self.type_of(column).match.format(
                c=self.column(column),
                v=value(index),
                charset=(column.collation or "").partition("_")[0],
                collation=column.collation,
            )
            for index, column in enumerate(table.key_columns)
        )

    def ranged(self, table: Table) -> bool:
        """Whether the engine finds a range of the table's keys by the primary key's index."""
        return all(
            column.archived_as in RANGED_KINDS and self.type_of(column).order == "{c}"
            for column in table.key_columns
        )

    def where(
        self, table: Table, window: Window | None, keys: KeyRange = EVERY_KEY
    ) -> tuple[str, tuple[object, ...]]:
        """WHERE clause (or an empty text) of a window's rows with keys in a range, and its bound values.

        :raises FatalError: the window's column does not exist, or is neither a timestamp nor a date nor a text; or keys
            of the table have no range.
        """
        terms, values = [], list[object]()
        if window is not None:
            terms.append(self._bounds_of(table, window))
            values += window.bounds(table.column(window.column).archived_as)
        if within := self._within(table, keys, values):
            terms.append(within)
        return f"WHERE {' AND '.join(terms)}" if terms else "", tuple(values)

    def window_filter(self, table: Table, window: Window) -> str:
        """Condition of a window's rows as a text with its values in it, for a session whose time zone is not known.

        :raises FatalError: as :meth:`where`.
        """
        column = table.column(window.column)
        quoted = self.quote(column.name)
        if column.kind is Kind.DATETIME and self.is_instant(column):
            first, end = window.start.timestamp(), window.end.timestamp()
            return self.instants.format(c=quoted, first=first, end=end) % ()
        template = self._bounds_of(table, window, quoted)
        return template % tuple(f"'{bound}'" for bound in window.bounds(column.archived_as))

    def hashes(
        self, table: Table, window: Window | None, keys: KeyRange = EVERY_KEY
    ) -> tuple[str, tuple[object, ...]]:
        """Statement that gives row key and row hash of those rows in the order of ``canonical.sort_key``, and its values."""
        where, values = self.where(table, window, keys)
        return (
            f"SELECT {self.row_key(table)}, {self.hash_of_row(table)}\nFROM {self.table(table.id)} t {where}\n"
            f"ORDER BY {self.order_by(table)}",
            values,
        )

    def _bounds_of(self, table: Table, window: Window, quoted: str | None = None) -> str:
        column = table.column(window.column)
        template = self.bounds.get(column.kind) if column.kind else None
        if template is None:
            raise FatalError(
                f"window column {column.name} of {table.id} is {column.declared}; "
                "a window needs a timestamp, a date, or a text that holds ISO-8601 dates"
            )
        return template.format(c=quoted or self.column(column))

    def _within(self, table: Table, keys: KeyRange, values: list[object]) -> str:
        """Condition of a range of keys, whose bound values are added to ``values``."""
        columns = table.key_columns

        def bound(index: int, value: object) -> str:
            values.append(value)
            return self.value_of(columns[index], "%s")

        return condition(
            table,
            keys,
            lambda index: self.type_of(columns[index]).order.format(c=self.column(columns[index])),
            bound,
        )

    def _joined(self, columns: Sequence[Column]) -> str:
        parts: list[str] = []
        for column in columns:
            if parts:
                parts.append(f"'{SEPARATOR}'")
            parts.append(self.field_text(column))
        return self.concat(parts)


def null_or(text: str, when_null: str = "{c} IS NULL") -> str:
    """Field template that tells NULL from a text that could not be built: only a NULL column becomes the NULL mark.

    ``COALESCE(text, '~')`` would not do: MySQL's CONCAT gives NULL above ``max_allowed_packet``.
    """
    return f"CASE WHEN {when_null} THEN '{NULL}' ELSE {text} END"


def reserved_name(name: str) -> str | None:
    """Why a column of that name cannot be archived; None when the name is free."""
    if name.startswith(RESERVED_PREFIX):
        return f"names that begin with {RESERVED_PREFIX} are reserved for the archive; rename the column"
    return None
