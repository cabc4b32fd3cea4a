"""Canonical row hash, version 1: the reference implementation in Python.

The source and ClickHouse compute the same hash in SQL (``sources/``, ``clickhouse/rowhash.py``); this module is the third,
independent implementation that tests compare both with, and it reads row keys. The specification is ``docs/row-hash.md``.

A row's text is its fields in the source's column order, joined by ``|``:

* NULL is ``~``;
* an integer is its shortest decimal text; a date is ``YYYY-MM-DD``;
* a text is its length in bytes of UTF-8, ``:``, and the text itself.

No fixed-grammar field can contain ``|`` or look like a length-prefixed text, so the text of a row is unambiguous without
escaping. The row hash is the lower-case hex SHA-256 of the text. A row key is the text of the primary key's columns.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import date

from airflow_provider_chista.errors import FatalError
from airflow_provider_chista.model import Kind

ROW_HASH_VERSION = 1
SEPARATOR = "|"
NULL = "~"

_EPOCH = date(1970, 1, 1).toordinal()
FIRST_DAY = date.min.toordinal() - _EPOCH
LAST_DAY = date.max.toordinal() - _EPOCH
"""Days since 1970-01-01 of 0001-01-01 and 9999-12-31, the first and last date that an archive holds."""

Value = int | str | date | None


def iso_date(day: int) -> str:
    """``YYYY-MM-DD`` of a day counted from 1970-01-01."""
    return date.fromordinal(_EPOCH + day).isoformat()


def day_of(text: str) -> int:
    """Days from 1970-01-01 of a ``YYYY-MM-DD``."""
    return date.fromisoformat(text).toordinal() - _EPOCH


def field_text(kind: Kind, value: Value) -> str:
    """Canonical text of one value; :class:`FatalError` when the value is not of the kind."""
    if value is None:
        return NULL
    if kind.is_integer and isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if kind is Kind.DATE and isinstance(value, date):
        return value.isoformat()
    if kind is Kind.DATE and isinstance(value, str):
        return date.fromisoformat(value).isoformat()
    if kind is Kind.TEXT and isinstance(value, str):
        return f"{len(value.encode())}:{value}"
    raise FatalError(f"{value!r} is not a value of kind {kind}")


def row_text(kinds: Sequence[Kind], values: Sequence[Value]) -> str:
    """Canonical text of a row (or of a key), one kind for each value."""
    return SEPARATOR.join(field_text(kind, value) for kind, value in zip(kinds, values, strict=True))


def row_hash(kinds: Sequence[Kind], values: Sequence[Value]) -> str:
    """Lower-case hex SHA-256 of the row's canonical text (64 characters)."""
    return hashlib.sha256(row_text(kinds, values).encode()).hexdigest()


def parse_key(kinds: Sequence[Kind], text: str) -> tuple[int | str, ...]:
    """Values of a row key: integers as int, dates as ISO text, texts as str.

    :raises FatalError: the text is not a key of these kinds.
    """
    raw, position = text.encode(), 0
    values: list[int | str] = []
    for index, kind in enumerate(kinds):
        try:
            if kind is Kind.TEXT:
                colon = raw.index(b":", position)
                end = colon + 1 + int(raw[position:colon])
                values.append(_sliced(raw, colon + 1, end).decode())
            else:
                end = raw.find(b"|", position)
                end = len(raw) if end < 0 else end
                piece = raw[position:end].decode()
                values.append(int(piece) if kind.is_integer else date.fromisoformat(piece).isoformat())
            if raw[end : end + 1] != (b"|" if index + 1 < len(kinds) else b""):
                raise ValueError("field does not end where the grammar says")
        except ValueError as error:
            raise FatalError(f"{text!r} is not a row key of kinds {', '.join(kinds)}: {error}") from error
        position = end + 1
    return tuple(values)


def _sliced(raw: bytes, start: int, end: int) -> bytes:
    if end > len(raw):
        raise ValueError("text is shorter than its length says")
    return raw[start:end]


def sort_key(values: Sequence[int | str]) -> tuple[int | bytes, ...]:
    """Order of keys in which source and archive are streamed: integers by value, dates and texts by their UTF-8 bytes."""
    return tuple(value if isinstance(value, int) else value.encode() for value in values)
