"""Which ClickHouse types hold a kind exactly, how its values travel, and their canonical text in SQL.

ClickHouse is asked, not assumed: ``Date32`` clamps 9999-12-31 to 2299-12-31 without a word, ``DateTime64`` holds all of
0001-01-01 to 9999-12-31 only on recent servers, and ``Time64`` is younger still, so :func:`probe` writes both ends and reads
them back.

:data:`FORMS` is the table: one row for each ClickHouse type that holds a kind. The first row of a kind that the server can
keep is its default; the others are accepted in a table of the user's own, or when the user asks for them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pyarrow as pa
import pyarrow.compute as pc
from clickhouse_connect.driver.client import Client

from airflow_provider_chista.arrays import Values, as_array, as_list
from airflow_provider_chista.clickhouse.errors import translated
from airflow_provider_chista.clickhouse.guards import Between, Digits, Fraction, Guard
from airflow_provider_chista.errors import FatalError
from airflow_provider_chista.model import INTEGER_BOUNDS, Column, Encoding, Kind
from airflow_provider_chista.temporal import (
    FIRST_DAY,
    FIRST_MICROSECOND,
    LAST_DAY,
    LAST_MICROSECOND,
    date_text,
    timestamp_text,
)

Build = Callable[[Values], "pa.Array[Any]"]

NETSTRING = "concat(toString(length({c})), ':', {c})"
"""SQL of a text's canonical text."""

MAX_DECIMAL_DIGITS = 76
"""Digits of ClickHouse's widest decimal."""


@dataclass(frozen=True, slots=True)
class StoredType:
    """How a column is stored.

    :param ddl: the ClickHouse type, without Nullable.
    :param array: makes the Arrow array that an insert sends, from decoded values (``debezium/encodings.py``).
    :param text: SQL of the canonical field text, ``{c}`` being the quoted column (never NULL there).
    :param guard: raises :class:`ValueError` for a decoded value that the type cannot hold; None: it holds every one.
    :param order: SQL whose native order is that of ``canonical.sort_key``.
    :param window: SQL of a half-open range, with ``{c}`` and the bound parameters ``start`` and ``end``; empty: no window.
    """

    ddl: str
    array: Build
    text: str
    guard: Guard | None = None
    order: str = "{c}"
    window: str = ""


@dataclass(frozen=True, slots=True)
class Form:
    """One row of the table of types.

    :param kinds: kinds that the type holds.
    :param ddl: regular expression of the type, without Nullable and LowCardinality.
    :param make: the stored type of a column, from the matched type; None when this column does not fit into it.
    :param default: the type that a new table gets, from a column; None: only by choice.
    :param needs: name of the capability of :class:`TypeMap` that the server must have.
    """

    kinds: frozenset[Kind]
    ddl: str
    make: Callable[[Column, re.Match[str]], StoredType | None]
    default: Callable[[Column], str | None] | None = None
    needs: str | None = None

    @property
    def title(self) -> str:
        """The type as a person writes it, with letters for its numbers."""
        return _TITLES.get(self.ddl, self.ddl)


_TITLES = {
    r"U?Int(8|16|32|64)": "Int8 to Int64 and UInt8 to UInt64",
    r"Decimal\((\d+), (\d+)\)": "Decimal(P, S)",
    "Float(32|64)": "Float32 or Float64",
    r"DateTime64\(0, 'UTC'\)": "DateTime64(0, 'UTC')",
    r"DateTime64\(([0-6]), 'UTC'\)": "DateTime64(0 to 6, 'UTC')",
    r"Time64\(6\)": "Time64(6)",
}


def _plain(arrow: pa.DataType) -> Build:
    return lambda values: as_array(values, arrow)


def _texts(text: Callable[[Any], str]) -> Build:
    return lambda values: pa.array(
        [None if value is None else text(value) for value in as_list(values)], pa.string()
    )


def _flags(values: Values) -> pa.Array[Any]:
    return as_array(values, pa.bool_()).cast(pa.uint8())


