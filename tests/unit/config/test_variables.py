"""Variables of the environment, and secrets, which have no place in a file of archives nor in what is said about it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_provider_chista.config import load_dags
from tests.unit.config.cases import TIME
from tests.unit.config.conftest import GOOD

Errors = Callable[[str | bytes], list[str]]


def loaded(folder: Path, text: str) -> DAG:
    file = folder / "archives.yaml"
    file.write_text(text, encoding="utf-8")
    return load_dags(file)["orders"]


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"HOUSE": "house", "RUNS": "3", "AGE": "12 hours", "NONE": "", "LONG": "soon"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("UNSET", raising=False)


RESOLVED = [
    ("clickhouse_conn_id: ${HOUSE}_archive", "house_archive"),
    ("clickhouse_conn_id: ${UNSET:-other}", "other"),
    ("clickhouse_conn_id: ${NONE:-other}", "other"),
    ("clickhouse_conn_id: '{{ var.value.house }}'", "{{ var.value.house }}"),
]


@pytest.mark.usefixtures("given")
@pytest.mark.parametrize(("line", "value"), RESOLVED)
def test_a_variable_stands_for_its_value(tmp_path: Path, line: str, value: str) -> None:
    dag = loaded(tmp_path, GOOD.replace("retention: 90 days", line))
    assert dag.task_dict["preflight"].clickhouse_conn_id == value


TYPED = [
    ("max_active_runs: ${RUNS}", "max_active_runs", 3),
    ("catchup: ${UNSET:-true}", "catchup", True),
    ("description: '${RUNS}'", "description", "3"),
    ("description: $${RUNS} and ${RUNS} {{ ds }}", "description", "${RUNS} and 3 {{ ds }}"),
    ("description: costs $5", "description", "costs $5"),
]


@pytest.mark.usefixtures("given")
@pytest.mark.parametrize(("line", "name", "value"), TYPED)
def test_a_value_without_quotation_marks_has_the_type_of_its_text(
    tmp_path: Path, line: str, name: str, value: Any
) -> None:
    found = getattr(loaded(tmp_path, GOOD.replace("retention: 90 days", line)), name)
    assert (type(found), found) == (type(value), value)


@pytest.mark.usefixtures("given")
def test_what_belongs_to_the_connect_worker_is_left_as_it_is(tmp_path: Path) -> None:
    more = """connector_overrides:
      a: ${env:HOUSE}
      b: ${HOUSE}
      c: $${x} ${file:/a:b}-${UNSET}
      ssl.truststore.password: ${file:/secrets:store}
    capture_password: ${env:CAPTURE}"""
    register = loaded(tmp_path, GOOD.replace("retention: 90 days", more)).task_dict["register_connector"]
    assert register.password == "${env:CAPTURE}"
    assert register.overrides == {
        "a": "${env:HOUSE}",
        "b": "${HOUSE}",
        "c": "$${x} ${file:/a:b}-${UNSET}",
        "ssl.truststore.password": "${file:/secrets:store}",
    }


NO_VARIABLE = "is no variable; write ${NAME} or ${NAME:-default}, or $${ for a literal ${"
NOT_RESOLVED = [
    (
        "description: ${UNSET}",
        "8:18: ${UNSET} is not set where Airflow parses this file; set it, or write ${UNSET:-default}",
    ),
    ("description: ${env:HOUSE}", f"8:18: '${{env:HOUSE}}' {NO_VARIABLE}"),
    ("description: ${HOUSE", f"8:18: '${{HOUSE' {NO_VARIABLE}"),
    ("description: ${}", f"8:18: '${{}}' {NO_VARIABLE}"),
    ("retention: ${LONG}", f"8:16: retention is 'soon'; {TIME}"),
    ("max_active_runs: '${RUNS}'", "8:22: max_active_runs is '3'; write a whole number"),
]


@pytest.mark.usefixtures("given")
@pytest.mark.parametrize(("line", "error"), NOT_RESOLVED)
def test_a_variable_that_cannot_be_resolved(errors: Errors, line: str, error: str) -> None:
    assert errors(GOOD.replace("retention: 90 days", line)) == [error]


SECRET = "hunter2-and-more"
CONNECTION = "which must not be in this file; name an Airflow connection, which keeps it"
WORKER = (
    "which must not be in this file nor in Airflow; write a reference that the Connect worker resolves,"
    " such as ${env:NAME}"
)
FROM = "name an Airflow connection, which keeps it"
STORE, JAAS = "ssl.truststore.password", "producer.override.sasl.jaas.config"
SECRETS = [
    ("capture_password: {}", f"8:23: capture_password holds a secret, {WORKER}"),
    ("capture_password: ${{ORDERS}}", f"8:23: capture_password holds a secret, {WORKER}"),
    (f"connector_overrides: {{{{{STORE}: {{}}}}}}", f"8:52: {STORE} holds a secret, {WORKER}"),
    (f"connector_overrides: {{{{{JAAS}: {{}}}}}}", f"8:63: {JAAS} holds a secret, {WORKER}"),
    (
        "connector_overrides: {{a: 'http://me:{}@here'}}",
        f"8:30: a has a password in an address, {CONNECTION}",
    ),
    (
        "clickhouse_conn_id: http://me:{}@here",
        f"8:25: clickhouse_conn_id has a password in an address, {CONNECTION}",
    ),
    ("description: see https://me:{}@here", f"8:18: description has a password in an address, {CONNECTION}"),
    (
        "description: ${{ORDERS_PASSWORD}}",
        f"8:18: description would get a secret from ${{ORDERS_PASSWORD}}; {FROM}",
    ),
    (
        "description: ${{SLACK_TOKEN:-{}}}",
        f"8:18: description would get a secret from ${{SLACK_TOKEN}}; {FROM}",
    ),
    ("params: {{api_key: {}}}", f"8:23: api_key holds a secret, {CONNECTION}"),
    ("params: {{password: 12345678}}", f"8:24: password holds a secret, {CONNECTION}"),
]


@pytest.mark.parametrize(("line", "error"), SECRETS)
def test_a_secret_is_refused_and_never_shown(
    errors: Errors, monkeypatch: pytest.MonkeyPatch, line: str, error: str
) -> None:
    for name in ("ORDERS", "ORDERS_PASSWORD", "SLACK_TOKEN"):
        monkeypatch.setenv(name, SECRET)
    found = errors(GOOD.replace("retention: 90 days", line.format(SECRET)))
    assert found == [error]
    assert SECRET not in str(found)


@pytest.mark.parametrize("line", ["password: {}", "capture_password: [{}]", "capture_passwd: {{of: {}}}"])
def test_no_other_error_shows_a_secret(errors: Errors, line: str) -> None:
    first, second = errors(GOOD.replace("retention: 90 days", line.format(SECRET)))
    assert "holds a secret" in second
    assert SECRET not in first + second


def test_a_column_may_have_any_name(tmp_path: Path) -> None:
    text = f"{GOOD}        column_types: {{password_hash: String, token: {{type: UUID}}}}\n"
    assert loaded(tmp_path, text).task_dict["create_tables"].column_types == {
        "shop.orders": {"password_hash": "String", "token": {"type": "UUID"}}
    }


def test_the_id_of_a_connection_is_no_secret(tmp_path: Path) -> None:
    text = GOOD.replace("retention: 90 days", "params: {token_conn_id: chat}")
    assert loaded(tmp_path, text).params["token_conn_id"] == "chat"
