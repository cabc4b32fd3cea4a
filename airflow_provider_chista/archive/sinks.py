"""What a drain writes: rows of an archive table, or entries of the purge log that the connector captured."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import pyarrow as pa
from clickhouse_connect.driver.client import Client

from airflow_provider_chista.archive.deletes import apply_rows, quarantined
from airflow_provider_chista.archive.drain import PreparedBatch
from airflow_provider_chista.archive.positions import version
from airflow_provider_chista.archive.topic import Record, TopicState
from airflow_provider_chista.clickhouse import ddl
from airflow_provider_chista.clickhouse.control import Control
from airflow_provider_chista.clickhouse.load import insert_block
from airflow_provider_chista.clickhouse.types import TypeMap
from airflow_provider_chista.debezium.envelope import (
    UPSERTS,
    Change,
    DecodeError,
    EnvelopeDecoder,
    SchemaDriftError,
)
from airflow_provider_chista.model import Column, Kind, Table, TableId


class DeletePolicy(StrEnum):
    """What a delete at the source does to the archive.

    ``archive``: it waits in quarantine until it is known to be the purge's (dropped) or the application's (the row is
    marked deleted, its last content kept). ``mirror``: applied at once, for live copies. ``ignore``: dropped.
    """

    ARCHIVE = "archive"
    MIRROR = "mirror"
    IGNORE = "ignore"


@dataclass(slots=True)
class _Rows:
    """Decoded content of a table's batch."""

    block: pa.Table | None
    deletes: list[dict[str, Any]] = field(default_factory=list)
    dead_letters: list[dict[str, Any]] = field(default_factory=list)


@dataclass(slots=True)
class TableSink:
    """Writes change events into an archive table.

    :param table: the source table; :param target: the archive table; :param task: named in dead letters.
    """

    client: Client
    control: Control
    types: TypeMap
    table: Table
    target: TableId
    policy: DeletePolicy
    task: str = ""
    _decoder: EnvelopeDecoder = field(init=False)

    def __post_init__(self) -> None:
        self._decoder = EnvelopeDecoder(self.table)

    def prepare(
        self, state: TopicState, generation: int, partition: int, records: list[Record]
    ) -> PreparedBatch:
        """Decode records; see :class:`airflow_provider_chista.archive.drain.Sink`."""
        changes: list[Change] = []
        versions: list[int] = []
        counts: Counter[str] = Counter()
        content = _Rows(None)
        next_offset, stopped = records[0].offset, None
        for record in records:
            value, offset = record.value, record.offset
            try:
                if value is None:
                    counts["tombstone"] += 1
                else:
                    change = self._decoder.change(value)
                    if change.op in UPSERTS:
                        changes.append(change)
                        versions.append(version(generation, offset))
                    elif change.op == "d":
                        self._delete(content, state, generation, record, change)
                    else:
                        raise DecodeError(
                            "TRUNCATE is not applied to an archive; delete or keep its rows by hand"
                        )
                    counts[change.op] += 1
            except SchemaDriftError as error:
                stopped = (
                    f"the record's columns are not those of {self.table.id} in the source's catalogue: {error}. Run "
                    "CreateArchiveTableOperator, which adds new columns, then drain again"
                )
                break
            except DecodeError as error:
                counts["dead"] += 1
                content.dead_letters.append(self._dead_letter(state, generation, record, error))
            next_offset = offset + 1
        if changes:
            content.block = self._block(changes, versions)
        return PreparedBatch(partition, records[0].offset, next_offset, counts, content, stopped)

    def write(self, state: TopicState, generation: int, batch: PreparedBatch) -> None:
        """Write rows, then deletes, then dead letters; see :class:`airflow_provider_chista.archive.drain.Sink`."""
        content: _Rows = batch.content
        if content.block is not None:
            insert_block(self.client, self.target, content.block, self._token(state, generation, batch))
        if content.deletes:
            self.control.insert("deletes", content.deletes)
            if self.policy is DeletePolicy.MIRROR:
                apply_rows(self.client, self.types, self.table, self.target, content.deletes)
        if content.dead_letters:
            self.control.insert("dead_letters", content.dead_letters)

    def _delete(
        self, content: _Rows, state: TopicState, generation: int, record: Record, change: Change
    ) -> None:
        if self.policy is DeletePolicy.IGNORE:
            return
        content.deletes.append(
            quarantined(
                target=str(self.target),
                topic=state.name,
                generation=generation,
                partition=record.partition,
                offset=record.offset,
                row_key=self._decoder.key(record.key),
                change=change,
                applied=self.policy is DeletePolicy.MIRROR,
            )
        )

    def _dead_letter(
        self, state: TopicState, generation: int, record: Record, error: DecodeError
    ) -> dict[str, Any]:
        return {
            "target": str(self.target),
            "topic": state.name,
            "generation": generation,
            "partition": record.partition,
            "offset": record.offset,
            "key": record.key or b"",
            "value": record.value or b"",
            "error_class": type(error).__name__,
            "error": str(error),
            "task": self.task,
        }

    def _block(self, changes: list[Change], versions: list[int]) -> pa.Table:
        arrays: dict[str, pa.Array[Any]] = {}
        for column, values in zip(
            self.table.columns, zip(*(change.row for change in changes), strict=True), strict=True
        ):
            arrays[column.name] = self.types.arrow(column.archived_as, values)
        arrays[ddl.VERSION] = pa.array(versions, pa.uint64())
        arrays[ddl.DELETED] = pa.array([0] * len(changes), pa.uint8())
        arrays[ddl.OPERATION] = pa.array([change.op for change in changes], pa.string())
        arrays[ddl.SOURCE_TIME] = pa.array(
            [change.source_time_ms for change in changes], pa.timestamp("ms", tz="UTC")
        )
        return pa.table(arrays)

    def _token(self, state: TopicState, generation: int, batch: PreparedBatch) -> str:
        """Names exactly one content: a topic's identity, an offset range, a target, a schema, and how many rows decoded."""
        parts = (
            state.cluster,
            state.topic_id,
            generation,
            batch.partition,
            batch.first,
            batch.next_offset,
            self.target,
            self.table.fingerprint,
            batch.content.block.num_rows,
        )
        return hashlib.sha256("\x1f".join(map(str, parts)).encode()).hexdigest()


