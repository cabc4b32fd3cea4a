"""Change events to measure with: made by Debezium from a table of PostgreSQL once, and kept with that table."""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import cache

from confluent_kafka import Producer
from confluent_kafka.admin import NewTopic

from airflow_provider_chista.debezium.config import ConnectorSpec, topic_name
from airflow_provider_chista.debezium.connect import KafkaConnectClient
from airflow_provider_chista.debezium.registry import Registry
from airflow_provider_chista.debezium.settings import DEFAULTS
from airflow_provider_chista.errors import ChistaError
from airflow_provider_chista.model import Table, TableId
from benchmarks import services
from benchmarks.drain.shapes import ORDER_STEP, Shape
from stack.connections import connections

BAD_EVERY = 1_000
"""One of so many records of the damaged topic cannot be decoded."""

SNAPSHOT_SECONDS = 1_200.0
_CONTROL = "chista.heartbeat, chista.marker, chista.signal, chista.purge_log"


@dataclass(frozen=True)
class Events:
    """A topic with the events of one source table.

    :param source: the table on PostgreSQL, which stays as it was when the events were made.
    :param times: how often the topic holds every event.
    :param bad: whether one event in :data:`BAD_EVERY` is damaged.
    """

    topic: str
    source: TableId
    records: int
    times: int = 1
    bad: bool = False

    @property
    def rows(self) -> int:
        """Rows that the archive must hold afterwards."""
        rows = self.records // self.times
        return rows - rows // BAD_EVERY if self.bad else rows


@cache
def table_of(source: TableId) -> Table:
    """The source table's catalogue."""
    with services.postgres_source() as opened:
        return opened.catalogue(source)


@cache
def digest(source: TableId, bad: bool = False) -> str:
    """Digest of the source's row hashes, computed by PostgreSQL (``clickhouse/rowhash.py``, DIGEST).

    :param bad: of orders, without the rows whose events were damaged.
    """
    count = first = second = 0
    with services.postgres_source() as opened:
        for chunk in opened.hashes(opened.catalogue(source), None):
            for key, row_hash in chunk:
                if bad and int(key) // ORDER_STEP % BAD_EVERY == 0:
                    continue
                count += 1
                first += int(row_hash[:16], 16)
                second += int(row_hash[16:32], 16)
    return f"{count}:{first % 2**64:016x}{second % 2**64:016x}"


def of(shape: Shape) -> Events:
    """The events of a shape; made by Debezium unless an earlier run did."""
    made_by = sorted(f"{key}={value}" for key, value, _ in DEFAULTS)
    name = f"bench_{hashlib.sha256(f'{shape.fingerprint} {made_by}'.encode()).hexdigest()[:8]}"
    source = TableId(name, "rows")
    events = Events(topic_name(name, source), source, shape.rows)
    if records(events.topic) == shape.rows and _count(source) == shape.rows:
        return events
    print(f"  making {shape.rows:,} events of {shape.name} by Debezium, for this and later runs", flush=True)
    fill(name, {"rows": (shape.ddl, f"INSERT INTO {source} {shape.select}")})
    delete(f"{name}.")
    with connector(name, [source]):
        wait_for(lambda: records(events.topic) == shape.rows, SNAPSHOT_SECONDS)
    for control in ("chista.", "transaction"):
        delete(f"{name}.{control}")
    return events


def copied(
    events: Events,
    suffix: str,
    *,
    partitions: int = 1,
    times: int = 1,
    change: Callable[[bytes, bytes], bytes] | None = None,
) -> Events:
    """The records of a topic in another one, byte for byte, dealt out to its partitions; kept as :func:`of` keeps them.

    :param times: how often each record is copied; :param change: from a key and a value to the value instead.
    """
    copy = Events(
        f"{events.topic}.{suffix}", events.source, events.records * times, times, change is not None
    )
    if records(copy.topic) == copy.records:
        return copy
    print(f"  copying {copy.records:,} records to {copy.topic}", flush=True)
    delete(copy.topic)
    topic = NewTopic(copy.topic, partitions, 1, config={"retention.ms": "-1", "max.message.bytes": "8388608"})
    admin = services.admin()  # named, since a client without a reference ends before its answer
    admin.create_topics([topic])[copy.topic].result()
    producer = Producer(
        {
            "bootstrap.servers": services.stack().kafka_bootstrap,
            "compression.type": "lz4",
            "linger.ms": 50,
            "batch.size": 1024 * 1024,
        }
    )
    for _ in range(times):
        number = 0
        for part in services.kafka().read(events.topic, {0: (0, events.records)}):
            for record in part:
                number += 1
                key, value = record.key or b"", record.value or b""
                if change:
                    value = change(key, value)
                while True:
                    try:
                        producer.produce(
                            copy.topic, value, key, partition=number % partitions, headers=record.headers
                        )
                        break
                    except BufferError:
                        producer.poll(0.1)
            producer.poll(0)
    producer.flush()
    return copy


