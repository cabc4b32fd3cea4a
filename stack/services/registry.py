"""Apicurio's schema registry, in memory: what it holds is gone when it ends. Only Avro needs it: it is asked for by name."""

import sys

from stack import downloads
from stack.services.base import Service, http_problem
from stack.settings import HOST, Stack

# What the container gives it too.
REGISTRY_HEAP = "512m"


def _command(stack: Stack) -> list[str]:
    jar = f"apicurio-registry-app-{stack.versions['APICURIO_VERSION']}-runner.jar"
    return [
        "java",
        f"-Xmx{REGISTRY_HEAP}",
        "-Xms64m",
        "-XX:+ExitOnOutOfMemoryError",
        "-Duser.timezone=UTC",
        f"-Djava.io.tmpdir={stack.temporary}",
        f"-Dquarkus.http.host={HOST}",
        f"-Dquarkus.http.port={stack.ports['registry']}",
        "-jar",
        str(downloads.registry(stack) / jar),
    ]


def _tell_of_connect(stack: Stack) -> None:
    """A worker that was started before the converter was fetched does not know it."""
    properties = stack.rendered / "connect.properties"
    if properties.exists() and str(downloads.converter_path(stack)) not in properties.read_text():
        print("  note: connect does not know the converter yet: restart connect", file=sys.stderr, flush=True)


REGISTRY = Service(
    name="registry",
    ports=("registry",),
    install=lambda stack: (downloads.registry(stack), downloads.converter(stack)),
    set_up=_tell_of_connect,
    command=_command,
    healthy=lambda stack, since: http_problem(f"{stack.registry_url}/health/ready"),
)
