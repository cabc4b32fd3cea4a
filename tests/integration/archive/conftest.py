"""Databases of the module's own in ClickHouse; every test here needs the stack."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from clickhouse_connect.driver.client import Client

from airflow_provider_chista.clickhouse.control import Control
from tests.integration.support import services
from tests.integration.support.streams import Stream


@dataclass(frozen=True)
class Store:
    client: Client
    control: Control
    database: str


@pytest.fixture(scope="module")
def store(stack_env: dict[str, str]) -> Iterator[Store]:
    client = services.clickhouse()
    with services.databases(client) as (database, control):
        yield Store(client, control, database)


@pytest.fixture
def stream(store: Store) -> Iterator[Callable[..., Stream]]:
    """Makes streams; their topics are deleted behind the test."""
    made: list[Stream] = []

    def make(**options: Any) -> Stream:
        made.append(Stream(store.client, store.control, store.database, **options))
        return made[-1]

    yield make
    for stream in made:
        services.delete_topics(f"{stream.prefix}.")
