"""Conversion of many values of one column at once, for the shapes that nearly all values have.

Each function here gives the decoded values of a whole column, or None when it cannot tell that all of them are of the usual
shape; then the values are converted one by one, and only those that are wrong fail. So this module decides nothing: for what
it takes, its result is that of ``debezium/encodings.py``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from airflow_provider_chista.arrays import Values, as_array, as_list, numbers_within, texts_matching
from airflow_provider_chista.debezium import moments
from airflow_provider_chista.model import Column, Encoding, Kind
from airflow_provider_chista.temporal import DAY, FIRST_DAY, FIRST_MICROSECOND, LAST_DAY, LAST_MICROSECOND

Convert = Callable[[Any], Any]
Vector = Callable[[Values], "Values | None"]

_ISO = r"^\d{4}-\d\d-\d\dT([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{1,6})?Z$"
_MICROSECONDS = pa.timestamp("us", tz="UTC")


def _between(first: int, last: int) -> Vector:
    def convert(values: Values) -> Values | None:
        numbers = as_array(values, pa.int64())
        return numbers if numbers_within(numbers, first, last) else None

    return convert


def _zoned(first: int) -> Vector:
    between = _between(first, LAST_MICROSECOND)

    def convert(values: Values) -> Values | None:
        texts = as_array(values, pa.string())
        if not texts_matching(texts, _ISO):
            return None
        return between(texts.cast(_MICROSECONDS).cast(pa.int64()))

    return convert


def _texts(pattern: str) -> Vector:
    def convert(values: Values) -> Values | None:
        texts = as_array(values, pa.string())
        return texts if texts_matching(texts, pattern) else None

    return convert


def _digits(column: Column) -> Vector | None:
    if column.scale < 0:
        return None
    return _texts(r"^(?:0|-?[1-9]\d*)" + (rf"\.\d{{{column.scale}}}$" if column.scale else "$"))


def _floats(column: Column) -> Vector:
    """Only numbers: an infinity is sent as text, and of another number none comes by rounding."""
    narrow = column.kind in (Kind.FLOAT32, Kind.IEEE32)

    def convert(values: Values) -> Values | None:
        if not isinstance(values, pa.Array) and str in set(map(type, values)):
            return None
        numbers = as_array(values, pa.float64())
        if narrow:
            numbers = numbers.cast(pa.float32())
        return None if pc.any(pc.is_inf(numbers)).as_py() else numbers

    return convert


def distinct(convert: Convert) -> Vector:
    """Each distinct value once, where values repeat."""

    def converted(values: Values) -> Values | None:
        values = as_list(values)
        different = set(values)
        if len(different) * 4 > len(values):
            return None
        known = {value: None if value is None else convert(value) for value in different}
        return [known[value] for value in values]

    return converted


def vector(column: Column, convert: Convert, *, read: bool) -> Vector | None:
    """The function for a column's values; None: there is no faster way than one by one.

    :param read: whether PostgreSQL's connector read the rows through JDBC, which moves what is before 1582-10-15.
    """
    first = moments.FIRST_GREGORIAN * DAY if read else FIRST_MICROSECOND
    match column.sent_as:
        case Encoding.DAYS:
            found: Vector | None = _between(FIRST_DAY, LAST_DAY)
        case Encoding.MICROSECONDS:
            found = _between(first, LAST_MICROSECOND)
        case Encoding.ZONED:
            found = _zoned(first)
        case Encoding.UNSIGNED_LONG:
            found = _between(0, 2**63 - 1)
        case Encoding.DECIMAL:
            found = _digits(column)
        case Encoding.NUMERIC:
            found = _texts(r"^(?:0|-?[1-9]\d*)(?:\.\d+)?$")
        case Encoding.FLOAT:
            found = _floats(column)
        case Encoding.VECTOR | Encoding.ARRAY | Encoding.GEOMETRY | Encoding.POINT:
            found = None
        case _:
            found = distinct(convert)
    return found and _sure(found)


def _sure(convert: Vector) -> Vector:
    """A value that does not fit is told one by one, where the message can name it."""

    def converted(values: Values) -> Values | None:
        try:
            return convert(values)
        except (ValueError, TypeError, OverflowError, msgspec.DecodeError):
            return None

    return converted
