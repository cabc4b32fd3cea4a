"""Seeded makers of texts as PostgreSQL prints them: intervals, JSON, ranges, arrays and the like.

Each writes the text by the rules of the type's output function, under TimeZone UTC, DateStyle ISO and IntervalStyle iso_8601,
so that what goes in as a literal is also what must come out.
"""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Callable, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from random import Random
from typing import Any

from tests.integration.fuzz import values
from tests.integration.fuzz.values import Maker

MODERN = values.GREGORIAN
"""From this day on nothing is moved between calendars."""


def printed(moment: datetime, zone: str = "") -> str:
    """A timestamp: digits of a second without zeros at their end, and none when there are none."""
    text = (
        moment.isoformat(" ", "microseconds").rstrip("0").rstrip(".")
        if moment.microsecond
        else moment.isoformat(" ")
    )
    return text + zone


def beyond_dates(first_bc: bool) -> Maker:
    """Canonical texts of dates of all of PostgreSQL's years; those before Christ only where ``first_bc`` says so."""
    usual = values.dates(MODERN)

    def make(random: Random) -> str:
        chance = random.random()
        if chance < 0.1:
            return random.choice(("infinity", "-infinity"))
        day = usual(random)
        if chance < 0.3:
            return f"{random.randint(10_000, 290_000)}-{day:%m-%d}".replace("02-29", "02-28")
        if first_bc and chance < 0.5:
            return f"{random.randint(1, 4712):04d}-{day:%m-%d} BC".replace("02-29", "02-28")
        return day.isoformat()

    return make


def beyond_moments(random: Random) -> str:
    """Canonical texts of timestamps from 4712 BC to the year 290000."""
    day = beyond_dates(first_bc=True)(random)
    if day.endswith("infinity"):
        return day
    midnight = datetime.combine(date(2000, 1, 1), time.min) + timedelta(
        microseconds=random.randrange(86_400_000_000)
    )
    text, bc, _ = day.partition(" BC")
    return f"{text} {midnight.time().isoformat('microseconds')}{bc}"