def _timestamps(unit: Literal["s", "us"], factor: int = 1) -> Build:
    """Whole numbers times ``factor`` as timestamps of a unit."""
    arrow = pa.timestamp(unit, tz="UTC")
    if factor == 1:
        return lambda values: as_array(values, pa.int64()).cast(arrow)
    return lambda values: pc.multiply_checked(as_array(values, pa.int64()), factor).cast(arrow)


_INTEGERS = {f"Int{bits}": Kind(f"int{bits}") for bits in (8, 16, 32, 64)} | {
    f"UInt{bits}": Kind(f"uint{bits}") for bits in (8, 16, 32, 64)
}


def integer_kind(ddl: str | None) -> Kind | None:
    """The kind of a ClickHouse integer type; None for any other type."""
    return _INTEGERS.get(bare(ddl)) if ddl else None


def _integer(column: Column, match: re.Match[str]) -> StoredType | None:
    kind = _INTEGERS[match[0]]
    low, high = INTEGER_BOUNDS[column.archived_as]
    first, last = INTEGER_BOUNDS[kind]
    arrow: pa.DataType = getattr(pa, kind.value)()
    return StoredType(match[0], _plain(arrow), "toString({c})") if first <= low and high <= last else None


def _decimal(column: Column, match: re.Match[str]) -> StoredType | None:
    digits, scale = int(match[1]), int(match[2])
    if not scale <= digits <= MAX_DECIMAL_DIGITS:
        return None
    text = f"toDecimalString({{c}}, {scale})"
    if column.archived_as is Kind.DECIMAL:
        if scale != column.scale or digits < column.precision:
            return None
    elif column.sent_as is not Encoding.NUMERIC:
        return None
    else:
        text = NETSTRING.format(c=text)
    arrow = (pa.decimal128 if digits <= 38 else pa.decimal256)(digits, scale)
    return StoredType(
        f"Decimal({digits}, {scale})",
        lambda values: as_array(values, pa.string()).cast(arrow),
        text,
        Digits(digits - scale, scale),
    )


def _wide_decimal(column: Column) -> str | None:
    digits = max(column.precision, column.scale)
    return f"Decimal({digits}, {column.scale})" if 0 < digits <= MAX_DECIMAL_DIGITS else None


_E = "toString(toFloat64({c}))"
_MANTISSA = f"substringIndex({_E}, 'e', 1)"
_E_AT = f"position({_E}, 'e')"
_DIGITS_TEXT = (
    f"concat(if(startsWith({_E}, '-'), '-', ''),"
    f" if({{c}} = 0, '0', trimBoth(replaceAll(trimLeft({_MANTISSA}, '-'), '.', ''), '0')), 'e', toString(if({{c}} = 0, 0,"
    f" if({_E_AT} = 0, 0, toInt32OrZero(substring({_E}, {_E_AT} + 1)))"
    f" + toInt32(length(substringIndex({_MANTISSA}, '.', 1)))"
    f" - toInt32(length(trimRight(replaceAll({_MANTISSA}, '.', ''), '0'))))))"
)
_BITS_TEXT = (
    "if(isNaN({c}), '7ff8000000000000', leftPad(lower(hex(reinterpretAsUInt64(toFloat64({c})))), 16, '0'))"
)


def _float(column: Column, match: re.Match[str]) -> StoredType | None:
    narrow = column.archived_as in (Kind.FLOAT32, Kind.IEEE32)
    if match[0] == "Float32" and not narrow:
        return None
    bits = column.archived_as in (Kind.IEEE32, Kind.IEEE64)
    arrow = pa.float32() if match[0] == "Float32" else pa.float64()
    return StoredType(match[0], _plain(arrow), _BITS_TEXT if bits else _DIGITS_TEXT)


def _range(ddl: str) -> str:
    return f"{{c}} >= {{{{start:{ddl}}}}} AND {{c}} < {{{{end:{ddl}}}}}"


def _day_as_datetime64(column: Column, match: re.Match[str]) -> StoredType:
    return StoredType(
        match[0],
        _timestamps("s", 86_400),
        "substring(toString({c}), 1, 10)",
        Between(FIRST_DAY, LAST_DAY, date_text, match[0]),
        window=_range(match[0]),
    )


