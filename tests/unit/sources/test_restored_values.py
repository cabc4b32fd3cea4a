"""From a canonical text back to what an engine reads, and the statements that do it."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_chista.canonical import field_text
from airflow_provider_chista.model import Column, Kind, Table, TableId
from airflow_provider_chista.sources.detect import SOURCES
from airflow_provider_chista.sources.mariadb import MariaDBSource
from airflow_provider_chista.sources.mysql import MySQLSource
from airflow_provider_chista.sources.postgres import PostgresSource

POSTGRES = PostgresSource.dialect
NAME = "it's %s \"`{v}"


def column(declared: str, kind: Kind, name: str = "c") -> Column:
    return Column(name, declared, kind, nullable=True)


@given(st.floats(width=64))
def test_the_digits_of_a_double_are_those_of_its_bits(value: float) -> None:
    (text,) = POSTGRES.bound(column("double precision", Kind.IEEE64), [field_text(Kind.IEEE64, value)])
    assert text is not None
    assert value != value or struct.pack(">d", float(text)) == struct.pack(">d", value)


@given(st.floats(width=32))
def test_the_digits_of_a_float_are_those_of_its_bits(value: float) -> None:
    (text,) = POSTGRES.bound(column("real", Kind.IEEE32), [field_text(Kind.IEEE32, value)])
    assert text is not None
    assert value != value or struct.pack(">f", float(text)) == struct.pack(">f", value)


@given(st.text())
def test_a_text_comes_back_without_its_length(value: str) -> None:
    for source in SOURCES:
        assert source.dialect.bound(column("text", Kind.TEXT), [field_text(Kind.TEXT, value)]) == [value]


def test_null_stays_null_and_a_point_has_its_coordinates() -> None:
    point = "0000000001" + struct.pack(">dd", -0.0, 1e300).hex()
    assert POSTGRES.bound(column("point", Kind.BYTES), [point, None]) == ["(-0.0,1e+300)", None]


@pytest.mark.parametrize(
    ("source", "declared", "kind", "sql"),
    [
        (PostgresSource, 'app."100%"', Kind.TEXT, 'x::app."100%%"'),
        (PostgresSource, "money", Kind.DECIMAL, "x::numeric::money"),
        (PostgresSource, "bytea", Kind.BYTES, "decode(x, 'hex')"),
        (MySQLSource, "year", Kind.UINT16, "CAST(x AS UNSIGNED)"),
        (MySQLSource, "bit(5)", Kind.UINT64, "CAST(x AS UNSIGNED)"),
        (MariaDBSource, "varbinary(9)", Kind.BYTES, "UNHEX(x)"),
        (MariaDBSource, "decimal(9,2)", Kind.DECIMAL, "x"),
    ],
)
def test_the_engine_makes_the_value(source: Any, declared: str, kind: Kind, sql: str) -> None:
    type_name = "enum" if declared.startswith("app.") else ""
    made = Column("c", declared, kind, nullable=True, type_name=type_name)
    assert source.dialect.value_of(made, "x") == sql


@pytest.mark.parametrize("source", SOURCES)
def test_names_are_quoted_in_the_statement(source: Any) -> None:
    columns = (column("integer" if source is PostgresSource else "int", Kind.INT32, NAME),)
    table = Table(TableId(NAME, NAME), columns, (NAME,))
    opened = source(lambda: None)
    quoted = source.dialect.quote(NAME) % ()
    statement = opened.restore_sql(table)
    assert f"INSERT INTO {quoted}.{quoted} ({quoted})" in statement
    assert f":{NAME}" in statement
