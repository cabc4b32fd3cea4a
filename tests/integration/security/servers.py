"""Private servers with TLS and authentication, from the files that the stack has downloaded."""

from __future__ import annotations

import asyncio
import base64
import os
import ssl
import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from confluent_kafka import Producer
from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    NewTopic,
    ResourcePatternType,
    ResourceType,
)

from stack import downloads
from stack.services.base import kafka_problem
from tests.integration.security.authority import Authority, Server
from tests.integration.support import services
from tests.integration.support.ports import free_port

HOST = "127.0.0.1"


def java(stack: Any, heap: str, *options: str, path: tuple[Path, ...] = ()) -> list[str]:
    folders = (downloads.kafka(stack), *path)
    return [
        "java", f"-Xmx{heap}", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
        f"-Dlog4j2.configurationFile={stack.config / 'kafka' / 'log4j2.properties'}",
        "-cp", ":".join(f"{folder}/*" for folder in folders), *options,
    ]  # fmt: skip


def write_properties(path: Path, common: Path, own: Mapping[str, str]) -> None:
    """The stack's file with own values behind it; of two values of a key Java takes the last."""
    path.write_text(common.read_text() + "".join(f"{key}={value}\n" for key, value in own.items()))


@contextmanager
def process(
    command: list[str], log: Path, answers: Callable[[], bool], environment: Mapping[str, str] | None = None
) -> Iterator[None]:
    """A process that runs until the end of the block, from its first answer on."""
    with log.open("wb") as output:
        running = subprocess.Popen(command, stdout=output, stderr=output, env=environment)
    try:
        deadline = time.monotonic() + 60
        while not answers():
            assert running.poll() is None, log.read_text()[-3000:]
            assert time.monotonic() < deadline, log.read_text()[-3000:]
            time.sleep(0.1)
        yield
    finally:
        running.kill()
        running.wait()


@dataclass(frozen=True)
class SecuredKafka:
    """One broker; clients reach it by SASL_SSL only.

    :param plain: port of the listener without TLS, on which only the server itself may do anything.
    :param users: password by user; ``admin`` may do everything, the others what :meth:`allow` gave them.
    """

    bootstrap: str
    plain: int
    ca: Path
    users: Mapping[str, str]
    log: Path

    def client(self, user: str) -> dict[str, Any]:
        """librdkafka's properties, as a user writes them into the extra of an Airflow connection."""
        return {
            "bootstrap.servers": self.bootstrap,
            "security.protocol": "SASL_SSL",
            "sasl.mechanism": "SCRAM-SHA-512",
            "sasl.username": user,
            "sasl.password": self.users[user],
            "ssl.ca.location": str(self.ca),
        }

    def admin(self) -> AdminClient:
        return AdminClient(self.client("admin"))

    def create_topic(self, name: str) -> None:
        admin = self.admin()  # named, since a client without a reference ends before its answer
        admin.create_topics([NewTopic(name, 1, 1)])[name].result()

    def topics(self) -> set[str]:
        return set(self.admin().list_topics(timeout=10).topics)

    def send(self, topic: str, records: Sequence[tuple[bytes | None, bytes]]) -> None:
        producer = Producer(self.client("admin"))
        for key, value in records:
            producer.produce(topic, key=key, value=value)
        assert producer.flush(10) == 0

    def allow(self, user: str, *rights: tuple[ResourceType, str, bool, AclOperation]) -> None:
        """ACLs: resource, its name, whether that is a prefix, and the operation."""
        bindings = [
            AclBinding(
                resource,
                name,
                ResourcePatternType.PREFIXED if prefix else ResourcePatternType.LITERAL,
                f"User:{user}",
                "*",
                operation,
                AclPermissionType.ALLOW,
            )
            for resource, name, prefix, operation in rights
        ]
        admin = self.admin()
        for future in admin.create_acls(bindings).values():
            future.result()


@contextmanager
def secured_kafka(folder: Path, authority: Authority, users: Mapping[str, str]) -> Iterator[SecuredKafka]:
    """A broker with SCRAM users, ACLs and a certificate; only the server itself uses the open listener."""
    stack, port, own, controller = services.stack(), free_port(), free_port(), free_port()
    properties = folder / "broker.properties"
    listener = "listener.name.sasl_ssl"
    write_properties(
        properties,
        stack.config / "kafka" / "server.properties",
        {
            "controller.quorum.bootstrap.servers": f"{HOST}:{controller}",
            "listeners": f"PLAINTEXT://{HOST}:{own},SASL_SSL://{HOST}:{port},CONTROLLER://{HOST}:{controller}",
            "advertised.listeners": f"PLAINTEXT://{HOST}:{own},SASL_SSL://{HOST}:{port}",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,SASL_SSL:SASL_SSL,CONTROLLER:PLAINTEXT",
            "sasl.enabled.mechanisms": "SCRAM-SHA-512",
            f"{listener}.scram-sha-512.sasl.jaas.config": (
                "org.apache.kafka.common.security.scram.ScramLoginModule required;"
            ),
            **authority.server().properties(listener),
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": "User:ANONYMOUS;User:admin",
            "log.dirs": str(folder / "kafka"),
        },
    )
    identity = base64.urlsafe_b64encode(b"\x01" + uuid.uuid4().bytes[1:]).decode().rstrip("=")
    scram = [
        word
        for user, password in users.items()
        for word in ("--add-scram", f"SCRAM-SHA-512=[name={user},iterations=4096,password={password}]")
    ]
    subprocess.run(
        [
            *java(stack, "256m", "kafka.tools.StorageTool", "format", "--standalone"),
            "-t", identity, "-c", str(properties), *scram,
        ],
        check=True,
        capture_output=True,
    )  # fmt: skip
    log = folder / "broker.log"
    command = java(stack, "384m", "kafka.Kafka", str(properties))
    with process(command, log, lambda: kafka_problem(own) is None):
        yield SecuredKafka(f"{HOST}:{port}", own, authority.ca, users, log)


