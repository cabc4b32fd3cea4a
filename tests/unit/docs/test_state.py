"""docs/state.md has every state table with its columns, and its queries run."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from chdb import session

from airflow_provider_chista.archive.ledger import Stage
from airflow_provider_chista.clickhouse.control import TABLES
from airflow_provider_chista.clickhouse.ddl import create_statement
from airflow_provider_chista.clickhouse.types import TypeMap
from airflow_provider_chista.model import Column, Kind, Table, TableId
from airflow_provider_chista.sources.control import CONTROL_TABLES
from tests.unit.docs.pages import blocks, code, page, rows, sections

SECTIONS = sections(page("state.md"))


def columns(definition: str) -> list[str]:
    """Names of the columns of a CREATE TABLE's definition."""
    inside = definition.strip().partition(") ENGINE")[0].removeprefix("(")
    while re.search(r"\([^()]*\)", inside):
        inside = re.sub(r"\([^()]*\)", "", inside)
    return [part.split()[0] for part in inside.split(",")]


@pytest.fixture(scope="module")
def clickhouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """ClickHouse inside this process, with the state tables."""
    opened = session.Session(str(tmp_path_factory.mktemp("clickhouse")))
    opened.query("CREATE DATABASE chista")
    for name, definition in TABLES.items():
        opened.query(f"CREATE TABLE chista.{name} {definition}")
    yield opened
    opened.close()


@pytest.mark.parametrize("table", TABLES)
def test_every_state_table_is_documented_with_exactly_its_columns(table: str) -> None:
    documented = [name for cells in rows(SECTIONS[table]) for name in code(cells[0])]
    assert sorted(documented) == sorted(columns(TABLES[table]))


def test_every_stage_of_the_ledger_is_documented() -> None:
    stages = next(cells[1] for cells in rows(SECTIONS["ledger"]) if cells[0] == "`stage`")
    assert code(stages) == [str(stage) for stage in Stage]


def test_the_control_tables_at_the_source_are_documented() -> None:
    assert {code(cells[0])[0] for cells in rows(SECTIONS["At the source"])} == set(CONTROL_TABLES)


def test_the_queries_run(clickhouse: Any) -> None:
    statements = [sql for name in TABLES for sql in blocks(SECTIONS[name], "sql")]
    assert len(statements) > 5
    for sql in statements:
        clickhouse.query(sql)


def test_the_ledgers_queries_answer_what_they_say(clickhouse: Any) -> None:
    insert = "INSERT INTO chista.ledger (at, target, window, stage, verify_id, rows, actor, detail) VALUES"
    for window, stage, second in (
        ("jan", "verified", 1), ("jan", "approved", 2), ("jan", "intent", 3), ("jan", "deleted", 4), ("jan", "sealed", 5),
        ("feb", "verified", 6), ("feb", "rejected", 7), ("mar", "intent", 8), ("mar", "deleted", 9), ("all", "restored", 10),
        ("all", "audited", 11),
    ):  # fmt: skip
        clickhouse.query(
            f"{insert} ({second}, 'a.t', '{window}', '{stage}', 'proof of {window}', 7, 'otto', '{{\"reason\": \"old\"}}')"
        )
    archived, approved, restored, audited, unsealed = (
        clickhouse.query(sql) for sql in blocks(SECTIONS["ledger"], "sql")
    )
    assert [line.split(",")[1:3] for line in str(archived).splitlines()] == [
        ['"all"', '"restored"'],
        ['"feb"', '"rejected"'],
        ['"jan"', '"sealed"'],
        ['"mar"', '"deleted"'],
    ]
    assert [line.split(",")[2:6] for line in str(approved).splitlines()] == [
        ['"feb"', '"rejected"', '"otto"', '"old"'],
        ['"jan"', '"approved"', '"otto"', '"old"'],
    ]
    assert [line.split(",")[2:4] for line in str(restored).splitlines()] == [["7", '"otto"']]
    assert [line.split(",")[2] for line in str(audited).splitlines()] == ["7"]
    assert [line.split(",")[1] for line in str(unsealed).splitlines()] == ['"mar"']


def test_the_queries_of_an_archive_table_answer_what_they_say(clickhouse: Any) -> None:
    columns = (
        Column("id", "int", Kind.INT32, nullable=False),
        Column("note", "text", Kind.TEXT, nullable=True),
    )
    table = Table(TableId("app", "orders"), columns, ("id",))
    clickhouse.query("CREATE DATABASE archive")
    clickhouse.query(create_statement(TypeMap(), table, TableId("archive", "orders")))
    clickhouse.query(
        "INSERT INTO archive.orders (id, note, _chista_version, _chista_incomplete)"
        " VALUES (1, 'a', 1, []), (2, NULL, 1, ['note']), (2, 'b', 2, []), (3, NULL, 1, ['note'])"
    )
    described, incomplete = blocks(SECTIONS["Archive tables"], "sql")
    assert str(clickhouse.query(described)).splitlines()[:2] == [
        '"id","Int32","int","int32"',
        '"note","Nullable(String)","text","text"',
    ]
    assert str(clickhouse.query(incomplete)).splitlines() == ["\"['note']\",1"]


def test_the_queries_of_dead_letters_answer_what_they_say(clickhouse: Any) -> None:
    clickhouse.query(
        "INSERT INTO chista.dead_letters (target, topic, offset, error, state, reason, recorded_at) VALUES"
        " ('archive.orders', 't', 1, 'x', 'open', '', 1), ('archive.orders', 't', 2, 'y', 'open', '', 1),"
        " ('archive.orders', 't', 2, 'y', 'discarded', 'load test', 2), ('archive.orders', 't', 3, 'x', 'open', '', 1),"
        " ('archive.orders', 't', 4, 'z', 'resolved', '', 1), ('archive.others', 't', 3, 'x', 'open', '', 1)"
    )
    looked, counted, discarded = blocks(page("dead-letters.md"), "sql")
    assert [line.split(",")[3] for line in str(clickhouse.query(looked)).splitlines()] == ["1", "3"]
    assert str(clickhouse.query(counted)).splitlines() == [
        '"archive.orders","x",2,1',
        '"archive.others","x",1,3',
    ]
    [line] = str(clickhouse.query(discarded)).splitlines()
    assert line.split(",")[1:7] == ['"archive.orders"', "0", "0", "2", '"y"', '"load test"']


def test_positions_are_removed_by_the_documented_statement(clickhouse: Any) -> None:
    (statement,) = blocks(sections(page("troubleshooting.md"))["The archive table was dropped"], "sql")
    clickhouse.query(
        "INSERT INTO chista.positions (target, next_offset) VALUES ('archive.orders', 5), ('archive.others', 6)"
    )
    clickhouse.query(statement)
    assert str(clickhouse.query("SELECT target FROM chista.positions")).strip() == '"archive.others"'
