"""Seeded makers of hostile values: each takes a ``random.Random`` and gives a value as Python has it.

A maker never asks the provider's SQL, its decoders or a server: what comes out is what source and archive must both hold.
"""

from __future__ import annotations

import struct
import uuid
from collections.abc import Callable, Sequence
from datetime import date, datetime, time, timedelta
from random import Random
from typing import Any
from weakref import WeakKeyDictionary

Maker = Callable[[Random], Any]

PIECES = (
    "|", "~", ":", "1:a", "3:a|b", "|~|", "~|~", "0:", "NULL", "null", "\\N", "\\", "\\\\", "\\'", "'", '"', "`",
    "''", '""', "%", "%s", "%%", "{0}", "$1", "?", "--", ";", "/*", "*/", "#", "&amp;", "<", ">", ",", "a", "A",
    "abc", "xyzzy", "0", "-1", "1e5", "true", '{"op":"c"}', "__debezium_unavailable_valu", "\n", "\r", "\r\n", "\t",
    "\x01", "\x0b", "\x1b[0m", "\x1f", "\x7f", "\x85", "\xa0", " ", "  ", "é", "É", "e\u0301", "ß", "ẞ", "İ", "ı",
    "Ω", "\u2126", "ﬁ", "日本語", "한", "ا", "\u202e", "\u200b", "\u200d", "\ufeff", "\ufffd", "\uffff", "😀",
    "👩‍👩‍👧‍👦", "🇩🇪", "𝄞", "\U0010ffff", "a\u0308\u0323",
)  # fmt: skip
"""What texts are put together from: separators, quotes, escapes, controls, marks that combine, look-alikes, blanks."""


