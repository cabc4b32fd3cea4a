"""The page of compatibility says what ``pyproject.toml`` allows, what the stack pins and what ``make compat`` runs."""

from __future__ import annotations

import re
import tomllib

from stack.compat import ENVIRONMENTS
from stack.settings import Stack
from tests.unit.docs.generated import ROOT
from tests.unit.docs.pages import page, rows, sections

PAGE = sections(page("compatibility.md"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
VERSIONS = Stack().versions


def same(version: str, other: str) -> bool:
    """Whether two versions differ by zeros at their end alone."""
    return re.sub(r"(\.0)+$", "", version) == re.sub(r"(\.0)+$", "", other)


def test_the_oldest_versions_are_those_that_may_be_installed() -> None:
    libraries = {
        row[0].strip("`"): row[1] for row in rows(PAGE["Airflow, Python and libraries"]) if len(row) == 3
    }
    declared = [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["openlineage"]]
    allowed = dict(requirement.split(">=") for requirement in declared)
    assert libraries.keys() == allowed.keys()
    assert [name for name, oldest in libraries.items() if not same(oldest, allowed[name])] == []


def test_every_environment_is_told_with_its_python() -> None:
    told = {row[0].strip("`"): row[1] for row in rows(PAGE["Airflow, Python and libraries"]) if len(row) == 5}
    assert told.pop("the stack's") == VERSIONS["AIRFLOW_PYTHON"]
    assert told == {each.name: each.python for each in ENVIRONMENTS}


def test_the_servers_are_those_of_the_stack() -> None:
    told = {row[0].split(",")[0]: row[1] for row in rows(PAGE["Servers"])}
    assert told == {
        "MySQL": VERSIONS["MYSQL_SERIES"],
        "MariaDB": VERSIONS["MARIADB_SERIES"],
        "PostgreSQL": VERSIONS["POSTGRES_SERIES"],
        "ClickHouse": VERSIONS["CLICKHOUSE_SERIES"],
        "Kafka and Kafka Connect": VERSIONS["KAFKA_VERSION"],
        "Debezium": VERSIONS["DEBEZIUM_VERSION"].removesuffix(".Final"),
        "Apicurio Registry": VERSIONS["APICURIO_VERSION"].removesuffix(".Final"),
    }


def test_every_python_that_is_announced_was_run() -> None:
    announced = {c.split(" :: ")[-1] for c in PROJECT["classifiers"] if "Python :: 3." in c}
    assert announced == {each.python for each in ENVIRONMENTS}
