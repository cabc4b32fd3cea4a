"""Dates and times in the form of recorded Debezium events; every expected text was printed by PostgreSQL 15."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_chista.debezium import moments
from airflow_provider_chista.debezium.envelope import EnvelopeDecoder
from airflow_provider_chista.model import Column, Encoding, Kind, Table, TableId
from airflow_provider_chista.temporal import DAY, INFINITY, date_text, microsecond_of, timestamp_text

# As number and as text, so that neither is right by the other.
PRINTED: list[tuple[Callable[[Any], int], Any, int, str]] = [
    (moments.days, 0, 0, "1970-01-01"),
    (moments.days, 19_782, 19_782, "2024-02-29"),
    (moments.days, -735_160, -735_160, "0044-03-15 BC"),
    (moments.days, -719_163, -719_163, "0001-12-31 BC"),
    (moments.days, -719_162, -719_162, "0001-01-01"),
    (moments.days, 2_932_897, 2_932_897, "10000-01-01"),
    (moments.days, 2_145_042_905, 2_145_042_905, "5874897-12-31"),
    (moments.days, -2_440_588, -2_440_588, "4714-11-24 BC"),
    (moments.days, -2_147_472_692, INFINITY, "infinity"),
    (moments.days, -2_147_472_691, -INFINITY, "-infinity"),
    (moments.days, -622_191_234, INFINITY, "infinity"),
    (moments.days, -625_821_272, -INFINITY, "-infinity"),
    (moments.microseconds, 0, 0, "1970-01-01 00:00:00.000000"),
    (moments.microseconds, -1, -1, "1969-12-31 23:59:59.999999"),
    (
        moments.microseconds, -63_517_780_799_876_544, -63_517_780_799_876_544,
        "0044-03-15 12:00:00.123456 BC",
    ),
    (
        moments.microseconds, 253_402_300_801_000_001, 253_402_300_801_000_001,
        "10000-01-01 00:00:01.000001",
    ),
    (
        moments.microseconds, -210_866_803_200_000_000, -210_866_803_200_000_000,
        "4714-11-24 00:00:00.000000 BC",
    ),
    (moments.microseconds, 9_223_372_036_825_200_000, INFINITY, "infinity"),
    (moments.microseconds, -9_223_372_036_832_400_000, -INFINITY, "-infinity"),
    (moments.zoned, "2024-02-29T10:34:56.789012Z", 1_709_202_896_789_012, "2024-02-29 10:34:56.789012"),
    (moments.zoned, "2024-02-29T10:34:56Z", 1_709_202_896_000_000, "2024-02-29 10:34:56.000000"),
    (moments.zoned, "0001-01-01T00:00:00.120Z", -62_135_596_799_880_000, "0001-01-01 00:00:00.120000"),
    (moments.zoned, "0000-12-31T00:00:00Z", -62_135_683_200_000_000, "0001-12-31 00:00:00.000000 BC"),
    (
        moments.zoned, "-0043-03-15T12:00:00.123456Z", -63_517_780_799_876_544,
        "0044-03-15 12:00:00.123456 BC",
    ),
    (
        moments.zoned, "+294276-12-31T23:59:59.999999Z", 9_224_318_015_999_999_999,
        "294276-12-31 23:59:59.999999",
    ),
    (moments.zoned, "+294247-01-10T04:00:54.775807Z", 2**63 - 1, "294247-01-10 04:00:54.775807"),
    (moments.zoned, "infinity", INFINITY, "infinity"),
    (moments.zoned, "-infinity", -INFINITY, "-infinity"),
]  # fmt: skip

REFUSED: list[tuple[Callable[[Any], Any], Any, str]] = [
    (moments.days, -2_440_589, "no date"),
    (moments.days, 2_145_042_906, "no date"),
    (moments.time_of_day, 86_400_000_001, "no time of day"),
    (moments.time_of_day, -1, "no time of day"),
    (moments.microseconds, 9_223_372_036_854_775_807, "overflow"),
    (moments.microseconds, -9_223_372_036_853_775_810, "no timestamp"),
    (moments.zoned, "2024-02-29 10:34:56Z", "not a time in UTC"),
    (moments.zoned, "2024-02-29T10:34:56+02:00", "not a time in UTC"),
    (moments.zoned, "2024-02-29T24:00:00Z", "not a time in UTC"),
    (moments.zoned, "2023-02-29T10:34:56Z", "does not exist"),
    (moments.zoned, "+294277-01-01T00:00:00Z", "outside"),
    (moments.zoned, "-4714-11-24T00:00:00Z", "outside"),
    (moments.zoned, "+292269055-12-02T23:00:00.000000Z", "not a time in UTC"),
]


@pytest.mark.parametrize(("read", "sent", "number", "text"), PRINTED)
def test_a_moment_is_read_as_the_number_that_postgresql_prints_so(
    read: Callable[[Any], int], sent: Any, number: int, text: str
) -> None:
    assert read(sent) == number
    assert (date_text if read is moments.days else timestamp_text)(read(sent)) == text


@pytest.mark.parametrize(("read", "sent", "message"), REFUSED)
def test_what_debezium_does_not_write_is_refused(read: Callable[[Any], Any], sent: Any, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        read(sent)


@pytest.mark.parametrize("microseconds", [0, 45_296_789_012, DAY])
def test_a_time_of_day_reaches_24_00(microseconds: int) -> None:
    assert moments.time_of_day(microseconds) == microseconds


# What a snapshot holds, and what the source has.
READ_THROUGH_JDBC = [
    ("0000-12-30T00:00:00Z", "0001-01-01 00:00:00.000000"),
    ("0000-12-29T00:00:00Z", "0001-12-31 00:00:00.000000 BC"),
    ("0070-03-02T05:06:07.008009Z", "0070-03-04 05:06:07.008009"),
    ("-0043-03-13T12:00:00.123456Z", "0044-03-15 12:00:00.123456 BC"),
    ("-4713-11-24T00:00:00Z", "4713-01-01 00:00:00.000000 BC"),
    ("1500-03-09T00:00:00Z", "1500-02-28 00:00:00.000000"),
    ("1500-03-11T00:00:00Z", "1500-03-01 00:00:00.000000"),
    ("1582-10-14T23:59:59.999999Z", "1582-10-04 23:59:59.999999"),
    ("1582-10-15T00:00:00Z", "1582-10-15 00:00:00.000000"),
    ("2024-02-29T10:34:56Z", "2024-02-29 10:34:56.000000"),
    ("+10000-01-01T00:00:01Z", "10000-01-01 00:00:01.000000"),
    ("infinity", "infinity"),
    ("-infinity", "-infinity"),
]


@pytest.mark.parametrize(("sent", "text"), READ_THROUGH_JDBC)
def test_a_timestamp_that_java_moved_to_the_julian_calendar_is_moved_back(sent: str, text: str) -> None:
    assert timestamp_text(moments.unmoved(moments.zoned(sent))) == text


def test_a_day_that_only_the_julian_calendar_has_is_refused() -> None:
    with pytest.raises(ValueError, match="1500-02-29 is a day that does not exist"):
        moments.unmoved(moments.zoned("1500-03-10T00:00:00Z"))


@pytest.mark.parametrize(
    ("connector", "op", "expected"),
    [
        ("postgresql", "r", 1),
        ("postgresql", "c", 0),
        ("postgresql", "u", 0),
        ("mysql", "r", 0),
        ("mariadb", "c", 0),
    ],
)
def test_only_snapshots_of_postgresql_are_read_through_jdbc(connector: str, op: str, expected: int) -> None:
    columns = (
        Column("id", "integer", Kind.INT32, nullable=False),
        Column("t", "timestamp", Kind.DATETIME, nullable=True),
        Column("z", "timestamptz", Kind.DATETIME, nullable=True, encoding=Encoding.ZONED),
    )
    row = {"id": 1, "t": -62_135_769_600_000_000, "z": "0000-12-30T00:00:00Z"}
    event = {"op": op, "after": row, "source": {"connector": connector, "ts_ms": 1}}
    change = EnvelopeDecoder(Table(TableId("s", "t"), columns, ("id",))).change(json.dumps(event).encode())
    texts = ["0001-12-30 00:00:00.000000 BC", "0001-01-01 00:00:00.000000"]
    assert [timestamp_text(value) for value in change.row[1:]] == [texts[expected]] * 2


@given(st.integers(-2_440_588, -141_438), st.integers(0, DAY - 1))
def test_every_day_before_the_gregorian_calendar_comes_back(day: int, rest: int) -> None:
    """Against the formula of the Julian day number, which counts the days of a Julian date."""
    digits, _, era = date_text(day).partition(" ")
    year, month, of_month = (int(part) for part in digits.split("-"))
    year = 1 - year if era else year
    late = (14 - month) // 12
    since = year + 4800 - late
    number = of_month + (153 * (month + 12 * late - 3) + 2) // 5 + 365 * since + since // 4 - 32083
    assert moments.unmoved((number - 2_440_588) * DAY + rest) == day * DAY + rest


@given(st.datetimes(), st.integers(0, 6))
def test_zoned_texts_agree_with_pythons_calendar_with_any_number_of_digits(
    moment: datetime, digits: int
) -> None:
    whole, _, fraction = moment.isoformat(timespec="microseconds").partition(".")
    kept = fraction[:digits]
    text = f"{whole}.{kept}Z" if kept else f"{whole}Z"
    assert moments.zoned(text) == microsecond_of(f"{whole}.{kept:0<6}".replace("T", " "))
