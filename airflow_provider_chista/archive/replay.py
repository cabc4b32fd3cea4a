"""Replaying of dead letters: the kept records are decoded once more, and stored where they belong.

A row gets the version that its event had, so that an event that came after it stays the newer one. A run that was killed
between the rows and the letters' state repeats both, to no effect.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Any

import msgspec
import pyarrow as pa

from airflow_provider_chista.archive.batches import PreparedBatch
from airflow_provider_chista.archive.complete import OLD_KEY_HEADER
from airflow_provider_chista.archive.deadletters import Letters, LetterState, dead_letter, settle
from airflow_provider_chista.archive.deletes import apply_rows
from airflow_provider_chista.archive.ledger import Author
from airflow_provider_chista.archive.positions import version
from airflow_provider_chista.archive.records import Record, Records
from airflow_provider_chista.archive.sinks import TableSink
from airflow_provider_chista.archive.topic import TopicState
from airflow_provider_chista.canonical import parse_key
from airflow_provider_chista.clickhouse import layout, sql
from airflow_provider_chista.clickhouse.errors import translated
from airflow_provider_chista.clickhouse.load import key_file, query_with, text_file
from airflow_provider_chista.debezium.avro import AvroDecoder, decoder_of
from airflow_provider_chista.debezium.envelope import EnvelopeDecoder
from airflow_provider_chista.debezium.rows import DecodeError, SchemaDriftError
from airflow_provider_chista.debezium.toast import has_placeholder
from airflow_provider_chista.errors import RefusedError

_CHUNK, _CHUNK_BYTES = 500, 16 * 2**20
"""Letters, and bytes of their records, that are held at a time."""

_TRUNCATE = (
    "a TRUNCATE is not replayed, since rows that came after it are in the archive by now; remove by hand what it should have "
    "removed, then run DiscardDeadLettersOperator with a reason"
)


@dataclass(slots=True)
class ReplayReport:
    """Outcome of a replay.

    :param replayed: letters whose records are stored; :param still_open: those that failed again.
    :param first_error: the first new error, with its place.
    """

    replayed: int = 0
    still_open: int = 0
    first_error: str = ""

    def summary(self) -> dict[str, Any]:
        """The report as JSON values."""
        return {
            "replayed": self.replayed,
            "still_open": self.still_open,
            "first_error": self.first_error,
        }


@dataclass(frozen=True, slots=True)
class _Chunk:
    """Open letters of one partition, in offset order."""

    topic: str
    generation: int
    partition: int
    offsets: Sequence[int]


@dataclass(slots=True)
class Replay:
    """Replays the open dead letters of one archive table.

    :param sink: decodes and writes as the table is now; a TRUNCATE must stop it, which is its default.
    :param author: recorded with each letter that is settled.
    :param stopped: asked between chunks; True ends the run, which can be continued.
    """

    sink: TableSink
    letters: Letters
    author: Author
    stopped: Callable[[], bool] = lambda: False
    _decoder: EnvelopeDecoder | AvroDecoder = field(init=False)

    def __post_init__(self) -> None:
        self._decoder = decoder_of(EnvelopeDecoder(self.sink.table), self.sink.avro)

    def run(self) -> ReplayReport:
        """Decode and store the letters. Those that fail again stay open, with their new error.

        :raises FatalError: an offset never had a dead letter.
        """
        self.letters.require_known(self.sink.control)
        report = ReplayReport()
        for chunk in self._chunks():
            if self.stopped():
                break
            self._replay(chunk, report)
        return report

    def _chunks(self) -> Iterator[_Chunk]:
        control = self.sink.control
        condition, parameters = self.letters.chosen()
        rows = control.rows(
            "SELECT topic, generation, partition, offset, length(key) + length(value) AS size"
            f" FROM {control.name('dead_letters')} FINAL WHERE {condition} AND state = 'open'"
            " ORDER BY generation, topic, partition, offset",
            parameters,
        )
        for (topic, generation, partition), some in groupby(
            rows, lambda row: (row["topic"], row["generation"], row["partition"])
        ):
            offsets, size = list[int](), 0
            for row in some:
                if offsets and (len(offsets) == _CHUNK or size + row["size"] > _CHUNK_BYTES):
                    yield _Chunk(topic, generation, partition, offsets)
                    offsets, size = [], 0
                offsets.append(row["offset"])
                size += row["size"]
            yield _Chunk(topic, generation, partition, offsets)

    def _replay(self, chunk: _Chunk, report: ReplayReport) -> None:
        kept = self._records(chunk)
        state = self._topic(chunk)
        failures = self._failures(state, chunk, kept)
        keys = self._keys(kept, failures)
        good = [record for record in kept if record.offset not in failures]
        unsure = self._unsure(chunk, good, keys)
        self._write(state, chunk, [record for record in good if record.offset not in unsure])
        self._write(_scattered(state), chunk, [_moved(record) for record in good if record.offset in unsure])
        self._delete_again(keys)
        if good:
            condition, parameters = _of(chunk, self.sink, [record.offset for record in good])
            settle(self.sink.control, condition, parameters, LetterState.REPLAYED, self.author)
        failed = [
            dead_letter(
                target=self.sink.target,
                topic=chunk.topic,
                generation=chunk.generation,
                record=record,
                error_class=failures[record.offset][0],
                error=failures[record.offset][1],
                task=self.sink.task,
            )
            for record in kept
            if record.offset in failures
        ]
        self.sink.control.insert("dead_letters", failed)
        report.replayed += len(good)
        report.still_open += len(failed)
        if failed and not report.first_error:
            first = failed[0]
            report.first_error = f"partition {chunk.partition}, offset {first['offset']}: {first['error']}"

    def _records(self, chunk: _Chunk) -> list[Record]:
        """The records as Kafka had them."""
        control = self.sink.control
        condition, parameters = _of(chunk, self.sink, chunk.offsets)
        with translated("reading dead letters"):
            rows = control.client.query(
                "SELECT offset, key, value, header_names, header_values"
                f" FROM {control.name('dead_letters')} FINAL WHERE {condition} AND state = 'open' ORDER BY offset",
                parameters=parameters,
                column_formats=dict.fromkeys(("key", "value", "header_values"), "bytes"),
            ).result_rows
        # A tombstone is never a dead letter, so that an empty value was sent; an empty key and none are the same here.
        return [
            Record(chunk.partition, offset, key or None, value, list(zip(names, values, strict=True)))
            for offset, key, value, names, values in rows
        ]

    def _topic(self, chunk: _Chunk) -> TopicState:
        """The topic as it was drained; its id names this very run, so that no block is taken for one of a drain.

        Without recorded positions the number of partitions is not known, which counts as several.
        """
        control = self.sink.control
        rows = control.rows(
            f"SELECT DISTINCT cluster, partition FROM {control.name('positions')} WHERE target = {{target:String}}"
            " AND topic = {topic:String} AND generation = {generation:UInt16}",
            {"target": str(self.sink.target), "topic": chunk.topic, "generation": chunk.generation},
        )
        cluster = rows[0]["cluster"] if rows else ""
        lows = {row["partition"]: 0 for row in rows}
        return TopicState(chunk.topic, cluster, f"replay {uuid.uuid4()}", lows, {})

    def _failures(
        self, state: TopicState, chunk: _Chunk, records: list[Record]
    ) -> dict[int, tuple[str, str]]:
        """Class and text of the error of each record that still cannot be stored, by offset."""
        failures = {}
        while records:
            batch = self._prepared(state, chunk, records)
            for dead in batch.content.dead_letters:
                failures[dead["offset"]] = (dead["error_class"], dead["error"])
            if batch.stopped is None:
                break
            at = next(record.offset for record in records if record.offset >= batch.next_offset)
            failures[at] = (
                (SchemaDriftError.__name__, batch.stopped)
                if batch.drifted
                else (RefusedError.__name__, _TRUNCATE)
            )
            records = [record for record in records if record.offset > at]
        return dict(sorted(failures.items()))

    def _write(self, state: TopicState, chunk: _Chunk, records: list[Record]) -> None:
        if records:
            self.sink.write(state, chunk.generation, self._prepared(state, chunk, records))

    def _prepared(self, state: TopicState, chunk: _Chunk, records: list[Record]) -> PreparedBatch:
        return self.sink.prepare(state, chunk.generation, Records.of(chunk.partition, records))

    def _keys(self, records: Iterable[Record], failures: dict[int, tuple[str, str]]) -> dict[int, str]:
        """Row keys of the records that can be stored, by offset; one without a key of its own becomes a failure."""
        keys = {}
        for record in records:
            if record.offset not in failures:
                try:
                    keys[record.offset] = self._decoder.key(record.key)
                except DecodeError as error:
                    failures[record.offset] = (type(error).__name__, f"the record's key: {error}")
        return keys

    def _unsure(self, chunk: _Chunk, records: Iterable[Record], keys: Mapping[int, str]) -> set[int]:
        """Offsets of records with values that PostgreSQL left out and that the archive cannot tell for sure any more.

        It can when it holds the row that the event changed, and nothing newer of that row's key: a merge may have removed
        what lies below a newer row. A row whose key changed was another one before, which the record's header names; headers
        were not always kept.
        """
        unsure, based = set[int](), dict[int, str]()
        for record in records:
            text = self._decoder.text(record.value or b"")
            if not has_placeholder(text):
                continue
            old = [value for name, value in record.headers if name == OLD_KEY_HEADER]
            if old:
                based[record.offset] = self._decoder.key(old[0])
            elif _OP.decode(text).op == "u":
                based[record.offset] = keys[record.offset]
            else:
                unsure.add(record.offset)
        return unsure | self._outdated(chunk, based)

    def _delete_again(self, keys: Mapping[int, str]) -> None:
        """Mark rows whose delete came later and was applied already, when the archive did not have them."""
        sink = self.sink
        applied = sink.control.rows(
            f"SELECT row_key, version, source_time FROM {sink.control.name('deletes')} FINAL"
            " WHERE target = {target:String} AND state = 'applied' AND row_key IN (SELECT row_key FROM replayed)",
            {"target": str(sink.target)},
            text_file("replayed", "row_key", sorted(set(keys.values()))),
        )
        apply_rows(sink.client, sink.types, sink.table, sink.target, applied)

    def _outdated(self, chunk: _Chunk, keys: Mapping[int, str]) -> set[int]:
        """Offsets of the records for whose row key the archive holds a newer row."""
        if not keys:
            return set()
        sink, at = self.sink, f"{sql.FILE}.v"
        versions = {version(chunk.generation, offset): offset for offset in keys}
        wanted = key_file(
            "wanted", sink.types, sink.table, [parse_key(sink.table.key_kinds, key) for key in keys.values()],
            {"v UInt64": pa.array(list(versions), pa.uint64())},
        )  # fmt: skip
        statement = (
            f"SELECT DISTINCT {at} FROM {sql.table(sink.target)} AS {sql.ROW} INNER JOIN wanted AS {sql.FILE}"
            f" ON {sql.key_match(sink.table.primary_key)}"
            f" WHERE {sql.key_among(sink.table.primary_key, 'wanted')} AND {sql.ROW}.{layout.VERSION} > {at}"
        )
        with translated(f"looking for newer rows of {len(keys)} keys in {sink.target}"):
            return {versions[row[0]] for row in query_with(sink.client, statement, wanted)}


class _Op(msgspec.Struct):
    op: str


_OP = msgspec.json.Decoder(_Op)


def _of(chunk: _Chunk, sink: TableSink, offsets: Sequence[int]) -> tuple[str, dict[str, Any]]:
    """Condition of a chunk's letters with these offsets, and its parameters."""
    condition = (
        "target = {target:String} AND topic = {topic:String} AND generation = {generation:UInt16}"
        " AND partition = {partition:UInt32} AND offset IN {offsets:Array(UInt64)}"
    )
    return condition, {
        "target": str(sink.target),
        "topic": chunk.topic,
        "generation": chunk.generation,
        "partition": chunk.partition,
        "offsets": list(offsets),
    }


def _moved(record: Record) -> Record:
    """The record as that of a row whose key changed."""
    return record._replace(headers=[(OLD_KEY_HEADER, record.key or b"")])


def _scattered(state: TopicState) -> TopicState:
    """The topic with partitions that are not known: the sink then marks values that are missing from a moved row."""
    return replace(state, topic_id=f"replay {uuid.uuid4()}", lows={})
