"""Texts of PostgreSQL's output functions, from the values that Debezium sends.

The archive holds what PostgreSQL prints under TimeZone UTC, DateStyle ISO, IntervalStyle iso_8601 and extra_float_digits 3.
Debezium sends other forms (``time.precision.mode=microseconds``, ``binary.handling.mode=bytes``,
``decimal.handling.mode=string``, ``interval.handling.mode=string``, ``hstore.handling.mode=json``). Each function turns one
of them into the printed text, exactly, or raises :class:`ValueError`: nothing is rounded, trimmed or guessed.

Debezium reads snapshots, and arrays always, through JDBC, which moves timestamps before 1582-10-15 to the Julian calendar
(undone here), and drops the BC of dates and, in arrays, of timestamps with time zone: such elements from before that day are
refused.
"""

from __future__ import annotations

import base64
import json
import math
import re
import struct
from collections.abc import Callable, Sequence
from decimal import Decimal

from airflow_provider_chista.debezium import moments
from airflow_provider_chista.temporal import date_text, timestamp_text

Element = Callable[[object], str]

_REAL_END = 2.0**128 - 2.0**103
_NUMERIC_SPECIAL = {"NAN": "NaN", "POSITIVE_INFINITY": "Infinity", "NEGATIVE_INFINITY": "-Infinity"}

# Debezium's seconds pass through a double and are cut to nine digits: 17.886469 may arrive as 17.886468999.
_INTERVAL = re.compile(
    r"P(-?\d{1,9})Y(-?\d\d?)M(-?\d{1,10})DT(-?\d{1,10})H(-?\d\d?)M(-?\d\d?(?:\.(?:\d{1,6}|\d{6}999))?)S", re.A
)
_NUMERIC = re.compile(r"-?\d{1,131072}(?:\.\d{1,16383})?(?:E[+-]?\d{1,5})?", re.A)
_QUOTED = re.compile(r'[\s"\\{},]', re.A)


def interval(text: str) -> str:
    """``P0Y-10M-3DT4H5M6.000001S`` as PostgreSQL prints it under IntervalStyle iso_8601: ``P-10M-3DT4H5M6.000001S``."""
    match = _INTERVAL.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not an interval as Debezium writes it (P0Y1M2DT3H4M5.000006S)")
    years, months, days, hours, minutes = (int(part) for part in match.group(1, 2, 3, 4, 5))
    micros = round(Decimal(match[6]) * 1_000_000)
    time_micros = (hours * 60 + minutes) * 60_000_000 + micros
    if (
        max(abs(months) - 11, abs(minutes) - 59, abs(micros) - 59_999_999) > 0
        or min(years, months) < 0 < max(years, months)
        or min(hours, minutes, micros) < 0 < max(hours, minutes, micros)
        or not (_fits(years * 12 + months, 32) and _fits(days, 32) and _fits(time_micros, 64))
    ):
        raise ValueError(f"{text!r} is not an interval that PostgreSQL could hold and print in these fields")
    day_part = "".join(f"{n}{unit}" for n, unit in ((years, "Y"), (months, "M"), (days, "D")) if n)
    time_part = "".join(f"{n}{unit}" for n, unit in ((hours, "H"), (minutes, "M")) if n)
    time_part += f"{Decimal(micros) / 1_000_000:f}S" if micros else ""
    return f"P{day_part}{'T' if time_part else ''}{time_part}" if day_part or time_part else "PT0S"


def _fits(value: int, bits: int) -> bool:
    return -(1 << (bits - 1)) <= value < 1 << (bits - 1)


