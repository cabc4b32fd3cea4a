"""What a drain writes into an archive table, and how: rows, waiting deletes, dead letters."""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
from clickhouse_connect.driver.client import Client

from airflow_provider_chista.archive.batches import PreparedBatch
from airflow_provider_chista.archive.blocks import Blocks
from airflow_provider_chista.archive.complete import OLD_KEY_HEADER, UNKNOWN_KEY, Completion, Row
from airflow_provider_chista.archive.deadletters import dead_letter
from airflow_provider_chista.archive.deletes import apply_rows, quarantined
from airflow_provider_chista.archive.policies import DeletePolicy, TruncatePolicy
from airflow_provider_chista.archive.positions import version
from airflow_provider_chista.archive.records import Record, Records
from airflow_provider_chista.archive.topic import TopicState
from airflow_provider_chista.clickhouse.control import Control
from airflow_provider_chista.clickhouse.load import DeletedKey, apply_truncate, insert_block
from airflow_provider_chista.clickhouse.types import TypeMap
from airflow_provider_chista.debezium.avro import AvroDecoder, AvroReader, decoder_of, refuse_avro
from airflow_provider_chista.debezium.changes import UPSERTS, Change, Changes
from airflow_provider_chista.debezium.envelope import EnvelopeDecoder
from airflow_provider_chista.debezium.rows import DecodeError, SchemaDriftError
from airflow_provider_chista.errors import FatalError
from airflow_provider_chista.model import Table, TableId, names

_CHUNK = 5000
_CHUNK_BYTES = 4 * 2**20
"""Records, and about how many bytes of them, that are decoded at once: enough to share the work of a column, and few enough
for the processor's caches and for memory, which holds them once more meanwhile."""


@dataclass(slots=True)
class _Content:
    """Decoded content of a table's batch.

    :param block: the rows; or :param rows: the same, where some lack values that the archive has.
    """

    block: pa.Table | None = None
    rows: list[Row] = field(default_factory=list)
    deletes: list[dict[str, Any]] = field(default_factory=list)
    truncates: list[DeletedKey] = field(default_factory=list)
    dead_letters: list[dict[str, Any]] = field(default_factory=list)

    @property
    def row_count(self) -> int:
        """Rows that the batch writes."""
        return self.block.num_rows if self.block else len(self.rows)


