"""Entries of the purge log that the connector captured, written with the identity of their source transactions."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from airflow_provider_chista.archive.batches import PreparedBatch
from airflow_provider_chista.archive.records import Records
from airflow_provider_chista.archive.topic import TopicState
from airflow_provider_chista.clickhouse.control import Control
from airflow_provider_chista.debezium.avro import AvroDecoder, AvroReader, decoder_of, refuse_avro
from airflow_provider_chista.debezium.envelope import EnvelopeDecoder
from airflow_provider_chista.debezium.rows import DecodeError
from airflow_provider_chista.model import Column, Kind, Table, TableId


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

    :param avro: reads records in Avro; None: they are JSON.
    """

    control: Control
    schema: str
    avro: AvroReader | None = None
    _decoder: EnvelopeDecoder | AvroDecoder = field(init=False)

    def __post_init__(self) -> None:
        self._decoder = decoder_of(EnvelopeDecoder(purge_log_table(self.schema)), self.avro)

    def prepare(self, state: TopicState, generation: int, records: Records) -> PreparedBatch:
        """Decode entries; see :class:`airflow_provider_chista.archive.batches.Sink`."""
        if not self.avro:
            refuse_avro(records.values)
        counts: Counter[str] = Counter()
        entries, next_offset, stopped = [], records.offsets[0], None
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
                        "partition": records.partition,
                        "offset": record.offset,
                        "transaction": change.transaction,
                        "batch_id": batch_id,
                        "table_name": table_name,
                        "row_key": row_key,
                        "row_hash": row_hash,
                    }
                )
            next_offset = record.offset + 1
        return PreparedBatch(records.partition, records.offsets[0], next_offset, counts, entries, stopped)

    def write(self, state: TopicState, generation: int, batch: PreparedBatch) -> None:
        """Write the entries; see :class:`airflow_provider_chista.archive.batches.Sink`."""
        self.control.insert("purge_log", batch.content)
