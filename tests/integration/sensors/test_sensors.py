"""Sensors on real services where a run cannot go on: the message says what and why, and whether waiting helps."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSensorTimeout, TaskDeferred

from airflow_provider_chista.archive.barrier import ConnectorFailedError
from airflow_provider_chista.debezium.protocol import Policy
from airflow_provider_chista.hooks.services import Connections
from airflow_provider_chista.sensors.capture import SourceCapturedSensor
from airflow_provider_chista.sensors.connector import ConnectorRunningSensor
from airflow_provider_chista.sensors.topic import TopicDrainedSensor
from airflow_provider_chista.triggers.check import CheckTrigger, stored
from tests.integration.support import services
from tests.integration.support.engines import Connector, connector, wait_for
from tests.integration.support.ports import free_port
from tests.integration.support.tasks import connection, context


@pytest.fixture(scope="module")
def registered(stack_env: dict[str, str]) -> Iterator[Connector]:
    tables = {"orders": "CREATE TABLE {schema}.orders (id INT PRIMARY KEY)"}
    with connector("mysql", tables) as made:
        made.register()
        wait_for(lambda: made.connect.status(made.name).running)
        yield made


@pytest.fixture(scope="module")
def failed(registered: Connector) -> Iterator[Connector]:
    """A connector whose task fails again and again: it is told to recover a history that there is not."""
    broken = Connector(registered.engine, f"{registered.name}_f", registered.tables)
    broken.register(overrides={"snapshot.mode": "recovery"})
    wait_for(lambda: broken.connect.status(broken.name).failed, 60)
    yield broken
    broken.connect.delete(broken.name)
    broken.connect.close()
    broken.engine.execute(f"DELETE FROM chista.heartbeat WHERE id = '{broken.name}'")
    services.delete_topics(f"{broken.name}.")


def stays_failed(broken: Connector) -> bool:
    """A restart that an earlier look asked for is over."""
    before = broken.connect.status(broken.name).failed
    time.sleep(2)
    return before and broken.connect.status(broken.name).failed


def running(name: str, **more: Any) -> ConnectorRunningSensor:
    return ConnectorRunningSensor(task_id="t", connector=name, poke_interval=0.2, **more)


@pytest.mark.parametrize("deferrable", [False, True])
def test_a_connector_that_runs_is_no_wait(registered: Connector, deferrable: bool) -> None:
    assert running(registered.name, deferrable=deferrable).execute(context()) == "RUNNING"


def test_a_connector_that_does_not_exist_fails_at_once_with_its_name(stack_env: dict[str, str]) -> None:
    with pytest.raises(AirflowFailException, match="no_such_connector"):
        running("no_such_connector").execute(context())


@pytest.mark.parametrize("deferrable", [False, True])
def test_a_failed_connector_shows_the_cause_of_its_trace_and_what_was_done(
    failed: Connector, deferrable: bool
) -> None:
    wait_for(lambda: stays_failed(failed), 60)
    with pytest.raises(ConnectorFailedError) as raised:
        running(failed.name, deferrable=deferrable).execute(context())
    said = str(raised.value)
    assert "FAILED" in said
    assert "recovery" in said
    assert "restarted; if they fail again, mend the cause" in said


def test_kafka_connect_that_is_down_is_waited_for(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, stack_env: dict[str, str]
) -> None:
    impatient = partial(Policy, patience=0, startup=0)
    monkeypatch.setattr("airflow_provider_chista.hooks.kafka_connect.Policy", impatient)
    monkeypatch.setenv(
        "AIRFLOW_CONN_DOWN", connection("kafka_connect_default", port=free_port(), extra={"timeout": 1})
    )
    with pytest.raises(TaskDeferred):
        running("any", kafka_connect_conn_id="down", deferrable=True).execute(context())


async def test_a_trigger_finds_the_connection_in_its_thread_and_ends(registered: Connector) -> None:
    """The whole trigger, from what Airflow stores of it."""
    made = CheckTrigger(
        "connector_running", stored(Connections("mysql_verify")), {"connector": registered.name}, 0.1
    )
    _, arguments = made.serialize()
    events = [event async for event in CheckTrigger(**json.loads(json.dumps(arguments))).run()]
    assert [event.payload for event in events] == [{"value": "RUNNING"}]


def captured(registered: Connector, tables: list[str], **more: Any) -> SourceCapturedSensor:
    return SourceCapturedSensor(
        task_id="t", connector=registered.name, topic_prefix=registered.name, tables=tables,
        source_conn_id="mysql_verify", poke_interval=0.2, **more,
    )  # fmt: skip


def test_the_barrier_covers_what_was_committed_before_it(registered: Connector) -> None:
    table = f"{registered.schema}.orders"
    registered.engine.execute(f"INSERT INTO {table} VALUES (1), (2), (3)")
    first = captured(registered, [table]).execute(context())
    assert first[f"{registered.name}.{table}"] == {"0": 3}
    assert f"{registered.name}.chista.purge_log" in first


def test_a_table_that_the_connector_does_not_capture_is_named(registered: Connector) -> None:
    with pytest.raises(AirflowFailException, match="does not capture its table"):
        captured(registered, ["employees.titles"]).execute(context())


@pytest.mark.parametrize(
    ("ends", "outcome"),
    [({}, 0), ({"0": 0}, 0)],
    ids=["a topic without records at the barrier", "nothing to drain"],
)
def test_a_topic_with_nothing_to_drain_is_drained(
    registered: Connector, ends: dict[str, int], outcome: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with services.databases(services.clickhouse()) as (database, control):
        monkeypatch.setenv("AIRFLOW__CHISTA__STATE_DATABASE", control.database)
        task = TopicDrainedSensor(
            task_id="t", table=f"{registered.schema}.orders", target=f"{database}.orders",
            topic_prefix=registered.name, barrier={f"{registered.name}.{registered.schema}.orders": ends},
            poke_interval=0.1,
        )  # fmt: skip
        assert task.execute(context()) == outcome


def test_offsets_that_are_left_are_waited_for(registered: Connector, monkeypatch: pytest.MonkeyPatch) -> None:
    with services.databases(services.clickhouse()) as (database, control):
        monkeypatch.setenv("AIRFLOW__CHISTA__STATE_DATABASE", control.database)
        task = TopicDrainedSensor(
            task_id="t", table=f"{registered.schema}.orders", target=f"{database}.orders",
            topic_prefix=registered.name, poke_interval=0.1, timeout=0.3,
        )  # fmt: skip
        with pytest.raises(AirflowSensorTimeout):
            task.execute(context())
