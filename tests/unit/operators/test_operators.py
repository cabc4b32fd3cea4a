from __future__ import annotations

import importlib
import inspect
import json
import pkgutil
from datetime import UTC, datetime
from typing import Any

import pytest
from airflow.sdk import DAG, BaseOperator
from airflow.serialization.serialized_objects import DagSerialization

import airflow_provider_chista.operators
import airflow_provider_chista.sensors
from airflow_provider_chista.operators.base import ArchiveOperator, TableOperator, WindowOperator
from airflow_provider_chista.operators.drain import DrainTopicOperator
from airflow_provider_chista.sensors.base import CheckSensor
from tests.unit.operators.cases import OPERATORS, SENSORS, Case, name

EVERY_CASE = pytest.mark.parametrize("case", [*OPERATORS, *SENSORS], ids=name)


def test_the_table_of_cases_has_every_operator_and_sensor() -> None:
    bases = {ArchiveOperator, TableOperator, WindowOperator, CheckSensor}
    found = set()
    for package in (airflow_provider_chista.operators, airflow_provider_chista.sensors):
        for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            for _, member in inspect.getmembers(importlib.import_module(module.name), inspect.isclass):
                if issubclass(member, BaseOperator) and member.__module__ == module.name:
                    found.add(member)
    assert found - bases == {case.operator for case in (*OPERATORS, *SENSORS)}


@EVERY_CASE
def test_template_fields_are_kept_as_given(case: Case) -> None:
    """A constructor that changes a template sees Jinja, not the value."""
    task = case.make()
    given = set(case.arguments) & set(case.operator.template_fields)
    assert {field: getattr(task, field) for field in given} == {
        field: case.arguments[field] for field in given
    }
    for field in case.operator.template_fields:
        assert hasattr(task, field), field


@EVERY_CASE
def test_everything_with_a_template_in_it_is_a_template_field(case: Case) -> None:
    templated = {field for field, value in case.arguments.items() if "{{" in str(value)}
    allowed = {"source_conn_id", *case.operator.template_fields}
    assert templated <= allowed


@EVERY_CASE
def test_nothing_secret_is_rendered_in_the_ui(case: Case) -> None:
    assert not {field for field in case.operator.template_fields if "password" in field or "secret" in field}


@EVERY_CASE
def test_it_is_serialised_with_its_dag(case: Case) -> None:
    with DAG(
        "d", schedule=None, start_date=datetime(2024, 1, 1, tzinfo=UTC), default_args={"retries": 3}
    ) as dag:
        case.make()
    stored = json.loads(json.dumps(DagSerialization.to_dict(dag)))
    again = DagSerialization.from_dict(stored)
    assert again.task_dict["t"].task_type == name(case)
    assert again.task_dict["t"].retries == 3


@EVERY_CASE
def test_arguments_are_given_by_name_only(case: Case) -> None:
    with pytest.raises(TypeError):
        case.operator("t", **case.arguments)  # type: ignore[misc]


@EVERY_CASE
def test_the_class_documents_each_of_its_parameters(case: Case) -> None:
    """Parameters of a base class are documented there."""
    own = inspect.signature(case.operator.__init__).parameters.values()
    documented = " ".join(inspect.getdoc(cls) or "" for cls in case.operator.__mro__)
    names = [p.name for p in own if p.kind is p.KEYWORD_ONLY]
    assert [p for p in names if f":param {p}:" not in documented] == []


def test_templates_are_rendered() -> None:
    task: Any = DrainTopicOperator(
        task_id="t",
        table="shop.{{ params.table }}",
        target="archive.{{ params.table }}",
        topic_prefix="{{ params.prefix }}",
        follow_seconds="{{ params.follow }}",
        source_conn_id="shop_verify",
    )
    task.render_template_fields({"params": {"table": "orders", "prefix": "p", "follow": 300}})
    assert (task.table, task.target, task.topic_prefix) == ("shop.orders", "archive.orders", "p")
    assert float(task.follow_seconds) == 300


def test_a_killed_task_is_asked_to_stop_and_may_be_asked_twice() -> None:
    task: Any = OPERATORS[3].make()
    assert not task._stop.is_set()
    task.on_kill()
    task.on_kill()
    assert task._stop.is_set()
