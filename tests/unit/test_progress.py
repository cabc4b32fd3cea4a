"""Lines of the log and values of the state store, as a stage shows its progress."""

from __future__ import annotations

import json
import logging
import socket
import threading
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import msgspec
import pytest
from airflow.sdk.execution_time import task_runner
from airflow.sdk.execution_time.comms import CommsDecoder, _ResponseFrame
from airflow.sdk.execution_time.supervisor import InProcessSupervisorComms

from airflow_provider_chista.archive.progress import Progress
from airflow_provider_chista.progress import Reporter
from tests.unit.docs.pages import code, page, rows, sections

LOG: Any = logging.getLogger("tests.progress")
EVERY = 0.05


class Store:
    """A state store as a task has it: values by key, through JSON."""

    def __init__(self, before: Callable[[], None] = lambda: None) -> None:
        self.values: list[dict[str, Any]] = []
        self.threads: set[str] = set()
        self._before = before

    def set(self, key: str, value: Any) -> None:
        assert key == "progress"
        self.threads.add(threading.current_thread().name)
        self._before()
        self.values.append(json.loads(json.dumps(value)))


def reporter(store: Store | None = None, **more: Any) -> Reporter:
    context: Any = {"ti": SimpleNamespace(try_number=2)}
    if store is not None:
        context["task_state_store"] = store
    return Reporter(context, "drain", LOG, **{"unit": "records", "every": EVERY, **more})


def wait_for(look: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 10
    while not look():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture(autouse=True)
def _every_line(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, LOG.name)


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == LOG.name]


def test_a_value_says_how_far_how_fast_and_for_how_long(caplog: pytest.LogCaptureFixture) -> None:
    store = Store()
    with reporter(store) as shown:
        shown.show(Progress("p.shop.orders", 1000, 3000, {0: 1000, 1: 2000}))
        wait_for(lambda: store.values)
        running = store.values[0]
        shown.show(Progress("p.shop.orders", 4000, 0))
    assert (running["stage"], running["what"], running["try_number"]) == ("drain", "p.shop.orders", 2)
    assert (running["records"], running["left"], running["ended"]) == (1000, 3000, False)
    assert running["left_by_partition"] == {"0": 1000, "1": 2000}
    # 1,000 records since the reporter was made, which was one look ago.
    assert 0 < running["per_second"] <= 1000 / EVERY
    assert running["eta_seconds"] == pytest.approx(3000 / running["per_second"], abs=1)
    ended = store.values[-1]
    assert (ended["records"], ended["left"], ended["eta_seconds"], ended["ended"]) == (4000, 0, None, True)
    assert lines(caplog)[0].startswith("drain of p.shop.orders: 1000 records so far, ")
    assert "/s, 3000 left, for about 0:00:0" in lines(caplog)[0]


def test_however_often_a_stage_tells_it_is_shown_at_intervals(caplog: pytest.LogCaptureFixture) -> None:
    store = Store()
    with reporter(store, every=0.3) as shown:
        started = time.monotonic()
        for rows in range(200_000):
            shown.show(Progress("t", rows))
        took = time.monotonic() - started
        ended = time.monotonic()
    looks = int((ended - started) / 0.3)
    assert len(lines(caplog)) <= looks
    assert len(store.values) <= looks + 1
    assert store.values[-1]["records"] == 199_999
    assert took < 5


def test_nothing_new_is_not_told_again(caplog: pytest.LogCaptureFixture) -> None:
    store = Store()
    with reporter(store) as shown:
        shown.show(Progress("t", 5))
        wait_for(lambda: store.values)
        time.sleep(6 * EVERY)
        assert (len(lines(caplog)), len(store.values)) == (1, 1)


def test_another_topic_has_a_rate_of_its_own() -> None:
    store = Store()
    with reporter(store) as shown:
        for look in range(15):
            shown.show(Progress("log", 1_000_000 + look))
            wait_for(lambda look=look: len(store.values) > look)
        shown.show(Progress("orders", 10, 10))
        wait_for(lambda: len(store.values) > 15)
    assert 0 < store.values[15]["per_second"] <= 10 / EVERY


