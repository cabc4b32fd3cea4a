"""The connections of docs/security.md are such as the hooks take, and the settings that the secured tests use."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_chista.errors import TransientError
from airflow_provider_chista.hooks.clickhouse import ChistaClickHouseHook
from airflow_provider_chista.hooks.kafka import ChistaKafkaHook
from airflow_provider_chista.hooks.kafka_connect import KafkaConnectHook
from tests.integration.security.authority import Authority
from tests.integration.security.servers import SecuredKafka
from tests.unit.docs.pages import blocks, page

CONNECTIONS: dict[str, Any] = {
    connection["conn_type"]: connection for connection in map(json.loads, blocks(page("security.md"), "json"))
}


@pytest.fixture
def documented(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Every connection of the page, its file of an authority being one that is there."""
    ca = Authority(tmp_path, "own").ca
    for name, connection in CONNECTIONS.items():
        text = json.dumps(connection).replace("/etc/ssl/ca.pem", str(ca))
        monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", text)


def test_the_page_has_a_connection_for_each_service() -> None:
    assert sorted(CONNECTIONS) == ["clickhouse", "kafka", "kafka_connect"]


@pytest.mark.usefixtures("documented")
def test_kafkas_clients_are_made_of_it() -> None:
    hook = ChistaKafkaHook("kafka")
    hook.consumer().close()
    assert hook.admin() is not None
    secured = SecuredKafka("localhost:1", 2, Path("ca.pem"), {"airflow": "secret"}, Path("log"))
    assert CONNECTIONS["kafka"]["extra"].keys() == secured.client("airflow").keys()


@pytest.mark.usefixtures("documented")
def test_a_client_of_kafka_connect_is_made_of_it() -> None:
    with KafkaConnectHook("kafka_connect").get_client() as client:
        assert client.url == "https://connect:8443"


@pytest.mark.usefixtures("documented")
def test_clickhouses_connection_is_refused_by_nobody_but_the_network() -> None:
    with pytest.raises(TransientError, match="https://clickhouse:8443"):
        ChistaClickHouseHook("clickhouse").get_client()
