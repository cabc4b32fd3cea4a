"""The restore, from ClickHouse to each source: read, insert, hash again, compare, commit."""

from __future__ import annotations

import time
import uuid
from functools import partial
from typing import Any

from clickhouse_connect.driver.client import Client

from airflow_provider_chista.archive.ledger import Ledger
from airflow_provider_chista.archive.manifest import Manifests
from airflow_provider_chista.archive.restore import Restore, RestoreOptions, RestoreReport, Selection
from airflow_provider_chista.archive.window import RunDates, resolve
from airflow_provider_chista.clickhouse import ddl
from airflow_provider_chista.clickhouse.control import Control
from airflow_provider_chista.clickhouse.types import probe
from airflow_provider_chista.model import Table, TableId
from airflow_provider_chista.sources import open_source
from airflow_provider_chista.sources.base import Source
from benchmarks.purge import ENGINES
from benchmarks.rowhash import fill, parts
from benchmarks.services import clickhouse, source_connection

WINDOW = resolve("created", "2000-01-01", "2100-01-01", RunDates({}, None, None))


def measure(rows: int) -> dict[str, float]:
    """Rates in rows/s per source, of the whole restore on one connection."""
    figures: dict[str, float] = {}
    for engine in ENGINES:
        schema = f"bench_{uuid.uuid4().hex[:12]}"
        connection: Any = source_connection(engine)
        client = clickhouse()
        try:
            fill(engine, connection, schema, rows)
            with open_source(partial(source_connection, engine)) as source:
                table = source.catalogue(TableId(schema, "orders"))
                connection.cursor().execute(f"TRUNCATE {schema}.orders")
                connection.commit()
                report = _restored(client, source, table, rows)
                found = source.count(table, WINDOW)
        finally:
            connection.rollback()
            ending = " CASCADE" if engine == "postgres" else ""
            connection.cursor().execute(f"DROP SCHEMA IF EXISTS {schema}{ending}")
            connection.commit()
            connection.close()
            for database in (schema, f"{schema}_state"):
                client.command(f"DROP DATABASE IF EXISTS {database}")
            client.close()
        if not report.restored == found == rows:
            raise SystemExit(f"{engine}: {report.restored} of {rows} rows were restored, {found} are there")
        figures[f"{engine}: restore, {RestoreOptions().txn_size} a transaction"] = rows / report.seconds
    return figures


def _restored(client: Client, source: Source, table: Table, rows: int) -> RestoreReport:
    """Fill an archive table, and restore it whole."""
    target, control, types = table.id, Control(client, f"{table.id.schema}_state"), probe(client)
    control.ensure()
    ddl.ensure_table(client, types, table, target)
    for part in parts(rows, 50_000):
        client.insert(str(target), part, column_names=[column.name for column in table.columns])
    restore = Restore(
        source,
        Manifests(control, types, table, target),
        Ledger(control, str(table.id), target, WINDOW),
        Selection(WINDOW),
        RestoreOptions(),
    )
    started = time.perf_counter()
    report = restore.run()
    report.seconds = time.perf_counter() - started
    return report
