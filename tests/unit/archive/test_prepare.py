"""A micro-batch is the same, however it is cut into chunks that are decoded beside each other."""

from __future__ import annotations

from typing import Any, cast

import pytest

from airflow_provider_chista.archive import sinks
from airflow_provider_chista.archive.batches import PreparedBatch
from airflow_provider_chista.archive.policies import DeletePolicy
from airflow_provider_chista.archive.records import Record, Records
from airflow_provider_chista.archive.sinks import TableSink
from airflow_provider_chista.archive.topic import TopicState
from airflow_provider_chista.clickhouse.types import TypeMap
from airflow_provider_chista.model import Column, Kind, Table, TableId
from tests.unit.debezium.test_changes import event

TABLE = Table(
    TableId("s", "t"),
    (Column("id", "int", Kind.INT32, nullable=False), Column("c", "int", Kind.INT32, nullable=True)),
    ("id",),
)
DRIFT = event("7", "c", "mysql").replace(b'"c":7', b'"c":7,"more":8')


def prepared(monkeypatch: pytest.MonkeyPatch, values: list[bytes | None], chunk: int) -> PreparedBatch:
    monkeypatch.setattr(sinks, "_CHUNK", chunk)
    nothing = cast(Any, None)  # a sink decodes without its servers
    sink = TableSink(nothing, nothing, TypeMap(), TABLE, TableId("a", "t"), DeletePolicy.ARCHIVE)
    records = [Record(0, 100 + place, b'{"id":1}', value, []) for place, value in enumerate(values)]
    return sink.prepare(TopicState("t", "", "", {0: 0}, {0: 0}), 3, Records.of(0, records))


def of_all_kinds() -> list[bytes | None]:
    values: list[bytes | None] = [event(str(number), "rcu"[number % 3], "mysql") for number in range(60)]
    values[7] = values[41] = b"not JSON"
    values[8] = values[30] = event('"text"', "c", "mysql")
    values[20] = None
    values[21] = b'{"op":"d","source":{"connector":"mysql","ts_ms":1},"after":null}'
    return values


def told(batch: PreparedBatch) -> tuple[Any, ...]:
    content = batch.content
    letters = [{**letter, "recorded_at": None} for letter in content.dead_letters]
    block = content.block.to_pylist() if content.block else None
    return batch.next_offset, batch.counts, batch.stopped, block, content.deletes, letters


@pytest.mark.parametrize("chunk", [1, 7, 25, 59, 60])
@pytest.mark.parametrize("drifted", [None, 0, 6, 7, 25, 59])
def test_chunks_make_the_same_batch(monkeypatch: pytest.MonkeyPatch, drifted: int | None, chunk: int) -> None:
    values = of_all_kinds()
    if drifted is not None:
        values[drifted] = DRIFT
    batch = prepared(monkeypatch, values, chunk)
    assert told(batch) == told(prepared(monkeypatch, values, 1000))
    upto = 60 if drifted is None else drifted
    assert batch.next_offset == 100 + upto
    assert bool(batch.stopped) == (drifted is not None)
    bad = sum(place < upto for place in (7, 8, 30, 41) if place != drifted)
    assert (batch.counts["dead"], len(batch.content.dead_letters)) == (bad, bad)
