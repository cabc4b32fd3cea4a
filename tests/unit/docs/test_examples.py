"""Python examples parse, import what exists, and make real Dags."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import pytest
from airflow.dag_processing.dagbag import DagBag

from tests.unit.docs.generated import ROOT
from tests.unit.docs.pages import PAGES, blocks, page

EXAMPLES = [
    pytest.param(body, id=f"{path.name}-{number}")
    for path in PAGES
    for number, body in enumerate(blocks(path.read_text(encoding="utf-8"), "python"), 1)
]


(ARCHIVES, *_) = blocks(page("yaml.md"), "yaml")
"""What the example of a Dag file with YAML finds beside it."""


def bag_of(body: str, folder: Path) -> DagBag:
    (folder / "archives.yaml").write_text(ARCHIVES, encoding="utf-8")
    (folder / "example.py").write_text(body, encoding="utf-8")
    return DagBag(dag_folder=folder, bundle_path=folder, bundle_name="examples")


@pytest.mark.parametrize("body", EXAMPLES)
def test_the_imports_of_an_example_exist(body: str) -> None:
    for node in ast.walk(ast.parse(body)):
        if isinstance(node, ast.ImportFrom):
            module = importlib.import_module(node.module or "")
            assert [name.name for name in node.names if not hasattr(module, name.name)] == []


@pytest.mark.parametrize("body", EXAMPLES)
def test_an_example_can_be_executed(body: str, tmp_path: Path) -> None:
    bag = bag_of(body, tmp_path)
    assert bag.import_errors == {}
    assert len(bag.dags) == any(call in body for call in ("DAG(", "archive_dag(", "load_dags("))


def test_the_dag_of_the_readme_is_a_whole_archive_in_ten_lines(tmp_path: Path) -> None:
    (body,) = blocks((ROOT / "README.md").read_text(encoding="utf-8"), "python")
    assert len([line for line in body.splitlines() if line.strip()]) <= 10
    bag = bag_of(body, tmp_path)
    assert bag.import_errors == {}
    dag = bag.dags["archive_orders"]
    assert {
        "preflight",
        "source_captured",
        "app_orders.verify",
        "app_orders.approve",
        "app_orders.seal",
    } <= set(dag.task_ids)
    assert dag.timetable.summary == "0 0 * * * + 365d"
