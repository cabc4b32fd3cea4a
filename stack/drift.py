"""Whether the native stack and ``docker-compose.yaml`` still say the same: versions, ports, settings, connections.

:func:`load` reads the compose files with PyYAML, as Compose would resolve them; :func:`differences` compares such
a model (or the one that Compose's own loader printed) with the native stack and names everything that drifted
apart.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stack import downloads
from stack.connections import connection_environment
from stack.environment import PINNED
from stack.services import OF_CELERY, SERVICES, airflow, clickhouse, kafka, registry
from stack.settings import HOST, Stack, read_env_file

Model = Mapping[str, Any]

# Containers that do one thing and end; the native launcher does it itself.
ONE_SHOT = ("connect-plugins", "connect-converter", "airflow-init")

AVRO = "avro"
"""The profile of what the native stack starts by name only."""
_OF_AVRO = {"registry", "connect-converter"}

_IMAGES = {
    "kafka": "apache/kafka:{KAFKA_VERSION}",
    "connect": "apache/kafka:{KAFKA_VERSION}",
    "connect-plugins": "maven:{MAVEN_IMAGE_TAG}",
    "connect-converter": "maven:{MAVEN_IMAGE_TAG}",
    "registry": "apicurio/apicurio-registry-mem:{APICURIO_VERSION}",
    "clickhouse": "clickhouse/clickhouse-server:{CLICKHOUSE_SERIES}",
    "mysql": "mysql:{MYSQL_SERIES}",
    "mariadb": "mariadb:{MARIADB_SERIES}",
    "postgres": "postgres:{POSTGRES_SERIES}",
}
_AIRFLOW_IMAGE = "chista-airflow:{AIRFLOW_VERSION}"

# Published port by service and port inside the container. What is not here is reached inside one container only.
_PUBLISHED = {
    ("kafka", 19092): "kafka",
    ("connect", 8083): "connect",
    ("registry", 8080): "registry",
    ("clickhouse", 8123): "clickhouse_http",
    ("clickhouse", 9000): "clickhouse_tcp",
    ("mysql", 3306): "mysql",
    ("mariadb", 3306): "mariadb",
    ("postgres", 5432): "postgres",
    ("airflow-api", 8080): "airflow",
}
# The ports inside the containers' own network, where they are not the published ones.
_INNER_PORTS = {"kafka": 9092}

# Files of the repository that both ways read, by service.
_SHARED_FILES = {
    "kafka": ("stack/config/kafka/server.properties", "stack/config/kafka/log4j2.properties"),
    "connect": ("stack/config/connect/connect.properties", "stack/config/kafka/log4j2.properties"),
    "connect-plugins": ("stack/maven/pom.xml",),
    "connect-converter": ("stack/maven/converter.xml", downloads.KEEP_NULLS),
    "clickhouse": (
        "stack/config/clickhouse/config.xml",
        "stack/config/clickhouse/users.xml",
        "stack/sql/clickhouse.sql",
    ),
    "mysql": (
        "stack/config/mysql/my.cnf",
        "airflow_provider_chista/sources/setup/mysql.sql",
        "stack/sql/mysql.sql",
    ),
    "mariadb": (
        "stack/config/mariadb/my.cnf",
        "airflow_provider_chista/sources/setup/mariadb.sql",
        "stack/sql/mariadb.sql",
    ),
    "postgres": (
        "stack/config/postgres/postgresql.conf",
        "stack/config/postgres/pg_hba.conf",
        "stack/sql/postgres-databases.sql",
        "airflow_provider_chista/sources/setup/postgres.sql",
        "stack/sql/postgres.sql",
    ),
    **{
        name: ("dags", "stack/config/airflow/airflow_local_settings.py")
        for name in SERVICES
        if name.startswith("airflow-")
    },
}

# Places of the native Airflow that a container does not need: its image has them, or nothing else is on its ports.
_NATIVE_ONLY = {
    "AIRFLOW_HOME",
    "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT",
    "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT",
}


@dataclass(frozen=True)
class Container:
    """One service of a compose model, whichever of Compose's spellings it was written in."""

    name: str
    image: str
    command: str
    environment: Mapping[str, str]
    env_files: tuple[str, ...]
    ports: tuple[tuple[str, int, int], ...]
    files: tuple[str, ...]
    volumes: tuple[str, ...]
    depends_on: tuple[str, ...]
    build_arguments: Mapping[str, str]
    healthcheck: bool


