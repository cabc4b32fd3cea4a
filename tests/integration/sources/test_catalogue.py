"""What the catalogue says of every supported type, and of those that are refused by name."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_chista.errors import FatalError
from airflow_provider_chista.model import Kind, TableId

FAMILY_SUPPORTED = {
    "TINYINT": Kind.INT8,
    "TINYINT(1)": Kind.INT8,
    "BOOLEAN": Kind.INT8,
    "SMALLINT": Kind.INT16,
    "MEDIUMINT": Kind.INT32,
    "INT": Kind.INT32,
    "BIGINT": Kind.INT64,
    "TINYINT UNSIGNED": Kind.UINT8,
    "SMALLINT UNSIGNED": Kind.UINT16,
    "MEDIUMINT UNSIGNED": Kind.UINT32,
    "INT UNSIGNED": Kind.UINT32,
    "INT(9) ZEROFILL": Kind.UINT32,
    "BIGINT UNSIGNED": Kind.UINT64,
    "DATE": Kind.DATE,
    "CHAR(5)": Kind.TEXT,
    "VARCHAR(20)": Kind.TEXT,
    "VARCHAR(20) CHARACTER SET latin1": Kind.TEXT,
    "TINYTEXT": Kind.TEXT,
    "TEXT": Kind.TEXT,
    "MEDIUMTEXT": Kind.TEXT,
    "LONGTEXT": Kind.TEXT,
    "ENUM('a','it''s (b)')": Kind.TEXT,
}
FAMILY_REFUSED = {
    "DECIMAL(10,2)": "decimal",
    "FLOAT": "float",
    "DOUBLE": "double",
    "BIT(3)": "bit",
    "YEAR": "year",
    "TIME": "time",
    "DATETIME(6)": "datetime",
    "TIMESTAMP NULL": "timestamp",
    "BINARY(4)": "binary",
    "VARBINARY(4)": "varbinary",
    "BLOB": "blob",
    "SET('a','b')": "set",
    "GEOMETRY": "geometry",
    "VARCHAR(4) CHARACTER SET binary": "varbinary",
    "ENUM('a','b,c')": "comma",
    "ENUM('a','b\\\\c')": "backslash",
    "INT GENERATED ALWAYS AS (id + 1) STORED": "generated",
    "INT GENERATED ALWAYS AS (id + 1) VIRTUAL": "generated",
}
SUPPORTED: dict[str, dict[str, Kind]] = {
    "mysql": FAMILY_SUPPORTED,
    # JSON is LONGTEXT there, stored and streamed as written.
    "mariadb": FAMILY_SUPPORTED | {"JSON": Kind.TEXT},
    "postgres": {
        "SMALLINT": Kind.INT16,
        "INTEGER": Kind.INT32,
        "BIGINT": Kind.INT64,
        "SERIAL": Kind.INT32,
        "BIGINT GENERATED ALWAYS AS IDENTITY": Kind.INT64,
        "DATE": Kind.DATE,
        "CHAR(5)": Kind.TEXT,
        "VARCHAR(25)": Kind.TEXT,
        "VARCHAR": Kind.TEXT,
        "TEXT": Kind.TEXT,
        "{schema}.mood": Kind.TEXT,
    },
}
REFUSED: dict[str, dict[str, str]] = {
    "mysql": FAMILY_REFUSED | {"JSON": "json", "VECTOR(3)": "vector"},
    "mariadb": FAMILY_REFUSED | {"UUID": "uuid", "INET6": "inet6", "VARCHAR(9) COMPRESSED": "COMPRESSED"},
    "postgres": {
        "NUMERIC(10,2)": "numeric(10,2)",
        "REAL": "real",
        "DOUBLE PRECISION": "double precision",
        "BOOLEAN": "boolean",
        "TIMESTAMP": "timestamp without time zone",
        "TIMESTAMPTZ": "timestamp with time zone",
        "TIME": "time without time zone",
        "INTERVAL": "interval",
        "BYTEA": "bytea",
        "UUID": "uuid",
        "JSON": "json",
        "JSONB": "jsonb",
        "INTEGER[]": "integer[]",
        "TEXT[]": "text[]",
        "INET": "inet",
        "OID": "oid",
        "MONEY": "money",
        "BIT(3)": "bit(3)",
        "NAME": "name",
        '"char"': "char",
        "INT4RANGE": "int4range",
        "{schema}.money_of_ours": "domain",
        "{schema}.pair": "composite",
        "{schema}.mood[]": "mood[]",
        "INTEGER GENERATED ALWAYS AS (id + 1) STORED": "generated",
    },
}


@pytest.fixture(scope="module")
def typed(schema: Any) -> Any:
    if schema.flavour == "postgres":
        schema.server.execute(
            f"CREATE TYPE {schema.named('mood')} AS ENUM ('a', 'b,c')",
            f"CREATE DOMAIN {schema.named('money_of_ours')} AS integer",
            f"CREATE TYPE {schema.named('pair')} AS (a int, b int)",
        )
    return schema


def columns_of(schema: Any, types: dict[str, Any]) -> str:
    return ", ".join(
        ["id INT PRIMARY KEY", *[f"c{i} {t.format(schema=schema.name)}" for i, t in enumerate(types)]]
    )


def test_every_supported_type_has_its_kind(typed: Any) -> None:
    expected = SUPPORTED[typed.flavour]
    typed.create("supported", columns_of(typed, expected))
    table = typed.catalogue("supported")
    assert {
        declared: column.kind for declared, column in zip(expected, table.columns[1:], strict=True)
    } == expected
    assert table.refused == ()
    table.require_archivable()


def test_every_other_type_is_refused_by_name(typed: Any) -> None:
    expected = REFUSED[typed.flavour]
    typed.create("refused", columns_of(typed, expected))
    table = typed.catalogue("refused")
    for (declared, word), column in zip(expected.items(), table.columns[1:], strict=True):
        assert column.refusal is not None, declared
        assert word in column.refusal, (declared, column.refusal)
    with pytest.raises(FatalError, match="cannot be archived exactly: c0"):
        table.require_archivable()


def test_a_name_that_the_archive_reserves_is_refused(schema: Any) -> None:
    schema.create("reserved", "id INT PRIMARY KEY, _chista_version INT")
    assert "reserved for the archive" in (
        schema.catalogue("reserved").column("_chista_version").refusal or ""
    )


def test_columns_come_in_ordinal_order_and_the_key_in_key_order(schema: Any) -> None:
    schema.create("key_order", "c INT NOT NULL, b INT, a VARCHAR(5) NOT NULL, PRIMARY KEY (a, c)")
    table = schema.catalogue("key_order")
    assert [column.name for column in table.columns] == ["c", "b", "a"]
    assert table.primary_key == ("a", "c")
    assert [column.nullable for column in table.columns] == [False, True, False]


def test_a_dropped_column_leaves_no_trace(schema: Any) -> None:
    schema.create("dropped", "id INT PRIMARY KEY, b INT, c INT")
    schema.server.execute(f"ALTER TABLE {schema.named('dropped')} DROP COLUMN b")
    assert [column.name for column in schema.catalogue("dropped").columns] == ["id", "c"]


def test_names_may_hold_any_character(schema: Any) -> None:
    name = 'T `"Ünï%s-1'
    column = 'c `"%s {0} é'
    schema.server.execute(
        f"CREATE TABLE {schema.named(name)} (id INT PRIMARY KEY, {schema.server.quote(column)} VARCHAR(9))"
    )
    schema.server.execute(f"INSERT INTO {schema.named(name)} VALUES (1, 'x')")
    with schema.source("verify") as source, schema.source("purge") as purge:
        table = source.catalogue(schema.id(name))
        (((key, row_hash),),) = source.hashes(table, None)
        assert source.rows(table, [key]) == {"1": ("1", "1:x")}
        assert "%%" not in source.guarded_delete_sql(table)
        assert purge.guarded_delete(table, "names", [(key, row_hash)]) == ["1"]
        assert purge.trim_log("names") == 1


def test_a_missing_table_is_named_beside_those_that_exist(schema: Any) -> None:
    schema.create("present", "id INT PRIMARY KEY")
    with schema.source("verify") as source, pytest.raises(FatalError) as error:
        source.catalogue(schema.id("absent"))
    assert f"{schema.name}.absent does not exist" in str(error.value)
    assert "present" in str(error.value)
    assert "chista_verify" in str(error.value)


def test_a_missing_schema_is_named(schema: Any) -> None:
    with (
        schema.source("verify") as source,
        pytest.raises(FatalError, match=r"no_such_schema\.t does not exist"),
    ):
        source.catalogue(TableId("no_such_schema", "t"))


def test_a_view_is_refused(schema: Any) -> None:
    schema.server.execute(f"CREATE VIEW {schema.named('a_view')} AS SELECT 1 AS id")
    with schema.source("verify") as source, pytest.raises(FatalError, match="is a view"):
        source.catalogue(schema.id("a_view"))
