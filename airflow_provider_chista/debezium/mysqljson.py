r"""MySQL's own text of a JSON value, restored from the text that Debezium 3.5 sends.

A snapshot event carries what MySQL prints for ``CAST(c AS CHAR)``; a streamed event carries the text of the binary log
reader (mysql-binlog-connector-java, ``JsonStringFormatter``): no blanks after separators, ``\u000B`` where MySQL prints
``\u000b``, and a DOUBLE printed by Java as ``Double.toString`` in [1e-3, 1e7) and else as the whole binary expansion
(``BigDecimal.toPlainString``). All other strings, integers, DECIMAL, DATE and literals are the same in both.

What the streamed text no longer tells, and what therefore stays different:

* a DOUBLE without fraction, 1e7 or more in magnitude and within -2^63..2^64-1, arrives as an integer: MySQL's
  ``10000000000.0`` and ``1e17`` stay ``10000000000`` and ``100000000000000000``;
* DATETIME, TIMESTAMP and TIME have three fraction digits or none where MySQL prints six, a negative TIME with a fraction is
  damaged, and opaque values (binary texts, BLOB, BIT) lack their ``base64:typeN:``: all of these are JSON strings here.

The reverse also holds: a DECIMAL whose text is the whole expansion of a double, and not the shortest text of it, is taken for
that double: ``100000000000000000000`` of DECIMAL(21,0) becomes ``1e20``, ``97919182017849.375`` becomes
``97919182017849.38``.
"""

from __future__ import annotations

import json
import math
import re
from decimal import Decimal

_BLANKS = " \t\n\r"
# Strings, numbers and words, brackets one by one; with them goes the separator behind. It relies on the text being valid.
_ATOM = re.compile(
    r'("[^"\\]*(?:\\.[^"\\]*)*"|[-0-9][-+.0-9eE]*+(?:Infinity)?|[A-Za-z]+|[\[\]{}])[ \t\n\r]*([:,]?)[ \t\n\r]*'
)
_ESCAPE = re.compile(r"\\(?:u00[01][0-9A-F]|.)")
_SEPARATOR = {"": "", ":": ": ", ",": ", "}
_DIGITS = frozenset("-0123456789")
_CONSTANTS = frozenset(("NaN", "Infinity", "-Infinity"))

_SMALLEST_INTEGER = -(2**63)
_LARGEST_INTEGER = 2**64 - 1
_SAFE_INTEGER = 18
"""Texts of integers up to this length are in range."""
_SAFE_FRACTION = 16
"""Texts of fractions up to this length have 15 digits or fewer, and those are the shortest text of their double."""
_LONGEST_NUMBER = 1100
"""Longer than any number that MySQL stores: a double expands to 309 digits, or to ``-0.`` and 1074 digits."""

# Numbers stay text: they are checked, not read.
_GRAMMAR = json.JSONDecoder(parse_float=str, parse_int=str, parse_constant=str)


def canonical(text: str) -> str:
    """The text that MySQL prints for the value, from the text of a snapshot or of a streamed event.

    MySQL's own text comes back as it is, but for the DECIMAL named above; whoever knows that a text is MySQL's need not ask.

    :raises ValueError: the text is not JSON (RFC 8259), or has a number that MySQL cannot store; the message names the
        position.
    """
    try:
        _GRAMMAR.decode(text)
    except RecursionError:
        raise ValueError("JSON is nested deeper than MySQL stores (100 levels)") from None
    return _ATOM.sub(_rewritten, text.strip(_BLANKS))


def _rewritten(match: re.Match[str]) -> str:
    atom, separator = match.groups()
    first = atom[0]
    if first == '"':
        if "\\u00" in atom:
            atom = _ESCAPE.sub(_lower, atom)
    elif first in _DIGITS or atom in _CONSTANTS:
        try:
            atom = _number(atom)
        except ValueError as error:
            raise json.JSONDecodeError(str(error), match.string, match.start()) from None
    return atom + _SEPARATOR[separator]


def _lower(escape: re.Match[str]) -> str:
    return escape[0].lower()


def _number(token: str) -> str:
    """MySQL's text of one number."""
    value = float(token)
    if not math.isfinite(value) or len(token) > _LONGEST_NUMBER:
        raise ValueError(f"MySQL has no JSON number {token[:40]}")
    if "e" in token or "E" in token:
        return double(value)
    if "." in token:
        # A zero at the end is MySQL's own ".0" of a whole double, or a DECIMAL with its scale.
        if len(token) <= _SAFE_FRACTION or token.endswith("0"):
            return token
    elif len(token) <= _SAFE_INTEGER or _SMALLEST_INTEGER <= int(token) <= _LARGEST_INTEGER:
        return token
    # Else it is a DECIMAL, or has its shortest text already: MySQL and Java print that alike where both print no exponent.
    return double(value) if Decimal(value) == Decimal(token) else token


def double(value: float) -> str:
    """MySQL's text of a DOUBLE inside JSON (``my_gcvt`` of ``strings/dtoa.cc``): the shortest digits that give the value
    back, without exponent from 1e-15 and below 1e15 (up to 1e16 when there is a fraction), whole values with ``.0``.

    :raises ValueError: the value is not finite.
    """
    mantissa, _, exponent = repr(abs(value)).partition("e")
    whole, _, fraction = mantissa.partition(".")
    if not math.isfinite(value):
        raise ValueError(f"MySQL has no JSON number {value}")
    sign = "-" if math.copysign(1, value) < 0 else ""
    padded = whole + fraction
    digits = padded.lstrip("0")
    point = len(whole) + int(exponent or "0") - (len(padded) - len(digits))
    digits = digits.rstrip("0")
    if not digits:
        return f"{sign}0.0"
    if -14 <= point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    if 0 < point < len(digits) and point <= 16:
        return f"{sign}{digits[:point]}.{digits[point:]}"
    if 0 < point <= 15:
        return f"{sign}{digits}{'0' * (point - len(digits))}.0"
    tail = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{sign}{digits[0]}{tail}e{point - 1}"
