"""Tables whose rows and events break others. One connector per engine captures most of them; the tests share it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest

from airflow_provider_chista.archive import barrier
from airflow_provider_chista.archive.barrier import Barrier
from airflow_provider_chista.archive.policies import DeletePolicy
from airflow_provider_chista.clickhouse import ddl, rowhash, sql
from airflow_provider_chista.clickhouse.control import Control
from airflow_provider_chista.model import TableId
from tests.integration.archive.conftest import Store
from tests.integration.events.toast import toasted_connector
from tests.integration.support import services
from tests.integration.support.archives import Archive
from tests.integration.support.engines import Connector, connector

ENGINES = ("mysql", "mariadb", "postgres")
MEGABYTE = 1024 * 1024
BIGGEST = 10 * MEGABYTE
"""Bytes of the biggest values."""

RECORD_BYTES = 28 * MEGABYTE
"""An update on MySQL and MariaDB holds the row twice, and bytes grow by a third in base64."""

TEXT = {"mysql": "LONGTEXT", "mariadb": "LONGTEXT", "postgres": "TEXT"}
BLOB = {"mysql": "LONGBLOB", "mariadb": "LONGBLOB", "postgres": "BYTEA"}
DOUBLE = {"mysql": "DOUBLE", "mariadb": "DOUBLE", "postgres": "DOUBLE PRECISION"}
MOMENT = {"mysql": "DATETIME(6)", "mariadb": "DATETIME(6)", "postgres": "TIMESTAMP(6)"}
ANY_CASE = {"mysql": "COLLATE utf8mb4_general_ci", "mariadb": "COLLATE utf8mb4_general_ci", "postgres": ""}

COLUMNS = 300


def wide_types(flavour: str) -> list[str]:
    """Types of the 300 columns, over and over again."""
    return [
        "INT", "BIGINT", "SMALLINT", "DECIMAL(20, 5)", DOUBLE[flavour], DOUBLE[flavour], "VARCHAR(30)", "CHAR(10)",
        TEXT[flavour], BLOB[flavour], "DATE", MOMENT[flavour], "TIME", "BOOLEAN", "JSON",
    ]  # fmt: skip


def wide(flavour: str) -> str:
    types = wide_types(flavour)
    return ", ".join(
        f"c{i} {types[i % len(types)]}{' NOT NULL' if i % 7 == 0 else ''}" for i in range(1, COLUMNS)
    )


def tables(flavour: str) -> dict[str, str]:
    """Definitions of the captured tables, by name."""
    rows = "(id INT PRIMARY KEY, name VARCHAR(255) NULL)"
    simple = dict.fromkeys(("moves", "cut_archive", "cut_mirror", "cut_batches"), rows)
    return {
        name: f"CREATE TABLE {{schema}}.{name} {body}"
        for name, body in {
            **simple,
            "pairs": "(a INT NOT NULL, b VARCHAR(40) NOT NULL, d DATE NOT NULL, name VARCHAR(255),"
            " PRIMARY KEY (b, d, a))",
            "letters": f"(code VARCHAR(40) {ANY_CASE[flavour]} PRIMARY KEY, name VARCHAR(255) NULL)",
            "big": f"(id INT PRIMARY KEY, n INT NOT NULL, t {TEXT[flavour]} NULL, b {BLOB[flavour]} NULL)",
            "wide": f"(c0 INT PRIMARY KEY, {wide(flavour)})",
            "floats": f"(id INT PRIMARY KEY, {', '.join(f'f{i} {DOUBLE[flavour]}' for i in range(400))})",
        }.items()
    }


PARTITIONED = {
    "parted": "CREATE TABLE {schema}.parted (id INT, region TEXT, day DATE NOT NULL, v TEXT, PRIMARY KEY (id, region))"
    " PARTITION BY LIST (region)",
    "parted_north": "CREATE TABLE {schema}.parted_north PARTITION OF {schema}.parted FOR VALUES IN ('north')",
    "parted_rest": "CREATE TABLE {schema}.parted_rest PARTITION OF {schema}.parted DEFAULT",
    "ancestor": "CREATE TABLE {schema}.ancestor (id INT PRIMARY KEY, name VARCHAR(255) NULL)",
    "heir": "CREATE TABLE {schema}.heir (PRIMARY KEY (id)) INHERITS ({schema}.ancestor)",
}


@pytest.fixture(scope="package")
def store(stack_env: dict[str, str]) -> Iterator[Store]:
    client = services.clickhouse()
    with services.databases(client) as (database, control):
        yield Store(client, control, database)


@pytest.fixture(scope="package", params=ENGINES)
def captured(request: pytest.FixtureRequest, store: Store) -> Iterator[Connector]:
    """The shared connector of an engine; one big row and one wide row are there before it, for its snapshot."""
    flavour = request.param
    definitions = tables(flavour) | (PARTITIONED if flavour == "postgres" else {})
    left_out = {"parted_north", "parted_rest", "ancestor"}
    with connector(flavour, definitions, [name for name in definitions if name not in left_out]) as made:
        made.engine.execute(
            f"INSERT INTO {made.schema}.big VALUES (%s, %s, %s, %s)",
            many=[(1, 0, "é" * (BIGGEST // 2), None)],
        )
        if flavour == "postgres":
            made.engine.execute(
                f"INSERT INTO {made.schema}.parted VALUES (1, 'north', '2024-01-01', 'snapshot'),"
                " (2, 'south', '2024-01-02', 'snapshot')"
            )
        made.register(max_record_bytes=RECORD_BYTES)
        yield made


@pytest.fixture(scope="package")
def toasted(store: Store) -> Iterator[Connector]:
    """The connector of tables whose values are stored out of line; PostgreSQL only."""
    with toasted_connector() as made:
        yield made


@dataclass
class SchemaArchive(Archive):
    """An archive of a table that may be in another schema than the connector's own."""

    schema: str = ""

    @property
    def id(self) -> TableId:
        return TableId(self.schema or self.connector.schema, self.name)


