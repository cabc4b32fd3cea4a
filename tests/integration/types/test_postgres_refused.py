"""Types, keys and values of PostgreSQL that cannot be archived exactly are refused by name, and never archived as others."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from airflow_provider_chista.clickhouse.choices import Choices
from airflow_provider_chista.errors import FatalError, RefusedError
from airflow_provider_chista.model import TableId
from tests.integration.archive.conftest import Store
from tests.integration.support.archives import Archive
from tests.integration.support.engines import connector, wait_for
from tests.integration.types.postgres_structured_cases import extension
from tests.integration.types.stories import Story, Told, at_source, both, execute, stored, told

REFUSED = {
    "TIMETZ": ("'23:59:59.999999+15:59'", "without its zone"),
    "BIT VARYING(16)": ("B'0'", "drops leading zero bits"),
    "LINE": ("'{1,2,3}'", "Java's text"),
    "LSEG": ("'[(0,0),(1,1)]'", "Java's text"),
    "BOX": ("'(2,2),(0,0)'", "Java's text"),
    "PATH": ("'[(0,0),(1,1)]'", "Java's text"),
    "POLYGON": ("'((0,0),(1,1))'", "Java's text"),
    "CIRCLE": ("'<(1,2),3>'", "Java's text"),
    "REGCLASS": ("'pg_class'", "search path"),
    "REGROLE": ("'postgres'", "search path"),
    "TIME[]": ("'{24:00:00,NULL}'", "24:00"),
    "INTERVAL[]": ("'{1 mon,NULL}'", "leaves the column out"),
    "INT[][]": ("'{{1,2},{3,4}}'", "more than one dimension"),
    "MONEY[]": ("'{1.50}'", "money[] is not known"),
    "POINT[]": ("ARRAY['(1,2)'::point]", "point[] is not known"),
    "INT4RANGE[]": ("ARRAY['[1,2)'::int4range]", "int4range[] is not known"),
    "XID8": ("'1'", "xid8 is not known"),
    "INT2VECTOR": ("'1 2'", "int2vector is not known"),
    "CUBE": ("'(1,2),(3,4)'", "public.cube is not known"),
    "SEG": ("'1.0 .. 2.00'", "public.seg is not known"),
    "ISBN": ("'978-0-393-04002-9'", "public.isbn is not known"),
    "{schema}.floats": ("'[1.5,2.5)'", "floats is not known"),
    "{schema}.manyfloats": ("'{[1.5,2.5)}'", "manyfloats is not known"),
    "{schema}.pair[]": ("ARRAY[(1, 'a')::{schema}.pair]", "pair[] is not known"),
    "{schema}.span": ("'[1,2)'", "a domain over int4range was not proven"),
    "{schema}.pairs": ("(1, 'a')::{schema}.pair", "a domain over {schema}.pair was not proven"),
    "{schema}.word[]": ("'{a,b}'", "elements of a domain's type"),
    "{schema}.numbers": ("'{1,NULL}'", "a domain over integer[] was not proven"),
}
"""Types that are refused, a value of each, and what the refusal says."""
REFUSED_SETUP = (
    *map(extension, ("cube", "seg", "isn")),
    "CREATE TYPE {schema}.floats AS RANGE (subtype = float8, multirange_type_name = {schema}.manyfloats)",
    "CREATE TYPE {schema}.pair AS (a INT, b TEXT)",
    "CREATE DOMAIN {schema}.span AS INT4RANGE",
    "CREATE DOMAIN {schema}.pairs AS {schema}.pair",
    "CREATE DOMAIN {schema}.numbers AS INT[]",
    "CREATE DOMAIN {schema}.word AS TEXT",
)

STORIES = {
    "refused": Story(
        ", ".join(f"c{i} {ddl}" for i, ddl in enumerate(REFUSED)) + ", kept TEXT",
        [", ".join(value for value, _ in REFUSED.values()) + ", 'all'", ", ".join(["NULL"] * len(REFUSED)) + ", 'none'"],
        setup=REFUSED_SETUP,
        choices=Choices(exclude=frozenset(f"c{i}" for i in range(len(REFUSED)))),
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def archives(store: Store) -> Iterator[Told]:
    with told(store, STORIES) as made:
        yield made


def test_a_type_that_was_not_proven_is_refused_by_name_with_the_way_out(archives: Told) -> None:
    with archives.connector.engine.source() as source:
        table = source.catalogue(TableId(archives.connector.schema, "refused"))
        findings = [f for f in source.table_findings(table) if f.check == "column"]
    assert {finding.severity for finding in findings} == {"error"}
    assert [finding.subject for finding in findings] == [f"{table.id}.c{i}" for i in range(len(REFUSED))]
    for finding, (ddl, (_, why)) in zip(findings, REFUSED.items(), strict=True):
        assert why.replace("{schema}", archives.connector.schema) in finding.found, ddl
        assert "exclude the column" in finding.remedy
    with pytest.raises(FatalError, match=r"c0 \(time with time zone\): Debezium sends it in UTC"):
        table.require_archivable()


def test_a_table_without_its_refused_columns_is_archived_and_verified_but_never_purged(
    archives: Told,
) -> None:
    archive = archives["refused"]
    assert stored(archive) == at_source(archive) == both("3:all", "4:none")
    proof = archive.verify()
    assert proof.rows == 4
    archive.approve(proof)
    with pytest.raises(RefusedError) as refused:
        archive.purge()
    for i in range(len(REFUSED)):
        assert re.search(rf"\bc{i}\b", str(refused.value))
    assert len(archive.engine.query(f"SELECT id FROM {archive.id}")) == 4


KEYS = {
    "DOUBLE PRECISION": "double precision", "REAL": "real", "INTERVAL": "interval", "JSONB": "jsonb", "NUMERIC": "numeric",
    "MONEY": "money", "TIME": "time without time zone", "INT[]": "integer[]", "INT4RANGE": "int4range", "BIT(3)": "bit(3)",
    "TSVECTOR": "tsvector", "PG_LSN": "pg_lsn", '"char"': '"char"',
}  # fmt: skip


def test_a_key_whose_values_have_no_common_order_or_text_is_refused_by_name(archives: Told) -> None:
    for place, (ddl, declared) in enumerate(KEYS.items()):
        execute(
            archives.connector, f"CREATE TABLE {{schema}}.key{place} (a {ddl}, b INT, PRIMARY KEY (b, a))"
        )
        with archives.connector.engine.source() as source:
            table = source.catalogue(TableId(archives.connector.schema, f"key{place}"))
        with pytest.raises(FatalError, match=re.escape(f"a ({declared}): ")) as refused:
            table.require_archivable()
        assert "cannot be part of the primary key" in str(refused.value)
        with pytest.raises(FatalError, match="is part of the primary key and cannot be excluded"):
            table.without(["a"])


def test_a_generated_column_in_the_key_is_refused(archives: Told) -> None:
    execute(
        archives.connector,
        "CREATE TABLE {schema}.computed (a INT, b INT GENERATED ALWAYS AS (a * 2) STORED, PRIMARY KEY (a, b))",
    )
    with archives.connector.engine.source() as source:
        table = source.catalogue(TableId(archives.connector.schema, "computed"))
    with pytest.raises(FatalError, match=r"b .*a generated column cannot be part of the primary key"):
        table.require_archivable()


STOPPING = {
    "{schema}.mood[]": ("'{sad,NULL}'", "Failed to properly convert data value for '{schema}.t.a'"),
    "NUMERIC[]": ("'{1.5,NaN}'", "Failed to properly convert data value for '{schema}.t.a'"),
    "INTERVAL": ("'2562047788 hours'", "Conversion of interval failed"),
}
"""Types with a value that Debezium cannot convert, and how it says so."""


@pytest.mark.parametrize("ddl", STOPPING)
def test_a_value_that_debezium_cannot_convert_stops_the_connector_and_is_never_null(ddl: str) -> None:
    value, why = STOPPING[ddl]
    with connector("postgres", {}, captured=["t"]) as made:
        execute(
            made,
            "CREATE TYPE {schema}.mood AS ENUM ('sad')",
            f"CREATE TABLE {{schema}}.t (id INT PRIMARY KEY, a {ddl})",
            f"INSERT INTO {{schema}}.t VALUES (1, {value})",
        )
        made.register(overrides={"errors.max.retries": "0"})
        wait_for(lambda: made.connect.status(made.name).failed)
        assert why.replace("{schema}", made.schema) in made.connect.status(made.name).explain()


def test_a_column_that_the_connector_does_not_read_cannot_stop_it(store: Store) -> None:
    with connector("postgres", {}, captured=["t"]) as made:
        execute(
            made,
            "CREATE TYPE {schema}.mood AS ENUM ('sad')",
            "CREATE TABLE {schema}.t (id INT PRIMARY KEY, moods {schema}.mood[], spans INTERVAL[], name TEXT)",
            "INSERT INTO {schema}.t VALUES (1, '{sad,NULL}', '{1 day}', 'snapshot')",
        )
        excluded = frozenset({"moods", "spans"})
        made.register(overrides={"errors.max.retries": "0"}, exclude={TableId(made.schema, "t"): excluded})
        archive = Archive(made, store.client, store.control, store.database, "t", choices=Choices(excluded))
        archive.snapshot()
        execute(made, "INSERT INTO {schema}.t VALUES (2, '{NULL}', NULL, 'streamed')")
        archive.drain()
        assert archive.shown() == [(1, "snapshot"), (2, "streamed")]
        assert archive.verify().rows == 2
        archive.capture.source.close()