DATE32_FIRST, DATE32_LAST = -25_567, 120_529
"""Days since 1970 of 1900-01-01 and 2299-12-31, between which ``Date32`` does not clamp."""


def _day_as_date32(column: Column, match: re.Match[str]) -> StoredType:
    return StoredType(
        match[0],
        lambda values: as_array(values, pa.int32()).cast(pa.date32()),
        "toString({c})",
        Between(DATE32_FIRST, DATE32_LAST, date_text, match[0]),
        window=_range(match[0]),
    )


def _as_text(text: Callable[[Any], str], length: int) -> Callable[[Column, re.Match[str]], StoredType]:
    """Canonical text in a String; only texts of that length, those of the years 1 to 9999, can be in a window."""
    return lambda column, match: StoredType(
        match[0], _texts(text), "{c}", window=f"length({{c}}) = {length} AND {_range('String')}"
    )


def _moment(column: Column, match: re.Match[str]) -> StoredType:
    precision = int(match[1])
    between = Between(FIRST_MICROSECOND, LAST_MICROSECOND, timestamp_text, match[0])
    window = _range("DateTime64(6, 'UTC')")
    if precision == 6:
        return StoredType(match[0], _timestamps("us"), "toString({c})", between, window=window)

    text = "toString(toDateTime64({c}, 6, 'UTC'))"
    return StoredType(match[0], _timestamps("us"), text, Fraction(between, precision), window=window)


def _uuid(column: Column, match: re.Match[str]) -> StoredType:
    return StoredType(match[0], _plain(pa.string()), "toString({c})", order="toString({c})")


def _simple(arrow: pa.DataType, text: str, window: str = "") -> Callable[[Column, re.Match[str]], StoredType]:
    return lambda column, match: StoredType(match[0], _plain(arrow), text, window=window)


def _own_text(column: Column, match: re.Match[str]) -> StoredType:
    return StoredType(match[0], _plain(pa.string()), "{c}")


def _kinds(*kinds: Kind) -> frozenset[Kind]:
    return frozenset(kinds)


_FLOATS = _kinds(Kind.FLOAT32, Kind.FLOAT64, Kind.IEEE32, Kind.IEEE64)
_NARROW = (Kind.FLOAT32, Kind.IEEE32)
FORMS: tuple[Form, ...] = (
    Form(frozenset(INTEGER_BOUNDS), r"U?Int(8|16|32|64)", _integer, lambda c: integer_name(c.archived_as)),
    Form(_kinds(Kind.BOOL), "Bool", _simple(pa.bool_(), "toString(toUInt8({c}))"), lambda c: "Bool"),
    Form(_kinds(Kind.BOOL), "UInt8", lambda c, m: StoredType(m[0], _flags, "toString({c})")),
    Form(_kinds(Kind.TEXT), r"Decimal\((\d+), (\d+)\)", _decimal),
    Form(_kinds(Kind.DECIMAL), r"Decimal\((\d+), (\d+)\)", _decimal, _wide_decimal),
    Form(_kinds(Kind.DECIMAL), "String", _own_text, lambda c: "String"),
    Form(_FLOATS, "Float(32|64)", _float, lambda c: "Float32" if c.kind in _NARROW else "Float64"),
    Form(
        _kinds(Kind.DATE), r"DateTime64\(0, 'UTC'\)", _day_as_datetime64, lambda c: "DateTime64(0, 'UTC')",
        needs="wide_datetime64",
    ),
    Form(_kinds(Kind.DATE), "String", _as_text(date_text, 10), lambda c: "String"),
    Form(_kinds(Kind.DATE), "Date32", _day_as_date32, needs="date32"),
    Form(
        _kinds(Kind.DATETIME), r"DateTime64\(([0-6]), 'UTC'\)", _moment, lambda c: "DateTime64(6, 'UTC')",
        needs="wide_datetime64",
    ),
    Form(_kinds(Kind.DATETIME), "String", _as_text(timestamp_text, 26), lambda c: "String"),
    Form(
        _kinds(Kind.TIME), r"Time64\(6\)", _simple(pa.string(), "toString({c})"), lambda c: "Time64(6)", needs="time64"
    ),
    Form(_kinds(Kind.TIME), "String", _own_text, lambda c: "String"),
    Form(_kinds(Kind.UUID), "UUID", _uuid, lambda c: "UUID"),
    Form(_kinds(Kind.UUID), "String", _own_text),
    Form(_kinds(Kind.BYTES), "String", _simple(pa.binary(), "lower(hex({c}))"), lambda c: "String"),
    Form(_kinds(Kind.TEXT), "String", _simple(pa.string(), NETSTRING, _range("String")), lambda c: "String"),
)  # fmt: skip
"""Every ClickHouse type that holds a kind exactly."""


