"""The JSON schema of editors: it is that of the models, and it agrees with them about files."""

from __future__ import annotations

import inspect
import json
import sys
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from jsonschema import Draft202012Validator

from airflow_provider_chista.archive.policies import TruncatePolicy
from airflow_provider_chista.archive.purgereport import PurgeMethod
from airflow_provider_chista.config.__main__ import main
from airflow_provider_chista.config.models import (
    Archive,
    Defaults,
    Table,
    TableDefaults,
    TaskDefaults,
    Throttle,
)
from airflow_provider_chista.config.schema import HANDED_TO, STORED, schema, settings
from airflow_provider_chista.dag import ArchiveTable, archive_dag
from airflow_provider_chista.operators.purge import PurgeSourceOperator
from airflow_provider_chista.sources.partitions import PartitionAction
from tests.unit.config.cases import KEYS, ONLY_WHEN_LOADED, VALUES
from tests.unit.config.conftest import GOOD

ROOT = Path(__file__).parents[3]
REFRESH = "run: python -m airflow_provider_chista.config --schema > airflow_provider_chista/config/archives.schema.json"


@pytest.fixture(scope="module")
def editor() -> Draft202012Validator:
    return Draft202012Validator(json.loads(STORED.read_text(encoding="utf-8")))


def test_the_schema_of_the_package_is_that_of_the_models(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["config", "--schema"])
    assert main() == 0
    assert capsys.readouterr().out == STORED.read_text(encoding="utf-8"), REFRESH
    Draft202012Validator.check_schema(schema())


def test_every_setting_is_described(editor: Draft202012Validator) -> None:
    parts = editor.schema["$defs"]
    lacking = [
        f"{name}.{key}"
        for name, part in parts.items()
        for key, setting in part["properties"].items()
        if not setting.get("description")
    ]
    assert lacking == []


@pytest.mark.parametrize("file", ["dags/archives.yaml", "tests/unit/config/every_setting.yaml"])
def test_a_good_file_is_good_in_the_editor(editor: Draft202012Validator, file: str) -> None:
    document = yaml.load((ROOT / file).read_text(encoding="utf-8"), yaml.BaseLoader)
    assert [error.message for error in editor.iter_errors(_typed(document))] == []


def _typed(value: Any) -> Any:
    """Plain scalars by YAML 1.2, near enough for these files."""
    if isinstance(value, dict):
        return {key: _typed(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_typed(each) for each in value]
    try:
        return json.loads(value)
    except ValueError:
        return value


STRUCTURAL = [
    (part, instead)
    for part, instead, _ in (*VALUES, *KEYS)
    if not any(word in instead for word in ONLY_WHEN_LOADED)
]


@pytest.mark.parametrize(("part", "instead"), STRUCTURAL, ids=lambda value: value.strip()[:30])
def test_what_is_wrong_when_loaded_is_wrong_in_the_editor(
    editor: Draft202012Validator, part: str, instead: str
) -> None:
    assert editor.is_valid(_typed(yaml.load(GOOD, yaml.BaseLoader)))
    assert not editor.is_valid(_typed(yaml.load(GOOD.replace(part, instead, 1), yaml.BaseLoader)))


def test_a_variable_may_stand_for_any_value(editor: Draft202012Validator) -> None:
    more = {
        "max_active_runs": "${RUNS}",
        "catchup": "${C:-true}",
        "retention": "${AGE}",
        "throttle": {"max_lag": "${LAG}"},
    }
    document = yaml.safe_load(GOOD)
    document["archives"]["orders"] |= more
    assert editor.is_valid(document)
    document["archives"]["orders"]["max_active_runs"] = "many"
    assert not editor.is_valid(document)


def test_every_argument_of_the_factory_can_be_given() -> None:
    arguments = set(inspect.signature(archive_dag).parameters) - {
        "dag_id",
        "dag_kwargs",
        "approval_notifiers",
    }
    assert arguments <= set(Archive.model_fields)
    assert set(inspect.signature(ArchiveTable).parameters) == set(Table.model_fields)
    purge = set(inspect.signature(PurgeSourceOperator).parameters)
    assert set(Throttle.model_fields) <= purge


def test_every_default_of_tasks_is_an_argument_of_airflow_or_of_a_task_of_the_factory() -> None:
    own = {name for each in HANDED_TO[TaskDefaults] for name in inspect.signature(each).parameters}
    airflow = {name for name, field in TaskDefaults.model_fields.items() if field.description} - own
    assert set(TaskDefaults.model_fields) - own == airflow
    assert {"retries", "pool", "execution_timeout"} <= airflow


@pytest.mark.parametrize(
    ("field", "words"),
    [
        ("on_truncate", {*TruncatePolicy} - {TruncatePolicy.APPLY}),
        ("method", {*PurgeMethod}),
        ("partition_action", {*PartitionAction}),
    ],
)
def test_words_are_those_of_the_operators(field: str, words: set[str]) -> None:
    assert set(get_args(TableDefaults.model_fields[field].annotation)) == words


def test_defaults_are_those_of_what_the_settings_are_handed_to() -> None:
    found = settings(Defaults)
    assert (found["retention"].default, found["cron"].default, found["min_replicas"].default) == (
        "365 days",
        "@daily",
        1,
    )
    assert settings(TaskDefaults)["batch_rows"].default == 50_000
    assert settings(Table)["on_truncate"].default == "stop"
