"""What the catalogue says of every supported type, and of those that are refused by name."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_chista.errors import FatalError
from airflow_provider_chista.model import Kind, LeftOut, TableId

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
    "ENUM('a','b,c')": Kind.TEXT,
    "SET('a','b')": Kind.TEXT,
    "DECIMAL(10,2)": Kind.DECIMAL,
    "NUMERIC(5) UNSIGNED": Kind.DECIMAL,
    "FLOAT": Kind.FLOAT32,
    "FLOAT(7,3)": Kind.FLOAT32,
    "DOUBLE": Kind.FLOAT64,
    "DOUBLE(20,5) UNSIGNED": Kind.FLOAT64,
    "BIT(3)": Kind.UINT64,
    "YEAR": Kind.UINT16,
    "TIME": Kind.TIME,
    "DATETIME(6)": Kind.DATETIME,
    "TIMESTAMP NULL": Kind.DATETIME,
    "BINARY(4)": Kind.BYTES,
    "VARBINARY(4)": Kind.BYTES,
    "BLOB": Kind.BYTES,
    "VARCHAR(4) CHARACTER SET binary": Kind.BYTES,
    "GEOMETRY": Kind.BYTES,
    "POINT": Kind.BYTES,
}
FAMILY_REFUSED = {
    "ENUM('b,c','b\\\\,c')": "like label",
}
SUPPORTED: dict[str, dict[str, Kind]] = {
    "mysql": FAMILY_SUPPORTED | {"JSON": Kind.TEXT, "VECTOR(3)": Kind.BYTES},
    # JSON is LONGTEXT there, stored and streamed as written.
    "mariadb": FAMILY_SUPPORTED | {"JSON": Kind.TEXT, "UUID": Kind.UUID},
    "postgres": {
        "SMALLINT": Kind.INT16,
        "INTEGER": Kind.INT32,
        "BIGINT": Kind.INT64,
        "SERIAL": Kind.INT32,
        "BIGINT GENERATED ALWAYS AS IDENTITY": Kind.INT64,
        "OID": Kind.UINT32,
        "BOOLEAN": Kind.BOOL,
        "NUMERIC": Kind.TEXT,
        "NUMERIC(10,2)": Kind.DECIMAL,
        "MONEY": Kind.DECIMAL,
        "REAL": Kind.IEEE32,
        "DOUBLE PRECISION": Kind.IEEE64,
        "DATE": Kind.DATE,
        "TIMESTAMP(3)": Kind.DATETIME,
        "TIMESTAMPTZ": Kind.DATETIME,
        "TIME(0)": Kind.TIME,
        "INTERVAL DAY TO SECOND": Kind.TEXT,
        "BYTEA": Kind.BYTES,
        "UUID": Kind.UUID,
        "JSON": Kind.TEXT,
        "JSONB": Kind.TEXT,
        "INET": Kind.TEXT,
        "BIT(3)": Kind.TEXT,
        "NAME": Kind.TEXT,
        '"char"': Kind.TEXT,
        "INT4RANGE": Kind.TEXT,
        "NUMMULTIRANGE": Kind.TEXT,
        "POINT": Kind.BYTES,
        "INTEGER[]": Kind.TEXT,
        "VARCHAR(5)[]": Kind.TEXT,
        "NUMERIC(10,2)[]": Kind.TEXT,
        "{schema}.mood[]": Kind.TEXT,
        "{schema}.money_of_ours": Kind.INT32,
        "{schema}.price": Kind.DECIMAL,
        "{schema}.pair": Kind.TEXT,
        "CHAR(5)": Kind.TEXT,
        "VARCHAR(25)": Kind.TEXT,
        "VARCHAR": Kind.TEXT,
        "TEXT": Kind.TEXT,
        "{schema}.mood": Kind.TEXT,
    },
}
REFUSED: dict[str, dict[str, str]] = {
    "mysql": FAMILY_REFUSED,
    "mariadb": FAMILY_REFUSED
    | {"INET6": "cannot parse its DDL", "VARCHAR(9) COMPRESSED": "cannot parse its DDL"},
    "postgres": {
        "TIMETZ": "without its zone",
        "BIT VARYING(3)": "look the same",
        "CIRCLE": "Java",
        "REGCLASS": "search path",
        "TIME[]": "24:00",
        "INTERVAL[]": "leaves the column out",
        "INTEGER[][]": "more than one dimension",
        "TXID_SNAPSHOT": "txid_snapshot is not known",
        "{schema}.span": "domain over int4range",
        "{schema}.distance": "distance is not known",
        "{schema}.list": "domain over integer[]",
    },
}


@pytest.fixture(scope="module")
def typed(schema: Any) -> Any:
    if schema.flavour == "postgres":
        schema.server.execute(
            f"CREATE TYPE {schema.named('mood')} AS ENUM ('a', 'b,c')",
            f"CREATE DOMAIN {schema.named('money_of_ours')} AS integer",
            f"CREATE DOMAIN {schema.named('price')} AS numeric(12,4) NOT NULL",
            f"CREATE DOMAIN {schema.named('span')} AS int4range",
            f"CREATE DOMAIN {schema.named('list')} AS integer[]",
            f"CREATE TYPE {schema.named('distance')} AS RANGE (subtype = float8)",
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


def test_generated_columns_are_left_out(schema: Any) -> None:
    schema.create("generated", "id INT PRIMARY KEY, a INT, g INT GENERATED ALWAYS AS (a + 1) STORED")
    table = schema.catalogue("generated")
    assert [column.name for column in table.columns] == ["id", "a"]
    assert table.left_out == (LeftOut("g", generated=True),)
    assert table.unproven == ()


def test_digits_follow_the_declaration(schema: Any) -> None:
    schema.create("digits", "id INT PRIMARY KEY, a DECIMAL(10,2), b NUMERIC(7), c BIT(9)")
    found = [(column.precision, column.scale) for column in schema.catalogue("digits").columns]
    assert found == [(0, 0), (10, 2), (7, 0), (9, 0)]


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
