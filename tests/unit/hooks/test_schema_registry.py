from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from airflow.sdk import BaseHook

from airflow_provider_chista.debezium.registry import Registry
from airflow_provider_chista.errors import FatalError
from airflow_provider_chista.hooks.schema_registry import SchemaRegistryHook

Define = Callable[..., SchemaRegistryHook]


@pytest.fixture
def connection(monkeypatch: pytest.MonkeyPatch) -> Define:
    def define(**fields: Any) -> SchemaRegistryHook:
        text = json.dumps({"conn_type": "schema_registry", **fields})
        monkeypatch.setenv("AIRFLOW_CONN_REGISTRY_TEST", text)
        return SchemaRegistryHook("registry_test")

    return define


def test_client_and_worker_are_told_the_same_unless_the_connection_says_otherwise(
    connection: Define,
) -> None:
    fields = {"host": "registry", "login": "ann", "password": "pw", "extra": {"timeout": 7, "verify": False}}
    hook = connection(**fields)
    with hook.get_client() as client:
        assert (client.url, client.user, client.password) == ("http://registry:8080", "ann", "pw")
        assert (client.timeout, client.verify) == (7, False)
    assert hook.registry() == Registry("http://registry:8080", "ann", "pw")
    other = {"worker_url": "https://inside:8443", "worker_password": "${env:WORD}"}
    assert connection(**{**fields, "extra": other}).registry() == Registry(
        "https://inside:8443", "ann", "${env:WORD}"
    )


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "has no host; give the URL of a registry"),
        ({"host": "http://ann:pw@registry:8080"}, "does not name a registry.*have their own fields"),
        ({"host": "registry", "extra": {"timeout": "long"}}, "'long' .* is not a number of seconds"),
        ({"host": "https://registry", "extra": {"ca_file": "/no/such.pem"}}, "CA file /no/such.pem"),
    ],
)
def test_an_unusable_connection_is_fatal_and_named(
    connection: Define, fields: dict[str, Any], message: str
) -> None:
    with pytest.raises(FatalError, match=message) as error:
        connection(**fields).get_client()
    assert "registry_test" in str(error.value)
    assert "pw@" not in str(error.value)


def test_the_test_button_says_what_is_wrong(connection: Define) -> None:
    ok, message = connection(host="http://127.0.0.1:1").test_connection()
    assert not ok
    assert "http://127.0.0.1:1" in message


def test_airflow_finds_the_hook_by_the_connections_type(connection: Define) -> None:
    connection(host="registry")
    hook = BaseHook.get_connection("registry_test").get_hook()
    assert isinstance(hook, SchemaRegistryHook)
    assert hook.schema_registry_conn_id == "registry_test"
    assert hook.get_conn().url == "http://registry:8080"