def load(root: Path) -> dict[str, Any]:
    """``docker-compose.yaml`` with its includes, interpolated from their env files, as a plain dictionary.

    Reads what these files use of the format: ``include`` with ``path`` and ``env_file`` lists, anchors, ``${NAME}``, ``$$``.
    Services of profiles are there too.

    :raises KeyError: for a variable that no env file has.
    """
    import yaml

    top = yaml.safe_load((root / "docker-compose.yaml").read_text())
    model: dict[str, Any] = {"name": top["name"], "services": {}, "volumes": {}}
    for include in top["include"]:
        values: dict[str, str] = {}
        for file in include["env_file"]:
            values |= read_env_file(root / file)
        for file in include["path"]:
            part = yaml.safe_load(_interpolate((root / file).read_text(), values))
            for section in ("services", "volumes"):
                model[section] |= part.get(section) or {}
    return model


def _interpolate(text: str, values: Mapping[str, str]) -> str:
    def value(match: re.Match[str]) -> str:
        return "$" if match["escaped"] else values[match["name"]]

    # In comments a dollar is only a dollar.
    lines = (
        line
        if line.lstrip().startswith("#")
        else re.sub(r"(?P<escaped>\$\$)|\$\{(?P<name>\w+)\}", value, line)
        for line in text.splitlines()
    )
    return "\n".join(lines) + "\n"


def containers(model: Model, root: Path) -> dict[str, Container]:
    """The services of a model by name; paths are relative to the repository."""
    return {name: _container(name, service, root) for name, service in model["services"].items()}


def _container(name: str, service: Mapping[str, Any], root: Path) -> Container:
    command = service.get("command") or []
    env_files = service.get("env_file") or []
    sources = [
        entry.split(":")[0] if isinstance(entry, str) else entry["source"]
        for entry in service.get("volumes") or []
    ]
    return Container(
        name=name,
        image=service.get("image", ""),
        command=command if isinstance(command, str) else " ".join(command),
        environment={key: str(value) for key, value in (service.get("environment") or {}).items()},
        env_files=tuple(
            _relative(entry["path"] if isinstance(entry, dict) else entry, root)
            for entry in ([env_files] if isinstance(env_files, str) else env_files)
        ),
        ports=tuple(_port(entry) for entry in service.get("ports") or []),
        files=tuple(_relative(source, root) for source in sources if source.startswith((".", "/"))),
        volumes=tuple(source for source in sources if not source.startswith((".", "/"))),
        depends_on=tuple(sorted(service.get("depends_on") or ())),
        build_arguments={
            key: str(value) for key, value in ((service.get("build") or {}).get("args") or {}).items()
        },
        healthcheck=bool(service.get("healthcheck")),
    )


def _port(entry: str | Mapping[str, Any]) -> tuple[str, int, int]:
    if isinstance(entry, str):
        *host, published, target = entry.split(":")
        return (host[0] if host else "", int(published), int(target))
    return entry.get("host_ip", ""), int(entry["published"]), int(entry["target"])


def _relative(path: str, root: Path) -> str:
    return str((root / path).resolve().relative_to(root.resolve()))


