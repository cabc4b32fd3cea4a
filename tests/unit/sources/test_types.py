"""Names of types, refusals and expressions, without a server."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_chista.canonical import KEY_KINDS
from airflow_provider_chista.debezium.envelope import EnvelopeDecoder
from airflow_provider_chista.debezium.rows import DecodeError
from airflow_provider_chista.errors import FatalError
from airflow_provider_chista.model import Column, Encoding, Kind, Table, TableId
from airflow_provider_chista.sources import mysqltypes, postgrestypes
from airflow_provider_chista.sources.base import Source
from airflow_provider_chista.sources.detect import SOURCES
from airflow_provider_chista.sources.mariadb import MariaDBSource
from airflow_provider_chista.sources.mysql import MySQLSource
from airflow_provider_chista.sources.mysqlfamily import MySQLFamilySource
from airflow_provider_chista.sources.postgrestypes import CatalogueColumn, described

MYSQL_NAMES = {
    "int": "int",
    "int(11)": "int",
    "int(10) unsigned zerofill": "int unsigned",
    "bigint unsigned": "bigint unsigned",
    "tinyint(1)": "tinyint",
    "varchar(255)": "varchar",
    "decimal(10,2) unsigned zerofill": "decimal unsigned",
    "float(7,3)": "float",
    "double": "double",
    "double(20,5)": "double(m,d)",
    "double(20,5) unsigned zerofill": "double(m,d) unsigned",
    "year(4)": "year",
    "enum('a','it''s (b)')": "enum",
    "set('unsigned','zerofill')": "set",
    "varchar(9) /*M!100301 COMPRESSED*/": "varchar /*M!100301 COMPRESSED*/",
}


@pytest.mark.parametrize(("declared", "name"), MYSQL_NAMES.items())
def test_mysql_type_names(declared: str, name: str) -> None:
    assert mysqltypes.type_name(declared) == name


def catalogue(base: str, **more: Any) -> CatalogueColumn:
    """A column as PostgreSQL's catalogue describes it; a base type with ``[]`` is an array of what is before it."""
    element = base.removesuffix("[]") if base.endswith("[]") else None
    known: dict[str, Any] = {
        "name": "c", "declared": base, "base": base, "category": "b", "schema": "pg_catalog", "type_name": base,
        "element": element, "element_category": "b" if element else None, "element_name": element,
        "element_extension": None, "extension": None,
        "dimensions": 1 if element else 0, "not_null": False, "generated": False, "is_domain": False,
    }  # fmt: skip
    return CatalogueColumn(**known | more)


POSTGRES_NAMES: list[tuple[CatalogueColumn, str]] = [
    (catalogue("integer"), "integer"),
    (catalogue("character varying(25)"), "character varying"),
    (catalogue("character(4)"), "character"),
    (catalogue("bpchar"), "character"),
    (catalogue("bpchar[]"), "character[]"),
    (catalogue('"char"'), '"char"'),
    (catalogue("numeric"), "numeric"),
    (catalogue("numeric(10,2)"), "numeric(p,s)"),
    (catalogue("timestamp(3) without time zone"), "timestamp without time zone"),
    (catalogue("time(0) without time zone"), "time without time zone"),
    (catalogue("interval(3)"), "interval"),
    (catalogue("interval year to month"), "interval"),
    (catalogue("bit(10)"), "bit"),
    (catalogue("employees.gender_t", category="e", type_name="gender_t"), "enum"),
    (catalogue('"my Schema".mood', category="e", type_name="mood"), "enum"),
    (catalogue("app.address", category="c", type_name="address"), "composite"),
    (catalogue("app.citext", type_name="citext", extension="citext"), "citext"),
    (catalogue("hstore", extension="hstore"), "hstore"),
    (catalogue("int4multirange", category="m"), "int4multirange"),
    (catalogue("integer[]"), "integer[]"),
    (catalogue("numeric(10,2)[]"), "numeric[]"),
    (catalogue("character varying(5)[]"), "character varying[]"),
    (catalogue("timestamp(3) with time zone[]"), "timestamp with time zone[]"),
    (catalogue("app.mood[]", element_category="e", element_name="mood"), "enum[]"),
    (catalogue("app.hstore[]", element_name="hstore", element_extension="hstore"), "hstore[]"),
    (catalogue("integer", declared="app.positive", is_domain=True), "integer"),
]  # fmt: skip


@pytest.mark.parametrize(("column", "name"), POSTGRES_NAMES)
def test_postgres_types_are_found_in_their_row(column: CatalogueColumn, name: str) -> None:
    found = described(column)
    assert (found.type_name, found.refusal) == (name, None)
    assert found.kind is postgrestypes.TYPES[name].kind
    assert found.element == (name.removesuffix("[]") if name.endswith("[]") else "")


