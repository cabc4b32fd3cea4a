"""Avro's binary form, read strictly by a schema: values as JSON has them, so that bytes become base64 and NaN its text.

Stricter than libraries are: a branch that a union has not, a number beyond its type, a boolean that is neither 0 nor 1, a
text that is not UTF-8 and a size below zero are errors, and no value is converted to another type than the schema's.
"""

from __future__ import annotations

import math
from binascii import b2a_base64
from collections.abc import Callable, Mapping
from struct import Struct
from typing import Any

Read = Callable[[bytes, int], tuple[Any, int]]
"""Reads a value that begins at a place: the value, and the place behind it. IndexError: the bytes end before it does."""

Skip = Callable[[bytes, int], int]
"""The place behind a value that begins at a place."""

Named = dict[str, tuple[Read, Skip]]
"""Records by full name, which a schema spells out once."""

_DOUBLE, _SINGLE = Struct("<d"), Struct("<f")
_LARGEST_SINGLE = 3.4028234663852886e38


class AvroError(ValueError):
    """Bytes that are not of the schema."""


class AvroSchemaError(ValueError):
    """A schema of another form than Debezium's."""


def reader(schema: Any) -> Read:
    """What reads values of a schema, as JSON has it; of a record's field with ``"skip": true`` the value is left out.

    :raises AvroSchemaError: a type that Debezium's schemas do not have.
    """
    return _of(schema, {}, "")[0]


def _of(schema: Any, named: Named, namespace: str) -> tuple[Read, Skip]:
    """What reads values and what skips them.

    :param namespace: of the record around them.
    """
    if isinstance(schema, list):
        return _union([None if branch == "null" else _of(branch, named, namespace) for branch in schema])
    kind = schema["type"] if isinstance(schema, dict) else schema
    if isinstance(kind, list | dict):
        return _of(kind, named, namespace)
    if kind == "record":
        return _record(schema, named, namespace)
    if kind == "array":
        return _unskipped(_array(_of(schema["items"], named, namespace)[0]))
    if kind == "map":
        return _unskipped(_map(_of(schema["values"], named, namespace)[0]))
    known = _PRIMITIVES.get(kind) or named.get(kind if "." in kind else f"{namespace}.{kind}")
    if known is None:
        raise AvroSchemaError(f"the schema has the type {kind}, which Debezium does not use")
    return known


def _unskipped(read: Read) -> tuple[Read, Skip]:
    return read, lambda data, at: read(data, at)[1]


def _record(schema: Mapping[str, Any], named: Named, namespace: str) -> tuple[Read, Skip]:
    namespace = schema.get("namespace", namespace)
    fields: list[tuple[str, Read | None, Skip]] = []

    def read(data: bytes, at: int) -> tuple[Any, int]:
        record = {}
        for name, value, skip in fields:
            if value:
                record[name], at = value(data, at)
            else:
                at = skip(data, at)
        return record, at

    def skip(data: bytes, at: int) -> int:
        for _, _, behind in fields:
            at = behind(data, at)
        return at

    named[f"{namespace}.{schema['name']}"] = read, skip
    for field in schema["fields"]:
        value, behind = _of(field["type"], named, namespace)
        fields.append((field["name"], None if field.get("skip") else value, behind))
    return read, skip


def _union(branches: list[tuple[Read, Skip] | None]) -> tuple[Read, Skip]:
    if branches.count(None) != 1 or len(branches) != 2:
        raise AvroSchemaError(f"the schema has a union of {len(branches)} types, which Debezium does not use")
    null = 2 * branches.index(None)
    value, behind = next(branch for branch in branches if branch)

    def is_null(branch: int) -> bool:
        if branch not in (null, 2 - null):
            raise AvroError(f"a union of two types has no branch {branch / 2:g}")
        return branch == null

    def read(data: bytes, at: int) -> tuple[Any, int]:
        return (None, at + 1) if is_null(data[at]) else value(data, at + 1)

    def skip(data: bytes, at: int) -> int:
        return at + 1 if is_null(data[at]) else behind(data, at + 1)

    return read, skip


def _array(item: Read) -> Read:
    def read(data: bytes, at: int) -> tuple[list[Any], int]:
        items: list[Any] = []
        while True:
            count, at = _block(data, at)
            if not count:
                return items, at
            for _ in range(count):
                value, at = item(data, at)
                items.append(value)

    return read