def hstore(text: str) -> str:
    """A JSON object of texts and nulls as PostgreSQL prints the hstore: keys by length in bytes, then by bytes."""
    pairs = json.loads(text, object_pairs_hook=tuple)
    if not isinstance(pairs, tuple) or not all(value is None or type(value) is str for _, value in pairs):
        raise ValueError(f"{text!r:.80} is not a JSON object of texts and nulls, as Debezium writes a hstore")
    keyed = {key.encode(): value for key, value in pairs}
    if len(keyed) != len(pairs):
        raise ValueError(f"{text!r:.80} has a key twice, which no hstore has")
    printed = ", ".join(
        f"{_quoted(key.decode())}=>{'NULL' if keyed[key] is None else _quoted(plain(keyed[key]))}"
        for key in sorted(keyed, key=lambda key: (len(key), key))
    )
    printed.encode()  # raises when an escape was half a character
    return printed


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def bits(raw: bytes, length: int) -> str:
    """Digits of a ``bit(length)``, from little-endian bytes without their high zero bytes."""
    value = int.from_bytes(raw, "little")
    if length < 1 or value.bit_length() > length or len(raw) > (length + 7) // 8:
        raise ValueError(f"{len(raw)} bytes ({raw[:40].hex()}) hold more than the {length} bits of the type")
    return f"{value:0{length}b}"


def numeric(text: str, scale: int | None = None) -> str:
    """A number as PostgreSQL prints a numeric; its special values are spelled ``NaN``, ``Infinity`` and ``-Infinity``.

    :param scale: the declared scale, where Debezium does not keep it (a negative one, or money); digits that it has no
        room for must be zeros. None keeps the digits as they are.
    """
    if text in _NUMERIC_SPECIAL:
        return _NUMERIC_SPECIAL[text]
    if _NUMERIC.fullmatch(text) is None:
        raise ValueError(f"{text!r:.80} is not a number as Debezium writes it")
    printed = f"{Decimal(text):f}"
    if scale is None:
        return printed
    whole, _, decimals = printed.partition(".")
    if decimals[max(scale, 0) :].strip("0") or (scale < 0 and whole.lstrip("-")[scale:].strip("0")):
        raise ValueError(f"{text!r:.80} has digits beyond scale {scale}")
    return f"{whole}.{decimals[:scale]:0<{scale}}" if scale > 0 else whole


def numeric_of(scale: int) -> Element:
    """Text of an element of type numeric(p,s)."""
    return lambda value: numeric(plain(value), scale)


def float8(value: object) -> str:
    """A double precision number as PostgreSQL prints it."""
    return _float(value, "d", 52, 15, math.inf)


def float4(value: object) -> str:
    """A real number as PostgreSQL prints it; ``value`` is the double nearest to it or to its decimal text."""
    return _float(value, "f", 23, 6, _REAL_END)


def _float(value: object, code: str, fraction_bits: int, fixed_digits: int, limit: float) -> str:
    if isinstance(value, str) and value in ("NaN", "Infinity", "-Infinity"):
        return value
    # Also false for a NaN.
    if not isinstance(value, float) or not abs(value) < limit:
        raise ValueError(f"{value!r:.80} is not a floating point number as Debezium writes it")
    raw = int.from_bytes(struct.pack(f">{code}", value))
    width = 8 * struct.calcsize(code)
    biased, fraction = divmod(raw & ((1 << (width - 1)) - 1), 1 << fraction_bits)
    mantissa = fraction + (1 << fraction_bits if biased else 0)
    exponent = max(biased, 1) + 1 - (1 << (width - fraction_bits - 2)) - fraction_bits
    digits, point = _shortest(mantissa, exponent, fraction == 0 and biased > 1) if mantissa else ("0", 1)
    if point > fixed_digits or point < -3:
        text = f"{digits[0]}{'.' if digits[1:] else ''}{digits[1:]}e{point - 1:+03}"
    elif point > 0:
        text = digits[:point].ljust(point, "0") + ("." + digits[point:] if digits[point:] else "")
    else:
        text = "0." + "0" * -point + digits
    return "-" + text if raw >> (width - 1) else text


