"""What Avro costs a drain: the same rows, sent by Debezium in both formats, turned into columns without writing them."""

from __future__ import annotations

import time
from contextlib import closing

from airflow_provider_chista.debezium.avro import AvroReader, decoder_of
from airflow_provider_chista.debezium.config import topic_name
from airflow_provider_chista.debezium.envelope import EnvelopeDecoder
from airflow_provider_chista.debezium.registry import Registry, SchemaRegistryClient
from airflow_provider_chista.model import TableId
from benchmarks import services
from benchmarks.drain import events
from benchmarks.drain.shapes import orders

_CHUNK = 5_000
"""Records that are decoded at once, as the drain does."""


def measure(rows: int) -> dict[str, float]:
    """Records a second in JSON and in Avro on one core, and the ratio; orders of 8 columns on PostgreSQL."""
    name, shape = "bench_avro", orders(rows)
    source = TableId(name, "rows")
    topic = topic_name(name, source)
    events.fill(name, {"rows": (shape.ddl, f"INSERT INTO {source} {shape.select}")})
    rates = {}
    try:
        table = events.table_of(source)
        for form, registry in (("JSON", None), ("Avro", Registry(services.stack().registry_url))):
            events.delete(f"{name}.")
            with events.connector(name, [source], registry=registry):
                events.wait_for(lambda: events.records(topic) == rows, events.SNAPSHOT_SECONDS)
            parts = services.kafka().read(topic, {0: (0, rows)})
            values = [value for part in parts for value in part.values]
            with closing(SchemaRegistryClient(services.stack().registry_url)) as client:
                reader = AvroReader(client.schema) if registry else None
                decoder = decoder_of(EnvelopeDecoder(table), reader)
                begun = time.perf_counter()
                decoded = sum(
                    len(decoder.changes(values[first : first + _CHUNK]).places)
                    for first in range(0, rows, _CHUNK)
                )
                rates[f"decoded from {form}"] = rows / (time.perf_counter() - begun)
            assert decoded == rows
    finally:
        events.drop_source(name)
        events.delete(f"{name}.")
        events.table_of.cache_clear()
    json, avro = rates.values()
    return rates | {"ratio: Avro / JSON": avro / json}
