"""What holds a purge between its source transactions. Any factor pauses it, and none overrides another.

Load, lag and the pause switch are measured: each is asked at most twice a second, whatever a transaction takes. Pace and
time of day are computed. ``limit`` and ``run_time`` do not pause the run but end it, and its batch can be continued.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Protocol, Self

from airflow_provider_chista.errors import FatalError

POLL_SECONDS = 0.5
"""Seconds between two looks while the run is paused, and at least between two measurements of one factor."""

_QUIET_SECONDS = 5.0
"""At least so much time lies between two lines about pauses."""


class Verdict(StrEnum):
    """Whether the next transaction may begin, or how the run ended."""

    GO = "go"
    HELD = "held"
    STOPPED = "stopped"
    LIMIT = "limit"
    RUN_TIME = "run_time"


class Clock(Protocol):
    """The time, which tests advance by hand."""

    def monotonic(self) -> float:
        """Seconds since some moment."""

    def now(self) -> datetime:
        """The time of day, UTC."""

    def sleep(self, seconds: float) -> None:
        """Wait."""


class SystemClock:
    """The machine's clock."""

    def monotonic(self) -> float:
        """As :meth:`Clock.monotonic`."""
        return time.monotonic()

    def now(self) -> datetime:
        """As :meth:`Clock.now`."""
        return datetime.now(UTC)

    def sleep(self, seconds: float) -> None:
        """As :meth:`Clock.sleep`."""
        time.sleep(seconds)


@dataclass(frozen=True, slots=True)
class Hours:
    """A daily span of time in minutes after midnight UTC, its end exclusive; it may cross midnight."""

    start: int
    end: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """From ``HH:MM-HH:MM``.

        :raises FatalError: it is not written so, or has no length.
        """
        match = re.fullmatch(
            r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)", str(text).replace(" ", "")
        )
        if match is None:
            raise FatalError(
                f"hours is {text!r}; write the daily window in UTC as HH:MM-HH:MM, such as 22:00-06:00"
            )
        from_hour, from_minute, to_hour, to_minute = map(int, match.groups())
        start, end = from_hour * 60 + from_minute, to_hour * 60 + to_minute
        if start == end:
            raise FatalError(
                f"hours is {text!r}, which has no length; leave it out to purge at any time of day"
            )
        return cls(start, end)

    def contain(self, moment: datetime) -> bool:
        """Whether a moment lies within."""
        minute = moment.astimezone(UTC).hour * 60 + moment.astimezone(UTC).minute
        if self.start < self.end:
            return self.start <= minute < self.end
        return minute >= self.start or minute < self.end


@dataclass(frozen=True, slots=True, kw_only=True)
class ThrottleOptions:
    """How a purge is held back; by default by nothing but the pause switch. Names as in pt-archiver where it has one.

    :param max_lag: seconds that a replica may be behind; one whose lag is unknown is too far behind.
    :param max_load: sessions that may run a statement at the source, the purge's own left out.
    :param rows_per_second: rows that a run deletes at most in a second; a transaction then holds at most as many.
    :param sleep_ratio: seconds of rest for each second that a transaction took.
    :param hours: daily window in UTC in which rows may be deleted, ``HH:MM-HH:MM``; it may cross midnight.
    :param run_time: how long a run lasts, its pauses included, before it ends unfinished.
    :param limit: rows that a run deletes before it ends unfinished.
    :raises FatalError: a value cannot be used.
    """

    max_lag: float | None = None
    max_load: int | None = None
    rows_per_second: float | None = None
    sleep_ratio: float = 0.0
    hours: str | None = None
    run_time: timedelta | None = None
    limit: int | None = None

    def __post_init__(self) -> None:
        for name, types, usable, wanted in _VALUES:
            value = getattr(self, name)
            fits = isinstance(value, types) and not isinstance(value, bool)
            if value is not None and not (fits and usable(value)):
                raise FatalError(f"{name} is {value!r}; it must be {wanted}")
        if self.hours is not None:
            Hours.parse(self.hours)

    def __str__(self) -> str:
        given = [(each, getattr(self, each.name)) for each in fields(self)]
        return ", ".join(f"{each.name} {value}" for each, value in given if value != each.default) or "none"

    def rows_within(self, seconds: float, most: int) -> int:
        """Rows that may be deleted within some seconds: at least one, at most ``most``."""
        if self.rows_per_second is None:
            return most
        return max(1, min(most, math.floor(self.rows_per_second * seconds)))


_NUMBER = (int, float)
_VALUES: tuple[tuple[str, tuple[type, ...], Callable[..., bool], str], ...] = (
    ("max_lag", _NUMBER, lambda value: 0 <= value < math.inf, "a number of seconds, 0 or more"),
    ("max_load", (int,), lambda value: value >= 0, "a whole number of sessions, 0 or more"),
    ("rows_per_second", _NUMBER, lambda value: 0 < value < math.inf, "a number of rows above 0"),
    ("sleep_ratio", _NUMBER, lambda value: 0 <= value < math.inf, "a number, 0 or more"),
    ("run_time", (timedelta,), lambda value: value > timedelta(0), "a timedelta above 0"),
    ("limit", (int,), lambda value: value >= 1, "a whole number of rows, 1 or more"),
)


