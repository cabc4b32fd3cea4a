"""The drain against a real Kafka and a real ClickHouse: exact, resumable, loud about everything that is missing."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest
from confluent_kafka import ConsumerGroupTopicPartitions

from airflow_provider_chista.archive.policies import DeletePolicy
from airflow_provider_chista.archive.positions import version
from airflow_provider_chista.archive.report import DrainLimits
from airflow_provider_chista.clickhouse import ddl, sql
from airflow_provider_chista.errors import FatalError
from tests.integration.support.streams import WIDER, Stream, key, names, value

Streams = Callable[..., Stream]


def test_inserts_updates_deletes_and_tombstones_leave_what_the_source_has(stream: Streams) -> None:
    made = stream().create()
    made.send(
        value("r", 1, "snapshot"), value("c", 2, None), value("c", 3, "three"), value("u", 2, "two"),
        value("d", 3), None, value("d", 99), None, value("c", 4, ""),
    )  # fmt: skip
    summary = made.drain()
    assert made.shown() == {1: "snapshot", 2: "two", 4: ""}
    assert summary["records"] == 9
    assert {op: summary[f"op_{op}"] for op in ("r", "c", "u", "d", "tombstone")} == {
        "r": 1, "c": 3, "u": 1, "d": 2, "tombstone": 2
    }  # fmt: skip
    assert (summary["ended"], summary["remaining"]) == ("reached the end offsets", 0)
    # The deleted row keeps its last content.
    assert [row[1][0] for row in made.everything() if row[0] == 3] == ["three"]
    assert [row[2] for row in made.everything()] == [version(0, offset) for offset in (0, 3, 4, 8)]


def test_a_drained_topic_has_nothing_more_to_drain(stream: Streams) -> None:
    made = stream().create()
    made.send(*names(5))
    assert made.drain()["records"] == 5
    assert made.drain()["records"] == 0
    made.send(value("u", 1, "later"))
    assert made.drain()["records"] == 1
    assert made.shown()[1] == "later"


def test_partitions_are_independent_and_may_be_empty(stream: Streams) -> None:
    made = stream().create(partitions=3)
    made.send(*names(100), partition=0)
    made.send(*names(50, 1000), partition=2)
    assert made.drain()["next_offsets"] == {"0": 100, "1": 0, "2": 50}
    made.send(*names(1, 5000), partition=1)
    assert made.drain()["records"] == 1
    assert len(made.shown()) == 151


@pytest.mark.parametrize(
    "limits",
    [
        DrainLimits(rows=1000, batch_rows=300),
        DrainLimits(bytes=100_000, batch_rows=300),
        DrainLimits(seconds=0.0, batch_rows=300),
    ],
    ids=["rows", "bytes", "seconds"],
)
def test_a_limit_ends_the_run_and_the_next_run_goes_on_there(stream: Streams, limits: DrainLimits) -> None:
    made = stream(limits=limits).create()
    made.send(*names(5000))
    runs, total = 0, 0
    while True:
        summary = made.drain()
        runs, total = runs + 1, total + summary["records"]
        assert made.positions() == {0: total}
        if summary["remaining"] == 0:
            break
        assert summary["ended"].startswith("reached the limit of"), summary
    assert runs > 1
    assert total == made.stored() == 5000
    assert made.shown() == {number: f"n{number}" for number in range(5000)}


def test_a_stopped_run_ends_at_once_and_keeps_what_it_wrote(stream: Streams) -> None:
    made = stream(limits=DrainLimits(batch_rows=1000)).create()
    made.send(*names(20_000))
    written = threading.Event()
    started = time.monotonic()
    summary = made.drain(stopped=written.is_set, progress=lambda report: written.set())
    assert summary["ended"] == "stopped"
    assert time.monotonic() - started < 5
    assert 0 < summary["next_offsets"]["0"] < 20_000
    made.drain()
    assert len(made.shown()) == 20_000


def test_a_position_is_recorded_only_after_the_insert_was_acknowledged(stream: Streams) -> None:
    made = stream().create()
    made.send(*names(10))
    made.drain()
    made.send(value("u", 1, "later"), *names(5, 100))
    hidden = f"{made.database}.hidden"
    made.client.command(f"RENAME TABLE {sql.table(made.target)} TO {hidden}")
    with pytest.raises(FatalError, match="CreateArchiveTableOperator"):
        made.drain()
    assert made.positions() == {0: 10}
    made.client.command(f"RENAME TABLE {hidden} TO {sql.table(made.target)}")
    assert made.drain()["records"] == 6
    assert made.shown()[1] == "later"
    assert len(made.shown()) == 15


def test_an_insert_repeated_with_the_same_token_is_stored_once(stream: Streams) -> None:
    made = stream().create()
    made.send(*names(10))
    made.drain()
    made.client.command(f"TRUNCATE TABLE {made.control.name('positions')}")
    made.drain()
    assert made.stored() == 10


def test_a_record_that_cannot_be_decoded_is_isolated_with_its_bytes_and_reason(stream: Streams) -> None:
    made = stream().create()
    raw = value("c", 7, "x").replace(b'"x"', b'"\xff\x00"')
    overflow = value("c", 8).replace(b'"id": 8', b'"id": 2147483648')
    made.send(
        *names(2), raw, overflow, value("x", 0), *names(2, 50), keys=[key(n) for n in (0, 1, 7, 8, 0, 50, 51)]
    )
    summary = made.drain(task="a_dag.a_task")
    assert sorted(made.shown()) == [0, 1, 50, 51]
    assert (summary["op_dead"], summary["records"]) == (3, 7)
    letters = made.dead_letters()
    assert [letter["offset"] for letter in letters] == [2, 3, 4]
    assert bytes.fromhex(letters[0]["value"]) == raw
    assert bytes.fromhex(letters[0]["key"]) == key(7)
    assert "2147483647" in letters[1]["error"]
    assert "unknown operation 'x'" in letters[2]["error"]
    assert {letter["task"] for letter in letters} == {"a_dag.a_task"}
    assert {letter["state"] for letter in letters} == {"open"}


def test_too_many_dead_letters_stop_the_run_and_nothing_of_their_batch_is_written(stream: Streams) -> None:
    made = stream(limits=DrainLimits(dead_letters=2, batch_rows=1000)).create()
    made.send(*names(1000))
    made.drain()
    made.send(*names(10, 2000), b"{", b"[", b"no", keys=[key(0)] * 13)
    with pytest.raises(FatalError, match="max_dead_letters=2") as caught:
        made.drain()
    assert "offset 1010" in str(caught.value)
    assert len(made.shown()) == 1000
    assert made.dead_letters() == []
    assert made.positions() == {0: 1000}
    assert made.drain(limits=DrainLimits(dead_letters=3))["op_dead"] == 3
    assert len(made.shown()) == 1010


def test_a_new_column_stops_at_its_record_and_goes_on_when_the_table_has_it(stream: Streams) -> None:
    made = stream().create()
    made.send(*names(3), value("c", 10, "new", more=5), *names(2, 20))
    with pytest.raises(FatalError, match=r"offset 3.*more.*CreateArchiveTableOperator"):
        made.drain()
    assert sorted(made.shown()) == [0, 1, 2]
    assert made.positions() == {0: 3}
    assert made.dead_letters() == []
    change = ddl.ensure_table(made.client, made.types, WIDER, made.target)
    assert change.added == ("more",)
    # Records without the column are older than it, or come from a source that had it dropped again: NULL in the archive.
    made.drain(table=change.table)
    rows = made.client.query(
        f"SELECT id, more FROM {sql.table(ddl.view_of(made.target))} ORDER BY id"
    ).result_rows
    assert list(rows) == [(0, None), (1, None), (2, None), (10, 5), (20, None), (21, None)]


def test_a_missing_column_of_the_table_as_it_was_created_stops_at_its_record(stream: Streams) -> None:
    made = stream().create()
    made.send(
        *names(2),
        value("c", 10, "x").replace(b'"day": 10', b'"ignored": 10').replace(b', "ignored": 10', b""),
    )
    with pytest.raises(FatalError, match=r"offset 2.*day"):
        made.drain()
    assert sorted(made.shown()) == [0, 1]
    assert made.positions() == {0: 2}


def test_an_archive_and_a_live_copy_follow_one_topic(stream: Streams) -> None:
    live = stream().create()
    archive = Stream(
        live.client,
        live.control,
        live.database,
        live.prefix,
        f"{live.prefix}_archive",
        policy=DeletePolicy.ARCHIVE,
    )
    live.send(*names(3), value("d", 1), None)
    live.drain()
    assert archive.positions() == {}
    archive.drain()
    assert sorted(live.shown()) == [0, 2]
    assert sorted(archive.shown()) == [0, 1, 2]  # without a barrier the delete waits


def test_the_consumer_group_shows_the_positions(stream: Streams) -> None:
    made = stream().create(partitions=2)
    made.send(*names(10), partition=1)
    made.drain()
    group = f"chista.{made.target}"
    admin = made.kafka.admin()
    futures = admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)])
    found = futures[group].result().topic_partitions
    assert {p.partition: p.offset for p in found} == {0: 0, 1: 10}
