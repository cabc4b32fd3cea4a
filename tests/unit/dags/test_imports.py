"""What the Dag processor pays for at every parse: no heavy library, and no connection to anything."""

from __future__ import annotations

import json
import pkgutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PACKAGE = "airflow_provider_chista"
HEAVY = (
    "chdb", "clickhouse_connect", "confluent_kafka", "fastapi", "msgspec", "MySQLdb", "numpy", "openlineage", "pandas",
    "psycopg", "psycopg2", "pyarrow",
)  # fmt: skip
"""Libraries that only a running task, a trigger, a command or the page needs."""

PARSE = """
import json, socket, sys
from importlib import import_module
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk import BaseSensorOperator

def refused(*arguments, **named):
    raise AssertionError(f"a connection was opened: {arguments}")

for name in ("connect", "connect_ex"):
    setattr(socket.socket, name, refused)
for name in ("create_connection", "getaddrinfo"):
    setattr(socket, name, refused)
modules, folder, heavy = json.loads(sys.argv[1])
before = set(sys.modules)
for module in modules:
    import_module(module)
bag = DagBag(folder)
brought = set(sys.modules) - before
print(json.dumps([sorted(bag.dags), bag.import_errors, sorted(set(heavy) & brought)]))
"""


def for_dag_files() -> list[str]:
    """The modules that Dag files import, and what those are made of."""
    packages = [import_module(f"{PACKAGE}.{name}") for name in ("operators", "sensors", "timetables")]
    within = [f"{each.__name__}.{m.name}" for each in packages for m in pkgutil.iter_modules(each.__path__)]
    return [*within, f"{PACKAGE}.config", f"{PACKAGE}.dag", f"{PACKAGE}.triggers.check"]


@pytest.fixture(scope="module")
def parsed() -> tuple[list[str], dict[str, str], list[str]]:
    """Dags, errors and heavy libraries of a new process that imports those modules and parses ``dags/``."""
    given = json.dumps([for_dag_files(), str(ROOT / "dags"), HEAVY])
    done = subprocess.run([sys.executable, "-c", PARSE, given], capture_output=True, text=True, check=True)
    dags, errors, heavy = json.loads(done.stdout.splitlines()[-1])
    return dags, errors, heavy


def test_every_dag_file_is_parsed_without_a_connection(
    parsed: tuple[list[str], dict[str, str], list[str]],
) -> None:
    dags, errors, _ = parsed
    assert errors == {}
    assert {"archive_mysql", "yaml_postgres", "audit", "restore_rows", "stream_live"} <= set(dags)


def test_a_dag_file_brings_no_heavy_library(parsed: tuple[list[str], dict[str, str], list[str]]) -> None:
    assert parsed[2] == []
