"""What a service is, and the small things that the services share."""

import os
import socket
import struct
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from stack.errors import StackError
from stack.settings import HOST, Stack

_PROBE_SECONDS = 2.0

# Answers None when the service is well, else what was seen. The number is its process's start in seconds of the
# Unix epoch, for checks that could mistake a predecessor's traces for it.
HealthCheck = Callable[[Stack, float], str | None]


def _nothing(stack: Stack) -> None:
    pass


def _no_environment(stack: Stack) -> dict[str, str]:
    return {}


@dataclass(frozen=True)
class Service:
    """One supervised process and how to treat it.

    ``command`` and ``environment`` start it (its pid is the service's). ``install`` fetches what it needs into the
    cache, ``prepare`` makes its data folder before the start, ``set_up`` fills it once it answers; all three may be
    repeated. ``after`` names the services that must be healthy and set up before ``prepare``. A service that
    ``comes_back`` is started again when it ends without having been told to; the others stay down.
    """

    name: str
    ports: tuple[str, ...]
    command: Callable[[Stack], list[str]]
    healthy: HealthCheck
    environment: Callable[[Stack], dict[str, str]] = _no_environment
    install: Callable[[Stack], object] = _nothing
    prepare: Callable[[Stack], None] = _nothing
    set_up: Callable[[Stack], None] = _nothing
    after: tuple[str, ...] = ()
    stop_signal: str = "TERM"
    start_seconds: int = 180
    comes_back: bool = False


def http_answer(url: str) -> tuple[int, bytes]:
    """Status and body of a GET; status 0 and the reason when nobody answered."""
    try:
        with urllib.request.urlopen(url, timeout=_PROBE_SECONDS) as response:
            return response.status, response.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()
    except OSError as error:
        return 0, str(error).encode()


def http_problem(url: str) -> str | None:
    """None when a GET of ``url`` gives 200, else what it gave."""
    status, body = http_answer(url)
    return None if status == 200 else f"{url}: {status or 'no answer'} {body[:200].decode(errors='replace')}"


def kafka_problem(port: int) -> str | None:
    """None when a broker answers an ApiVersions request on this port, else what was seen."""
    request = struct.pack(">hhih", 18, 0, 1, -1)  # ApiVersions, version 0, correlation 1, no client id
    try:
        with socket.create_connection((HOST, port), timeout=_PROBE_SECONDS) as connection:
            connection.sendall(struct.pack(">i", len(request)) + request)
            answer = connection.recv(10)
    except OSError as error:
        return f"{HOST}:{port}: {error}"
    return None if answer[4:10] == struct.pack(">ih", 1, 0) else f"{HOST}:{port}: answered {answer!r}"


def replace_properties(text: str, places: Mapping[str, str]) -> str:
    """A Java properties file with the values of ``places`` in it; every key must be there already.

    :raises StackError: for a key that the file does not have, so that no place is set in one of the two stacks only.
    """
    lines, missing = [], dict(places)
    for line in text.splitlines():
        key = line.partition("=")[0].strip()
        lines.append(f"{key}={missing.pop(key)}" if key in missing else line)
    if missing:
        raise StackError(f"the configuration file has no {', '.join(sorted(missing))}")
    return "\n".join(lines) + "\n"


def fill_in(text: str, values: Mapping[str, str]) -> str:
    """``${NAME}`` replaced by values, for the SQL files of servers whose clients read no environment.

    :raises StackError: when a placeholder stays.
    """
    for name, value in values.items():
        text = text.replace(f"${{{name}}}", value)
    if "${" in text:
        start = text.index("${")
        raise StackError(f"no value for {text[start : start + 60].split('}')[0]}}} of the SQL file")
    return text


def setup_sql(stack: Stack, engine: str) -> list[Path]:
    """The SQL files of an engine, in order: the provider's control tables, then the stack's own users and demo tables."""
    return [
        stack.root / "airflow_provider_chista" / "sources" / "setup" / f"{engine}.sql",
        stack.root / "stack" / "sql" / f"{engine}.sql",
    ]


def is_root() -> bool:
    """Whether the launcher runs as root: some servers want a word more, or another user, then."""
    return os.geteuid() == 0
