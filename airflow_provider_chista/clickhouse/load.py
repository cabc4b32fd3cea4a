"""Loading of micro-batches: one Arrow block per INSERT, acknowledged, deduplicated, strict about NULL."""

from __future__ import annotations

import io
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.external import ExternalData

from airflow_provider_chista.canonical import KeyValue
from airflow_provider_chista.clickhouse import layout, sql
from airflow_provider_chista.clickhouse.errors import TooManyPartitionsError, in_turn, translated
from airflow_provider_chista.clickhouse.send import send
from airflow_provider_chista.clickhouse.types import TypeMap
from airflow_provider_chista.model import Kind, Table, TableId
from airflow_provider_chista.temporal import day_of, microsecond_of

INSERT_SETTINGS: dict[str, str | int] = {
    "async_insert": 0,
    "insert_deduplicate": 1,
    "input_format_null_as_default": 0,
    "input_format_parallel_parsing": 0,
    "max_partitions_per_insert_block": 1000,
    # A block's versions of a key would be merged before it is written, much of the INSERT's work; merges and FINAL do it.
    "optimize_on_insert": 0,
}
"""Settings of every load: acknowledged, deduplicated by token, NULL never replaced by a default, one block as it is sent."""


_LONGEST_BESIDE_A_FILE = 100_000
"""Bytes of a statement that is sent with a file; the server's ``http_max_field_value_size`` (131,072) bounds it."""


@in_turn
def insert_block(client: Client, target: TableId, block: pa.Table, token: str) -> None:
    """Insert one block and wait for the acknowledgement; the same token twice stores it once.

    A block of too many ClickHouse partitions goes in halves, always the same ones.

    :raises TransientError: the outcome is unknown or the server is short of something; repeat with the same token.
    :raises FatalError: the block does not fit the table.
    """
    settings = {
        **INSERT_SETTINGS,
        "insert_deduplication_token": token,
        "max_insert_block_size": block.num_rows,
        "min_insert_block_size_rows": block.num_rows,
    }
    try:
        with translated(f"inserting {block.num_rows} rows into {target}"):
            send(client, sql.table(target), block, settings)
    except TooManyPartitionsError:
        if block.num_rows == 1:
            raise
        half = block.num_rows // 2
        insert_block(client, target, block.slice(0, half), f"{token}.0")
        insert_block(client, target, block.slice(half), f"{token}.1")


@dataclass(frozen=True, slots=True)
class DeletedKey:
    """A key deleted by the application: the key's values (dates as ISO text), version and commit time of the delete.

    ``source_time_ms`` is in milliseconds since 1970 UTC.
    """

    values: tuple[KeyValue, ...]
    version: int
    source_time_ms: int


@in_turn
def apply_deletes(
    client: Client, types: TypeMap, table: Table, target: TableId, deletes: Sequence[DeletedKey]
) -> None:
    """Mark rows as deleted, each keeping the content of its last version.

    A row is marked only when its newest version is older than the delete, so that a key that was inserted again
    stays visible, and doing it twice changes nothing. A key the archive never held is left alone.
    """
    if not deletes:
        return
    newest: dict[tuple[KeyValue, ...], DeletedKey] = {}
    for delete in deletes:
        known = newest.get(delete.values)
        if known is None or known.version < delete.version:
            newest[delete.values] = delete
    rows = list(newest.values())
    keys = key_file(
        "deleted",
        types,
        table,
        [delete.values for delete in rows],
        {
            "deleted_version UInt64": pa.array([delete.version for delete in rows], pa.uint64()),
            "deleted_at DateTime64(3, 'UTC')": pa.array(
                [delete.source_time_ms for delete in rows], pa.timestamp("ms", tz="UTC")
            ),
        },
    )
    statement = (
        f"{_marking(table, target, f'{sql.FILE}.deleted_version', 'd', f'{sql.FILE}.deleted_at')}"
        f" FINAL INNER JOIN deleted AS {sql.FILE} ON {sql.key_match(table.primary_key)}"
        f" WHERE {sql.key_among(table.primary_key, 'deleted')}"
        f" AND {sql.ROW}.{layout.VERSION} < {sql.FILE}.deleted_version"
    )
    with translated(f"marking {len(newest)} rows of {target} as deleted"):
        client.command(statement, external_data=keys, settings={"insert_deduplicate": 0})