def intervals(random: Random) -> str:
    """Months, days and microseconds, each with a sign of its own."""
    months = random.choice((0, random.randint(-40, 40), random.randint(-2_000_000, 2_000_000)))
    days = random.choice((0, random.randint(-400, 400), random.randint(-2_000_000, 2_000_000)))
    micros = random.choice((0, random.randint(-(10**8), 10**8), random.randint(-(10**16), 10**16)))
    parts = [
        (abs(months) // 12 * (1 if months > 0 else -1), "Y"),
        (abs(months) % 12 * (1 if months > 0 else -1), "M"),
        (days, "D"),
    ]
    sign, seconds, fraction = 1 if micros > 0 else -1, *divmod(abs(micros), 10**6)
    clock = [(sign * (seconds // 3_600), "H"), (sign * (seconds // 60 % 60), "M")]
    text = "".join(f"{number}{unit}" for number, unit in clock if number)
    if seconds % 60 or fraction:
        last = f"{seconds % 60}.{fraction:06d}".rstrip("0").rstrip(".")
        text += f"{'-' if micros < 0 else ''}{last}S"
    whole = "".join(f"{number}{unit}" for number, unit in parts if number)
    return f"P{whole}{'T' if text else ''}{text}" if whole or text else "PT0S"


def numerics(random: Random) -> str:
    """Numbers of any precision; zeros at the end of the digits count."""
    if random.random() < 0.05:
        return random.choice(("NaN", "Infinity", "-Infinity", "0", "0.000", "9" * 300))
    whole, scale = random.randint(1, 40), random.choice((0, 0, 1, 2, 10, random.randint(0, 60)))
    number = random.choice(
        (0, 10 ** (whole + scale) - 1, random.randrange(10 ** random.randint(1, whole + scale)))
    )
    digits = str(number).zfill(scale + 1)
    text = f"{digits[: len(digits) - scale]}.{digits[len(digits) - scale :]}" if scale else digits
    return f"-{text}" if number and random.random() < 0.5 else text


def document(value: Any) -> str:
    """JSON as jsonb prints it: names by their length in bytes, then by their bytes; numbers with the digits that they had."""
    if isinstance(value, dict):
        names = sorted(value, key=lambda name: (len(name.encode()), name.encode()))
        return "{" + ", ".join(f"{_text(name)}: {document(value[name])}" for name in names) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(document, value)) + "]"
    if isinstance(value, Decimal):
        return f"{value:f}"
    return _text(value) if isinstance(value, str) else json.dumps(value)


def _text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)


def json_number(random: Random) -> int | Decimal:
    if random.random() < 0.5:
        return random.randint(-(10**25), 10**25) if random.random() < 0.2 else random.randint(-1_000, 1_000)
    return Decimal(f"{random.randint(-(10**9), 10**9)}.{random.randint(0, 999):03d}")


DOCUMENTS = values.pooled(values.documents(values.texts(30), json_number))


def jsonb(random: Random) -> str:
    return document(DOCUMENTS(random))


def json_as_written(random: Random) -> str:
    """JSON that an application spelled, kept by the type ``json`` as it is: blanks, order, names twice."""
    text = document(DOCUMENTS(random))
    return random.choice((f" {text}\n", text, f'{{"b":1.50,\t"a" : {text}, "b": 1e5}}'))


def pairs(random: Random) -> str:
    """A hstore: keys by their length in bytes, then by their bytes."""
    text = values.texts(20)
    found = {
        text(random).encode(): None if random.random() < 0.2 else text(random)
        for _ in range(random.randrange(4))
    }
    return ", ".join(
        f"{_escaped(key.decode())}=>{'NULL' if found[key] is None else _escaped(str(found[key]))}"
        for key in sorted(found, key=lambda key: (len(key), key))
    )


def _escaped(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def composites(text: Maker) -> Maker:
    """Rows of (integer, text)."""

    def make(random: Random) -> str:
        number = "" if random.random() < 0.1 else random.randint(-(2**31), 2**31 - 1)
        if random.random() < 0.1:
            return f"({number},)"
        value = text(random)
        if not value or re.search(r'["\\(),\s]', value, re.ASCII):
            value = '"' + value.replace("\\", "\\\\").replace('"', '""') + '"'
        return f"({number},{value})"

    return make


def arrays(element: Maker, *, nulls: bool = True) -> Maker:
    """One-dimensional arrays of texts; ``nulls``: an element may be NULL."""
    items = values.pooled(lambda random: _item(str(element(random))))

    def make(random: Random) -> str:
        count = random.randrange(4)
        return (
            "{"
            + ",".join("NULL" if nulls and random.random() < 0.1 else items(random) for _ in range(count))
            + "}"
        )

    return make


_QUOTED = re.compile(r'[\s"\\{},]', re.ASCII)


def _item(text: str) -> str:
    return _escaped(text) if not text or text.upper() == "NULL" or _QUOTED.search(text) else text


Bound = Callable[[Random, int], str]
"""Prints a bound of a range from the range's sequence of ever larger numbers."""


_WIDEST = 10**6


def number_bound(random: Random, step: int) -> str:
    return str(step)


def decimal_bound(random: Random, step: int) -> str:
    return f"{step}.{random.choice(('0', '50', '125'))}"


def day_bound(random: Random, step: int) -> str:
    return (date(2000, 1, 1) + timedelta(days=step)).isoformat()


def moment_bound(zone: str) -> Bound:
    def make(random: Random, step: int) -> str:
        moment = datetime.combine(date(2000, 1, 1), time.min) + timedelta(
            seconds=step * 1_000, microseconds=random.choice((0, 5))
        )
        return f'"{printed(moment, zone)}"'

    return make


def ranges(bound: Bound, *, discrete: bool) -> Maker:
    """Ranges: those of discrete types are printed as ``[a,b)``."""

    def make(random: Random) -> str:
        if random.random() < 0.1:
            return random.choice(("empty", "(,)"))
        low = (
            random.randint(-_WIDEST, _WIDEST)
            if bound in (number_bound, decimal_bound)
            else random.randint(0, _WIDEST)
        )
        first, last = bound(random, low), bound(random, low + random.randint(2, 1_000))
        chance = random.random()
        if chance < 0.1:
            return f"(,{last}{')' if discrete else random.choice(')]')}"
        if chance < 0.2:
            return f"{'[' if discrete else random.choice('[(')}{first},)"
        opened, closed = ("[", ")") if discrete else (random.choice("[("), random.choice(")]"))
        return f"{opened}{first},{last}{closed}"

    return make


def multiranges(bound: Bound) -> Maker:
    """Ranges beside each other, in order and apart."""

    def make(random: Random) -> str:
        low, found = random.randint(0, 10_000), []
        for _ in range(random.randrange(4)):
            high = low + random.randint(2, 1_000)
            found.append(f"[{bound(random, low)},{bound(random, high)})")
            low = high + random.randint(2, 1_000)
        return "{" + ",".join(found) + "}"

    return make


def addresses(random: Random) -> str:
    """An inet: IPv4 or IPv6, with a mask when it is not the whole address."""
    if random.random() < 0.6:
        address, widest = str(ipaddress.IPv4Address(random.getrandbits(32))), 32
    else:
        address, widest = ":".join(f"{random.randint(1, 0xFFFF):x}" for _ in range(8)), 128
    mask = random.randint(0, widest)
    return address if mask == widest or random.random() < 0.5 else f"{address}/{mask}"


def networks(random: Random) -> str:
    """A cidr: no bits to the right of the mask."""
    if random.random() < 0.6:
        return str(ipaddress.IPv4Network((random.getrandbits(32), random.randint(1, 32)), strict=False))
    return ":".join(f"{random.randint(1, 0xFFFF):x}" for _ in range(random.randint(2, 6))) + "::/96"


def hexadecimal(length: int) -> Maker:
    """Colon-separated bytes."""
    return lambda random: random.randbytes(length).hex(":")


_WORDS = ("a", "ab", "b", "zebra", "it's", "fat", "cat", "é", "日本", "x1")


def _lexeme(word: str) -> str:
    return "'" + word.replace("'", "''") + "'"


def vectors(random: Random) -> str:
    """A tsvector: lexemes by their bytes, with places and weights."""
    found = sorted({word.encode() for word in random.choices(_WORDS, k=random.randrange(5))})
    printed = []
    for word in found:
        places = sorted(random.sample(range(1, 200), random.randrange(3)))
        at = ",".join(f"{place}{random.choice(('', 'A', 'B'))}" for place in places)
        printed.append(_lexeme(word.decode()) + (f":{at}" if at else ""))
    return " ".join(printed)


def queries(random: Random) -> str:
    """A tsquery of two lexemes."""
    first, second = (_lexeme(word) for word in random.choices(_WORDS, k=2))
    return random.choice(
        (f"{first} & {second}", f"{first} | !{second}", f"{first} <-> {second}", f"!{first}", f"{first}:*A")
    )


def trees(random: Random) -> str:
    return ".".join(
        "".join(random.choices("abzAZ09_", k=random.randint(1, 6))) for _ in range(random.randint(1, 5))
    )


def positions(random: Random) -> str:
    return f"{random.getrandbits(32):X}/{random.getrandbits(random.randint(1, 32)):X}"


def snapshots(random: Random) -> str:
    """A pg_snapshot: oldest, next, and those in progress between them."""
    oldest = random.randint(1, 2**40)
    running = sorted(random.sample(range(oldest, oldest + 50), random.randrange(4)))
    return f"{oldest}:{oldest + 50}:{','.join(map(str, running))}"


def paths(random: Random) -> str:
    """A jsonpath."""
    steps = "".join(
        f".{_text(random.choice(_WORDS))}" if random.random() < 0.7 else "[*]"
        for _ in range(random.randint(1, 3))
    )
    return f"{random.choice(('', 'strict '))}${steps}"


def fragments(random: Random) -> str:
    """XML."""
    text = "".join(
        random.choices(
            ("a", " ", "é", "😀", "&amp;", "&#9;", "<b/>", "|", "~", "<!-- c -->", "1:a"),
            k=random.randrange(6),
        )
    )
    return f'<a n="{random.randrange(100)}">{text}</a>'


def bits(length: int) -> Maker:
    return lambda random: f"{random.getrandbits(length):0{length}b}"


def clipped(make: Maker, size: int) -> Maker:
    """Texts of at most so many bytes of UTF-8."""
    return lambda random: make(random).encode()[:size].decode(errors="ignore")


def padded(make: Maker, length: int) -> Maker:
    """Texts of one length in characters."""
    return lambda random: make(random)[:length].ljust(length)


def any_of(items: Sequence[str]) -> Maker:
    return lambda random: random.choice(items)
