"""The barrier: ClickHouse can hold everything that was committed at the source before now.

Debezium's committed offset alone stays one transaction behind on an idle MySQL or MariaDB, and a marker row alone proves
nothing about topics on other brokers. Together they are strict:

1. write a marker row in its own transaction, then read the source's position;
2. write again (the marker's position, later nudges), so that the connector's committed offset moves on;
3. wait until that offset is at or beyond the position: Kafka Connect commits an offset only after every record
   before it was acknowledged;
4. see the marker in its own topic, then read the end offsets of the data topics.

Draining to these ends brings everything into ClickHouse that was committed before the marker. Each step is recorded in the
marker row at the source, so :func:`advance` can be called from any process.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from airflow_provider_chista.archive.topic import Kafka, TopicMissingError, TopicState
from airflow_provider_chista.debezium.avro import AvroReader
from airflow_provider_chista.debezium.config import captures, control_topic
from airflow_provider_chista.debezium.connect import KafkaConnectClient
from airflow_provider_chista.debezium.offsets import reached
from airflow_provider_chista.errors import ChistaError, FatalError, TransientError
from airflow_provider_chista.sources.base import Source

_TAIL = 5_000
"""Records at the end of the marker topic among which the marker must be."""


class ConnectorFailedError(TransientError):
    """The connector, or one of its tasks, was FAILED; it was restarted."""


@dataclass(frozen=True, slots=True)
class Barrier:
    """End offsets, by topic and partition, that cover everything committed before the marker.

    A topic without partitions did not exist: Kafka Connect creates a topic with the table's first event.
    """

    ends: dict[str, dict[int, int]]

    def to_json(self) -> dict[str, Any]:
        """As JSON values, for XCom."""
        return {topic: {str(p): offset for p, offset in ends.items()} for topic, ends in self.ends.items()}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Barrier:
        """The barrier of :meth:`to_json`."""
        return cls(
            {topic: {int(p): int(offset) for p, offset in ends.items()} for topic, ends in value.items()}
        )


@dataclass(frozen=True, slots=True)
class Capture:
    """One connector and the systems around it.

    :param connector: the connector's name; :param prefix: its ``topic.prefix``.
    :param avro: reads its records in Avro; None: they are JSON.
    """

    source: Source
    connect: KafkaConnectClient
    kafka: Kafka
    connector: str
    prefix: str
    avro: AvroReader | None = None

    @property
    def marker_topic(self) -> str:
        """Topic of the marker table."""
        return control_topic(self.prefix, "marker")


def advance(capture: Capture, marker_id: str, topics: Sequence[str]) -> Barrier | None:
    """Take the next step; the barrier once it stands, None while it does not.

    :param marker_id: names this wait; the same from step to step.
    :raises FatalError: the connector does not exist, or does not capture the marker table.
    :raises ConnectorFailedError: the connector had failed, and was restarted.
    :raises TransientError: a service did not answer.
    """
    marker = capture.source.read_marker(marker_id)
    if marker is None:
        capture.source.write_marker(marker_id, uuid.uuid4().hex)
    if marker is None or marker.position is None:
        capture.source.mark_position(marker_id, capture.source.position())
        return None
    require_running(capture.connect, capture.connector)
    offset = capture.connect.offsets(capture.connector)
    if offset is None or not reached(capture.source.flavour, offset, marker.position):
        capture.source.nudge(marker_id)
        return None
    states = capture.kafka.describe_existing([*topics, capture.marker_topic])
    _require_marker(capture, states.get(capture.marker_topic), marker.token)
    _require_captured(capture, [topic for topic in topics if topic not in states])
    capture.source.delete_marker(marker_id)
    return Barrier({topic: dict(states[topic].ends) if topic in states else {} for topic in topics})


def wait(
    capture: Capture,
    topics: Sequence[str],
    *,
    timeout: float,
    stopped: Callable[[], bool] = lambda: False,
    poll_seconds: float = 0.5,
) -> Barrier:
    """Block until the barrier stands, at most ``timeout`` seconds.

    :raises TransientError: the connector did not reach it in time.
    """
    marker_id, deadline = uuid.uuid4().hex, time.monotonic() + timeout
    try:
        while time.monotonic() < deadline and not stopped():
            barrier = advance(capture, marker_id, topics)
            if barrier:
                return barrier
            time.sleep(poll_seconds)
    except ChistaError:
        _forget(capture, marker_id)
        raise
    _forget(capture, marker_id)
    raise TransientError(
        f"connector {capture.connector} did not pass the marker within {timeout:.0f} seconds; it is running but behind. Look "
        "at its lag, raise the timeout"
    )


def _forget(capture: Capture, marker_id: str) -> None:
    """Remove the marker of a wait that was given up; the reason for giving up matters more than a row left behind."""
    with suppress(ChistaError):
        capture.source.delete_marker(marker_id)


def require_running(connect: KafkaConnectClient, connector: str) -> None:
    """Raise :class:`ConnectorFailedError` when the connector or one of its tasks has failed, with the causes of its trace.

    What failed is restarted first: a source or a broker that was away for a while needs no hand, and a retry of the task
    finds the connector running; a lasting cause fails every retry with its trace.
    """
    status = connect.status(connector)
    if status.failed:
        connect.restart(connector)
        raise ConnectorFailedError(
            f"{status.explain()}. Its failed tasks were restarted; if they fail again, mend the cause that the trace names"
        )


def _require_captured(capture: Capture, missing: Sequence[str]) -> None:
    """A captured table without any event has no topic yet; a table that is not captured never gets one."""
    if not missing:
        return
    config = capture.connect.config(capture.connector) or {}
    for topic in missing:
        if not captures(config, topic):
            raise TopicMissingError(
                f"topic {topic} does not exist, and connector {capture.connector} does not capture its table "
                f"(table.include.list is {config.get('table.include.list', '')!r}); add the table to the connector"
            )


def _require_marker(capture: Capture, state: TopicState | None, token: str) -> None:
    if state is None:
        state = TopicState(capture.marker_topic, "", "", {}, {})
    ranges = {p: (max(state.lows[p], end - _TAIL), end) for p, end in state.ends.items()}
    wanted = token.encode()
    for records in capture.kafka.read(state.name, ranges):
        if any(wanted in (record.value or b"") for record in records):
            return
    raise FatalError(
        f"connector {capture.connector} has passed the marker, but it is not in {state.name}; add chista.marker to the "
        "connector's table.include.list (and to the publication on PostgreSQL)"
    )
