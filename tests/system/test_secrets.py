"""After everything ran: no password is in anything that the provider wrote."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from airflow_provider_chista.debezium.connect import KafkaConnectClient
from stack.settings import Stack
from tests.system.support.airflow import Airflow, Run


@pytest.fixture(scope="module")
def runs(airflow: Airflow, triggered: Run, scheduled: Run) -> list[Run]:
    for run in (triggered, scheduled):
        run.wait()
    return airflow.runs()


def found(stack: Stack, texts: Iterator[tuple[str, str]]) -> list[str]:
    """Which secret is where; and that there was something to look at."""
    seen, hits = 0, []
    for place, text in texts:
        seen += 1
        hits += [f"{name} in {place}" for name, value in stack.secrets.items() if value in text]
    assert seen > 0
    return hits


def test_no_secret_is_in_any_task_log(stack: Stack, runs: list[Run]) -> None:
    logs = (stack.airflow_home / "logs").glob("dag_id=*/**/*.log")
    assert found(stack, ((str(log), log.read_text(errors="replace")) for log in logs)) == []


def test_no_secret_is_in_any_log_of_airflow_and_kafka_connect(stack: Stack, runs: list[Run]) -> None:
    logs = [*stack.logs.glob("airflow-*.log*"), *stack.logs.glob("connect.log*")]
    assert found(stack, ((log.name, log.read_text(errors="replace")) for log in logs)) == []


def test_no_secret_is_in_any_xcom_or_rendered_template(
    stack: Stack, airflow: Airflow, runs: list[Run]
) -> None:
    def texts() -> Iterator[tuple[str, str]]:
        for run in runs:
            yield run.run_id, json.dumps(run.facts())
            yield f"{run.run_id}: rendered fields and triggers", json.dumps(run.tasks())
            for task in run.tasks():
                path = f"{run.path}/taskInstances/{task}/xcomEntries"
                for entry in airflow.call("GET", path, limit=100)["xcom_entries"]:
                    yield (
                        f"{task} {entry['key']}",
                        json.dumps(run.xcom(task, entry["key"], entry["map_index"])),
                    )

    assert any(task["rendered_fields"] for task in runs[0].tasks().values())
    assert found(stack, texts()) == []


def test_kafka_connect_shows_references_instead_of_passwords(
    stack: Stack, connect: KafkaConnectClient, runs: list[Run]
) -> None:
    configs = {
        name: connect.config(name) or {}
        for name in ("mysql-connector-1", "mariadb-connector-1", "shipments-connector")
    }
    assert found(stack, ((name, json.dumps(config)) for name, config in configs.items() if config)) == []
    for name, config in configs.items():
        if config:
            assert config["database.password"].startswith("${env:CHISTA_"), name