def differences(model: Model, stack: Stack) -> list[str]:
    """Everything in which the containers of a model differ from the native stack, a sentence each; empty when nothing does.

    Those of other profiles than :data:`AVRO` are no part of it (``stack/drift_cluster.py``).
    ``stack`` must have the default base port: that is what the containers publish.
    """
    services = {
        name: container
        for name, container in containers(model, stack.root).items()
        if (model["services"][name].get("profiles") or [AVRO]) == [AVRO]
    }
    started_by_name = {name for name in services if model["services"][name].get("profiles")}
    declared = set(model.get("volumes") or {})
    lost = [
        f"{name}: volume {volume} is not declared"
        for name, container in services.items()
        for volume in container.volumes
        if volume not in declared
    ]
    lost += _unequal(f"services of the profile {AVRO}", sorted(started_by_name), sorted(_OF_AVRO))
    checks = (
        _references,
        _services,
        _images,
        _ports,
        _files,
        _kafka,
        _plugins,
        _clickhouse,
        _airflow,
        _connections,
    )
    return lost + [difference for check in checks for difference in check(services, stack)]


def _unequal(what: str, compose: object, native: object) -> Iterator[str]:
    if compose != native:
        yield f"{what}: compose has {compose!r}, the native stack {native!r}"


def _references(services: Mapping[str, Container], stack: Stack) -> Iterator[str]:
    """Compose's loader takes a name that is nowhere; ``docker compose up`` would not."""
    for name, container in services.items():
        for needed in container.depends_on:
            if needed not in services:
                yield f"{name}: depends on {needed}, which is no service"


def _services(services: Mapping[str, Container], stack: Stack) -> Iterator[str]:
    yield from _unequal(
        "services", sorted(set(services) - set(ONE_SHOT)), sorted(set(SERVICES) - set(OF_CELERY))
    )
    for name, container in services.items():
        if name not in ONE_SHOT and not container.healthcheck:
            yield f"{name}: has no health check"


def _images(services: Mapping[str, Container], stack: Stack) -> Iterator[str]:
    for name, container in services.items():
        wanted = _IMAGES.get(name, _AIRFLOW_IMAGE).format(**stack.versions)
        yield from _unequal(f"image of {name}", container.image, wanted)
        if name not in _IMAGES:
            arguments = {"AIRFLOW_VERSION", "AIRFLOW_PYTHON", *PINNED.values()}
            native = {argument: stack.versions[argument] for argument in sorted(arguments)}
            yield from _unequal(
                f"build arguments of {name}", dict(sorted(container.build_arguments.items())), native
            )


def _ports(services: Mapping[str, Container], stack: Stack) -> Iterator[str]:
    published = {
        (name, target): (host, port) for name, c in services.items() for host, port, target in c.ports
    }
    wanted = {place: (HOST, stack.ports[listener]) for place, listener in _PUBLISHED.items()}
    for place in sorted(published.keys() | wanted.keys()):
        yield from _unequal(
            f"published port of {place[0]} ({place[1]} inside)", published.get(place), wanted.get(place)
        )


def _files(services: Mapping[str, Container], stack: Stack) -> Iterator[str]:
    for name, files in _SHARED_FILES.items():
        for file in files:
            if name in services and file not in services[name].files:
                yield f"{name}: does not mount {file}, which the native stack reads"


def _kafka(services: Mapping[str, Container], stack: Stack) -> Iterator[str]:
    for name, heap in (("kafka", kafka.BROKER_HEAP), ("connect", kafka.WORKER_HEAP)):
        yield from _unequal(
            f"heap of {name}", services[name].environment.get("KAFKA_HEAP_OPTS"), f"-Xmx{heap}"
        )
    options = services["registry"].environment.get("JAVA_OPTIONS")
    yield from _unequal("heap of registry", options, f"-Xmx{registry.REGISTRY_HEAP}")
    broker = _properties(stack.config / "kafka" / "server.properties")
    advertised = dict(entry.split("://") for entry in broker["advertised.listeners"].split(","))
    yield from _unequal("Kafka's advertised port on the host", advertised["HOST"], stack.kafka_bootstrap)
    worker = _properties(stack.config / "connect" / "connect.properties")
    yield from _unequal("Connect's brokers", worker["bootstrap.servers"], advertised["PLAINTEXT"])
    passwords = {
        key: value for key, value in services["connect"].environment.items() if key.startswith("CHISTA_")
    }
    yield from _unequal("secrets of connect", passwords, SERVICES["connect"].environment(stack))


