"""How values travel in Debezium's events under our settings, and how each is decoded; strict, as data.

Decoded values, by kind: integers are ``int``; ``bool`` is ``bool``; decimals are their digits as ``str``; floats are
``float``; a date is days, a timestamp microseconds since 1970 (``temporal.py``; infinities as there); a time, a UUID and
every text is ``str`` in its canonical form; bytes are ``bytes``.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec

from airflow_provider_chista.debezium import moments, mysqljson, pgtext
from airflow_provider_chista.literals import unescaped
from airflow_provider_chista.model import INTEGER_BOUNDS, Column, Encoding, Kind
from airflow_provider_chista.temporal import (
    any_day_of,
    any_microsecond_of,
    date_text,
    time_text,
    timestamp_text,
)

Convert = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Decoder:
    """One row of the table of encodings.

    :param sent: what the event holds, in words; shown in ``docs/types.md``.
    :param schema: the value's msgspec type, which refuses every other shape.
    :param convert: makes the column's conversion to the decoded value; raises :class:`ValueError` for what it must not guess.
        None: the value is the decoded value.
    :param unread: undoes what JDBC did to the decoded values of PostgreSQL's snapshots; None: nothing to undo.
    """

    sent: str
    schema: Callable[[Column], Any]
    convert: Callable[[Column], Convert] | None = None
    unread: Convert | None = None


class _Geometry(msgspec.Struct, forbid_unknown_fields=True):
    wkb: bytes
    srid: Annotated[int, msgspec.Meta(ge=0, le=2**32 - 1)] | None = None
    x: float | str | None = None
    y: float | str | None = None


_LONG = 2**63


def _bounded(column: Column) -> Any:
    low, high = INTEGER_BOUNDS[column.archived_as]
    # msgspec's bounds are 64-bit signed; a JSON number has no upper half of its own (see UNSIGNED_LONG).
    return Annotated[int, msgspec.Meta(ge=low, le=min(high, _LONG - 1))]


def _unsigned(value: int) -> int:
    return value if value >= 0 else value + 2 * _LONG


def _bit_number(column: Column) -> Convert:
    length = column.precision

    def convert(value: bool | str) -> int:
        if isinstance(value, bool):
            return int(value)
        number = int.from_bytes(_bytes(value), "little")
        if number >> length:
            raise ValueError(f"{number} has more than {length} bits")
        return number

    return convert


def _bit_string(column: Column) -> Convert:
    length = column.precision

    def convert(value: bool | str) -> str:
        if isinstance(value, bool):
            return "1" if value else "0"
        return pgtext.bits(_bytes(value), length)

    return convert


_BYTES = msgspec.json.Decoder(bytes)


def _bytes(text: str) -> bytes:
    """Base64 as msgspec reads it for a field of type bytes: strict."""
    return _BYTES.decode(b'"' + text.encode() + b'"')


_NOT_FINITE = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}


def _float(column: Column) -> Convert:
    ieee = column.kind in (Kind.IEEE32, Kind.IEEE64)
    narrow = column.kind in (Kind.FLOAT32, Kind.IEEE32)

    def convert(value: float | str) -> float:
        if isinstance(value, str):
            if not ieee or value not in _NOT_FINITE:
                raise ValueError(f"{value!r} is not a number")
            return _NOT_FINITE[value]
        if not narrow:
            return value
        try:
            # A 4-byte float is sent with the digits that tell it from its neighbours, not with those of its 8-byte value.
            return float(struct.unpack("<f", struct.pack("<f", value))[0])
        except OverflowError:
            raise ValueError(f"{value!r} is beyond the range of a 4-byte float") from None

    return convert


def _decimal(column: Column) -> Convert:
    """Digits with exactly the column's scale; zeros behind it are cut, anything else there is an error."""
    return lambda value: pgtext.numeric(value, column.scale)


UUID_FORM = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
"""Regular expression of a UUID's text."""


def _label(column: Column) -> Convert:
    """Snapshots have the label; the stream has it as the DDL spelled it inside its literal, each comma escaped."""
    labels = frozenset(column.labels)

    def convert(value: str) -> str:
        if value in labels:
            return value
        label = unescaped(value).rstrip(" ")
        if label not in labels and "\\" in value:
            raise ValueError(f"{value!r} is none of the labels of {column.declared}")
        return label if label in labels else value

    return convert


def _labels(column: Column) -> Convert:
    """Labels of a set hold no comma."""
    label = _label(column)
    return lambda value: ",".join(label(part) for part in value.split(","))


def _geometry(value: _Geometry) -> bytes:
    """The server's own bytes: SRID, four bytes little-endian, then WKB."""
    return struct.pack("<I", value.srid or 0) + value.wkb


def _coordinate(value: float | str | None) -> float:
    if isinstance(value, str):
        if value not in _NOT_FINITE:
            raise ValueError(f"{value!r} is not a number")
        return _NOT_FINITE[value]
    if value is None:
        raise ValueError("a point without a coordinate")
    return value


def _point(value: _Geometry) -> bytes:
    return pgtext.point(_coordinate(value.x), _coordinate(value.y))


def _vector(value: list[float]) -> bytes:
    """The server's own bytes: 4-byte floats, little-endian."""
    try:
        return struct.pack(f"<{len(value)}f", *value)
    except OverflowError:
        raise ValueError(f"{value!r:.80} has a number beyond the range of a 4-byte float") from None


