"""What there is to drain of a connector's tables, cut into shares that can be drained side by side."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from airflow_provider_chista.debezium.config import topic_name
from airflow_provider_chista.errors import FatalError
from airflow_provider_chista.model import TableId

if TYPE_CHECKING:
    from airflow_provider_chista.archive.barrier import Barrier
    from airflow_provider_chista.archive.topic import Kafka


class Share(StrEnum):
    """What one task drains: a partition of a table's topic, or all of them."""

    PARTITION = "partition"
    TABLE = "table"


def shares(
    kafka: Kafka,
    prefix: str,
    tables: Mapping[str, str],
    barrier: Barrier | None = None,
    by: Share = Share.PARTITION,
    warn: Callable[[str], None] = lambda message: None,
) -> list[dict[str, Any]]:
    """Shares in the order of the tables: ``table``, ``target``, and ``partitions``, which is None for all of them.

    Partitions are those of the barrier, or else those of now. A share without records is listed too: its drain records that
    the partition was begun. A topic that does not exist yet, or that may not be looked at, is one share; draining it gives
    the reason, without holding the other tables.

    :param tables: source table to archive table.
    :param warn: takes a line about a topic that could not be looked at.
    :raises FatalError: the barrier does not cover a table.
    :raises TransientError: Kafka did not answer.
    """
    found: list[dict[str, Any]] = []
    for name, target in tables.items():
        table, archive = TableId.parse(name), TableId.parse(target)
        partitions = _partitions(kafka, topic_name(prefix, table), barrier, warn)
        split = by is Share.PARTITION and len(partitions) > 1
        found += [
            {"table": str(table), "target": str(archive), "partitions": each}
            for each in ([[partition] for partition in partitions] if split else [None])
        ]
    return found


def _partitions(kafka: Kafka, topic: str, barrier: Barrier | None, warn: Callable[[str], None]) -> list[int]:
    if barrier is not None:
        if topic not in barrier.ends:
            raise FatalError(
                f"the barrier does not cover {topic}, only {', '.join(sorted(barrier.ends))}; name the table in the "
                "tables of the SourceCapturedSensor, or drain it by a barrier of its own"
            )
        return sorted(barrier.ends[topic])
    try:
        state = kafka.describe_existing([topic]).get(topic)
    except FatalError as error:
        warn(f"{topic} is listed without its partitions: {error}")
        return []
    if state is None:
        warn(f"{topic} does not exist yet; it is listed without partitions")
    return sorted(state.ends) if state else []
