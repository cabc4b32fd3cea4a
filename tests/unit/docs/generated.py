"""Tables in the documentation that are made from the code: ``python -m tests.unit.docs.generated`` writes them into it.

A table stands between ``<!-- begin NAME -->`` and ``<!-- end NAME -->``. A test compares what stands there with what the code
says.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import get_args

from airflow.cli.cli_config import ActionCommand, CLICommand, GroupCommand
from pydantic import BaseModel

from airflow_provider_chista.cli.definition import get_cli_commands
from airflow_provider_chista.clickhouse.cluster import SETTINGS
from airflow_provider_chista.config.models import (
    Archive,
    Notifications,
    Notifier,
    Table,
    TaskDefaults,
    Throttle,
)
from airflow_provider_chista.config.schema import settings
from airflow_provider_chista.debezium.settings import (
    ALL,
    AVRO_CONVERTER,
    AVRO_FIXED,
    DEFAULTS,
    DERIVED,
    FIXED,
    KEEP_NULLS,
    OWN,
    REFUSED,
    Fixed,
)
from airflow_provider_chista.hooks.kafka import REQUIRED
from airflow_provider_chista.metrics import METRICS, TAGS
from airflow_provider_chista.model import TableId
from airflow_provider_chista.sources import Role, engine
from stack.cli import _COMMANDS
from stack.ports import DEFAULT_BASE_PORT, OFFSETS
from stack.prerequisites import AIRFLOW, BROWSER, MODEL, PREREQUISITES
from tests.unit.docs import types

ROOT = Path(__file__).parents[3]
TITLES = {"mysql": "MySQL", "mariadb": "MariaDB", "postgres": "PostgreSQL"}

LISTENERS = {
    "clickhouse_http": "ClickHouse, HTTP and the SQL page `/play`",
    "postgres": "PostgreSQL",
    "mysql": "MySQL",
    "mariadb": "MariaDB",
    "airflow_scheduler_health": "Airflow scheduler, health check",
    "airflow_triggerer_logs": "Airflow triggerer, logs",
    "airflow_worker_logs": "Airflow tasks, logs",
    "redis": "Redis, with the CeleryExecutor only",
    "airflow": "Airflow, UI and REST interface",
    "registry": "Schema registry, REST interface",
    "connect": "Kafka Connect, REST interface",
    "clickhouse_tcp": "ClickHouse, native protocol",
    "kafka": "Kafka",
    "kafka_controller": "Kafka, controller",
}


_OTHERS = {"10": " (any other number is accepted)", AVRO_CONVERTER: f" or `{KEEP_NULLS}`"}


def fixed_settings(settings: Iterable[Fixed] = FIXED) -> str:
    """Connector settings that keep the promises, with their reasons."""
    return _table(
        ("property", "value", "sources", "because"),
        (
            (
                f"`{setting.key}`",
                f"`{setting.value}`" + (_OTHERS[setting.value] if setting.accepts else ""),
                _sources(setting.flavours),
                setting.reason,
            )
            for setting in settings
        ),
    )


def avro_settings() -> str:
    """Those of a connector that writes Avro."""
    return fixed_settings(AVRO_FIXED)


def derived_settings() -> str:
    """Connector settings that follow from arguments."""
    return _table(
        ("property", "follows from"), ((f"`{key}`", f"`{argument}`") for key, argument in DERIVED.items())
    )


def own_settings() -> str:
    """Connector settings whose value is the provider's."""
    return _table(("property", "because"), ((f"`{key}`", reason) for key, reason in OWN.items()))


def refused_settings() -> str:
    """Connector settings that no override may set."""
    return _table(
        ("property (regular expression)", "because"),
        ((f"`{refused.pattern.pattern}`", refused.reason) for refused in REFUSED),
    )


def default_settings() -> str:
    """Connector settings that an override may change."""
    return _table(
        ("property", "default", "sources"),
        ((f"`{key}`", f"`{value}`", _sources(flavours)) for key, value, flavours in DEFAULTS),
    )


def consumer_settings() -> str:
    """Consumer settings that neither the connection nor a caller can change."""
    return _table(
        ("property", "value"), ((f"`{key}`", f"`{str(value).lower()}`") for key, value in REQUIRED.items())
    )


def cluster_settings() -> str:
    """ClickHouse settings of every statement."""
    return _table(
        ("setting", "value", "because"),
        ((f"`{setting.name}`", f"`{setting.value}`", setting.reason) for setting in SETTINGS),
    )


def metrics() -> str:
    """Every metric."""
    return _table(("metric", "kind", "what"), ((f"`{m.name}`", m.kind, m.meaning) for m in METRICS))


def metric_tags() -> str:
    """Their tags."""
    return _table(("tag", "what"), ((f"`{name}`", meaning) for name, meaning in TAGS.items()))


def ports() -> str:
    """Port of each listener, as a distance from the base port."""
    return _table(
        ("listener", "base port +", "by default"),
        ((LISTENERS[name], str(offset), str(DEFAULT_BASE_PORT + offset)) for name, offset in OFFSETS.items()),
    )


def commands() -> str:
    """Commands of the launcher."""
    return _table(
        ("`python3 -m stack …`", "does"),
        ((f"`{name}`", explanation) for name, (_, explanation) in _COMMANDS.items()),
    )


def prerequisites() -> str:
    """What the native stack needs of the machine."""
    return _table(
        ("needed", "packages of Debian and Ubuntu", "by"),
        ((each.name, _packages(each.packages), _needed_by(each.needed_by)) for each in PREREQUISITES),
    )


