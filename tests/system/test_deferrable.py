"""Every sensor waits in the triggerer, with connections that only Airflow's metadata database has."""

from __future__ import annotations

import json
from datetime import date

import pytest
from clickhouse_connect.driver.client import Client

from airflow_provider_chista.debezium.connect import KafkaConnectClient
from airflow_provider_chista.debezium.offsets import snapshot_running
from airflow_provider_chista.model import TableId
from stack.connections import connections
from stack.settings import Stack
from tests.integration.support.engines import ENGINES, Connector
from tests.system.support.airflow import Airflow, Run, wait_for
from tests.system.support.tables import TITLES, titles

PAIR = TITLES["mysql"]
STORED = {
    "stored_mysql_verify": "mysql_verify",
    "stored_kafka": "kafka_default",
    "stored_kafka_connect": "kafka_connect_default",
    "stored_clickhouse": "clickhouse_default",
}
WINDOW = ("1994-01-01", "1994-01-02")


@pytest.fixture(scope="module")
def stored(airflow: Airflow, stack: Stack) -> None:
    """Nothing in the environment of Airflow's processes knows these names."""
    for name, original in STORED.items():
        known = dict(connections(stack)[original])
        if "extra" in known:
            known["extra"] = json.dumps(known["extra"])
        airflow.call("POST", "/connections", {"connection_id": name, **known}, 201)


def streams(connect: KafkaConnectClient) -> bool:
    offset = connect.offsets("systest-mysql")
    return offset is not None and not snapshot_running(offset)


@pytest.fixture(scope="module")
def run(airflow: Airflow, stack: Stack, connect: KafkaConnectClient, loaded: None, stored: None) -> Run:
    """A connector that captures another table runs already and is paused: nothing that the sensors wait for holds."""
    PAIR.insert(titles(date(1994, 1, 1), 25))
    other = Connector(ENGINES["mysql"], "systest_mysql", [TableId("employees", "departments")])
    spec = other.spec(name="systest-mysql")
    connect.put_config("systest-mysql", spec.config())
    wait_for("the connector to run", 60, lambda: connect.status("systest-mysql").running)
    wait_for("the connector to stream", 60, lambda: streams(connect))
    connect.pause("systest-mysql")
    wait_for("the connector to pause", 60, lambda: connect.status("systest-mysql").state == "PAUSED")
    dag = airflow.dag("systest_deferrable")
    dag.unpause()
    return dag.archive(*WINDOW)


def deferred(run: Run, *tasks: str) -> None:
    for task in tasks:
        run.wait_for_task(task, "deferred")


def test_each_sensor_defers_and_ends_when_what_it_waits_for_has_come(
    run: Run, connect: KafkaConnectClient, clickhouse: Client
) -> None:
    deferred(run, "window_verified", "connector_running")
    connect.resume("systest-mysql")
    # A table that was added to a running connector: its snapshot is asked for by signal.
    run.wait_for_task("source_captured", "success", seconds=240)
    deferred(run, "topic_drained")
    assert run.states()["window_verified"] == "deferred"
    run.answer({"go_on": ("Approve", None)})
    run.wait()


@pytest.mark.parametrize(
    ("task", "value"),
    [
        ("connector_running", "RUNNING"),
        ("snapshot_completed", {"employees.titles": 25}),
        ("topic_drained", 0),
    ],
)
def test_what_the_trigger_found_is_the_value_of_the_task(run: Run, task: str, value: object) -> None:
    assert run.xcom(task) == value


@pytest.mark.parametrize("task", ["snapshot_completed", "source_captured", "window_verified"])
def test_the_looks_of_the_trigger_are_in_the_log_of_the_task(run: Run, task: str) -> None:
    said = run.log(task)
    assert [event for event in said if "Pausing task as DEFERRED" in str(event.get("event"))]
    assert [event for event in said if "triggers.check" in str(event.get("logger"))]


def test_the_window_that_was_waited_for_is_the_one_that_was_proven(run: Run, clickhouse: Client) -> None:
    assert run.xcom("window_verified") == {"verify_id": run.xcom("verify")["verify_id"], "rows": 25}
    assert PAIR.in_archive(clickhouse) == PAIR.in_source()


def test_triggers_are_stored_without_passwords(run: Run, airflow: Airflow, stack: Stack) -> None:
    """A trigger of a task that waits is in the REST interface; so it may hold names of connections only."""
    text = json.dumps(run.tasks())
    assert not [name for name, value in stack.secrets.items() if value in text]
