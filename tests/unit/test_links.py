"""Extra links: where they lead, what is not in them, and that Airflow's UI gets them."""

from __future__ import annotations

import json
from base64 import b64decode
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import pytest
from airflow.sdk import DAG
from airflow.serialization.serialized_objects import DagSerialization

from airflow_provider_chista.errors import FatalError
from airflow_provider_chista.hooks.clickhouse import ChistaClickHouseHook
from airflow_provider_chista.hooks.kafka_connect import KafkaConnectHook
from airflow_provider_chista.links import LINKS
from airflow_provider_chista.operators.approve import ApprovePurgeOperator
from airflow_provider_chista.operators.audit import AuditArchiveOperator
from airflow_provider_chista.operators.connector import RegisterConnectorOperator
from airflow_provider_chista.operators.deadletters import ReplayDeadLettersOperator
from airflow_provider_chista.operators.drain import DrainTopicOperator
from airflow_provider_chista.operators.purge import PurgeSourceOperator
from airflow_provider_chista.operators.restore import RestoreRowsOperator
from airflow_provider_chista.operators.verify import VerifyArchiveOperator
from airflow_provider_chista.provider_info import get_provider_info
from airflow_provider_chista.sensors.capture import SourceCapturedSensor
from airflow_provider_chista.sensors.topic import TopicDrainedSensor
from airflow_provider_chista.sensors.window import WindowVerifiedSensor
from tests.unit.docs.pages import code, page, rows, sections
from tests.unit.operators.cases import OPERATORS, SENSORS, Case, name

STREAM = {"connector": "orders 1", "topic_prefix": "p"}
PAIR = {"table": "shop.orders", "target": "archive.o'rders"}
WINDOW = {"time_column": "day", "window_start": "2024-01-01", "window_end": "2024-01-02"}
CONNECT = {"host": "http://connect", "login": "ann", "password": "connect-secret"}
CLICKHOUSE = {"host": "ch", "port": 8124, "login": "chista", "password": "clickhouse-secret"}
PAGES = {"connector_page": "https://ui/c/{connector}", "topic_page": "https://ui/t/{topic}?x=1"}
STATUS = "http://connect:8083/connectors/orders%201/status"


@pytest.fixture
def define(monkeypatch: pytest.MonkeyPatch) -> Any:
    def connections(connect: dict[str, Any] | None = None, **clickhouse: Any) -> None:
        for conn_id, conn_type, fields in (
            ("KAFKA_CONNECT_DEFAULT", "kafka_connect", {**CONNECT, "extra": connect or {}}),
            ("CLICKHOUSE_DEFAULT", "clickhouse", {**CLICKHOUSE, **clickhouse}),
        ):
            monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id}", json.dumps({"conn_type": conn_type, **fields}))

    return connections


def begun(operator: Any, **arguments: Any) -> tuple[Any, dict[str, str]]:
    """A task whose work is about to begin, and the XComs that it left."""
    task: Any = operator(task_id="t", source_conn_id="s", **arguments)
    pushed: dict[str, str] = {}
    ti = SimpleNamespace(xcom_push=lambda key, value: pushed.update({key: value}))
    task.pre_execute({"ti": ti, "params": {}})
    return task, pushed


def addresses(operator: Any, **arguments: Any) -> dict[str, str]:
    task, pushed = begun(operator, **arguments)
    given = {link.name: link.get_link(task, ti_key=None) for link in task.operator_extra_links}  # type: ignore[arg-type]
    assert pushed == {
        link.xcom_key: given[link.name] for link in task.operator_extra_links if given[link.name]
    }
    return given


def query(address: str) -> str:
    return b64decode(urlsplit(address).fragment).decode()


def test_a_connector_leads_to_its_status_or_to_the_page_that_the_connection_names(define: Any) -> None:
    define()
    captured = {"tables": ["shop.orders"], **STREAM}
    assert addresses(SourceCapturedSensor, **captured) == {"Connector": STATUS}
    registered = {"capture_conn_id": "c", **captured}
    assert addresses(RegisterConnectorOperator, **registered) == {"Connector": STATUS}
    define(PAGES)
    assert addresses(SourceCapturedSensor, **captured) == {"Connector": "https://ui/c/orders%201"}


