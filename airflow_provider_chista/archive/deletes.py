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
from airflow_provider_chista.canonical import KeyValue, parse_key
from airflow_provider_chista.clickhouse.control import Control
from airflow_provider_chista.clickhouse.load import DeletedKey, apply_deletes
from airflow_provider_chista.clickhouse.types import TypeMap
from airflow_provider_chista.debezium.changes import Change
from airflow_provider_chista.errors import FatalError
from airflow_provider_chista.model import Table, TableId, names

_CHUNK = 50_000


@dataclass(frozen=True, slots=True)
class Classified:
    """How many waiting deletes were found to be the purge's and the application's, and how many could not be told yet."""

    purge: int
    application: int
    held: int


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
    """Mark the rows of these quarantine records as deleted.

    :raises FatalError: a record has another key than the table's, because the table's key changed while the record waited.
    """
    deletes = (
        DeletedKey(
            _key_values(table, target, row["row_key"]),
            row["version"],
            round(row["source_time"].replace(tzinfo=UTC).timestamp() * 1000),
        )
        for row in rows
    )
    while chunk := list(islice(deletes, _CHUNK)):
        apply_deletes(client, types, table, target, chunk)


def _key_values(table: Table, target: TableId, row_key: str) -> tuple[KeyValue, ...]:
    try:
        return parse_key(table.key_kinds, row_key)
    except FatalError as error:
        raise FatalError(
            f"{target} has a delete with the key {row_key!r}, which is none of the primary key ({names(table.primary_key)}) "
            f"of {table.id}: the key changed while the delete waited. Remove the waiting deletes of {target} from the state "
            "table deletes (docs/schema-changes.md)"
        ) from error


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
    """Decide the waiting deletes below the barrier's offsets ``upto`` (at least one partition).

    Both topics must have been drained to one barrier first; a delete at or behind it stays in quarantine. So does a delete
    of a key that a purge has deleted, as long as that purge's log entry for the key did not come back: when the purge log
    is not captured, no row may disappear from the archive for it.
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
    columns = "target, topic, generation, partition, offset, version, row_key, transaction, source_time"
    waiting = (
        f"SELECT {columns} FROM {control.name('deletes')} FINAL WHERE target = {{target:String}}"
        " AND topic = {topic:String} AND generation = {generation:UInt16} AND state = 'waiting'"
        " AND offset < transform(partition, {partitions:Array(UInt32)}, {ends:Array(UInt64)}, toUInt64(0))"
    )
    log = (
        f"SELECT transaction, row_key, batch_id FROM {control.name('purge_log')} FINAL"
        " WHERE topic = {log:String} AND table_name = {table:String} AND transaction != ''"
    )
    unlogged = (
        f"SELECT row_key FROM {control.name('purged')} FINAL WHERE target = {{target:String}} AND state = 'deleted'"
        f" AND (batch_id, row_key) NOT IN (SELECT batch_id, row_key FROM {control.name('purge_log')})"
    )
    matched = (
        f"SELECT {columns}, log_batch FROM ({waiting}) AS d INNER JOIN (SELECT transaction, row_key,"
        f" any(batch_id) AS log_batch FROM ({log}) GROUP BY transaction, row_key) AS l USING (transaction, row_key)"
    )
    rest = f"({waiting}) WHERE (transaction, row_key) NOT IN (SELECT transaction, row_key FROM ({log}))"

    purge = control.rows(f"SELECT count() AS n FROM ({matched})", parameters)[0]["n"]
    control.execute(
        f"INSERT INTO {control.name('deletes')} ({columns}, state, batch_id)"
        f" SELECT {columns}, 'purge', log_batch FROM ({matched})",
        parameters,
        f"dropping the purge's own deletes of {target}",
    )
    application = 0
    page = f"SELECT {columns} FROM {rest} AND row_key NOT IN ({unlogged}) LIMIT {_CHUNK}"
    while rows := control.rows(page, parameters):
        apply_rows(control.client, types, table, target, rows)
        _settle(control, rows)
        application += len(rows)
    held = control.rows(f"SELECT count() AS n FROM ({waiting})", parameters)[0]["n"]
    return Classified(int(purge), application, int(held))


def waiting_deletes(control: Control, target: TableId) -> int:
    """Deletes of an archive table of which nobody knows yet whether they are the purge's or the application's."""
    statement = (
        f"SELECT count() AS n FROM {control.name('deletes')} FINAL"
        " WHERE target = {target:String} AND state = 'waiting'"
    )
    return int(control.rows(statement, {"target": str(target)})[0]["n"])


def _settle(control: Control, applied: Sequence[Mapping[str, Any]]) -> None:
    """Record deletes as applied, after the rows were marked: a crash in between repeats the marking, to no effect."""
    control.insert("deletes", [{**row, "state": "applied", "batch_id": ""} for row in applied])
