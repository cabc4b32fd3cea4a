"""The published test vectors, ``docs/row-hash-vectors.json``, and how their typed values are read (``docs/row-hash.md``).

Nothing here asks ``canonical.py``.
"""

from __future__ import annotations

import json
import re
import struct
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Context, Decimal
from typing import Any

from airflow_provider_chista.canonical import Value
from airflow_provider_chista.model import Column, Kind
from airflow_provider_chista.temporal import DAY, INFINITY, date_text, timestamp_text
from tests.unit.docs.generated import ROOT

PATH = ROOT / "docs" / "row-hash-vectors.json"
VECTORS: dict[str, Any] = json.loads(PATH.read_text(encoding="utf-8"))
ROWS: list[dict[str, Any]] = VECTORS["rows"]
KEYS: list[dict[str, Any]] = VECTORS["keys"]
ORDERS: list[dict[str, Any]] = VECTORS["orders"]
DIGESTS: list[dict[str, Any]] = VECTORS["digests"]

_DECIMAL = re.compile(r"decimal\((\d+),(\d+)\)")
_EXACT = Context(prec=1000)


@dataclass(frozen=True)
class VectorType:
    """The type of a vector's value, as ``kinds`` writes it: a kind, and for a decimal its precision and scale."""

    kind: Kind
    precision: int = 0
    scale: int = 0

    def column(self, name: str, nullable: bool) -> Column:
        """A column of the type."""
        return Column(name, self.kind.value, self.kind, nullable, precision=self.precision, scale=self.scale)


def typed(text: str) -> VectorType:
    """``int32`` or ``decimal(10,2)``."""
    found = _DECIMAL.fullmatch(text)
    return VectorType(Kind.DECIMAL, int(found[1]), int(found[2])) if found else VectorType(Kind(text))


def kinds(vector: dict[str, Any]) -> list[Kind]:
    """The kinds of a vector's values."""
    return [typed(text).kind for text in vector["kinds"]]


def days(year: int, month: int, day: int) -> int:
    """Days since 1970-01-01 in the proleptic Gregorian calendar; year 0 is 1 BC.

    By ``days_from_civil`` of Howard Hinnant's "chrono-Compatible Low-Level Date Algorithms".
    """
    year -= month <= 2
    era = year // 400
    of_era = year - era * 400
    of_year = (153 * (month - 3 if month > 2 else month + 9) + 2) // 5 + day - 1
    return era * 146_097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719_468


def _number(given: str, scale: int) -> Decimal:
    number = Decimal(given)
    return number if number.is_nan() else number.quantize(Decimal(1).scaleb(-scale), context=_EXACT)


def _moment(given: Sequence[int] | str) -> int:
    """A date's days, or a timestamp's microseconds, since 1970."""
    if isinstance(given, str):
        return {"infinity": INFINITY, "-infinity": -INFINITY}[given]
    since = days(*given[:3])
    if len(given) == 3:
        return since
    hour, minute, second, microsecond = given[3:]
    return since * DAY + ((hour * 60 + minute) * 60 + second) * 1_000_000 + microsecond


def float_of(bits: str) -> float:
    """The float of 8 or 16 hex digits."""
    return float(struct.unpack(">f" if len(bits) == 8 else ">d", bytes.fromhex(bits))[0])


def value(kind: str, given: Any) -> Value:
    """A typed value as a database driver gives it, for ``canonical.py``."""
    if given is None:
        return None
    form = typed(kind)
    match form.kind:
        case Kind.DECIMAL:
            return _number(given, form.scale)
        case Kind.FLOAT32 | Kind.FLOAT64 | Kind.IEEE32 | Kind.IEEE64:
            return float_of(given)
        case Kind.DATE:
            is_usual = isinstance(given, list) and 1 <= given[0] <= 9999
            return date(*given) if is_usual else date_text(_moment(given))
        case Kind.DATETIME:
            is_usual = isinstance(given, list) and 1 <= given[0] <= 9999
            return datetime(*given) if is_usual else timestamp_text(_moment(given))  # noqa: DTZ001  as drivers
        case Kind.TIME:
            return timedelta(microseconds=given)
        case Kind.UUID:
            return uuid.UUID(given)
        case Kind.BYTES:
            return bytes.fromhex(given)
    return given  # type: ignore[no-any-return]


def values(vector: dict[str, Any]) -> list[Value]:
    """The values of a vector."""
    return [value(kind, given) for kind, given in zip(vector["kinds"], vector["values"], strict=True)]


def decoded(kind: str, given: Any) -> Any:
    """A typed value as the decoder of change events gives it (``debezium/encodings.py``)."""
    if given is None:
        return None
    form = typed(kind)
    match form.kind:
        case Kind.DECIMAL:
            number = _number(given, form.scale)
            return "NaN" if number.is_nan() else format(abs(number) if number.is_zero() else number, "f")
        case Kind.DATE | Kind.DATETIME:
            return _moment(given)
        case Kind.TIME:
            seconds, fraction = divmod(abs(given), 1_000_000)
            clock = f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}.{fraction:06d}"
            return f"-{clock}" if given < 0 else clock
        case Kind.UUID:
            return str(uuid.UUID(given))
    return value(kind, given)
