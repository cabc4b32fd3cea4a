"""Quoting for ClickHouse, read back by ClickHouse itself (inside this process)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from chdb import session
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_chista.clickhouse import sql
from airflow_provider_chista.clickhouse.ddl import create_statement
from airflow_provider_chista.clickhouse.layout import META_COLUMNS, left_out_in, noted
from airflow_provider_chista.clickhouse.types import TypeMap
from airflow_provider_chista.model import Column, Encoding, Kind, LeftOut, Table, TableId

HOSTILE = st.text("`'\"\\ntrx0N%{}()?;-/*. \n\té😀", min_size=1, max_size=10) | st.text(
    st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=6
)
NAMES = [
    "select", "a b", "a.b", "a-b", "a`b", "a'b", 'a"b', "a\\b", "a\\", "\\", "`", "\\`", "a\\nb", "a\nb", "a\tb", "100%",
    "{x:String}", "?", "-- a", "/* a */", "a;b", "ä", "😀", "Id", "ID", "1a", "a\\x41", "a\\\\b", "NULL",
]  # fmt: skip


@pytest.fixture(scope="module")
def clickhouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """ClickHouse inside this process."""
    opened = session.Session(str(tmp_path_factory.mktemp("clickhouse")))
    yield opened
    opened.close()


def rows(clickhouse: Any, statement: str) -> list[Any]:
    answer = str(clickhouse.query(statement, "JSONCompactEachRow"))
    return [json.loads(line) for line in answer.rstrip("\n").split("\n")]


def names_of(clickhouse: Any, names: list[str]) -> list[str]:
    selected = ", ".join(f"{index} AS {sql.identifier(name)}" for index, name in enumerate(names))
    return [row[0] for row in rows(clickhouse, f"DESCRIBE (SELECT {selected})")]


def test_names_come_back_as_they_were(clickhouse: Any) -> None:
    assert names_of(clickhouse, NAMES) == NAMES

    @settings(max_examples=50)
    @given(st.lists(HOSTILE, min_size=1, max_size=5, unique=True))
    def round_trip(names: list[str]) -> None:
        assert names_of(clickhouse, names) == names

    round_trip()


def test_literals_come_back_as_they_were(clickhouse: Any) -> None:
    def read(texts: list[str]) -> list[str]:
        return rows(clickhouse, f"SELECT {', '.join(map(sql.literal, texts))}")[0]

    assert read(["", *NAMES]) == ["", *NAMES]

    @settings(max_examples=50)
    @given(st.lists(HOSTILE, min_size=1, max_size=5))
    def round_trip(texts: list[str]) -> None:
        assert read(texts) == texts

    round_trip()


def test_a_table_of_hostile_names_is_created_and_its_comments_describe_it(clickhouse: Any) -> None:
    columns = [Column("id", "int", Kind.INT32, nullable=False)]
    for name in NAMES:
        labels = (name, "\0")
        declared, is_key = f"enum('{name}')", name == NAMES[0]
        columns.append(Column(name, declared, Kind.TEXT, not is_key, encoding=Encoding.LABEL, labels=labels))
    left_out = tuple(LeftOut(f"{name} excluded", generated=False) for name in NAMES)
    table = Table(TableId("my `shop`", 'it\'s \\ "t"'), tuple(columns), (NAMES[0], "id"), left_out)
    target = TableId("a`b", "t\\`'x")
    clickhouse.query(f"CREATE DATABASE {sql.identifier(target.schema)}")
    clickhouse.query(create_statement(TypeMap(), table, target))
    where = f"database = {sql.literal(target.schema)} AND table = {sql.literal(target.name)}"
    found = rows(
        clickhouse, f"SELECT name, type, comment FROM system.columns WHERE {where} ORDER BY position"
    )
    assert [name for name, _, _ in found] == [*(c.name for c in columns), *META_COLUMNS]
    for column, (name, ddl, comment) in zip(columns, found, strict=False):
        read = noted(name, comment, ddl)
        assert read
        assert (read.declared, read.labels, read.sent_as) == (column.declared, column.labels, column.sent_as)
    [[comment]] = rows(
        clickhouse, f"SELECT comment FROM system.tables WHERE {where.replace('table =', 'name =')}"
    )
    assert (left_out_in(comment) or {})["excluded"] == {column.name for column in left_out}
