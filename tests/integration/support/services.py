"""The running stack, opened without Airflow: the same clients that the hooks make."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import clickhouse_connect
import pytest
from clickhouse_connect.driver.client import Client
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient, NewTopic

from airflow_provider_chista.archive.topic import Kafka
from airflow_provider_chista.clickhouse.cluster import CLIENT_SETTINGS
from airflow_provider_chista.clickhouse.control import Control
from stack.connections import connections
from stack.settings import Stack

CONSUMER: dict[str, Any] = {
    "group.id": "chista",
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    "enable.partition.eof": True,
    "isolation.level": "read_committed",
    "auto.offset.reset": "error",
    "fetch.queue.backoff.ms": 5,
    "fetch.wait.max.ms": 100,
    "queued.min.messages": 50_000,
    "queued.max.messages.kbytes": 32 * 1024,
    "fetch.max.bytes": 16 * 1024 * 1024,
    "max.partition.fetch.bytes": 1024 * 1024,
    "log.connection.close": False,
}


@cache
def stack() -> Stack:
    if not os.environ.get("CHISTA_BASE_PORT"):
        pytest.skip('no stack named in the environment: make up, then eval "$(python3 -m stack env)"')
    return Stack.from_environment()


@cache
def connection(name: str) -> dict[str, Any]:
    return connections(stack())[name]


def token() -> str:
    """Short enough for replication slots, new for each use."""
    return uuid.uuid4().hex[:8]


def bootstrap() -> str:
    """The broker of all clients made here."""
    return stack().kafka_bootstrap


def kafka(overrides: dict[str, Any] | None = None) -> Kafka:
    servers = {"bootstrap.servers": bootstrap()}
    return Kafka(lambda: Consumer({**servers, **CONSUMER, **(overrides or {})}), lambda: AdminClient(servers))


def producer(**overrides: Any) -> Producer:
    return Producer({"bootstrap.servers": bootstrap(), "linger.ms": 5, "log_level": 4, **overrides})


def create_topic(name: str, partitions: int = 1, **config: str) -> None:
    admin = kafka().admin()
    admin.create_topics([NewTopic(name, partitions, 1, config=config)])[name].result()


def delete_topics(prefix: str) -> None:
    admin = kafka().admin()
    names = [name for name in admin.list_topics(timeout=10).topics if name.startswith(prefix)]
    if names:
        for future in admin.delete_topics(names).values():
            future.result()


def clickhouse(user: str | None = None, password: str = "", **settings: Any) -> Client:
    """A client as the provider's hook makes it; by default of the stack's own user."""
    known = connection("clickhouse_default")
    return clickhouse_connect.get_client(
        host=known["host"],
        port=known["port"],
        username=user or known["login"],
        password=password if user else known["password"],
        autogenerate_session_id=False,
        send_receive_timeout=60,
        tz_mode="aware",
        settings={**CLIENT_SETTINGS, **settings},
    )


@contextmanager
def databases(client: Client) -> Iterator[tuple[str, Control]]:
    """An archive database and a state database for one test module, dropped behind it."""
    own = token()
    archive, control = f"archive_it_{own}", Control(client, f"chista_it_{own}")
    client.command(f"CREATE DATABASE {archive}")
    control.ensure()
    try:
        yield archive, control
    finally:
        client.command(f"DROP DATABASE IF EXISTS {archive}")
        client.command(f"DROP DATABASE IF EXISTS {control.database}")
