"""What is measured, each reading one topic from its first record."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
from confluent_kafka import Message, TopicPartition

from airflow_provider_chista.archive.drain import Drain
from airflow_provider_chista.archive.policies import DeletePolicy
from airflow_provider_chista.archive.records import Records
from airflow_provider_chista.archive.report import DrainLimits
from airflow_provider_chista.archive.sinks import TableSink
from airflow_provider_chista.archive.topic import TopicState
from airflow_provider_chista.clickhouse import ddl, layout, sql
from airflow_provider_chista.clickhouse.control import Control
from airflow_provider_chista.clickhouse.send import send
from airflow_provider_chista.clickhouse.types import probe
from airflow_provider_chista.model import Column, Kind
from benchmarks import services
from benchmarks.drain import events
from benchmarks.drain.race import Place, Start

BATCH = DrainLimits().batch_rows


def _peak() -> float:
    """Peak memory of this process in MiB; ru_maxrss would count the process that it was started by."""
    return int(re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())[0]) / 1024


def consume(place: Place, start: Start) -> Mapping[str, float]:
    """The limit: the hook's consumer, each value looked at, nothing else."""
    start()
    for messages in _messages(place):
        for message in messages:
            message.value()
    return {}


def drain(place: Place, start: Start) -> Mapping[str, float]:
    """The drain with all of its duties."""
    client = services.clickhouse()
    control, sink = Control(client, place.control), sink_of(place, client)
    limits = DrainLimits(dead_letters=place.limit) if place.events.bad else DrainLimits()
    start()
    report = Drain(
        services.kafka(), control, sink, str(place.target), limits, partitions=place.partitions
    ).run(place.events.topic)
    return {
        "bytes": report.bytes,
        "peak": _peak(),
    }


def without_duties(place: Place, start: Start) -> Mapping[str, float]:
    """The drain's decoder and blocks alone: no positions, plans, lease, tokens."""
    client = services.clickhouse()
    sink = sink_of(place, client)
    state = TopicState(place.events.topic, "", "", {}, {})

    def block(offsets: list[int], values: list[Any]) -> pa.Table:
        return sink.prepare(state, 0, Records(0, offsets, [None] * len(values), values)).content.block

    start()
    _insert_all(place, client, block)
    return {}


def by_hand(place: Place, start: Start) -> Mapping[str, float]:
    """What a person would write who knows the table, with the fastest library: msgspec, Arrow, the next batch meanwhile."""
    client = services.clickhouse()
    table = ddl.adopted(client, probe(client), events.table_of(place.events.source), place.target)
    names = {f"f{number}": column.name for number, column in enumerate(table.columns)}
    row = msgspec.defstruct(
        "Row",
        [
            (field, _SENT[c.kind] | None if c.nullable else _SENT[c.kind])
            for field, c in zip(names, table.columns, strict=True)
        ],
        rename=names,
        gc=False,
    )
    source = msgspec.defstruct("Source", [("ts_ms", int)], gc=False)
    event = msgspec.defstruct("Event", [("op", str), ("source", source), ("after", row)], gc=False)
    decode = msgspec.json.Decoder(event).decode

    def block(offsets: list[int], values: list[Any]) -> pa.Table:
        decoded: list[Any] = [decode(value) for value in values]
        rows = [event.after for event in decoded]
        count = len(rows)
        arrays: dict[str, Any] = {
            column.name: _array(column, [getattr(row, field) for row in rows])
            for field, column in zip(names, table.columns, strict=True)
        }
        arrays[layout.VERSION] = pa.array([offset << 4 for offset in offsets], pa.uint64())
        arrays[layout.DELETED] = pa.repeat(pa.scalar(0, pa.uint8()), count)
        arrays[layout.OPERATION] = pa.array([event.op for event in decoded], pa.string())
        arrays[layout.SOURCE_TIME] = pa.array(
            [event.source.ts_ms for event in decoded], pa.timestamp("ms", tz="UTC")
        )
        arrays[layout.INCOMPLETE] = pa.repeat(pa.scalar([], pa.list_(pa.string())), count)
        return pa.table(arrays)

    start()
    _insert_all(place, client, block)
    return {}


def insert_each(place: Place, start: Start) -> Mapping[str, float]:
    """One INSERT for every message."""
    client = services.clickhouse()
    start()
    for messages in _messages(place):
        for message in messages:
            value: Any = message.value()
            event = json.loads(value)
            row = {
                name: f"fromUnixTimestamp64Micro({given})"
                if name in ("created", "updated")
                else _literal(given)
                for name, given in event["after"].items()
            }
            columns = ", ".join([*row, layout.VERSION, layout.OPERATION])
            offset: Any = message.offset()
            client.command(
                f"INSERT INTO {sql.table(place.target)} ({columns})"
                f" VALUES ({', '.join(row.values())}, {offset << 4}, '{event['op']}')"
            )
    return {}


