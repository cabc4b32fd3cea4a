"""The hooks on the running stack, by the Airflow connections that its users get."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import NewTopic

from airflow_provider_chista.errors import ChistaError, FatalError
from airflow_provider_chista.hooks.clickhouse import ChistaClickHouseHook
from airflow_provider_chista.hooks.kafka import ChistaKafkaHook
from airflow_provider_chista.hooks.kafka_connect import KafkaConnectHook
from airflow_provider_chista.hooks.source import SourceHook
from stack.connections import connections
from tests.integration.support import services

pytestmark = pytest.mark.integration


@pytest.fixture(autouse=True)
def stack_connections(monkeypatch):
    """The stack's connections as environment variables, and a way to change one."""
    known = connections(services.stack())
    for name, fields in known.items():
        monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", json.dumps(fields))

    def change(name, **fields):
        monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", json.dumps({**known[name], **fields}))

    return change


def test_the_connect_hook_tests_its_connection():
    assert KafkaConnectHook().test_connection() == (
        True,
        "Kafka Connect 4.3.1; Debezium connectors: MariaDbConnector, MySqlConnector, PostgresConnector",
    )


async def test_the_connect_hook_gives_an_asynchronous_client():
    async with await KafkaConnectHook().get_async_client() as client:
        assert (await client.info())["version"] == "4.3.1"


def test_the_kafka_hook_reads_a_partition_to_its_end():
    topic = f"it_hook_{services.token()}"
    hook = ChistaKafkaHook()
    admin = hook.admin()
    admin.create_topics([NewTopic(topic, 1, 1)])[topic].result()
    try:
        producer = services.producer()
        for number in range(1000):
            producer.produce(topic, value=str(number))
        assert producer.flush(10) == 0
        consumer = hook.consumer({"group.id": topic})
        consumer.assign([TopicPartition(topic, 0, 500)])
        values = []
        while (message := consumer.poll(10)) is not None and not message.error():
            values.append(int(message.value()))
        consumer.close()
        assert values == list(range(500, 1000))
        assert topic in admin.list_topics(timeout=10).topics
        assert hook.test_connection() == (True, "Connection successful.")
    finally:
        admin.delete_topics([topic])[topic].result()


def test_one_clickhouse_client_serves_two_threads_and_its_times_have_a_zone():
    client = ChistaClickHouseHook(settings={"max_threads": 2}).get_client()
    try:
        with ThreadPoolExecutor(2) as pool:
            slow = [pool.submit(client.query, "SELECT sleep(0.5), 7") for _ in range(2)]
            assert [done.result().result_rows[0][1] for done in slow] == [7, 7]
        when = client.query("SELECT toDateTime('2026-01-02 03:04:05', 'UTC')").result_rows[0][0]
        assert when == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
        assert client.query("SELECT getSetting('max_threads')").result_rows[0][0] == 2
    finally:
        client.close()


def test_a_wrong_clickhouse_password_is_fatal_and_not_shown(stack_connections):
    stack_connections("clickhouse_default", password="wrong-hunter22")
    with pytest.raises(FatalError, match="516") as error:
        ChistaClickHouseHook().get_client()
    assert "hunter22" not in str(error.value)


@pytest.mark.parametrize("flavour", ["mysql", "mariadb", "postgres"])
def test_the_source_hook_asks_the_server_what_it_is(flavour):
    with SourceHook(f"{flavour}_verify").open() as source:
        assert source.flavour == flavour
        assert source.version()


@pytest.mark.parametrize("flavour", ["mysql", "mariadb", "postgres"])
@pytest.mark.parametrize(
    ("fields", "kind"),
    [({"password": "wrong-hunter22"}, "FatalError"), ({"port": 1}, "TransientError")],
    ids=["wrong password", "nothing listens"],
)
def test_a_source_that_refuses_or_is_away_says_so(stack_connections, flavour, fields, kind):
    name = f"{flavour}_verify"
    stack_connections(name, **fields)
    with pytest.raises(ChistaError) as error, SourceHook(name).open() as source:
        source.version()
    assert type(error.value).__name__ == kind
    assert "hunter22" not in str(error.value)
    assert f"connection {name} (user chista_verify at 127.0.0.1:" in str(error.value)
