"""What an archive table looks like: types, comments that can be read back, and the statement that creates it."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_chista.clickhouse.ddl import create_statement
from airflow_provider_chista.clickhouse.layout import (
    META_COLUMNS,
    column_type,
    left_out_in,
    note_of,
    noted,
    table_note,
    with_null,
)
from airflow_provider_chista.clickhouse.types import TypeMap
from airflow_provider_chista.model import Column, Encoding, Kind, LeftOut, Table, TableId
from airflow_provider_chista.sources.dialect import RESERVED_PREFIX, reserved_name

TYPES = TypeMap()

NULLS = [
    ("Int32", "Nullable(Int32)", "Int32"),
    ("Nullable(Int32)", "Nullable(Int32)", "Int32"),
    ("Decimal(10, 2)", "Nullable(Decimal(10, 2))", "Decimal(10, 2)"),
    ("DateTime64(6, 'UTC')", "Nullable(DateTime64(6, 'UTC'))", "DateTime64(6, 'UTC')"),
    ("LowCardinality(String)", "LowCardinality(Nullable(String))", "LowCardinality(String)"),
    ("LowCardinality(Nullable(String))", "LowCardinality(Nullable(String))", "LowCardinality(String)"),
]


@pytest.mark.parametrize(("ddl", "nullable", "plain"), NULLS)
def test_a_type_is_made_nullable_and_back(ddl: str, nullable: str, plain: str) -> None:
    assert with_null(ddl, True) == nullable
    assert with_null(ddl, False) == plain


COLUMN_TYPES: list[tuple[dict[str, Any], str]] = [
    ({"nullable": False}, "Int32"),
    ({"nullable": True}, "Nullable(Int32)"),
    ({"nullable": False, "stored_as": "Int64"}, "Int64"),
    ({"nullable": True, "stored_as": "Int64"}, "Nullable(Int64)"),
    ({"nullable": False, "stored_as": "Nullable(Int64)"}, "Nullable(Int64)"),
]


@pytest.mark.parametrize(("more", "ddl"), COLUMN_TYPES)
def test_a_column_can_hold_null_where_the_source_can_or_could(more: dict[str, Any], ddl: str) -> None:
    assert column_type(TYPES, Column("c", "int", Kind.INT32, **more)) == ddl


NAMES = st.text(min_size=1, max_size=20)
COLUMNS = st.builds(
    Column,
    name=NAMES,
    declared=st.text(max_size=20),
    kind=st.sampled_from(list(Kind)),
    nullable=st.booleans(),
    encoding=st.sampled_from([None, *Encoding]),
    element=st.text(max_size=10),
    precision=st.integers(0, 100),
    scale=st.integers(0, 100),
    labels=st.lists(st.text(max_size=8), max_size=4).map(tuple),
    provable=st.booleans(),
    added=st.booleans(),
)


@given(COLUMNS)
def test_a_columns_comment_is_read_back_as_the_column_it_described(column: Column) -> None:
    stored_as = with_null("String", column.nullable)
    read = noted(column.name, note_of(column), stored_as)
    # The encoding is written out: what is usual for a kind may become another one.
    assert read == replace(column, encoding=column.sent_as, stored_as=stored_as)


@pytest.mark.parametrize("comment", ["", "a user's note", "chista", '{"declared": "int"}', " chista {}"])
def test_a_comment_that_the_provider_did_not_write_describes_nothing(comment: str) -> None:
    assert noted("c", comment, "String") is None
    assert left_out_in(comment) is None


@given(st.sets(NAMES, max_size=4), st.sets(NAMES, max_size=4), NAMES, NAMES)
def test_a_tables_comment_is_read_back_as_what_it_leaves_out(
    excluded: set[str], generated: set[str], schema: str, name: str
) -> None:
    left_out = (
        *(LeftOut(column, generated=False) for column in sorted(excluded)),
        *(LeftOut(column, generated=True) for column in sorted(generated - excluded)),
    )
    table = Table(TableId(schema, name), (), (), left_out)
    read = left_out_in(table_note(table))
    assert read
    assert (read["excluded"], read["generated"]) == (excluded, generated - excluded)


def test_the_providers_columns_have_names_that_no_source_column_may_have() -> None:
    assert all(name.startswith(RESERVED_PREFIX) and reserved_name(name) for name in META_COLUMNS)
    assert reserved_name("chista_version") is None


def test_the_statement_orders_by_the_key_in_its_own_order_and_describes_each_column() -> None:
    columns = (
        Column("a`b", "varchar(10)", Kind.TEXT, nullable=True),
        Column("k2", "date", Kind.DATE, nullable=False),
        Column("k1", "int", Kind.INT32, nullable=False),
    )
    table = Table(TableId("shop", "it's"), columns, ("k1", "k2"), (LeftOut("secret", generated=False),))
    statement = create_statement(TYPES, table, TableId("archive", "t"))
    assert "ENGINE = ReplacingMergeTree(_chista_version, _chista_deleted)\nORDER BY (`k1`, `k2`)" in statement
    assert "`a\\`b` Nullable(String) COMMENT 'chista " in statement
    assert "`k2` DateTime64(0, \\'UTC\\')" not in statement
    assert "`k2` DateTime64(0, 'UTC') COMMENT 'chista " in statement
    assert re.search(r"COMMENT 'chista [^\n]*shop\.it\\'s[^\n]*secret[^\n]*'$", statement)
    for name, ddl in META_COLUMNS.items():
        assert f"`{name}` {ddl}" in statement
