"""What the sensors wait for, as plain functions of JSON values.

A sensor calls its check in ``poke``; deferred, the trigger calls the same check by name. Arguments are names and
connection ids, never secrets.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from airflow_provider_chista.archive import barrier, positions, snapshot
from airflow_provider_chista.archive import window as windows
from airflow_provider_chista.archive.ledger import Author
from airflow_provider_chista.archive.topic import TopicMissingError
from airflow_provider_chista.debezium.config import topic_name
from airflow_provider_chista.hooks.services import Connections
from airflow_provider_chista.model import TableId, Window, describe


@dataclass(frozen=True, slots=True)
class Checked:
    """Outcome of one look.

    :param done: whether the wait is over; :param value: JSON value for XCom then; :param seen: for the log.
    """

    done: bool
    seen: str
    value: Any = None


def connector_running(connections: Connections, *, connector: str) -> Checked:
    """The connector and all its tasks run; a failed one is restarted and its causes are an error."""
    with connections.opened() as services:
        barrier.require_running(services.connect, connector)
        status = services.connect.status(connector)
    return Checked(status.running, status.explain(), status.state)


def snapshot_completed(
    connections: Connections,
    *,
    connector: str,
    topic_prefix: str,
    tables: list[str],
    again: str | None = None,
    window: list[str] | None = None,
) -> Checked:
    """Every table's rows have been sent; a table that no snapshot covers is asked for by a signal.

    :param again: label of a request to read the tables again.
    :param window: time column, start and end (ISO-8601 UTC) of the rows to read; None: all.
    """
    with connections.opened() as services:
        status = snapshot.advance(
            services.capture(connector, topic_prefix),
            services.control,
            [TableId.parse(table) for table in tables],
            again,
            _window(window),
        )
    return Checked(status.completed, str(status), status.rows())


def source_captured(
    connections: Connections,
    *,
    connector: str,
    topic_prefix: str,
    tables: list[str],
    marker_id: str,
) -> Checked:
    """The barrier stands; its end offsets are the value."""
    parsed = [TableId.parse(table) for table in [*tables, "chista.purge_log"]]
    with connections.opened() as services:
        taken = barrier.advance(
            services.capture(connector, topic_prefix),
            marker_id,
            [topic_name(topic_prefix, table) for table in parsed],
        )
    if taken is None:
        return Checked(False, f"connector {connector} has not passed the marker yet")
    return Checked(
        True, f"everything committed before the marker is before {taken.to_json()}", taken.to_json()
    )


def topic_drained(
    connections: Connections, *, topic: str, target: str, ends: Mapping[str, int] | None
) -> Checked:
    """The archive table's recorded positions are at the wanted ends (None: at the topic's ends of now)."""
    if ends is not None and not ends:
        return Checked(True, f"{topic} had no records at the barrier", 0)
    with connections.opened() as services:
        try:
            state = services.kafka.describe(topic)
        except TopicMissingError as error:
            return Checked(False, str(error))
        reached = positions.load(services.control, target, state)
    wanted = {int(p): int(end) for p, end in ends.items()} if ends is not None else dict(state.ends)
    left = sum(max(0, end - reached.next_offsets.get(p, 0)) for p, end in wanted.items())
    return Checked(left == 0, f"{left} offsets of {topic} are left to drain into {target}", left)


def window_verified(
    connections: Connections, *, table: str, target: str, window: list[str] | None
) -> Checked:
    """The window has a proof that no later comparison contradicts.

    :param window: time column, start and end (ISO-8601 UTC); None: the whole table.
    """
    owned = _window(window)
    with connections.opened() as services:
        proof = services.ledger(TableId.parse(table), TableId.parse(target), owned, Author()).proof()
    if proof is None:
        return Checked(False, f"{describe(owned)} of {target} has no proof yet")
    return Checked(True, f"{proof.rows} rows proven", {"verify_id": proof.verify_id, "rows": proof.rows})


def _window(given: list[str] | None) -> Window | None:
    if given is None:
        return None
    column, start, end = given
    return Window(column, windows.parse_bound(start), windows.parse_bound(end))


CHECKS: dict[str, Callable[..., Checked]] = {
    check.__name__: check
    for check in (connector_running, snapshot_completed, source_captured, topic_drained, window_verified)
}
"""Checks by the name that a trigger stores."""