@dataclass(slots=True)
class TableSink:
    """Writes change events into an archive table.

    :param table: the source table as the archive holds it (``clickhouse/ddl.py``, ``adopted``).
    :param target: the archive table; :param task: named in dead letters.
    :param truncates: what a TRUNCATE does.
    :param ignored: columns of records that are dropped, since neither the source nor the archive has them.
    :param avro: reads records in Avro; None: they are JSON.
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
    avro: AvroReader | None = None
    _decoder: EnvelopeDecoder | AvroDecoder = field(init=False)
    _blocks: Blocks = field(init=False)
    _completion: Completion = field(init=False)

    def __post_init__(self) -> None:
        if self.truncates is TruncatePolicy.APPLY and self.policy is not DeletePolicy.MIRROR:
            raise FatalError(
                f"the truncate policy apply needs the delete policy mirror, but {self.target} has {self.policy}; "
                "choose stop or keep for an archive"
            )
        stored = [(column, self.types.stored(column)) for column in self.table.stored]
        self._blocks = Blocks(stored)
        decoder = EnvelopeDecoder(self.table, [kept.guard for _, kept in stored], self.ignored)
        self._decoder = decoder_of(decoder, self.avro)
        self._completion = Completion(self.client, self.types, self.table, self.target)

    def prepare(self, state: TopicState, generation: int, records: Records) -> PreparedBatch:
        """Decode records; see :class:`airflow_provider_chista.archive.batches.Sink`."""
        if not self.avro:
            refuse_avro(records.values)
        batch = PreparedBatch(
            records.partition, records.offsets[0], records.offsets[-1] + 1, Counter(), _Content()
        )
        blocks: list[pa.Table] = []
        chunk = min(_CHUNK, max(1, _CHUNK_BYTES * len(records) // max(1, records.bytes)))
        for first, changes in self._decoded(records.values, chunk):
            if changes.partial:
                return self._prepared_by_row(state, generation, records)
            self._take_others(batch, state, generation, records, first, changes)
            if batch.stopped:
                keep = bisect_left(records.offsets, batch.next_offset) - first
                rows = bisect_left(changes.places, keep)
            else:
                rows = len(changes.places)
            if rows:
                offsets = records.offsets[first : first + chunk]
                blocks.append(self._blocks.of_changes(changes, generation, offsets, rows))
                batch.counts.update(Counter(changes.ops[:rows]))
            if batch.stopped:
                break
        if blocks:
            batch.content.block = pa.concat_tables(blocks).combine_chunks()
        return batch

    def _decoded(self, values: Sequence[bytes | None], chunk: int) -> Iterator[tuple[int, Changes]]:
        """Changes of chunks of records, with the place of their first one.

        Two chunks at once: while Arrow reads the rows of one, Python has its lock free for the other. Records that are larger
        than a chunk should be are decoded one by one, or they would be in memory twice more.
        """
        firsts = range(0, len(values), chunk)
        if len(firsts) == 1 or chunk == 1:
            for first in firsts:
                yield first, self._decoder.changes(values[first : first + chunk])
            return
        decoding = ThreadPoolExecutor(2, thread_name_prefix="chista-decode")
        try:
            chunks = decoding.map(lambda first: self._decoder.changes(values[first : first + chunk]), firsts)
            yield from zip(firsts, chunks, strict=True)
        finally:
            decoding.shutdown(cancel_futures=True)

    def _take_others(
        self,
        batch: PreparedBatch,
        state: TopicState,
        generation: int,
        records: Records,
        first: int,
        changes: Changes,
    ) -> None:
        """Everything but rows, in the order of the records, up to one that the drain must stop at."""
        for place in sorted([*changes.others, *changes.errors]):
            record = records.record(first + place)
            error = changes.errors.get(place)
            if error is None:
                change = changes.others[place]
                try:
                    batch.stopped = self._other(batch, state, generation, record, change)
                except DecodeError as refused:
                    error = refused
            if batch.stopped:
                batch.next_offset = record.offset
                return
            if error is not None:
                self._bury(batch, state, generation, record, error)
        if changes.drift:
            self._stop_at(batch, records.offsets[first + changes.upto], changes.drift)

    def _other(
        self,
        batch: PreparedBatch,
        state: TopicState,
        generation: int,
        record: Record,
        change: Change | None,
    ) -> str | None:
        """Take a change without a row (None: a tombstone); why the drain stops in front of it, None when it goes on."""
        stopped = None
        if change is None:
            batch.counts["tombstone"] += 1
            return None
        if change.op == "d":
            self._delete(batch.content, state, generation, record, change)
        elif change.op == "t":
            stopped = self._truncate(batch.content, state, version(generation, record.offset), change)
        else:
            raise DecodeError(f"an event with op {change.op!r} is not one of a table")
        if not stopped:
            batch.counts[change.op] += 1
        return stopped

    def _bury(
        self, batch: PreparedBatch, state: TopicState, generation: int, record: Record, error: DecodeError
    ) -> None:
        batch.counts["dead"] += 1
        batch.content.dead_letters.append(self._dead_letter(state, generation, record, error))

    def _stop_at(self, batch: PreparedBatch, offset: int, drift: SchemaDriftError) -> None:
        batch.next_offset, batch.stopped = offset, self._drifted(drift)
        batch.drifted, batch.lacking = True, drift.lacking

    def _prepared_by_row(self, state: TopicState, generation: int, records: Records) -> PreparedBatch:
        """As :meth:`prepare`, where rows lack values that PostgreSQL left out: they are completed when they are written."""
        batch = PreparedBatch(
            records.partition, records.offsets[0], records.offsets[-1] + 1, Counter(), _Content()
        )
        for record in records:
            try:
                change = self._decoder.change(record.value) if record.value is not None else None
                if change is None or change.op not in UPSERTS:
                    batch.stopped = self._other(batch, state, generation, record, change)
                    if batch.stopped:
                        batch.next_offset = record.offset
                        break
                    continue
                row = Row(change.row, version(generation, record.offset), change.op, change.source_time_ms)
                if change.partial:
                    row.old_key = self._old_key(state, record)
                batch.content.rows.append(row)
                batch.counts[change.op] += 1
            except SchemaDriftError as error:
                self._stop_at(batch, record.offset, error)
                break
            except DecodeError as error:
                self._bury(batch, state, generation, record, error)
        return batch

    def write(self, state: TopicState, generation: int, batch: PreparedBatch) -> None:
        """Write rows, then deletes, then dead letters; see :class:`airflow_provider_chista.archive.batches.Sink`."""
        content: _Content = batch.content
        if content.row_count:
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
        return self._blocks.of_rows(rows)

    def _lost(self, state: TopicState, generation: int, batch: PreparedBatch) -> dict[str, list[int]]:
        """Versions of records that went to the dead letters, by row key: they may have changed what later ones leave out."""
        before = self.control.rows(
            f"SELECT hex(key) AS key, offset FROM {self.control.name('dead_letters')} WHERE target = {{target:String}}"
            " AND topic = {topic:String} AND generation = {generation:UInt16} AND partition = {partition:UInt32}",
            {
                "target": str(self.target),
                "topic": state.name,
                "generation": generation,
                "partition": batch.partition,
            },
        )
        lost: dict[str, list[int]] = {}
        keys = [(bytes.fromhex(letter["key"]), letter["offset"]) for letter in before]
        keys += [(letter["key"], letter["offset"]) for letter in batch.content.dead_letters]
        for key, offset in keys:
            with suppress(DecodeError):
                lost.setdefault(self._decoder.key(key), []).append(version(generation, offset))
        return lost

    def _old_key(self, state: TopicState, record: Record) -> str:
        """The key that the row had before, from the record's header; empty when it did not change."""
        found = [value for name, value in record.headers if name == OLD_KEY_HEADER]
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

    def _truncate(self, content: _Content, state: TopicState, at: int, change: Change) -> str | None:
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
        self, content: _Content, state: TopicState, generation: int, record: Record, change: Change
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
            batch.content.row_count,
        )
        return hashlib.sha256("\x1f".join(map(str, parts)).encode()).hexdigest()
