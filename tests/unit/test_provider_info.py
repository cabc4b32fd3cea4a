from __future__ import annotations

import importlib
import json
import pkgutil
import subprocess
import sys
from importlib import metadata, resources
from types import ModuleType

import airflow
import jsonschema
import pytest
from airflow.providers_manager import ProvidersManager
from airflow.sdk import BaseOperator
from airflow.sdk.configuration import conf
from airflow.sdk.providers_manager_runtime import ProvidersManagerTaskRuntime
from packaging.utils import canonicalize_name

import airflow_provider_chista
from airflow_provider_chista.plugin import ChistaPlugin
from airflow_provider_chista.provider_info import DISTRIBUTION, get_provider_info


def test_the_package_name_is_the_canonical_name_of_the_distribution():
    """With another one every airflow command would break, not just this package."""
    assert canonicalize_name(metadata.metadata(DISTRIBUTION)["Name"]) == get_provider_info()["package-name"]


def test_the_version_is_written_in_one_place():
    assert metadata.version(DISTRIBUTION) == airflow_provider_chista.__version__


def test_the_information_fits_airflows_schema():
    schema = json.loads((resources.files(airflow) / "provider_info.schema.json").read_text())
    jsonschema.validate(get_provider_info(), schema)


def test_both_entry_points_are_registered():
    found = {
        (entry.group, entry.value)
        for entry in metadata.distribution(DISTRIBUTION).entry_points
        if entry.group in ("apache_airflow_provider", "airflow.plugins")
    }
    assert found == {
        ("apache_airflow_provider", "airflow_provider_chista.provider_info:get_provider_info"),
        ("airflow.plugins", "airflow_provider_chista.plugin:ChistaPlugin"),
    }
    assert ChistaPlugin.name == "chista"


def test_every_class_and_module_that_is_announced_exists():
    info = get_provider_info()
    dotted = [connection["hook-class-name"] for connection in info["connection-types"]]
    for kind in ("hooks", "operators", "sensors", "triggers"):
        for entry in info.get(kind, []):
            for module in entry["python-modules"]:
                importlib.import_module(module)
    for path in [*dotted, *info.get("extra-links", []), *info["cli"]]:
        module, _, name = path.rpartition(".")
        assert hasattr(importlib.import_module(module), name), path


@pytest.mark.parametrize("kind", ["operators", "sensors"])
def test_every_module_of_operators_and_sensors_is_announced(kind):
    package = importlib.import_module(f"airflow_provider_chista.{kind}")
    modules = [
        importlib.import_module(f"{package.__name__}.{each.name}")
        for each in pkgutil.iter_modules(package.__path__)
    ]
    there = {module.__name__ for module in modules if tasks_of(module)}
    announced = {name for entry in get_provider_info()[kind] for name in entry["python-modules"]}
    assert announced == there - {f"{package.__name__}.base"}


def tasks_of(module: ModuleType) -> list[type[BaseOperator]]:
    """Operators and sensors that a module defines."""
    classes = [
        each for each in vars(module).values() if isinstance(each, type) and issubclass(each, BaseOperator)
    ]
    return [each for each in classes if each.__module__ == module.__name__]


def test_the_hooks_of_the_connection_types_agree_with_the_forms():
    for connection in get_provider_info()["connection-types"]:
        module, _, name = connection["hook-class-name"].rpartition(".")
        hook = getattr(importlib.import_module(module), name)
        assert (hook.conn_type, hook.hook_name) == (connection["connection-type"], connection["hook-name"])


def test_airflow_knows_the_provider_its_connection_type_and_its_setting():
    manager = ProvidersManager()
    manager.initialize_providers_configuration()
    assert manager.providers[DISTRIBUTION].version == airflow_provider_chista.__version__
    assert ProvidersManagerTaskRuntime().hooks["kafka_connect"].hook_name == "Kafka Connect"
    assert ProvidersManagerTaskRuntime().hooks["schema_registry"].hook_name == "Schema Registry"
    assert conf.get("chista", "state_database") == "chista"


HEAVY = ("confluent_kafka", "clickhouse_connect", "pyarrow", "MySQLdb", "psycopg", "psycopg2", "fastapi")


def test_what_every_component_imports_brings_no_heavy_library():
    code = (
        "import sys, airflow.cli.cli_config, airflow.plugins_manager, airflow.timetables.interval\n"
        "before = set(sys.modules)\n"
        "import airflow_provider_chista.plugin, airflow_provider_chista.provider_info, airflow_provider_chista.links\n"
        "from airflow_provider_chista.cli.definition import get_cli_commands\n"
        "assert [command.name for command in get_cli_commands()] == ['chista']\n"
        f"print('brought:', *sorted(set({HEAVY!r}) & (set(sys.modules) - before)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip().splitlines()[-1] == "brought:"
