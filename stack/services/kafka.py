"""Kafka (one KRaft node) and Kafka Connect (one distributed worker with the Debezium connectors)."""

import base64
import uuid
from pathlib import Path

from stack import downloads
from stack.services.base import Service, http_problem, kafka_problem, replace_properties
from stack.settings import HOST, Stack
from stack.shell import run

# What the containers give them too.
BROKER_HEAP = "512m"
WORKER_HEAP = "1g"

_CAPTURE_PASSWORDS = (
    "CHISTA_MYSQL_CAPTURE_PASSWORD",
    "CHISTA_MARIADB_CAPTURE_PASSWORD",
    "CHISTA_POSTGRES_CAPTURE_PASSWORD",
)


def _java(stack: Stack, heap: str, main: str, *arguments: str) -> list[str]:
    return [
        "java",
        f"-Xmx{heap}",
        "-Xms64m",
        "-XX:+ExitOnOutOfMemoryError",
        "-Duser.timezone=UTC",
        f"-Djava.io.tmpdir={stack.temporary}",
        f"-Dlog4j2.configurationFile={stack.config / 'kafka' / 'log4j2.properties'}",
        "-cp",
        f"{downloads.kafka(stack)}/*",
        main,
        *arguments,
    ]


def broker_places(stack: Stack) -> dict[str, str]:
    """What ``server.properties`` says differently in this stack than in the container."""
    client, controller = f"{HOST}:{stack.ports['kafka']}", f"{HOST}:{stack.ports['kafka_controller']}"
    return {
        "controller.quorum.bootstrap.servers": controller,
        "listeners": f"PLAINTEXT://{client},CONTROLLER://{controller}",
        "advertised.listeners": f"PLAINTEXT://{client}",
        "log.dirs": str(stack.data / "kafka"),
    }


def worker_places(stack: Stack) -> dict[str, str]:
    """What ``connect.properties`` says differently in this stack than in the container."""
    return {
        "bootstrap.servers": stack.kafka_bootstrap,
        "listeners": f"http://{HOST}:{stack.ports['connect']}",
        "rest.advertised.host.name": HOST,
        "rest.advertised.port": str(stack.ports["connect"]),
        "plugin.path": ",".join(map(str, _plugins(stack))),
    }


def _plugins(stack: Stack) -> list[Path]:
    """Folders of plugins: the converter is there where the registry was asked for."""
    converter = downloads.converter_path(stack)
    return [downloads.debezium(stack), *([converter] if converter.is_dir() else [])]


def _prepare_broker(stack: Stack) -> None:
    for folder in (stack.rendered, stack.temporary):
        folder.mkdir(parents=True, exist_ok=True)
    properties = stack.rendered / "server.properties"
    common = (stack.config / "kafka" / "server.properties").read_text()
    properties.write_text(replace_properties(common, broker_places(stack)))
    if (stack.data / "kafka" / "meta.properties").exists():
        return
    identity = base64.urlsafe_b64encode(b"\x01" + uuid.uuid4().bytes[1:]).decode().rstrip("=")
    run(
        [
            *_java(stack, "256m", "kafka.tools.StorageTool", "format", "--standalone", "--ignore-formatted"),
            "-t",
            identity,
            "-c",
            str(properties),
        ]
    )


def _prepare_worker(stack: Stack) -> None:
    stack.rendered.mkdir(parents=True, exist_ok=True)
    common = (stack.config / "connect" / "connect.properties").read_text()
    (stack.rendered / "connect.properties").write_text(replace_properties(common, worker_places(stack)))


KAFKA = Service(
    name="kafka",
    ports=("kafka", "kafka_controller"),
    install=downloads.kafka,
    prepare=_prepare_broker,
    command=lambda stack: _java(stack, BROKER_HEAP, "kafka.Kafka", str(stack.rendered / "server.properties")),
    healthy=lambda stack, since: kafka_problem(stack.ports["kafka"]),
)

CONNECT = Service(
    name="connect",
    ports=("connect",),
    install=lambda stack: (downloads.kafka(stack), downloads.debezium(stack)),
    prepare=_prepare_worker,
    command=lambda stack: _java(
        stack,
        WORKER_HEAP,
        "org.apache.kafka.connect.cli.ConnectDistributed",
        str(stack.rendered / "connect.properties"),
    ),
    # The worker resolves ${env:CHISTA_...} of connector configurations; it is given these three names and no other secret.
    environment=lambda stack: {name: stack.secrets[name] for name in _CAPTURE_PASSWORDS},
    healthy=lambda stack, since: http_problem(f"{stack.connect_url}/health"),
    after=("kafka",),
)
