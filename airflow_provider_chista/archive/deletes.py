"""Deletes that came back through the change stream: the purge's own are dropped, the application's are applied.

A delete waits in quarantine until the purge log, captured by the same connector, has been drained past the same barrier.
It is the purge's when the log has an entry for the same table and key **in the same source transaction**; every other
delete is the application's and marks the row as deleted, keeping its last content.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from clickhouse_connect.driver.client import Client

from airflow_provider_chista.archive.positions import version
from airflow_provider_chista.canonical import parse_key
from airflow_provider_chista.clickhouse.control import Control
from airflow_provider_chista.clickhouse.load import DeletedKey, apply_deletes
from airflow_provider_chista.clickhouse.types import TypeMap
from airflow_provider_chista.debezium.envelope import Change
from airflow_provider_chista.model import Table, TableId

_CHUNK = 50_000


@dataclass(frozen=True, slots=True)
class Classified:
    """How many waiting deletes were found to be the purge's and the application's."""

    purge: int
    application: int


def quarantined(
    *,
    target: str,
    topic: str,
    generation: int,
    partition: int,
    offset: int,
    row_key: str,
    change: Change,
    applied: bool,
) -> dict[str, Any]:
    """The quarantine's record of one delete event."""
    return {
        "target": target,
        "topic": topic,
        "generation": generation,
        "partition": partition,
        "offset": offset,
        "version": version(generation, offset),
        "row_key": row_key,
        "transaction": change.transaction,
        "source_time": datetime.fromtimestamp(change.source_time_ms / 1000, UTC),
        "state": "applied" if applied else "waiting",
        "batch_id": "",
    }


def apply_rows(
    client: Client, types: TypeMap, table: Table, target: TableId, rows: Iterable[Mapping[str, Any]]
) -> None:
    """Mark the rows of these quarantine records as deleted."""
    kinds = table.key_kinds
    deletes = (
        DeletedKey(
            parse_key(kinds, row["row_key"]),
            row["version"],
            round(row["source_time"].replace(tzinfo=UTC).timestamp() * 1000),
        )
        for row in rows
    )
    while chunk := list(islice(deletes, _CHUNK)):
        apply_deletes(client, types, table, target, chunk)


def classify(
    control: Control,
    types: TypeMap,
    table: Table,
    target: TableId,
    *,
    topic: str,
    purge_log_topic: str,
    generation: int,
    upto: Mapping[int, int],
) -> Classified:
    """Decide the waiting deletes below the barrier's offsets ``upto``.

    Both topics must have been drained to one barrier first; a delete at or behind it stays in quarantine.
    """
    parameters: dict[str, Any] = {
        "target": str(target),
        "topic": topic,
        "log": purge_log_topic,
        "table": str(table.id),
        "generation": generation,
        "partitions": list(upto),
        "ends": list(upto.values()),
    }
    waiting = (
        f"SELECT * FROM {control.name('deletes')} FINAL WHERE target = {{target:String}} AND topic = {{topic:String}}"
        " AND generation = {generation:UInt16} AND state = 'waiting'"
        " AND offset < transform(partition, {partitions:Array(UInt32)}, {ends:Array(UInt64)}, toUInt64(0))"
    )
    log = (
        f"SELECT transaction, row_key, any(batch_id) AS log_batch FROM {control.name('purge_log')} FINAL"
        " WHERE topic = {log:String} AND table_name = {table:String} AND transaction != ''"
        " GROUP BY transaction, row_key"
    )
    columns = "target, topic, generation, partition, offset, version, row_key, transaction, source_time"
    purge = control.rows(
        f"SELECT count() AS n FROM ({waiting}) AS d INNER JOIN ({log}) AS l USING (transaction, row_key)",
        parameters,
    )[0]["n"]
    control.execute(
        f"INSERT INTO {control.name('deletes')} ({columns}, state, batch_id)"
        f" SELECT {columns}, 'purge', l.log_batch"
        f" FROM ({waiting}) AS d INNER JOIN ({log}) AS l USING (transaction, row_key)",
        parameters,
        f"dropping the purge's own deletes of {target}",
    )
    application = control.rows(waiting, parameters)
    apply_rows(control.client, types, table, target, application)
    _settle(control, application)
    return Classified(purge=int(purge), application=len(application))


def _settle(control: Control, applied: Sequence[Mapping[str, Any]]) -> None:
    """Record deletes as applied, after the rows were marked: a crash in between repeats the marking, to no effect."""
    rows = [{k: v for k, v in row.items() if k != "recorded_at"} | {"state": "applied"} for row in applied]
    for start in range(0, len(rows), _CHUNK):
        control.insert("deletes", rows[start : start + _CHUNK])