UNKNOWN: list[tuple[CatalogueColumn, str]] = [
    (catalogue("app.myrange", category="r"), "type app.myrange is not known"),
    (catalogue("app.mymultirange", category="m"), "type app.mymultirange is not known"),
    (catalogue("vector(3)", extension="vector", type_name="vector"), "type vector(3) is not known"),
    (catalogue("text", extension="other"), "type text is not known"),
    (catalogue("app.text", type_name="text"), "type app.text is not known"),
    (catalogue("aclitem"), "type aclitem is not known"),
    (catalogue("int4range", declared="app.period", category="r", is_domain=True), "a domain over int4range was not proven"),
    (catalogue("integer[]", declared="app.list", is_domain=True), "a domain over integer[] was not proven"),
    (catalogue("app.mood", declared="app.happy", category="e", is_domain=True), "a domain over app.mood was not proven"),
    (catalogue("integer[]", dimensions=2), "more than one dimension"),
    (catalogue("text[]", element_is_domain=True), "elements of a domain's type"),
    (catalogue("int2vector"), "is not known"),
    (catalogue("app.address[]", element_category="c"), "is not known"),
    (catalogue("app.myrange[]", element_category="r"), "is not known"),
    (catalogue("time without time zone[]"), "24:00 as 00:00"),
    (catalogue("interval[]"), "leaves the column out"),
    (catalogue("time(3) with time zone"), "without its zone"),
    (catalogue("bit varying(16)"), "leading zero bits"),
    (catalogue("line"), "Java's text"),
    (catalogue("regclass"), "search path"),
    (catalogue("integer", name="_chista_version"), "reserved for the archive"),
]  # fmt: skip


@pytest.mark.parametrize(("column", "reason"), UNKNOWN)
def test_postgres_types_that_nobody_proved_are_refused_by_name_with_the_way_out(
    column: CatalogueColumn, reason: str
) -> None:
    refusal = described(column).refusal or ""
    assert reason in refusal
    assert "exclude the column" in refusal or "rename the column" in refusal


@pytest.mark.parametrize(
    ("base", "digits"),
    [
        ("numeric(10,2)", (10, 2)),
        ("numeric(5,-2)", (7, 0)),
        ("numeric(2,5)", (2, 5)),
        ("numeric", (0, 0)),
        ("money", (19, 2)),
        ("bit(10)", (10, 0)),
    ],
)
def test_digits_of_postgres_types(base: str, digits: tuple[int, int]) -> None:
    found = described(catalogue(base))
    assert (found.precision, found.scale) == digits


MYSQL_FAMILY: tuple[type[MySQLFamilySource], ...] = (MySQLSource, MariaDBSource)


def column_of(source: type[MySQLFamilySource], declared: str, name: str = "c") -> Column:
    def connect() -> Any:
        raise AssertionError("nothing here connects")

    return source(connect)._column(name, declared, "YES", None)


REFUSED_BY_MYSQL: list[tuple[type[MySQLFamilySource], str, str]] = [
    (MySQLSource, "uuid", "type uuid is not known"),
    (MySQLSource, "geomcollection2", "type geomcollection2 is not known"),
    (MariaDBSource, "json", "type json is not known"),
    (MariaDBSource, "vector(3)", "type vector is not known"),
    (MariaDBSource, "inet4", "cannot parse its DDL"),
    (MariaDBSource, "inet6", "cannot parse its DDL"),
    (MariaDBSource, "varchar(9) /*M!100301 COMPRESSED*/", "cannot parse its DDL"),
]


@pytest.mark.parametrize(("source", "declared", "reason"), REFUSED_BY_MYSQL)
def test_mysql_types_that_nobody_proved_are_refused_by_name(
    source: type[MySQLFamilySource], declared: str, reason: str
) -> None:
    assert reason in (column_of(source, declared).refusal or "")


@pytest.mark.parametrize("source", MYSQL_FAMILY)
@pytest.mark.parametrize(
    ("declared", "digits"),
    [
        ("decimal(65,30)", (65, 30)),
        ("decimal(5,2) unsigned", (5, 2)),
        ("bit(64)", (64, 0)),
        ("int(11)", (0, 0)),
    ],
)
def test_digits_of_mysql_types(
    source: type[MySQLFamilySource], declared: str, digits: tuple[int, int]
) -> None:
    found = column_of(source, declared)
    assert (found.precision, found.scale, found.refusal) == (*digits, None)


LABELS: list[tuple[str, tuple[str, ...]]] = [
    ("enum('a','b,c')", ("a", "b,c")),
    (r"enum('a\\b')", ("a\\b",)),
    ("enum('x','it''s, no')", ("x", "it's, no")),
    (r"enum('two\nlines','tab\t','')", ("two\nlines", "tab\t", "")),
    ("enum('(',')','a),(b')", ("(", ")", "a),(b")),
    ("set('x','ü')", ("x", "ü")),
    ("varchar(10)", ()),
]


