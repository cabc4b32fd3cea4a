"""Dates and timestamps as Debezium sends them, as the whole numbers of ``temporal.py``; strict."""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import date

from airflow_provider_chista.temporal import (
    DAY,
    ERA_DAYS,
    ERA_YEARS,
    FIRST_DAY,
    INFINITY,
    MICROSECONDS,
    microsecond_of,
)

# Days since 1970-01-01 of 4714-11-24 BC (Julian day 0), 5874897-12-31 and 294277-01-01: the ends of PostgreSQL's types.
_FIRST, _LAST, _TIMESTAMP_END = -2_440_588, 2_145_042_905, 106_762_940
# 1582-10-15, and 1 March of the year 0 in the Julian calendar.
FIRST_GREGORIAN, _JULIAN_MARCH = -141_427, -719_470

_INFINITE_DAYS = {
    -2_147_472_692: INFINITY, -2_147_472_691: -INFINITY,  # of the stream
    -622_191_234: INFINITY, -625_821_272: -INFINITY,  # of snapshots and arrays
}  # fmt: skip
_INFINITE_MICROSECONDS = {9_223_372_036_825_200_000: INFINITY, -9_223_372_036_832_400_000: -INFINITY}
_INFINITE_TEXTS = {"infinity": INFINITY, "-infinity": -INFINITY}

_CLOCK = r"([01]\d|2[0-3]):([0-5]\d):([0-5]\d)(?:\.(\d{1,6}))?Z"
_USUAL = re.compile(rf"\d{{4}}-\d\d-\d\dT{_CLOCK}", re.ASCII)
_ZONED = re.compile(rf"(\+\d{{5,6}}|-?\d{{4}})-(\d\d)-(\d\d)T{_CLOCK}", re.ASCII)


def days(value: int) -> int:
    """Days since 1970-01-01, infinities included."""
    if value in _INFINITE_DAYS:
        return _INFINITE_DAYS[value]
    if not _FIRST <= value <= _LAST:
        raise ValueError(f"{value} days since 1970 are no date")
    return value


def microseconds(value: int) -> int:
    """Microseconds since 1970 of a wall clock, infinities included."""
    if value in _INFINITE_MICROSECONDS:
        return _INFINITE_MICROSECONDS[value]
    # Debezium sends the largest number for every later time.
    if not _FIRST * DAY <= value < 2**63 - 1:
        raise ValueError(f"{value} microseconds since 1970 are no timestamp; years from 294247 on overflow")
    return value


def time_of_day(value: int) -> int:
    """Microseconds since midnight, up to 24:00."""
    if not 0 <= value <= DAY:
        raise ValueError(f"{value} microseconds since midnight are no time of day")
    return value


def zoned(text: str) -> int:
    """Microseconds since 1970 of an ISO-8601 text in UTC; years beyond 9999 have a sign, years before 1 are astronomical."""
    if _USUAL.fullmatch(text) and text[:4] != "0000":
        with suppress(ValueError):  # said better below
            return microsecond_of(text)
    if text in _INFINITE_TEXTS:
        return _INFINITE_TEXTS[text]
    match = _ZONED.fullmatch(text)
    if match is None:
        raise ValueError(
            f"{text!r:.80} is not a time in UTC as Debezium writes it (2024-02-29T10:34:56.789012Z)"
        )
    year, month, day, hour, minute, second = (int(part) for part in match.group(1, 2, 3, 4, 5, 6))
    since = _day(year, month, day)
    if not _FIRST <= since < _TIMESTAMP_END:
        raise ValueError(f"{text!r} is outside the times of PostgreSQL")
    seconds = (hour * 60 + minute) * 60 + second
    return since * DAY + seconds * MICROSECONDS + int(f"{match[7] or '':0<6}")


def unmoved(value: int) -> int:
    """The timestamp at the source of one that Debezium read through JDBC: of what :func:`microseconds` or :func:`zoned` gave.

    Java takes the digits of a day before 1582-10-15 for those of the Julian calendar; the digits are what the source has. A
    day from 1582-10-05 to 1582-10-14, which Java's calendar has not, arrives ten days later, like another one.
    """
    day, rest = divmod(value, DAY)
    if day >= FIRST_GREGORIAN or abs(value) == INFINITY:
        return value
    # Days and months since a 1 March, behind which a leap day is the last day of its year.
    number = day - _JULIAN_MARCH
    year = (4 * number + 3) // 1461
    of_year = number - 1461 * year // 4
    month = (5 * of_year + 2) // 153
    of_month = of_year - (153 * month + 2) // 5 + 1
    return _day(year + month // 10, (month + 2) % 12 + 1, of_month) * DAY + rest


def _day(year: int, month: int, day: int) -> int:
    """Days since 1970-01-01 of a day of the proleptic Gregorian calendar, whose year 0 is 1 BC."""
    eras, rest = divmod(year - 1, ERA_YEARS)
    try:
        return (date(rest + 1, month, day) - date.min).days + FIRST_DAY + eras * ERA_DAYS
    except ValueError as error:
        raise ValueError(f"{year:04d}-{month:02d}-{day:02d} is a day that does not exist: {error}") from error
