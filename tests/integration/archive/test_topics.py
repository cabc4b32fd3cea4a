"""Topics that are not what they were: gaps, topics created again, partitions added, holes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest
from confluent_kafka import ConsumerGroupTopicPartitions, TopicPartition
from confluent_kafka.admin import NewPartitions, NewTopic

from airflow_provider_chista.archive import positions
from airflow_provider_chista.archive.barrier import Barrier
from airflow_provider_chista.archive.positions import version
from airflow_provider_chista.archive.report import DrainLimits
from airflow_provider_chista.archive.topic import TopicMissingError
from airflow_provider_chista.errors import FatalError, TransientError
from tests.integration.support import services
from tests.integration.support.engines import wait_for
from tests.integration.support.streams import Stream, key, names, value

Streams = Callable[..., Stream]


def test_records_removed_by_retention_stop_the_run_loudly(stream: Streams) -> None:
    made = stream().create()
    made.send(*names(10))
    made.drain()
    made.send(*names(10, 10))
    made.remove_records({0: 15})
    with pytest.raises(FatalError, match=r"gap in .* offset 10 is next.*5 records.*accept_gap"):
        made.drain()
    assert made.positions() == {0: 10}
    assert made.drain(accept_gap=True)["records"] == 5
    assert made.drain()["records"] == 0
    assert len(made.shown()) == 15


def test_records_removed_before_the_position_are_no_gap(stream: Streams) -> None:
    made = stream().create()
    made.send(*names(10))
    made.drain()
    made.remove_records({0: 10})
    made.send(*names(1, 10))
    assert made.drain()["records"] == 1


def test_records_that_were_never_drained_and_are_gone_are_a_gap(stream: Streams) -> None:
    made = stream().create()
    made.send(*names(10))
    made.remove_records({0: 3})
    with pytest.raises(FatalError, match="offset 0 is next"):
        made.drain()


@pytest.mark.parametrize("again", [2, 10, 30], ids=["shorter", "as long", "grown past the position"])
def test_a_topic_that_was_created_again_is_noticed_and_its_rows_are_newer(
    stream: Streams, again: int
) -> None:
    made = stream().create()
    made.send(*names(10))
    made.drain()
    _recreate(made)
    made.send(*(value("r", number, "again") for number in range(again)))
    with pytest.raises(FatalError, match=r"deleted and created again.*accept_gap"):
        made.drain()
    assert made.drain(accept_gap=True)["records"] == again
    assert made.drain()["records"] == 0
    assert {made.shown()[number] for number in range(again)} == {"again"}
    assert made.everything()[0][2] == version(1, 0)
    made.send(value("u", 0, "later"))
    made.drain()
    assert made.shown()[0] == "later"


@pytest.mark.parametrize("again", [0, 30, 900], ids=["empty", "shorter", "grown past the position"])
def test_a_topic_that_is_created_again_under_a_running_drain_ends_it(stream: Streams, again: int) -> None:
    """The consumer goes on with the new topic's records where the old one's ended, and nothing in them tells."""
    made = stream(limits=DrainLimits(batch_rows=100)).create()
    made.send(*names(600))
    made.kafka = services.kafka(
        {
            "queued.min.messages": 1,
            "message.max.bytes": 1000,
            "fetch.max.bytes": 1000,
            "max.partition.fetch.bytes": 1000,
        }
    )
    begun = threading.Event()

    def recreate(report: object) -> None:
        if not begun.is_set():
            begun.set()
            _recreate(made)
            made.send(*(value("r", 10_000 + number, "again") for number in range(again)))

    with pytest.raises(FatalError, match=r"created again"):
        made.drain(progress=recreate)
    assert begun.is_set()
    written = made.positions()[0]
    assert 100 <= written < 600
    assert made.shown() == {number: f"n{number}" for number in range(written)}
    made.drain(accept_gap=True)
    assert len(made.shown()) == written + again


def test_a_topic_that_is_deleted_under_a_running_drain_ends_it(stream: Streams) -> None:
    made = stream(limits=DrainLimits(batch_rows=100, patience=1)).create()
    made.send(*names(600))
    with pytest.raises(TransientError, match="does not exist any more"):
        made.drain(progress=lambda report: services.delete_topics(f"{made.prefix}."))
    assert 100 <= made.positions()[0] < 600
    with pytest.raises(TopicMissingError):
        made.drain()


def test_an_empty_topic_that_was_created_again_needs_accept_gap_once(stream: Streams) -> None:
    made = stream().create()
    made.send(*names(10))
    made.drain()
    _recreate(made)
    made.drain(accept_gap=True)
    made.send(value("r", 0, "again"))
    assert made.drain()["records"] == 1
    assert made.shown()[0] == "again"


def test_another_topic_into_the_same_table_is_refused_since_its_versions_would_be_older(
    stream: Streams,
) -> None:
    first = stream().create()
    first.send(*names(100))
    first.drain()
    second = stream(name=first.target.name).create()
    second.send(value("r", 1, "of the new connector"))
    with pytest.raises(FatalError, match=rf"that was {first.topic}"):
        second.drain()
    second.drain(accept_gap=True)
    assert second.shown()[1] == "of the new connector"


def test_a_partition_that_was_added_is_refused(stream: Streams) -> None:
    made = stream().create(partitions=2)
    made.send(*names(10))
    made.drain()
    admin = made.kafka.admin()
    for future in admin.create_partitions([NewPartitions(made.topic, 3)]).values():
        future.result()
    wait_for(lambda: len(made.kafka.describe(made.topic).ends) == 3)
    with pytest.raises(FatalError, match=r"partitions \[0, 1, 2\].*\[0, 1\] were drained"):
        made.drain()


def test_a_log_that_ends_before_the_position_is_refused(stream: Streams) -> None:
    made = stream().create()
    made.send(*names(10))
    made.drain()
    # As if the last record had been lost with the only broker that had it.
    positions.record(made.control, str(made.target), made.kafka.describe(made.topic), 0, {0: 11})
    with pytest.raises(FatalError, match=r"ends at 10, but 11 was already drained; its log was truncated"):
        made.drain()


def test_offsets_of_the_consumer_group_that_are_reset_change_nothing(stream: Streams) -> None:
    made = stream().create()
    made.send(*names(10))
    made.drain()
    group = ConsumerGroupTopicPartitions(f"chista.{made.target}", [TopicPartition(made.topic, 0, 3)])
    admin = made.kafka.admin()
    for future in admin.alter_consumer_group_offsets([group]).values():
        future.result()
    assert made.drain()["records"] == 0
    assert made.stored() == 10


def test_a_topic_that_does_not_exist(stream: Streams) -> None:
    made = stream()
    with pytest.raises(TopicMissingError, match=r"does not exist.*topic.prefix"):
        made.drain()
    nothing = Barrier({made.topic: {}})
    assert made.drain(nothing)["records"] == 0
    made.create()
    made.send(*names(1))
    made.drain()
    with pytest.raises(FatalError, match="was drained before"):
        made.drain(nothing)


def test_ends_of_a_barrier_are_not_passed(stream: Streams) -> None:
    made = stream().create()
    made.send(*names(10))
    barrier = made.barrier()
    made.send(*names(10, 10))
    assert made.drain(barrier)["records"] == 10
    assert made.drain(barrier)["records"] == 0
    assert made.drain()["records"] == 10
    with pytest.raises(FatalError, match="beyond the end"):
        made.drain(Barrier({made.topic: {0: 21}}))


def test_aborted_transactions_and_markers_are_holes(stream: Streams) -> None:
    made = stream().create()
    producer = services.producer(**{"transactional.id": made.prefix})
    producer.init_transactions(30)
    for commit, start in ((True, 0), (False, 100), (True, 200), (False, 300)):
        producer.begin_transaction()
        for number in range(start, start + 10):
            made.produce(producer, key(number), value("c", number, "n"))
        producer.flush(30)
        producer.commit_transaction(30) if commit else producer.abort_transaction(30)
    end = made.kafka.describe(made.topic).ends[0]
    summary = made.drain()
    assert sorted(made.shown()) == [*range(10), *range(200, 210)]
    assert summary["next_offsets"] == {"0": end}
    assert summary["remaining"] == 0
    assert made.drain()["records"] == 0


def test_offsets_that_compaction_removed_are_holes(stream: Streams) -> None:
    made = stream().create(
        **{
            "cleanup.policy": "compact",
            "segment.ms": "100",
            "min.cleanable.dirty.ratio": "0.01",
            "max.compaction.lag.ms": "100",
        }
    )
    for round_ in range(3):
        made.send(*(value("u", number, f"r{round_}") for number in range(50)))
        time.sleep(0.15)
    made.send(value("u", 1000, "last"))

    def compacted() -> bool:
        end = made.kafka.describe(made.topic).ends[0]
        return sum(len(records) for records in made.kafka.read(made.topic, {0: (0, end)})) < 140

    wait_for(compacted, seconds=20, pause=0.5)
    made.drain()
    assert made.shown() == {**dict.fromkeys(range(50), "r2"), 1000: "last"}
    assert made.positions() == {0: 151}


def _recreate(made: Stream) -> None:
    services.delete_topics(f"{made.prefix}.")
    wait_for(lambda: made.topic not in made.kafka.describe_existing([made.topic]))
    made.create()


def test_topics_can_be_described_the_moment_they_are_there() -> None:
    """The broker tells of a topic before it leads its partitions: about one in forty answered so."""
    kafka, prefix = services.kafka(), f"it_{services.token()}"
    admin = kafka.admin()
    for name in (f"{prefix}.{number}" for number in range(300)):
        created = admin.create_topics([NewTopic(name, 1, 1)])[name]
        while not (found := kafka.describe_existing([name])):
            pass
        assert found[name].ends == {0: 0}
        created.result()
    services.delete_topics(f"{prefix}.")
