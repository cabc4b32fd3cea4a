"""A topic of Debezium's shape without Debezium: made by the test, drained by the real drain."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from clickhouse_connect.driver.client import Client
from confluent_kafka import Producer, TopicPartition

from airflow_provider_chista.archive.barrier import Barrier
from airflow_provider_chista.archive.catchup import TableDrain
from airflow_provider_chista.archive.policies import DeletePolicy
from airflow_provider_chista.archive.report import DrainLimits
from airflow_provider_chista.clickhouse import ddl, sql
from airflow_provider_chista.clickhouse.control import Control
from airflow_provider_chista.clickhouse.types import TypeMap, probe
from airflow_provider_chista.model import Column, Kind, Table, TableId
from tests.integration.support import avro, services

TABLE = Table(
    TableId("s", "t"),
    (
        Column("id", "int", Kind.INT32, nullable=False),
        Column("name", "text", Kind.TEXT, nullable=True),
        Column("day", "date", Kind.DATE, nullable=True),
    ),
    ("id",),
)
WIDER = Table(TABLE.id, (*TABLE.columns, Column("more", "int", Kind.INT32, nullable=True)), TABLE.primary_key)

Shown = dict[int, tuple[str | None, int]]


def key(number: int) -> bytes:
    return json.dumps({"id": number}).encode()


def value(op: str, number: int, name: str | None = None, tx: str = "g:1", **more: Any) -> bytes:
    """A change event; ``tx`` is a GTID, or an xid when it is a number."""
    source: dict[str, Any] = {"connector": "mysql", "ts_ms": 1_700_000_000_000 + number, "snapshot": None}
    source |= {"txId": int(tx)} if tx.isdecimal() else {"gtid": tx or None}
    row = {"id": number, "name": name, "day": number % 20_000, **more}
    event = {"before": None, "after": None if op == "d" else row, "source": source, "op": op, "ts_ms": 1}
    return json.dumps(event).encode()


def names(count: int, start: int = 0) -> list[bytes]:
    """Inserts of consecutive rows."""
    return [value("c", number, f"n{number}") for number in range(start, start + count)]


@dataclass
class Stream:
    """One source table's topic and the archive table it is drained into.

    :param avro: whether records that are given as JSON are sent in Avro.
    """

    client: Client
    control: Control
    database: str
    prefix: str = field(default_factory=lambda: f"it_{services.token()}")
    name: str = ""
    table: Table = TABLE
    policy: DeletePolicy = DeletePolicy.MIRROR
    limits: DrainLimits = field(default_factory=DrainLimits)
    avro: bool = False

    def __post_init__(self) -> None:
        self.kafka = services.kafka()
        self.types: TypeMap = probe(self.client)
        self.target = TableId(self.database, self.name or self.prefix)
        ddl.ensure_table(self.client, self.types, self.table, self.target)

    @property
    def topic(self) -> str:
        return f"{self.prefix}.s.t"

    @property
    def log_topic(self) -> str:
        return f"{self.prefix}.chista.purge_log"

    def create(self, partitions: int = 1, **config: str) -> Stream:
        services.create_topic(self.topic, partitions, **config)
        return self

    def send(self, *values: bytes | None, partition: int = 0, keys: Sequence[bytes] | None = None) -> None:
        """Records with the key of their row (a tombstone: of the record before)."""
        producer, last = services.producer(), key(0)
        for index, text in enumerate(values):
            if keys is not None:
                last = keys[index]
            elif text is not None and text.startswith(b'{"before"'):
                event = json.loads(text)
                number = event["source"]["ts_ms"] - 1_700_000_000_000
                last = key(number)
            self.produce(producer, last, text, partition)
        assert producer.flush(30) == 0

    def produce(self, producer: Producer, key: bytes | None, text: bytes | None, partition: int = 0) -> None:
        if self.avro:
            key = avro.key_of(self.topic, key) if key and key.startswith(b"{") else key
            text = avro.value_of(self.topic, text) if text and text.startswith(b"{") else text
        while True:
            try:
                producer.produce(self.topic, value=text, key=key, partition=partition)
                return
            except BufferError:
                producer.poll(0.1)

    def send_log(self, *entries: tuple[str, str, str]) -> None:
        """Purge-log entries (transaction, batch, row key)."""
        producer = services.producer()
        for number, (tx, batch_id, row_key) in enumerate(entries):
            event = json.loads(value("c", number, tx=tx))
            event["after"] = {
                "id": number, "batch_id": batch_id, "table_name": "s.t", "row_key": row_key, "row_hash": "0" * 64,
            }  # fmt: skip
            text, key = json.dumps(event).encode(), b'{"id":%d}' % number
            if self.avro:
                text, key = avro.value_of(self.log_topic, text), avro.key_of(self.log_topic, key)
            producer.produce(self.log_topic, value=text, key=key)
        assert producer.flush(30) == 0

    def drain_object(self, **changed: Any) -> TableDrain:
        arguments: dict[str, Any] = {
            "kafka": self.kafka, "client": self.client, "control": self.control, "types": self.types,
            "table": self.table, "target": self.target, "prefix": self.prefix, "policy": self.policy,
            "limits": self.limits, "task": "tests", "avro": avro.reader() if self.avro else None,
        }  # fmt: skip
        return TableDrain(**{**arguments, **changed})

    def drain(self, barrier: Barrier | None = None, **changed: Any) -> dict[str, Any]:
        return self.drain_object(**changed).run(barrier)

    def barrier(self) -> Barrier:
        states = self.kafka.describe_existing([self.topic, self.log_topic])
        return Barrier(
            {
                topic: dict(states[topic].ends) if topic in states else {}
                for topic in (self.topic, self.log_topic)
            }
        )

    def shown(self) -> dict[int, str | None]:
        """What the view shows: name by id."""
        rows = self.client.query(
            f"SELECT id, name FROM {sql.table(ddl.view_of(self.target))} ORDER BY id"
        ).result_rows
        return {row[0]: row[1] for row in rows}

    def everything(self) -> list[tuple[Any, ...]]:
        """Newest version of each key with all columns, those of deleted rows too."""
        return list(
            self.client.query(
                f"SELECT id, argMax(tuple(name, day, _chista_deleted, _chista_op, _chista_source_time), _chista_version),"
                f" max(_chista_version) FROM {sql.table(self.target)} GROUP BY id ORDER BY id"
            ).result_rows
        )

    def stored(self) -> int:
        """Physical rows, replaced versions included."""
        return int(self.client.command(f"SELECT count() FROM {sql.table(self.target)}"))

    def positions(self) -> dict[int, int]:
        rows = self.control.rows(
            f"SELECT partition, max(next_offset) AS n FROM {self.control.name('positions')} WHERE target = {{t:String}}"
            " AND generation = (SELECT max(generation) FROM " + self.control.name("positions") + " WHERE target = {t:String})"
            " GROUP BY partition",
            {"t": str(self.target)},
        )  # fmt: skip
        return {row["partition"]: row["n"] for row in rows}

    def dead_letters(self) -> list[dict[str, Any]]:
        return self.control.rows(
            "SELECT partition, offset, hex(key) AS key, hex(value) AS value, error_class, error, task, state"
            f" FROM {self.control.name('dead_letters')} FINAL WHERE target = {{t:String}} ORDER BY partition, offset",
            {"t": str(self.target)},
        )

    def deletes(self) -> dict[int, str]:
        """State of each delete event by offset."""
        rows = self.control.rows(
            f"SELECT offset, toString(state) AS state FROM {self.control.name('deletes')} FINAL WHERE target = {{t:String}}",
            {"t": str(self.target)},
        )
        return {row["offset"]: row["state"] for row in rows}

    def remove_records(self, before: Mapping[int, int]) -> None:
        offsets = [TopicPartition(self.topic, p, offset) for p, offset in before.items()]
        admin = self.kafka.admin()
        for future in admin.delete_records(offsets).values():
            future.result()