def test_a_topic_leads_to_the_page_that_the_connection_names_and_else_nowhere(define: Any) -> None:
    drained = {"topic_prefix": "p", **PAIR}
    define()
    assert addresses(TopicDrainedSensor, **drained) == {"Topic": ""}
    define(PAGES)
    assert addresses(TopicDrainedSensor, **drained) == {"Topic": "https://ui/t/p.shop.orders?x=1"}


def test_a_window_leads_to_its_entries_of_the_ledger(define: Any) -> None:
    define()
    found = addresses(VerifyArchiveOperator, **STREAM, **PAIR, **WINDOW)
    assert found["Connector"] == STATUS
    assert found["ClickHouse query"].startswith("http://ch:8124/play#")
    sql = query(found["ClickHouse query"])
    assert "FROM `chista`.`ledger`\nWHERE target = 'archive.o\\'rders'\n" in sql
    assert "AND window = 'day:2024-01-01T00:00:00+00:00/2024-01-02T00:00:00+00:00'" in sql


def test_who_waits_for_a_proof_is_led_to_its_windows_entries(define: Any) -> None:
    define()
    sql = query(addresses(WindowVerifiedSensor, **PAIR, **WINDOW)["ClickHouse query"])
    assert "FROM `chista`.`ledger`\nWHERE target = 'archive.o\\'rders'\n" in sql
    assert "AND window = 'day:2024-01-01T00:00:00+00:00/2024-01-02T00:00:00+00:00'" in sql


@pytest.mark.parametrize(
    ("operator", "arguments", "table"),
    [
        (DrainTopicOperator, {"topic_prefix": "p"}, "dead_letters"),
        (ReplayDeadLettersOperator, {}, "dead_letters"),
        (RestoreRowsOperator, {"restore_conn_id": "r", "row_keys": ["1"]}, "ledger"),
    ],
)
def test_what_has_no_window_leads_to_what_is_known_of_its_table(
    define: Any, operator: Any, arguments: dict[str, Any], table: str
) -> None:
    define()
    sql = query(addresses(operator, **arguments, **PAIR)["ClickHouse query"])
    assert f"FROM `chista`.`{table}`" in sql
    assert "AND window" not in sql


def test_an_approval_leads_to_its_windows_entries(define: Any) -> None:
    define()
    approval = {"verify_id": "v", **PAIR, **WINDOW}
    sql = query(addresses(ApprovePurgeOperator, **approval)["ClickHouse query"])
    assert "FROM `chista`.`ledger`\nWHERE target = 'archive.o\\'rders'\n" in sql
    assert "AND window = 'day:2024-01-01T00:00:00+00:00/2024-01-02T00:00:00+00:00'" in sql


def test_an_audit_leads_to_the_audits_of_its_tables(define: Any) -> None:
    define()
    tables = {"shop.orders": "archive.o'rders", "shop.b": "archive.b"}
    found = addresses(AuditArchiveOperator, tables=tables, **STREAM)
    assert found["Connector"] == STATUS
    named = "WHERE stage = 'audited'\n  AND target IN ('archive.o\\'rders', 'archive.b')\n"
    assert named in query(found["ClickHouse query"])
    every = addresses(AuditArchiveOperator)
    assert every["Connector"] == ""
    assert "WHERE stage = 'audited'\nORDER" in query(every["ClickHouse query"])


def test_no_address_has_a_password_or_a_user_in_it(define: Any) -> None:
    define(PAGES)
    for address in addresses(VerifyArchiveOperator, **STREAM, **PAIR, **WINDOW).values():
        for secret in ("secret", "ann", "chista@"):
            assert secret not in address
            assert secret not in query(address) if "#" in address else True