def texts(limit: int, *more: str, longest: int = 0, pieces: Sequence[str] = PIECES) -> Maker:
    """Texts of at most ``limit`` characters; one of 400 has up to ``longest``. ``more``: pieces that this column can hold."""
    pool = (*pieces, *more)

    def make(random: Random) -> str:
        if longest and random.random() < 1 / 400:
            size = random.randint(longest // 2, longest)
            return ("".join(random.choices(pool, k=50)) * (size // 50))[:size]
        return "".join(random.choices(pool, k=random.randrange(7)))[:limit]

    return make


def integers(bits: int, signed: bool = True) -> Maker:
    """Whole numbers of every length, with the bounds and their neighbours."""
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    edges = (low, low + 1, high, high - 1, 0, 1, high // 2, high // 2 + 1)

    def make(random: Random) -> int:
        if random.random() < 0.2:
            return random.choice(edges)
        value = random.getrandbits(random.randint(1, bits))
        if not signed:
            return value
        return value - 2**bits if value > high else random.choice((value, -value))

    return make


def between(low: int, high: int) -> Maker:
    """Whole numbers of a range, its ends often."""
    return lambda random: random.choice((low, high)) if random.random() < 0.1 else random.randint(low, high)


def decimals(precision: int, scale: int, signed: bool = True) -> Maker:
    """Texts of numbers with exactly ``scale`` digits behind the point."""

    def make(random: Random) -> str:
        digits = precision if random.random() < 0.1 else random.randint(0, precision)
        number = 10**digits - 1 if random.random() < 0.1 else random.randrange(10**digits)
        text = str(number)
        if scale:
            text = text.zfill(scale + 1)
            text = f"{text[:-scale]}.{text[-scale:]}"
        return f"-{text}" if signed and number and random.random() < 0.5 else text

    return make


def single(value: float) -> float:
    """The nearest 4-byte float."""
    return float(struct.unpack("<f", struct.pack("<f", value))[0])


_DOUBLES = (
    0.0, 1.7976931348623157e308, -1.7976931348623157e308, 5e-324, 2.2250738585072014e-308, 1e15, 1e16, 1e22, 0.1, 2.0**53 + 2,
)  # fmt: skip
_SINGLES = (
    0.0,
    3.4028234663852886e38,
    -3.4028234663852886e38,
    1.401298464324817e-45,
    1.1754943508222875e-38,
    16777216.0,
)
INFINITE = (float("nan"), float("inf"), float("-inf"), -0.0)


def doubles(*special: float) -> Maker:
    """8-byte floats over the whole range, everyday ones, and special ones."""
    edges = (*_DOUBLES, *special)

    def make(random: Random) -> float:
        chance = random.random()
        if chance < 0.1:
            return random.choice(edges)
        if chance < 0.5:
            return round(random.uniform(-1e6, 1e6), random.randrange(9))
        value = struct.unpack("<d", random.randbytes(8))[0]
        return value if abs(value) < 1.8e308 and value else 1.5

    return make


def singles(*special: float) -> Maker:
    """4-byte floats over the whole range, everyday ones, and special ones."""
    edges = (*_SINGLES, *special)

    def make(random: Random) -> float:
        chance = random.random()
        if chance < 0.1:
            return random.choice(edges)
        if chance < 0.5:
            return single(random.uniform(-1e5, 1e5))
        value = struct.unpack("<f", random.randbytes(4))[0]
        return value if abs(value) < 3.5e38 and value else 1.5

    return make


def six_digits(random: Random) -> float:
    """4-byte floats of six digits, all that a snapshot of MySQL and MariaDB carries."""
    return single(float(f"{random.uniform(-1, 1) * 10.0 ** random.randint(-30, 30):.5e}"))


def positive(make: Maker) -> Maker:
    """The amounts of a maker's numbers."""
    return lambda random: abs(make(random))


def quarters(random: Random) -> float:
    """Floats that two digits show whole."""
    return random.randint(-4_000_000, 4_000_000) / 4


FIRST, LAST = date(1, 1, 1), date(9999, 12, 31)
GREGORIAN = date(1582, 10, 15)
_GAP = (date(1582, 10, 5), date(1582, 10, 14))
_EDGES = (
    date(1582, 10, 4), GREGORIAN, date(1899, 12, 31), date(1900, 1, 1), date(1969, 12, 31), date(1970, 1, 1),
    date(2024, 2, 29),
)  # fmt: skip


def dates(first: date = FIRST, last: date = LAST) -> Maker:
    """Days from ``first`` to ``last``, of our times mostly, without the ten that the calendar of 1582 left out."""
    edges = [day for day in (first, last, *_EDGES) if first <= day <= last]
    low, high = first.toordinal(), last.toordinal()
    near, far = max(low, date(1900, 1, 1).toordinal()), min(high, date(2100, 1, 1).toordinal())

    def make(random: Random) -> date:
        chance = random.random()
        if chance < 0.1:
            return random.choice(edges)
        day = date.fromordinal(random.randint(near, far) if chance < 0.6 else random.randint(low, high))
        return GREGORIAN if _GAP[0] <= day <= _GAP[1] else day

    return make


def moments(precision: int, first: date = FIRST, last: date = LAST) -> Maker:
    """Timestamps of the days of :func:`dates`, to so many digits of a second."""
    days, step = dates(first, last), 10 ** (6 - precision)

    def make(random: Random) -> datetime:
        midnight = datetime.combine(days(random), time.min)
        chance = random.random()
        if chance < 0.1:
            return midnight
        micros = 86_400_000_000 - step if chance < 0.2 else random.randrange(86_400_000_000 // step) * step
        return midnight + timedelta(microseconds=micros)

    return make


def durations(low: int, high: int, precision: int = 6) -> Maker:
    """Texts of times from ``low`` to ``high`` microseconds, to so many digits of a second."""
    step = 10 ** (6 - precision)

    def make(random: Random) -> str:
        micros = (
            random.choice((low, high, 0))
            if random.random() < 0.1
            else random.randint(low // step, high // step) * step
        )
        seconds, fraction = divmod(abs(micros), 1_000_000)
        hours, rest = divmod(seconds, 3_600)
        return f"{'-' if micros < 0 else ''}{hours:02d}:{rest // 60:02d}:{rest % 60:02d}.{fraction:06d}"

    return make


def binaries(limit: int, longest: int = 0) -> Maker:
    """Byte strings of at most ``limit`` bytes, with zero bytes and blanks at either end; one of 400 has up to ``longest``."""
    ends = (b"", b"", b"\x00", b"\x00\x00", b" ", b"\xff", b"|~")

    def make(random: Random) -> bytes:
        if longest and random.random() < 1 / 400:
            return random.randbytes(random.randint(longest // 2, longest))
        middle = random.randbytes(random.randrange(12))
        return (random.choice(ends) + middle + random.choice(ends))[:limit]

    return make


def padded_bytes(length: int) -> Maker:
    """Byte strings of one length, many of which end in zero bytes."""
    shorter = binaries(length)
    return lambda random: shorter(random).ljust(length, b"\x00")


def uuids(random: Random) -> uuid.UUID:
    return uuid.UUID(int=random.getrandbits(128))


def pooled(make: Maker, size: int = 500) -> Maker:
    """Some values of a maker, chosen again and again: for values that take long to make. Each ``Random`` has its own."""
    pools: WeakKeyDictionary[Random, list[Any]] = WeakKeyDictionary()

    def choose(random: Random) -> Any:
        pool = pools.get(random)
        if pool is None:
            pool = pools[random] = [make(random) for _ in range(size)]
        return random.choice(pool)

    return choose


def one_of(*values: Any) -> Maker:
    return lambda random: random.choice(values)


def some_of(*labels: str) -> Maker:
    """Comma-separated labels in their order."""
    return lambda random: ",".join(label for label in labels if random.random() < 0.5)


_KEY_PIECES = ("a", "b", "B", "aa", "é", "~", "|", ".", "$", "日", "😀", '"', "\\", "\n", " ", "0")


def documents(text: Maker, number: Maker) -> Maker:
    """JSON values: objects, arrays, texts, numbers, booleans and null, to a depth of three."""

    def make(random: Random, depth: int = 0) -> Any:
        chance = random.random() if depth < 3 else random.random() * 0.5
        if chance < 0.2:
            return text(random)
        if chance < 0.4:
            return number(random)
        if chance < 0.5:
            return random.choice((True, False, None))
        if chance < 0.75:
            return [make(random, depth + 1) for _ in range(random.randrange(4))]
        return {
            "".join(random.choices(_KEY_PIECES, k=random.randrange(4))): make(random, depth + 1)
            for _ in range(random.randrange(4))
        }

    return make
