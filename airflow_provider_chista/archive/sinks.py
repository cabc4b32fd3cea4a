"""What a drain writes: rows of an archive table, or entries of the purge log that the connector captured."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import pyarrow as pa
from clickhouse_connect.driver.client import Client

from airflow_provider_chista.archive.complete import OLD_KEY_HEADER, UNKNOWN_KEY, Completion, Row
from airflow_provider_chista.archive.deadletters import dead_letter
from airflow_provider_chista.archive.deletes import apply_rows, quarantined
from airflow_provider_chista.archive.drain import PreparedBatch
from airflow_provider_chista.archive.positions import version
from airflow_provider_chista.archive.topic import Record, TopicState
from airflow_provider_chista.clickhouse import layout
from airflow_provider_chista.clickhouse.control import Control
from airflow_provider_chista.clickhouse.load import DeletedKey, apply_truncate, insert_block
from airflow_provider_chista.clickhouse.types import StoredType, TypeMap
from airflow_provider_chista.debezium.envelope import (
    UPSERTS,
    Change,
    DecodeError,
    EnvelopeDecoder,
    SchemaDriftError,
    has_placeholder,
)
from airflow_provider_chista.errors import FatalError
from airflow_provider_chista.model import Column, Kind, Table, TableId, names


class DeletePolicy(StrEnum):
    """What a delete at the source does to the archive.

    ``archive``: it waits in quarantine until it is known to be the purge's (dropped) or the application's (the row is
    marked deleted, its last content kept). ``mirror``: applied at once, for live copies. ``ignore``: dropped.
    """

    ARCHIVE = "archive"
    MIRROR = "mirror"
    IGNORE = "ignore"


class TruncatePolicy(StrEnum):
    """What a TRUNCATE at the source does to the archive.

    ``stop``: the drain stops in front of it, for a person to decide. ``keep``: the archive keeps its rows. ``apply``: every
    row is marked deleted; for live copies.
    """

    STOP = "stop"
    KEEP = "keep"
    APPLY = "apply"


@dataclass(slots=True)
class _Rows:
    """Decoded content of a table's batch."""

    rows: list[Row] = field(default_factory=list)
    partial: bool = False
    block: pa.Table | None = None
    deletes: list[dict[str, Any]] = field(default_factory=list)
    truncates: list[DeletedKey] = field(default_factory=list)
    dead_letters: list[dict[str, Any]] = field(default_factory=list)