def _properties(path: Path) -> dict[str, str]:
    lines = (line for line in path.read_text().splitlines() if line and not line.startswith("#"))
    return dict(line.split("=", 1) for line in lines)


def _plugins(services: Mapping[str, Container], stack: Stack) -> Iterator[str]:
    native = downloads.maven_properties(stack.versions)
    needed = {"apicurio.version", "maven.dependency.plugin.version"}
    for name, wanted in (
        ("connect-plugins", native),
        ("connect-converter", {key: value for key, value in native.items() if key in needed}),
    ):
        given = dict(re.findall(r"-D([\w.]+)=(\S+)", services[name].command))
        given.pop("chista.output", None)
        yield from _unequal(f"Maven properties of {name}", given, wanted)
    listed = services["connect-converter"].command.split()
    for name in downloads.CONVERTER_CLASSES:
        if name not in listed:
            yield f"connect-converter: does not list {name}"


def _clickhouse(services: Mapping[str, Container], stack: Stack) -> Iterator[str]:
    compose = {
        key: value for key, value in services["clickhouse"].environment.items() if key.startswith("CHISTA_")
    }
    native = clickhouse.places(stack)
    yield from _unequal("settings of clickhouse", sorted(compose), sorted(native))
    password = "CHISTA_CLICKHOUSE_PASSWORD"
    yield from _unequal(password, compose.get(password), native[password])


def _airflow(services: Mapping[str, Container], stack: Stack) -> Iterator[str]:
    native = airflow.places(stack)
    keys = {key for key in native if key not in _NATIVE_ONLY}
    secret = {
        "AIRFLOW__CORE__FERNET_KEY",
        "AIRFLOW__API_AUTH__JWT_SECRET",
        "AIRFLOW__API__SECRET_KEY",
        "AIRFLOW__API__BASE_URL",
    }
    for name in (service for service in services if service.startswith("airflow-")):
        container = services[name]
        settings = {key for key in container.environment if key.startswith("AIRFLOW__")}
        yield from _unequal(f"settings of {name}", sorted(settings), sorted(keys))
        yield from _unequal(
            f"settings file of {name}", container.env_files, ("stack/config/airflow/airflow.env",)
        )
        for key in sorted(secret):
            yield from _unequal(f"{key} of {name}", container.environment.get(key), native[key])


def _connections(services: Mapping[str, Container], stack: Stack) -> Iterator[str]:
    inside = {(name, target) for name, target in _PUBLISHED if name not in _INNER_PORTS} | set(
        _INNER_PORTS.items()
    )
    listeners = {stack.ports[listener]: name for (name, _), listener in _PUBLISHED.items()}
    native = {key: json.loads(value) for key, value in connection_environment(stack).items()}
    for name in (service for service in services if service.startswith("airflow-")):
        environment = services[name].environment
        compose = {
            key: json.loads(text) for key, text in environment.items() if key.startswith("AIRFLOW_CONN_")
        }
        yield from _unequal(f"connections of {name}", sorted(compose), sorted(native))
        for key in sorted(compose.keys() & native.keys()):
            (ours, place), (theirs, target) = _without_place(compose[key]), _without_place(native[key])
            yield from _unequal(f"{key} of {name}", ours, theirs)
            if place not in inside or place[0] != listeners[target[1]]:
                yield f"{key} of {name}: {place[0]}:{place[1]} is not where its service listens"


def _without_place(connection: dict[str, Any]) -> tuple[dict[str, Any], tuple[str, int]]:
    """A connection without host and port, and these two apart."""
    if "host" not in connection:
        host, _, port = connection["extra"]["bootstrap.servers"].partition(":")
        return connection | {"extra": {**connection["extra"], "bootstrap.servers": ""}}, (host, int(port))
    rest = {key: value for key, value in connection.items() if key not in ("host", "port")}
    return rest, (connection["host"].removeprefix("http://"), connection["port"])
