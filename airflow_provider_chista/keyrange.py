"""Parts of a table in the order of its primary key, and the condition that selects one; source and ClickHouse share both."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from airflow_provider_chista.canonical import parse_key
from airflow_provider_chista.errors import FatalError
from airflow_provider_chista.model import INTEGER_BOUNDS, Kind, Table

RANGED_KINDS = frozenset({*INTEGER_BOUNDS, Kind.DECIMAL, Kind.DATE, Kind.DATETIME, Kind.UUID})
"""Kinds of key columns whose native order can be the order of ``canonical.sort_key``, so that an index finds a range."""


@dataclass(frozen=True, slots=True)
class KeyRange:
    """Rows whose primary key lies in the half-open range ``[first, end)`` of ``canonical.sort_key`` order.

    :param first: row key (``docs/row-hash.md``); None: from the smallest. :param end: row key; None: to the largest.
    """

    first: str | None = None
    end: str | None = None

    def __str__(self) -> str:
        return f"keys [{self.first or '…'}, {self.end or '…'})"

    @property
    def whole(self) -> bool:
        """Whether it is every key."""
        return self.first is None and self.end is None


EVERY_KEY = KeyRange()


def condition(
    table: Table,
    keys: KeyRange,
    column: Callable[[int], str],
    value: Callable[[int, object], str],
) -> str:
    """SQL that selects the keys of a range; empty when it is every key.

    Not a comparison of row constructors, for which MySQL and ClickHouse do not use an index: its first term bounds the
    key's first column.

    :param column: expression of the key's i-th column, in an order that is the engine's own.
    :param value: expression of a value of the i-th column, called in the order in which the values appear.
    :raises FatalError: a bound is no key of the table, or the table's key cannot be cut into ranges.
    """
    if keys.whole:
        return ""
    for key_column in table.key_columns:
        if key_column.archived_as not in RANGED_KINDS:
            raise FatalError(
                f"keys of {table.id} cannot be given as a range: {key_column.name} ({key_column.declared}) has another order "
                "in each database. Give a window, or single keys"
            )
    parts = []
    last = len(table.primary_key) - 1
    if keys.first is not None:
        values = parse_key(table.key_kinds, keys.first)
        bound = f"{column(0)} >= {value(0, values[0])}"
        parts.append(f"{bound} AND {_beyond(column, value, values, '>', '>=')}" if last else bound)
    if keys.end is not None:
        values = parse_key(table.key_kinds, keys.end)
        bound = f"{column(0)} {'<=' if last else '<'} {value(0, values[0])}"
        parts.append(f"{bound} AND {_beyond(column, value, values, '<', '<')}" if last else bound)
    return " AND ".join(parts)


def _beyond(
    column: Callable[[int], str],
    value: Callable[[int, object], str],
    values: tuple[object, ...],
    strictly: str,
    finally_: str,
    index: int = 0,
) -> str:
    """The key is beyond ``values``, compared column by column; ``finally_`` compares the last one."""
    if index == len(values) - 1:
        return f"{column(index)} {finally_} {value(index, values[index])}"
    beyond = f"{column(index)} {strictly} {value(index, values[index])}"
    equal = f"{column(index)} = {value(index, values[index])}"
    return f"({beyond} OR ({equal} AND {_beyond(column, value, values, strictly, finally_, index + 1)}))"
