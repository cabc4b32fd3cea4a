from __future__ import annotations

import json

import pytest
from airflow.sdk import BaseHook

from airflow_provider_chista.debezium.connect import Policy
from airflow_provider_chista.errors import FatalError
from airflow_provider_chista.hooks.kafka_connect import KafkaConnectHook


@pytest.fixture
def connection(monkeypatch):
    def define(**fields):
        monkeypatch.setenv("AIRFLOW_CONN_CONNECT_TEST", json.dumps({"conn_type": "kafka_connect", **fields}))
        return KafkaConnectHook("connect_test")

    return define


@pytest.mark.parametrize(
    ("fields", "url"),
    [
        ({"host": "http://connect:8083"}, "http://connect:8083"),
        ({"host": "https://connect:8443/"}, "https://connect:8443"),
        ({"host": "https://gate/connect/", "port": 8443}, "https://gate:8443/connect"),
        ({"host": "http://connect", "port": 21083}, "http://connect:21083"),
        ({"host": "connect"}, "http://connect:8083"),
        ({"host": "connect", "port": 8443, "schema": "https"}, "https://connect:8443"),
        ({"host": "http://[::1]", "port": 8083}, "http://[::1]:8083"),
    ],
)
def test_the_host_is_a_url_or_a_name_with_port_and_scheme_beside_it(connection, fields, url):
    with connection(**fields).get_client() as client:
        assert client.url == url


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "has no host"),
        ({"host": "ftp://connect"}, "must be http://name:port"),
        ({"host": "http://ann:pw@connect:8083"}, "user and password have their own fields"),
        ({"host": "connect", "extra": {"timeout": "long"}}, "'long' .* is not a number of seconds"),
        ({"host": "https://connect", "extra": {"ca_file": "/no/such.pem"}}, "CA file /no/such.pem"),
    ],
)
def test_an_unusable_connection_is_fatal_and_named(connection, fields, message):
    with pytest.raises(FatalError, match=message) as error:
        connection(**fields).get_client()
    assert "connect_test" in str(error.value)
    assert "pw@" not in str(error.value)


def test_timeout_and_verification_come_from_the_extra_fields(connection):
    client = connection(host="https://connect", extra={"timeout": 7, "verify": "false"}).get_client()
    assert client.policy.timeout == 7
    assert client._options["verify"] is False
    client.close()


def test_a_policy_of_the_caller_wins(connection):
    connection(host="connect", extra={"timeout": 7})
    with KafkaConnectHook("connect_test", policy=Policy(timeout=1)).get_client() as client:
        assert client.policy.timeout == 1


async def test_the_asynchronous_client_reads_the_same_connection(connection):
    async with await connection(host="connect", port=1234).get_async_client() as client:
        assert client.url == "http://connect:1234"


def test_the_test_button_says_what_is_wrong(connection):
    assert connection().test_connection() == (
        False,
        "connection connect_test has no host; give the URL of a worker",
    )
    ok, message = connection(host="http://127.0.0.1:1").test_connection()
    assert not ok
    assert "http://127.0.0.1:1" in message


def test_airflow_finds_the_hook_by_the_connections_type(connection):
    connection(host="connect")
    hook = BaseHook.get_connection("connect_test").get_hook()
    assert isinstance(hook, KafkaConnectHook)
    assert hook.kafka_connect_conn_id == "connect_test"
