"""docs/audit.md has the auditor's query as the code makes it, and every finding."""

from __future__ import annotations

import ast
import inspect

from airflow_provider_chista.archive import audit, backlog
from airflow_provider_chista.archive.question import question
from airflow_provider_chista.clickhouse.types import TypeMap
from airflow_provider_chista.model import Column, Kind, Table, TableId
from tests.unit.docs.pages import blocks, code, page, rows, sections


def test_the_query_is_the_one_that_the_code_makes() -> None:
    columns = (
        Column("id", "int", Kind.INT32, nullable=False),
        Column("name", "varchar(40)", Kind.TEXT, nullable=True),
        Column("day", "date", Kind.DATE, nullable=False),
    )
    assert blocks(page("audit.md"), "sql") == [
        question(TypeMap(), Table(TableId("shop", "orders"), columns, ("id",)))
    ]


def test_every_finding_is_documented() -> None:
    named = {"missing rows", "differing rows", "extra rows"}
    for module in (audit, backlog):
        for node in ast.walk(ast.parse(inspect.getsource(module))):
            if isinstance(node, ast.Call) and getattr(node.func, "attr", "") in ("find", "_finding"):
                named |= {arg.value for arg in node.args[:1] if isinstance(arg, ast.Constant)}
    assert {
        name for cells in rows(sections(page("audit.md"))["Findings"]) for name in code(cells[0])
    } == named
