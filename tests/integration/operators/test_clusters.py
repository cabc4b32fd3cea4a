"""Where tables are made, from the Airflow connection and the operator to the server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException
from clickhouse_connect.driver.client import Client

from airflow_provider_chista.clickhouse.cluster import CLIENT_SETTINGS
from airflow_provider_chista.clickhouse.control import TABLES
from airflow_provider_chista.hooks.clickhouse import ChistaClickHouseHook
from airflow_provider_chista.operators.table import CreateArchiveTableOperator
from stack.settings import Stack
from tests.integration.operators.conftest import Place
from tests.integration.support import clickhouses, services
from tests.integration.support.tasks import context

Give = Callable[..., str]


@pytest.fixture(scope="module")
def server(
    stack_env: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[clickhouses.PrivateServer]:
    folder: Path = tmp_path_factory.mktemp("pair")
    with clickhouses.pair(Stack.from_environment(), folder) as servers:
        yield servers[0]


@pytest.fixture
def connect(server: clickhouses.PrivateServer, given: Give, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Makes a connection to the private server with extra fields, and a state database for it; gives that one's name."""

    def made(**extra: Any) -> str:
        given("private", "clickhouse_default", port=server.http, password=clickhouses.PASSWORD, extra=extra)
        database = f"chista_{services.token()}"
        monkeypatch.setenv("AIRFLOW__CHISTA__STATE_DATABASE", database)
        return database

    return made


def create(place: Place, target: str, **more: Any) -> dict[str, str]:
    return CreateArchiveTableOperator(
        task_id="create",
        tables={place.orders["table"]: target},
        clickhouse_conn_id="private",
        **{**place.systems, **more},
    ).execute(context())


def engines(client: Client, database: str) -> dict[str, str]:
    rows = client.query(
        "SELECT name, engine FROM system.tables WHERE database = {d:String} AND engine != 'View'",
        parameters={"d": database},
    ).result_rows
    return {row[0]: row[1] for row in rows}


@pytest.mark.parametrize(
    ("extra", "more", "state", "archive"),
    [
        ({}, {}, False, False),
        ({"chista_replicated": True}, {}, True, True),
        ({}, {"replicated": True}, False, True),
        ({"chista_replicated": True}, {"replicated": False}, True, False),
    ],
    ids=["nobody", "connection", "operator", "operator against connection"],
)
def test_tables_are_replicated_as_connection_and_operator_say(
    place: Place,
    server: clickhouses.PrivateServer,
    connect: Callable[..., str],
    extra: dict[str, Any],
    more: dict[str, Any],
    state: bool,
    archive: bool,
) -> None:
    database, target = connect(**extra), f"archive_{services.token()}"
    assert create(place, f"{target}.orders", **more) == {f"{target}.orders": "created"}
    client = server.client()
    assert engines(client, target) == {"orders": f"{'Replicated' if archive else ''}ReplacingMergeTree"}
    made = engines(client, database)
    assert made.keys() == TABLES.keys()
    assert {engine.startswith("Replicated") for engine in made.values()} == {state}


@pytest.mark.parametrize(
    ("extra", "more"),
    [
        ({"chista_cluster": clickhouses.SHARDS, "chista_replicated": True}, {}),
        ({}, {"cluster": clickhouses.SHARDS, "replicated": True}),
    ],
    ids=["connection", "operator"],
)
def test_a_cluster_of_several_shards_fails_the_task(
    place: Place, connect: Callable[..., str], extra: dict[str, Any], more: dict[str, Any]
) -> None:
    connect(**extra)
    with pytest.raises(AirflowFailException, match="the cluster shards has 2 shards"):
        create(place, f"archive_{services.token()}.orders", **more)


def test_a_distributed_target_fails_the_task_and_names_the_local_table(
    place: Place, server: clickhouses.PrivateServer, connect: Callable[..., str]
) -> None:
    connect()
    database, client = f"archive_{services.token()}", server.client()
    create(place, f"{database}.orders")
    client.command(
        f"CREATE TABLE {database}.everywhere AS {database}.orders"
        f" ENGINE = Distributed({clickhouses.SHARDS}, {database}, orders)"
    )
    with pytest.raises(AirflowFailException, match=rf"holds the rows, {database}\.orders on the server"):
        create(place, f"{database}.everywhere")


def test_every_client_of_the_hook_has_the_settings_whatever_the_connection_says(
    connect: Callable[..., str],
) -> None:
    connect(session_settings={"insert_quorum": 0, "select_sequential_consistency": 0, "max_threads": 3})
    client = ChistaClickHouseHook("private").get_client()
    found = {row[0]: row[1] for row in client.query("SELECT name, value FROM system.settings").result_rows}
    wanted = {name: str(value) for name, value in {**CLIENT_SETTINGS, "max_threads": 3}.items()}
    assert {name: found[name] for name in wanted} == wanted