def _map(item: Read) -> Read:
    def read(data: bytes, at: int) -> tuple[dict[str, Any], int]:
        items: dict[str, Any] = {}
        while True:
            count, at = _block(data, at)
            if not count:
                return items, at
            for _ in range(count):
                key, at = _string(data, at)
                items[key], at = item(data, at)

    return read


def _block(data: bytes, at: int) -> tuple[int, int]:
    """How many items follow."""
    count, at = _long(data, at)
    if count < 0:  # then the size of the items in bytes follows
        count = -count
        _, at = _long(data, at)
    return count, at


def _long(data: bytes, at: int) -> tuple[int, int]:
    byte = data[at]
    at += 1
    if byte < 0x80:
        return (byte >> 1) ^ -(byte & 1), at
    bits, shift = byte & 0x7F, 7
    while True:
        byte = data[at]
        at += 1
        bits |= (byte & 0x7F) << shift
        if byte < 0x80:
            break
        shift += 7
        if shift > 63:
            raise AvroError("a number has more than ten bytes")
    if bits >> 64:
        raise AvroError("a number has more than 64 bits")
    return (bits >> 1) ^ -(bits & 1), at


def _int(data: bytes, at: int) -> tuple[int, int]:
    byte = data[at]
    if byte < 0x80:
        return (byte >> 1) ^ -(byte & 1), at + 1
    value, at = _long(data, at)
    if not -(2**31) <= value < 2**31:
        raise AvroError(f"{value} is not a number of 32 bits")
    return value, at


def _piece(data: bytes, at: int) -> tuple[bytes, int]:
    size, at = _long(data, at)
    end = at + size
    if size < 0 or end > len(data):
        raise AvroError(f"a text or bytes of {size} bytes, of which {len(data) - at} are there")
    return data[at:end], end


def _string(data: bytes, at: int) -> tuple[str, int]:
    byte = data[at]
    end = at + 1 + (byte >> 1)
    if byte < 0x80 and not byte & 1 and end <= len(data):
        return data[at + 1 : end].decode(), end
    piece, at = _piece(data, at)
    return piece.decode(), at


def _bytes(data: bytes, at: int) -> tuple[str, int]:
    piece, at = _piece(data, at)
    return b2a_base64(piece, newline=False).decode(), at


def _skip_long(data: bytes, at: int) -> int:
    while data[at] > 0x7F:
        at += 1
    return at + 1


def _skip_piece(data: bytes, at: int) -> int:
    size, at = _long(data, at)
    if size < 0 or at + size > len(data):
        raise AvroError(f"a text or bytes of {size} bytes, of which {len(data) - at} are there")
    return at + size


def _boolean(data: bytes, at: int) -> tuple[bool, int]:
    byte = data[at]
    if byte > 1:
        raise AvroError(f"{byte} is not a boolean")
    return byte == 1, at + 1


def _double(data: bytes, at: int) -> tuple[float | str, int]:
    if at + 8 > len(data):
        raise IndexError("a double ends too early")
    return _number(_DOUBLE.unpack_from(data, at)[0]), at + 8


def _float(data: bytes, at: int) -> tuple[float | str, int]:
    if at + 4 > len(data):
        raise IndexError("a float ends too early")
    return single(_SINGLE.unpack_from(data, at)[0]), at + 4


def _number(value: float) -> float | str:
    """A floating-point number as the JSON converter writes it."""
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def single(value: float) -> float | str:
    """The number of four bytes that is nearest, with no more digits than tell it from its neighbours."""
    if not math.isfinite(value):
        return _number(value)
    value = _SINGLE.unpack(_SINGLE.pack(value))[0]
    for digits in (6, 7, 8):
        short = float(f"{value:.{digits}g}")
        if abs(short) <= _LARGEST_SINGLE and _SINGLE.unpack(_SINGLE.pack(short))[0] == value:
            return short
    return float(f"{value:.9g}")


_PRIMITIVES: Mapping[str, tuple[Read, Skip]] = {
    "boolean": _unskipped(_boolean),
    "int": (_int, _skip_long),
    "long": (_long, _skip_long),
    "float": _unskipped(_float),
    "double": _unskipped(_double),
    "bytes": (_bytes, _skip_piece),
    "string": (_string, _skip_piece),
}