@in_turn
def apply_truncate(client: Client, table: Table, target: TableId, truncate: DeletedKey) -> None:
    """Mark every row that is older than a TRUNCATE as deleted, each keeping its content; twice changes nothing."""
    at = "fromUnixTimestamp64Milli({at:Int64}, 'UTC')"
    statement = (
        f"{_marking(table, target, '{version:UInt64}', 't', at)}"
        f" FINAL WHERE {sql.ROW}.{layout.VERSION} < {{version:UInt64}}"
    )
    with translated(f"marking all rows of {target} as deleted"):
        client.command(
            statement,
            parameters={"version": truncate.version, "at": truncate.source_time_ms},
            settings={"insert_deduplicate": 0},
        )


def _marking(table: Table, target: TableId, version: str, operation: str, at: str) -> str:
    """INSERT of the table's own rows, marked as deleted; what follows says which.

    The marks are named, since a column may be called ``1``.

    :param version: SQL of the new version; :param at: SQL of the commit time at the source.
    """
    own = [*(column.name for column in table.stored), layout.INCOMPLETE]
    names = sql.columns([*own, layout.VERSION, layout.DELETED, layout.OPERATION, layout.SOURCE_TIME])
    marks = f"1 AS {sql.identifier('_chista_marked')}, {sql.literal(operation)} AS {sql.identifier('_chista_marked_by')}"
    return (
        f"INSERT INTO {sql.table(target)} ({names})"
        f" SELECT {sql.columns(own, f'{sql.ROW}.')}, {version}, {marks}, {at} FROM {sql.table(target)} AS {sql.ROW}"
    )


def key_file(
    name: str,
    types: TypeMap,
    table: Table,
    keys: Sequence[tuple[KeyValue, ...]],
    more: Mapping[str, pa.Array[Any]] | None = None,
) -> ExternalData:
    """Keys (dates as ISO text) as a temporary table ``name`` of one query, with typed columns ``k0``, ``k1``, …

    Typed, so that the query finds them through the table's primary index.

    :param more: further columns by ``name Type``.
    """
    columns: dict[str, pa.Array[Any]] = {}
    for index, column in enumerate(table.key_columns):
        stored = types.stored(column)
        decode = _DECODED_KEYS.get(column.archived_as, lambda value: value)
        columns[f"k{index} {stored.ddl}"] = stored.array([decode(key[index]) for key in keys])
    return _file(name, {**columns, **(more or {})})


_DECODED_KEYS: dict[Kind, Callable[[Any], Any]] = {
    Kind.BOOL: bool,
    Kind.DECIMAL: lambda value: format(value, "f"),
    Kind.DATE: day_of,
    Kind.DATETIME: microsecond_of,
    Kind.BYTES: bytes.fromhex,
}
"""From a value of a row key to the decoded value that an Arrow array is made from, where the two differ."""


def query_with(client: Client, statement: str, keys: ExternalData) -> Sequence[Sequence[Any]]:
    """Rows of a SELECT that joins a file of keys.

    A statement that is too long to go beside a file finds its keys in a temporary table of a session of its own.
    """
    if len(statement.encode()) <= _LONGEST_BESIDE_A_FILE:
        return client.query(statement, external_data=keys, settings=sql.WIDE_SETTINGS).result_rows
    session = {"session_id": str(uuid.uuid4())}
    for file in keys.files:
        client.command(f"CREATE TEMPORARY TABLE {file.name} ({file.structure})", settings=session)
        client.raw_insert(file.name, insert_block=file.data, fmt=file.fmt, settings=session)
    return client.query(statement, settings={**session, **sql.WIDE_SETTINGS}).result_rows


def text_file(name: str, column: str, values: Sequence[str]) -> ExternalData:
    """Texts as a temporary table ``name`` of one query, with one column."""
    return _file(name, {f"{column} String": pa.array(values, pa.string())})


def _file(name: str, columns: Mapping[str, pa.Array[Any]]) -> ExternalData:
    block = pa.Table.from_arrays(list(columns.values()), names=[text.split(" ")[0] for text in columns])
    buffer = io.BytesIO()
    with pa.ipc.new_file(buffer, block.schema) as writer:
        writer.write_table(block)
    data = ExternalData()
    data.add_file(file_name=name, data=buffer.getvalue(), fmt="Arrow", structure=list(columns))
    return data
