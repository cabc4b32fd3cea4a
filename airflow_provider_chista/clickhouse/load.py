"""Loading of micro-batches: one Arrow block per INSERT, acknowledged, deduplicated, strict about NULL."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.external import ExternalData

from airflow_provider_chista.canonical import day_of
from airflow_provider_chista.clickhouse import ddl, sql
from airflow_provider_chista.clickhouse.errors import translated
from airflow_provider_chista.clickhouse.types import TypeMap
from airflow_provider_chista.model import Kind, Table, TableId

INSERT_SETTINGS: dict[str, str | int] = {
    "async_insert": 0,
    "insert_deduplicate": 1,
    "input_format_null_as_default": 0,
    "input_format_parallel_parsing": 0,
    "max_partitions_per_insert_block": 1000,
}
"""Settings of every load: acknowledged, deduplicated by token, NULL never replaced by a default, one block."""


def insert_block(client: Client, target: TableId, block: pa.Table, token: str) -> None:
    """Insert one block and wait for the acknowledgement; the same token twice stores it once.

    :raises TransientError: the outcome is unknown or the server is short of something; repeat with the same token.
    :raises FatalError: the block does not fit the table.
    """
    with translated(f"inserting {block.num_rows} rows into {target}"):
        client.insert_arrow(
            sql.table(target),
            block,
            settings={
                **INSERT_SETTINGS,
                "insert_deduplication_token": token,
                "max_insert_block_size": block.num_rows,
                "min_insert_block_size_rows": block.num_rows,
            },
        )


@dataclass(frozen=True, slots=True)
class DeletedKey:
    """A key deleted by the application: the key's values (dates as ISO text), version and commit time of the delete.

    ``source_time_ms`` is in milliseconds since 1970 UTC.
    """

    values: tuple[int | str, ...]
    version: int
    source_time_ms: int


def apply_deletes(
    client: Client, types: TypeMap, table: Table, target: TableId, deletes: Sequence[DeletedKey]
) -> None:
    """Mark rows as deleted, each keeping the content of its last version.

    A row is marked only when its newest version is older than the delete, so that a key that was inserted again
    stays visible, and doing it twice changes nothing. A key the archive never held is left alone.
    """
    if not deletes:
        return
    newest: dict[tuple[int | str, ...], DeletedKey] = {}
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
    own = [column.name for column in table.columns]
    key = ", ".join(f"t.{sql.identifier(name)}" for name in table.primary_key)
    match = " AND ".join(f"t.{sql.identifier(name)} = d.k{i}" for i, name in enumerate(table.primary_key))
    wanted = ", ".join(f"k{i}" for i in range(len(table.primary_key)))
    all_columns = sql.columns([*own, ddl.VERSION, ddl.DELETED, ddl.OPERATION, ddl.SOURCE_TIME])
    statement = (
        f"INSERT INTO {sql.table(target)} ({all_columns})"
        f" SELECT {sql.columns(own, 't.')}, d.deleted_version, 1, 'd', d.deleted_at"
        f" FROM {sql.table(target)} AS t FINAL INNER JOIN deleted AS d ON {match}"
        f" WHERE ({key}) IN (SELECT {wanted} FROM deleted) AND t.{ddl.VERSION} < d.deleted_version"
    )
    with translated(f"marking {len(newest)} rows of {target} as deleted"):
        client.command(statement, external_data=keys, settings={"insert_deduplicate": 0})


def key_file(
    name: str,
    types: TypeMap,
    table: Table,
    keys: Sequence[tuple[int | str, ...]],
    more: Mapping[str, pa.Array[Any]] | None = None,
) -> ExternalData:
    """Keys (dates as ISO text) as a temporary table ``name`` of one query, with typed columns ``k0``, ``k1``, …

    Typed, so that the query finds them through the table's primary index.

    :param more: further columns by ``name Type``.
    """
    columns: dict[str, pa.Array[Any]] = {}
    for index, column in enumerate(table.key_columns):
        values: list[int | str | None] = [key[index] for key in keys]
        if column.archived_as is Kind.DATE:
            values = [day_of(str(value)) for value in values]
        described = f"k{index} {types.stored(column.archived_as).ddl}"
        columns[described] = types.arrow(column.archived_as, values)
    return _file(name, {**columns, **(more or {})})


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
