"""Types and row SQL of PostgreSQL."""

from __future__ import annotations

import re
from collections.abc import Sequence

from airflow_provider_chista.model import Kind
from airflow_provider_chista.sources.dialect import Dialect, SourceType, reserved_name

_BYTES_ORDER = '{c}::text COLLATE "C"'
# A cast of char(n) to text drops the trailing blanks; its output function keeps them, as the stream does.
_PADDED = "textin(bpcharout({c}))"


def _netstring(text: str) -> str:
    return f"octet_length({text})::text || ':' || {text}"


TYPES: dict[str, SourceType] = {
    row.name: row
    for row in (
        SourceType("smallint", Kind.INT16, "{c}::text", "{c}", "bigint[]"),
        SourceType("integer", Kind.INT32, "{c}::text", "{c}", "bigint[]"),
        SourceType("bigint", Kind.INT64, "{c}::text", "{c}", "bigint[]"),
        # With DateStyle ISO; unlike to_char it keeps BC, years above 9999 and infinity apart.
        SourceType("date", Kind.DATE, "{c}::text", "{c}", "date[]"),
        SourceType("text", Kind.TEXT, _netstring("{c}"), _BYTES_ORDER, "text[]"),
        SourceType("character varying", Kind.TEXT, _netstring("{c}"), _BYTES_ORDER, "text[]"),
        SourceType(
            "character",
            Kind.TEXT,
            _netstring(_PADDED),
            f'{_PADDED} COLLATE "C"',
            "text[]",
            "{c} = {v}::bpchar",
        ),
        # Compared as text: a label of the archive may be gone from the type.
        SourceType("enum", Kind.TEXT, _netstring("{c}::text"), _BYTES_ORDER, "text[]", "{c}::text = {v}"),
    )
}


def type_name(declared: str) -> str:
    """``character varying(25)`` -> ``character varying``; ``hr.mood`` (search path pg_catalog) -> ``enum``."""
    base = re.sub(r"\(\d+\)$", "", declared)
    return base if base in TYPES or "." not in base else "enum"


def column_refusal(name: str, declared: str, category: str, generated: bool) -> str | None:
    """Why a column cannot be archived exactly; None when it can.

    :param category: ``pg_type.typtype``: ``b`` base, ``e`` enum, ``d`` domain, ``c`` composite, ``r`` and ``m`` ranges.
    """
    if generated:
        return "generated columns are not archived: the change stream of PostgreSQL leaves them out"
    supported = category == "e" or (
        category == "b" and declared and type_name(declared) in TYPES.keys() - {"enum"}
    )
    if not supported:
        kind = {"d": "domain ", "c": "composite type ", "r": "range ", "m": "multirange "}.get(
            category, "type "
        )
        return f"{kind}{declared} is not supported; supported are {', '.join(TYPES)}"
    return reserved_name(name)


def quote(identifier: str) -> str:
    """A quoted identifier; ``%`` is doubled because statements are formatted with bound values."""
    return '"' + identifier.replace('"', '""').replace("%", "%%") + '"'


def _concat(parts: Sequence[str]) -> str:
    return "(" + "\n    || ".join(parts) + ")"


DIALECT = Dialect(
    quote=quote,
    types=TYPES,
    type_name=type_name,
    field="COALESCE({text}, '~')",
    concat=_concat,
    row_hash="encode(sha256(convert_to({text}, 'UTF8')), 'hex')",
    bounds={
        Kind.DATE: "{c} >= %s::date AND {c} < %s::date",
        # Bytes, not the column's collation: linguistic ones ignore punctuation.
        Kind.TEXT: '{c}::text COLLATE "C" >= %s AND {c}::text COLLATE "C" < %s',
    },
)
