"""Arrow tables to ClickHouse."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.query import arrow_buffer

from airflow_provider_chista.clickhouse import sql


def send(client: Client, name: str, block: pa.Table, settings: Mapping[str, str | int]) -> None:
    """INSERT an Arrow table into the table of that quoted name, and wait for the acknowledgement.

    Not by the client's own insert methods: they ask for the columns first, or import what a task has no use for.
    """
    compression = client.write_compression
    names, data = arrow_buffer(block, compression if compression in ("zstd", "lz4") else None)
    # Names are quoted here: the client takes one that begins and ends with quotation marks for a quoted one.
    client.raw_insert(name, [sql.identifier(name) for name in names], data, dict(settings), "Arrow")
