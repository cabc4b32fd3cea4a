from __future__ import annotations

import asyncio
import importlib
import json
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_chista.archive.barrier import ConnectorFailedError
from airflow_provider_chista.errors import FatalError, TransientError
from airflow_provider_chista.hooks.services import Connections
from airflow_provider_chista.triggers.check import CheckTrigger, stored
from airflow_provider_chista.triggers.checks import CHECKS, Checked

CONNECTIONS = Connections("shop_verify", "shop_purge")


def trigger(**arguments: Any) -> CheckTrigger:
    return CheckTrigger("scripted", stored(CONNECTIONS), arguments, 0.01)


def script(monkeypatch: pytest.MonkeyPatch, check: Callable[..., Checked]) -> None:
    monkeypatch.setitem(CHECKS, "scripted", check)


async def event_of(waiting: CheckTrigger) -> Any:
    events = [event async for event in waiting.run()]
    assert len(events) == 1
    return events[0].payload


def test_it_is_stored_as_json_and_comes_back_the_same() -> None:
    path, arguments = trigger(connector="c", tables=["s.t"]).serialize()
    module, _, name = path.rpartition(".")
    again = getattr(importlib.import_module(module), name)(**json.loads(json.dumps(arguments)))
    assert again.serialize() == (path, arguments)
    assert Connections(**again.connections) == CONNECTIONS


def test_it_stores_names_of_connections_and_nothing_of_what_they_hold(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    login = {"conn_type": "mysql", "host": "db", "login": "u", "password": "correct-horse-battery"}
    monkeypatch.setenv("AIRFLOW_CONN_SHOP_VERIFY", json.dumps(login))
    assert "correct-horse" not in json.dumps(trigger(connector="c").serialize())


async def test_it_looks_until_the_check_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = iter([Checked(False, "2 left"), TransientError("no answer"), Checked(True, "none left", 7)])
    asked = []

    def check(connections: Connections, **arguments: Any) -> Checked:
        asked.append((connections, arguments))
        found = next(looks)
        if isinstance(found, Exception):
            raise found
        return found

    script(monkeypatch, check)
    assert await event_of(trigger(connector="c")) == {"value": 7}
    assert asked == [(CONNECTIONS, {"connector": "c"})] * 3


@pytest.mark.parametrize(
    ("error", "event"),
    [
        (FatalError("the snapshot failed"), {"fatal": "the snapshot failed"}),
        (ConnectorFailedError("task 0 FAILED"), {"failed": "task 0 FAILED"}),
    ],
)
async def test_waiting_that_is_of_no_use_ends(
    monkeypatch: pytest.MonkeyPatch, error: Exception, event: dict[str, str]
) -> None:
    def check(connections: Connections) -> Checked:
        raise error

    script(monkeypatch, check)
    assert await event_of(trigger()) == event


async def test_looks_of_several_triggers_block_neither_the_loop_nor_each_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """All at the same moment in their look, or the barrier breaks: threads of their own, not asgiref's shared one."""
    together = threading.Barrier(4)

    def check(connections: Connections) -> Checked:
        assert threading.current_thread() is not threading.main_thread()
        together.wait(10)
        return Checked(True, "", threading.get_ident())

    script(monkeypatch, check)
    ticks, started = 0, time.monotonic()
    looks = asyncio.gather(*(event_of(trigger()) for _ in range(3)))
    while time.monotonic() - started < 0.1:
        ticks += 1
        await asyncio.sleep(0.001)
    await asyncio.to_thread(together.wait, 10)
    assert len({found["value"] for found in await looks}) == 3
    assert ticks > 5