Opened = Callable[..., Archive]


@pytest.fixture
def opened(store: Store) -> Iterator[Opened]:
    """Opens archives of a connector's tables, each in a database of its own, dropped behind the test."""
    made: list[Archive] = []

    def open_archive(
        on: Connector, name: str, policy: DeletePolicy = DeletePolicy.ARCHIVE, **options: Any
    ) -> Archive:
        database = f"{store.database}_{services.token()}"
        made.append(SchemaArchive(on, store.client, store.control, database, name, policy, **options))
        return made[-1]

    yield open_archive
    for archive in made:
        archive.capture.source.close()
        archive.client.command(f"DROP DATABASE IF EXISTS {archive.database}")


def transaction(made: Connector, *statements: str) -> None:
    """Statements of the application in one transaction."""
    made.engine.execute("START TRANSACTION", *statements, "COMMIT")


def drain_all(*archives: Archive) -> list[dict[str, Any]]:
    """Drain archives of one connector to one barrier, several at a time."""
    stand = barrier_of(*archives)
    with ThreadPoolExecutor(4) as pool:
        return list(pool.map(lambda archive: archive.table_drain().run(stand), archives))


def barrier_of(*archives: Archive) -> Barrier:
    """One barrier for archives of one connector."""
    topics = sorted({topic for archive in archives for topic in archive.table_drain().topics})
    return barrier.wait(archives[0].capture, topics, timeout=60, poll_seconds=0.1)


def forget_positions(archive: Archive) -> None:
    """As if the drain had been killed each time before it recorded its position."""
    archive.client.command(
        f"DELETE FROM {archive.control.name('positions')} WHERE target = {sql.literal(str(archive.target))}"
    )


def current_keys(archive: Archive) -> set[str]:
    """Row keys that the view for users shows."""
    row_key = rowhash.row_key(archive.types, archive.table)
    view = sql.table(ddl.view_of(archive.target))
    return {row[0] for row in archive.client.query(f"SELECT {row_key} FROM {view}").result_rows}


def require_same(archive: Archive) -> Mapping[str, tuple[str | None, ...]]:
    """Compare every visible row's canonical texts with the source's; return the source's, by row key."""
    keys = sorted(archive.source_keys() | archive.archive_keys())
    source, stored = archive.capture.source.rows(archive.table, keys), archive.manifests().fields(keys)
    wrong = {key: (source.get(key), stored.get(key)) for key in keys if source.get(key) != stored.get(key)}
    assert wrong == {}, (
        f"{len(wrong)} of {len(keys)} rows differ, such as {str(next(iter(wrong.items())))[:2000]}"
    )
    assert current_keys(archive) == set(source)
    return source


def incomplete(archive: Archive) -> dict[str, list[str]]:
    """Columns without a known value, by key of each visible incomplete row."""
    row_key = rowhash.row_key(archive.types, archive.table)
    rows = archive.client.query(
        f"SELECT {row_key}, _chista_incomplete FROM {sql.table(archive.target)} FINAL WHERE notEmpty(_chista_incomplete)"
    ).result_rows
    return {key: list(columns) for key, columns in rows}


def dead_letters(control: Control, archive: Archive) -> list[str]:
    rows = control.rows(
        f"SELECT error FROM {control.name('dead_letters')} FINAL WHERE target = {{t:String}}",
        {"t": str(archive.target)},
    )
    return [row["error"] for row in rows]
