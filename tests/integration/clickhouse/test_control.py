"""The state tables: those of an older version get the columns that came since, and keep what they hold."""

from __future__ import annotations

from clickhouse_connect.driver.client import Client

from airflow_provider_chista.clickhouse.control import TABLES, Control
from tests.integration.clickhouse.conftest import Server

FIRST_DEAD_LETTERS = """
    (
        target String, topic String, generation UInt16, partition UInt32, offset UInt64,
        key String, value String, error_class LowCardinality(String), error String, task String,
        state LowCardinality(String) DEFAULT 'open', recorded_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC')
    ) ENGINE = ReplacingMergeTree(recorded_at) ORDER BY (target, topic, generation, partition, offset)"""


def columns(client: Client, database: str) -> set[tuple[str, ...]]:
    rows = client.query(
        "SELECT table, name, type, default_kind, default_expression FROM system.columns WHERE database = {d:String}",
        parameters={"d": database},
    ).result_rows
    return {tuple(row) for row in rows}


def test_a_table_of_an_older_version_gets_the_columns_that_it_lacks(server: Server) -> None:
    older = Control(server.client, f"{server.control.database}_older")
    server.client.command(f"CREATE DATABASE {older.database}")
    try:
        server.client.command(f"CREATE TABLE {older.name('dead_letters')} {FIRST_DEAD_LETTERS}")
        server.client.command(
            f"INSERT INTO {older.name('dead_letters')} (target, offset, value) VALUES ('a.t', 7, unhex('FF'))"
        )
        older.ensure()
        assert columns(server.client, older.database) == columns(server.client, server.control.database)
        kept = older.rows(
            "SELECT offset, hex(value) AS value, header_names, header_values, state, reason, dag_id, run_id, task_id"
            f" FROM {older.name('dead_letters')}",
            {},
        )
        assert kept == [
            {
                "offset": 7, "value": "FF", "header_names": [], "header_values": [], "state": "open", "reason": "",
                "dag_id": "", "run_id": "", "task_id": "",
            }
        ]  # fmt: skip
    finally:
        server.client.command(f"DROP DATABASE {older.database}")


def test_a_column_that_is_missing_in_any_table_comes_back(server: Server) -> None:
    """Each table without the first of its columns that no key, engine or other column needs."""
    dropped = {
        "positions": "topic_id", "dead_letters": "reason", "deletes": "source_time", "purge_log": "row_hash",
        "manifest": "row_hash", "mismatches": "columns", "purged": "reason", "ledger": "digest", "snapshots": "rows",
        "pauses": "reason",
    }  # fmt: skip
    assert dropped.keys() <= TABLES.keys()
    whole = columns(server.client, server.control.database)
    for table, column in dropped.items():
        server.client.command(f"ALTER TABLE {server.control.name(table)} DROP COLUMN {column}")
    assert len(columns(server.client, server.control.database)) == len(whole) - len(dropped)
    server.control.ensure()
    assert columns(server.client, server.control.database) == whole


def test_tables_that_are_whole_are_left_alone(server: Server) -> None:
    """The types of every column are read from the definitions as ClickHouse reads them."""
    before = columns(server.client, server.control.database)
    versions = (
        "SELECT name, metadata_modification_time FROM system.tables WHERE database = {d:String} ORDER BY name"
    )
    modified = server.client.query(versions, parameters={"d": server.control.database}).result_rows
    server.control.ensure()
    assert columns(server.client, server.control.database) == before
    assert server.client.query(versions, parameters={"d": server.control.database}).result_rows == modified
