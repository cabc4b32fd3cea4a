"""The canonical row hash, version 1, computed by ClickHouse over what it stored (specification: ``docs/row-hash.md``)."""

from __future__ import annotations

from collections.abc import Sequence

from airflow_provider_chista.canonical import NULL, SEPARATOR
from airflow_provider_chista.clickhouse.layout import INCOMPLETE
from airflow_provider_chista.clickhouse.sql import identifier
from airflow_provider_chista.clickhouse.types import TypeMap
from airflow_provider_chista.model import Column, Table


def field(types: TypeMap, column: Column, prefix: str = "") -> str:
    """SQL of one column's canonical text."""
    name = prefix + identifier(column.name)
    template = types.stored(column).text
    if not column.holds_null:
        return template.format(c=name)
    text = template.format(c=f"assumeNotNull({name})")
    return f"if(isNull({name}), '{NULL}', {text})"


def text(types: TypeMap, columns: Sequence[Column], prefix: str = "") -> str:
    """SQL of the canonical text of some columns (a row, or a key)."""
    fields = [field(types, column, prefix) for column in columns]
    return fields[0] if len(fields) == 1 else f"concat({f', {SEPARATOR!r}, '.join(fields)})"


def row_key(types: TypeMap, table: Table, prefix: str = "") -> str:
    """SQL of the row key: the canonical text of the primary key's columns."""
    return text(types, table.key_columns, prefix)


def row_hash(types: TypeMap, table: Table, prefix: str = "") -> str:
    """SQL of the row hash: lower-case hex SHA-256 of the canonical text of the hashed columns.

    A row with values that PostgreSQL did not send has the empty text for a hash, which equals nothing.
    """
    hashed = f"lower(hex(SHA256({text(types, table.hashed, prefix)})))"
    return f"if(empty({prefix}{identifier(INCOMPLETE)}), {hashed}, '')"


def order_by(types: TypeMap, table: Table, prefix: str = "") -> str:
    """SQL of the ORDER BY list of ``canonical.sort_key``."""
    return ", ".join(types.stored(c).order.format(c=prefix + identifier(c.name)) for c in table.key_columns)


_WORD = (
    "leftPad(lower(hex(sum(reinterpretAsUInt64(reverse(unhex(substring(row_hash, {start}, 16))))))), 16, '0')"
)

DIGEST = f"concat(toString(count()), ':', {_WORD.format(start=1)}, {_WORD.format(start=17)})"
"""SQL of a digest over a column ``row_hash``: the row count and the sums, modulo 2^64, of the first two big-endian 64-bit
words of each hash. It does not depend on the order of the rows."""
