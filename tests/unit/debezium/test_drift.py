"""A record with other columns than the table: which are too many, and which are missing."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_chista.debezium.envelope import EnvelopeDecoder
from airflow_provider_chista.debezium.rows import DecodeError, SchemaDriftError
from airflow_provider_chista.debezium.settings import UNAVAILABLE_VALUE
from airflow_provider_chista.model import Column, Kind, LeftOut, Table, TableId

TABLE = Table(
    TableId("s", "t"),
    (
        Column("id", "int", Kind.INT32, nullable=False),
        Column("a", "text", Kind.TEXT, nullable=True),
        Column("b", "text", Kind.TEXT, nullable=False),
        Column("late", "int", Kind.INT32, nullable=True, added=True),
    ),
    ("id",),
    (LeftOut("computed", generated=True),),
    (Column("gone", "int", Kind.INT32, nullable=True, added=True),),
)


def event(**after: Any) -> bytes:
    source = {"connector": "postgresql", "ts_ms": 1, "txId": 1}
    return json.dumps({"op": "c", "after": after, "source": source}).encode()


def drift(value: bytes, **options: Any) -> SchemaDriftError:
    with pytest.raises(SchemaDriftError) as caught:
        EnvelopeDecoder(TABLE, **options).change(value)
    return caught.value


def test_columns_that_came_later_and_those_that_are_gone_may_be_missing() -> None:
    assert EnvelopeDecoder(TABLE).change(event(id=1, a="x", b="y")).row == (1, "x", "y", None, None)


def test_columns_that_are_gone_are_decoded_and_those_left_out_are_passed_over() -> None:
    value = event(id=1, a="x", b="y", late=2, gone=3, computed=4)
    assert EnvelopeDecoder(TABLE).change(value).row == (1, "x", "y", 2, 3)


@pytest.mark.parametrize("text", ["x", UNAVAILABLE_VALUE], ids=["whole", "with an unchanged value"])
def test_every_missing_column_is_told(text: str) -> None:
    found = drift(event(id=1, late=2, gone=None, computed=text))
    assert found.lacking == {"a", "b"}
    assert found.unknown == ()
    assert str(found) == "it lacks a, b"


@pytest.mark.parametrize("text", ["x", UNAVAILABLE_VALUE], ids=["whole", "with an unchanged value"])
def test_every_unknown_column_is_told_and_nothing_else_helps_then(text: str) -> None:
    found = drift(event(id=1, a=text, y=1, x=2))
    assert found.unknown == ("x", "y")
    assert found.lacking == frozenset()
    assert str(found) == "it has besides x, y; it lacks b"


def test_columns_to_be_ignored_are_no_drift() -> None:
    value = event(id=1, a="x", b="y", z={"any": [1]})
    assert drift(value).unknown == ("z",)
    assert EnvelopeDecoder(TABLE, ignored=["z", "a"]).change(value).row == (1, "x", "y", None, None)


def test_a_record_without_a_column_of_the_key_is_no_drift() -> None:
    with pytest.raises(DecodeError, match="no id, which is of the primary key now") as caught:
        EnvelopeDecoder(TABLE).change(event(a="x", b="y"))
    assert not isinstance(caught.value, SchemaDriftError)
