"""Types and row SQL shared by MySQL and MariaDB."""

from __future__ import annotations

import re
from collections.abc import Sequence

from airflow_provider_chista.model import Kind
from airflow_provider_chista.sources.dialect import Dialect, SourceType, null_or, reserved_name

# "+ 0", because a ZEROFILL column is cast to text with its zeros.
_INTEGER = "CAST({c} + 0 AS CHAR)"
# CONVERT column by column: the bytes of a latin1 text would hash differently.
_TEXT = "CONCAT(LENGTH(CONVERT({c} USING utf8mb4)), ':', CONVERT({c} USING utf8mb4))"
_TEXT_ORDER = "CAST(CONVERT({c} USING utf8mb4) AS BINARY)"
# The column's own character set and collation, so that the primary key's index serves; 3072 bytes are InnoDB's longest key.
_TEXT_KEY = "VARCHAR(3072) CHARACTER SET utf8mb4"
_TEXT_MATCH = "{c} = CONVERT({v} USING {charset}) COLLATE {collation}"


def _integer(name: str, kind: Kind) -> SourceType:
    return SourceType(name, kind, _INTEGER, "{c}", "BIGINT UNSIGNED" if "unsigned" in name else "BIGINT")


def _text(name: str) -> SourceType:
    return SourceType(name, Kind.TEXT, _TEXT, _TEXT_ORDER, _TEXT_KEY, _TEXT_MATCH)


TYPES: dict[str, SourceType] = {
    row.name: row
    for row in (
        _integer("tinyint", Kind.INT8),
        _integer("smallint", Kind.INT16),
        _integer("mediumint", Kind.INT32),
        _integer("int", Kind.INT32),
        _integer("bigint", Kind.INT64),
        _integer("tinyint unsigned", Kind.UINT8),
        _integer("smallint unsigned", Kind.UINT16),
        _integer("mediumint unsigned", Kind.UINT32),
        _integer("int unsigned", Kind.UINT32),
        _integer("bigint unsigned", Kind.UINT64),
        SourceType("date", Kind.DATE, "CAST({c} AS CHAR)", "{c}", "DATE"),
        _text("char"),
        _text("varchar"),
        _text("tinytext"),
        _text("text"),
        _text("mediumtext"),
        _text("longtext"),
        _text("enum"),
    )
}

_ATTRIBUTES = re.compile(r"\(.*\)|\bzerofill\b", re.DOTALL)


def type_name(declared: str) -> str:
    """``int(10) unsigned zerofill`` -> ``int unsigned``; ``enum('a','b')`` -> ``enum``."""
    return " ".join(_ATTRIBUTES.sub(" ", declared).split())


def column_refusal(name: str, declared: str, generated: bool) -> str | None:
    """Why a column cannot be archived exactly; None when it can."""
    if generated:
        return "generated columns are not archived; they can be computed again from the other columns"
    if type_name(declared) not in TYPES:
        return f"type {type_name(declared)} is not supported; supported are {', '.join(TYPES)}"
    if declared.startswith("enum(") and _has_escaped_literal(declared):
        return "Debezium sends ENUM values with a comma or a backslash escaped in the stream and plain in snapshots"
    return reserved_name(name)


def _has_escaped_literal(declared: str) -> bool:
    literals = re.findall(r"'((?:[^']|'')*)'", declared)
    return any("," in literal or "\\" in literal for literal in literals)


def quote(identifier: str) -> str:
    """A quoted identifier; ``%`` is doubled because statements are formatted with bound values."""
    return "`" + identifier.replace("`", "``").replace("%", "%%") + "`"


def _concat(parts: Sequence[str]) -> str:
    return f"CONCAT({', '.join(parts)})"


# Bytes, not collations: a case-insensitive or language-aware order would let rows into the window that ClickHouse leaves out.
_BINARY_RANGE = f"{_TEXT_ORDER} >= CAST(%s AS BINARY) AND {_TEXT_ORDER} < CAST(%s AS BINARY)"

DIALECT = Dialect(
    quote=quote,
    types=TYPES,
    type_name=type_name,
    field=null_or("{text}"),
    concat=_concat,
    row_hash="SHA2({text}, 256)",
    bounds={Kind.DATE: "{c} >= CAST(%s AS DATE) AND {c} < CAST(%s AS DATE)", Kind.TEXT: _BINARY_RANGE},
)
