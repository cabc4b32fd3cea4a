"""Dates, times and timestamps as whole numbers and as canonical text, in the proleptic Gregorian calendar.

A date is days since 1970-01-01, a timestamp microseconds since 1970-01-01 00:00:00. PostgreSQL's infinities are
:data:`INFINITY` and its negative in both units. Python's own ``date`` ends at the years 1 and 9999; PostgreSQL's types reach
from 4713 BC far beyond them.
"""

from __future__ import annotations

from datetime import date, datetime

MICROSECONDS = 1_000_000
DAY = 86_400 * MICROSECONDS

INFINITY = 2**64
"""Stands for ``infinity``, its negative for ``-infinity``; no date or timestamp of any source is as large."""
_INFINITIES = {"infinity": INFINITY, "-infinity": -INFINITY}

_EPOCH = date(1970, 1, 1).toordinal()
FIRST_DAY = date.min.toordinal() - _EPOCH
LAST_DAY = date.max.toordinal() - _EPOCH
"""Days since 1970-01-01 of 0001-01-01 and 9999-12-31."""
FIRST_MICROSECOND = FIRST_DAY * DAY
LAST_MICROSECOND = (LAST_DAY + 1) * DAY - 1
"""Microseconds since 1970 of the first and last moment of the years 1 to 9999."""

ERA_DAYS, ERA_YEARS = 146_097, 400
"""The calendar repeats itself after that many days, which are so many years."""


def iso_date(day: int) -> str:
    """``YYYY-MM-DD`` of a day in the years 1 to 9999."""
    return date.fromordinal(_EPOCH + day).isoformat()


def day_of(text: str) -> int:
    """Days from 1970-01-01 of a ``YYYY-MM-DD``."""
    return date.fromisoformat(text).toordinal() - _EPOCH


def microsecond_of(text: str) -> int:
    """Microseconds from 1970-01-01 of a ``YYYY-MM-DD HH:MM:SS.ffffff``."""
    moment = datetime.fromisoformat(text)
    seconds = (moment.hour * 60 + moment.minute) * 60 + moment.second
    return (moment.toordinal() - _EPOCH) * DAY + seconds * MICROSECONDS + moment.microsecond


def date_text(day: int) -> str:
    """Canonical text of any date: ``YYYY-MM-DD`` with more digits after year 9999, ``0044-03-15 BC``, ``infinity``."""
    if FIRST_DAY <= day <= LAST_DAY:
        return iso_date(day)
    if abs(day) == INFINITY:
        return "infinity" if day > 0 else "-infinity"
    year, rest = _year_and_rest(day)
    return f"{year:04d}-{rest}" if year > 0 else f"{1 - year:04d}-{rest} BC"


def timestamp_text(microsecond: int) -> str:
    """Canonical text of any timestamp: ``YYYY-MM-DD HH:MM:SS.ffffff``, always six digits, `` BC`` at the end, or infinite."""
    if abs(microsecond) == INFINITY:
        return "infinity" if microsecond > 0 else "-infinity"
    day, rest = divmod(microsecond, DAY)
    text = date_text(day)
    return f"{text.removesuffix(' BC')} {time_text(rest)}{' BC' if text.endswith('BC') else ''}"


def any_day_of(text: str) -> int:
    """The date of a canonical text: the inverse of :func:`date_text`.

    :raises ValueError: it is none of the calendar, such as MySQL's 0000-00-00.
    """
    if text in _INFINITIES:
        return _INFINITIES[text]
    year, month, day = map(int, text.removesuffix(" BC").split("-"))
    if text.endswith(" BC"):
        year = 1 - year
    eras = (year - 1) // ERA_YEARS
    try:
        moved = date(year - eras * ERA_YEARS, month, day)
    except ValueError:
        raise ValueError(f"{text} is no date of the calendar") from None
    return moved.toordinal() - _EPOCH + eras * ERA_DAYS


def any_microsecond_of(text: str) -> int:
    """The timestamp of a canonical text: the inverse of :func:`timestamp_text`; errors as :func:`any_day_of`."""
    if text in _INFINITIES:
        return _INFINITIES[text]
    day, time = text.removesuffix(" BC").split(" ")
    hours, minutes, seconds = time.split(":")
    whole, fraction = seconds.split(".")
    passed = (int(hours) * 60 + int(minutes)) * 60 + int(whole)
    days = any_day_of(f"{day} BC" if text.endswith(" BC") else day)
    return days * DAY + passed * MICROSECONDS + int(fraction)


def time_text(microseconds: int) -> str:
    """Canonical text of a signed time of day or duration: ``[-]HH:MM:SS.ffffff`` with two or more digits of hours."""
    seconds, fraction = divmod(abs(microseconds), MICROSECONDS)
    minutes, second = divmod(seconds, 60)
    hour, minute = divmod(minutes, 60)
    return f"{'-' if microseconds < 0 else ''}{hour:02d}:{minute:02d}:{second:02d}.{fraction:06d}"


def _year_and_rest(day: int) -> tuple[int, str]:
    """Astronomical year (0 is 1 BC) and ``MM-DD``: the day is moved by whole eras of 400 years into Python's range."""
    eras = (day - FIRST_DAY) // ERA_DAYS - 4
    moved = date.fromordinal(_EPOCH + day - eras * ERA_DAYS)
    return moved.year + eras * ERA_YEARS, f"{moved.month:02d}-{moved.day:02d}"
