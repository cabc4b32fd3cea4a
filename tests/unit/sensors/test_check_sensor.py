"""What all sensors share, with checks that need no service."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
from airflow.sdk import Context
from airflow.sdk.exceptions import (
    AirflowFailException,
    AirflowRescheduleException,
    AirflowSensorTimeout,
    AirflowSkipException,
    TaskDeferred,
)

from airflow_provider_chista.archive.barrier import ConnectorFailedError
from airflow_provider_chista.errors import FatalError, RefusedError, TransientError
from airflow_provider_chista.hooks.services import Connections
from airflow_provider_chista.sensors.base import CheckSensor
from airflow_provider_chista.sensors.capture import SourceCapturedSensor
from airflow_provider_chista.sensors.topic import TopicDrainedSensor
from airflow_provider_chista.sensors.window import WindowVerifiedSensor
from airflow_provider_chista.triggers.check import CheckTrigger
from airflow_provider_chista.triggers.checks import CHECKS, Checked

Looks = Iterator[Checked | Exception]

WAIT, DONE = Checked(False, "3 left"), Checked(True, "0 left", {"left": 0})


class Scripted(CheckSensor):
    """A sensor whose looks are given by the test."""

    check: ClassVar[str] = "scripted"

    def arguments(self, context: Context) -> dict[str, Any]:
        return {"name": "n"}


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[tuple[Connections, dict[str, Any]]]]:
    """Sets what the check finds, look by look; returns the list of the looks taken."""

    def script(*found: Checked | Exception) -> list[tuple[Connections, dict[str, Any]]]:
        left, taken = iter(found), []

        def scripted(connections: Connections, **arguments: Any) -> Checked:
            taken.append((connections, arguments))
            outcome = next(left)
            if isinstance(outcome, Exception):
                raise outcome
            return outcome

        monkeypatch.setitem(CHECKS, "scripted", scripted)
        return taken

    return script


def sensor(**arguments: Any) -> Scripted:
    return Scripted(task_id="t", source_conn_id="shop_verify", poke_interval=0, **arguments)


def context(**more: Any) -> Any:
    ti = SimpleNamespace(
        dag_id="d",
        run_id="r",
        task_id="t",
        map_index=-1,
        try_number=1,
        get_first_reschedule_date=lambda c: None,
    )
    return {"ti": ti, "params": {}, **more}


def test_by_poke_it_looks_until_the_check_is_done_and_returns_its_value(looks: Any) -> None:
    taken = looks(WAIT, WAIT, DONE)
    assert sensor().execute(context()) == {"left": 0}
    assert len(taken) == 3
    assert taken[0] == (Connections("shop_verify"), {"name": "n"})


def test_by_reschedule_it_gives_the_slot_back_between_two_looks(looks: Any) -> None:
    looks(WAIT, DONE)
    waiting = sensor(mode="reschedule")
    with pytest.raises(AirflowRescheduleException):
        waiting.execute(context())
    assert waiting.execute(context()) == {"left": 0}


def test_deferrable_it_defers_when_the_check_is_not_done(looks: Any) -> None:
    looks(WAIT)
    with pytest.raises(TaskDeferred) as deferred:
        sensor(deferrable=True, timeout=90).execute(context())
    trigger = deferred.value.trigger
    assert isinstance(trigger, CheckTrigger)
    assert (trigger.check, trigger.arguments) == ("scripted", {"name": "n"})
    assert Connections(**trigger.connections) == Connections("shop_verify")
    assert deferred.value.timeout == timedelta(seconds=90)
    assert deferred.value.method_name == "execute_complete"


def test_deferrable_it_does_not_defer_when_the_check_is_done_already(looks: Any) -> None:
    looks(DONE)
    assert sensor(deferrable=True).execute(context()) == {"left": 0}


@pytest.mark.parametrize("deferrable", [False, True])
@pytest.mark.parametrize(
    "error", [FatalError("no such connector; register it"), RefusedError("no such connector; register it")]
)
def test_a_fatal_error_fails_the_task_at_once(looks: Any, error: Exception, deferrable: bool) -> None:
    looks(error)
    with pytest.raises(AirflowFailException, match="no such connector; register it"):
        sensor(deferrable=deferrable).execute(context())


@pytest.mark.parametrize("deferrable", [False, True])
def test_a_failed_connector_fails_the_try_so_that_the_next_one_finds_it_restarted(
    looks: Any, deferrable: bool
) -> None:
    looks(ConnectorFailedError("task 0 FAILED: no slot"))
    with pytest.raises(ConnectorFailedError, match="no slot"):
        sensor(deferrable=deferrable).execute(context())


def test_a_service_that_does_not_answer_is_looked_at_again(
    looks: Any, caplog: pytest.LogCaptureFixture
) -> None:
    taken = looks(TransientError("Kafka Connect does not answer"), DONE)
    assert sensor().execute(context()) == {"left": 0}
    assert len(taken) == 2
    looks(TransientError("Kafka Connect does not answer"))
    with pytest.raises(TaskDeferred):
        sensor(deferrable=True).execute(context())


def test_a_wait_without_end_is_a_timeout(looks: Any) -> None:
    looks(*[WAIT] * 1000)
    with pytest.raises(AirflowSensorTimeout):
        sensor(timeout=0).execute(context())


@pytest.mark.parametrize("deferrable", [False, True])
def test_soft_fail_skips_instead(looks: Any, deferrable: bool) -> None:
    looks(FatalError("no such connector"))
    with pytest.raises(AirflowSkipException):
        sensor(deferrable=deferrable, soft_fail=True).execute(context())


@pytest.mark.parametrize(
    ("event", "outcome"),
    [
        ({"value": {"left": 0}}, {"left": 0}),
        ({"fatal": "the snapshot failed"}, AirflowFailException),
        ({"failed": "task 0 FAILED"}, ConnectorFailedError),
    ],
    ids=["value", "fatal", "failed"],
)
def test_the_triggers_event_becomes_the_tasks_outcome(event: dict[str, Any], outcome: Any) -> None:
    waited = sensor(deferrable=True)
    if isinstance(outcome, type):
        with pytest.raises(outcome, match=str(next(iter(event.values())))):
            waited.execute_complete(context(), event)
    else:
        assert waited.execute_complete(context(), event) == outcome


def captured(**ti: Any) -> str:
    task = SourceCapturedSensor(
        task_id="t", connector="c", topic_prefix="p", tables=["s.t"], source_conn_id="shop_verify"
    )
    run = context()
    vars(run["ti"]).update(ti)
    return str(task.arguments(run)["marker_id"])


def test_each_try_takes_a_barrier_of_its_own_and_all_its_looks_the_same_one() -> None:
    assert captured() == captured()
    others = [{"try_number": 2}, {"run_id": "r2"}, {"map_index": 0}, {"task_id": "u"}, {"dag_id": "e"}]
    markers = {captured(), *(captured(**other) for other in others)}
    assert len(markers) == 1 + len(others)
    assert max(map(len, markers)) <= 64


@pytest.mark.parametrize(
    ("barrier", "ends"),
    [({"p.shop.orders": {"0": 7}, "p.chista.purge_log": {}}, {"0": 7}), (None, None)],
    ids=["to a barrier", "to the ends of now"],
)
def test_a_drained_topic_is_that_of_the_table(barrier: Any, ends: Any) -> None:
    task = TopicDrainedSensor(
        task_id="t", table="shop.orders", target="archive.orders", topic_prefix="p", barrier=barrier
    )
    assert task.arguments(context()) == {"topic": "p.shop.orders", "target": "archive.orders", "ends": ends}


def verified(column: str | None, **run: Any) -> Any:
    task = WindowVerifiedSensor(
        task_id="t", table="shop.orders", target="archive.orders", source_conn_id="v", time_column=column
    )
    return task.arguments(context(**run))["window"]


def test_the_verified_window_is_the_runs() -> None:
    start, end = datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 1, 2, tzinfo=UTC)
    run = {"data_interval_start": start, "data_interval_end": end, "logical_date": start}
    assert verified("day", **run) == ["day", "2024-01-01T00:00:00+00:00", "2024-01-02T00:00:00+00:00"]
    assert verified(None, **run) is None
    with pytest.raises(AirflowFailException, match="no data interval"):
        verified("day")
