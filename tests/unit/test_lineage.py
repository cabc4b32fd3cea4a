"""OpenLineage: names of data sets by its rules, and what is told of them, in the classes of Airflow's own provider."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from airflow.providers.openlineage.extractors.base import DefaultExtractor
from openlineage.client.naming import dataset as naming
from openlineage.client.serde import Serde

from airflow_provider_chista import lineage
from airflow_provider_chista.clickhouse.layout import META_COLUMNS
from airflow_provider_chista.lineage import Moved
from airflow_provider_chista.model import Column, Kind, LeftOut, Table, TableId
from airflow_provider_chista.operators.drain import DrainTopicOperator
from airflow_provider_chista.operators.restore import RestoreRowsOperator
from airflow_provider_chista.operators.snapshot import SnapshotWindowOperator
from airflow_provider_chista.operators.verify import VerifyArchiveOperator

SECRETS = {"login": "user-secret", "password": "password-secret"}
KAFKA = {"sasl.username": "user-secret", "sasl.password": "password-secret"}
TABLE = Table(
    TableId("shop", "orders"),
    (
        Column("id", "int", Kind.INT32, nullable=False, stored_as="Int32"),
        Column("total", "decimal(9,2)", Kind.DECIMAL, nullable=True, stored_as="Float64", provable=False),
    ),
    ("id",),
    left_out=(LeftOut("secret", generated=False), LeftOut("old", generated=False, gone=True)),
    gone=(Column("before", "text", Kind.TEXT, nullable=True, stored_as="Nullable(String)"),),
)
Define = Callable[..., None]


@pytest.fixture(autouse=True)
def define(monkeypatch: pytest.MonkeyPatch) -> Define:
    """Sets connections: ``define(source={...}, kafka={...}, clickhouse={...})``."""

    def connections(
        source: dict[str, Any] | None = None,
        kafka: str = "broker:19092",
        clickhouse: dict[str, Any] | None = None,
    ) -> None:
        given = {
            "S": {"conn_type": "mysql", "host": "db", **SECRETS, **(source or {})},
            "KAFKA_DEFAULT": {"conn_type": "kafka", "extra": {"bootstrap.servers": kafka, **KAFKA}},
            "CLICKHOUSE_DEFAULT": {"conn_type": "clickhouse", "host": "ch", **SECRETS, **(clickhouse or {})},
        }  # fmt: skip
        for conn_id, fields in given.items():
            monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id}", json.dumps(fields))

    connections()
    return connections


def made(operator: Any, **more: Any) -> Any:
    known = {"table": "shop.orders", "target": "archive.orders", "source_conn_id": "s", **more}
    return operator(task_id="t", **known)


DRAIN = {"topic_prefix": "p"}
PROOF = {"connector": "c", "topic_prefix": "p"}


def told(task: Any, moved: Moved) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Inputs and outputs, as Airflow's listener gets them from the operator and sends them."""
    task.moved = moved
    found = DefaultExtractor(task).extract_on_complete(None)
    assert found is not None
    inputs, outputs = ([Serde.to_dict(each) for each in side] for side in (found.inputs, found.outputs))
    assert "secret" not in json.dumps([[e["namespace"], e["name"]] for e in (*inputs, *outputs)])
    return inputs, outputs


def names(datasets: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(each["namespace"], each["name"]) for each in datasets]


def of(rule: naming.DatasetNaming) -> tuple[str, str]:
    return rule.get_namespace(), rule.get_name()


@pytest.mark.parametrize(
    ("source", "rule"),
    [
        ({}, naming.MySQL("db", "3306", "shop", "orders")),
        ({"port": 3307, "schema": "other"}, naming.MySQL("db", "3307", "shop", "orders")),
        ({"conn_type": "postgres", "schema": "erp"}, naming.Postgres("db", "5432", "erp", "shop", "orders")),
        (
            {"conn_type": "postgres", "login": "erp", "port": 5433},
            naming.Postgres("db", "5433", "erp", "shop", "orders"),
        ),
        ({"host": "::1"}, naming.MySQL("[::1]", "3306", "shop", "orders")),
    ],
)
def test_a_source_table_has_the_name_that_openlineage_gives_it(
    define: Define, source: dict[str, Any], rule: naming.DatasetNaming
) -> None:
    define(source=source)
    inputs, _ = told(made(VerifyArchiveOperator, **PROOF), Moved(lineage.VERIFY))
    assert names(inputs) == [of(rule), ("clickhouse://ch:8123", "archive.orders")]


