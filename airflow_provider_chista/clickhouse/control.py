"""The provider's state: tables in one ClickHouse database (``chista`` by default), readable with plain SQL.

ClickHouse holds the truth; Airflow's XCom and state store only carry summaries. The tables are append-only logs, or
ReplacingMergeTrees whose newest version wins, so that writing the same fact twice changes nothing.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.external import ExternalData

from airflow_provider_chista.clickhouse import sql
from airflow_provider_chista.clickhouse.cluster import HERE, Placement
from airflow_provider_chista.clickhouse.errors import in_turn, translated
from airflow_provider_chista.clickhouse.send import send
from airflow_provider_chista.model import TableId

DEFAULT_DATABASE = "chista"

_DEDUPLICATION_WINDOW = 100

_WRITTEN_BY_HAND = frozenset({"pauses"})
"""Tables that people insert into, without a token: the same words twice are two facts there."""

TABLES: dict[str, str] = {
    "positions": """
        (
            target String, cluster String, topic String, topic_id String, generation UInt16, partition UInt32,
            next_offset UInt64, recorded_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC')
        ) ENGINE = ReplacingMergeTree(next_offset) ORDER BY (target, cluster, topic, generation, partition)""",
    "plans": """
        (
            target String, cluster String, topic String, topic_id String, generation UInt16, partition UInt32,
            first UInt64, next_offset UInt64, recorded_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC')
        ) ENGINE = ReplacingMergeTree(next_offset) ORDER BY (target, cluster, topic, generation, partition)""",
    "leases": """
        (
            target String, topic String, partition UInt32, owner String, task String, epoch UInt64, released UInt8,
            acquired_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC'),
            renewed_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC'),
            first UInt64, next_offset UInt64, end_offset UInt64
        ) ENGINE = ReplacingMergeTree(renewed_at) ORDER BY (target, topic, partition, owner)
        TTL toDateTime(renewed_at) + INTERVAL 7 DAY""",
    "dead_letters": """
        (
            target String, topic String, generation UInt16, partition UInt32, offset UInt64,
            key String, value String, header_names Array(String), header_values Array(String),
            error_class LowCardinality(String), error String, task String,
            state LowCardinality(String) DEFAULT 'open', reason String, dag_id String, run_id String, task_id String,
            recorded_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC')
        ) ENGINE = ReplacingMergeTree(recorded_at) ORDER BY (target, topic, generation, partition, offset)""",
    "deletes": """
        (
            target String, topic String, generation UInt16, partition UInt32, offset UInt64, version UInt64,
            row_key String, transaction String, source_time DateTime64(3, 'UTC'),
            state Enum8('waiting' = 0, 'purge' = 1, 'applied' = 2), batch_id String,
            recorded_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC'),
            progress UInt8 MATERIALIZED toUInt8(state)
        ) ENGINE = ReplacingMergeTree(progress) ORDER BY (target, topic, generation, partition, offset)""",
    "purge_log": """
        (
            topic String, generation UInt16, partition UInt32, offset UInt64, transaction String,
            batch_id String, table_name String, row_key String, row_hash String,
            recorded_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC')
        ) ENGINE = ReplacingMergeTree(offset) ORDER BY (topic, table_name, row_key, transaction)""",
    "manifest": """
        (
            verify_id String, position UInt64, row_key String, row_hash String, version UInt64
        ) ENGINE = ReplacingMergeTree ORDER BY (verify_id, position)""",
    "verified_parts": """
        (
            verify_id String, part UInt64, rows UInt64, recorded_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC')
        ) ENGINE = ReplacingMergeTree(recorded_at) ORDER BY (verify_id, part)
        TTL toDateTime(recorded_at) + INTERVAL 30 DAY""",
    "mismatches": """
        (
            verify_id String, target String, row_key String, finding LowCardinality(String), columns Array(String),
            source_values Array(Nullable(String)), archive_values Array(Nullable(String)),
            recorded_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC')
        ) ENGINE = ReplacingMergeTree(recorded_at) ORDER BY (verify_id, row_key)""",
    "purged": """
        (
            target String, row_key String, batch_id String, row_hash String, version UInt64,
            state Enum8('skipped' = 0, 'deleted' = 1), reason LowCardinality(String),
            recorded_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC'),
            progress UInt8 MATERIALIZED toUInt8(state)
        ) ENGINE = ReplacingMergeTree(progress) ORDER BY (target, row_key, batch_id)""",
    "pauses": """
        (
            target String, paused UInt8, reason String, actor String,
            recorded_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC')
        ) ENGINE = ReplacingMergeTree(recorded_at) ORDER BY target""",
    "ledger": """
        (
            at DateTime64(6, 'UTC') DEFAULT now64(6, 'UTC'), source String, target String, window String,
            stage LowCardinality(String), verify_id String, batch_id String, rows UInt64, digest String,
            actor String, dag_id String, run_id String, task_id String, try_number UInt16, detail String
        ) ENGINE = MergeTree ORDER BY (target, at)""",
    "snapshots": """
        (
            connector String, table_name String, state LowCardinality(String), signal_id String, rows UInt64,
            recorded_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC')
        ) ENGINE = ReplacingMergeTree(recorded_at) ORDER BY (connector, table_name)""",
}
"""Columns and engine of every control table, by name. ``docs/state.md`` tells what each is for."""


def _array(values: Sequence[Any]) -> pa.Array[Any]:
    """Values of one column, whose type ClickHouse takes over from Arrow; whole numbers may need all of 64 bits."""
    if all(type(value) is int and value >= 0 for value in values):
        return pa.array(values, pa.uint64())
    if isinstance(values[0], list | tuple):
        return pa.array(values, pa.list_(pa.binary()))
    array: pa.Array[Any] = pa.array(values)
    return array


def _columns(definition: str) -> dict[str, str]:
    """The columns of a table's definition by name, as DDL."""
    inside, _, _ = definition.strip().removeprefix("(").rpartition(") ENGINE")
    parts, depth = [""], 0
    for character in inside:
        depth += (character == "(") - (character == ")")
        if character == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return {part.split()[0]: " ".join(part.split()) for part in parts}


