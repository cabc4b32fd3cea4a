"""PostgreSQL's placeholder of an unchanged TOAST value, in every shape that Debezium gives it."""

from __future__ import annotations

import base64
import hashlib
import uuid
from collections.abc import Iterable
from typing import Final

from airflow_provider_chista.debezium.settings import UNAVAILABLE_VALUE
from airflow_provider_chista.model import Column, Encoding


class _Unchanged:
    """The type of :data:`UNCHANGED`."""

    def __repr__(self) -> str:
        return "UNCHANGED"


UNCHANGED: Final = _Unchanged()
"""Stands for a value that PostgreSQL did not send, because it is stored out of line and did not change."""

# Java's UUID.nameUUIDFromBytes.
_UUID = uuid.UUID(bytes=hashlib.md5(UNAVAILABLE_VALUE.encode(), usedforsecurity=False).digest(), version=3)
_PLACEHOLDERS = (
    UNAVAILABLE_VALUE.encode(),
    base64.b64encode(UNAVAILABLE_VALUE.encode()).rstrip(b"="),
    ",".join(str(byte) for byte in UNAVAILABLE_VALUE.encode()).encode(),
    str(_UUID).encode(),
)
"""The placeholder in its shapes: text (also in arrays and hstore), base64 of it, an array of its bytes, in uuid[] a UUID."""


def has_placeholder(value: bytes) -> bool:
    """Whether a record holds the placeholder of an unchanged TOAST value anywhere."""
    return any(shape in value for shape in _PLACEHOLDERS)


def shapes(columns: Iterable[Column]) -> tuple[bytes, ...]:
    """The shapes that the placeholder can have in records of these columns."""
    found = {shape: None for column in columns if not column.whole for shape in _shapes(column.sent_as)}
    return tuple(found)


def _shapes(encoding: Encoding) -> tuple[bytes, ...]:
    match encoding:
        case Encoding.TEXT | Encoding.DECIMAL | Encoding.NUMERIC | Encoding.HSTORE:
            return _PLACEHOLDERS[:1]
        case Encoding.BASE64 | Encoding.BASE64_TEXT:
            return _PLACEHOLDERS[1:2]
        case _:
            return _PLACEHOLDERS


def is_unchanged(column: Column, raw: bytes) -> bool:
    """Whether a field's JSON is the placeholder of the column."""
    # A text is the placeholder or a value; a value may well speak of the placeholder.
    whole = _WHOLE.get(column.sent_as)
    return raw == whole if whole else has_placeholder(raw)


_BASE64 = b'"%s"' % base64.b64encode(UNAVAILABLE_VALUE.encode())
_WHOLE = {
    Encoding.TEXT: f'"{UNAVAILABLE_VALUE}"'.encode(),
    Encoding.BASE64: _BASE64,
    Encoding.BASE64_TEXT: _BASE64,
}
"""The placeholder where it is the whole value, by encoding."""