def _shortest(mantissa: int, shift: int, narrow_below: bool) -> tuple[str, int]:
    """Digits and place of the point of the shortest decimal nearest to ``mantissa * 2**shift``.

    It lies strictly between the midpoints to the neighbours, as in PostgreSQL's Ryu; Python's repr allows the midpoints.
    """
    # In quarters of the last bit: the neighbour below a power of two is half as far.
    low, exact, high = 4 * mantissa - (1 if narrow_below else 2), 4 * mantissa, 4 * mantissa + 2
    exponent = math.floor((high.bit_length() + shift - 2) * math.log10(2)) + 1
    while True:
        # All over a common denominator, so that a decimal is digits * unit.
        unit = 10 ** max(exponent, 0) << max(2 - shift, 0)
        scale = 10 ** max(-exponent, 0) << max(shift - 2, 0)
        below, rest = divmod(exact * scale, unit)
        nearest = below + (2 * rest > unit or (2 * rest == unit and below & 1))
        for digits in (nearest, below, below + 1):
            if low * scale < digits * unit < high * scale:
                text = str(digits)
                return text.rstrip("0"), len(text) + exponent
        exponent -= 1


def point(x: float, y: float) -> bytes:
    """A point as big-endian well-known binary; NaN always has the bits ``7ff8000000000000``."""
    return struct.pack(">BIdd", 0, 1, *(math.nan if math.isnan(value) else value for value in (x, y)))


def array(elements: Sequence[object], element: Element) -> str:
    """A one-dimensional array as PostgreSQL prints it; None is NULL, ``element`` prints the other values."""
    return "{" + ",".join("NULL" if value is None else _item(element(value)) for value in elements) + "}"


def _item(text: str) -> str:
    return _quoted(text) if not text or text.upper() == "NULL" or _QUOTED.search(text) else text


def plain(value: object) -> str:
    """A text that Debezium sends as PostgreSQL prints it."""
    if not isinstance(value, str):
        raise ValueError(f"{value!r:.80} is not a text")
    return value


def encoded(value: object) -> str:
    """The text of a type that Debezium does not know (composite, multirange, jsonpath ...), sent as base64."""
    return base64.b64decode(plain(value), validate=True).decode()


def _boolean(value: object) -> str:
    if not isinstance(value, bool):
        raise ValueError(f"{value!r:.80} is not a boolean")
    return "t" if value else "f"


def _integer(value: object, bits: int = 64) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not _fits(value, bits):
        raise ValueError(f"{value!r:.80} is not an integer of {bits} bits")
    return value


def _day(text: str) -> str:
    """The text of a date or timestamp; :class:`ValueError` before 1582-10-15, where it may stand for one before Christ."""
    if text.endswith("BC") or (text[4] == "-" and text < "1582-10-15"):
        raise ValueError(f"{text} may not be what the source has: in arrays Debezium drops BC")
    return text


def _moment(text: str, zone: str = "") -> str:
    if text.endswith("infinity"):
        return text
    digits, era, _ = text.partition(" BC")
    return digits.rstrip("0").rstrip(".") + zone + era


ELEMENTS: dict[str, Element] = {
    "smallint": lambda value: str(_integer(value, 16)),
    "integer": lambda value: str(_integer(value, 32)),
    "bigint": lambda value: str(_integer(value)),
    "boolean": _boolean,
    "real": float4,
    "double precision": float8,
    "numeric": lambda value: numeric(plain(value)),
    "date": lambda value: _day(date_text(moments.days(_integer(value)))),
    "timestamp without time zone": lambda value: _moment(
        timestamp_text(moments.unmoved(moments.microseconds(_integer(value))))
    ),
    "timestamp with time zone": lambda value: _moment(
        _day(timestamp_text(moments.zoned(plain(value)))), "+00"
    ),
    "bytea": lambda value: "\\x" + base64.b64decode(plain(value), validate=True).hex(),
    "hstore": lambda value: hstore(plain(value)),
    "composite": encoded,
    **dict.fromkeys(("text", "character varying", "character", "citext", "enum", "uuid"), plain),
    **dict.fromkeys(("json", "jsonb", "inet", "cidr", "macaddr"), plain),
}
"""Text of an array's element by its type's name. Debezium loses values of ``time`` and ``interval``, so they are missing."""
