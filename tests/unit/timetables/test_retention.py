from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pendulum
import pytest
from airflow.sdk import DAG
from airflow.serialization.definitions.dag import SerializedDAG
from airflow.serialization.serialized_objects import DagSerialization
from airflow.timetables.base import DataInterval, TimeRestriction

from airflow_provider_chista.timetables.retention import RetentionTimetable

YEAR = timedelta(days=365)
DAILY = RetentionTimetable("@daily", YEAR)


def utc(text: str) -> pendulum.DateTime:
    return pendulum.instance(datetime.fromisoformat(text).replace(tzinfo=UTC))


def restriction(earliest: str | None, *, catchup: bool, latest: str | None = None) -> TimeRestriction:
    return TimeRestriction(utc(earliest) if earliest else None, utc(latest) if latest else None, catchup)


def interval(start: str, end: str) -> DataInterval:
    return DataInterval(utc(start), utc(end))


def serialised(timetable: RetentionTimetable) -> SerializedDAG:
    """A Dag with the timetable as the scheduler sees it."""
    dag = DAG("archive", schedule=timetable, start_date=datetime(2024, 1, 1, tzinfo=UTC))
    return DagSerialization.from_dict(DagSerialization.to_dict(dag))


def first(timetable: RetentionTimetable, limits: TimeRestriction):
    return timetable.next_dagrun_info(last_automated_data_interval=None, restriction=limits)


def now(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr(pendulum, "now", lambda tz=None: utc(text))


def test_with_catch_up_the_first_run_owns_the_first_interval_and_starts_when_it_is_old_enough():
    info = first(DAILY, restriction("2024-03-10", catchup=True))
    assert info.data_interval == interval("2024-03-10", "2024-03-11")
    assert info.run_after == utc("2025-03-11")


def test_the_next_run_owns_the_next_interval():
    info = DAILY.next_dagrun_info(
        last_automated_data_interval=interval("2024-03-10", "2024-03-11"),
        restriction=restriction("2024-03-10", catchup=True),
    )
    assert info.data_interval == interval("2024-03-11", "2024-03-12")
    assert info.run_after == utc("2025-03-12")


@pytest.mark.parametrize(
    ("moment", "start"),
    [
        ("2026-11-23T09:00:00", "2025-11-22"),
        ("2026-11-23T00:00:00", "2025-11-22"),
        ("2026-11-22T23:59:59", "2025-11-21"),
    ],
)
def test_without_catch_up_the_first_run_owns_the_newest_interval_that_is_old_enough(
    monkeypatch, moment, start
):
    now(monkeypatch, moment)
    info = first(DAILY, restriction("2020-01-01", catchup=False))
    assert info.data_interval.start == utc(start)
    assert info.run_after <= utc(moment) < info.run_after + timedelta(days=1)


def test_without_catch_up_nothing_before_the_start_date_is_run(monkeypatch):
    now(monkeypatch, "2026-11-23T09:00:00")
    info = first(DAILY, restriction("2026-11-20T12:00:00", catchup=False))
    assert info.data_interval == interval("2026-11-21", "2026-11-22")
    assert info.run_after == utc("2027-11-22")


def test_no_run_begins_after_the_end_date():
    assert first(DAILY, restriction("2024-03-10", catchup=True, latest="2024-03-09")) is None
    assert first(DAILY, restriction(None, catchup=True)) is None


def test_without_retention_it_is_the_ordinary_data_interval_timetable(monkeypatch):
    now(monkeypatch, "2026-11-23T09:00:00")
    info = first(RetentionTimetable("@daily", timedelta(0)), restriction("2020-01-01", catchup=False))
    assert info.data_interval == interval("2026-11-22", "2026-11-23")


@pytest.mark.parametrize("logical", ["2025-03-10T00:00:00", "2025-03-10T13:30:00", "2025-03-10T23:59:59"])
def test_a_manual_run_dated_d_owns_the_interval_that_contains_d(logical):
    assert DAILY.infer_manual_data_interval(run_after=utc(logical)) == interval("2025-03-10", "2025-03-11")


def test_a_backfill_owns_one_interval_for_each_day_both_ends_included():
    infos = list(serialised(DAILY).iter_dagrun_infos_between(utc("2025-02-01"), utc("2025-02-05")))
    assert [info.data_interval for info in infos] == [
        interval(f"2025-02-0{day}", f"2025-02-0{day + 1}") for day in (1, 2, 3, 4, 5)
    ]


def test_the_intervals_follow_the_zone_through_both_changes_of_the_clock():
    berlin = RetentionTimetable("@daily", YEAR, timezone="Europe/Berlin")
    spring = berlin.infer_manual_data_interval(run_after=utc("2025-03-30T12:00:00"))
    assert spring == interval("2025-03-29T23:00:00", "2025-03-30T22:00:00")
    autumn = berlin.infer_manual_data_interval(run_after=utc("2025-10-26T12:00:00"))
    assert autumn == interval("2025-10-25T22:00:00", "2025-10-26T23:00:00")
    after = berlin.next_dagrun_info(
        last_automated_data_interval=autumn, restriction=restriction("2025-01-01", catchup=True)
    )
    assert after.data_interval == interval("2025-10-26T23:00:00", "2025-10-27T23:00:00")
    assert after.run_after == utc("2026-10-27T23:00:00")


def test_a_month_is_an_interval_too():
    monthly = RetentionTimetable("@monthly", timedelta(days=90))
    assert monthly.infer_manual_data_interval(run_after=utc("2024-02-29")) == interval(
        "2024-02-01", "2024-03-01"
    )


@pytest.mark.parametrize(
    "timetable",
    [
        DAILY,
        RetentionTimetable("15 3 * * 1", timedelta(hours=36), timezone="Europe/Berlin"),
        RetentionTimetable("@hourly", timedelta(0), timezone=pendulum.timezone(3 * 3600)),
    ],
    ids=lambda timetable: timetable.summary,
)
def test_airflows_own_serialisation_gives_back_an_equal_timetable(timetable):
    again = serialised(timetable).timetable
    assert isinstance(again, RetentionTimetable)
    assert (again.summary, again.retention, again.serialize()) == (
        timetable.summary,
        timetable.retention,
        timetable.serialize(),
    )
    assert again.infer_manual_data_interval(
        run_after=utc("2025-03-30T12:00:00")
    ) == timetable.infer_manual_data_interval(run_after=utc("2025-03-30T12:00:00"))


def test_summary_and_description_say_cron_and_retention():
    assert DAILY.summary == "0 0 * * * + 365d"
    assert DAILY.description == "At 00:00, once 365 days old"
    assert RetentionTimetable("@daily", timedelta(hours=36)).summary == "0 0 * * * + 36h"
    assert RetentionTimetable("@daily", timedelta(minutes=90)).summary == "0 0 * * * + 1:30:00"


def test_a_negative_retention_is_refused():
    with pytest.raises(ValueError, match="rows of the future"):
        RetentionTimetable("@daily", timedelta(days=-1))
