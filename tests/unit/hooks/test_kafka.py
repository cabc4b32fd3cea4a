from __future__ import annotations

import json
import logging

import pytest
from confluent_kafka import KafkaError, Producer, TopicPartition

from airflow_provider_chista.errors import FatalError
from airflow_provider_chista.hooks.kafka import REQUIRED, ChistaKafkaHook, ErrorLog


@pytest.fixture(scope="module")
def broker():
    """librdkafka's mock cluster: a broker inside this process that speaks the protocol."""
    producer = Producer({"bootstrap.servers": "unused", "test.mock.num.brokers": 1, "log_level": 3})
    (node,) = producer.list_topics(timeout=10).brokers.values()
    for number in range(5):
        producer.produce("events", value=str(number), partition=0)
    assert producer.flush(10) == 0
    yield f"{node.host}:{node.port}"
    producer.flush(1)  # it is the cluster: alive until here


@pytest.fixture
def hook(monkeypatch):
    def define(**extra):
        monkeypatch.setenv("AIRFLOW_CONN_KAFKA_TEST", json.dumps({"conn_type": "kafka", "extra": extra}))
        return ChistaKafkaHook("kafka_test")

    return define


def read(consumer, offset):
    """Values from an offset to the end of partition 0, and the last thing that was not a record."""
    consumer.assign([TopicPartition("events", 0, offset)])
    values = []
    while True:
        message = consumer.poll(10)
        assert message is not None
        if message.error():
            consumer.close()
            return values, message.error().code()
        values.append(message.value().decode())


def test_a_consumer_reads_to_the_end_and_says_that_it_is_there(hook, broker):
    consumer = hook(**{"bootstrap.servers": broker}).consumer()
    assert read(consumer, 2) == (["2", "3", "4"], KafkaError._PARTITION_EOF)


def test_a_position_that_is_not_there_is_an_error_and_not_a_jump(hook, broker):
    consumer = hook(**{"bootstrap.servers": broker, "auto.offset.reset": "earliest"}).consumer()
    assert read(consumer, 99) == ([], KafkaError._AUTO_OFFSET_RESET)


def test_two_consumers_are_two_clients(hook, broker):
    made = hook(**{"bootstrap.servers": broker})
    first, second = made.consumer(), made.consumer({"group.id": "other"})
    assert first is not second
    first.close()
    second.close()


@pytest.mark.parametrize("key", REQUIRED)
def test_what_keeps_a_drain_exact_cannot_be_overridden(hook, broker, key):
    with pytest.raises(FatalError, match=f"{key} is fixed"):
        hook(**{"bootstrap.servers": broker}).consumer({key: "other"})


def test_an_admin_client_takes_no_consumer_properties(hook, broker):
    made = hook(**{"bootstrap.servers": broker, "group.id": "g", "auto.offset.reset": "earliest"})
    assert "events" in made.admin().list_topics(timeout=10).topics
    assert made.bootstrap_servers() == broker


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ({}, r"connection kafka_test: .*bootstrap.servers"),
        ({"bootstrap.servers": "x:1", "no.such.property": "1"}, "No such configuration property"),
        ({"bootstrap.servers": "x:1", "error_cb": "os.system"}, "callback_allowlist"),
        ({"bootstrap.servers": "x:1", "security.protocol": "magic"}, "Invalid value"),
    ],
)
def test_an_unusable_connection_is_fatal_and_named(hook, extra, message):
    with pytest.raises(FatalError, match=message) as error:
        hook(**extra).consumer()
    assert "kafka_test" in str(error.value)


def test_no_secret_is_logged_or_in_an_error(hook, caplog):
    caplog.set_level(logging.DEBUG)
    made = hook(
        **{
            "bootstrap.servers": "127.0.0.1:1",
            "sasl.password": "hunter22-password",
            "sasl.username": "u",
            "no.such": "1",
        }
    )
    with pytest.raises(FatalError) as error:
        made.consumer()
    assert "hunter22" not in str(error.value) + caplog.text


@pytest.mark.parametrize("kind", ["consumer", "admin"])
def test_the_reason_of_a_silent_client_is_kept(hook, kind):
    made = hook(**{"bootstrap.servers": "127.0.0.1:1", "reconnect.backoff.max.ms": 100})
    client = getattr(made, kind)()
    for _ in range(20):
        client.poll(0.1)
        if made.trouble() and made.trouble().code() == KafkaError._TRANSPORT:
            break
    if kind == "consumer":
        client.close()
    assert "Connect to ipv4#127.0.0.1:1 failed: Connection refused" in made.trouble().str()


REFUSED = KafkaError(KafkaError._AUTHENTICATION, "invalid credentials")
AWAY = KafkaError(KafkaError._TRANSPORT, "broker is away")
ALL_DOWN = KafkaError(KafkaError._ALL_BROKERS_DOWN, "1/1 brokers are down")


def test_repeated_errors_are_logged_once_in_ten_seconds(caplog):
    errors = ErrorLog()
    for _ in range(50):
        errors(AWAY)
    errors(REFUSED)
    assert [record.getMessage() for record in caplog.records] == [
        "Kafka client: _TRANSPORT: broker is away",
        "Kafka client: _AUTHENTICATION: invalid credentials",
    ]


@pytest.mark.parametrize(
    ("told", "last"),
    [
        ([], None),
        ([ALL_DOWN], ALL_DOWN),
        ([AWAY, ALL_DOWN], AWAY),
        ([ALL_DOWN, AWAY], AWAY),
        ([REFUSED, AWAY, ALL_DOWN], REFUSED),
        ([AWAY, REFUSED], REFUSED),
    ],
)
def test_the_error_that_says_most_is_the_last_one(told, last):
    errors = ErrorLog()
    for error in told:
        errors(error)
    assert errors.last() is last


@pytest.mark.parametrize(
    "text",
    ["SSL handshake failed: SSL transport error: Connection reset by peer", "SASL failed: Disconnected"],
)
@pytest.mark.parametrize("code", [KafkaError._SSL, KafkaError._AUTHENTICATION])
def test_a_handshake_that_was_interrupted_is_a_broken_line_and_no_refusal(code, text):
    errors = ErrorLog()
    errors(KafkaError(code, text))
    assert (errors.last().code(), errors.last().str()) == (KafkaError._TRANSPORT, text)
    errors(AWAY)
    assert errors.last() is AWAY


def test_an_error_of_long_ago_explains_nothing(monkeypatch):
    errors = ErrorLog()
    errors(REFUSED)
    monkeypatch.setattr(ErrorLog, "RECENT_SECONDS", 0.0)
    assert errors.last() is None