def _array(column: Column) -> Convert:
    element = pgtext.numeric_of(column.scale) if column.precision else pgtext.ELEMENTS[column.element]
    return lambda value: pgtext.array(value, element)


def _always(schema: Any) -> Callable[[Column], Any]:
    return lambda column: schema


def _same(convert: Convert) -> Callable[[Column], Convert]:
    return lambda column: convert


_INT = _always(int)
LONGEST_TIME = 3_020_399_999_999
"""Microseconds of MariaDB's 838:59:59.999999."""
_STR = _always(str)

DECODERS: dict[Encoding, Decoder] = {
    Encoding.NUMBER: Decoder("a number", _bounded),
    Encoding.UNSIGNED_LONG: Decoder(
        "a number, the upper half as negative numbers",
        _always(Annotated[int, msgspec.Meta(ge=-_LONG, le=_LONG - 1)]),
        _same(_unsigned),
    ),
    Encoding.BOOLEAN: Decoder("true or false", _always(bool)),
    Encoding.BIT_NUMBER: Decoder("base64 of little-endian bytes; one bit as true or false", _always(bool | str), _bit_number),
    Encoding.BIT_STRING: Decoder(
        "base64 of little-endian bytes without leading zero bytes; one bit as true or false", _always(bool | str), _bit_string
    ),
    Encoding.FLOAT: Decoder("a number; NaN and infinities as text", _always(float | str), _float),
    Encoding.DECIMAL: Decoder("its digits as text", _STR, _decimal),
    Encoding.NUMERIC: Decoder("its digits as text; NaN and infinities by name", _STR, _same(pgtext.numeric)),
    Encoding.DAYS: Decoder("days since 1970-01-01", _INT, _same(moments.days)),
    Encoding.MICROSECONDS: Decoder(
        "microseconds since 1970-01-01 00:00:00", _INT, _same(moments.microseconds), moments.unmoved
    ),
    Encoding.ZONED: Decoder(
        "ISO-8601 text in UTC, digits of the second as they come", _STR, _same(moments.zoned), moments.unmoved
    ),
    Encoding.TIME: Decoder(
        "microseconds, signed",
        _always(Annotated[int, msgspec.Meta(ge=-LONGEST_TIME, le=LONGEST_TIME)]),
        _same(time_text),
    ),
    Encoding.TIME_OF_DAY: Decoder(
        "microseconds since midnight", _INT, _same(lambda value: time_text(moments.time_of_day(value)))
    ),
    Encoding.UUID: Decoder("text", _always(Annotated[str, msgspec.Meta(pattern=rf"\A{UUID_FORM}\Z")])),
    Encoding.BASE64: Decoder("base64", _always(bytes)),
    Encoding.BASE64_TEXT: Decoder("base64 of the server's text", _always(bytes), _same(bytes.decode)),
    Encoding.TEXT: Decoder("text", _STR),
    Encoding.LABEL: Decoder("text; in the stream escaped, as inside a literal", _STR, _label),
    Encoding.LABELS: Decoder("text with commas between; in the stream each part escaped, as inside a literal", _STR, _labels),
    Encoding.MYSQL_JSON: Decoder(
        "text; in the stream without blanks and with other spellings of numbers", _STR, _same(mysqljson.canonical)
    ),
    Encoding.GEOMETRY: Decoder("an object with base64 of WKB, and the SRID", _always(_Geometry), _same(_geometry)),
    Encoding.VECTOR: Decoder("an array of numbers", _always(list[float]), _same(_vector)),
    Encoding.POINT: Decoder("an object with x and y", _always(_Geometry), _same(_point)),
    Encoding.INTERVAL: Decoder("ISO-8601 duration with every field", _STR, _same(pgtext.interval)),
    Encoding.HSTORE: Decoder("text of a JSON object", _STR, _same(pgtext.hstore)),
    Encoding.ARRAY: Decoder("an array", _always(list[Any]), _array),
}  # fmt: skip
"""Every encoding, with its decoder."""


def canonical_text(kind: Kind, value: Any) -> str:
    """Canonical text of a decoded value that is not NULL."""
    if kind is Kind.TEXT:
        return f"{len(value.encode())}:{value}"
    known = _CANONICAL.get(kind)
    return known(value) if known else str(value)


_CANONICAL: dict[Kind, Callable[[Any], str]] = {
    Kind.BOOL: lambda value: "1" if value else "0",
    Kind.DATE: date_text,
    Kind.DATETIME: timestamp_text,
    Kind.BYTES: lambda value: value.hex(),
}


def decoded(kind: Kind, text: str) -> Any:
    """The decoded value of a canonical text that is not that of NULL: the inverse of :func:`canonical_text`."""
    known = _DECODED.get(kind)
    return known(text) if known else text


def _ieee(text: str) -> float:
    return float(struct.unpack(">d", bytes.fromhex(text))[0])


_DECODED: dict[Kind, Callable[[str], Any]] = {
    **dict.fromkeys(INTEGER_BOUNDS, int),
    Kind.BOOL: lambda text: text == "1",
    Kind.FLOAT32: float,
    Kind.FLOAT64: float,
    Kind.IEEE32: _ieee,
    Kind.IEEE64: _ieee,
    Kind.DATE: any_day_of,
    Kind.DATETIME: any_microsecond_of,
    Kind.BYTES: bytes.fromhex,
    Kind.TEXT: lambda text: text.split(":", 1)[1],
}
"""Kinds whose decoded value is not the text itself."""
