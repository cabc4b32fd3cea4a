"""Types and row SQL of PostgreSQL."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from airflow_provider_chista.model import Column, Encoding, Kind
from airflow_provider_chista.sources.dialect import Dialect, SourceType, float_of_bits, reserved_name

_BYTES_ORDER = '{c}::text COLLATE "C"'
# A cast of char(n) to text drops the trailing blanks; its output function keeps them, as the stream does.
_PADDED = "textin(bpcharout({c}))"
_INET = "textin(inet_out({c}))"  # the cast adds /32
_XML = "textin(xml_out({c}))"  # the cast keeps a declaration that the output function leaves out


def _netstring(text: str) -> str:
    return f"octet_length({text})::text || ':' || {text}"


def _bits(value: str) -> str:
    return f"CASE WHEN {value}::float8 = 'NaN' THEN '7ff8000000000000' ELSE encode(float8send({value}::float8), 'hex') END"


_MOMENT = (
    "CASE WHEN {c} >= '0001-01-01' AND {c} < 'infinity' THEN to_char({c}, 'YYYY-MM-DD HH24:MI:SS.US')"
    " WHEN isfinite({c}) THEN to_char({c}, 'YYYY-MM-DD HH24:MI:SS.US BC') ELSE {c}::text END"
)


def _point(wkb: str) -> str:
    """``(x,y)`` from the hexadecimal digits of :data:`_POINT`."""
    return f"({float_of_bits(wkb[10:26])},{float_of_bits(wkb[26:42])})"


_POINT = f"'0000000001' || ({_bits('({c})[0]')}) || ({_bits('({c})[1]')})"

_FOUND = "in snapshots: the proof finds such rows"
_DROPPED = f"days from 1582-10-05 to 1582-10-14 arrive ten days later, and BC as AD, {_FOUND}"
_MOVED = f"days from 1582-10-05 to 1582-10-14 arrive ten days later {_FOUND}"
_BEYOND = (
    "a column with values outside of the years 1 to 9999, or infinite ones, when its table is created becomes a String with "
    "the canonical text"
)
_JAVA = "Debezium sends Java's text of its numbers; exclude the column"


def _text(
    name: str, text: str = "{c}::text", encoding: Encoding | None = None, note: str = "", cast: str = "text"
) -> SourceType:
    """A type that is stored as the text that its output function prints."""
    match = "{c} = {v}" if cast == "text" else f"{{c}} = {{v}}::{cast}"
    return SourceType(
        name,
        Kind.TEXT,
        _netstring(text),
        f'{text} COLLATE "C"',
        "text[]",
        match,
        encoding=encoding,
        note=note,
    )


def _unkeyed(
    name: str, text: str = "{c}::text", encoding: Encoding | None = None, note: str = ""
) -> SourceType:
    """As :func:`_text`, of a type whose equality is not that of its text, so that no primary key can have it."""
    return SourceType(name, Kind.TEXT, _netstring(text), encoding=encoding, note=note)


def _refused(name: str, why: str) -> SourceType:
    return SourceType(name, None, refusal=why)


ARRAY_ELEMENTS = (
    "smallint", "integer", "bigint", "boolean", "real", "double precision", "numeric", "date",
    "timestamp without time zone", "timestamp with time zone", "bytea", "hstore", "text", "character varying", "character",
    "citext", "enum", "uuid", "json", "jsonb", "inet", "cidr", "macaddr",
)  # fmt: skip
"""Types of array elements that Debezium sends without loss."""

_ARRAY_NOTES = {
    "date": "; elements before 1582-10-15 go to the dead letters, because BC arrives as AD",
    "timestamp without time zone": "; as do elements from 1582-10-05 to 1582-10-14, which arrive ten days later",
    "timestamp with time zone": "; -infinity and elements before 1582-10-15 go to the dead letters, because BC arrives as AD",
    "enum": "; with a NULL element the connector stops",
    "numeric": "; with a NaN the connector stops",
}

TYPES: dict[str, SourceType] = {
    row.name: row
    for row in (
        SourceType("smallint", Kind.INT16, "{c}::text", "{c}", "bigint[]"),
        SourceType("integer", Kind.INT32, "{c}::text", "{c}", "bigint[]"),
        SourceType("bigint", Kind.INT64, "{c}::text", "{c}", "bigint[]"),
        SourceType("oid", Kind.UINT32, "{c}::text", "{c}::bigint", "bigint[]", "{c} = {v}::oid"),
        SourceType(
            "boolean", Kind.BOOL, "CASE WHEN {c} THEN '1' WHEN NOT {c} THEN '0' END", "{c}", "int[]", "{c} = {v}::boolean"
        ),
        SourceType("numeric(p,s)", Kind.DECIMAL, "{c}::text", "{c}", "numeric[]", note="NaN needs the column as a String"),
        _unkeyed("numeric", encoding=Encoding.NUMERIC, note="digits behind the point are kept as they are, zeros too"),
        SourceType(
            "money", Kind.DECIMAL, "{c}::numeric::text", value="{v}::numeric::{type}",
            note="snapshots carry it through a floating-point number: the proof finds rows above 2^46",
        ),
        SourceType("real", Kind.IEEE32, _bits("{c}")),
        SourceType("double precision", Kind.IEEE64, _bits("{c}")),
        # With DateStyle ISO; unlike to_char it keeps BC, years above 9999 and infinity apart.
        SourceType("date", Kind.DATE, "{c}::text", "{c}", "date[]", note=f"{_DROPPED}; {_BEYOND}"),
        SourceType(
            "timestamp without time zone", Kind.DATETIME, _MOMENT, "{c}", "timestamp[]",
            note=f"{_MOVED}; {_BEYOND}; years from 294247 on go to the dead letters",
        ),
        SourceType(
            "timestamp with time zone", Kind.DATETIME, _MOMENT, "{c}", "timestamptz[]", encoding=Encoding.ZONED,
            note=f"{_MOVED}; {_BEYOND}",
        ),
        SourceType(
            "time without time zone", Kind.TIME, "to_char({c}::interval, 'HH24:MI:SS.US')", encoding=Encoding.TIME_OF_DAY
        ),
        _refused("time with time zone", "Debezium sends it in UTC, without its zone; exclude the column"),
        _unkeyed("interval", encoding=Encoding.INTERVAL, note="with more than 2147483647 hours the connector stops"),
        _text("text"),
        _text("character varying"),
        _text("character", _PADDED, cast="bpchar"),
        _text("name", cast="name"),
        _unkeyed('"char"'),
        # Compared as text: its own equality ignores case.
        SourceType("citext", Kind.TEXT, _netstring("{c}::text"), _BYTES_ORDER, "text[]", "{c}::text = {v}"),
        # Compared as text: a label of the archive may be gone from the type.
        SourceType("enum", Kind.TEXT, _netstring("{c}::text"), _BYTES_ORDER, "text[]", "{c}::text = {v}"),
        SourceType("uuid", Kind.UUID, "{c}::text", "{c}", "uuid[]"),
        SourceType(
            "bytea", Kind.BYTES, "encode({c}, 'hex')", "{c}", "text[]", "{c} = decode({v}, 'hex')", "decode({v}, 'hex')"
        ),
        _unkeyed("bit", encoding=Encoding.BIT_STRING),
        _refused("bit varying", "Debezium drops leading zero bits, so '0' and '' look the same; exclude the column"),
        _unkeyed("json"),
        _unkeyed("jsonb"),
        _unkeyed("xml", _XML),
        _text("inet", _INET, cast="inet"),
        _text("cidr", cast="cidr"),
        _text("macaddr", cast="macaddr"),
        _text("macaddr8", cast="macaddr8"),
        _unkeyed("tsvector"),
        _unkeyed("tsquery", encoding=Encoding.BASE64_TEXT),
        _unkeyed("ltree"),
        _unkeyed("pg_lsn", encoding=Encoding.BASE64_TEXT),
        _unkeyed("pg_snapshot", encoding=Encoding.BASE64_TEXT),
        _unkeyed("jsonpath", encoding=Encoding.BASE64_TEXT),
        _unkeyed("hstore", encoding=Encoding.HSTORE),
        *(_unkeyed(f"{name}range") for name in ("int4", "int8", "num", "ts", "tstz", "date")),
        *(
            _unkeyed(f"{name}multirange", encoding=Encoding.BASE64_TEXT)
            for name in ("int4", "int8", "num", "ts", "tstz", "date")
        ),
        _unkeyed(
            "composite", encoding=Encoding.BASE64_TEXT,
            note="stored as the server prints it; with a field of type interval the proof finds the rows, since Debezium's "
            "session prints it in another style",
        ),
        SourceType(
            "point", Kind.BYTES, _POINT, bound=_point, encoding=Encoding.POINT, note="stored as WKB, big-endian"
        ),
        *(_refused(name, _JAVA) for name in ("line", "lseg", "box", "path", "polygon", "circle")),
        *(_refused(name, "its text depends on the reader's search path; exclude the column") for name in (
            "regclass", "regtype", "regproc", "regprocedure", "regoper", "regoperator", "regnamespace", "regrole",
        )),
        *(
            _unkeyed(
                f"{element}[]", encoding=Encoding.ARRAY,
                note="arrays of more than one dimension, or with another lower bound than 1, arrive without them: the proof "
                "finds such rows" + _ARRAY_NOTES.get(element, ""),
            )
            for element in ARRAY_ELEMENTS
        ),
        _refused("time without time zone[]", "Debezium sends 24:00 as 00:00; exclude the column"),
        _refused("interval[]", "Debezium leaves the column out of every event; exclude the column"),
    )
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class CatalogueColumn:
    """A column as the catalogue query of ``sources/postgrescatalogue.py`` returns it; domains are resolved.

    :param declared: the type as the source prints it; :param base: the same below all domains.
    :param category: ``pg_type.typtype`` of the base: ``b`` base, ``e`` enum, ``c`` composite, ``r`` and ``m`` ranges.
    :param type_name: ``pg_type.typname`` of the base; :param schema: its schema; :param extension: its extension.
    :param element: the type of an array's elements below all domains, with its category, name and extension.
    :param dimensions: declared dimensions of an array, 0 of anything else.
    :param is_domain: the column's type is a domain; :param element_is_domain: the type of its elements is one.
    """

    name: str
    declared: str
    base: str
    category: str
    schema: str
    type_name: str
    extension: str | None
    element: str | None
    element_category: str | None
    element_name: str | None
    element_extension: str | None
    dimensions: int
    not_null: bool
    generated: bool
    is_domain: bool
    element_is_domain: bool = False


_EXTENSION_TYPES = {("citext", "citext"), ("hstore", "hstore"), ("ltree", "ltree")}


def _row_name(base: str, category: str, name: str, extension: str | None) -> str:
    """Name in the type table; a name that is in no row when nothing is known of the type."""
    if category == "e":
        return "enum"
    if category == "c":
        return "composite"
    if extension:
        return name if (extension, name) in _EXTENSION_TYPES else f"{name} of extension {extension}"
    if base.startswith("numeric("):
        return "numeric(p,s)"
    if base.startswith("interval"):
        return "interval"  # of some fields only: interval year to month
    if base == "bpchar":
        return "character"  # without a length
    return re.sub(r"\(\d+(,\d+)?\)", "", base)


def described(column: CatalogueColumn) -> Column:
    """The column with its kind, or with the reason why it cannot be archived exactly."""
    is_array = column.element is not None
    if column.element is not None:
        element = _row_name(
            column.element, column.element_category or "", column.element_name or "", column.element_extension
        ).replace("(p,s)", "")
        name = f"{element}[]"
    else:
        element, name = "", _row_name(column.base, column.category, column.type_name, column.extension)
    known = TYPES.get(name)
    precision, scale = _digits(column.element or column.base)
    return Column(
        column.name,
        column.declared,
        known.kind if known else None,
        not column.not_null,
        _refusal(column, known, is_array) or reserved_name(column.name) or _unquoted(column.name),
        type_name=name,
        encoding=known.encoding if known else None,
        element=element,
        precision=precision,
        scale=scale,
        whole=known is not None and known.kind not in (Kind.TEXT, Kind.BYTES, Kind.DECIMAL),
    )


def _refusal(column: CatalogueColumn, known: SourceType | None, is_array: bool) -> str | None:
    if known is None:
        return (
            f"type {column.declared} is not known, so nothing says that it can be archived exactly (docs/types.md); "
            "exclude the column"
        )
    if known.refusal:
        return known.refusal
    if column.element_is_domain:
        return "elements of a domain's type arrive as base64, and a NULL among them stops the connector; exclude the column"
    if is_array and column.dimensions > 1:
        return "arrays of more than one dimension are destroyed by Debezium; exclude the column"
    if column.is_domain and (is_array or column.category != "b"):
        return f"a domain over {column.base} was not proven to arrive exactly; exclude the column"
    return None


def _unquoted(name: str) -> str | None:
    """Why a column of that name cannot be archived: Debezium takes its quotation marks off."""
    if len(name) > 1 and name[0] in "'\"`" and name[0] == name[-1]:
        return "Debezium takes off the quotation marks that its name begins and ends with; rename the column"
    return None


def _digits(base: str) -> tuple[int, int]:
    """Precision and scale of numeric(p,s) or money, or the length of bit(n)."""
    if base == "money":
        return 19, 2
    found = re.fullmatch(r"(?:numeric|bit)\((\d+)(?:,(-?\d+))?\)", base)
    if not found:
        return 0, 0
    precision, scale = int(found[1]), int(found[2] or 0)
    return (precision - scale, 0) if scale < 0 else (precision, scale)


def type_name(declared: str) -> str:
    """``character varying(25)`` -> ``character varying``; the catalogue names all other rows."""
    return _row_name(declared, "b", declared, None)


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
        Kind.DATETIME: "{c} >= %s::timestamp AND {c} < %s::timestamp",
        # Bytes, not the column's collation: linguistic ones ignore punctuation.
        Kind.TEXT: '{c}::text COLLATE "C" >= %s AND {c}::text COLLATE "C" < %s',
    },
    instants="{c} >= to_timestamp({first}) AND {c} < to_timestamp({end})",
    is_instant=lambda column: column.declared.endswith("with time zone"),
    # OFFSET 0 keeps the hash from being computed once for each word. Signed words are the same modulo 2^64.
    digest="""
        SELECT count(*), count(h), sum(('x' || substr(h, 1, 16))::bit(64)::bigint)::text,
            sum(('x' || substr(h, 17, 16))::bit(64)::bigint)::text
        FROM ({hashes} OFFSET 0) AS hashed""",
    value="{v}::{type}",
)