@dataclass(frozen=True)
class SecuredConnect:
    """A Connect worker with HTTPS and basic authentication, on a secured broker."""

    url: str
    user: str
    password: str
    log: Path


@contextmanager
def secured_connect(
    folder: Path, authority: Authority, kafka: SecuredKafka, user: str
) -> Iterator[SecuredConnect]:
    """The worker logs in to Kafka as ``user``; its REST interface knows one user, ``airflow``.

    The Kafka password is in its environment alone: ``${env:KAFKA_PASSWORD}`` of its own file, and of connectors.
    """
    stack, port = services.stack(), free_port()
    made = SecuredConnect(f"https://{HOST}:{port}", "airflow", "rest-secret-8d21", folder / "connect.log")
    (folder / "rest-users.properties").write_text(f"{made.user}: {made.password}\n")
    module = "org.apache.kafka.connect.rest.basic.auth.extension.PropertyFileLoginModule"
    (folder / "jaas.conf").write_text(
        f'KafkaConnect {{ {module} required file="{folder / "rest-users.properties"}"; }};\n'
    )
    login = java_client(kafka, user)
    write_properties(
        folder / "connect.properties",
        stack.config / "connect" / "connect.properties",
        {
            "bootstrap.servers": kafka.bootstrap,
            **login,
            **{f"producer.{key}": value for key, value in login.items()},
            "listeners": made.url,
            **authority.server().properties("listeners.https"),
            "rest.advertised.host.name": HOST,
            "rest.advertised.port": str(port),
            "rest.extension.classes": (
                "org.apache.kafka.connect.rest.basic.auth.extension.BasicAuthSecurityRestExtension"
            ),
            "plugin.path": str(downloads.debezium(stack)),
            "config.providers.env.param.allowlist.pattern": "^(CHISTA|KAFKA)_.*",
        },
    )
    command = java(
        stack,
        "640m",
        f"-Djava.security.auth.login.config={folder / 'jaas.conf'}",
        "org.apache.kafka.connect.cli.ConnectDistributed",
        str(folder / "connect.properties"),
        path=(downloads.connect_basic_auth(stack),),
    )
    secrets = {name: value for name, value in stack.secrets.items() if name.endswith("_CAPTURE_PASSWORD")}
    environment = {**_search_path(), **secrets, "KAFKA_PASSWORD": kafka.users[user]}

    def answers() -> bool:
        with suppress(httpx.TransportError):
            context = ssl.create_default_context(cafile=authority.ca)
            health = httpx.get(f"{made.url}/health", auth=(made.user, made.password), verify=context)
            return health.status_code == 200
        return False

    with process(command, made.log, answers, environment):
        yield made


def java_client(kafka: SecuredKafka, user: str) -> dict[str, str]:
    """What a Java client of the secured broker needs; the password by reference."""
    return {
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.jaas.config": (
            "org.apache.kafka.common.security.scram.ScramLoginModule required "
            f'username="{user}" password="${{env:KAFKA_PASSWORD}}";'
        ),
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": str(kafka.ca),
    }


def _search_path() -> dict[str, str]:
    return {name: os.environ[name] for name in ("PATH", "JAVA_HOME", "HOME") if name in os.environ}


class Terminator:
    """Ends TLS in front of a server that has none; what is not TLS never reaches that server."""

    def __init__(self, server: Server, port: int) -> None:
        self._to = port
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._listening = asyncio.run_coroutine_threadsafe(
            asyncio.start_server(self._serve, HOST, 0, ssl=server.context()), self._loop
        ).result(10)
        self.port = int(self._listening.sockets[0].getsockname()[1])

    def close(self) -> None:
        asyncio.run_coroutine_threadsafe(self._cancel(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _cancel(self) -> None:
        self._listening.close()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, near: asyncio.StreamReader, near_out: asyncio.StreamWriter) -> None:
        far, far_out = await asyncio.open_connection(HOST, self._to)
        await asyncio.gather(_pump(near, far_out), _pump(far, near_out))


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await source.read(65536):
            sink.write(data)
            await sink.drain()
    sink.close()
