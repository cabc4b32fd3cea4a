"""Timetable whose run for a range of rows starts when the range has reached a given age."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pendulum
from airflow.timetables.base import DagRunInfo, DataInterval, TimeRestriction
from airflow.timetables.interval import CronDataIntervalTimetable
from pendulum import DateTime
from pendulum.tz.timezone import FixedTimezone, Timezone


class RetentionTimetable(CronDataIntervalTimetable):
    """One run for each cron interval ``[start, end)``, started once the interval's end is ``retention`` old.

    A date means the same thing however a run comes about, namely the date of the rows:

    * scheduled: the run of ``[D, D+1)`` starts at ``D+1 + retention``. Without catch-up the first run owns the newest
      interval that is old enough;
    * backfilled: one run for each interval whose start lies between the two given dates, both included;
    * manual with logical date D: the interval that *contains* D (Airflow's own cron timetables would give the one that
      ends at D). A run triggered now therefore owns the interval that contains now, which is younger than the
      retention; a purge refuses it.

    The id of a run carries the time at which it was due, not its interval; read the interval from the run.

    :param cron: cron expression or preset whose ticks bound the intervals, such as ``@daily``.
    :param retention: age that the end of an interval reaches before its run starts; zero or more.
    :param timezone: zone in which the cron expression is read; the intervals handed to a run are UTC instants.
    :raises ValueError: ``retention`` is negative.
    """

    def __init__(
        self, cron: str, retention: timedelta, timezone: str | Timezone | FixedTimezone = "UTC"
    ) -> None:
        super().__init__(cron, timezone)
        if retention < timedelta(0):
            raise ValueError(
                f"retention is {retention}; rows of the future cannot be archived, give zero or more"
            )
        self.retention = retention
        self.description = f"{self.description}, once {_words(retention)} old"

    @property
    def summary(self) -> str:
        """Short form for lists: the cron expression and the retention, such as ``0 0 * * * + 365d``."""
        return f"{self._expression} + {_short(self.retention)}"

    def serialize(self) -> dict[str, Any]:
        """Arguments of the constructor as JSON; the retention in seconds."""
        return {**super().serialize(), "retention": self.retention.total_seconds()}

    @classmethod
    def deserialize(cls, data: dict[str, Any]) -> RetentionTimetable:
        """Inverse of :meth:`serialize`."""
        return cls(
            data["expression"], timedelta(seconds=data["retention"]), pendulum.timezone(data["timezone"])
        )

    def next_dagrun_info(
        self, *, last_automated_data_interval: DataInterval | None, restriction: TimeRestriction
    ) -> DagRunInfo | None:
        """The cron interval after the last one, due when its end is ``retention`` old."""
        info = super().next_dagrun_info(
            last_automated_data_interval=last_automated_data_interval, restriction=restriction
        )
        if info is None or info.data_interval is None:
            return None
        return info._replace(run_after=info.data_interval.end + self.retention)

    def infer_manual_data_interval(self, *, run_after: DateTime) -> DataInterval:
        """The cron interval that contains ``run_after``, which for a manual run is its logical date."""
        start = self._align_to_prev(run_after)
        return DataInterval(start=start, end=self._get_next(start))

    def _skip_to_latest(self, earliest: DateTime | None) -> DateTime:
        """Start of the newest interval that is ``retention`` old now, or of the first one after ``earliest``."""
        newest_end = self._align_to_prev(pendulum.now("UTC") - self.retention)
        newest_start = self._get_prev(newest_end)
        return newest_start if earliest is None else max(newest_start, self._align_to_next(earliest))


UNITS = (("days", "d", timedelta(days=1)), ("hours", "h", timedelta(hours=1)))


def _words(retention: timedelta) -> str:
    return next(
        (f"{retention // unit} {word}" for word, _, unit in UNITS if not retention % unit), str(retention)
    )


def _short(retention: timedelta) -> str:
    return next(
        (f"{retention // unit}{mark}" for _, mark, unit in UNITS if not retention % unit), str(retention)
    )