def types_of(flavour: str) -> Callable[[], str]:
    """Types of an engine, with what becomes of them."""

    def make() -> str:
        header, rows, keys = types.of_engine(flavour)
        return f"{_table(header, rows)}\n{keys}\n"

    return make


def clickhouse_types() -> str:
    """ClickHouse types that hold each kind exactly."""
    return _table(*types.of_clickhouse())


def kinds_in_sql() -> str:
    """SQL of each kind's text."""
    return _table(*types.in_sql())


def command_line(
    commands: Iterable[CLICommand] | None = None, path: str = "airflow"
) -> dict[str, ActionCommand]:
    """Every command by what a user types, such as ``airflow chista dead-letters list``."""
    found: dict[str, ActionCommand] = {}
    for each in get_cli_commands() if commands is None else commands:
        if isinstance(each, GroupCommand):
            found |= command_line(each.subcommands, f"{path} {each.name}")
        else:
            found[f"{path} {each.name}"] = each
    return found


def options_of(command: ActionCommand) -> Callable[[], str]:
    """Options of a command."""

    def make() -> str:
        return _table(
            ("option", "means"),
            (
                (
                    ", ".join(f"`{flag}`" for flag in option.flags)
                    + ("" if not option.kwargs.get("required") else ", needed"),
                    str(option.kwargs["help"]).replace("%(default)s", str(option.kwargs.get("default"))),
                )
                for option in command.args
            ),
        )

    return make


def yaml_settings(*models: type[BaseModel]) -> Callable[[], str]:
    """Settings of mappings of a file of archives."""

    def make() -> str:
        return _table(
            ("setting", "default", "meaning"),
            (
                (f"`{name}`", "required" if setting.required else _written(setting.default), setting.text)
                for model in models
                for name, setting in sorted(settings(model).items(), key=lambda item: not item[1].required)
            ),
        )

    return make


def grants_of(flavour: str) -> Callable[[], str]:
    """Statements that make the users of an engine."""

    def make() -> str:
        source, tables = engine(flavour), [TableId("app", "orders")]
        roles = ["\n".join(source.grants_sql(role, tables, f"chista_{role}")) for role in get_args(Role)]
        return "```sql\n" + "\n\n".join(roles) + "\n```\n"

    return make


TABLES: dict[str, tuple[str, Callable[[], str]]] = {
    **{f"{flavour} types": ("docs/types.md", types_of(flavour)) for flavour in TITLES},
    **{f"{name} options": ("docs/cli.md", options_of(each)) for name, each in command_line().items()},
    **{f"{flavour} grants": ("docs/grants.md", grants_of(flavour)) for flavour in ("mysql", "postgres")},
    "clickhouse types": ("docs/types.md", clickhouse_types),
    "kinds in sql": ("docs/row-hash.md", kinds_in_sql),
    "expressions": ("docs/row-hash.md", types.expressions),
    "fixed settings": ("docs/connections.md", fixed_settings),
    "avro settings": ("docs/connections.md", avro_settings),
    "derived settings": ("docs/connections.md", derived_settings),
    "own settings": ("docs/connections.md", own_settings),
    "refused settings": ("docs/connections.md", refused_settings),
    "default settings": ("docs/connections.md", default_settings),
    "consumer settings": ("docs/connections.md", consumer_settings),
    "cluster settings": ("docs/clusters.md", cluster_settings),
    "yaml archive": ("docs/yaml.md", yaml_settings(Archive)),
    "yaml table": ("docs/yaml.md", yaml_settings(Table)),
    "yaml throttle": ("docs/yaml.md", yaml_settings(Throttle)),
    "yaml notifications": ("docs/yaml.md", yaml_settings(Notifications, Notifier)),
    "yaml tasks": ("docs/yaml.md", yaml_settings(TaskDefaults)),
    "metrics": ("docs/metrics.md", metrics),
    "metric tags": ("docs/metrics.md", metric_tags),
    "ports": ("docs/stack.md", ports),
    "commands": ("docs/stack.md", commands),
    "prerequisites": ("docs/stack.md", prerequisites),
}
"""Each table's page and its maker, by name."""


def block(name: str, text: str) -> re.Match[str]:
    """Where a table stands in a page; group 1 is the table."""
    found = re.search(rf"<!-- begin {name} -->\n(.*?)<!-- end {name} -->", text, re.DOTALL)
    assert found, f"no block {name!r}"
    return found


def write() -> None:
    """Write every table into its page."""
    for name, (page, make) in TABLES.items():
        path = ROOT / page
        text = path.read_text(encoding="utf-8")
        found = block(name, text)
        path.write_text(text[: found.start(1)] + make() + text[found.end(1) :], encoding="utf-8")


def _table(header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    escaped = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    lines = [header, ["---"] * len(header), *escaped]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _written(default: object) -> str:
    """A default as YAML has it; empty where there is none, or only the text tells it."""
    return (
        ""
        if default in (None, [], "")
        else f"`{str(default).lower() if isinstance(default, bool) else default}`"
    )


def _packages(names: tuple[str, ...]) -> str:
    return ", ".join(" or ".join(f"`{name}`" for name in package.split("|")) for package in names)


def _needed_by(names: tuple[str, ...]) -> str:
    if BROWSER in names:
        return "tests in a browser"
    services = [name for name in names if name not in (*AIRFLOW, MODEL)]
    services += ["Airflow"] * (set(AIRFLOW) <= set(names)) + ["the model"] * (MODEL in names)
    return ", ".join(services) or "everything"


def _sources(flavours: frozenset[str]) -> str:
    return "all" if flavours == ALL else ", ".join(TITLES[name] for name in TITLES if name in flavours)


if __name__ == "__main__":
    write()
