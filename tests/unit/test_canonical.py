"""The row text: it can be read back, so that no two rows share one; keys are parsed, and sorted as their values are."""

from __future__ import annotations

import hashlib
import struct
import uuid
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from airflow_provider_chista.canonical import (
    KEY_KINDS,
    field_text,
    parse_key,
    row_hash,
    row_text,
    sort_key,
)
from airflow_provider_chista.errors import FatalError
from airflow_provider_chista.model import INTEGER_BOUNDS, Kind
from tests.unit.keys import key_text

HOSTILE = st.text("~|:0123456789-e.é\0\\'\n", max_size=8) | st.sampled_from(
    [
        "~",
        "|",
        "",
        "1:~",
        "0:",
        "~|~",
        "1|2",
        "|1:a",
        "3:a|b",
        "NULL",
        "9223372036854775807",
        "2024-02-29",
        "😀",
        "ﬀ",
        "é",
    ]
)
FINITE = {"allow_nan": False, "allow_infinity": False}


def _decimals(places: int = 2) -> st.SearchStrategy[Decimal]:
    return st.integers(-(10**12), 10**12).map(lambda number: Decimal(number).scaleb(-places))


def _close(low: int, high: int) -> st.SearchStrategy[int]:
    """Integers that are often near the bounds or zero."""
    return st.integers(low, high) | st.sampled_from([low, low + 1, max(low, -1), 0, 1, high - 1, high])


VALUES: dict[Kind, st.SearchStrategy[Any]] = {
    **{kind: _close(*bounds) for kind, bounds in INTEGER_BOUNDS.items()},
    Kind.BOOL: st.booleans(),
    Kind.DECIMAL: _decimals(),
    Kind.FLOAT32: st.floats(width=32, **FINITE),
    Kind.FLOAT64: st.floats(**FINITE),
    Kind.IEEE32: st.floats(width=32),
    Kind.IEEE64: st.floats(),
    Kind.DATE: st.dates(),
    Kind.TIME: st.timedeltas(timedelta(hours=-838), timedelta(hours=838)),
    Kind.DATETIME: st.datetimes().map(lambda value: value.replace(fold=0)),
    Kind.UUID: st.uuids(),
    Kind.BYTES: st.binary(max_size=6),
    Kind.TEXT: HOSTILE | st.text(max_size=6),
}


def _time(text: str) -> timedelta:
    sign, bare = (-1, text[1:]) if text.startswith("-") else (1, text)
    hours, minutes, seconds = bare.split(":")
    whole, fraction = seconds.split(".")
    return sign * timedelta(
        hours=int(hours), minutes=int(minutes), seconds=int(whole), microseconds=int(fraction)
    )


READERS: dict[Kind, Callable[[str], Any]] = {
    **dict.fromkeys(INTEGER_BOUNDS, int),
    Kind.BOOL: lambda text: {"1": True, "0": False}[text],
    Kind.DECIMAL: Decimal,
    Kind.FLOAT32: float,
    Kind.FLOAT64: float,
    Kind.IEEE32: lambda text: struct.unpack(">d", bytes.fromhex(text))[0],
    Kind.IEEE64: lambda text: struct.unpack(">d", bytes.fromhex(text))[0],
    Kind.DATE: date.fromisoformat,
    Kind.TIME: _time,
    Kind.DATETIME: datetime.fromisoformat,
    Kind.UUID: uuid.UUID,
    Kind.BYTES: bytes.fromhex,
}
"""Readers of a field, written from ``docs/row-hash.md``; a text is read by its length."""


def read(kinds: tuple[Kind, ...], text: str) -> list[Any]:
    """The values of a row, from its text alone."""
    raw, values = text.encode(), []
    for index, kind in enumerate(kinds):
        if index:
            assert raw[:1] == b"|"
            raw = raw[1:]
        if raw[:1] == b"~":
            values.append(None)
            raw = raw[1:]
        elif kind is Kind.TEXT:
            length, _, rest = raw.partition(b":")
            values.append(rest[: int(length)].decode())
            raw = rest[int(length) :]
        else:
            field, bar, rest = raw.partition(b"|")
            values.append(READERS[kind](field.decode()))
            raw = bar + rest
    assert raw == b""
    return values


def rows(kinds: st.SearchStrategy[Kind], count: int = 1, nulls: bool = True) -> st.SearchStrategy[Any]:
    """Kinds of a row's columns, and as many rows of them."""

    def of(chosen: list[Kind]) -> st.SearchStrategy[Any]:
        row = st.tuples(*(st.none() | VALUES[kind] if nulls else VALUES[kind] for kind in chosen))
        return st.tuples(st.just(tuple(chosen)), *[row] * count)

    return st.lists(kinds, min_size=1, max_size=5).flatmap(of)


