"""Types and row SQL of MySQL and MariaDB: the table of types of each, and what both have in common."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import partial

from airflow_provider_chista.literals import unescaped
from airflow_provider_chista.model import Column, Encoding, Kind
from airflow_provider_chista.sources.dialect import Dialect, SourceType, null_or, reserved_name

# "+ 0", because a ZEROFILL column is cast to text with its zeros, and a BIT column to its bytes.
_NUMBER = "CAST({c} + 0 AS CHAR)"
_UTF8 = "utf8mb4"
# CONVERT column by column: the bytes of a latin1 text would hash differently.
_TEXT = "CONCAT(LENGTH(CONVERT({c} USING utf8mb4)), ':', CONVERT({c} USING utf8mb4))"
_TEXT_ORDER = "CAST(CONVERT({c} USING utf8mb4) AS BINARY)"
# The column's own character set and collation, so that the primary key's index serves; 3072 bytes are InnoDB's longest key.
_TEXT_KEY = "VARCHAR(3072) CHARACTER SET utf8mb4"
_TEXT_MATCH = "{c} = CONVERT({v} USING {charset}) COLLATE {collation}"
# A cast to DATETIME(6) would make NULL of a zero date under some modes.
_MOMENT = "LEFT(CONCAT({c}, IF(LENGTH({c}) > 19, '', '.'), '000000'), 26)"
_HEX = "LOWER(HEX({c}))"
_UNHEX = "UNHEX({v})"
# As a text, '0' would be the year 2000, and '5' the eight bits of that character.
_UNSIGNED = "CAST({v} AS UNSIGNED)"
_HEX_KEY = "VARCHAR(6144) CHARACTER SET ascii"

_ZERO_DATES = (
    "Debezium sends zero and partial dates as NULL, as 1970-01-01 or as the column's default, and no date of the archive is "
    "one: the proof finds such rows"
)
_FLOAT_NOTE = (
    "snapshots carry six digits, the stream every digit: the proof finds rows whose value needs more, until an update has "
    "sent them again or they are repaired"
)
_ROUNDED_NOTE = (
    "snapshots carry the digits that the column shows, the stream those that it holds: the proof finds rows where these "
    "differ"
)


def digits(shown: str, whole: str) -> str:
    """SQL of a float's digits (``canonical.float_digits``).

    Cases, so that everyday values take the short way: fractions from 1 to 1e15 first, then zero, the exponent form, whole
    numbers, and fractions below 1.

    :param shown: the SQL that shows the number with all of its digits; :param whole: a whole number without a fraction.
    """
    point_to_end = f"LOCATE('.', {shown}) - LENGTH({shown})"
    fraction = f"CONCAT(REPLACE({shown}, '.', ''), 'e', {point_to_end})"
    e_at, point_at = f"LOCATE('e', {shown})", f"LOCATE('.', {shown})"
    return (
        f"CASE WHEN ABS({{c}}) >= 1 AND ABS({{c}}) < 1e15 AND {{c}} <> FLOOR({{c}}) THEN {fraction}"
        f" WHEN {{c}} = 0 THEN IF(LEFT({shown}, 1) = '-', '-0e0', '0e0')"
        f" WHEN {e_at} > 0 THEN CONCAT(REPLACE(SUBSTRING_INDEX({shown}, 'e', 1), '.', ''), 'e',"
        f" CAST(SUBSTRING_INDEX({shown}, 'e', -1) AS SIGNED) + IF({point_at} = 0, 0, {point_at} - {e_at} + 1))"
        f" WHEN {{c}} = FLOOR({{c}}) THEN CONCAT(TRIM(TRAILING '0' FROM {whole}), 'e',"
        f" LENGTH({whole}) - LENGTH(TRIM(TRAILING '0' FROM {whole})))"
        f" WHEN ABS({{c}}) < 1 THEN CONCAT(IF({{c}} < 0, '-', ''),"
        f" TRIM(LEADING '0' FROM SUBSTRING_INDEX({shown}, '.', -1)), 'e', {point_to_end})"
        f" ELSE {fraction} END"
    )


def _integer(name: str, kind: Kind, note: str = "") -> SourceType:
    unsigned = "unsigned" in name or name == "year"
    return SourceType(
        name, kind, _NUMBER, "{c}", "BIGINT UNSIGNED" if unsigned else "BIGINT",
        value=_UNSIGNED if name == "year" else "", note=note,
    )  # fmt: skip


def _text(name: str, encoding: Encoding | None = None, note: str = "") -> SourceType:
    return SourceType(
        name, Kind.TEXT, _TEXT, _TEXT_ORDER, _TEXT_KEY, _TEXT_MATCH, encoding=encoding, note=note
    )


def _bytes(name: str) -> SourceType:
    return SourceType(name, Kind.BYTES, _HEX, "{c}", _HEX_KEY, "{c} = UNHEX({v})", _UNHEX)


def geometry(name: str) -> SourceType:
    """A row of a spatial type."""
    return SourceType(
        name, Kind.BYTES, _HEX, value=_UNHEX, encoding=Encoding.GEOMETRY,
        note="stored as the server holds it: four bytes of SRID, little-endian, then WKB",
    )  # fmt: skip


def _moment(name: str, encoding: Encoding, note: str) -> SourceType:
    return SourceType(name, Kind.DATETIME, _MOMENT, "{c}", "DATETIME(6)", encoding=encoding, note=note)


def stopping(name: str, why: str) -> SourceType:
    """A row of a type over which the connector fails."""
    return SourceType(
        name, None, refusal=f"{why}, with or without the column: leave the table out, or change the type", excludable=False
    )  # fmt: skip


_SETS = (
    "the stream is read by Java's tables of the character sets: characters on which they differ from the server's (bytes 81, "
    "8d, 8f, 90 and 9d of latin1, much of the rarer sets) arrive as others, and bytes that a set does not define have no "
    "Unicode: the proof finds such rows"
)
_LABELS = (
    "labels with characters beyond U+FFFF arrive with ? for them in the stream: the proof finds such rows"
)
_INTEGERS = {
    "tinyint": (Kind.INT8, Kind.UINT8),
    "smallint": (Kind.INT16, Kind.UINT16),
    "mediumint": (Kind.INT32, Kind.UINT32),
    "int": (Kind.INT32, Kind.UINT32),
    "bigint": (Kind.INT64, Kind.UINT64),
}

COMMON: tuple[SourceType, ...] = (
    *(_integer(name, signed) for name, (signed, _) in _INTEGERS.items()),
    *(_integer(f"{name} unsigned", unsigned) for name, (_, unsigned) in _INTEGERS.items()),
    _integer(
        "year", Kind.UINT16,
        "Debezium sends the year 0000 as 1900 or 2000: the proof finds such rows; a snapshot of MariaDB stops at it",
    ),
    SourceType("decimal", Kind.DECIMAL, _NUMBER, "{c}", "DECIMAL(65,30)"),
    SourceType("decimal unsigned", Kind.DECIMAL, _NUMBER, "{c}", "DECIMAL(65,30)"),
    SourceType(
        "bit", Kind.UINT64, _NUMBER, "{c} + 0", "BIGINT UNSIGNED", value=_UNSIGNED, encoding=Encoding.BIT_NUMBER
    ),
    SourceType("date", Kind.DATE, "CAST({c} AS CHAR)", "{c}", "DATE", note=_ZERO_DATES),
    _moment(
        "datetime", Encoding.MICROSECONDS,
        f"{_ZERO_DATES}; so are the ten days from 1582-10-05 on, which snapshots move",
    ),
    _moment("timestamp", Encoding.ZONED, _ZERO_DATES),
    SourceType("time", Kind.TIME, "CAST(CAST({c} AS TIME(6)) AS CHAR)"),
    *(_text(name, note=_SETS) for name in ("char", "varchar", "tinytext", "text", "mediumtext", "longtext")),
    _text("enum", Encoding.LABEL, _LABELS),
    _text("set", Encoding.LABELS, _LABELS),
    *(_bytes(name) for name in ("binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob")),
    *(
        geometry(name)
        for name in (
            "geometry", "point", "linestring", "polygon", "multipoint", "multilinestring", "multipolygon",
        )
    ),
)  # fmt: skip


def floats(text: str) -> tuple[SourceType, ...]:
    """Rows of the floating-point types, from the SQL of their digits."""
    return tuple(
        SourceType(name + unsigned, kind, text, note=note)
        for unsigned in ("", " unsigned")
        for name, kind, note in (
            ("float", Kind.FLOAT32, _FLOAT_NOTE),
            ("double", Kind.FLOAT64, ""),
            ("double(m,d)", Kind.FLOAT64, _ROUNDED_NOTE),
        )
    )


def table_of(*rows: SourceType) -> dict[str, SourceType]:
    """The type table of an engine: the common rows and its own."""
    return {row.name: row for row in (*COMMON, *rows)}


_DOUBLE_WITH_DIGITS = re.compile(r"double\(\d+,\d+\)")
_ATTRIBUTES = re.compile(r"\(.*\)|\bzerofill\b", re.DOTALL)


def type_name(declared: str) -> str:
    """``int(10) unsigned zerofill`` -> ``int unsigned``, ``enum('a')`` -> ``enum``, ``double(5,2)`` -> ``double(m,d)``."""
    if _DOUBLE_WITH_DIGITS.match(declared):
        return " ".join(_DOUBLE_WITH_DIGITS.sub("double(m,d)", declared).replace("zerofill", "").split())
    return " ".join(_ATTRIBUTES.sub(" ", declared).split())


def refusal_of(dialect: Dialect, name: str, declared: str) -> str | None:
    """Why a column cannot be archived exactly, and the way out; None when it can."""
    known = dialect.types.get(dialect.type_name(declared))
    if known is None:
        return (
            f"type {dialect.type_name(declared)} is not known, so nothing says that it can be archived exactly "
            "(docs/types.md); exclude the column"
        )
    labels = frozenset(labels_of(declared))
    for label in sorted(labels):
        if unescaped(label) != label and unescaped(label) in labels:
            return f"Debezium sends label {unescaped(label)!r} like label {label!r}; rename one, or exclude the column"
    return known.refusal or reserved_name(name)


def digits_of(declared: str) -> tuple[int, int]:
    """Precision and scale of ``decimal(10,2)``; length and 0 of ``bit(10)``."""
    found = re.match(r"(?:decimal|bit)\((\d+)(?:,(\d+))?\)", declared)
    return (int(found[1]), int(found[2] or 0)) if found else (0, 0)


def labels_of(declared: str) -> tuple[str, ...]:
    """The labels of an ``enum('a','b')`` or ``set('a','b')``; none of any other type."""
    if not declared.startswith(("enum(", "set(")):
        return ()
    literals = re.findall(r"'((?:[^'\\]|''|\\.)*)'", declared, re.DOTALL)
    return tuple(unescaped(literal.replace("''", "'")) for literal in literals)


def quote(identifier: str) -> str:
    """A quoted identifier; ``%`` is doubled because statements are formatted with bound values."""
    return "`" + identifier.replace("`", "``").replace("%", "%%") + "`"


def _concat(parts: Sequence[str]) -> str:
    return f"CONCAT({', '.join(parts)})"


# Bytes, not collations: a case-insensitive or language-aware order would let rows into the window that ClickHouse leaves out.
_BINARY_RANGE = f"{_TEXT_ORDER} >= CAST(%s AS BINARY) AND {_TEXT_ORDER} < CAST(%s AS BINARY)"


# The LIMIT keeps the subquery from being merged, and the hash from being computed once for each word.
_DIGEST = """
    SELECT COUNT(*), COUNT(h), CAST(SUM(CAST(CONV(SUBSTR(h, 1, 16), 16, 10) AS UNSIGNED)) AS CHAR),
        CAST(SUM(CAST(CONV(SUBSTR(h, 17, 16), 16, 10) AS UNSIGNED)) AS CHAR)
    FROM ({hashes} LIMIT 18446744073709551615) AS hashed"""


_PLAIN_NUMBER = re.compile(r"(tiny|small|medium|big)?int\b|decimal\b")
_SECONDS = re.compile(r"(?:datetime|timestamp)(?:\((\d)\))?")

_WHOLE_SETS = frozenset(
    {
        "utf8mb4", "utf8mb3", "utf8", "utf16", "utf16le", "utf32", "latin1", "latin2", "latin5", "latin7", "cp850", "cp852",
        "cp866", "keybcs2", "koi8r", "koi8u", "macce", "macroman",
    }
)  # fmt: skip
"""Character sets of which every byte has a character in Unicode, and one that no other has."""

# What has no Unicode, or not alone, is shown to every reader as something else, such as "?": it must not pass for that.
_CHECKED = (
    "IF(CAST({{c}} AS BINARY) = CAST(CONVERT(CONVERT({{c}} USING utf8mb4) USING {charset}) AS BINARY), {text},"
    " CONCAT('x', HEX({{c}})))"
)


def _fitted(number: str, column: Column, text: str) -> str:
    """The text with a check where the character set needs one, without what the column can do without where that saves time
    (half of the time that a row takes).

    :param number: the cheapest way to the text of a number without ZEROFILL.
    """
    if text is _NUMBER and _PLAIN_NUMBER.match(column.declared) and "zerofill" not in column.declared:
        return number
    charset = (column.collation or "").partition("_")[0]
    if text is _TEXT and charset and charset not in _WHOLE_SETS:
        return _CHECKED.format(charset=charset, text=text)
    if text is _TEXT and charset == _UTF8:
        return text.replace(f"CONVERT({{c}} USING {_UTF8})", "{c}")
    if text is _MOMENT and (seconds := _SECONDS.match(column.declared)):
        digits = int(seconds[1] or 0)
        return f"CONCAT({{c}}, '{'' if digits else '.'}{'0' * (6 - digits)}')"
    return text


def dialect(
    types: dict[str, SourceType], number: str, type_name: Callable[[str], str] = type_name
) -> Dialect:
    """The dialect of an engine with these types; ``number`` is the cheapest text of a number without ZEROFILL."""
    return Dialect(
        quote=quote,
        types=types,
        type_name=type_name,
        field=null_or("{text}"),
        concat=_concat,
        row_hash="SHA2({text}, 256)",
        bounds={
            Kind.DATE: "{c} >= CAST(%s AS DATE) AND {c} < CAST(%s AS DATE)",
            Kind.DATETIME: "{c} >= CAST(%s AS DATETIME(6)) AND {c} < CAST(%s AS DATETIME(6))",
            Kind.TEXT: _BINARY_RANGE,
        },
        digest=_DIGEST,
        instants="UNIX_TIMESTAMP({c}) >= {first} AND UNIX_TIMESTAMP({c}) < {end}",
        is_instant=lambda column: column.declared.startswith("timestamp"),
        fitted=partial(_fitted, number),
    )
