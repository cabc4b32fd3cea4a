"""A database of the module's own in ClickHouse, and two servers that tests may break; every test here needs the stack."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa
import pytest
from clickhouse_connect.driver.client import Client

from airflow_provider_chista.clickhouse.control import Control
from airflow_provider_chista.clickhouse.types import TypeMap, probe
from airflow_provider_chista.model import Column, Kind, Table, TableId
from stack.settings import Stack
from stack.shell import find_program
from tests.integration.support import clickhouses, services


@dataclass(frozen=True)
class Server:
    client: Client
    control: Control
    database: str
    types: TypeMap

    def new(self) -> TableId:
        return TableId(self.database, f"t_{services.token()}")


@pytest.fixture(scope="module")
def server(stack_env: dict[str, str]) -> Iterator[Server]:
    client = services.clickhouse()
    with services.databases(client) as (database, control):
        yield Server(client, control, database, probe(client))


Pair = tuple[clickhouses.PrivateServer, clickhouses.PrivateServer]

NUMBERS = Table(
    TableId("s", "numbers"),
    (Column("id", "int", Kind.INT32, False), Column("name", "text", Kind.TEXT, True)),
    ("id",),
)


def numbers(first: int, count: int) -> pa.Table:
    """A block of consecutive rows of :data:`NUMBERS`, as a drain inserts it."""
    ids = range(first, first + count)
    return pa.table(
        {
            "id": pa.array(ids, pa.int32()),
            "name": pa.array([f"n{number}" for number in ids], pa.string()),
            "_chista_version": pa.array([1] * count, pa.uint64()),
            "_chista_deleted": pa.array([0] * count, pa.uint8()),
            "_chista_op": pa.array(["c"] * count, pa.string()),
            "_chista_source_time": pa.array([0] * count, pa.timestamp("ms", tz="UTC")),
            "_chista_incomplete": pa.array([[]] * count, pa.list_(pa.string())),
        }
    )


@pytest.fixture(scope="session")
def pair(stack_env: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """Two servers of the tests' own with ZooKeeper: replicas of the cluster ``chista``, shards of the cluster ``shards``."""
    with clickhouses.pair(Stack.from_environment(), tmp_path_factory.mktemp("pair")) as servers:
        yield servers


@pytest.fixture
def readonly_replica(pair: Pair) -> clickhouses.PrivateServer:
    """A server whose replicated tables stay read-only: that out of the npm library."""
    if find_program("clickhouse"):
        pytest.skip("the program clickhouse replicates; only the npm library leaves its replicas read-only")
    return pair[0]


@pytest.fixture(scope="session")
def replicas(request: pytest.FixtureRequest, stack_env: dict[str, str]) -> list[Client]:
    """Clients of two servers that replicate: those that ``CHISTA_REPLICAS`` names, or two of the program ``clickhouse``."""
    if places := os.environ.get("CHISTA_REPLICAS"):
        password = Stack.from_environment().secrets["CHISTA_CLICKHOUSE_PASSWORD"]
        hosts = [place.rsplit(":", 1) for place in places.split(",")]
        return [clickhouses.client_of(int(port), "chista", password, host) for host, port in hosts]
    if find_program("clickhouse") is None:
        pytest.skip(
            "nothing here replicates: the npm library's ClickHouse cannot. Put a clickhouse program on the PATH, or name two "
            "replicas in CHISTA_REPLICAS (host:port,host:port; those of `docker compose --profile cluster up` are "
            "127.0.0.1:20123,127.0.0.1:20223)"
        )
    pair: Pair = request.getfixturevalue("pair")
    return [each.client("chista", clickhouses.PASSWORD) for each in pair]
