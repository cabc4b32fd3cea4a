"""The smallest changes of a value that a row hash must not miss, as data: of each kind, for all engines."""

from __future__ import annotations

import math
import struct
from datetime import date, datetime
from typing import Any
from uuid import UUID

from airflow_provider_chista.model import INTEGER_BOUNDS, Kind
from tests.integration.fuzz.values import single

Mutation = tuple[str, Any, Any]
"""What changes, the value before, the value after."""


def integers(low: int, high: int) -> list[Mutation]:
    signed = [("sign", 5, -5), ("lowest", low, low + 1), ("sign bit", 1, low + 1)] if low else []
    return [
        ("one bit", 6, 7),
        ("digits", 10, 100),
        ("highest", high, high - 1),
        ("top bit", high, high // 2),
        *signed,
    ]


def decimals(scale: int, *, signed: bool = True) -> list[Mutation]:
    def shown(number: int) -> str:
        digits = str(number).zfill(scale + 1)
        return f"{digits[:-scale]}.{digits[-scale:]}" if scale else digits

    sign = (
        [("sign", shown(150), f"-{shown(150)}"), ("sign of the smallest", shown(1), f"-{shown(1)}")]
        if signed
        else []
    )
    return [
        ("last digit", shown(150), shown(151)),
        ("place of the point", shown(15), shown(150)),
        ("zero", shown(0), shown(1)),
        ("many digits", shown(10**11), shown(10**11 + 1)),
        *sign,
    ]


NEXT_SINGLE = struct.unpack("<f", struct.pack("<I", struct.unpack("<I", struct.pack("<f", 0.1))[0] + 1))[0]


def floats(first: float, second: float, *, signed: bool = True) -> list[Mutation]:
    sign = [("sign", 1.5, -1.5)] if signed else []
    return [
        ("last bit", first, second),
        ("exponent", 1.5, 3.0),
        ("zero", 0.0, 0.5),
        ("power of ten", 100.0, 1000.0),
        *sign,
    ]


SINGLES, DOUBLES = (single(0.1), NEXT_SINGLE), (0.1, math.nextafter(0.1, 1))
MINUS_ZERO: list[Mutation] = [("sign of zero", 0.0, -0.0)]
NOT_FINITE: list[Mutation] = [
    *MINUS_ZERO,
    ("not a number", 0.0, math.nan),
    ("infinity", 1.5, math.inf),
    ("sign of infinity", math.inf, -math.inf),
]

DAYS: list[Mutation] = [
    ("day", date(2024, 2, 28), date(2024, 2, 29)),
    ("month and day", date(2001, 2, 3), date(2001, 3, 2)),
    ("century", date(1924, 2, 3), date(2024, 2, 3)),
    ("last date", date(9999, 12, 31), date(9999, 12, 30)),
]


def moments(step: int, *, old: bool = True) -> list[Mutation]:
    """Changes of timestamps with steps of so many microseconds."""
    at = datetime.fromisoformat("2024-02-28 12:34:56")
    past = (
        [
            ("century", at.replace(year=1924), at),
            ("last second", at.replace(year=9999), at.replace(year=9998)),
        ]
        if old
        else []
    )
    smallest = at.replace(microsecond=step) if step < 10**6 else at.replace(second=57)
    return [
        ("smallest step", at, smallest),
        ("hour", at, at.replace(hour=13)),
        ("twelve hours", at, at.replace(hour=0)),
        ("month and day", at.replace(month=3, day=4), at.replace(month=4, day=3)),
        *past,
    ]


BYTES: list[Mutation] = [
    ("one bit", b"\x00\x10", b"\x00\x11"),
    ("top bit", b"a\x7f", b"a\xff"),
    ("trailing zero byte", b"ab", b"ab\x00"),
    ("leading zero byte", b"ab", b"\x00ab"),
    ("trailing blank", b"ab", b"ab "),
    ("case", b"ab", b"aB"),
    ("empty", b"", b"\x00"),
]
IN_LATIN1: list[Mutation] = [
    ("one character", "text", "test"),
    ("case", "text", "Text"),
    ("accent", "cafe", "café"),
    ("case of an accent", "é", "É"),
    ("leading blank", "text", " text"),
    ("blank inside", "te xt", "te  xt"),
    ("separator", "a|b", "a~b"),
    ("empty", "", "0"),
]
TRAILING: list[Mutation] = [("trailing blank", "text", "text "), ("only a blank", "", " ")]
TEXTS: list[Mutation] = [
    *IN_LATIN1,
    ("normal form", "é", "e\u0301"),
    ("look-alike", "\u03a9", "\u2126"),
    ("ligature", "fi", "ﬁ"),
    ("dotless", "i", "ı"),
    ("width", "1", "１"),
    ("kind of blank", "a b", "a\u00a0b"),
    ("end of line", "a\nb", "a\r\nb"),
    ("without width", "ab", "a\u200bb"),
    ("emoji", "😀", "😁"),
    ("word of NULL", "NULL", "null"),
    ("mark of NULL", "~", "~~"),
    ("length", "1:a", "2:a"),
]
LONG: list[Mutation] = [
    ("last of many characters", "x" * 5_000, "x" * 4_999 + "y"),
    ("one character less", "é" * 5_000, "é" * 4_999),
]
ID = UUID("123e4567-e89b-42d3-a456-426614174001")
IDS: list[Mutation] = [
    ("one bit", ID, UUID(int=ID.int ^ 2)),
    ("first bit", ID, UUID(int=ID.int ^ (1 << 127))),
    ("swapped groups", ID, UUID("e89b4567-123e-42d3-a456-426614174001")),
]

BY_KIND: dict[Kind, list[Mutation]] = {
    **{kind: integers(*bounds) for kind, bounds in INTEGER_BOUNDS.items()},
    Kind.BOOL: [("truth", True, False), ("untruth", False, True)],
    Kind.FLOAT32: floats(*SINGLES),
    Kind.FLOAT64: floats(*DOUBLES),
    Kind.IEEE32: [*floats(*SINGLES), *NOT_FINITE],
    Kind.IEEE64: [*floats(*DOUBLES), *NOT_FINITE],
    Kind.DATE: DAYS,
    Kind.DATETIME: moments(1),
    Kind.UUID: IDS,
    Kind.BYTES: BYTES,
    Kind.TEXT: [*TEXTS, *TRAILING],
}
