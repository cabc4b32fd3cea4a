"""The DDL of the control tables, and findings in words."""

from __future__ import annotations

import re
from importlib import resources

import pytest

from airflow_provider_chista.findings import Finding, Severity
from airflow_provider_chista.sources.control import CONTROL_SCHEMA, CONTROL_TABLES
from airflow_provider_chista.sources.detect import SOURCES


@pytest.mark.parametrize("source", SOURCES)
def test_every_engine_has_the_four_tables_in_statements_that_can_be_repeated(source: type) -> None:
    text = (
        resources.files("airflow_provider_chista.sources").joinpath(f"setup/{source.flavour}.sql").read_text()
    )
    code = re.sub(r"^--.*$", "", text, flags=re.MULTILINE)
    statements = [part.strip() for part in code.split(";\n") if part.strip()]
    assert all("IF NOT EXISTS" in statement for statement in statements)
    tables = re.findall(r"CREATE TABLE IF NOT EXISTS (\S+) ", code)
    assert [name.replace("`", "") for name in tables] == [
        f"{CONTROL_SCHEMA}.{name}" for name in CONTROL_TABLES
    ]


def test_a_finding_says_what_was_found_where_and_what_mends_it() -> None:
    finding = Finding("log_bin", Severity.ERROR, "mysql h:1", "log_bin is 'OFF'", "set log_bin")
    assert str(finding) == "[error] log_bin: mysql h:1: log_bin is 'OFF'. Remedy: set log_bin"
    assert finding.severity == "error"
