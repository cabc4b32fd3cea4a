"""A table at each test's own disposal, an archive and a state database of the module's own, and the stack's connections."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from clickhouse_connect.driver.client import Client

from airflow_provider_chista.clickhouse.control import Control
from airflow_provider_chista.model import TableId
from airflow_provider_chista.operators.table import CreateArchiveTableOperator
from tests.integration.sources.conftest import ThrowAway
from tests.integration.support import services
from tests.integration.support.engines import ENGINES, Connector, Engine
from tests.integration.support.tasks import connection, context


@dataclass(frozen=True)
class Place:
    """Names that the operators of a module work on.

    :param schema: at the source; also the topic prefix and the name of anything else that needs one.
    """

    engine: Engine
    client: Client
    control: Control
    schema: str
    database: str

    @property
    def orders(self) -> dict[str, Any]:
        return {"table": f"{self.schema}.orders", "target": f"{self.database}.orders"}

    @property
    def systems(self) -> dict[str, Any]:
        return {"source_conn_id": f"{self.engine.flavour}_verify"}


TABLES = (
    "CREATE TABLE {schema}.orders (id INT PRIMARY KEY, name VARCHAR(40) NULL, day DATE NOT NULL)",
    "CREATE TABLE {schema}.items (id INT PRIMARY KEY, order_id INT NOT NULL,"
    " CONSTRAINT item_order FOREIGN KEY (order_id) REFERENCES {schema}.orders (id) ON DELETE CASCADE)",
    "CREATE TABLE {schema}.keyless (id INT, name VARCHAR(40))",
    "CREATE TABLE {schema}.places (id DOUBLE PRIMARY KEY, place POINT)",
)


def archived_pair(place: Place, rows: int) -> dict[str, str]:
    """A table of that many rows and an equal archive table, made without a connector."""
    name = f"t_{services.token()}"
    pair = {"table": f"{place.schema}.{name}", "target": f"{place.database}.{name}"}
    place.engine.execute(
        f"CREATE TABLE {pair['table']} (id INT PRIMARY KEY, name VARCHAR(40))",
        f"INSERT INTO {pair['table']} VALUES (%s, %s)",
        many=[(i, f"n{i}") for i in range(rows)],
    )
    CreateArchiveTableOperator(
        task_id="create", tables={pair["table"]: pair["target"]}, **place.systems
    ).execute(context())
    place.client.command(
        f"INSERT INTO {pair['target']} (id, name, _chista_version)"
        f" SELECT number, concat('n', toString(number)), 1 FROM numbers({rows})"
    )
    return pair


@pytest.fixture(scope="module")
def place(stack_env: dict[str, str]) -> Iterator[Place]:
    engine, client, schema = ENGINES["mysql"], services.clickhouse(), f"it_op_{services.token()}"
    with services.databases(client) as (database, control), pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIRFLOW__CHISTA__STATE_DATABASE", control.database)
        engine.create_schema(schema, TABLES)
        engine.execute(
            f"INSERT INTO {schema}.orders VALUES (%s, %s, %s)",
            many=[(i, f"n{i}", "2024-01-01") for i in range(50)],
        )
        try:
            yield Place(engine, client, control, schema, database)
        finally:
            engine.drop_schema(schema)
            services.delete_topics(f"{schema}.")


@pytest.fixture(scope="module")
def stopped(place: Place) -> Iterator[Connector]:
    """A connector of the module's schema that is stored and was never started: a proof refers to its configuration."""
    made = Connector(place.engine, place.schema, [TableId(place.schema, "orders")])
    stored = {"name": made.name, "config": made.spec().config(), "initial_state": "STOPPED"}
    httpx.post(f"{services.stack().connect_url}/connectors", json=stored, timeout=30).raise_for_status()
    yield made
    made.connect.delete(made.name)
    made.connect.close()


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Sets a connection: ``given("id", "the stack's connection it is like", port=1)``."""

    def give(name: str, original: str, **changed: Any) -> str:
        monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", connection(original, **changed))
        return name

    return give


@pytest.fixture(scope="session")
def throw_away(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ThrowAway]:
    made = ThrowAway(tmp_path_factory.mktemp("servers"))
    yield made
    made.stop()
