"""ClickHouse: a ``clickhouse`` binary when there is one, else the engine out of its npm library."""

import sys
import urllib.request

from stack import downloads
from stack.services.base import Service, http_problem
from stack.settings import HOST, Stack
from stack.shell import find_program


def _install(stack: Stack) -> None:
    if find_program("clickhouse") is None:
        downloads.clickhouse_library(stack)


def _prepare(stack: Stack) -> None:
    for name in ("clickhouse", "clickhouse/tmp", "clickhouse/user_files", "clickhouse/format_schemas"):
        (stack.data / name).mkdir(parents=True, exist_ok=True)


def _command(stack: Stack) -> list[str]:
    config = str(stack.config / "clickhouse" / "config.xml")
    binary = find_program("clickhouse")
    if binary is not None:
        return [str(binary), "server", f"--config-file={config}"]
    server = str(stack.root / "stack" / "clickhouse_server.py")
    return [sys.executable, server, str(downloads.clickhouse_library(stack)), config]


def places(stack: Stack) -> dict[str, str]:
    """The environment that ``config.xml`` and ``users.xml`` take their places and passwords from."""
    folder = stack.data / "clickhouse"
    return {
        "CHISTA_CLICKHOUSE_PATH": f"{folder}/",
        "CHISTA_CLICKHOUSE_TMP_PATH": f"{folder}/tmp/",
        "CHISTA_CLICKHOUSE_USER_FILES_PATH": f"{folder}/user_files/",
        "CHISTA_CLICKHOUSE_FORMAT_SCHEMA_PATH": f"{folder}/format_schemas/",
        "CHISTA_CLICKHOUSE_LISTEN_HOST": HOST,
        "CHISTA_CLICKHOUSE_HTTP_PORT": str(stack.ports["clickhouse_http"]),
        "CHISTA_CLICKHOUSE_TCP_PORT": str(stack.ports["clickhouse_tcp"]),
        "CHISTA_CLICKHOUSE_LOG": str(stack.logs / "clickhouse-server.log"),
        "CHISTA_CLICKHOUSE_ERROR_LOG": str(stack.logs / "clickhouse-server-errors.log"),
        "CHISTA_CLICKHOUSE_USERS": str(stack.config / "clickhouse" / "users.xml"),
        "CHISTA_CLICKHOUSE_PASSWORD": stack.secrets["CHISTA_CLICKHOUSE_PASSWORD"],
    }


def _set_up(stack: Stack) -> None:
    text = (stack.root / "stack" / "sql" / "clickhouse.sql").read_text()
    lines = "\n".join(line for line in text.splitlines() if not line.startswith("--"))
    for statement in filter(None, map(str.strip, lines.split(";"))):
        request = urllib.request.Request(
            stack.clickhouse_url,
            data=statement.encode(),
            headers={
                "X-ClickHouse-User": "chista",
                "X-ClickHouse-Key": stack.secrets["CHISTA_CLICKHOUSE_PASSWORD"],
            },
        )
        with urllib.request.urlopen(request, timeout=30):
            pass


CLICKHOUSE = Service(
    name="clickhouse",
    ports=("clickhouse_http", "clickhouse_tcp"),
    install=_install,
    prepare=_prepare,
    command=_command,
    environment=places,
    # By HTTP only: stray bytes on the native port end the library's process.
    healthy=lambda stack, since: http_problem(f"{stack.clickhouse_url}/ping"),
    set_up=_set_up,
)
