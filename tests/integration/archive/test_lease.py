"""Two drains of one partition: one waits for the other or takes over, and the rows are those of one drain."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from airflow_provider_chista.archive import lease
from airflow_provider_chista.archive.lease import Lease, TakenOverError
from airflow_provider_chista.archive.report import DrainLimits
from airflow_provider_chista.errors import TransientError
from tests.integration.support.streams import Stream, names, value

Streams = Callable[..., Stream]
SMALL = DrainLimits(batch_rows=500)


def filled(stream: Streams) -> Stream:
    made = stream(limits=SMALL).create()
    made.send(*names(6_000), *(value("u", number, "u") for number in range(0, 6_000, 3)))
    made.send(*(value("d", number) for number in range(7)))
    return made


def require_as_one(made: Stream) -> None:
    other = Stream(made.client, made.control, made.database, made.prefix, f"{made.prefix}_alone")
    other.drain()
    assert made.everything() == other.everything()
    assert made.positions() == other.positions()


def lease_of(made: Stream, task: str) -> Lease:
    return Lease(made.control, str(made.target), made.topic, [0], task)


def held(made: Stream, task: str = "other") -> Lease:
    holder = lease_of(made, task)
    holder.acquire(0)
    return holder


def test_a_drain_of_another_task_waits_and_then_has_nothing_left_to_do(stream: Streams) -> None:
    made = filled(stream)
    begun = threading.Event()
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(made.drain, task="first", progress=lambda report: begun.set())
        assert begun.wait(30)
        second = pool.submit(made.drain, task="second")
        assert first.result()["records"] == 8_007
        assert (second.result()["records"], second.result()["remaining"]) == (0, 0)
    require_as_one(made)


def test_a_drain_of_the_same_task_takes_over_and_the_earlier_one_writes_nothing_more(stream: Streams) -> None:
    made = filled(stream)
    begun, taken = threading.Event(), threading.Event()

    def pause(report: object) -> None:
        begun.set()
        assert taken.wait(30)

    with ThreadPoolExecutor(1) as pool:
        zombie = pool.submit(made.drain, task="same", progress=pause)
        assert begun.wait(30)
        first = made.positions()[0]
        assert 0 < first < 8_007
        assert made.drain(task="same")["remaining"] == 0
        rows = made.everything()
        taken.set()
        with pytest.raises(TakenOverError, match="same has taken over"):
            zombie.result()
    assert made.everything() == rows
    require_as_one(made)


def test_who_waits_too_long_fails_and_can_be_tried_again(stream: Streams) -> None:
    made = filled(stream)
    holder = held(made)
    with pytest.raises(TransientError, match=r"other drains .*has not ended"):
        made.drain(task="later", limits=DrainLimits(seconds=0.5))
    assert made.positions() == {}
    holder.release()
    assert made.drain(task="later")["remaining"] == 0


def test_a_waiting_drain_that_is_stopped_ends(stream: Streams) -> None:
    made = filled(stream)
    held(made)
    with pytest.raises(TransientError, match="has not ended"):
        made.drain(task="later", stopped=lambda: True)


def test_a_lease_that_was_not_renewed_is_not_respected(
    stream: Streams, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = filled(stream)
    dead = held(made)
    monkeypatch.setattr(lease, "EXPIRES_SECONDS", 0.5)
    assert made.drain(task="later")["remaining"] == 0
    with pytest.raises(TakenOverError):
        # Given back by its successor, the lease of the dead one is still behind it.
        lease_after(made, dead)


def lease_after(made: Stream, dead: Lease) -> None:
    held(made, "another")
    dead.require()


def test_of_two_that_take_a_lease_at_once_one_has_it(stream: Streams) -> None:
    made = stream().create()
    leases = [lease_of(made, f"task {number}") for number in range(6)]

    def take(one: Lease) -> bool:
        try:
            one.acquire(0)
            one.require()
        except TransientError:
            return False
        return True

    with ThreadPoolExecutor(len(leases)) as pool:
        assert sum(pool.map(take, leases)) <= 1


def test_renewing_keeps_a_lease(stream: Streams, monkeypatch: pytest.MonkeyPatch) -> None:
    made = stream().create()
    holder = held(made)
    monkeypatch.setattr(lease, "EXPIRES_SECONDS", 1.0)
    monkeypatch.setattr(lease, "_RENEW_SECONDS", 0.0)
    for _ in range(4):
        threading.Event().wait(0.4)
        holder.require()
        with pytest.raises(TransientError, match="has not ended"):
            lease_of(made, "later").acquire(0)


def test_partitions_are_leased_apart(stream: Streams) -> None:
    made = stream().create(partitions=2)
    made.send(*names(10), partition=0)
    made.send(*names(10, 100), partition=1)
    held(made)  # partition 0
    assert made.drain(task="later", partitions=[1])["next_offsets"] == {"1": 10}
    assert sorted(made.shown()) == list(range(100, 110))


def test_a_lease_tells_what_its_drain_found_did_and_left(stream: Streams) -> None:
    made = filled(stream)
    limited = DrainLimits(batch_rows=500, rows=2_000)
    first = made.drain(task="first", limits=limited)
    assert made.drain(task="second")["remaining"] == 0
    told = made.control.rows(
        "SELECT task, released, first, next_offset, end_offset FROM"
        f" {made.control.name('leases')} FINAL WHERE target = {{target:String}} ORDER BY task",
        {"target": str(made.target)},
    )
    reached = first["next_offsets"]["0"]
    assert 0 < reached < 8_007
    assert [tuple(row.values()) for row in told] == [
        ("first", 1, 0, reached, 8_007),
        ("second", 1, reached, 8_007, 8_007),
    ]
