"""The smallest changes of a value that a row hash must not miss, as data: of MySQL and MariaDB."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable

from airflow_provider_chista.model import Kind
from tests.integration.fuzz import mutations
from tests.integration.fuzz.mutations import Mutation


def _bits(size: int) -> list[Mutation]:
    return [("one bit", 0, 1), ("top bit", 0, 1 << (size - 1)), ("all bits", (1 << size) - 1, 0)]


_DURATIONS: list[Mutation] = [
    ("second", "12:34:56.000000", "12:34:57.000000"),
    ("sign", "12:34:56.000000", "-12:34:56.000000"),
    ("a day", "00:00:01.000000", "24:00:01.000000"),
    ("sign of the longest", "838:59:59.000000", "-838:59:59.000000"),
]

_BYTES_OF_16: list[Mutation] = [
    ("one bit", b"\x00" * 16, b"\x00" * 15 + b"\x01"),
    ("padding", b"ab".ljust(16, b"\x00"), b"ab".ljust(16)),
    ("case", b"A" * 16, b"A" * 15 + b"a"),
]


def _geometry(make: Callable[[float], bytes]) -> list[Mutation]:
    def stored(srid: int, first: float) -> bytes:
        return struct.pack("<I", srid) + make(first)

    return [
        ("last bit of a coordinate", stored(0, 0.1), stored(0, math.nextafter(0.1, 1))),
        ("sign of a coordinate", stored(0, 0.1), stored(0, -0.1)),
        ("reference system", stored(0, 0.1), stored(3857, 0.1)),
    ]


def _shape(kind: int, *parts: bytes) -> bytes:
    return struct.pack("<BII", 1, kind, len(parts)) + b"".join(parts)


def _wkb_point(x: float) -> bytes:
    return struct.pack("<BIdd", 1, 1, x, 2.5)


def _wkb_line(x: float) -> bytes:
    return _shape(2, struct.pack("<dd", x, 0.0), struct.pack("<dd", 3.0, 4.0))


def _wkb_polygon(x: float) -> bytes:
    corners = [struct.pack("<dd", *corner) for corner in ((x, 0.0), (5.0, 0.0), (5.0, 5.0), (x, 0.0))]
    return _shape(3, struct.pack("<I", len(corners)) + b"".join(corners))


_GEOMETRIES: dict[str, list[Mutation]] = {
    "geometry": [
        *_geometry(_wkb_point),
        ("shape", struct.pack("<I", 0) + _wkb_point(0.1), struct.pack("<I", 0) + _wkb_line(0.1)),
    ],
    "point": _geometry(_wkb_point),
    "linestring": _geometry(_wkb_line),
    "polygon": _geometry(_wkb_polygon),
    "multipoint": _geometry(lambda x: _shape(4, _wkb_point(x))),
    "multilinestring": _geometry(lambda x: _shape(5, _wkb_line(x))),
    "multipolygon": _geometry(lambda x: _shape(6, _wkb_polygon(x))),
    **dict.fromkeys(
        ("geomcollection", "geometrycollection"),
        _geometry(lambda x: _shape(7, _wkb_point(x), _wkb_line(1.0))),
    ),
}

_LABELS: list[Mutation] = [("label", "a", "B"), ("label with a comma", "b,c", "a"), ("blank", "  x", "1:a")]

_ZERO_BYTE: Mutation = ("zero byte", "ab", "a\x00b")

MYSQL: dict[str, list[Mutation]] = {
    "mediumint": mutations.integers(-(2**23), 2**23 - 1),
    "mediumint unsigned": mutations.integers(0, 2**24 - 1),
    "year": [("one bit", 2000, 2001), ("century", 1924, 2024)],
    "BIT(1)": _bits(1),
    "BIT(10) NOT NULL": _bits(10),
    "BIT(64)": _bits(64),
    "DECIMAL(12,2) NOT NULL": mutations.decimals(2),
    "DECIMAL(65,30)": mutations.decimals(30),
    "decimal unsigned": mutations.decimals(0, signed=False),
    "float unsigned": mutations.floats(*mutations.SINGLES, signed=False),
    "double unsigned": mutations.floats(*mutations.DOUBLES, signed=False),
    "double(m,d)": mutations.floats(0.25, 0.5),
    "double(m,d) unsigned": mutations.floats(0.25, 0.5, signed=False),
    "DATETIME": mutations.moments(10**6),
    "DATETIME(3) NOT NULL": mutations.moments(1_000),
    "TIMESTAMP NULL": mutations.moments(10**6, old=False),
    "TIMESTAMP(6) NULL": mutations.moments(1, old=False),
    "TIME": _DURATIONS,
    "TIME(6)": [
        *_DURATIONS,
        ("microsecond", "12:34:56.000000", "12:34:56.000001"),
        ("sign of the least", "00:00:00.000001", "-00:00:00.000001"),
    ],
    # The server strips the trailing blanks of a CHAR, so there is nothing to see.
    "char": mutations.TEXTS,
    "VARCHAR(60) CHARACTER SET latin1": [*mutations.IN_LATIN1, *mutations.TRAILING],
    **{
        row: [*mutations.BY_KIND[Kind.TEXT], *mutations.LONG, _ZERO_BYTE]
        for row in ("text", "mediumtext", "longtext")
    },
    "enum": _LABELS,
    "set": [("a member more", "x", "x,y"), ("another member", "x,|", "x,~"), ("none", "x", "")],
    "binary": _BYTES_OF_16,
    **_GEOMETRIES,
    "json": [
        ("number and text", '{"a": 1}', '{"a": "1"}'),
        ("null and text", '{"a": null}', '{"a": "null"}'),
        # Not [1] to [1.0]: they are equal to MySQL, whose UPDATE leaves the old value.
        ("fraction", "[1.5]", "[1.25]"),
        ("last bit of a number", "[0.1]", "[0.10000000000000002]"),
        ("order of elements", "[1, 2]", "[2, 1]"),
        ("case of a name", '{"a": 1}', '{"A": 1}'),
        ("empty", "{}", "[]"),
        ("trailing blank", '"a"', '"a "'),
    ],
    "vector": [
        ("last bit", struct.pack("<2f", 0.1, 1), struct.pack("<2f", mutations.NEXT_SINGLE, 1)),
        ("sign of zero", struct.pack("<2f", 0, 1), struct.pack("<2f", -0.0, 1)),
        ("a dimension more", struct.pack("<f", 1), struct.pack("<2f", 1, 0)),
        ("order", struct.pack("<2f", 1, 2), struct.pack("<2f", 2, 1)),
    ],
    "DOUBLE NOT NULL": [*mutations.floats(*mutations.DOUBLES), *mutations.MINUS_ZERO],
}

MARIADB = {
    **MYSQL,
    "JSON": [
        ("blank", '{"a":1}', '{"a": 1}'),
        ("order", '{"a":1,"b":2}', '{"b":2,"a":1}'),
        ("digits", "1.5", "1.50"),
        ("escape", '"\\u00e9"', '"é"'),
    ],
}
"""Of the same types; JSON is a text there."""
