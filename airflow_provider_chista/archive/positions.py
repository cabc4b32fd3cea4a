"""Where each drain stands: recorded in ClickHouse after the rows were acknowledged, never before.

A position belongs to (target table, Kafka cluster, topic, generation, partition), so that an archive and a live copy can
follow one topic. The generation counts incarnations of the topic: it is part of every row's version, so that
the rows of a topic that was created again are newer than those of its predecessor.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from airflow_provider_chista.archive.topic import TopicState
from airflow_provider_chista.clickhouse.control import Control
from airflow_provider_chista.errors import FatalError

MAX_GENERATION = 2**12 - 1
MAX_OFFSET = 2**48 - 1
LAST_REPAIR = 2**4 - 1


def version(generation: int, offset: int, repair: int = 0) -> int:
    """A row's version: generation (12 bits), Kafka offset (48 bits), repair (4 bits)."""
    return generation << 52 | offset << 4 | repair


def versions(generation: int, offsets: pa.Array[Any]) -> pa.Array[Any]:
    """As :func:`version`, of many offsets."""
    first = pa.scalar(version(generation, 0), pa.uint64())
    return pc.add(pc.multiply(offsets, pa.scalar(version(0, 1), pa.uint64())), first)


@dataclass(frozen=True, slots=True)
class Positions:
    """Next offset to read, per partition, within one generation of a topic.

    :param planned: for partitions whose last micro-batch was planned and not recorded as done, its next offset.
    :param begun: whether these are the recorded positions; False when a drain has to record them before it starts, so
        that every partition is known also when some stay empty.
    """

    generation: int
    next_offsets: Mapping[int, int]
    begun: bool
    planned: Mapping[int, int] = field(default_factory=dict)


def load(control: Control, target: str, state: TopicState, *, accept_gap: bool = False) -> Positions:
    """Positions from which a drain of the topic goes on.

    A target never drained into before starts at offset 0. With ``accept_gap`` records that are gone are given up, and a
    topic that was created again, or another topic (or cluster) than before, is begun at its first record in the next
    generation, so that its rows are newer than those of its predecessor; without it both are errors.

    :raises FatalError: records between the position and the first offset are gone, the topic is not the one that was
        drained before, or it has got more partitions.
    """
    rows = control.rows(
        "SELECT cluster, topic, topic_id, generation, partition, max(next_offset) AS next_offset"
        f" FROM {control.name('positions')} WHERE target = {{target:String}}"
        " GROUP BY cluster, topic, topic_id, generation, partition ORDER BY generation DESC, partition",
        {"target": target},
    )
    generation = rows[0]["generation"] if rows else 0
    known = {row["partition"]: row["next_offset"] for row in rows if row["generation"] == generation}
    if known and (problem := _other(rows[0], known, state)):
        if not accept_gap:
            raise FatalError(
                f"topic {state.name} is not the one that was drained into {target}: {problem}. Records of the old topic that "
                "were not drained are gone. Load the table by a new snapshot, then run the drain once with accept_gap=True"
            )
        generation, known = generation + 1, {}
        if generation > MAX_GENERATION:
            raise FatalError(
                f"topic {state.name} was created again more than {MAX_GENERATION} times; archive into a new table"
            )
    if known and set(known) != set(state.lows):
        raise FatalError(
            f"topic {state.name} has partitions {sorted(state.lows)}, but {sorted(known)} were drained before; "
            "rows of one key may now be in two partitions and their order is not known. Create the topic again with the "
            "new number of partitions, by a new snapshot"
        )
    starts = {}
    for partition, low in state.lows.items():
        position = known.get(partition, 0)
        if low > position and not accept_gap:
            raise FatalError(
                f"gap in {state.name}, partition {partition}: offset {position} is next, but the first one still there is "
                f"{low} ({low - position} records were removed by the topic's retention). Nothing was drained. Raise "
                "retention.ms, load the table by a new snapshot, then run the drain once with accept_gap=True"
            )
        starts[partition] = max(position, low)
    return Positions(
        generation, starts, starts == known, _planned(control, target, state, generation, starts)
    )


