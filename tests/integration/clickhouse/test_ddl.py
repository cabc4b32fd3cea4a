"""The archive table: created, compared, extended, refused."""

from __future__ import annotations

from dataclasses import replace

import pytest

from airflow_provider_chista.clickhouse import ddl, layout, sql
from airflow_provider_chista.errors import FatalError
from airflow_provider_chista.model import Column, Kind, Table, TableId
from tests.integration.clickhouse.conftest import Server


def col(name: str, kind: Kind, nullable: bool = True) -> Column:
    return Column(name, str(kind), kind, nullable, precision=20, scale=3)


TABLE = Table(
    TableId("s", "t"),
    (*(col(kind.value, kind) for kind in Kind), col("a", Kind.INT32, False), col("b", Kind.TEXT, False)),
    ("b", "a"),
)
META = ", ".join(f"{name} {ddl_type}" for name, ddl_type in layout.META_COLUMNS.items())
ENGINE = "ReplacingMergeTree(_chista_version, _chista_deleted)"


def test_a_table_of_every_kind_is_created_and_fits_at_the_second_look(server: Server) -> None:
    target = server.new()
    assert ddl.ensure_table(server.client, server.types, TABLE, target).created
    assert str(ddl.ensure_table(server.client, server.types, TABLE, target)) == "fits already"
    assert ddl.misfit(server.client, server.types, TABLE, target) is None
    columns = dict(
        server.client.query(
            f"SELECT name, type FROM system.columns WHERE table = '{target.name}'"
        ).result_rows
    )
    assert columns["int8"] == "Nullable(Int8)"
    assert columns["uint64"] == "Nullable(UInt64)"
    assert columns["date"] == "Nullable(DateTime64(0, 'UTC'))"
    assert (columns["a"], columns["b"]) == ("Int32", "String")


def test_one_key_column_with_a_difficult_name_fits_at_the_second_look(server: Server) -> None:
    for name in ("id", "order", "null", "a,b", "with `quotes`", "back\\slash", "ü", "1st", "(x)"):
        table = Table(TableId("s", "t"), (col(name, Kind.INT32, False), col("x y", Kind.TEXT)), (name,))
        target = server.new()
        ddl.ensure_table(server.client, server.types, table, target)
        assert str(ddl.ensure_table(server.client, server.types, table, target)) == "fits already", name


def test_new_columns_of_the_source_are_added_and_the_view_shows_them(server: Server) -> None:
    target = server.new()
    ddl.ensure_table(server.client, server.types, TABLE, target)
    wider = replace(TABLE, columns=(*TABLE.columns, col("new", Kind.DATE)))
    assert ddl.ensure_table(server.client, server.types, wider, target).added == ("new",)
    view = server.client.query(f"DESCRIBE TABLE {sql.table(ddl.view_of(target))}").result_rows
    assert [row[0] for row in view] == [column.name for column in wider.columns]


@pytest.mark.parametrize(
    ("definition", "differences"),
    [
        (
            f"(id Int16, name String, {META}) ENGINE = MergeTree ORDER BY name",
            ["engine is MergeTree", "ordered by", "column id is Int16, it must be Int32", "Nullable(String)"],
        ),
        (
            f"(id Int32, name Nullable(String), {META}) ENGINE = ReplacingMergeTree(_chista_version) ORDER BY id",
            ["engine is"],
        ),
        (
            "(id Int32, name Nullable(String)) ENGINE = MergeTree ORDER BY id",
            ["column _chista_version is missing", "column _chista_source_time is missing"],
        ),
        (
            f"(id Int32, name FixedString(5), {META}) ENGINE = ReplacingMergeTree(_chista_version, _chista_deleted)"
            " ORDER BY (id, name)",
            ["FixedString", "ordered by"],
        ),
        (
            f"(id UInt32, name Nullable(String), {META}) ENGINE = {ENGINE} ORDER BY id",
            ["column id is UInt32, it must be Int32"],
        ),
    ],
)
def test_a_table_that_cannot_hold_the_rows_is_refused_with_every_difference(
    server: Server, definition: str, differences: list[str]
) -> None:
    target, table = (
        server.new(),
        Table(TableId("s", "t"), (col("id", Kind.INT32, False), col("name", Kind.TEXT)), ("id",)),
    )
    server.client.command(f"CREATE TABLE {sql.table(target)} {definition}")
    with pytest.raises(FatalError) as caught:
        ddl.ensure_table(server.client, server.types, table, target)
    for difference in differences:
        assert difference in str(caught.value)
    assert ddl.misfit(server.client, server.types, table, target) == str(caught.value)
    assert not ddl.exists(server.client, ddl.view_of(target))


def test_a_users_own_table_that_holds_the_rows_exactly_is_accepted(server: Server) -> None:
    target, table = (
        server.new(),
        Table(TableId("s", "t"), (col("id", Kind.INT32, False), col("name", Kind.TEXT)), ("id",)),
    )
    server.client.command(
        f"CREATE TABLE {sql.table(target)} (id Int64, name Nullable(String), mine String DEFAULT 'x', {META})"
        " ENGINE = ReplacingMergeTree(_chista_version, _chista_deleted) PARTITION BY id % 4 ORDER BY id"
    )
    assert str(ddl.ensure_table(server.client, server.types, table, target)) == "fits already"
    assert ddl.exists(server.client, ddl.view_of(target))


def test_a_table_that_cannot_be_archived_creates_nothing(server: Server) -> None:
    target = server.new()
    table = Table(TableId("s", "t"), (Column("id", "json", None, False, "not supported"),), ("id",))
    with pytest.raises(FatalError, match="not supported"):
        ddl.ensure_table(server.client, server.types, table, target)
    assert not ddl.exists(server.client, target)


@pytest.mark.parametrize(
    ("more", "found"),
    [("", False), (" TTL at + INTERVAL 1 DAY", True), (" COMMENT 'no TTL here'", False)],
)
def test_a_ttl_is_seen(server: Server, more: str, found: bool) -> None:
    target = server.new()
    server.client.command(
        f"CREATE TABLE {sql.table(target)} (id Int32, at DateTime) ENGINE = MergeTree ORDER BY id{more}"
    )
    assert ddl.has_ttl(server.client, target) is found


def test_a_ttl_of_a_column_is_seen(server: Server) -> None:
    target = server.new()
    server.client.command(
        f"CREATE TABLE {sql.table(target)} (id Int32, at DateTime, `TTL` String DEFAULT 'TTL') ENGINE = MergeTree ORDER BY id"
    )
    assert not ddl.has_ttl(server.client, target)
    server.client.command(
        f"ALTER TABLE {sql.table(target)} MODIFY COLUMN `TTL` String TTL at + INTERVAL 1 DAY"
    )
    assert ddl.has_ttl(server.client, target)
