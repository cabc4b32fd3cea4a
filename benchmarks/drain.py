"""The drain between its two limits: what Kafka gives, and what ClickHouse takes."""

from __future__ import annotations

import json
import os
import time
import uuid

import clickhouse_connect
from clickhouse_connect.driver.client import Client
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient, NewTopic

from airflow_provider_chista.archive.drain import Drain
from airflow_provider_chista.archive.sinks import DeletePolicy, TableSink
from airflow_provider_chista.archive.topic import Kafka
from airflow_provider_chista.clickhouse import ddl
from airflow_provider_chista.clickhouse.control import Control
from airflow_provider_chista.clickhouse.load import insert_block
from airflow_provider_chista.clickhouse.types import probe
from airflow_provider_chista.hooks.kafka import REQUIRED, TUNED
from airflow_provider_chista.model import Column, Kind, Table, TableId
from airflow_provider_chista.temporal import day_of
from benchmarks.data import salaries

TABLE = Table(
    TableId("bench", "salaries"),
    (
        Column("emp_no", "int", Kind.INT32, nullable=False),
        Column("salary", "int", Kind.INT32, nullable=False),
        Column("from_date", "date", Kind.DATE, nullable=False),
        Column("to_date", "date", Kind.DATE, nullable=False),
        Column("note", "varchar(255)", Kind.TEXT, nullable=True),
    ),
    ("emp_no", "from_date"),
)


def measure(rows: int) -> dict[str, float]:
    """Rates in records/s, and the drain's share of the slower limit."""
    brokers = os.environ["CHISTA_KAFKA_BOOTSTRAP"]
    name = uuid.uuid4().hex[:12]
    topic, target = f"bench_{name}.salaries", TableId(f"archive_bench_{name}", "salaries")
    admin = AdminClient({"bootstrap.servers": brokers})
    admin.create_topics([NewTopic(topic, 1, 1)])[topic].result()
    client = _client()
    try:
        _produce(brokers, topic, rows)
        settings = {"bootstrap.servers": brokers, **TUNED, **REQUIRED}
        kafka = Kafka(
            consumer=lambda: Consumer(settings), admin=lambda: AdminClient({"bootstrap.servers": brokers})
        )
        control = Control(client, f"chista_bench_{name}")
        control.ensure()
        types = probe(client)
        ddl.ensure_table(client, types, TABLE, target)
        sink = TableSink(client, control, types, TABLE, target, DeletePolicy.ARCHIVE)

        started = time.perf_counter()
        records = [record for batch in kafka.read(topic, {0: (0, rows)}) for record in batch]
        consuming = rows / (time.perf_counter() - started)

        state = kafka.describe(topic)
        blocks = [
            sink.prepare(state, 0, 0, records[i : i + 50_000]).content.block for i in range(0, rows, 50_000)
        ]
        del records
        started = time.perf_counter()
        for number, block in enumerate(blocks):
            insert_block(client, target, block, f"{name}-{number}")
        inserting = rows / (time.perf_counter() - started)

        client.command(f"TRUNCATE TABLE {target.schema}.{target.name}")
        started = time.perf_counter()
        Drain(kafka, control, sink, str(target)).run(topic)
        draining = rows / (time.perf_counter() - started)
        found = client.query(f"SELECT count() FROM {target.schema}.{target.name} FINAL").result_rows[0][0]
        if found != rows:
            raise SystemExit(f"the drain left {found} rows of {rows}")
    finally:
        admin.delete_topics([topic])[topic].result()
        for database in (target.schema, f"chista_bench_{name}"):
            client.command(f"DROP DATABASE IF EXISTS {database}")
        client.close()
    return {
        "limit: consuming alone": consuming,
        "limit: inserting prepared blocks alone": inserting,
        "drain": draining,
        "ratio: drain to the slower limit": draining / min(consuming, inserting),
    }


def _client() -> Client:
    """As the user ``default``, who may make and drop databases."""
    return clickhouse_connect.get_client(
        dsn=os.environ["CHISTA_CLICKHOUSE_URL"],
        username="default",
        password="",
        autogenerate_session_id=False,
    )


def _produce(brokers: str, topic: str, rows: int) -> None:
    """Snapshot events as Debezium writes them."""
    producer = Producer({"bootstrap.servers": brokers, "compression.type": "lz4", "linger.ms": 50})
    source = {
        "version": "3.5.0.Final", "connector": "mysql", "name": "bench", "ts_ms": 1_700_000_000_000, "snapshot": "true",
        "db": "bench", "sequence": None, "table": "salaries", "server_id": 1, "gtid": None, "file": "binlog.000001",
        "pos": 157, "row": 0, "thread": None, "query": None,
    }  # fmt: skip
    for emp_no, salary, from_date, to_date in salaries(rows):
        key = {"emp_no": emp_no, "from_date": day_of(from_date)}
        row = {
            **key,
            "salary": salary,
            "to_date": day_of(to_date),
            "note": f"row {emp_no} | naïve ~ 'quoted'",
        }
        value = {
            "before": None,
            "after": row,
            "source": source,
            "transaction": None,
            "op": "r",
            "ts_ms": 1_700_000_000_001,
        }
        while True:
            try:
                producer.produce(topic, json.dumps(value), json.dumps(key))
                break
            except BufferError:
                producer.poll(0.1)
    producer.flush()
