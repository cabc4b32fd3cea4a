"""Which rows a run owns: half-open ``[start, end)`` in UTC, resolved once and in one order.

Explicit arguments, then the form's params, then the run's data interval. An empty or missing range is an error that names
the fix, never an empty or unbounded archive.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from airflow_provider_chista.errors import FatalError, RefusedError
from airflow_provider_chista.model import Window, describe

Bound = str | date | datetime | None

_FIX = (
    "Give window_start and window_end (form, --conf or operator arguments), trigger the run with a logical date, or use "
    "RetentionTimetable, whose runs own the range [d, d+1)"
)


@dataclass(frozen=True, slots=True)
class RunDates:
    """What a run says about its dates.

    :param interval: the run's data interval; None when the run has none.
    :param logical_date: None for a manual run without a date.
    :param run_after: when the run was due; for a manual run the moment it was triggered.
    """

    params: Mapping[str, Any]
    interval: tuple[datetime, datetime] | None
    logical_date: datetime | None
    run_after: datetime | None = None


_NAME = re.compile(r"(.*):(\d{4}-\d\d-\d\dT[^/]*)/([^/]*)", re.DOTALL)


def resolve(column: str | None, start: Bound, end: Bound, run: RunDates) -> Window | None:
    """The window of a run; None when the table has no time column and is archived whole.

    :param column: the table's time column.
    :param start: operator argument, first choice; :param end: its end, exclusive.
    :raises FatalError: only one bound is given, the range is empty or reversed, or there is none at all.
    """
    if column is None:
        return None
    for source, first, last in (
        ("the operator's arguments", start, end),
        ("the params", run.params.get("window_start"), run.params.get("window_end")),
    ):
        if (first or None) is None and (last or None) is None:
            continue
        if not first or not last:
            given, missing = ("window_start", "window_end") if first else ("window_end", "window_start")
            raise FatalError(f"{source} give {given} but not {missing}; give both, or neither")
        return Window(column, parse_bound(first), parse_bound(last))
    if run.interval is None:
        raise FatalError(f"this run has no data interval and no window was given. {_FIX}")
    first, last = run.interval
    if first >= last:
        raise FatalError(
            f"this run's data interval [{first.isoformat()}, {last.isoformat()}) is empty, as those of CronTriggerTimetable "
            f"are. {_FIX}"
        )
    by_now = run.run_after is not None and first <= run.run_after < last
    if run.logical_date is not None and not first <= run.logical_date < last and by_now:
        raise FatalError(
            f"this run is dated {run.logical_date.isoformat()}, but its data interval is [{first.isoformat()}, "
            f"{last.isoformat()}): `airflow dags trigger -l` computes it from now. Trigger by the UI, the REST interface or "
            "`airflow backfill create`, or give window_start and window_end"
        )
    return Window(column, first.astimezone(UTC), last.astimezone(UTC))


def parse_bound(value: Bound) -> datetime:
    """A bound in UTC from an ISO-8601 text, a date or a datetime; one without a time zone is UTC."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError as error:
            raise FatalError(
                f"{value!r} is not an ISO-8601 date such as 2024-01-31 or 2024-01-31T00:00:00Z"
            ) from error
    elif isinstance(value, date) and not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day, tzinfo=UTC)
    if not isinstance(value, datetime):
        raise FatalError(f"{value!r} is not a date")
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def name(window: Window | None) -> str:
    """The window's name in the ledger: ``column:start/end``, or ``all`` for a whole table."""
    return f"{window.column}:{window.start.isoformat()}/{window.end.isoformat()}" if window else "all"


def named(text: str) -> Window | None:
    """The window of a :func:`name`; None for ``all``.

    :raises FatalError: the text is no name of a window.
    """
    if text == "all":
        return None
    match = _NAME.fullmatch(text)
    if match is None:
        raise FatalError(f"{text!r} is no name of a window; was the ledger changed by hand?")
    return Window(match[1], parse_bound(match[2]), parse_bound(match[3]))


def overlap(text: str, window: Window | None) -> bool:
    """Whether the window of a :func:`name` may have rows of a window; those of another column may."""
    other = named(text)
    if window is None or other is None or other.column != window.column:
        return True
    return other.start < window.end and window.start < other.end


def require_older(window: Window | None, retention: timedelta, now: datetime) -> None:
    """Refuse a window that is younger than the table's retention, whatever started the run.

    The UI's form pre-fills the logical date with now, so one careless click means today's rows.

    :raises RefusedError: the window ends later than ``now - retention``.
    """
    limit = now - retention
    if window is not None and window.end > limit:
        raise RefusedError(
            f"window {describe(window)} ends later than {limit.isoformat(timespec='seconds')}: its rows are younger than the "
            f"retention of {retention.days} days. Nothing was deleted. Choose an older window, or shorten the retention"
        )
