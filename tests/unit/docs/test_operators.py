"""docs/operators.md has every operator, sensor and parameter with its default, and every template field."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import pkgutil
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from airflow.sdk import BaseOperator

import airflow_provider_chista.operators as operators
import airflow_provider_chista.sensors as sensors
from airflow_provider_chista.dag import WINDOW_PARAMS, ArchiveTable, archive_dag
from airflow_provider_chista.operators.base import ArchiveOperator, TableOperator, WindowOperator
from airflow_provider_chista.sensors.base import CheckSensor
from airflow_provider_chista.upkeep import audit_dag, restore_dag
from tests.unit.docs.generated import ROOT
from tests.unit.docs.pages import code, page, rows, sections

SECTIONS = sections(page("operators.md"))
BASES = (ArchiveOperator, TableOperator, WindowOperator, CheckSensor)


def classes() -> list[type[Any]]:
    found = []
    for package in (operators, sensors):
        for info in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            module = importlib.import_module(info.name)
            found += [
                value
                for value in vars(module).values()
                if inspect.isclass(value)
                and value.__module__ == info.name
                and issubclass(value, BaseOperator)
            ]
    return [found_class for found_class in found if found_class not in BASES]


def parameters(function: Any) -> list[inspect.Parameter]:
    """Named parameters of a function, without self and the rest."""
    kinds = (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    found = inspect.signature(inspect.unwrap(function)).parameters.values()
    return [p for p in found if p.kind in kinds and p.name != "self"]


def written(default: Any) -> str:
    """A default as the page writes it."""
    if default is inspect.Parameter.empty:
        return ""
    if isinstance(default, timedelta):
        return f"{default.days} days"
    if isinstance(default, datetime):
        return f"{default:%Y-%m-%d}"
    text = str(default)
    return f"`{text}`" if text else '`""`'


def documented(section: str) -> dict[str, str | None]:
    """Default by parameter; None where several parameters share a row."""
    found: dict[str, str | None] = {}
    for cells in rows(section):
        names = code(cells[0])
        found.update(dict.fromkeys(names, cells[1] if len(names) == 1 else None))
    return found


def require(section: str, wanted: list[inspect.Parameter]) -> None:
    """Every parameter is in the section's table, with its default."""
    found = documented(section)
    assert [p.name for p in wanted if p.name not in found] == []
    wrong = {
        p.name: (found[p.name], written(p.default))
        for p in wanted
        if found[p.name] is not None and found[p.name] != written(p.default)
    }
    assert wrong == {}


EVERY_CLASS = pytest.mark.parametrize("documented_class", classes(), ids=lambda each: each.__name__)


@EVERY_CLASS
def test_every_class_has_a_section_with_its_parameters_and_their_defaults(
    documented_class: type[Any],
) -> None:
    section = SECTIONS[documented_class.__name__]
    assert f"`{documented_class.__module__}`" in section
    require(section, parameters(documented_class.__init__))


@EVERY_CLASS
def test_every_section_names_exactly_the_template_fields(documented_class: type[Any]) -> None:
    _, _, listed = SECTIONS[documented_class.__name__].partition("Template fields: ")
    assert tuple(code(re.split(r"\.\s", listed)[0])) == tuple(documented_class.template_fields)


def test_every_class_is_in_the_readme() -> None:
    table = {
        name for cells in rows((ROOT / "README.md").read_text(encoding="utf-8")) for name in code(cells[0])
    }
    assert {each.__name__ for each in classes()} <= table


def test_shared_parameters_are_documented_once() -> None:
    shared = documented(SECTIONS["Parameters that operators share"])
    names = [
        p.name for base in (ArchiveOperator, TableOperator, WindowOperator) for p in parameters(base.__init__)
    ]
    assert sorted(set(names) - set(shared)) == []
    own = [
        p for p in parameters(CheckSensor.__init__) if p.name != "deferrable"
    ]  # its default is a configuration option
    require(SECTIONS["Parameters that sensors share"], own)
    assert "deferrable" in documented(SECTIONS["Parameters that sensors share"])


def test_the_factory_and_the_table_are_documented() -> None:
    found = documented(SECTIONS["The DAG factory"])
    assert "dag_kwargs" in found
    require(SECTIONS["The DAG factory"], parameters(archive_dag))
    missing = dataclasses.MISSING
    for field in dataclasses.fields(ArchiveTable):
        default = inspect.Parameter.empty if field.default is missing else field.default
        assert found[field.name] == written(default), field.name


@pytest.mark.parametrize("factory", [restore_dag, audit_dag])
def test_the_factories_of_restores_and_audits_are_documented(factory: Callable[..., Any]) -> None:
    _, of_restores, of_audits = SECTIONS["Restores and audits"].split("`dag_id`")
    table = {restore_dag: of_restores, audit_dag: of_audits}[factory]
    require("| `dag_id`" + table.partition("\n\n")[0], parameters(factory))


def test_the_form_is_documented() -> None:
    form = {cells[0]: code(cells[1]) for cells in rows(sections(page("dates.md"))["The trigger form"])}
    assert form == {param.schema["title"]: [name] for name, param in WINDOW_PARAMS.items()}
