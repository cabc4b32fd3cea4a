"""Which window a run owns."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from airflow_provider_chista.archive.window import (
    RunDates,
    name,
    overlap,
    parse_bound,
    require_older,
    resolve,
)
from airflow_provider_chista.errors import FatalError, RefusedError
from airflow_provider_chista.model import Window

JAN1, JAN2, JAN3 = (datetime(2024, 1, day, tzinfo=UTC) for day in (1, 2, 3))


def run(
    interval: Any = (JAN1, JAN2),
    logical_date: datetime | None = JAN1,
    run_after: datetime | None = None,
    **params: Any,
) -> RunDates:
    return RunDates(params, interval, logical_date, run_after)


def test_an_interval_given_by_hand_is_taken_although_the_form_dates_the_run_now() -> None:
    by_hand = run(interval=(JAN1, JAN2), logical_date=JAN3, run_after=JAN3)
    assert resolve("d", None, None, by_hand) == Window("d", JAN1, JAN2)


def test_arguments_win_over_params_and_params_over_the_interval() -> None:
    params = run(window_start="2024-01-02", window_end="2024-01-03")
    assert resolve("d", "2023-01-01", "2023-01-02", params) == Window(
        "d", datetime(2023, 1, 1, tzinfo=UTC), datetime(2023, 1, 2, tzinfo=UTC)
    )
    assert resolve("d", None, None, params) == Window("d", JAN2, JAN3)
    assert resolve("d", "", "", run()) == Window("d", JAN1, JAN2)


def test_a_table_without_time_column_is_archived_whole() -> None:
    assert resolve(None, "2023-01-01", "2023-01-02", run()) is None
    assert name(None) == "all"


@pytest.mark.parametrize(
    ("start", "end", "dates", "message"),
    [
        ("2024-01-01", None, run(), "window_start but not window_end"),
        (None, "2024-01-01", run(), "window_end but not window_start"),
        ("2024-01-02", "2024-01-01", run(), "empty or reversed"),
        ("2024-01-02", "2024-01-02", run(), "empty or reversed"),
        ("soon", "2024-01-01", run(), "not an ISO-8601 date"),
        (None, None, run(interval=None), "no data interval"),
        (None, None, run(interval=(JAN1, JAN1)), "is empty"),
        (None, None, run(interval=(JAN2, JAN3), run_after=JAN2), "dated"),
        (None, None, run(window_start="2024-01-01"), "window_start but not window_end"),
    ],
)
def test_a_window_that_is_missing_or_wrong_names_the_fix(
    start: str | None, end: str | None, dates: RunDates, message: str
) -> None:
    with pytest.raises(FatalError, match=message):
        resolve("d", start, end, dates)


@pytest.mark.parametrize(
    "bound",
    [
        "2024-01-01",
        "2024-01-01T00:00:00Z",
        "2024-01-01T02:00:00+02:00",
        date(2024, 1, 1),
        datetime.fromisoformat("2024-01-01"),
        JAN1,
    ],
)
def test_every_spelling_of_a_bound_is_utc(bound: Any) -> None:
    assert parse_bound(bound) == JAN1


def test_a_window_younger_than_the_retention_is_refused() -> None:
    window = Window("d", JAN1, JAN2)
    require_older(window, timedelta(days=30), JAN2 + timedelta(days=30))
    require_older(None, timedelta(days=30), JAN2)
    with pytest.raises(RefusedError, match="younger than the retention of 30 days"):
        require_older(window, timedelta(days=30), JAN2 + timedelta(days=30, microseconds=-1))


@pytest.mark.parametrize(
    ("start", "end", "found"),
    [
        ("2023-12-01", "2024-01-01", False),
        ("2023-12-01", "2024-01-02", True),
        ("2024-01-10", "2024-01-11", True),
        ("2024-02-01", "2024-03-01", False),
    ],
)
def test_windows_overlap_when_a_row_could_be_in_both(start: str, end: str, found: bool) -> None:
    bounds = [datetime.fromisoformat(f"{day}T00:00:00+00:00") for day in (start, end)]
    odd = "a:1/b"
    january = name(Window(odd, *map(parse_bound, ("2024-01-01", "2024-02-01"))))
    assert overlap(january, Window(odd, *bounds)) is found
    # Of another column, or of the whole table, nobody knows.
    for other in (Window("day", *bounds), None):
        assert overlap(january, other)
    assert overlap(name(None), Window(odd, *bounds))
