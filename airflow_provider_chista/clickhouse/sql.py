"""Quoting of ClickHouse identifiers and small helpers for SQL text. Values are bound wherever the grammar lets them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from airflow_provider_chista.model import TableId

WIDE_SETTINGS: dict[str, int] = {
    "max_query_size": 16 * 1024 * 1024,
    "max_ast_elements": 1_000_000,
    "max_expanded_ast_elements": 10_000_000,
}
"""Settings of statements that name every column: the text of one float alone takes 850 characters of SQL."""

ROW, FILE = "_chista_row", "_chista_file"
"""Aliases of an archive table and of a file of keys; no column is called so, or ``t.x`` may be a subcolumn of a column t."""


def identifier(name: str) -> str:
    """A name in back quotes, with the escapes that ClickHouse prints itself."""
    return "`" + name.translate(_ESCAPES) + "`"


_ESCAPES = str.maketrans(
    {"\\": "\\\\", "`": "\\`", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
)


def literal(text: str) -> str:
    """A text as a literal, for the places of DDL that take no bound parameter."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def table(name: TableId) -> str:
    """``database.table``, both quoted."""
    return f"{identifier(name.schema)}.{identifier(name.name)}"


def columns(names: Iterable[str], prefix: str = "") -> str:
    """Comma-separated quoted names, each behind ``prefix`` (such as ``t.``)."""
    return ", ".join(prefix + identifier(name) for name in names)


def key_match(primary_key: Sequence[str]) -> str:
    """Condition that joins an archive table with a file of keys (``clickhouse/load.py``), by their aliases."""
    return " AND ".join(f"{ROW}.{identifier(name)} = {FILE}.k{i}" for i, name in enumerate(primary_key))


def key_among(primary_key: Sequence[str], file: str) -> str:
    """Condition that the key of an archive table's row is in a file of keys; it is looked up in the primary index."""
    wanted = ", ".join(f"k{i}" for i in range(len(primary_key)))
    return f"({columns(primary_key, f'{ROW}.')}) IN (SELECT {wanted} FROM {file})"
