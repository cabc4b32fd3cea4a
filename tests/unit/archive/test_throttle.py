"""Every factor that holds a purge back, against a clock that the test advances."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from airflow_provider_chista.archive.throttle import (
    POLL_SECONDS,
    Factor,
    Hours,
    Throttle,
    ThrottleOptions,
    Verdict,
)
from airflow_provider_chista.errors import FatalError


@dataclass
class HandClock:
    """Time passes in sleep alone; ``at`` does something once that second is reached."""

    seconds: float = 0.0
    day: datetime = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
    events: dict[float, Callable[[], None]] = field(default_factory=dict)

    def monotonic(self) -> float:
        return self.seconds

    def now(self) -> datetime:
        return self.day + timedelta(seconds=self.seconds)

    def sleep(self, seconds: float) -> None:
        assert 0 < seconds <= POLL_SECONDS
        self.seconds += seconds
        for moment in [each for each in self.events if each <= self.seconds]:
            self.events.pop(moment)()
        assert self.seconds < 1e6, "the run waits for ever"


@dataclass
class Switch:
    """A factor that holds while its reason is set, and counts how often it was asked."""

    name: str
    reason: str | None = None
    asked: int = 0

    def check(self) -> str | None:
        self.asked += 1
        return self.reason

    def turn(self, reason: str | None) -> Callable[[], None]:
        return lambda: setattr(self, "reason", reason)

    @property
    def factor(self) -> Factor:
        return Factor(self.name, self.check)


def throttle(clock: HandClock, *switches: Switch, **options: Any) -> Throttle:
    return Throttle(ThrottleOptions(**options), [switch.factor for switch in switches], clock=clock)


@pytest.mark.parametrize(
    ("name", "values", "words"),
    [
        ("max_lag", [-1, float("nan"), float("inf"), "5", True], "a number of seconds, 0 or more"),
        ("max_load", [-1, 2.5, "3"], "a whole number of sessions"),
        ("rows_per_second", [0, -1, "10", float("inf")], "a number of rows above 0"),
        ("sleep_ratio", [-0.1, "1", float("nan")], "a number, 0 or more"),
        ("run_time", [timedelta(0), 60, "1h"], "a timedelta above 0"),
        ("limit", [0, -1, 1.5], "a whole number of rows, 1 or more"),
        ("hours", ["22-6", "24:00-06:00", "22:60-06:00", "", "night"], "HH:MM-HH:MM, such as 22:00-06:00"),
        ("hours", ["06:00-06:00"], "has no length"),
    ],
)
def test_a_value_that_cannot_be_used_is_named_with_what_it_must_be(
    name: str, values: list[Any], words: str
) -> None:
    for value in values:
        with pytest.raises(FatalError) as caught:
            ThrottleOptions(**{name: value})
        assert f"{name} is {value!r}" in str(caught.value)
        assert words in str(caught.value)


def test_zero_is_a_limit_and_nothing_is_none() -> None:
    assert str(ThrottleOptions()) == "none"
    assert str(ThrottleOptions(max_lag=0, max_load=0)) == "max_lag 0, max_load 0"


@pytest.mark.parametrize(
    ("hours", "inside", "outside"),
    [
        ("01:30-05:00", ["01:30", "04:59"], ["01:29", "05:00", "12:00"]),
        ("22:00-06:00", ["22:00", "23:59", "00:00", "05:59"], ["21:59", "06:00", "12:00"]),
        ("18:00-00:00", ["18:00", "23:59"], ["00:00", "17:59"]),
    ],
)
def test_hours_begin_with_their_first_minute_and_end_before_their_last(
    hours: str, inside: list[str], outside: list[str]
) -> None:
    def at(text: str) -> datetime:
        return datetime.fromisoformat(f"2026-01-01T{text}:00+00:00")

    assert all(Hours.parse(hours).contain(at(text)) for text in inside)
    assert not any(Hours.parse(hours).contain(at(text)) for text in outside)
    elsewhere = at(inside[0]).astimezone(tz=datetime.fromisoformat("2026-01-01T00:00:00+05:30").tzinfo)
    assert Hours.parse(hours).contain(elsewhere)


def test_nothing_holds_a_purge_by_default() -> None:
    clock = HandClock()
    made = throttle(clock)
    for _ in range(100):
        assert made.wait() is Verdict.GO
        made.worked(1_000, 1_000, 0.1)
    assert (clock.seconds, made.total, made.seconds) == (0.0, 0.0, {})


def test_a_purge_outside_of_its_hours_begins_when_they_do() -> None:
    clock = HandClock()
    made = throttle(clock, hours="12:30-13:00")
    assert made.wait() is Verdict.GO
    assert clock.now().strftime("%H:%M:%S") == "12:30:00"
    assert made.seconds == {"hours": 1800.0}


def test_a_factor_pauses_while_it_has_a_reason_and_ends_within_a_poll() -> None:
    clock = HandClock()
    lag = Switch("max_lag", "replica is 9 s behind")
    clock.events = {3.2: lag.turn(None)}
    made = throttle(clock, lag)
    assert made.wait() is Verdict.GO
    assert 3.2 <= clock.seconds <= 3.2 + POLL_SECONDS
    assert made.total == made.seconds["max_lag"] == clock.seconds


@pytest.mark.parametrize("first", [0, 1])
def test_no_factor_overrides_another(first: int) -> None:
    """Of two that hold, the last to let go decides, whichever it is; both are accounted."""
    clock = HandClock()
    switches = [Switch("max_lag", "a"), Switch("sentinel", "b")]
    clock.events = {2.0: switches[first].turn(None), 5.0: switches[1 - first].turn(None)}
    made = throttle(clock, *switches, rows_per_second=1)
    assert made.wait() is Verdict.GO
    assert clock.seconds == 5.0
    assert (made.seconds[switches[first].name], made.seconds[switches[1 - first].name]) == (2.0, 5.0)
    assert made.total == 5.0


def test_the_pace_does_not_override_a_pause_nor_a_pause_the_pace() -> None:
    clock = HandClock()
    switch = Switch("sentinel")
    made = throttle(clock, switch, rows_per_second=10)
    made.worked(100, 100, 0.0)
    clock.events = {1.0: switch.turn("stop"), 4.0: switch.turn(None)}
    assert made.wait() is Verdict.GO
    assert clock.seconds == 10.0
    clock.events = {15.0: switch.turn("stop"), 25.0: switch.turn(None)}
    made.worked(100, 100, 0.0)
    assert made.wait() is Verdict.GO
    assert clock.seconds >= 25.0


def test_a_factor_is_asked_at_most_twice_a_second() -> None:
    clock = HandClock()
    switch = Switch("sentinel")
    made = throttle(clock, switch)
    for _ in range(1_000):
        assert made.wait() is Verdict.GO
        clock.seconds += 0.01
    assert switch.asked == 20
    switch.reason = "stop"
    clock.events = {clock.seconds + 10: switch.turn(None)}
    made.wait()
    assert switch.asked <= 20 + 21


@pytest.mark.parametrize(("rate", "rows"), [(10, 10), (3.5, 3), (0.25, 1), (1_000_000, 500)])
def test_rows_per_second_hold_on_average_and_a_transaction_takes_a_seconds_worth(
    rate: float, rows: int
) -> None:
    clock = HandClock()
    made = throttle(clock, rows_per_second=rate)
    assert made.rows(500) == rows
    done = 0
    for _ in range(20):
        assert made.wait() is Verdict.GO
        clock.seconds += 0.001
        done += made.rows(500)
        made.worked(made.rows(500), made.rows(500), 0.001)
    made.wait()
    assert done / clock.seconds <= rate * 1.0001
    if rate < 500:
        assert done / clock.seconds >= rate * 0.99
        assert made.seconds["rows_per_second"] == pytest.approx(clock.seconds - 0.02)


def test_a_pause_is_not_made_up_for_afterwards() -> None:
    clock = HandClock()
    made = throttle(clock, rows_per_second=100)
    clock.seconds = 1_000.0
    made.worked(100, 100, 0.1)
    made.wait()
    assert clock.seconds == pytest.approx(1_000.9)


def test_sleep_ratio_rests_in_proportion_to_the_work() -> None:
    clock = HandClock()
    made = throttle(clock, sleep_ratio=2)
    clock.seconds = 3.0
    made.worked(100, 100, 3.0)
    assert made.wait() is Verdict.GO
    assert clock.seconds == pytest.approx(9.0)
    assert made.seconds == {"sleep_ratio": pytest.approx(6.0)}


def test_limit_counts_deleted_rows_and_is_met_exactly() -> None:
    clock = HandClock()
    made = throttle(clock, limit=25)
    taken = []
    while made.wait() is Verdict.GO:
        taken.append(made.rows(10))
        made.worked(taken[-1], taken[-1] - (len(taken) == 1), 0.1)
    assert taken == [10, 10, 6]
    assert made.wait() is Verdict.LIMIT


def test_run_time_ends_a_run_and_a_pause() -> None:
    clock = HandClock()
    made = throttle(clock, Switch("sentinel", "for ever"), run_time=timedelta(seconds=30))
    assert made.wait() is Verdict.RUN_TIME
    assert clock.seconds == pytest.approx(30.0)


def test_a_stop_ends_a_pause_within_a_poll_and_before_anything_is_measured() -> None:
    clock = HandClock()
    stopped: list[bool] = []
    made = throttle(clock, Switch("sentinel", "for ever"))
    made.stopped = lambda: bool(stopped)
    clock.events = {7.3: lambda: stopped.append(True)}
    assert made.wait() is Verdict.STOPPED
    assert clock.seconds - 7.3 <= POLL_SECONDS
    switch = Switch("max_lag", "x")
    at_once = throttle(HandClock(), switch)
    at_once.stopped = lambda: True
    assert at_once.wait() is Verdict.STOPPED
    assert switch.asked == 0


def test_patience_ends_before_the_pause_does() -> None:
    clock = HandClock()
    made = throttle(clock, Switch("sentinel", "for ever"))
    assert made.wait(patience=1.0) is Verdict.HELD
    assert clock.seconds == 1.0


def test_lines_name_reasons_when_they_change_and_not_more_often() -> None:
    clock = HandClock()
    lag, sentinel = Switch("max_lag", "replica is 9.0 s behind"), Switch("sentinel")
    lines: list[tuple[float, str]] = []
    made = throttle(clock, lag, sentinel, rows_per_second=1)
    made.told = lambda line: lines.append((clock.seconds, line))
    clock.events = {
        10.0: lag.turn("replica is 8.0 s behind"),  # the same factor
        20.0: sentinel.turn("otto"),
        21.0: lag.turn(None),  # too soon after the line before
        60.0: sentinel.turn(None),
    }
    made.wait()
    for _ in range(5):
        made.worked(1, 1, 0.0)
        made.wait()
    assert lines == [
        (0.0, "paused: max_lag: replica is 9.0 s behind"),
        (20.0, "paused: max_lag: replica is 8.0 s behind; sentinel: otto"),
        (25.0, "paused: sentinel: otto"),
        (60.0, "going on; paused for 60 s in all"),
    ]