def test_an_airflow_without_a_state_store_has_the_lines_alone(caplog: pytest.LogCaptureFixture) -> None:
    with reporter() as shown:
        shown.show(Progress("t", 5))
        wait_for(lambda: lines(caplog))
    assert len(lines(caplog)) == 1
    assert "left" not in lines(caplog)[0]


def test_the_store_of_dag_test_which_threads_cannot_share_is_left_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    comms = InProcessSupervisorComms(supervisor=None)  # type: ignore[arg-type]
    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", comms, raising=False)
    store = Store()
    with reporter(store) as shown:
        shown.show(Progress("t", 5))
    assert store.values == []


class Supervisor(threading.Thread):
    """The other end of a task's line to Airflow: says yes to everything, and keeps what was asked."""

    def __init__(self, line: socket.socket) -> None:
        super().__init__(daemon=True)
        self._line, self.asked = line, []
        self.start()

    def run(self) -> None:
        while head := self._line.recv(4):
            body = b""
            while len(body) < int.from_bytes(head, "big"):
                body += self._line.recv(65536)
            number, asked, *_ = msgspec.msgpack.decode(body)
            self.asked.append(asked)
            self._line.sendall(_ResponseFrame(id=number, body=None).as_bytes())


def test_airflows_own_store_takes_the_value_while_the_task_asks_for_other_things(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    state = pytest.importorskip("airflow.sdk._shared.state", reason="Airflow 3.2 has no store")
    from airflow.sdk.execution_time.context import TaskStateStoreAccessor

    near, far = socket.socketpair()
    supervisor = Supervisor(far)
    comms: CommsDecoder[Any, Any] = CommsDecoder(socket=near)
    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", comms, raising=False)
    store: Any = TaskStateStoreAccessor(uuid4(), state.TaskScope("d", "r", "t"))
    with near, far, reporter(store, every=0.01) as shown:
        for rows in range(200):
            shown.show(Progress("t", rows, 200 - rows, {0: 1}))
            store.set("other", rows)
        shown.show(Progress("t", 200, 0))
        shown.__exit__(None, None, None)
    told = [asked["value"] for asked in supervisor.asked if asked["key"] == "progress"]
    assert sum(asked["key"] == "other" for asked in supervisor.asked) == 200
    assert len(told) > 1
    assert (told[-1]["records"], told[-1]["ended"]) == (200, True)


def test_a_store_that_fails_is_told_of_once_and_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    answers = iter([False, False, True])

    def fail() -> None:
        if not next(answers, True):
            raise RuntimeError("no API server")

    store = Store(fail)
    with reporter(store) as shown:
        for rows in range(1, 100):
            shown.show(Progress("t", rows))
            time.sleep(EVERY / 2)
            if store.values:
                break
    assert store.values
    assert sum("could not be written" in line for line in lines(caplog)) == 1


def test_a_store_that_does_not_answer_holds_neither_the_stage_nor_its_end() -> None:
    free = threading.Event()
    store = Store(lambda: free.wait(30) and None)
    try:
        started = time.monotonic()
        with reporter(store) as shown:
            shown.show(Progress("t", 1))
            wait_for(lambda: store.threads)
            for rows in range(1000):
                shown.show(Progress("t", rows))
            assert time.monotonic() - started < 1
        assert time.monotonic() - started < 4
        assert store.threads == {"chista-progress"}
    finally:
        free.set()


def test_a_stage_that_told_nothing_leaves_nothing(caplog: pytest.LogCaptureFixture) -> None:
    store = Store()
    with reporter(store):
        time.sleep(2 * EVERY)
    assert (store.values, lines(caplog)) == ([], [])


def test_every_key_of_the_value_is_documented() -> None:
    found = set()
    for unit in ("records", "rows"):
        store = Store()
        with reporter(store, unit=unit) as shown:
            shown.show(Progress("t", 5))
        found |= set(store.values[-1])
    assert {
        key for cells in rows(sections(page("watching.md"))["Progress"]) for key in code(cells[0])
    } == found
