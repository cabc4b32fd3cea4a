"""A topic that is followed: drains come as often as records do, and not more often."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from airflow_provider_chista.archive.follow import Follower
from airflow_provider_chista.archive.report import DrainLimits
from airflow_provider_chista.errors import FatalError
from tests.integration.support import services
from tests.integration.support.engines import wait_for
from tests.integration.support.streams import Stream, names

Streams = Callable[..., Stream]


def test_an_idle_topic_is_looked_at_and_not_drained(stream: Streams) -> None:
    made = stream().create()
    made.send(*names(10))
    with ThreadPoolExecutor(1) as pool:
        summary = pool.submit(Follower(made.drain_object(), threading.Event().wait).run, 5.0)
        wait_for(lambda: made.positions() == {0: 10})
        time.sleep(2)
        made.send(*names(5, 10))
        found = summary.result()
    assert (found["records"], found["op_c"], found["drains"]) == (15, 15, 2)
    assert made.stored() == 15


def test_a_trickle_is_taken_together(stream: Streams) -> None:
    made, stop = stream().create(), threading.Event()
    made.send(*names(1))
    with ThreadPoolExecutor(1) as pool:
        begun = time.monotonic()
        summary = pool.submit(Follower(made.drain_object(), stop.wait, spacing=2.0).run, 60.0)
        wait_for(lambda: made.positions() == {0: 1})
        for number in range(1, 41):
            made.send(*names(1, number))
            time.sleep(0.05)
        wait_for(lambda: made.positions() == {0: 41})
        stop.set()
        found = summary.result()
    assert found["records"] == 41
    assert 2 <= found["drains"] <= 2 + (time.monotonic() - begun) / 2.0 < 41


def test_a_backlog_is_drained_without_a_pause(stream: Streams) -> None:
    made = stream(limits=DrainLimits(rows=200, batch_rows=200)).create()
    made.send(*names(1_500))
    found = Follower(made.drain_object(), threading.Event().wait, spacing=60.0).run(20.0)
    assert (found["records"], found["remaining"]) == (1_500, 0)
    assert found["drains"] >= 7


def test_it_ends_when_asked(stream: Streams) -> None:
    made, stop = stream().create(), threading.Event()
    made.send(*names(10))
    threading.Timer(2.0, stop.set).start()
    begun = time.monotonic()
    assert Follower(made.drain_object(), stop.wait).run(60.0)["records"] == 10
    assert time.monotonic() - begun < 10


def test_a_topic_that_goes_away_meanwhile_is_noticed(stream: Streams) -> None:
    made = stream().create()
    made.send(*names(10))
    with ThreadPoolExecutor(1) as pool:
        following = pool.submit(Follower(made.drain_object(), threading.Event().wait).run, 20.0)
        wait_for(lambda: made.positions() == {0: 10})
        services.delete_topics(made.topic)
        with pytest.raises(FatalError, match="does not exist"):
            following.result()
