"""A drain that is killed at any instruction and run again, a hundred times over, leaves what one undisturbed run leaves."""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from airflow_provider_chista.archive.policies import DeletePolicy
from airflow_provider_chista.archive.positions import version
from airflow_provider_chista.clickhouse import sql
from tests.integration.support.kills import Place, Story, drains, stored_before, unreduced
from tests.integration.support.streams import Stream

Streams = Callable[..., Stream]

KILLS = int(os.environ.get("CHISTA_KILLS", "104"))
"""Kills of each seed, half of them of a live copy and half of an archive. A longer run: ``CHISTA_KILLS=5000``."""

ROW = "id, name, day, _chista_version, _chista_deleted, _chista_op, _chista_source_time, _chista_incomplete"


def rows(made: Stream, where: str) -> list[tuple[Any, ...]]:
    """Rows as they are stored, replaced versions and repetitions included."""
    return list(
        made.client.query(
            f"SELECT {ROW} FROM {sql.table(made.target)} WHERE {where} ORDER BY id, _chista_version"
        ).result_rows
    )


def kept(made: Stream, table: str, columns: str) -> list[dict[str, Any]]:
    """Rows of a state table about this target."""
    return made.control.rows(
        f"SELECT {columns} FROM {made.control.name(table)} FINAL WHERE target = {{t:String}} ORDER BY partition, offset",
        {"t": str(made.target)},
    )


def unmerged(made: Stream) -> Stream:
    """Without merges, so that everything that was stored can be seen."""
    made.client.command(
        f"ALTER TABLE {sql.table(made.target)} MODIFY SETTING max_bytes_to_merge_at_max_space_in_pool = 1,"
        " parts_to_delay_insert = 100000, parts_to_throw_insert = 100000"
    )
    return made


def killed(made: Stream, story: Story, chance: random.Random, kills: int) -> None:
    place = Place(
        made.database, made.control.database, made.prefix, made.target.name, str(made.policy), made.avro
    )
    before: dict[int, int] = {}
    story.tell()
    with drains(place) as drain_and_die:
        while kills:
            died = drain_and_die(chance)
            kills -= died
            now = made.positions()
            assert all(now[partition] >= offset for partition, offset in before.items())
            expected, before = story.expected(now), now
            # Never ahead of the rows, and no block is stored twice: a repeated batch is the one that was planned.
            assert stored_before(made, now) == Counter({op: expected[op] for op in ("u", "d", "dead")})
            if not died:
                story.tell()
    made.drain(made.barrier(), client=unreduced())


def require_as_undisturbed(made: Stream, story: Story) -> None:
    name = f"{made.prefix}_alone"
    options = {"policy": made.policy, "avro": made.avro}
    alone = unmerged(Stream(made.client, made.control, made.database, made.prefix, name, **options))
    alone.drain(alone.barrier(), client=unreduced())
    ends = {partition: len(told) for partition, told in story.sent.items()}
    assert made.positions() == alone.positions() == ends
    # Every version of every row, as often as it is stored. (Which marks were replaced since depends on the batches.)
    events = rows(made, "_chista_op != 'd'")
    assert events == rows(alone, "_chista_op != 'd'")
    assert len(events) == story.expected(ends)["u"]
    assert made.everything() == alone.everything()
    assert made.shown() == alone.shown()
    deletes = (
        "topic, generation, partition, offset, version, row_key, transaction, source_time, state, batch_id"
    )
    assert kept(made, "deletes", deletes) == kept(alone, "deletes", deletes) != []
    letters = "topic, generation, partition, offset, key, value, error_class, error, state"
    assert kept(made, "dead_letters", letters) == kept(alone, "dead_letters", letters) != []
    require_true_marks(made, story)


def require_true_marks(made: Stream, story: Story) -> None:
    """Each mark has the version of a delete of its key, and the content that the row had before it."""
    marks = rows(made, "_chista_op = 'd'")
    assert marks
    for number, name, _, at, deleted, *_ in marks:
        told = story.sent[number % 2]
        offset = next(o for o in range(at >> 4, -1, -1) if version(0, o) == at)
        assert (deleted, told[offset][:2]) == (1, ("d", number))
        assert name == next(was for op, of, was in reversed(told[:offset]) if (op, of) == ("u", number))


@pytest.mark.timeout(max(600, 2 * KILLS))
@pytest.mark.parametrize("seed", [20_260_101, 7, 424_242])
def test_a_drain_that_is_killed_anywhere_and_run_again_leaves_what_an_undisturbed_one_leaves(
    stream: Streams, seed: int
) -> None:
    chance = random.Random(seed)
    streams = [
        unmerged(stream(policy=policy).create(partitions=2))
        for policy in (DeletePolicy.MIRROR, DeletePolicy.ARCHIVE)
    ]
    stories = [Story(made, random.Random(chance.random())) for made in streams]
    chances = [random.Random(chance.random()) for _ in streams]
    with ThreadPoolExecutor(len(streams)) as pool:
        list(pool.map(killed, streams, stories, chances, [KILLS // 2] * len(streams)))
    for made, story in zip(streams, stories, strict=True):
        require_as_undisturbed(made, story)


def test_so_does_one_that_reads_avro(stream: Streams) -> None:
    made = unmerged(stream(policy=DeletePolicy.ARCHIVE, avro=True).create(partitions=2))
    story = Story(made, random.Random(5))
    killed(made, story, random.Random(6), 4)
    require_as_undisturbed(made, story)
