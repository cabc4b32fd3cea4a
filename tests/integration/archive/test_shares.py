"""Shares of one connector's tables, drained side by side: the rows of one drain, and deletes decided by the last."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest

from airflow_provider_chista.archive.barrier import Barrier
from airflow_provider_chista.archive.policies import DeletePolicy
from airflow_provider_chista.archive.report import DrainLimits
from airflow_provider_chista.archive.shares import Share, shares
from airflow_provider_chista.errors import FatalError, TransientError
from tests.integration.support import services
from tests.integration.support.engines import wait_for
from tests.integration.support.streams import Stream, names, value

Streams = Callable[..., Stream]
PARTITIONS = 4


def filled(stream: Streams) -> Stream:
    """Rows, changes and deletes in every partition; every other delete is the purge's."""
    made = stream(policy=DeletePolicy.ARCHIVE, limits=DrainLimits(batch_rows=300)).create(PARTITIONS)
    services.create_topic(made.log_topic)
    for partition in range(PARTITIONS):
        first = partition * 10_000
        made.send(
            *names(2_000, first),
            *(value("u", number, "changed") for number in range(first, first + 2_000, 3)),
            *(value("d", number, tx=f"g:{number}") for number in range(first, first + 10)),
            partition=partition,
        )
        made.send_log(*((f"g:{number}", "b", str(number)) for number in range(first, first + 10, 2)))
    return made


def made_whole(made: Stream) -> Stream:
    """A topic that was made just now may have a partition without a leader for a moment."""

    def described() -> bool:
        with suppress(TransientError):
            return made.kafka.describe(made.topic) is not None
        return False

    wait_for(described)
    return made


def listed(made: Stream, barrier: Barrier | None = None, by: Share = Share.PARTITION) -> list[Any]:
    found = shares(made.kafka, made.prefix, {"s.t": str(made.target)}, barrier, by)
    assert {(share["table"], share["target"]) for share in found} == {("s.t", str(made.target))}
    return [share["partitions"] for share in found]


def require_as_one(made: Stream) -> None:
    """The same rows, positions and decisions as one drain of the whole topic gives."""
    alone = Stream(
        made.client, made.control, made.database, made.prefix, f"{made.prefix}_alone", policy=made.policy
    )
    alone.drain(made.barrier())
    assert made.everything() == alone.everything()
    assert made.positions() == alone.positions()
    assert made.deletes() == alone.deletes()
    assert len(made.shown()) == PARTITIONS * (2_000 - 5)


def test_shares_drained_side_by_side_give_the_rows_of_one_drain(stream: Streams) -> None:
    made = filled(stream)
    barrier = made.barrier()
    with ThreadPoolExecutor(PARTITIONS) as pool:
        summaries = list(
            pool.map(
                lambda share: made.drain(barrier, task=f"task {share}", partitions=share),
                listed(made, barrier),
            )
        )
    assert [(s["records"], s["remaining"]) for s in summaries] == [(2_677, 0)] * PARTITIONS
    require_as_one(made)


def test_deletes_are_decided_once_by_the_share_that_comes_last(stream: Streams) -> None:
    made = filled(stream)
    barrier = made.barrier()
    *others, last = reversed(listed(made, barrier))
    for share in others:
        assert "application_deletes" not in made.drain(barrier, task="t", partitions=share)
        assert set(made.deletes().values()) == {"waiting"}
    decided = made.drain(barrier, task="t", partitions=last)
    assert (decided["purge_deletes"], decided["application_deletes"], decided["held_deletes"]) == (20, 20, 0)
    for share in (*others, last):
        again = made.drain(barrier, task="t", partitions=share)
        assert (again["records"], again["purge_deletes"], again["application_deletes"]) == (0, 0, 0)
    require_as_one(made)


def test_a_topic_is_one_share_or_one_for_each_of_its_partitions(stream: Streams) -> None:
    single, several = made_whole(stream().create()), made_whole(stream().create(3))
    assert listed(single) == [None]
    assert listed(several) == [[0], [1], [2]]
    assert listed(several, by=Share.TABLE) == [None]


def test_the_partitions_are_those_of_the_barrier(stream: Streams) -> None:
    made = stream().create(3)
    before = Barrier({made.topic: {0: 0, 1: 0}})
    assert listed(made, before) == [[0], [1]]
    assert listed(made, Barrier({made.topic: {}})) == [None]
    with pytest.raises(FatalError, match=rf"does not cover {made.topic}, only other"):
        listed(made, Barrier({"other": {0: 1}}))


def test_a_topic_that_does_not_exist_yet_is_listed_and_does_not_hold_the_others(stream: Streams) -> None:
    made, warnings = made_whole(stream().create(2)), list[str]()
    tables = {"s.later": "a.later", "s.t": "a.t"}
    found = shares(made.kafka, made.prefix, tables, warn=warnings.append)
    assert found == [
        {"table": "s.later", "target": "a.later", "partitions": None},
        {"table": "s.t", "target": "a.t", "partitions": [0]},
        {"table": "s.t", "target": "a.t", "partitions": [1]},
    ]
    assert warnings == [f"{made.prefix}.s.later does not exist yet; it is listed without partitions"]