@dataclass(frozen=True, slots=True)
class Control:
    """Access to the control tables.

    :param client: a clickhouse-connect client.
    :param database: the state database.
    :param placement: where its tables are made.
    """

    client: Client
    database: str = DEFAULT_DATABASE
    placement: Placement = HERE

    def name(self, table: str) -> str:
        """Quoted name of a control table."""
        return sql.table(TableId(self.database, table))

    def ensure(self) -> None:
        """Create the database and the tables that are missing, and the columns that an older version's tables lack.

        :raises FatalError: replicated tables are asked for, and there are others, or the cluster is none for an archive.
        """
        with translated(f"creating the state tables in {self.database}"):
            found = self.client.query(
                "SELECT name, engine FROM system.tables WHERE database = {database:String}",
                parameters={"database": self.database},
            ).result_rows
            engines: dict[str, str] = {row[0]: row[1] for row in found}
            for table in TABLES.keys() & engines.keys():
                self.placement.require_engine(f"{self.database}.{table}", engines[table])
            missing = [table for table in TABLES if table not in engines]
            if missing:
                self.placement.require(self.client)
                on_cluster = self.placement.on_cluster
                self.client.command(
                    f"CREATE DATABASE IF NOT EXISTS {sql.identifier(self.database)}{on_cluster}"
                )
            for table in missing:
                self.client.command(self.create_statement(table))
            if engines:
                self._add_columns()

    def _add_columns(self) -> None:
        there = self.client.query(
            "SELECT table, name FROM system.columns WHERE database = {database:String}",
            parameters={"database": self.database},
        ).result_rows
        known = {(table, name) for table, name in there}
        for table, definition in TABLES.items():
            for name, column in _columns(definition).items():
                if (table, name) not in known:
                    self.client.command(
                        f"ALTER TABLE {self.name(table)}{self.placement.on_cluster} ADD COLUMN IF NOT EXISTS {column}"
                    )

    def create_statement(self, table: str) -> str:
        """The CREATE TABLE of a control table."""
        columns, _, engine = TABLES[table].partition(") ENGINE = ")
        remembered = 0 if table in _WRITTEN_BY_HAND else _DEDUPLICATION_WINDOW
        return (
            f"CREATE TABLE IF NOT EXISTS {self.name(table)}{self.placement.on_cluster} {columns})"
            f" ENGINE = {self.placement.engine(engine)}"
            f" SETTINGS {self.placement.deduplication(remembered)}"
        )

    @in_turn
    def insert(self, table: str, rows: Sequence[Mapping[str, Any]], token: str | None = None) -> None:
        """Insert rows (all with the same columns) and wait for the acknowledgement.

        :param token: ``insert_deduplication_token``; the same token twice stores the rows once.
        """
        if not rows:
            return
        block = pa.table({column: _array([row[column] for row in rows]) for column in rows[0]})
        # A token of its own: rows like earlier ones are facts all the same. (That deduplication is switched off is not heard
        # by every server: 26.7 has another setting for it, which is on.)
        settings = {"insert_deduplication_token": token or uuid.uuid4().hex}
        with translated(f"writing {len(rows)} rows to {self.database}.{table}"):
            send(self.client, self.name(table), block, settings)

    def rows(
        self, statement: str, parameters: Mapping[str, Any], external: ExternalData | None = None
    ) -> list[dict[str, Any]]:
        """Rows of a SELECT with bound ``{name:Type}`` parameters, as dictionaries.

        :param external: tables of values that are too many for a parameter (the server limits the length of a request's URL).
        """
        with translated("reading the state tables"):
            result = self.client.query(statement, parameters=dict(parameters), external_data=external)
        return [dict(zip(result.column_names, row, strict=True)) for row in result.result_rows]

    @in_turn
    def execute(self, statement: str, parameters: Mapping[str, Any], doing: str) -> None:
        """A statement without a result, such as INSERT … SELECT, with bound parameters."""
        with translated(doing):
            self.client.command(statement, parameters=dict(parameters), settings=sql.WIDE_SETTINGS)
