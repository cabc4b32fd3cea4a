"""Whether the replicas of the compose profile ``cluster`` are the stack's ClickHouse, twice and connected.

No native stack has them, so they are compared with the service ``clickhouse``, which :mod:`stack.drift` compares with the
native one, and with what their own configuration files ask for.
"""

import re
from collections.abc import Iterator, Mapping

from stack.drift import Container, Model, containers
from stack.settings import HOST, Stack

PROFILE = "cluster"
KEEPER, REPLICAS = "clickhouse-keeper", ("clickhouse-1", "clickhouse-2")

_FOLDER = "stack/config/clickhouse"
_FILES = {f"{_FOLDER}/{name}.xml" for name in ("config", "users", "cluster")}
_OTHERS = ("CHISTA_CLICKHOUSE_REPLICA", "CHISTA_INTERSERVER_HOST")


def differences(model: Model, stack: Stack) -> list[str]:
    """Everything that is wrong with the services of the profile, a sentence each."""
    services = containers(model, stack.root)
    declared = set(model.get("volumes") or {})
    found = [f"{name}: is not there" for name in (KEEPER, *REPLICAS) if name not in services]
    if found:
        return found
    for name in (KEEPER, *REPLICAS):
        container = services[name]
        if model["services"][name].get("profiles") != [PROFILE]:
            found.append(f"{name}: is not of the profile {PROFILE} alone")
        if container.image != services["clickhouse"].image:
            found.append(f"{name}: image {container.image} is not that of clickhouse")
        if not container.healthcheck:
            found.append(f"{name}: has no health check")
        found += [
            f"{name}: volume {each} is not declared" for each in container.volumes if each not in declared
        ]
    for name in REPLICAS:
        found += _replica(services[name], services, stack)
    if len({port for name in REPLICAS for _, port, _ in services[name].ports}) < len(REPLICAS):
        found.append("the replicas publish the same port")
    return found + list(_keeper(services, stack))


def _replica(container: Container, services: Mapping[str, Container], stack: Stack) -> Iterator[str]:
    name, environment = container.name, container.environment
    if set(container.files) != _FILES:
        yield f"{name}: mounts {sorted(container.files)}, not {sorted(_FILES)}"
    asked = {
        variable
        for file in _FILES
        for variable in re.findall(r'from_env="(\w+)"', (stack.root / file).read_text())
    }
    given = {variable for variable in environment if variable.startswith("CHISTA_")}
    # The path of the users file is named by config.xml; every other file names what it needs itself.
    if asked != given:
        yield f"{name}: its files ask for {sorted(asked - given)} and it has {sorted(given - asked)} for nothing"
    plain = services["clickhouse"].environment
    different = [key for key in plain if environment.get(key) != plain[key]]
    if different:
        yield f"{name}: {different} differ from those of clickhouse"
    if {environment.get(key) for key in _OTHERS} != {name}:
        yield f"{name}: {' and '.join(_OTHERS)} are not its name"
    for number, replica in enumerate(REPLICAS, start=1):
        place = (
            environment.get(f"CHISTA_CLICKHOUSE_HOST_{number}"),
            environment.get(f"CHISTA_CLICKHOUSE_PORT_{number}"),
        )
        if place != (replica, plain["CHISTA_CLICKHOUSE_TCP_PORT"]):
            yield f"{name}: replica {number} is at {place}, not where {replica} listens"
    http = int(plain["CHISTA_CLICKHOUSE_HTTP_PORT"])
    if [(host, target) for host, _, target in container.ports] != [(HOST, http)]:
        yield f"{name}: does not publish port {http} on loopback alone"


def _keeper(services: Mapping[str, Container], stack: Stack) -> Iterator[str]:
    file = f"{_FOLDER}/keeper.xml"
    if services[KEEPER].files != (file,):
        yield f"{KEEPER}: mounts {services[KEEPER].files}, not {file}"
    port = re.findall(r"<tcp_port>(\d+)</tcp_port>", (stack.root / file).read_text())
    for name in REPLICAS:
        environment = services[name].environment
        if [environment.get("CHISTA_KEEPER_HOST"), environment.get("CHISTA_KEEPER_PORT")] != [KEEPER, *port]:
            yield f"{name}: the Keeper is not where it listens"