def damaged(key: bytes, value: bytes) -> bytes:
    """One in :data:`BAD_EVERY` values of orders, in turns: not JSON, a text as number, a decimal with too many places."""
    number = int(json.loads(key)["id"]) // ORDER_STEP
    if number % BAD_EVERY:
        return value
    match number // BAD_EVERY % 3:
        case 0:
            return value[: len(value) // 2]
        case 1:
            return re.sub(rb'"customer":(\d+)', rb'"customer":"\1"', value)
        case _:
            return re.sub(rb'"amount":"([^"]+)"', rb'"amount":"\g<1>9"', value)


def fill(schema: str, tables: Mapping[str, tuple[str, str]]) -> None:
    """A schema of PostgreSQL with published tables that the provider's users may read.

    :param tables: by name, the columns of CREATE TABLE and the statement that fills it.
    """
    with closing(services.source_connection("postgres")) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        cursor.execute(f"DROP PUBLICATION IF EXISTS {schema}")
        cursor.execute(f"DROP SCHEMA IF EXISTS {schema} CASCADE")
        cursor.execute(f"CREATE SCHEMA {schema}")
        cursor.execute(f"GRANT USAGE ON SCHEMA {schema} TO chista_capture, chista_verify")
        for name, (columns, statement) in tables.items():
            cursor.execute(f"CREATE TABLE {schema}.{name} ({columns})")
            if statement:
                cursor.execute(statement)
            cursor.execute(f"ANALYZE {schema}.{name}")
        cursor.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO chista_capture, chista_verify")
        cursor.execute(f"CREATE PUBLICATION {schema} WITH (publish_via_partition_root = true)")
        cursor.execute(f"ALTER PUBLICATION {schema} SET TABLES IN SCHEMA {schema}, TABLE {_CONTROL}")


@contextmanager
def connector(
    name: str,
    tables: list[TableId],
    changed: Mapping[str, str | None] | None = None,
    registry: Registry | None = None,
) -> Iterator[None]:
    """A connector of that name, schema, slot and topic prefix, with the provider's settings; removed at the end.

    :param changed: other values of its properties; None: without it. :param registry: for records in Avro.
    """
    known = connections(services.stack())["postgres_capture"]
    spec = ConnectorSpec(
        name=name,
        flavour="postgres",
        hostname=known["host"],
        port=known["port"],
        user=known["login"],
        password="${env:CHISTA_POSTGRES_CAPTURE_PASSWORD}",
        topic_prefix=name,
        tables=tables,
        database=known["schema"],
        slot=name,
        publication=name,
        retention=timedelta(days=3650),
        registry=registry,
    )
    config = {key: value for key, value in {**spec.config(), **(changed or {})}.items() if value is not None}
    with KafkaConnectClient(services.stack().connect_url) as connect:
        connect.put_config(name, config)
        try:
            yield
        finally:
            _remove(connect, name)


def _remove(connect: KafkaConnectClient, name: str) -> None:
    try:
        connect.stop(name)
        wait_for(lambda: connect.status(name).state == "STOPPED" and not connect.status(name).tasks, 60)
        connect.delete_offsets(name)
    except ChistaError:
        pass
    connect.delete(name)
    with closing(services.source_connection("postgres")) as connection, connection.cursor() as cursor:
        connection.autocommit = True

        def active() -> bool:
            cursor.execute("SELECT 1 FROM pg_replication_slots WHERE slot_name = %s AND active", (name,))
            return cursor.fetchone() is not None

        wait_for(lambda: not active(), 60)
        cursor.execute(
            "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = %s",
            (name,),
        )
        cursor.execute("DELETE FROM chista.heartbeat WHERE id = %s", (name,))
    delete(f"__debezium-heartbeat.{name}")


def drop_source(schema: str) -> None:
    """Remove what :func:`fill` made."""
    with closing(services.source_connection("postgres")) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        cursor.execute(f"DROP PUBLICATION IF EXISTS {schema}")
        cursor.execute(f"DROP SCHEMA IF EXISTS {schema} CASCADE")


def records(topic: str) -> int:
    """Records of a topic; 0 when there is none."""
    state = services.kafka().describe_existing([topic]).get(topic)
    return sum(state.ends[p] - state.lows[p] for p in state.ends) if state else 0


def delete(prefix: str) -> None:
    """Delete the topics whose names begin so."""
    admin = services.admin()
    names = [name for name in admin.list_topics(timeout=10).topics if name.startswith(prefix)]
    if names:
        for future in admin.delete_topics(names).values():
            future.result()
        wait_for(
            lambda: not any(name.startswith(prefix) for name in admin.list_topics(timeout=10).topics), 30
        )


def wait_for(condition: Callable[[], bool], seconds: float, pause: float = 0.2) -> None:
    """Wait until a condition holds; :class:`SystemExit` when it does not in that time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise SystemExit(f"waited {seconds:.0f} seconds in vain")
        time.sleep(pause)


def _count(source: TableId) -> int:
    with closing(services.source_connection("postgres")) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass(%s)", (str(source),))
        if cursor.fetchone()[0] is None:
            return 0
        cursor.execute(f"SELECT count(*) FROM {source}")
        return int(cursor.fetchone()[0])
