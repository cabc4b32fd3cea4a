"""State tables of the module's own in ClickHouse, read by a client with the page's limits."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from airflow_provider_chista.archive.overview import LIMITS
from airflow_provider_chista.clickhouse.control import Control
from tests.integration.support import services


@pytest.fixture(scope="module")
def control(stack_env: dict[str, str]) -> Iterator[Control]:
    client = services.clickhouse(**LIMITS)
    with services.databases(client) as (_, control):
        yield control
    client.close()