@dataclass(slots=True)
class TableSink:
    """Writes change events into an archive table.

    :param table: the source table as the archive holds it (``clickhouse/ddl.py``, ``adopted``).
    :param target: the archive table; :param task: named in dead letters.
    :param truncates: what a TRUNCATE does.
    :param ignored: columns of records that are dropped, since neither the source nor the archive has them.
    """

    client: Client
    control: Control
    types: TypeMap
    table: Table
    target: TableId
    policy: DeletePolicy
    task: str = ""
    truncates: TruncatePolicy = TruncatePolicy.STOP
    ignored: Collection[str] = ()
    _decoder: EnvelopeDecoder = field(init=False)
    _stored: list[tuple[Column, StoredType]] = field(init=False)
    _completion: Completion = field(init=False)

    def __post_init__(self) -> None:
        if self.truncates is TruncatePolicy.APPLY and self.policy is not DeletePolicy.MIRROR:
            raise FatalError(
                f"the truncate policy apply needs the delete policy mirror, but {self.target} has {self.policy}; "
                "choose stop or keep for an archive"
            )
        self._stored = [(c, self.types.stored(c)) for c in self.table.stored]
        self._decoder = EnvelopeDecoder(
            self.table, [stored.guard for _, stored in self._stored], self.ignored
        )
        self._completion = Completion(self.client, self.types, self.table, self.target)

    def keep_headers(self, value: bytes) -> bool:
        """Those of a record that lacks a value: they name the key that the row had before."""
        return self._decoder.may_lack and has_placeholder(value)

    def prepare(
        self, state: TopicState, generation: int, partition: int, records: list[Record]
    ) -> PreparedBatch:
        """Decode records; see :class:`airflow_provider_chista.archive.drain.Sink`."""
        counts: Counter[str] = Counter()
        content = _Rows()
        next_offset, stopped, drift = records[0].offset, None, None
        for record in records:
            value, offset = record.value, record.offset
            try:
                if value is None:
                    counts["tombstone"] += 1
                else:
                    change = self._decoder.change(value)
                    if change.op in UPSERTS:
                        row = Row(change.row, version(generation, offset), change.op, change.source_time_ms)
                        content.rows.append(row)
                        content.partial |= change.partial
                        if record.headers is not None:
                            row.old_key = self._old_key(state, record)
                    elif change.op == "d":
                        self._delete(content, state, generation, record, change)
                    elif change.op == "t":
                        stopped = self._truncate(content, state, version(generation, offset), change)
                        if stopped:
                            break
                    else:
                        raise DecodeError(f"an event with op {change.op!r} is not one of a table")
                    counts[change.op] += 1
            except SchemaDriftError as error:
                drift, stopped = error, self._drifted(error)
                break
            except DecodeError as error:
                counts["dead"] += 1
                content.dead_letters.append(self._dead_letter(state, generation, record, error))
            next_offset = offset + 1
        if content.rows and not content.partial:
            content.block = self._block(content.rows)
        lacking = drift.lacking if drift else frozenset()
        return PreparedBatch(
            partition, records[0].offset, next_offset, counts, content, stopped, drift is not None, lacking
        )

    def write(self, state: TopicState, generation: int, batch: PreparedBatch) -> None:
        """Write rows, then deletes, then dead letters; see :class:`airflow_provider_chista.archive.drain.Sink`."""
        content: _Rows = batch.content
        if content.rows:
            block = content.block or self._completed(state, generation, batch)
            insert_block(self.client, self.target, block, self._token(state, generation, batch))
        if content.deletes:
            self.control.insert("deletes", content.deletes)
            if self.policy is DeletePolicy.MIRROR:
                apply_rows(self.client, self.types, self.table, self.target, content.deletes)
        for truncate in content.truncates:
            apply_truncate(self.client, self.table, self.target, truncate)
        if content.dead_letters:
            self.control.insert("dead_letters", content.dead_letters)

    def _completed(self, state: TopicState, generation: int, batch: PreparedBatch) -> pa.Table:
        """The block of rows of which some have values that PostgreSQL did not send; all rows before them are written."""
        places = [self.table.columns.index(column) for column in self.table.key_columns]
        rows: list[Row] = batch.content.rows
        for row in rows:
            row.row_key = self._decoder.key_of([row.values[place] for place in places])
        self._completion.complete(rows, self._lost(state, generation, batch))
        return self._block(rows)

    def _lost(self, state: TopicState, generation: int, batch: PreparedBatch) -> dict[str, list[int]]:
        """Versions of records that went to the dead letters, by row key: they may have changed what later ones leave out."""
        before = self.control.rows(
            f"SELECT key, offset FROM {self.control.name('dead_letters')} WHERE target = {{target:String}}"
            " AND topic = {topic:String} AND generation = {generation:UInt16} AND partition = {partition:UInt32}",
            {
                "target": str(self.target),
                "topic": state.name,
                "generation": generation,
                "partition": batch.partition,
            },
        )
        lost: dict[str, list[int]] = {}
        for letter in (*before, *batch.content.dead_letters):
            with suppress(DecodeError):
                lost.setdefault(self._decoder.key(letter["key"]), []).append(
                    version(generation, letter["offset"])
                )
        return lost

    def _old_key(self, state: TopicState, record: Record) -> str:
        """The key that the row had before, from the record's header; empty when it did not change."""
        found = [value for name, value in record.headers or () if name == OLD_KEY_HEADER]
        if not found:
            return ""
        # The old key's events may be in another partition, and not be drained yet: then nothing can be known of it.
        return self._decoder.key(found[0]) if len(state.lows) == 1 else UNKNOWN_KEY

    def _drifted(self, error: SchemaDriftError) -> str:
        """Why the drain stops in front of a record with other columns, and the way out."""
        told = f"the record's columns are not those of {self.table.id} in the source's catalogue: {error}"
        if not error.unknown:
            return told
        return (
            f"{told}. When the source has {names(error.unknown)} now, run CreateArchiveTableOperator; when the source added "
            "and dropped it before the archive saw it, run the drain once with "
            f"ignore_columns={sorted(error.unknown)}, which drops its values"
        )

    def _truncate(self, content: _Rows, state: TopicState, at: int, change: Change) -> str | None:
        """Why the drain stops in front of a TRUNCATE; None when it goes on."""
        if self.truncates is TruncatePolicy.STOP:
            return (
                f"{self.table.id} was truncated at the source. Run the drain once with on_truncate='keep' when the archive "
                "should keep its rows (a live copy can also choose 'apply'), or delete its rows by hand"
            )
        if self.truncates is TruncatePolicy.APPLY:
            if len(state.lows) > 1:
                return "a TRUNCATE cannot be put in order with the events of other partitions; choose on_truncate='keep'"
            content.truncates.append(DeletedKey((), at, change.source_time_ms))
        return None

    def _delete(
        self, content: _Rows, state: TopicState, generation: int, record: Record, change: Change
    ) -> None:
        if self.policy is DeletePolicy.IGNORE:
            return
        try:
            row_key = self._decoder.key(record.key)
        except SchemaDriftError as error:
            # The archive's order never changes, so no evolution gets past such a record.
            key = ", ".join(self.table.primary_key)
            raise DecodeError(f"the record's key is not the primary key ({key}): {error}") from error
        content.deletes.append(
            quarantined(
                target=str(self.target),
                topic=state.name,
                generation=generation,
                partition=record.partition,
                offset=record.offset,
                row_key=row_key,
                change=change,
                applied=self.policy is DeletePolicy.MIRROR,
            )
        )

    def _dead_letter(
        self, state: TopicState, generation: int, record: Record, error: DecodeError
    ) -> dict[str, Any]:
        return dead_letter(
            target=self.target,
            topic=state.name,
            generation=generation,
            record=record,
            error_class=type(error).__name__,
            error=str(error),
            task=self.task,
        )

    def _block(self, rows: list[Row]) -> pa.Table:
        arrays: dict[str, pa.Array[Any]] = {
            column.name: stored.array(values)
            for (column, stored), values in zip(
                self._stored, zip(*(row.values for row in rows), strict=True), strict=True
            )
        }
        arrays[layout.VERSION] = pa.array([row.version for row in rows], pa.uint64())
        arrays[layout.DELETED] = pa.array([0] * len(rows), pa.uint8())
        arrays[layout.OPERATION] = pa.array([row.op for row in rows], pa.string())
        arrays[layout.SOURCE_TIME] = pa.array(
            [row.source_time_ms for row in rows], pa.timestamp("ms", tz="UTC")
        )
        arrays[layout.INCOMPLETE] = pa.array([row.incomplete for row in rows], pa.list_(pa.string()))
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
            len(batch.content.rows),
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

    def keep_headers(self, value: bytes) -> bool:
        """None are."""
        return False

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