@dataclass(frozen=True, slots=True)
class Factor:
    """One thing that is measured.

    :param name: its name in the report.
    :param check: gives the reason to pause, or None.
    """

    name: str
    check: Callable[[], str | None]


@dataclass(slots=True)
class _Sampled:
    """A factor that is asked at most once in :data:`POLL_SECONDS`; in between its last answer counts."""

    factor: Factor
    clock: Clock
    _asked: float = -math.inf
    _answer: str | None = None

    def answer(self) -> str | None:
        now = self.clock.monotonic()
        if now - self._asked >= POLL_SECONDS:
            self._asked, self._answer = now, self.factor.check()
        return self._answer


@dataclass(slots=True)
class Throttle:
    """Asked before each transaction of one run, and told of each.

    :param measured: factors that are measured.
    :param stopped: True ends the run.
    :param told: takes a line when a reason to pause appears, changes or is gone. Pace makes no lines.
    :ivar seconds: paused seconds by factor; of factors that hold at once each counts.
    :ivar total: paused seconds.
    """

    options: ThrottleOptions
    measured: Sequence[Factor] = ()
    stopped: Callable[[], bool] = lambda: False
    told: Callable[[str], None] = lambda line: None
    clock: Clock = field(default_factory=SystemClock)
    seconds: dict[str, float] = field(default_factory=dict, init=False)
    total: float = field(default=0.0, init=False)
    _samples: list[_Sampled] = field(init=False)
    _hours: Hours | None = field(init=False)
    _started: float = field(init=False)
    _deleted: int = field(default=0, init=False)
    _paced: dict[str, float] = field(default_factory=dict, init=False)
    _said: frozenset[str] = field(default=frozenset(), init=False)
    _said_at: float = field(default=-math.inf, init=False)

    def __post_init__(self) -> None:
        self._samples = [_Sampled(factor, self.clock) for factor in self.measured]
        self._hours = Hours.parse(self.options.hours) if self.options.hours else None
        self._started = self.clock.monotonic()

    def wait(self, patience: float = math.inf) -> Verdict:
        """Wait until the next transaction may begin, the run ends, or patience does.

        :param patience: seconds to wait at most; then the answer is ``HELD``.
        """
        began = self.clock.monotonic()
        while True:
            now = self.clock.monotonic()
            if ended := self._ended(now):
                return ended
            reasons = dict(self._reasons())
            self._tell(reasons, now)
            rests = {name: until - now for name, until in self._paced.items() if until > now}
            if not reasons and not rests:
                return Verdict.GO
            if now - began >= patience:
                return Verdict.HELD
            self.clock.sleep(POLL_SECONDS if reasons else min(POLL_SECONDS, max(rests.values())))
            spent = self.clock.monotonic() - now
            self.total += spent
            for name in (*reasons, *rests):
                self.seconds[name] = self.seconds.get(name, 0.0) + spent

    def rows(self, most: int) -> int:
        """Rows of the next transaction: at most ``most``, a second's worth, and what ``limit`` leaves."""
        left = most if self.options.limit is None else min(most, self.options.limit - self._deleted)
        return self.options.rows_within(1.0, left)

    def worked(self, rows: int, deleted: int, seconds: float) -> None:
        """Note a transaction that just ended: rows that it looked at, rows that it deleted, seconds that it took."""
        now = self.clock.monotonic()
        self._deleted += deleted
        if self.options.rows_per_second is not None:
            self._paced["rows_per_second"] = now - seconds + rows / self.options.rows_per_second
        if self.options.sleep_ratio:
            self._paced["sleep_ratio"] = now + seconds * self.options.sleep_ratio

    def _ended(self, now: float) -> Verdict | None:
        options = self.options
        if self.stopped():
            return Verdict.STOPPED
        if options.limit is not None and self._deleted >= options.limit:
            return Verdict.LIMIT
        if options.run_time is not None and now - self._started >= options.run_time.total_seconds():
            return Verdict.RUN_TIME
        return None

    def _reasons(self) -> Iterator[tuple[str, str]]:
        """Factors that hold the run at this moment, each with its reason."""
        if self._hours is not None and not self._hours.contain(self.clock.now()):
            yield "hours", f"it is {self.clock.now():%H:%M} UTC, outside of {self.options.hours}"
        for sample in self._samples:
            if reason := sample.answer():
                yield sample.factor.name, reason

    def _tell(self, reasons: dict[str, str], now: float) -> None:
        if reasons.keys() == self._said or now - self._said_at < _QUIET_SECONDS:
            return
        self._said, self._said_at = frozenset(reasons), now
        if reasons:
            self.told("paused: " + "; ".join(f"{name}: {reason}" for name, reason in reasons.items()))
        else:
            self.told(f"going on; paused for {self.total:.0f} s in all")
