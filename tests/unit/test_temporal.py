"""Texts of dates, times and timestamps; every expected text outside of Python's years was printed by PostgreSQL 15."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from datetime import date as calendar_date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_chista.temporal import (
    DAY,
    FIRST_DAY,
    FIRST_MICROSECOND,
    INFINITY,
    LAST_DAY,
    LAST_MICROSECOND,
    any_day_of,
    any_microsecond_of,
    date_text,
    day_of,
    microsecond_of,
    time_text,
    timestamp_text,
)

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

DATES = {
    0: "1970-01-01",
    19_782: "2024-02-29",
    -735_160: "0044-03-15 BC",
    -719_163: "0001-12-31 BC",
    -719_162: "0001-01-01",
    -719_528: "0001-01-01 BC",
    2_932_896: "9999-12-31",
    2_932_897: "10000-01-01",
    2_145_042_905: "5874897-12-31",
    -2_440_588: "4714-11-24 BC",
    INFINITY: "infinity",
    -INFINITY: "-infinity",
}

TIMESTAMPS = {
    0: "1970-01-01 00:00:00.000000",
    -1: "1969-12-31 23:59:59.999999",
    -62_135_596_800_000_000: "0001-01-01 00:00:00.000000",
    -62_135_596_800_000_001: "0001-12-31 23:59:59.999999 BC",
    -63_517_780_799_876_544: "0044-03-15 12:00:00.123456 BC",
    253_402_300_801_000_001: "10000-01-01 00:00:01.000001",
    -210_866_803_200_000_000: "4714-11-24 00:00:00.000000 BC",
    9_224_318_015_999_999_999: "294276-12-31 23:59:59.999999",
    # The largest 64-bit number is a moment of its own, not an infinity.
    2**63 - 1: "294247-01-10 04:00:54.775807",
    INFINITY: "infinity",
    -INFINITY: "-infinity",
}

TIMES = {
    0: "00:00:00.000000",
    45_296_789_012: "12:34:56.789012",
    86_400_000_000: "24:00:00.000000",
    -1: "-00:00:00.000001",
    -3_020_399_000_000: "-838:59:59.000000",
}


@pytest.mark.parametrize(("day", "text"), DATES.items())
def test_a_date_is_printed_with_its_era_and_all_digits_of_its_year(day: int, text: str) -> None:
    assert date_text(day) == text


@pytest.mark.parametrize(("microsecond", "text"), TIMESTAMPS.items())
def test_a_timestamp_is_printed_with_six_digits_and_its_era(microsecond: int, text: str) -> None:
    assert timestamp_text(microsecond) == text


@pytest.mark.parametrize(("microseconds", "text"), TIMES.items())
def test_a_time_is_printed_with_its_sign_and_all_of_its_hours(microseconds: int, text: str) -> None:
    assert time_text(microseconds) == text


def test_the_bounds_are_the_first_and_last_moment_of_the_years_1_to_9999() -> None:
    assert (date_text(FIRST_DAY), date_text(LAST_DAY)) == ("0001-01-01", "9999-12-31")
    assert timestamp_text(FIRST_MICROSECOND) == "0001-01-01 00:00:00.000000"
    assert timestamp_text(LAST_MICROSECOND) == "9999-12-31 23:59:59.999999"


@given(st.dates())
def test_dates_agree_with_pythons_calendar(day: calendar_date) -> None:
    number = (day - EPOCH.date()).days
    assert date_text(number) == day.isoformat()
    assert day_of(day.isoformat()) == number


@given(st.datetimes())
def test_timestamps_agree_with_pythons_calendar(moment: datetime) -> None:
    number = (moment.replace(tzinfo=UTC) - EPOCH) // timedelta(microseconds=1)
    text = moment.isoformat(sep=" ", timespec="microseconds")
    assert timestamp_text(number) == text
    assert microsecond_of(text) == any_microsecond_of(text) == number


@given(st.integers(-2_440_588, 2_145_042_904) | st.sampled_from([INFINITY, -INFINITY]))
def test_every_date_is_read_from_its_text(day: int) -> None:
    assert any_day_of(date_text(day)) == day


@given(st.integers(-2_440_588 * DAY, 2_145_042_904 * DAY) | st.sampled_from([INFINITY, -INFINITY]))
def test_every_timestamp_is_read_from_its_text(microsecond: int) -> None:
    assert any_microsecond_of(timestamp_text(microsecond)) == microsecond


@given(st.integers(-2_440_588, 2_145_042_904))
def test_days_are_printed_in_order_and_never_twice(day: int) -> None:
    def read(text: str) -> tuple[int, str]:
        digits, _, era = text.partition(" ")
        year, rest = digits.split("-", 1)
        return (1 - int(year) if era else int(year)), rest

    assert read(date_text(day)) < read(date_text(day + 1))
