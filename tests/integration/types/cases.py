"""The shape of a type case, and of the tables of cases in this folder: data that the tests walk.

A case is a value as a person writes it in SQL and, by itself, as Python has it. Nothing here asks the provider's SQL or its
decoders: the expected canonical text comes from the value alone, through ``canonical.py``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from airflow_provider_chista.canonical import field_text
from airflow_provider_chista.model import Kind


@dataclass(frozen=True)
class Case:
    """One value.

    :param sql: the value as a SQL expression of the engine.
    :param value: the value in Python; decimals with the column's scale, dates and times as ``date`` and ``datetime`` or,
        where Python has none, as canonical text.
    :param damaged: paths on which Debezium itself sends something else: ``r`` snapshots, ``c`` the stream; the archive must
        then differ from the source in this row, so that the proof finds it.
    :param paths: paths on which the value is tried; not where it stops the connector or goes to the dead letters.
    """

    sql: str
    value: Any
    damaged: str = ""
    paths: str = "rc"


NULL = Case("NULL", None)


@dataclass(frozen=True)
class Typed:
    """The cases of one column.

    :param row: name of the row in the type table (``docs/types.md``).
    :param ddl: the type in a CREATE TABLE.
    :param kind: the kind expected of it.
    :param setup: statements before the table is created; ``{schema}`` stands for the schema.
    :param rest: what rows hold that have no case of their own; every column has at least one such row on each path.
    """

    row: str
    ddl: str
    kind: Kind
    cases: Sequence[Case]
    setup: Sequence[str] = ()
    rest: Case = NULL

    def text(self, case: Case) -> str:
        """The canonical text that source and archive must both have."""
        return field_text(self.kind, case.value)


def same(*pairs: tuple[str, Any], damaged: str = "", paths: str = "rc") -> list[Case]:
    """Cases from pairs of SQL and value."""
    return [Case(sql, value, damaged, paths) for sql, value in pairs]


def shown(kind: Kind, value: Any) -> Any:
    """The value as clickhouse-connect returns it from the default type of its kind (bytes: as upper-case hex)."""
    if value is None:
        return None
    match kind:
        case Kind.DECIMAL:
            return Decimal(value)
        case Kind.DATE if isinstance(value, date):
            return datetime(value.year, value.month, value.day, tzinfo=UTC)
        case Kind.DATETIME if isinstance(value, datetime):
            return value.replace(tzinfo=UTC)
        case Kind.BYTES:
            return value.hex().upper()
        case Kind.UUID:
            return str(value)
        case Kind.BOOL:
            return bool(value)
    return value


def alike(found: Any, expected: Any) -> bool:
    """Whether a reader sees the value: a NaN is like a NaN, and a decimal of more than 76 digits is stored as text."""
    if isinstance(expected, float) and math.isnan(expected):
        return isinstance(found, float) and math.isnan(found)
    if isinstance(expected, Decimal) and isinstance(found, str):
        return found == f"{expected:f}"
    return bool(found == expected)