def shown(values: Any) -> list[str]:
    """Values in a form that tells -0.0 from 0.0 and True from 1; NaN equals NaN, and zeros of decimals have no sign."""
    return [repr(abs(v) if isinstance(v, Decimal) and v.is_zero() else v) for v in values]


@given(rows(st.sampled_from(list(Kind))))
def test_a_row_can_be_read_back_from_its_text_whatever_its_values_so_that_no_two_rows_share_one(
    drawn: Any,
) -> None:
    kinds, values = drawn
    assert shown(read(kinds, row_text(kinds, values))) == shown(values)


@given(rows(st.sampled_from([Kind.TEXT, Kind.INT8, Kind.BYTES, Kind.DATE]), count=2))
def test_two_rows_have_the_same_text_and_hash_exactly_when_they_are_equal(drawn: Any) -> None:
    kinds, one, other = drawn
    assert (row_text(kinds, one) == row_text(kinds, other)) == (one == other)
    assert (row_hash(kinds, one) == row_hash(kinds, other)) == (one == other)
    assert row_hash(kinds, one) == hashlib.sha256(row_text(kinds, one).encode()).hexdigest()


@given(st.lists(HOSTILE, min_size=2, max_size=4), st.lists(HOSTILE, min_size=2, max_size=4))
def test_texts_that_would_be_alike_when_joined_differ(one: list[str], other: list[str]) -> None:
    assume(len(one) == len(other) and one != other)
    kinds = [Kind.TEXT] * len(one)
    assert row_text(kinds, one) != row_text(kinds, other)


@pytest.mark.parametrize("kind", list(Kind))
def test_null_is_a_tilde_and_no_value_of_any_kind_is(kind: Kind) -> None:
    @given(VALUES[kind])
    def differs(value: Any) -> None:
        text = field_text(kind, value)
        assert text != "~"
        assert kind is Kind.TEXT or "|" not in text

    assert field_text(kind, None) == "~"
    differs()


KEYS = st.sampled_from(sorted(KEY_KINDS))


@given(rows(KEYS, nulls=False))
def test_a_key_can_be_parsed_and_written_again(drawn: Any) -> None:
    kinds, values = drawn
    text = row_text(kinds, values)
    parsed = parse_key(kinds, text)
    assert key_text(kinds, parsed) == text
    assert [type(value) for value in parsed] == [
        int if kind in INTEGER_BOUNDS or kind is Kind.BOOL else Decimal if kind is Kind.DECIMAL else str
        for kind in kinds
    ]


def natural(kind: Kind, value: Any) -> Any:
    """What a person compares: numbers by size, dates by time, texts by the bytes of UTF-8."""
    if kind is Kind.UUID:
        return value.bytes
    return value.encode() if kind is Kind.TEXT else value


@given(rows(KEYS, count=2, nulls=False))
def test_keys_are_ordered_as_their_values_are(drawn: Any) -> None:
    kinds, one, other = drawn
    left, right = (
        [natural(kind, value) for kind, value in zip(kinds, row, strict=True)] for row in (one, other)
    )
    a, b = (sort_key(parse_key(kinds, row_text(kinds, row))) for row in (one, other))
    assert (a < b, a == b) == (left < right, left == right)


NO_KEYS: list[tuple[Kind, list[str]]] = [
    (Kind.INT32, ["", "~", "01", "+1", " 1", "1 ", "-0", "1_0", "1.0", "٣", "1|2", "1|", "|1", "0x1", "1e0"]),
    (Kind.BOOL, ["", "2", "true", "01", "-1"]),
    (Kind.DECIMAL, ["", "1.", ".5", "+1.0", "00.5", "-0.00", "1e2", "NaN", "1,5", "1.5 "]),
    (Kind.DATE, ["", "2024-2-29", "20240229", "2023-02-29", "2024-W09-4", "infinity", "0044-03-15 BC", "10000-01-01"]),
    (Kind.DATETIME, ["", "2024-02-29", "2024-02-29T00:00:00.000000", "2024-02-29 00:00:00", "infinity"]),
    (Kind.UUID, ["", "123E4567-E89B-12D3-A456-426614174000", "123e4567e89b12d3a456426614174000"]),
    (Kind.BYTES, ["0", "0G", "AB", "a b", "ab\n"]),
    (Kind.TEXT, ["", "a", "1:", "1:ab", "2:a", "01:a", "+1:a", " 1:a", "-1:", ":", "1:a|", "1:é", "2:é|1:a"]),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "text"), [(kind, text) for kind, texts in NO_KEYS for text in texts])
def test_a_text_that_is_no_key_is_refused(kind: Kind, text: str) -> None:
    with pytest.raises(FatalError, match="is not a row key of kinds"):
        parse_key([kind], text)