def sent(column: Column, text: str) -> Any:
    table = Table(TableId("s", "t"), (Column("id", "int", Kind.INT32, False), column), ("id",))
    value = b'{"op":"c","source":{"connector":"mysql","ts_ms":1},"after":{"id":1,"c":"%s"}}'
    return (
        EnvelopeDecoder(table).change(value % text.replace("\\", "\\\\").replace("\n", "\\n").encode()).row[1]
    )


@pytest.mark.parametrize("source", MYSQL_FAMILY)
@pytest.mark.parametrize(("declared", "labels"), LABELS)
def test_labels_are_read_from_the_declared_type(
    source: type[MySQLFamilySource], declared: str, labels: tuple[str, ...]
) -> None:
    found = column_of(source, declared)
    assert (found.labels, found.refusal) == (labels, None)


@pytest.mark.parametrize(
    ("declared", "streamed", "label"),
    [
        ("enum('a','b,c')", r"b\,c", "b,c"),
        (r"enum('a\\b')", r"a\\b", "a\\b"),
        ("enum('x','it''s, no')", r"it's\, no", "it's, no"),
        (r"enum('two\nlines')", r"two\nlines", "two\nlines"),
    ],
)
def test_enum_literals_that_the_stream_escapes_are_decoded_through_the_labels(
    declared: str, streamed: str, label: str
) -> None:
    """Snapshots have the label itself, the stream has it escaped."""
    column = column_of(MySQLSource, declared)
    assert column.encoding is Encoding.LABEL
    assert sent(column, streamed) == sent(column, label) == label
    with pytest.raises(DecodeError, match=r"column c: .* is none of the labels"):
        sent(column, "\\" + streamed + "?")


def test_labels_of_which_one_looks_like_another_one_escaped_are_refused() -> None:
    refusal = column_of(MySQLSource, r"enum('a,b','a\\,b')").refusal or ""
    assert "'a\\\\,b'" in refusal
    assert "rename one, or exclude the column" in refusal


@pytest.mark.parametrize("source", SOURCES)
def test_every_kind_of_the_types_is_known_and_every_refusal_has_a_reason(source: type[Source]) -> None:
    for name, row in source.dialect.types.items():
        assert row.name == name
        assert (row.kind is None) == bool(row.refusal)
        assert (row.kind is None) == (row.text == "")
        # Only what is ordered alike everywhere can be a key.
        assert not row.key or row.kind in KEY_KINDS


def test_every_kind_belongs_to_a_type() -> None:
    kinds = {row.kind for source in SOURCES for row in source.dialect.types.values()}
    assert kinds == {*Kind, None}


@pytest.mark.parametrize("source", SOURCES)
def test_identifiers_cannot_break_out_or_become_placeholders(source: type[Source]) -> None:
    quote = source.dialect.quote
    assert quote('a`b"c%s') in ('`a``b"c%%s`', '"a`b""c%%s"')


HOSTILE = st.lists(st.text("`\"'%sd(){}.,; \\\n-ab😀é", min_size=1, max_size=12), min_size=1, max_size=4)


@pytest.mark.parametrize("source", SOURCES)
def test_a_list_of_hostile_names_is_read_back_by_the_engines_rules(source: type[Source]) -> None:
    """Inside quotes only the quote itself is special, doubled; a driver halves each doubled percent sign."""
    quote = source.dialect.quote
    mark = quote("x")[0]

    @given(HOSTILE)
    def round_trip(names: list[str]) -> None:
        statement = ", ".join(map(quote, names)) % ()
        tokens = re.findall(rf"{mark}((?:[^{mark}]|{mark}{mark})*){mark}(?:, |$)", statement)
        assert [token.replace(mark * 2, mark) for token in tokens] == names
        assert "".join(f"{mark}{token}{mark}, " for token in tokens)[:-2] == statement

    round_trip()


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("name", ["{text}", "{c}", "%s", "%(x)s", "a'b", "{0}{", "}"])
def test_names_stand_in_a_statement_as_they_are_whatever_they_look_like(
    source: type[Source], name: str
) -> None:
    dialect = source.dialect
    declared = "int" if source.flavour != "postgres" else "integer"
    table = Table(TableId("s", "t{c}"), (Column(name, declared, Kind.INT32, nullable=True),), (name,))
    for statement in (dialect.hash_of_row(table), dialect.row_key(table), dialect.order_by(table)):
        assert f"t.{dialect.quote(name)}" in statement
        # A driver formats the statement with the bound values: no name may ask for one.
        assert f"t.{dialect.quote(name) % ()}" in statement % ()
    assert dialect.matches(table, "v.k{}".format).endswith("v.k0")
    assert dialect.table(table.id) % () == "`s`.`t{c}`".replace("`", dialect.quote("")[0])


def test_a_type_without_a_row_in_the_table_has_no_text() -> None:
    column = Column("c", "frob", None, nullable=True, refusal="type frob is not known")
    with pytest.raises(FatalError, match="type frob is not known"):
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
