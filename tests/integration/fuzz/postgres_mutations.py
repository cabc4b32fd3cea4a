"""The smallest changes of a value that a row hash must not miss, as data: of PostgreSQL."""

from __future__ import annotations

import math
import struct
from uuid import UUID

from tests.integration.fuzz import mutations
from tests.integration.fuzz.mutations import Mutation

_TIMES_OF_DAY: list[Mutation] = [
    ("microsecond", "12:34:56.000000", "12:34:56.000001"),
    ("twelve hours", "00:34:56.000000", "12:34:56.000000"),
    ("midnight", "00:00:00.000000", "24:00:00.000000"),
]


def _point(x: float, y: float) -> bytes:
    return struct.pack(">BIdd", 0, 1, x, y)


def _ranges(one: str, two: str, three: str) -> list[Mutation]:
    """Changes of a range; bounds in their order."""
    return [
        ("lower bound", f"[{one},{three})", f"[{two},{three})"),
        ("upper bound", f"[{one},{two})", f"[{one},{three})"),
        ("no lower bound", f"[{one},{three})", f"(,{three})"),
        ("no upper bound", f"[{one},{three})", f"[{one},)"),
        ("empty", f"[{one},{three})", "empty"),
        ("all and nothing", "(,)", "empty"),
    ]


def _bounds(one: str, two: str) -> list[Mutation]:
    """Changes of the bounds of a range whose type is not discrete."""
    return [
        ("upper bound included", f"[{one},{two})", f"[{one},{two}]"),
        ("lower bound excluded", f"[{one},{two})", f"({one},{two})"),
    ]


def _multiranges(one: str, two: str, three: str) -> list[Mutation]:
    return [
        ("a range more", f"{{[{one},{two})}}", f"{{[{one},{two}),[{three},)}}"),
        ("bound", f"{{[{one},{two})}}", f"{{[{one},{three})}}"),
        ("none", f"{{[{one},{two})}}", "{}"),
    ]


_STEPS: dict[str, tuple[str, str, str]] = {
    "int4": ("1", "5", "9"),
    "int8": ("1", "5", "9"),
    "num": ("1.5", "2.5", "9"),
    "ts": tuple(f'"2024-01-0{day} 00:00:00"' for day in (1, 2, 3)),
    "tstz": tuple(f'"2024-01-0{day} 00:00:00+00"' for day in (1, 2, 3)),
    "date": tuple(f"2024-01-0{day}" for day in (1, 2, 3)),
}


def _arrays(one: str, two: str, *, null: bool = True) -> list[Mutation]:
    """Changes of an array, from two elements as an array prints them."""
    nulls = (
        [("an element NULL", f"{{{one},{two}}}", f"{{{one},NULL}}"), ("NULL and nothing", "{}", "{NULL}")]
        if null
        else []
    )
    return [
        ("an element", f"{{{one}}}", f"{{{two}}}"),
        ("order", f"{{{one},{two}}}", f"{{{two},{one}}}"),
        ("an element less", f"{{{one},{one}}}", f"{{{one}}}"),
        ("none", f"{{{one}}}", "{}"),
        *nulls,
    ]


_ELEMENTS: dict[str, tuple[str, str]] = {
    "smallint": ("1", "-1"),
    "integer": ("1", "2"),
    "bigint": ("9007199254740992", "9007199254740993"),
    "boolean": ("t", "f"),
    "real": ("0.25", "0.5"),
    "double precision": ("0.1", "0.10000000000000002"),
    "numeric": ("1.5", "1.50"),
    "date": ("2024-02-28", "2024-02-29"),
    "timestamp without time zone": ('"2024-01-01 00:00:00"', '"2024-01-01 00:00:00.000001"'),
    "timestamp with time zone": ('"2024-01-01 00:00:00+00"', '"2024-01-01 00:00:00.000001+00"'),
    "bytea": ('"\\\\x00"', '"\\\\x0000"'),
    "hstore": ('"\\"a\\"=>NULL"', '"\\"a\\"=>\\"NULL\\""'),
    "text": ("a", "A"),
    "character varying": ("a", '"a "'),
    "character": ('"a    "', '"A    "'),
    "citext": ("a", "A"),
    "uuid": (str(mutations.ID), str(UUID(int=mutations.ID.int ^ 1))),
    "json": ("1.5", "1.50"),
    "jsonb": ('"{\\"a\\": 1}"', '"{\\"a\\": 1.0}"'),
    "inet": ("10.0.0.1", "10.0.0.1/8"),
    "cidr": ("10.0.0.0/8", "10.0.0.0/16"),
    "macaddr": ("08:00:2b:01:02:03", "08:00:2b:01:02:04"),
}

