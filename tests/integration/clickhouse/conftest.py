"""A database of the module's own in ClickHouse; every test here needs the stack."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from clickhouse_connect.driver.client import Client

from airflow_provider_chista.clickhouse.control import Control
from airflow_provider_chista.clickhouse.types import TypeMap, probe
from airflow_provider_chista.model import TableId
from tests.integration.support import services


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.integration)


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