@pytest.mark.parametrize(
    ("brokers", "host", "port"),
    [
        ("one:9093, two:9094", "one", "9093"),
        ("one", "one", "9092"),
        ("SASL_SSL://one:9093", "one", "9093"),
        ("[::1]:9093", "[::1]", "9093"),
    ],
)
def test_a_topic_is_named_by_the_first_broker(define: Define, brokers: str, host: str, port: str) -> None:
    define(kafka=brokers, clickhouse={"host": None, "port": 8124})
    inputs, outputs = told(made(DrainTopicOperator, **DRAIN), Moved(lineage.DRAIN))
    assert names(inputs)[1] == of(naming.Kafka(host, port, "p.shop.orders"))
    assert names(outputs) == [("clickhouse://localhost:8124", "archive.orders")]


def test_a_drain_tells_columns_of_both_tables_what_came_from_where_and_how_much() -> None:
    moved = Moved(lineage.DRAIN, TABLE, read=7, bytes=900, written=5)
    (source, topic), (archive,) = told(made(DrainTopicOperator, **DRAIN), moved)

    def columns(dataset: dict[str, Any]) -> dict[str, str | None]:
        return {field["name"]: field.get("type") for field in dataset["facets"]["schema"]["fields"]}

    assert columns(source) == {"id": "int", "total": "decimal(9,2)", "secret": None}
    assert columns(archive) == {
        "id": "Int32",
        "total": "Float64",
        "before": "Nullable(String)",
        **META_COLUMNS,
    }
    assert "schema" not in topic["facets"]
    origin = archive["facets"]["columnLineage"]["fields"]
    inputs = {name: field["inputFields"] for name, field in origin.items()}
    assert {
        name: [(f["namespace"], f["name"], f["field"]) for f in each] for name, each in inputs.items()
    } == {name: [(*names([source])[0], name)] for name in ("id", "total")}
    how = {name: each[0]["transformations"][0]["subtype"] for name, each in inputs.items()}
    assert how == {"id": "IDENTITY", "total": "TRANSFORMATION"}
    assert archive["outputFacets"]["outputStatistics"]["rowCount"] == 5
    read = topic["inputFacets"]["inputStatistics"]
    assert (read["rowCount"], read["size"]) == (7, 900)
    assert source["inputFacets"] == {}, "the rows of a drain come from the topic"


def test_a_proof_asserts_equality_and_a_check_does_not() -> None:
    task = made(VerifyArchiveOperator, **PROOF)
    for equal in (True, False):
        (source, archive), outputs = told(task, Moved(lineage.VERIFY, TABLE, read=3, equal=equal))
        assert archive["inputFacets"]["dataQualityAssertions"]["assertions"] == [
            {"assertion": "row_hashes_equal", "success": equal, "params": {}}
        ]
        assert source["inputFacets"].keys() == {"inputStatistics"}
        assert outputs == []
    (_, checked), _ = told(task, Moved(lineage.VERIFY, TABLE, read=3))
    assert "dataQualityAssertions" not in checked["inputFacets"]


def test_a_restore_goes_the_other_way_and_a_purge_copies_nothing() -> None:
    task = made(RestoreRowsOperator, restore_conn_id="r")
    (archive,), (source,) = told(task, Moved(lineage.RESTORE, TABLE, read=4, written=2))
    assert (archive["name"], source["name"]) == ("archive.orders", "shop.orders")
    (field,) = source["facets"]["columnLineage"]["fields"]["id"]["inputFields"]
    assert (field["namespace"], field["name"]) == ("clickhouse://ch:8123", "archive.orders")
    assert source["outputFacets"]["outputStatistics"]["rowCount"] == 2
    _, (purged,) = told(task, Moved(lineage.PURGE, TABLE, read=4, written=2))
    assert "columnLineage" not in purged["facets"]


def test_a_snapshot_goes_from_the_table_to_its_topic() -> None:
    task: Any = SnapshotWindowOperator(
        task_id="t", table="shop.orders", time_column="day", source_conn_id="s", **PROOF
    )
    assert task.execute_complete({}, {"value": {"shop.orders": 8}}) == {"shop.orders": 8}
    (source,), (topic,) = told(task, task.moved)
    assert names([source, topic]) == [
        ("mysql://db:3306", "shop.orders"),
        ("kafka://broker:19092", "p.shop.orders"),
    ]
    assert topic["outputFacets"]["outputStatistics"]["rowCount"] == 8


def test_a_task_that_did_nothing_tells_nothing() -> None:
    assert made(DrainTopicOperator, **DRAIN).get_openlineage_facets_on_complete(None) is None