POSTGRES: dict[str, list[Mutation]] = {
    "NUMERIC(12,2) NOT NULL": mutations.decimals(2),
    "NUMERIC(76,30)": mutations.decimals(30),
    "money": mutations.decimals(2),
    "numeric": [
        ("scale", "1.5", "1.50"),
        ("last digit", "0.1", "0.2"),
        ("sign", "1.5", "-1.5"),
        ("scale of zero", "0", "0.00"),
        ("not a number", "0", "NaN"),
        ("infinity", "Infinity", "-Infinity"),
        ("many digits", "9" * 60, "9" * 59 + "8"),
    ],
    "DATE": [
        ("year after 9999", "10000-01-01", "10001-01-01"),
        ("infinity", "infinity", "-infinity"),
        ("era", "0044-03-15", "0044-03-15 BC"),
    ],
    "TIMESTAMP(3)": mutations.moments(1_000),
    "time without time zone": _TIMES_OF_DAY,
    "interval": [
        ("month and minute", "P1M", "PT1M"),
        ("days and hours", "P1D", "PT24H"),
        ("months and days", "P1M", "P30D"),
        ("sign", "P1D", "P-1D"),
        ("microsecond", "PT0S", "PT0.000001S"),
        ("sign of one part", "P1DT1H", "P1DT-1H"),
    ],
    "text": [*mutations.TEXTS, *mutations.TRAILING, *mutations.LONG],
    "character": [(what, before.ljust(20), after.ljust(20)) for what, before, after in mutations.TEXTS],
    '"char"': [("case", "a", "A"), ("blank", "", " "), ("character", "|", "~")],
    "enum": [("label", "a", "A"), ("label with a comma", "b,c", "it's"), ("word of NULL", "NULL", "{}")],
    "BIT(11)": [("one bit", "0" * 11, "0" * 10 + "1"), ("first bit", "0" * 11, "1" + "0" * 10)],
    "BIT(1)": [("the bit", "0", "1"), ("the bit back", "1", "0")],
    "json": [
        ("blank", '{"a":1}', '{"a": 1}'),
        ("order", '{"a":1,"b":2}', '{"b":2,"a":1}'),
        ("scale", "1.5", "1.50"),
        ("name twice", '{"a":1}', '{"a":1,"a":1}'),
        ("exponent", "100", "1e2"),
    ],
    "jsonb": [
        ("scale", "1.5", "1.50"),
        ("number and text", '{"a": 1}', '{"a": "1"}'),
        ("null and text", "null", '"null"'),
        ("digits", "12345678901234567890", "12345678901234567891"),
        ("case of a name", '{"a": 1}', '{"A": 1}'),
        ("empty", "{}", "[]"),
    ],
    "xml": [
        ("blank", "<a>b</a>", "<a>b </a>"),
        ("quotes", "<a n='1'/>", '<a n="1"/>'),
        ("case", "<a/>", "<A/>"),
    ],
    "inet": [
        ("one bit", "10.0.0.1", "10.0.0.0"),
        ("mask", "10.0.0.1/24", "10.0.0.1/25"),
        ("family", "::1", "0.0.0.1"),
    ],
    "cidr": [("mask", "10.0.0.0/8", "10.0.0.0/16"), ("one bit", "10.0.0.0/8", "11.0.0.0/8")],
    "macaddr": [
        ("one bit", "08:00:2b:01:02:03", "08:00:2b:01:02:02"),
        ("order", "08:00:2b:01:02:03", "00:08:2b:01:02:03"),
    ],
    "macaddr8": [
        ("one bit", "08:00:2b:ff:fe:01:02:03", "08:00:2b:ff:fe:01:02:02"),
        ("order", "08:00:2b:ff:fe:01:02:03", "00:08:2b:ff:fe:01:02:03"),
    ],
    "tsvector": [
        ("place", "'a':1", "'a':2"),
        ("weight", "'a':1", "'a':1A"),
        ("places", "'a'", "'a':1"),
        ("lexeme", "'a'", "'b'"),
    ],
    "tsquery": [
        ("operator", "'a' & 'b'", "'a' | 'b'"),
        ("distance", "'a' <-> 'b'", "'a' <2> 'b'"),
        ("not", "'a'", "!'a'"),
        ("beginning", "'a'", "'a':*"),
    ],
    "ltree": [("case", "a.b", "a.B"), ("a label more", "a.b", "a.b.c"), ("point", "ab", "a.b")],
    "pg_lsn": [("one bit", "0/10", "0/11"), ("halves", "1/0", "0/1")],
    "pg_snapshot": [("in progress", "10:20:", "10:20:15"), ("next", "10:20:", "10:21:")],
    "jsonpath": [
        ("mode", '$."a"', 'strict $."a"'),
        ("case", '$."a"', '$."A"'),
        ("step", '$."a"', '$."a"[*]'),
    ],
    "hstore": [
        ("NULL and text", '"a"=>NULL', '"a"=>"NULL"'),
        ("case of a key", '"a"=>"1"', '"A"=>"1"'),
        ("none", '"a"=>"1"', ""),
        ("trailing blank", '"a"=>"1"', '"a"=>"1 "'),
    ],
    "composite": [
        ("NULL and empty", "(1,)", '(1,"")'),
        ("number NULL", "(1,a)", "(,a)"),
        ("case", "(1,a)", "(1,A)"),
        ("digits", "(1,a)", "(11,a)"),
    ],
    "point": [
        ("last bit", _point(0.1, 1), _point(mutations.DOUBLES[1], 1)),
        ("sign of zero", _point(0, 1), _point(-0.0, 1)),
        ("order", _point(1, 2), _point(2, 1)),
        ("not a number", _point(0, 1), _point(math.nan, 1)),
    ],
    **{
        f"{name}range": _ranges(*steps) + (_bounds(*steps[:2]) if name in ("num", "ts", "tstz") else [])
        for name, steps in _STEPS.items()
    },
    **{f"{name}multirange": _multiranges(*steps) for name, steps in _STEPS.items()},
    **{f"{name}[]": _arrays(*elements) for name, elements in _ELEMENTS.items()},
    "enum[]": _arrays("a", "A", null=False),
}