def test_a_link_that_cannot_be_made_costs_the_task_nothing(define: Any) -> None:
    define({"topic_page": "javascript:alert(1)"}, extra={"chista_url": "http://ann:pw@ch"})
    found = addresses(DrainTopicOperator, topic_prefix="p", **PAIR)
    assert found == {"Topic": "", "ClickHouse query": ""}
    # No window: the task itself will say so.
    purge = {"purge_conn_id": "p", "retention": None, **PAIR, "time_column": "day"}
    assert addresses(PurgeSourceOperator, **purge) == {"ClickHouse query": ""}


def test_a_task_whose_work_never_began_has_none() -> None:
    task: Any = DrainTopicOperator(task_id="t", topic_prefix="p", source_conn_id="s", **PAIR)
    assert [link.get_link(task, ti_key=None) for link in task.operator_extra_links] == ["", ""]


@pytest.mark.parametrize(
    ("fields", "address"),
    [
        ({}, "http://ch:8124/play#UQ=="),
        ({"port": None}, "http://ch:8123/play#UQ=="),
        ({"extra": {"secure": True}}, "https://ch:8124/play#UQ=="),
        ({"host": "::1"}, "http://[::1]:8124/play#UQ=="),
        ({"extra": {"chista_url": "https://gate.example/ch/"}}, "https://gate.example/ch/play#UQ=="),
    ],
)
def test_the_page_of_a_query_is_where_the_connection_says(define: Any, fields: Any, address: str) -> None:
    define(**fields)
    assert ChistaClickHouseHook().query_page("Q") == address


@pytest.mark.parametrize("url", ["ch:8123", "ftp://ch", "https://ann:pw@ch", "https://"])
def test_an_address_of_clickhouse_that_cannot_be_is_refused(define: Any, url: str) -> None:
    define(extra={"chista_url": url})
    with pytest.raises(FatalError, match="chista_url") as refused:
        ChistaClickHouseHook().query_page("Q")
    assert "pw" not in str(refused.value)


@pytest.mark.parametrize("template", ["/topics/{topic}", "javascript:{topic}", "https://ui/topics"])
def test_a_page_of_topics_that_cannot_be_is_refused(define: Any, template: str) -> None:
    define({"topic_page": template})
    with pytest.raises(FatalError, match="topic_page"):
        KafkaConnectHook().topic_page("t")


@pytest.mark.parametrize("case", [*OPERATORS, *SENSORS], ids=name)
def test_airflow_knows_the_links_of_a_task_from_its_serialised_dag(case: Case) -> None:
    with DAG("d", schedule=None, start_date=datetime(2024, 1, 1, tzinfo=UTC)) as dag:
        case.make()
    again = DagSerialization.from_dict(json.loads(json.dumps(DagSerialization.to_dict(dag))))
    named = {link.name for link in case.operator.operator_extra_links}
    assert set(again.task_dict["t"].extra_links) == named
    assert {link.__class__ for link in case.operator.operator_extra_links} <= set(LINKS)


def test_a_mapped_task_has_them_too() -> None:
    with DAG("d", schedule=None, start_date=datetime(2024, 1, 1, tzinfo=UTC)) as dag:
        DrainTopicOperator.partial(task_id="t", topic_prefix="p", source_conn_id="s").expand_kwargs([PAIR])
    again = DagSerialization.from_dict(json.loads(json.dumps(DagSerialization.to_dict(dag))))
    assert set(again.task_dict["t"].extra_links) == {"Topic", "ClickHouse query"}


def test_the_provider_announces_every_link() -> None:
    announced = get_provider_info()["extra-links"]
    assert announced == [f"{link.__module__}.{link.__name__}" for link in LINKS]


def test_the_links_of_every_task_are_documented() -> None:
    told: dict[str, set[str]] = {}
    for cells in rows(sections(page("watching.md"))["Links"]):
        for each in code(cells[2]):
            told.setdefault(each, set()).add(cells[0])
    made = {
        name(case): {link.name for link in case.operator.operator_extra_links}
        for case in (*OPERATORS, *SENSORS)
    }
    assert told == {each: links for each, links in made.items() if links}
