"""One connector per engine that writes Avro, with the tables of all tests here; every test needs the stack."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integration.archive.conftest import Store, store, stream
from tests.integration.events.conftest import Opened, opened
from tests.integration.support.engines import ENGINES, MYSQL_FAMILY, Connector, Engine, connector

__all__ = ["Opened", "Store", "opened", "store", "stream"]

COLUMNS = (
    "a b", "with.dot", "größe 名前", "1st", "_", "__", "x_u0041", "_u0041", "_u", "under_score", "Ümläut", 'double"quote',
    "it's", "back`tick", "{x}", "$dollar", "-",
)  # fmt: skip
"""Names that Avro cannot hold, and names that look as if they had been adjusted."""

EMOJI = "emoji 😀"
"""MySQL and MariaDB have no such names."""

TABLE = "Mixed Case-dash_u0041.dot é"


def columns(engine: Engine) -> tuple[str, ...]:
    return COLUMNS if engine.flavour in MYSQL_FAMILY else (*COLUMNS, EMOJI)


def quoted(engine: Engine, name: str) -> str:
    mark = "`" if engine.flavour in MYSQL_FAMILY else '"'
    return mark + name.replace(mark, mark * 2) + mark


def tables(engine: Engine) -> dict[str, str]:
    """Definitions by name. The key of the table of odd names has one too."""
    names = ", ".join(f"{quoted(engine, name)} VARCHAR(40)" for name in columns(engine))
    names = names.replace("{", "{{").replace("}", "}}")
    rows = "(id INT PRIMARY KEY, name VARCHAR(40), day DATE NOT NULL)"
    return {
        TABLE: f"CREATE TABLE {{schema}}.{quoted(engine, TABLE)} ({quoted(engine, 'key_u0041 é')} INT PRIMARY KEY, {names})",
        "whole": f"CREATE TABLE {{schema}}.whole {rows}",
        "widened": f"CREATE TABLE {{schema}}.widened {rows}",
        "damaged": f"CREATE TABLE {{schema}}.damaged {rows}",
        "defaults": "CREATE TABLE {schema}.defaults (id INT PRIMARY KEY, n INT DEFAULT 7, t VARCHAR(20) DEFAULT 'x',"
        " needed INT NOT NULL DEFAULT 5, d DECIMAL(10, 2) DEFAULT 1.5, f DOUBLE PRECISION DEFAULT 0.1, s REAL DEFAULT 0.1,"
        " computed TIMESTAMP NULL DEFAULT CURRENT_TIMESTAMP, none INT DEFAULT NULL)",
    }  # fmt: skip


@pytest.fixture(scope="package", params=ENGINES)
def captured(request: pytest.FixtureRequest, stack_env: dict[str, str]) -> Iterator[Connector]:
    engine = ENGINES[request.param]
    with connector(request.param, tables(engine), avro=True) as made:
        for name in ("whole", "widened", "damaged"):
            made.engine.execute(
                f"INSERT INTO {made.schema}.{name} VALUES (%s, %s, %s)",
                many=[(i, f"n{i}", "2024-01-15") for i in range(20)],
            )
        made.register()
        yield made
