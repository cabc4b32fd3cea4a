"""Names of types, refusals and expressions, without a server."""

from __future__ import annotations

import pytest

from airflow_provider_chista.errors import FatalError
from airflow_provider_chista.model import Column, Kind, Table, TableId
from airflow_provider_chista.sources import mysqltypes, postgrestypes
from airflow_provider_chista.sources.detect import SOURCES

MYSQL_NAMES = {
    "int": "int",
    "int(11)": "int",
    "int(10) unsigned zerofill": "int unsigned",
    "bigint unsigned": "bigint unsigned",
    "varchar(255)": "varchar",
    "enum('a','it''s (b)')": "enum",
    "varchar(9) /*M!100301 COMPRESSED*/": "varchar /*M!100301 COMPRESSED*/",
}
POSTGRES_NAMES = {
    "integer": "integer",
    "character varying(25)": "character varying",
    "character(4)": "character",
    "employees.gender_t": "enum",
    '"my Schema".mood': "enum",
    "numeric(10,2)": "numeric(10,2)",
}


@pytest.mark.parametrize(("declared", "name"), MYSQL_NAMES.items())
def test_mysql_type_names(declared: str, name: str) -> None:
    assert mysqltypes.type_name(declared) == name


@pytest.mark.parametrize(("declared", "name"), POSTGRES_NAMES.items())
def test_postgres_type_names(declared: str, name: str) -> None:
    assert postgrestypes.type_name(declared) == name


@pytest.mark.parametrize("declared", ["enum('a','b,c')", r"enum('a\\b')", "enum('x','it''s, no')"])
def test_enum_literals_that_the_stream_escapes_are_refused(declared: str) -> None:
    assert "comma or a backslash" in (mysqltypes.column_refusal("c", declared, generated=False) or "")


def test_every_type_of_the_tables_belongs_to_a_kind() -> None:
    kinds = {row.kind for table in (mysqltypes.TYPES, postgrestypes.TYPES) for row in table.values()}
    assert kinds == set(Kind)


@pytest.mark.parametrize("source", SOURCES)
def test_identifiers_cannot_break_out_or_become_placeholders(source: type) -> None:
    quote = source.dialect.quote
    assert quote('a`b"c%s') in ('`a``b"c%%s`', '"a`b""c%%s"')


@pytest.mark.parametrize("source", SOURCES)
def test_values_never_stand_in_a_statement(source: type) -> None:
    """A column named like a format field stays a name."""
    declared = "int" if source.flavour != "postgres" else "integer"
    table = Table(TableId("s", "t{c}"), (Column("{text}", declared, Kind.INT32, nullable=True),), ("{text}",))
    assert "{text}" in source.dialect.hash_of_row(table)
    assert "{text}" in source.dialect.row_key(table)


def test_a_type_without_a_row_in_the_table_has_no_text() -> None:
    column = Column("c", "numeric", None, nullable=True, refusal="type numeric is not supported")
    with pytest.raises(FatalError, match="type numeric is not supported"):
        postgrestypes.DIALECT.field_text(column)


VERSIONS = {
    "9.7.4": "mysql",
    "8.0.36-28": "mysql",
    "8.4.3-0ubuntu1": "mysql",
    "10.11.19-MariaDB-0+deb12u1-log": "mariadb",
    "5.5.5-10.6.3-MariaDB": "mariadb",
    "PostgreSQL 15.18 (Debian 15.18-0+deb12u1) on x86_64-pc-linux-gnu": "postgres",
    "8.0.11-TiDB-v8.5.1": None,
    "CockroachDB CCL v24.1.0": None,
}


@pytest.mark.parametrize(("version", "flavour"), VERSIONS.items())
def test_a_server_is_known_by_its_version(version: str, flavour: str | None) -> None:
    assert [source.flavour for source in SOURCES if source.recognises(version)] == (
        [flavour] if flavour else []
    )
