"""Whether the rows that were there before the connector have all been sent: its snapshots, table by table.

The connector announces snapshots in its notification topic. What was seen completed is remembered in ClickHouse, since
that topic may forget. A table that was added to a running connector is in none of its snapshots: it is asked for by an
incremental snapshot signal, once.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from airflow_provider_chista.archive.barrier import Capture, require_running
from airflow_provider_chista.archive.topic import TopicMissingError
from airflow_provider_chista.clickhouse.control import Control
from airflow_provider_chista.debezium.config import notification_topic
from airflow_provider_chista.debezium.notifications import SnapshotLog, TableSnapshot
from airflow_provider_chista.debezium.offsets import snapshot_running
from airflow_provider_chista.errors import FatalError
from airflow_provider_chista.model import TableId


@dataclass(frozen=True, slots=True)
class SnapshotStatus:
    """State of each table's snapshot, by table name."""

    tables: dict[str, TableSnapshot]

    @property
    def completed(self) -> bool:
        """Whether every table's rows have been sent."""
        return all(table.state == "completed" for table in self.tables.values())

    def rows(self) -> dict[str, int]:
        """Rows sent per table."""
        return {name: table.rows or 0 for name, table in self.tables.items()}

    def __str__(self) -> str:
        return "; ".join(f"{name}: {table.explain()}" for name, table in self.tables.items())


def advance(capture: Capture, control: Control, tables: Sequence[TableId]) -> SnapshotStatus:
    """Look at the snapshots of the tables, and ask for those that no snapshot covers.

    :raises FatalError: a table's snapshot has failed; the message says why.
    :raises ConnectorFailedError: the connector had failed, and was restarted.
    """
    require_running(capture.connect, capture.connector)
    offset = capture.connect.offsets(capture.connector)
    streaming = offset is not None and not snapshot_running(offset)
    log = _notifications(capture)
    remembered = _remembered(control, capture.connector)
    states: dict[str, TableSnapshot] = {}
    for table in tables:
        known = remembered.get(str(table))
        state = log.table(table)
        if state.state == "unknown" and known and known["signal_id"]:
            state = log.table(table, known["signal_id"])
        if state.state == "unknown" and known and known["state"] == "completed" and streaming:
            state = TableSnapshot("completed", known["rows"])
        elif state.state == "completed" and (not known or known["state"] != "completed"):
            _remember(
                control,
                capture.connector,
                table,
                "completed",
                known["signal_id"] if known else "",
                state.rows or 0,
            )
        elif state.state == "failed" and known and known["state"] == "failed" and streaming:
            # It was reported; whatever was mended since, a new request finds out.
            state = _request(capture, control, table)
        elif state.state == "failed":
            if known:
                _remember(control, capture.connector, table, "failed", known["signal_id"], 0)
            raise FatalError(f"the snapshot of {table} by connector {capture.connector} {state.explain()}")
        elif state.state == "unknown" and streaming and not known:
            state = _request(capture, control, table)
        states[str(table)] = state
    return SnapshotStatus(states)


def _request(capture: Capture, control: Control, table: TableId) -> TableSnapshot:
    signal_id = uuid.uuid4().hex
    _remember(control, capture.connector, table, "requested", signal_id, 0)
    capture.source.request_snapshot(signal_id, [table])
    return TableSnapshot("running")


def _notifications(capture: Capture) -> SnapshotLog:
    log, topic = SnapshotLog(), notification_topic(capture.prefix)
    try:
        state = capture.kafka.describe(topic)
    except TopicMissingError:
        return log
    for records in capture.kafka.read(topic, {p: (state.lows[p], end) for p, end in state.ends.items()}):
        for record in records:
            log.add(record.value)
    return log


def _remembered(control: Control, connector: str) -> dict[str, dict[str, Any]]:
    rows = control.rows(
        f"SELECT table_name, state, signal_id, rows FROM {control.name('snapshots')} FINAL"
        " WHERE connector = {connector:String}",
        {"connector": connector},
    )
    return {row["table_name"]: row for row in rows}


def _remember(
    control: Control, connector: str, table: TableId, state: str, signal_id: str, rows: int
) -> None:
    control.insert(
        "snapshots",
        [
            {
                "connector": connector,
                "table_name": str(table),
                "state": state,
                "signal_id": signal_id,
                "rows": rows,
            }
        ],
    )