def kafka_engine(place: Place, start: Start) -> Mapping[str, float]:
    """ClickHouse's own consumer: a Kafka table, and a materialized view into the archive table."""
    client = services.clickhouse()
    database = place.target.schema
    client.command(
        f"CREATE TABLE {database}.queue (op LowCardinality(String), source Tuple(ts_ms Int64), after Tuple(id Int64,"
        " customer Int32, status String, amount Decimal(12, 2), note Nullable(String), created Int64, updated Int64,"
        f" paid Bool)) ENGINE = Kafka SETTINGS kafka_broker_list = '{services.stack().kafka_bootstrap}',"
        f" kafka_topic_list = '{place.events.topic}', kafka_group_name = '{database}', kafka_format = 'JSONEachRow',"
        " kafka_num_consumers = 1, kafka_thread_per_consumer = 1, kafka_max_block_size = 100000,"
        " kafka_poll_max_batch_size = 100000, kafka_poll_timeout_ms = 100, kafka_flush_interval_ms = 1000,"
        " input_format_skip_unknown_fields = 1, input_format_json_ignore_unknown_keys_in_named_tuple = 1"
    )
    count, first = 0, 0.0
    start()
    started = time.monotonic()
    client.command(
        f"CREATE MATERIALIZED VIEW {database}.copy TO {sql.table(place.target)} AS SELECT"
        " after.id AS id, after.customer AS customer, after.status AS status, after.amount AS amount, after.note AS note,"
        " fromUnixTimestamp64Micro(after.created, 'UTC') AS created,"
        " fromUnixTimestamp64Micro(after.updated, 'UTC') AS updated, after.paid AS paid,"
        f" bitShiftLeft(toUInt64(_offset), 4) AS {layout.VERSION}, 0 AS {layout.DELETED}, op AS {layout.OPERATION},"
        f" fromUnixTimestamp64Milli(source.ts_ms, 'UTC') AS {layout.SOURCE_TIME} FROM {database}.queue"
    )
    while count < place.limit:
        if time.monotonic() - started > 60 + place.limit / 5_000:
            raise SystemExit(f"ClickHouse's Kafka table gave {count} of {place.limit} rows")
        time.sleep(0.02)
        count = int(client.command(f"SELECT count() FROM {sql.table(place.target)}"))
        first = first or (time.monotonic() - started if count else 0.0)
    client.command(f"DROP TABLE {database}.copy SYNC")
    client.command(f"DROP TABLE {database}.queue SYNC")
    return {"first": first}


def _literal(given: object) -> str:
    if given is None:
        return "NULL"
    return sql.literal(given) if isinstance(given, str) else str(given).lower()


def sink_of(place: Place, client: Any) -> TableSink:
    """The sink of the archive table."""
    types = probe(client)
    table = ddl.adopted(client, types, events.table_of(place.events.source), place.target)
    return TableSink(client, Control(client, place.control), types, table, place.target, DeletePolicy.ARCHIVE)


def _messages(place: Place) -> Iterator[list[Message]]:
    consumer = services.consumer()
    consumer.assign([TopicPartition(place.events.topic, p, 0) for p in place.partitions])
    left = place.limit
    while left:
        messages = [m for m in consumer.consume(min(left, 1000), timeout=1.0) if m.error() is None]
        left -= len(messages)
        yield messages
    consumer.close()


def _insert_all(place: Place, client: Any, block: Callable[[list[int], list[Any]], pa.Table]) -> None:
    """Blocks of the drain's size, one being inserted while the next is made."""
    offsets: list[int] = []
    values: list[Any] = []
    size = left = 0
    left = place.limit
    sending: Future[None] | None = None
    with ThreadPoolExecutor(1) as sender:
        for messages in _messages(place):
            offsets += [message.offset() for message in messages]  # type: ignore[misc]
            more = [message.value() for message in messages]
            values += more
            size += sum(map(len, more))  # type: ignore[arg-type]
            left -= len(messages)
            if DrainLimits().full(len(values), size) or not left:
                made = block(offsets, values)
                if sending:
                    sending.result()
                sending = sender.submit(send, client, sql.table(place.target), made, _SETTINGS)
                offsets, values, size = [], [], 0
        if sending:
            sending.result()


_SETTINGS: dict[str, str | int] = {
    "async_insert": 0,
    "input_format_parallel_parsing": 0,
    "max_insert_block_size": BATCH,
    "min_insert_block_size_rows": BATCH,
}

_SENT: dict[Kind, Any] = {
    Kind.INT64: int,
    Kind.INT32: int,
    Kind.TEXT: str,
    Kind.DECIMAL: str,
    Kind.DATETIME: int,
    Kind.BOOL: bool,
}


def _array(column: Column, values: list[Any]) -> Any:
    match column.kind:
        case Kind.DECIMAL:
            return pa.array(values, pa.string()).cast(
                pa.decimal128(column.precision or 38, column.scale or 0)
            )
        case Kind.DATETIME:
            return pa.array(values, pa.timestamp("us", tz="UTC"))
        case kind:
            return pa.array(values, _ARROW[kind])


_ARROW = {Kind.INT64: pa.int64(), Kind.INT32: pa.int32(), Kind.TEXT: pa.string(), Kind.BOOL: pa.bool_()}