def _planned(
    control: Control, target: str, state: TopicState, generation: int, starts: Mapping[int, int]
) -> dict[int, int]:
    rows = control.rows(
        f"SELECT partition, first, next_offset FROM {control.name('plans')} FINAL"
        " WHERE target = {target:String} AND cluster = {cluster:String} AND topic = {topic:String}"
        " AND generation = {generation:UInt16} AND topic_id = {topic_id:String}",
        {
            "target": target,
            "cluster": state.cluster,
            "topic": state.name,
            "generation": generation,
            "topic_id": state.topic_id,
        },
    )
    return {
        row["partition"]: row["next_offset"]
        for row in rows
        if row["first"] == starts.get(row["partition"]) and row["next_offset"] > row["first"]
    }


def generation_of(control: Control, target: str) -> int:
    """The newest generation that was drained into a target; 0 when none was."""
    return int(
        control.rows(
            f"SELECT max(generation) AS generation FROM {control.name('positions')} WHERE target = {{target:String}}",
            {"target": target},
        )[0]["generation"]
    )


def recorded(control: Control, target: str, topic: str, generation: int) -> dict[int, int]:
    """Recorded position by partition, of one generation of a topic."""
    rows = control.rows(
        f"SELECT partition, max(next_offset) AS next_offset FROM {control.name('positions')}"
        " WHERE target = {target:String} AND topic = {topic:String} AND generation = {generation:UInt16}"
        " GROUP BY partition",
        {"target": target, "topic": topic, "generation": generation},
    )
    return {row["partition"]: row["next_offset"] for row in rows}


def require_undrained(control: Control, target: str, cluster: str, topic: str) -> None:
    """Raise :class:`FatalError` when a topic that does not exist was drained before."""
    rows = control.rows(
        f"SELECT count() AS n FROM {control.name('positions')}"
        " WHERE target = {target:String} AND cluster = {cluster:String} AND topic = {topic:String}",
        {"target": target, "cluster": cluster, "topic": topic},
    )
    if rows[0]["n"]:
        raise FatalError(
            f"topic {topic} does not exist any more, but was drained before; records that were not drained are gone. Load "
            "the table by a new snapshot, then run the drain once with accept_gap=True"
        )


def plan(
    control: Control, target: str, state: TopicState, generation: int, batches: Mapping[int, tuple[int, int]]
) -> None:
    """Record what will be inserted: by partition, the first offset of a micro-batch and the one behind its last.

    A drain that was killed behind this sends the same micro-batch again, so that ClickHouse knows it by its token.
    """
    control.insert(
        "plans",
        [
            {**_place(target, state, generation, partition), "first": first, "next_offset": next_offset}
            for partition, (first, next_offset) in batches.items()
        ],
    )


def record(
    control: Control, target: str, state: TopicState, generation: int, next_offsets: Mapping[int, int]
) -> None:
    """Record that everything before ``next_offsets`` is in ClickHouse; call it only after the acknowledgement."""
    control.insert(
        "positions",
        [
            {**_place(target, state, generation, partition), "next_offset": offset}
            for partition, offset in next_offsets.items()
        ],
    )


def _place(target: str, state: TopicState, generation: int, partition: int) -> dict[str, str | int]:
    return {
        "target": target,
        "cluster": state.cluster,
        "topic": state.name,
        "topic_id": state.topic_id,
        "generation": generation,
        "partition": partition,
    }


def _other(last: Mapping[str, Any], known: Mapping[int, int], state: TopicState) -> str | None:
    if (last["cluster"], last["topic"]) != (state.cluster, state.name):
        return (
            f"that was {last['topic']} of cluster {last['cluster']}, this is one of cluster {state.cluster}"
        )
    if last["topic_id"] != state.topic_id:
        return f"its id is {state.topic_id}, the drained one had {last['topic_id']}; it was deleted and created again"
    for partition, position in known.items():
        end = state.ends.get(partition)
        if end is not None and end < position:
            return f"partition {partition} ends at {end}, but {position} was already drained; its log was truncated"
    return None