def integer_name(kind: Kind) -> str:
    """The ClickHouse type of an integer kind."""
    return next(name for name, known in _INTEGERS.items() if known is kind)


def bare(ddl: str) -> str:
    """A type without LowCardinality and Nullable."""
    while wrapped := re.fullmatch(r"(?:LowCardinality|Nullable)\((.*)\)", ddl, re.DOTALL):
        ddl = wrapped[1]
    return ddl


@dataclass(frozen=True, slots=True)
class TypeMap:
    """What one server can hold.

    :param wide_datetime64: DateTime64 with microseconds keeps all of the years 1 to 9999.
    :param date32: Date32 keeps 1900-01-01 to 2299-12-31.
    :param time64: Time64 keeps 838:59:59 of either sign and 24:00:00, with microseconds.
    """

    wide_datetime64: bool = True
    time64: bool = True
    date32: bool = True

    def default(self, column: Column) -> str:
        """The type, without Nullable, that a new table gets for the column: one that holds all of its values."""
        for form in self._forms(column):
            if form.default and (ddl := form.default(column)):
                return ddl
        raise FatalError(f"column {column.name} ({column.declared}) has no ClickHouse type")

    def holding(self, column: Column, ddl: str) -> StoredType | None:
        """How a type (with or without Nullable) holds the column; None when it cannot hold every value exactly."""
        inner = bare(ddl)
        if "LowCardinality" in ddl and column.archived_as is not Kind.TEXT:
            return None
        for form in self._forms(column):
            match = re.fullmatch(form.ddl, inner)
            made = form.make(column, match) if match else None
            if made:
                return made
        return None

    def stored(self, column: Column) -> StoredType:
        """How the column is stored: as was chosen or found, else by default."""
        ddl = column.stored_as or self.default(column)
        if not column.provable:
            return StoredType(bare(ddl), _texts(_shown(column.archived_as)), "''")
        found = self.holding(column, ddl)
        if found is None:
            raise FatalError(f"column {column.name} ({column.declared}) cannot be stored as {ddl} exactly")
        return found

    def _forms(self, column: Column) -> list[Form]:
        kind = column.archived_as
        return [
            form for form in FORMS if kind in form.kinds and (not form.needs or getattr(self, form.needs))
        ]


def _shown(kind: Kind) -> Callable[[Any], str]:
    """Text of a decoded value for a type that the user chose on their own account; ClickHouse parses it."""
    return {Kind.DATE: date_text, Kind.DATETIME: timestamp_text}.get(kind, str)


def probe(client: Client) -> TypeMap:
    """Ask the server which types keep both ends of their ranges; text is the fallback."""
    ends = "0001-01-01 00:00:00.000001", "9999-12-31 23:59:59.999999"
    times = "-838:59:59.000001", "24:00:00.000000", "838:59:59.000000"
    return TypeMap(
        wide_datetime64=_keeps(client, "toDateTime64({v:String}, 6, 'UTC')", ends),
        time64=_keeps(client, "toTime64({v:String}, 6)", times),
        date32=_keeps(client, "toDate32({v:String})", ("1900-01-01", "2299-12-31")),
    )


def _keeps(client: Client, expression: str, texts: Sequence[str]) -> bool:
    try:
        with translated("probing the range of a type"):
            return all(
                client.query(f"SELECT toString({expression})", parameters={"v": text}).result_rows[0][0]
                == text
                for text in texts
            )
    except FatalError:
        return False  # an older server does not know the type
