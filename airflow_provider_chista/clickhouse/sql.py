"""Quoting of ClickHouse identifiers and small helpers for SQL text. Values are always bound, never quoted here."""

from __future__ import annotations

from collections.abc import Iterable

from airflow_provider_chista.model import TableId


def identifier(name: str) -> str:
    """A name in back quotes, with the escapes of ClickHouse's lexer."""
    return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"


def table(name: TableId) -> str:
    """``database.table``, both quoted."""
    return f"{identifier(name.schema)}.{identifier(name.name)}"


def columns(names: Iterable[str], prefix: str = "") -> str:
    """Comma-separated quoted names, each behind ``prefix`` (such as ``t.``)."""
    return ", ".join(prefix + identifier(name) for name in names)
