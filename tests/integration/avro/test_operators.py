"""The operators and sensors of a Dag, with a connector that writes Avro; the registry's password shows nowhere."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from airflow_provider_chista.errors import TransientError
from airflow_provider_chista.hooks.schema_registry import SchemaRegistryHook
from airflow_provider_chista.operators.connector import RegisterConnectorOperator
from airflow_provider_chista.operators.deadletters import ReplayDeadLettersOperator
from airflow_provider_chista.operators.drain import DrainTopicOperator
from airflow_provider_chista.operators.preflight import PreflightOperator
from airflow_provider_chista.operators.table import CreateArchiveTableOperator
from airflow_provider_chista.operators.verify import VerifyArchiveOperator
from airflow_provider_chista.sensors.capture import SourceCapturedSensor
from airflow_provider_chista.sensors.connector import ConnectorRunningSensor
from airflow_provider_chista.sensors.snapshot import SnapshotCompletedSensor
from tests.integration.support import services
from tests.integration.support.engines import Connector, connector, wait_for
from tests.integration.support.ports import free_port
from tests.integration.support.tasks import connection, context

PASSWORD = "hidden-registry-word"
ROWS = "CREATE TABLE {schema}.orders (id INT PRIMARY KEY, order_name VARCHAR(40) NULL, day DATE NOT NULL)"


@pytest.fixture(scope="module")
def archived(stack_env: dict[str, str]) -> Iterator[tuple[Connector, str]]:
    """A connector that is not registered, and a database for the archive."""
    client = services.clickhouse()
    with services.databases(client) as (database, control), pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIRFLOW__CHISTA__STATE_DATABASE", control.database)
        secret = {"login": "reader", "password": PASSWORD}
        patch.setenv("AIRFLOW_CONN_SECURED", connection("schema_registry_default", **secret))
        with connector("mysql", {"orders": ROWS}, avro=True) as captured:
            captured.engine.execute(
                f"INSERT INTO {captured.schema}.orders VALUES (%s, %s, %s)",
                many=[(i, f"n{i}", "2024-01-01") for i in range(50)],
            )
            yield captured, database


def done(sensor: Any) -> Any:
    """What a sensor finds, by the looks of one task."""
    task = context()
    return wait_for(lambda: (found := sensor.poke(task)).is_done and (found.xcom_value, True), 60, 0.3)[0]


def test_a_connector_is_registered_waited_for_drained_and_proven(
    archived: tuple[Connector, str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    made, database = archived
    shared = {"source_conn_id": "mysql_verify", "schema_registry_conn_id": "secured"}
    stream = {"connector": made.name, "topic_prefix": made.name}
    table = f"{made.schema}.orders"
    pair = {"table": table, "target": f"{database}.orders"}
    register = RegisterConnectorOperator(
        task_id="register", tables=[table], capture_conn_id="mysql_capture", heartbeat_ms=500,
        password="${env:CHISTA_MYSQL_CAPTURE_PASSWORD}", **stream, **shared,
    )  # fmt: skip
    preflight = PreflightOperator(
        task_id="preflight", tables={table: pair["target"]}, purge_tables=[], **shared
    )
    told = [preflight.execute(context()), register.execute(context())]
    stored = made.connect.config(made.name)
    assert stored is not None
    assert stored["value.converter"] == "io.apicurio.registry.utils.converter.AvroConverter"
    assert stored["value.converter.apicurio.auth.password"] == PASSWORD
    done(ConnectorRunningSensor(task_id="running", connector=made.name, **shared))
    CreateArchiveTableOperator(task_id="create", tables={table: pair["target"]}, **shared).execute(context())
    assert done(SnapshotCompletedSensor(task_id="snapshot", tables=[table], **stream, **shared)) == {
        table: 50
    }
    made.engine.execute(f"INSERT INTO {table} VALUES (50, NULL, '2024-01-01')")
    barrier = done(
        SourceCapturedSensor(task_id="captured", tables=[table], **stream, **shared),
    )
    drain = DrainTopicOperator(task_id="drain", topic_prefix=made.name, barrier=barrier, **pair, **shared)
    told.append(drain.execute(context()))
    assert (told[-1]["op_r"], told[-1]["op_c"]) == (50, 1)
    # What was not drained yet is drained by the proof.
    made.engine.execute(f"INSERT INTO {table} VALUES (51, 'late', '2024-01-01')")
    told.append(VerifyArchiveOperator(task_id="verify", **stream, **pair, **shared).execute(context()))
    assert told[-1]["rows"] == 52
    again = SnapshotCompletedSensor(task_id="again", tables=[table], again="once more", **stream, **shared)
    assert done(again) == {table: 52}
    replay = ReplayDeadLettersOperator(task_id="replay", **pair, **shared)
    told.append(replay.execute(context()))
    assert told[-1]["replayed"] == 0
    assert PASSWORD not in json.dumps(told, default=str) + caplog.text


def test_a_registry_that_does_not_answer_is_left_to_the_retries_without_its_password(
    archived: tuple[Connector, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = {"login": "reader", "password": PASSWORD, "port": free_port(), "extra": {"timeout": 1}}
    monkeypatch.setenv("AIRFLOW_CONN_AWAY", connection("schema_registry_default", **secret))
    hook = SchemaRegistryHook("away")
    with hook.get_client(patience=0.0) as client, pytest.raises(TransientError) as failed:
        client.schema(1)
    works, told = hook.test_connection()
    assert not works
    assert PASSWORD not in f"{failed.value!r} {told} {client!r}"
    assert SchemaRegistryHook("secured").test_connection()[0]