@given(st.lists(KEYS, min_size=1, max_size=3), st.lists(HOSTILE, max_size=3).map("|".join))
def test_whatever_is_parsed_is_the_canonical_text_of_its_values(kinds: list[Kind], text: str) -> None:
    try:
        parsed = parse_key(kinds, text)
    except FatalError:
        return
    assert key_text(kinds, parsed) == text


NO_VALUES: list[tuple[Kind, list[Any]]] = [
    *((kind, [True, 1.0, "1", Decimal(1)]) for kind in INTEGER_BOUNDS),
    (Kind.BOOL, [2, -1, "true"]),
    (Kind.DECIMAL, [1.5, Decimal("Infinity"), Decimal("-Infinity"), Decimal("sNaN"), "abc", b"1"]),
    (Kind.FLOAT32, ["1.0", True, 0.1, 3.4028236e38, float("nan"), float("inf")]),
    (Kind.FLOAT64, ["1.0", True, float("nan"), float("inf")]),
    (Kind.IEEE32, [0.1, 1e39, "NaN"]),
    (Kind.IEEE64, ["NaN", True, Decimal(1)]),
    (Kind.DATE, [datetime(2024, 2, 29, tzinfo=UTC), 19782, "2024-2-29", "29.02.2024", "Infinity"]),
    (Kind.TIME, [3600, "12:34", "12:34:56", "1:00:00.000000", "24:00:00"]),
    (Kind.DATETIME, [date(2024, 2, 29), "2024-02-29", "2024-02-29T12:00:00.000000", "2024-02-29 12:00:00.000", 0]),
    (Kind.UUID, ["123E4567-E89B-12D3-A456-426614174000", b"1234567890123456", 1]),
    (Kind.BYTES, ["ab", 1, [1]]),
    (Kind.TEXT, [b"a", 1, "\ud800"]),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "value"), [(kind, value) for kind, values in NO_VALUES for value in values])
def test_a_value_of_another_kind_has_no_text(kind: Kind, value: Any) -> None:
    with pytest.raises(FatalError, match="is not a value of kind"):
        field_text(kind, value)


TEXTS: list[tuple[Kind, Any, str]] = [
    (Kind.INT64, -(2**63), "-9223372036854775808"),
    (Kind.UINT64, 2**64 - 1, "18446744073709551615"),
    (Kind.BOOL, True, "1"),
    (Kind.DECIMAL, Decimal("1.50"), "1.50"),
    (Kind.DECIMAL, Decimal("-0.00"), "0.00"),
    (Kind.DECIMAL, Decimal("1E+2"), "100"),
    (Kind.FLOAT64, 0.1, "1e-1"),
    (Kind.FLOAT64, -0.0, "-0e0"),
    (Kind.FLOAT64, 1e22, "1e22"),
    (Kind.FLOAT64, 123.456, "123456e-3"),
    (Kind.FLOAT64, 5e-324, "5e-324"),
    (Kind.FLOAT32, 16777216.0, "16777216e0"),
    (Kind.FLOAT32, 100.0, "1e2"),
    (Kind.IEEE64, -2.0, "c000000000000000"),
    (Kind.IEEE32, float("nan"), "7ff8000000000000"),
    (Kind.IEEE64, float("-inf"), "fff0000000000000"),
    *(
        (Kind.IEEE64, READERS[Kind.IEEE64](bits), "7ff8000000000000")
        for bits in ("fff8000000000000", "7ff8000000000001")
    ),
    (Kind.DATE, date(1, 1, 1), "0001-01-01"),
    (Kind.DATE, "0044-03-15 BC", "0044-03-15 BC"),
    (Kind.DATE, "-infinity", "-infinity"),
    (Kind.TIME, timedelta(microseconds=-1), "-00:00:00.000001"),
    (Kind.TIME, timedelta(hours=838, minutes=59, seconds=59), "838:59:59.000000"),
    (Kind.DATETIME, datetime(9999, 12, 31, 23, 59, 59, 999999), "9999-12-31 23:59:59.999999"),  # noqa: DTZ001
    (Kind.DATETIME, datetime(1970, 1, 1, tzinfo=UTC), "1970-01-01 00:00:00.000000"),
    (Kind.UUID, uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
    (Kind.BYTES, b"\x00\xff", "00ff"),
    (Kind.BYTES, b"", ""),
    (Kind.TEXT, "é😀", "6:é😀"),
    (Kind.TEXT, "~", "1:~"),
]


@pytest.mark.parametrize(("kind", "value", "text"), TEXTS)
def test_the_text_of_a_value(kind: Kind, value: Any, text: str) -> None:
    assert field_text(kind, value) == text