def purge_log_table(schema: str) -> Table:
    """The purge log at a source, as its events look (``sources/setup/*.sql``)."""
    columns = (
        ("id", Kind.INT64),
        *((name, Kind.TEXT) for name in ("batch_id", "table_name", "row_key", "row_hash")),
    )
    return Table(
        TableId(schema, "purge_log"),
        tuple(Column(name, str(kind), kind, nullable=False) for name, kind in columns),
        ("id",),
    )


@dataclass(slots=True)
class PurgeLogSink:
    """Writes captured purge-log entries with the identity of their source transaction.

    Snapshot rows have no transaction and are left out: the deletes they belong to were not streamed either.
    """

    control: Control
    schema: str
    _decoder: EnvelopeDecoder = field(init=False)

    def __post_init__(self) -> None:
        self._decoder = EnvelopeDecoder(purge_log_table(self.schema))

    def prepare(
        self, state: TopicState, generation: int, partition: int, records: list[Record]
    ) -> PreparedBatch:
        """Decode entries; see :class:`airflow_provider_chista.archive.drain.Sink`."""
        counts: Counter[str] = Counter()
        entries, next_offset, stopped = [], records[0].offset, None
        for record in records:
            value = record.value
            try:
                change = self._decoder.change(value) if value is not None else None
            except DecodeError as error:
                stopped = f"the purge log's record cannot be read: {error}; create chista.purge_log as docs/grants.md says"
                break
            counts[change.op if change else "tombstone"] += 1
            if change and change.op in "cu" and change.row:
                _, batch_id, table_name, row_key, row_hash = change.row
                entries.append(
                    {
                        "topic": state.name,
                        "generation": generation,
                        "partition": partition,
                        "offset": record.offset,
                        "transaction": change.transaction,
                        "batch_id": batch_id,
                        "table_name": table_name,
                        "row_key": row_key,
                        "row_hash": row_hash,
                    }
                )
            next_offset = record.offset + 1
        return PreparedBatch(partition, records[0].offset, next_offset, counts, entries, stopped)

    def write(self, state: TopicState, generation: int, batch: PreparedBatch) -> None:
        """Write the entries; see :class:`airflow_provider_chista.archive.drain.Sink`."""
        self.control.insert("purge_log", batch.content)
