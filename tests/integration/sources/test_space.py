"""What a table takes at the source before and after rows were deleted, on the real servers."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from airflow_provider_chista.model import TableId
from airflow_provider_chista.sources.space import Space
from tests.integration.support import services
from tests.integration.support.engines import ENGINES, MYSQL_FAMILY, Engine, wait_for

ROWS = 8_000
WIDE = "(id INT PRIMARY KEY, v VARCHAR(255))"


@pytest.fixture(scope="module", params=ENGINES)
def place(request: pytest.FixtureRequest, stack_env: dict[str, str]) -> Iterator[tuple[Engine, str]]:
    engine, schema = ENGINES[request.param], f"it_sp_{services.token()}"
    tables = [f"CREATE TABLE {{schema}}.wide {WIDE}"]
    if engine.flavour == "mysql":
        tables.append(f"CREATE TABLE {{schema}}.shared {WIDE} TABLESPACE innodb_system")
    elif engine.flavour == "postgres":
        tables = [f"CREATE TABLE {{schema}}.wide {WIDE} PARTITION BY RANGE (id)"]
        tables.append(
            "CREATE TABLE {schema}.low PARTITION OF {schema}.wide DEFAULT WITH (autovacuum_enabled = off)"
        )
    engine.create_schema(schema, tables)
    engine.execute(f"INSERT INTO {schema}.wide VALUES (%s, %s)", many=[(i, "x" * 250) for i in range(ROWS)])
    yield engine, schema
    engine.drop_schema(schema)


def test_space_is_told_before_and_after_rows_were_deleted(place: tuple[Engine, str]) -> None:
    engine, schema = place
    table = TableId(schema, "wide")
    mysql = engine.flavour in MYSQL_FAMILY
    with engine.source() as source:

        def told(condition: Callable[[Space], bool]) -> Space:
            """The statistics follow within seconds; ANALYZE makes MySQL and MariaDB count at once."""

            def look() -> Space | None:
                if mysql:
                    engine.query(f"ANALYZE TABLE {table}")
                found = source.space(table)
                return found if condition(found) else None

            return wait_for(look)

        full = told(lambda space: space.table_bytes > ROWS * 250)
        engine.execute(f"DELETE FROM {table} WHERE id >= 100")
        if mysql:
            after = told(lambda space: (space.free_bytes or 0) > ROWS * 125)
            assert after.dead_rows is None
            assert f"OPTIMIZE TABLE `{schema}`.`wide`" in after.remedy
        else:
            after = told(lambda space: space.dead_rows == ROWS - 100)
            assert (after.table_bytes, after.index_bytes) == (full.table_bytes, full.index_bytes)
            assert full.index_bytes > 0
            assert "autovacuum is off for it: VACUUM" in after.remedy
            assert f'VACUUM (FULL) "{schema}"."wide"' in after.remedy
        # What the remedy promises, it does.
        way = after.remedy[after.remedy.index("OPTIMIZE" if mysql else "VACUUM (FULL)") :].partition(
            ", which"
        )[0]
        (engine.query if mysql else engine.execute)(way)
        told(lambda space: space.table_bytes < full.table_bytes / 4)


@pytest.mark.parametrize("place", ["postgres"], indirect=True)
def test_free_space_of_postgres_is_told_where_the_extension_may_be_asked(place: tuple[Engine, str]) -> None:
    engine, schema = place
    table = TableId(schema, "wide")
    with engine.source() as source:
        assert source.space(table).free_bytes is None
        engine.execute(f"CREATE EXTENSION pg_freespacemap SCHEMA {schema}")
        assert source.space(table).free_bytes is None
        engine.execute(
            f"GRANT EXECUTE ON FUNCTION {schema}.pg_freespace(regclass, bigint) TO chista_verify",
            f"INSERT INTO {table} SELECT i, repeat('y', 250) FROM generate_series(20001, 24000) i",
            f"DELETE FROM {table} WHERE id > 20000",
        )

        def vacuumed() -> bool:
            """VACUUM leaves rows that any transaction of the server may still see: another session's, an autovacuum's."""
            engine.execute(f"VACUUM (TRUNCATE false) {table}")
            return (source.space(table).free_bytes or 0) > 4000 * 250

        wait_for(vacuumed)


@pytest.mark.parametrize("place", ["mysql"], indirect=True)
def test_a_table_in_a_shared_tablespace_is_named(place: tuple[Engine, str]) -> None:
    engine, schema = place
    with engine.source() as source:
        space = source.space(TableId(schema, "shared"))
    assert space.free_bytes is None
    assert "tablespace of several tables, whose file never shrinks" in space.remedy
