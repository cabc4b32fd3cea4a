"""Canonical row hash, version 1: the reference implementation in Python.

The source and ClickHouse compute the same hash in SQL (``sources/``, ``clickhouse/rowhash.py``); this module is the third,
independent implementation that tests compare both with, and it reads row keys. The specification is ``docs/row-hash.md``.

A row's text is its fields in the source's column order, joined by ``|``:

* NULL is ``~``;
* numbers, dates and times, UUIDs and bytes have a fixed grammar (:func:`field_text`);
* a text is its length in bytes of UTF-8, ``:``, and the text itself.

No fixed-grammar field can contain ``|`` or look like a length-prefixed text, so the text of a row is unambiguous without
escaping. The row hash is the lower-case hex SHA-256 of the text. A row key is the text of the primary key's columns.
"""

from __future__ import annotations

import hashlib
import re
import struct
import uuid
from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal

from airflow_provider_chista.errors import FatalError
from airflow_provider_chista.model import INTEGER_BOUNDS, Kind
from airflow_provider_chista.temporal import time_text

ROW_HASH_VERSION = 1
SEPARATOR = "|"
NULL = "~"

Value = int | float | Decimal | str | bytes | date | timedelta | uuid.UUID | None
"""A value as a database driver gives it. A decimal has as many digits behind the point as its column."""

KeyValue = int | str | Decimal
"""A value of a row key: integers and booleans as int, decimals as Decimal, bytes as hex, all else as its canonical text."""


def float_digits(value: float) -> str:
    """``[-]<digits>e<exponent>``: the shortest digits that give the same 8-byte float, without zeros at their ends."""
    sign, digits, exponent = Decimal(repr(value)).as_tuple()
    if not isinstance(exponent, int):
        raise ValueError(f"{value} has no digits")
    text = "".join(map(str, digits)).lstrip("0")
    bare = text.rstrip("0")
    return f"{'-' if sign else ''}{bare or '0'}e{exponent + len(text) - len(bare) if bare else 0}"


def float_bits(value: float) -> str:
    """The 8 bytes of an IEEE 754 float as 16 hex digits, most significant first; every NaN is ``7ff8000000000000``."""
    return "7ff8000000000000" if value != value else struct.pack(">d", value).hex()


def _integer(value: Value) -> str:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError("not an integer")
    return str(value)


def _bool(value: Value) -> str:
    if value not in (0, 1):
        raise ValueError("neither true nor false")
    return "1" if value else "0"


def _decimal(value: Value) -> str:
    number = Decimal(value) if isinstance(value, (int, str)) else value
    if isinstance(number, Decimal) and number.is_qnan() and not number.is_signed():
        return "NaN"  # of PostgreSQL
    if not isinstance(number, Decimal) or not number.is_finite():
        raise ValueError("not a finite decimal")
    return format(number.copy_abs() if number.is_zero() else number, "f")


def _float(text: Callable[[float], str]) -> Callable[[Value], str]:
    def of(value: Value) -> str:
        if not isinstance(value, (int, float)) or isinstance(value, bool):
            raise ValueError("not a float")
        return text(float(value))

    return of


def _narrow(text: Callable[[float], str]) -> Callable[[Value], str]:
    def of(value: float) -> str:
        if value == value and struct.unpack(">f", struct.pack(">f", value))[0] != value:
            raise ValueError("not a 4-byte float")
        return text(value)

    return _float(of)


def _date(value: Value) -> str:
    if isinstance(value, date) and not isinstance(value, datetime):
        return value.isoformat()
    return _checked(value, _DATE)


