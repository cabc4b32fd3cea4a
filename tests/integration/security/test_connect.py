"""Kafka Connect with HTTPS and basic authentication, on a broker with SASL and TLS."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from confluent_kafka import Consumer, TopicPartition

from airflow_provider_chista.debezium.connect import Policy
from airflow_provider_chista.errors import ChistaError, FatalError
from airflow_provider_chista.hooks.kafka_connect import KafkaConnectHook
from airflow_provider_chista.operators.connector import RegisterConnectorOperator
from tests.integration.security import servers
from tests.integration.security.authority import Authority
from tests.integration.security.conftest import USERS, Define
from tests.integration.security.servers import SecuredConnect, SecuredKafka
from tests.integration.support import services
from tests.integration.support.engines import Connector, connector, wait_for
from tests.integration.support.tasks import context

QUICK = Policy(timeout=5, patience=3, startup=3)


@pytest.fixture
def connect(worker: SecuredConnect, define: Define) -> Callable[..., KafkaConnectHook]:
    def make(ca: Any = None, **changed: Any) -> KafkaConnectHook:
        fields = {"host": worker.url, "login": worker.user, "password": worker.password, **changed}
        extra = {"ca_file": str(ca)} if ca else {}
        return KafkaConnectHook(define(conn_type="kafka_connect", extra=extra, **fields), QUICK)

    return make


def test_the_authority_and_the_login_of_the_connection_are_used(
    connect: Callable[..., KafkaConnectHook], authority: Authority
) -> None:
    assert connect(authority.ca).test_connection() == (
        True,
        "Kafka Connect 4.3.1; Debezium connectors: MariaDbConnector, MySqlConnector, PostgresConnector",
    )


async def test_the_triggers_client_uses_them_too(
    connect: Callable[..., KafkaConnectHook], authority: Authority
) -> None:
    async with await connect(authority.ca).get_async_client() as client:
        assert (await client.info())["version"] == "4.3.1"


@pytest.mark.parametrize(
    ("ca", "changed", "message"),
    [
        ("own", {"password": "wrong-secret"}, "answered 401: .*; check user and password of the kafka_connect connection$"),
        ("own", {"login": ""}, "answered 401: .*; check user and password of the kafka_connect connection$"),
        ("other", {}, "CERTIFICATE_VERIFY_FAILED.*authority that signed the server's certificate: field 'ca_file'"),
        (None, {}, "CERTIFICATE_VERIFY_FAILED.*authority that signed the server's certificate: field 'ca_file'"),
        (None, {"host": "http"}, "does not speak HTTP; if it speaks TLS, write https:// into the connection's URL$"),
    ],
    ids=["wrong password", "no user", "other CA", "no CA", "HTTP to HTTPS"],
)  # fmt: skip
def test_a_wrong_connection_is_fatal_and_names_the_setting_to_change(
    connect: Callable[..., KafkaConnectHook], authority: Authority, stranger: Authority, worker: SecuredConnect,
    told: Callable[[], str], ca: str | None, changed: dict[str, str], message: str,
) -> None:  # fmt: skip
    if changed.get("host"):
        changed = {"host": worker.url.replace("https", changed["host"])}
    file = {"own": authority.ca, "other": stranger.ca, None: None}[ca]
    with pytest.raises(ChistaError, match=f"^Kafka Connect at http.*{message}") as caught:
        connect(file, **changed).get_client().connectors()
    assert type(caught.value) is FatalError
    everything = f"{caught.value!r} {caught.value.__cause__!r} {told()}"
    assert "wrong-secret" not in everything
    assert worker.password not in everything


@pytest.fixture
def shop() -> Iterator[Connector]:
    """A MySQL schema whose connector the stack's own worker does not know."""
    with connector(
        "mysql", {"orders": "CREATE TABLE {schema}.orders (id INT PRIMARY KEY, note TEXT)"}
    ) as made:
        made.engine.execute(
            f"INSERT INTO {made.schema}.orders VALUES (%s, %s)", many=[(1, "one"), (2, "two")]
        )
        yield made


def notes(consumer: Consumer, count: int) -> list[str]:
    """Column ``note`` of the next events."""
    found: list[str] = []
    wait_for(
        lambda: (
            found.extend(
                json.loads(m.value())["after"]["note"] for m in consumer.consume(count, 1.0) if not m.error()
            )
            or len(found) >= count
        )
    )
    return found


def test_a_mysql_connector_keeps_its_schema_history_on_the_secured_broker(
    connect: Callable[..., KafkaConnectHook], authority: Authority, secured_kafka: SecuredKafka, define: Define,
    shop: Connector, monkeypatch: pytest.MonkeyPatch, told: Callable[[], str],
) -> None:  # fmt: skip
    for role in ("capture", "verify"):
        monkeypatch.setenv(
            f"AIRFLOW_CONN_SHOP_{role}".upper(), json.dumps(services.connection(f"mysql_{role}"))
        )
    client = servers.java_client(secured_kafka, "worker")
    register = RegisterConnectorOperator(
        task_id="register", connector=shop.name, topic_prefix=shop.name, tables=[f"{shop.schema}.orders"],
        source_conn_id="shop_verify", capture_conn_id="shop_capture", password="${env:CHISTA_MYSQL_CAPTURE_PASSWORD}",
        kafka_conn_id=define(conn_type="kafka", extra=secured_kafka.client("airflow")),
        kafka_connect_conn_id=connect(authority.ca).kafka_connect_conn_id,
        overrides={
            f"schema.history.internal.{side}.{key}": value
            for side in ("producer", "consumer") for key, value in client.items()
        },
    )  # fmt: skip
    assert register.execute(context())["action"] == "created"
    topic = f"{shop.name}.{shop.schema}.orders"
    consumer = Consumer(
        {**secured_kafka.client("admin"), "group.id": "test", "auto.offset.reset": "earliest"}
    )
    consumer.assign([TopicPartition(topic, 0, 0)])
    with connect(authority.ca).get_client() as rest:
        try:
            wait_for(lambda: rest.status(shop.name).running)
            assert notes(consumer, 2) == ["one", "two"]
            # A connector that starts again reads its schema history, as a consumer.
            rest.stop(shop.name)
            wait_for(lambda: not rest.status(shop.name).tasks)
            rest.resume(shop.name)
            shop.engine.execute(f"INSERT INTO {shop.schema}.orders VALUES (3, 'three')")
            assert notes(consumer, 1) == ["three"]
            assert f"{shop.name}.schema-history" in secured_kafka.topics()
            # Its REST interface shows the reference and not the password.
            stored = rest.config(shop.name)
            assert stored is not None
            assert "${env:KAFKA_PASSWORD}" in stored["schema.history.internal.producer.sasl.jaas.config"]
            assert USERS["worker"] not in json.dumps(stored)
        finally:
            rest.delete(shop.name)
            consumer.close()
    assert USERS["worker"] not in told()
