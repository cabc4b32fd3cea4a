"""What a user may choose about an archive table, and what is refused with the way out."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_chista.clickhouse.choices import Choice, Choices
from airflow_provider_chista.clickhouse.types import TypeMap
from airflow_provider_chista.errors import FatalError
from airflow_provider_chista.model import Column, Encoding, Kind, LeftOut, Table, TableId

TYPES = TypeMap()
TABLE = Table(
    TableId("shop", "t"),
    (
        Column("id", "int", Kind.INT32, nullable=False),
        Column("status", "varchar(10)", Kind.TEXT, nullable=True),
        Column("doc", "json", Kind.TEXT, nullable=True, encoding=Encoding.MYSQL_JSON),
        Column("amount", "numeric", Kind.TEXT, nullable=False, encoding=Encoding.NUMERIC),
        Column("day", "date", Kind.DATE, nullable=True),
        Column("odd", "frob", None, nullable=True, refusal="type frob is not known; exclude the column"),
    ),
    ("id",),
    (LeftOut("sum", generated=True),),
)

PARSED: list[tuple[Any, Any, Choices]] = [
    (None, None, Choices()),
    ([], {}, Choices()),
    (["odd"], None, Choices(frozenset({"odd"}))),
    (("odd", "doc"), {}, Choices(frozenset({"odd", "doc"}))),
    (None, {"status": "LowCardinality(String)"}, Choices(types={"status": Choice("LowCardinality(String)")})),
    (
        None,
        {"doc": {"type": "JSON", "provable": False}},
        Choices(types={"doc": Choice("JSON", provable=False)}),
    ),
    (None, {"doc": {"type": "String"}}, Choices(types={"doc": Choice("String")})),
]


@pytest.mark.parametrize(("exclude", "types", "choices"), PARSED)
def test_choices_are_read_from_an_operators_arguments(exclude: Any, types: Any, choices: Choices) -> None:
    assert Choices.parse(exclude, types) == choices


UNREADABLE: list[tuple[Any, Any, str]] = [
    ("odd", None, "give a list of column names"),
    (None, {"doc": 1}, "column doc is given as 1"),
    (None, {"doc": None}, "column doc is given as None"),
    (None, {"doc": ["JSON"]}, "column doc is given as"),
    (None, {"doc": {"provable": False}}, "column doc is given as"),
    (None, {"doc": {"type": "JSON", "proveable": False}}, "column doc is given as"),
]


@pytest.mark.parametrize(("exclude", "types", "part"), UNREADABLE)
def test_arguments_that_are_no_choices_are_refused(exclude: Any, types: Any, part: str) -> None:
    with pytest.raises(FatalError, match=part):
        Choices.parse(exclude, types)


def applied(exclude: Any = None, types: Any = None) -> Table:
    return Choices.parse(exclude, types).applied(TYPES, TABLE)


def test_without_choices_the_table_is_as_it_was() -> None:
    assert applied() == TABLE


def test_an_excluded_column_is_left_out_and_keeps_the_table_from_being_purged() -> None:
    table = applied(["odd"])
    assert [c.name for c in table.columns] == ["id", "status", "doc", "amount", "day"]
    assert table.excluded == {"odd"}
    assert table.left_out == (LeftOut("sum", generated=True), LeftOut("odd", generated=False))
    assert table.unproven == ("odd",)
    assert table.hashed == table.columns
    table.require_archivable()


def test_an_exact_type_changes_nothing_about_the_proof() -> None:
    table = applied(
        ["odd"], {"status": "LowCardinality(String)", "amount": "Decimal(38, 10)", "day": "Date32"}
    )
    assert [c.stored_as for c in table.columns] == [
        None,
        "LowCardinality(String)",
        None,
        "Decimal(38, 10)",
        "Date32",
    ]
    assert table.unproven == ("odd",)
    assert table.hashed == table.columns


def test_a_type_that_is_not_exact_leaves_its_column_out_of_the_hash_and_keeps_the_table_from_being_purged() -> (
    None
):
    table = applied(["odd"], {"doc": {"type": "JSON", "provable": False}})
    assert [c.name for c in table.hashed] == ["id", "status", "amount", "day"]
    assert table.unproven == ("odd", "doc")


REFUSED: list[tuple[Any, Any, str]] = [
    (["nothing"], None, "has no column 'nothing'; its columns are: id, status"),
    (["id"], None, "part of the primary key and cannot be excluded"),
    (None, {"nothing": "String"}, "has no column 'nothing'"),
    (["doc"], {"doc": "String"}, "has no column 'doc'"),
    (None, {"id": "Int64"}, "leave it with its default type"),
    (None, {"id": {"type": "Int64", "provable": False}}, "leave it with its default type"),
    (None, {"status": "Nullable(String)"}, "leave Nullable out"),
    (None, {"status": "LowCardinality(Nullable(String))"}, "leave Nullable out"),
    (None, {"doc": "JSON"}, "cannot be stored as JSON exactly"),
    (None, {"status": "FixedString(10)"}, "cannot be stored as FixedString(10) exactly"),
    (None, {"day": "Date"}, "cannot be stored as Date exactly"),
    (None, {"amount": "Float64"}, "'provable': False}, and the table is archived but never purged"),
    (None, {"odd": "String"}, "cannot be stored as String exactly"),
]


@pytest.mark.parametrize(("exclude", "types", "part"), REFUSED)
def test_a_choice_that_could_lose_something_is_refused_with_the_way_out(
    exclude: Any, types: Any, part: str
) -> None:
    with pytest.raises(FatalError) as caught:
        applied(exclude, types)
    assert part in str(caught.value)


def test_a_table_with_a_refused_column_that_is_not_excluded_cannot_be_archived() -> None:
    with pytest.raises(FatalError, match=r"odd \(frob\): type frob is not known; exclude the column"):
        applied(["doc"]).require_archivable()