def _time(value: Value) -> str:
    if isinstance(value, timedelta):
        return time_text(value // timedelta(microseconds=1))
    return _checked(value, _TIME)


def _datetime(value: Value) -> str:
    if isinstance(value, datetime):
        return value.replace(tzinfo=None).isoformat(" ", "microseconds")
    return _checked(value, _DATETIME)


def _bytes(value: Value) -> str:
    if not isinstance(value, bytes):
        raise ValueError("not bytes")
    return value.hex()


def _uuid(value: Value) -> str:
    return str(value) if isinstance(value, uuid.UUID) else _checked(value, _UUID)


def _text(value: Value) -> str:
    if not isinstance(value, str):
        raise ValueError("not a text")
    return f"{len(value.encode())}:{value}"


def _checked(value: Value, pattern: re.Pattern[str]) -> str:
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise ValueError("not in canonical form")
    return value


_DAY = r"\d{4,}-\d\d-\d\d"
_DATE = re.compile(rf"{_DAY}( BC)?|-?infinity", re.ASCII)
_TIME = re.compile(r"-?\d{2,}:\d\d:\d\d\.\d{6}", re.ASCII)
_DATETIME = re.compile(rf"{_DAY} \d\d:\d\d:\d\d\.\d{{6}}( BC)?|-?infinity", re.ASCII)
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")

_TEXTS: dict[Kind, Callable[[Value], str]] = {
    **dict.fromkeys(INTEGER_BOUNDS, _integer),
    Kind.BOOL: _bool,
    Kind.DECIMAL: _decimal,
    Kind.FLOAT32: _narrow(float_digits),
    Kind.FLOAT64: _float(float_digits),
    Kind.IEEE32: _narrow(float_bits),
    Kind.IEEE64: _float(float_bits),
    Kind.DATE: _date,
    Kind.TIME: _time,
    Kind.DATETIME: _datetime,
    Kind.UUID: _uuid,
    Kind.BYTES: _bytes,
    Kind.TEXT: _text,
}


def field_text(kind: Kind, value: Value) -> str:
    """Canonical text of one value; :class:`FatalError` when the value is not of the kind."""
    if value is None:
        return NULL
    try:
        return _TEXTS[kind](value)
    except (ValueError, ArithmeticError, struct.error) as error:
        raise FatalError(f"{value!r} is not a value of kind {kind}: {error}") from error


def row_text(kinds: Sequence[Kind], values: Sequence[Value]) -> str:
    """Canonical text of a row (or of a key), one kind for each value."""
    return SEPARATOR.join(field_text(kind, value) for kind, value in zip(kinds, values, strict=True))


def row_hash(kinds: Sequence[Kind], values: Sequence[Value]) -> str:
    """Lower-case hex SHA-256 of the row's canonical text (64 characters)."""
    return hashlib.sha256(row_text(kinds, values).encode()).hexdigest()


def _whole(text: str) -> int:
    number = int(text)
    if str(number) != text:
        raise ValueError(f"{text!r} is not in canonical form")
    return number


def _real_date(text: str) -> str:
    if date.fromisoformat(text).isoformat() != text:
        raise ValueError(f"{text!r} is not in canonical form")
    return text


def _exact(text: str) -> Decimal:
    number = Decimal(_matching(r"-?(0|[1-9]\d*)(\.\d+)?")(text))
    if number.is_zero() and number.is_signed():
        raise ValueError(f"{text!r} is not in canonical form")
    return number


def _matching(pattern: str) -> Callable[[str], str]:
    compiled = re.compile(pattern, re.ASCII)

    def of(text: str) -> str:
        if not compiled.fullmatch(text):
            raise ValueError(f"{text!r} is not in canonical form")
        return text

    return of


_KEYS: dict[Kind, Callable[[str], KeyValue]] = {
    **dict.fromkeys(INTEGER_BOUNDS, _whole),
    Kind.BOOL: {"0": 0, "1": 1}.__getitem__,
    Kind.DECIMAL: _exact,
    Kind.DATE: _real_date,
    Kind.DATETIME: _matching(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}"),
    Kind.UUID: _matching(_UUID.pattern),
    Kind.BYTES: _matching(r"([0-9a-f]{2})*"),
}
"""Readers of the fixed-grammar fields that a row key can have; a text is read by its length."""

KEY_KINDS = frozenset({*_KEYS, Kind.TEXT})
"""Kinds that a column of a primary key can have: those whose order is the same everywhere."""


def parse_key(kinds: Sequence[Kind], text: str) -> tuple[KeyValue, ...]:
    """Values of a row key.

    :raises FatalError: the text is not a key of these kinds.
    """
    raw, position = text.encode(), 0
    values: list[KeyValue] = []
    for index, kind in enumerate(kinds):
        try:
            if kind is Kind.TEXT:
                colon = raw.index(b":", position)
                end = colon + 1 + _whole(raw[position:colon].decode())
                values.append(_sliced(raw, colon + 1, end).decode())
            else:
                end = raw.find(b"|", position)
                end = len(raw) if end < 0 else end
                values.append(_KEYS[kind](raw[position:end].decode()))
            if raw[end : end + 1] != (b"|" if index + 1 < len(kinds) else b""):
                raise ValueError("field does not end where the grammar says")
        except (ValueError, KeyError) as error:
            raise FatalError(f"{text!r} is not a row key of kinds {', '.join(kinds)}: {error}") from error
        position = end + 1
    return tuple(values)


def _sliced(raw: bytes, start: int, end: int) -> bytes:
    if end > len(raw):
        raise ValueError("text is shorter than its length says")
    return raw[start:end]


def sort_key(values: Sequence[KeyValue]) -> tuple[int | Decimal | bytes, ...]:
    """Order of keys in which source and archive are streamed: numbers by value, all else by the bytes of its text."""
    return tuple(value.encode() if isinstance(value, str) else value for value in values)
