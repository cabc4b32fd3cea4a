"""What only MySQL and MariaDB have, and the user's choices there: columns that are refused, generated or of a chosen type."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

import pytest

from airflow_provider_chista.archive.create import create
from airflow_provider_chista.archive.preflight import ArchivePlan, preflight
from airflow_provider_chista.clickhouse import sql
from airflow_provider_chista.clickhouse.choices import Choice, Choices
from airflow_provider_chista.errors import FatalError, RefusedError
from airflow_provider_chista.findings import Finding
from airflow_provider_chista.model import TableId
from airflow_provider_chista.sources.mariadb import MariaDBSource
from airflow_provider_chista.sources.mysql import MySQLSource
from airflow_provider_chista.sources.mysqltypes import _WHOLE_SETS
from tests.integration.archive.conftest import Store
from tests.integration.sources.conftest import ThrowAway, throw_away
from tests.integration.support import services
from tests.integration.support.engines import connector, wait_for
from tests.integration.types.mysqlfamily_cases import SESSION
from tests.integration.types.stories import (
    STREAMED,
    Story,
    Told,
    at_source,
    both,
    dead_letters,
    differing,
    require_readable_and_never_purged,
    stored,
    told,
    types_of,
)

__all__ = ["throw_away"]

CHOSEN = Choices(
    types={
        "label": Choice("LowCardinality(String)"),
        "mood": Choice("LowCardinality(String)"),
        "amount": Choice("Decimal(38, 2)"),
        "ratio": Choice("Float64"),
        "n": Choice("Int64"),
        "small": Choice("UInt32"),
        "day": Choice("Date32"),
        "at": Choice("DateTime64(3, 'UTC')"),
        "took": Choice("String"),
    }
)
EXCLUDED = frozenset({"odd", "newer", "_chista_own", "filled"})
STORIES = {
    "refused": Story(
        r"""odd ENUM('b,c','b\\,c'), newer YEAR, `_chista_own` INT, filled DECIMAL(8,3) ZEROFILL, kept TEXT""",
        ["'b,c', 2024, 1, 99999.999, 'all'", "NULL, NULL, NULL, NULL, 'none'"],
        choices=Choices(exclude=EXCLUDED),
    ),
    "computed": Story(
        "a INT, b INT, s INT GENERATED ALWAYS AS (a + b) VIRTUAL, p INT GENERATED ALWAYS AS (a * b) STORED,"
        " hidden INT INVISIBLE DEFAULT 5, made VARCHAR(36) NOT NULL DEFAULT (UUID())",
        ["2, 3, DEFAULT, DEFAULT, 'x'", "NULL, 3, DEFAULT, DEFAULT, DEFAULT"],
        between=("UPDATE {schema}.computed SET hidden = 9 WHERE id = 1",),
    ),
    "chosen": Story(
        "label VARCHAR(20), mood ENUM('sad','c,d'), amount DECIMAL(10,2), ratio FLOAT, n INT, small TINYINT UNSIGNED,"
        " day DATE, at DATETIME(3), took TIME(6)",
        [
            "'a', 'sad', 1.5, 0.1, -2147483648, 255, '2299-12-31', '0001-01-01 00:00:00.001', '-838:59:59'",
            "'', 'c,d', -99999999.99, -123.5, 0, 0, '1900-01-01', '9999-12-31 23:59:59.999', '24:00:00.000001'",
            "NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL",
        ],
        choices=CHOSEN,
    ),
    "documents": Story(
        "doc JSON, name TEXT",
        ["""'{"a": 1.5, "b": {"c": [1, "x"]}}', 'one'""", "NULL, NULL"],
        choices=Choices(types={"doc": Choice("JSON", provable=False)}),
    ),
    "undefined": Story(
        "a VARCHAR(9) CHARACTER SET cp1250, b VARCHAR(9) CHARACTER SET sjis, c VARCHAR(9) CHARACTER SET koi8r",
        ["_cp1250 x'81', NULL, NULL", "_cp1250 x'83', NULL, NULL", "NULL, _sjis x'5c', NULL", "'é?', 'ソ?', 'Ж?'"],
    ),
    "year0": Story(
        "d DATE",
        ["'0000-05-06'", "'0001-01-01'"],
        setup=SESSION,
        between=SESSION,
    ),
}  # fmt: skip


@pytest.fixture(scope="module", params=["mysql", "mariadb"])
def archives(request: pytest.FixtureRequest, store: Store) -> Iterator[Told]:
    """With a type that nobody thought of: YEAR, struck off the table of types."""
    with pytest.MonkeyPatch.context() as patch:
        source = SOURCES[request.param]
        types = {name: row for name, row in source.dialect.types.items() if name != "year"}
        patch.setattr(source, "dialect", replace(source.dialect, types=types))
        # Targets of their own, since both engines have the same tables.
        own = replace(store, database=f"{store.database}_{request.param}")
        # MySQL's snapshot would stop at one of them; MariaDB's events hold them, and they are passed over.
        with told(own, STORIES, request.param, unread=request.param == "mysql") as made:
            yield made
        store.client.command(f"DROP DATABASE IF EXISTS {own.database}")


SOURCES = {"mysql": MySQLSource, "mariadb": MariaDBSource}


def column_findings(store: Store, archives: Told, choices: Choices) -> list[Finding]:
    """What the preflight of the refused table says of its columns."""
    table = archives["refused"].id
    plan = ArchivePlan(
        {table: TableId(archives["refused"].database, "elsewhere")}, {}, choices={table: choices}
    )
    capture = archives["refused"].capture
    report = preflight(
        plan,
        verify=archives.connector.engine.source,
        purge=None,
        kafka=capture.kafka,
        connect=capture.connect,
        control=lambda: store.control,
    )
    return [finding for finding in report.findings if finding.check == "column"]


REFUSED = {
    "odd": "Debezium sends label 'b,c' like label 'b\\\\,c'",
    "newer": "type year is not known",
    "_chista_own": "reserved",
}
FILLED = {"filled": "a snapshot stops the connector at a value that has all of its digits"}
"""Refused on MySQL alone."""


def refused_of(archives: Told) -> dict[str, str]:
    return REFUSED | (FILLED if archives.connector.engine.flavour == "mysql" else {})


def test_a_refused_column_is_named_at_the_preflight_and_at_the_creation_with_the_way_out(
    store: Store, archives: Told
) -> None:
    found, refused = column_findings(store, archives, Choices()), refused_of(archives)
    assert [finding.subject for finding in found] == [f"{archives['refused'].id}.{name}" for name in refused]
    for finding, why in zip(found, refused.values(), strict=True):
        assert finding.severity == "error"
        assert why in finding.found
        assert "exclude the column" in finding.remedy
    archive = archives["refused"]
    with pytest.raises(FatalError) as caught:
        create(
            archive.capture.source,
            store.client,
            archive.types,
            archive.id,
            TableId(archive.database, "elsewhere"),
            Choices(),
        )
    for name, why in refused.items():
        assert re.search(rf"\b{name} \(.*?\): .*{re.escape(why)}", str(caught.value))
    assert "exclude the column" in str(caught.value)
    assert "rename the column" in str(caught.value)


def test_a_table_without_its_refused_columns_is_archived_and_verified_but_never_purged(
    store: Store, archives: Told
) -> None:
    archive = archives["refused"]
    (finding,) = column_findings(store, archives, archive.choices)
    assert finding.severity == "purge"
    assert "_chista_own, filled, newer, odd: excluded" in finding.found
    assert not EXCLUDED & types_of(archive).keys()
    assert stored(archive) == at_source(archive) == both("3:all", "4:none")
    proof = archive.verify()
    archive.approve(proof)
    with pytest.raises(RefusedError, match=r"columns _chista_own, filled, newer, odd of .* are excluded"):
        archive.purge()
    assert proof.rows == len(archive.in_source()) == 4


def test_generated_columns_are_left_out_on_both_sides_and_the_rest_is_proven_and_purged(
    archives: Told,
) -> None:
    archive = archives["computed"]
    assert [column.name for column in archive.table.columns] == ["id", "a", "b", "hidden", "made"]
    assert [(left.name, left.generated) for left in archive.table.left_out] == [("s", True), ("p", True)]
    assert not {"s", "p"} & types_of(archive).keys()
    before = at_source(archive)
    assert stored(archive) == before
    assert (before[1], before[STREAMED + 1]) == ("2|3|9|1:x", "2|3|5|1:x")
    proof = archive.verify()
    archive.approve(proof)
    assert (archive.purge().deleted, archive.in_source()) == (4, [])
    archive.drain()
    assert (archive.seal().rows, stored(archive)) == (4, before)


def test_types_that_the_user_chose_hold_every_value_and_are_proven(archives: Told) -> None:
    archive = archives["chosen"]
    assert {name: ddl for name, ddl in types_of(archive).items() if name in CHOSEN.types} == {
        "label": "LowCardinality(Nullable(String))", "mood": "LowCardinality(Nullable(String))",
        "amount": "Nullable(Decimal(38, 2))", "ratio": "Nullable(Float64)", "n": "Nullable(Int64)",
        "small": "Nullable(UInt32)", "day": "Nullable(Date32)", "at": "Nullable(DateTime64(3, 'UTC'))",
        "took": "Nullable(String)",
    }  # fmt: skip
    expected = both(
        "1:a|3:sad|1.50|10000000149011612e-17|-2147483648|255|2299-12-31|0001-01-01 00:00:00.001000|-838:59:59.000000",
        "0:|3:c,d|-99999999.99|-1235e-1|0|0|1900-01-01|9999-12-31 23:59:59.999000|24:00:00.000001",
        "|".join("~" * 9),
    )
    assert stored(archive) == at_source(archive) == expected
    proof = archive.verify()
    archive.approve(proof)
    assert archive.purge().deleted == 6


LOSSY = [
    ("label", "FixedString(20)", "String"),
    ("amount", "Decimal(9, 2)", "Decimal"),
    ("amount", "Decimal(12, 3)", "Decimal"),
    ("amount", "Float64", "Decimal"),
    ("ratio", "Float16", "Float32 or Float64"),
    ("n", "Int16", "Int8 to Int64 and UInt8 to UInt64"),
    ("n", "UInt64", "Int8 to Int64 and UInt8 to UInt64"),
    ("day", "Date", "Date32"),
    ("at", "DateTime", "DateTime64"),
    ("took", "Float64", "Time64"),
    ("n", "LowCardinality(Int32)", "Int8 to Int64 and UInt8 to UInt64"),
]


@pytest.mark.parametrize(("column", "ddl", "exact"), LOSSY)
def test_a_type_that_loses_values_is_refused_with_the_exact_ones(
    archives: Told, column: str, ddl: str, exact: str
) -> None:
    archive = archives["chosen"]
    target = TableId(archive.database, "lossy")
    with pytest.raises(FatalError, match=re.escape(f"column {column} ")) as refused:
        create(
            archive.capture.source,
            archive.client,
            archive.types,
            archive.id,
            target,
            Choices(types={column: Choice(ddl)}),
        )
    told, _, rest = str(refused.value).partition("exact are ")
    assert f"cannot be stored as {ddl} exactly" in told
    assert exact in rest.partition(";")[0]
    assert "'provable': False" in rest
    assert archive.client.command(f"EXISTS {sql.table(target)}") == 0


def test_a_document_as_json_is_readable_but_its_table_is_never_purged(archives: Told) -> None:
    require_readable_and_never_purged(archives["documents"])


def test_bytes_that_their_character_set_does_not_define_never_pass_for_what_readers_are_shown(
    archives: Told,
) -> None:
    archive, last = archives["undefined"], len(STORIES["undefined"].both)
    assert at_source(archive) == both("x81|~|~", "x83|~|~", "~|x5C|~", "3:é?|4:ソ?|3:Ж?")
    shown = stored(archive)
    assert (shown[1], shown[2], shown[3], shown[last]) == (
        "1:?|~|~",
        "1:?|~|~",
        "~|1:\\|~",
        "3:é?|4:ソ?|3:Ж?",
    )
    assert differing(archive) == shown.keys() - {last, STREAMED + last}


def test_every_byte_of_a_whole_character_set_comes_back_from_unicode(archives: Told) -> None:
    for name in sorted(_WHOLE_SETS):
        if not name.startswith("utf"):
            there = ", ".join(
                f"HEX(CONVERT(CONVERT(_{name} x'{b:02x}' USING utf8mb4) USING {name}))" for b in range(256)
            )
            (back,) = archives.connector.engine.query(f"SELECT {there}")
            assert [int(text, 16) for text in back] == list(range(256)), name


def test_a_date_of_the_year_zero_goes_to_the_dead_letters_or_is_found_by_the_proof(archives: Told) -> None:
    archive = archives["year0"]
    assert stored(archive) == {2: "0001-01-01", STREAMED + 1: "~", STREAMED + 2: "0001-01-01"}
    assert at_source(archive) == both("0000-05-06", "0001-01-01")
    assert "column d: 0001-05-06 BC is outside 0001-01-01 to 9999-12-31" in dead_letters(archive)[1]
    assert dead_letters(archive).keys() == {1}
    assert differing(archive) == {1, STREAMED + 1}


BLOBS = ("TINYTEXT", "TEXT", "MEDIUMTEXT", "LONGTEXT", "TINYBLOB", "BLOB", "MEDIUMBLOB", "LONGBLOB")
FAILING = ("INET4", "INET6", *(f"{name} COMPRESSED" for name in ("VARCHAR(9)", "VARBINARY(9)", *BLOBS)))
"""Types of MariaDB over which the connector fails, whatever the user excludes."""


def test_a_type_over_which_the_connector_fails_is_refused_even_when_it_is_excluded(
    throw_away: ThrowAway,
) -> None:
    """On a server without connectors, since the DDL would reach them all."""
    columns = ", ".join(f"c{i} {ddl}" for i, ddl in enumerate(FAILING))
    server = throw_away.start("mariadb")
    server.execute("CREATE DATABASE s", f"CREATE TABLE s.t (id INT PRIMARY KEY, {columns})")
    with server.source() as source:
        table = source.catalogue(TableId("s", "t"))
        found = [finding for finding in source.table_findings(table) if finding.check == "column"]
    refused = {name for name, row in source.dialect.types.items() if row.refusal}
    assert {source.dialect.type_name(column.declared) for column in table.refused} == refused
    assert [finding.subject for finding in found] == [f"{table.id}.{column.name}" for column in table.refused]
    for finding, column in zip(found, table.refused, strict=True):
        assert finding.found.startswith(f"{column.declared}: ")
        assert "with or without the column: leave the table out, or change the type" in finding.found
        assert "exclude" not in finding.remedy
        with pytest.raises(
            FatalError, match=f"column {column.name} .* cannot be excluded: .*leave the table out"
        ):
            table.without([column.name])


STOPPING = {
    "mysql": ("DECIMAL(8,3) ZEROFILL", "99999.999", "NegativeArraySizeException"),
    "mariadb": ("YEAR", "0", "IllegalArgumentException"),
}
"""A value at which a snapshot stops, and what the connector says."""


@pytest.mark.parametrize("flavour", STOPPING)
def test_a_snapshot_stops_at_a_value_and_does_not_send_another(flavour: str) -> None:
    ddl, value, why = STOPPING[flavour]
    with connector(flavour, {"t": f"CREATE TABLE {{schema}}.t (id INT PRIMARY KEY, a {ddl})"}) as made:
        made.engine.execute(*SESSION, f"INSERT INTO {made.schema}.t VALUES (1, {value})")
        made.register(overrides={"errors.max.retries": "0"})
        wait_for(lambda: made.connect.status(made.name).failed)
        assert why in made.connect.status(made.name).explain()
        assert f"{made.name}.{made.schema}.t" not in services.kafka().admin().list_topics(timeout=10).topics
