"""Servers with TLS and users of the tests' own, started once; every test here needs the stack's files and its ClickHouse."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka.admin import AclOperation, ResourceType

from airflow_provider_chista.archive.topic import Kafka
from airflow_provider_chista.hooks.kafka import ChistaKafkaHook
from tests.integration.security import servers
from tests.integration.security.authority import Authority
from tests.integration.support import services

READ, DESCRIBE = AclOperation.READ, AclOperation.DESCRIBE
TOPIC, GROUP = ResourceType.TOPIC, ResourceType.GROUP

PREFIX = "it_secured"
USERS = {
    name: f"{name}-secret-4f0c"
    for name in ("admin", "airflow", "describing", "ungrouped", "unmirrored", "stranger", "worker")
}
RIGHTS = {
    # docs/security.md says that this is enough.
    "airflow": [(TOPIC, f"{PREFIX}.", True, READ), (GROUP, "chista", False, READ), (GROUP, "chista.", True, READ)],
    "describing": [(TOPIC, f"{PREFIX}.", True, DESCRIBE), (GROUP, "chista", False, READ)],
    "unmirrored": [(TOPIC, f"{PREFIX}.", True, READ), (GROUP, "chista", False, READ)],
    "ungrouped": [(TOPIC, f"{PREFIX}.", True, READ)],
}  # fmt: skip

ON_TOPICS = (
    AclOperation.CREATE, AclOperation.DESCRIBE, AclOperation.DESCRIBE_CONFIGS, AclOperation.WRITE, AclOperation.READ,
)  # fmt: skip


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory, stack_env: dict[str, str]) -> Path:
    return tmp_path_factory.mktemp("secured")


@pytest.fixture(scope="session")
def authority(folder: Path) -> Authority:
    return Authority(folder, "own")


@pytest.fixture(scope="session")
def stranger(folder: Path) -> Authority:
    """An authority that signed none of the servers' certificates."""
    return Authority(folder, "other")


@pytest.fixture(scope="session")
def secured_kafka(folder: Path, authority: Authority) -> Iterator[servers.SecuredKafka]:
    with servers.secured_kafka(folder, authority, USERS) as made:
        for user, rights in RIGHTS.items():
            made.allow(user, *rights)
        yield made


@pytest.fixture(scope="session")
def worker(
    folder: Path, authority: Authority, secured_kafka: servers.SecuredKafka
) -> Iterator[servers.SecuredConnect]:
    # What docs/security.md names, with the worker's own group and topics called connect-… and chista-connect.
    secured_kafka.allow(
        "worker",
        *((TOPIC, "connect-", True, operation) for operation in ON_TOPICS),
        (GROUP, "chista-connect", False, READ),
        *((TOPIC, "it_my_", True, operation) for operation in ON_TOPICS),
        *((TOPIC, "__debezium-heartbeat.it_my_", True, operation) for operation in ON_TOPICS),
        (GROUP, "it_my_", True, READ),
    )
    with servers.secured_connect(folder, authority, secured_kafka, "worker") as made:
        yield made


@pytest.fixture(scope="session")
def clickhouse_port(authority: Authority) -> Iterator[int]:
    """The stack's ClickHouse behind TLS."""
    with closing(
        servers.Terminator(authority.server(), services.connection("clickhouse_default")["port"])
    ) as made:
        yield made.port


Define = Callable[..., str]


@pytest.fixture
def define(monkeypatch: pytest.MonkeyPatch) -> Define:
    """Makes an Airflow connection and gives its id."""

    def make(**fields: Any) -> str:
        name = f"secured_{fields['conn_type']}"
        monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", json.dumps(fields))
        return name

    return make


@pytest.fixture
def kafka_as(secured_kafka: servers.SecuredKafka, define: Define) -> Callable[..., Kafka]:
    """The secured broker as the operators open it: by an Airflow connection, some of its properties changed."""

    def make(user: str, **changed: str) -> Kafka:
        extra = {
            **secured_kafka.client(user),
            **{key.replace("_", "."): value for key, value in changed.items()},
        }
        hook = ChistaKafkaHook(define(conn_type="kafka", extra=extra))
        return Kafka(consumer=hook.consumer, admin=hook.admin, trouble=hook.trouble)

    return make


@pytest.fixture
def told(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> Callable[[], str]:
    """Everything that was logged or written meanwhile, librdkafka's own lines too."""
    caplog.set_level("DEBUG")

    def text() -> str:
        out, err = capfd.readouterr()
        return caplog.text + out + err

    return text
