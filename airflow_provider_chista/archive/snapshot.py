"""Whether the rows that were there before the connector have all been sent: its snapshots, table by table.

The connector announces snapshots in its notification topic. What was seen completed is remembered in ClickHouse, since
that topic may forget. A table that was added to a running connector is in none of its snapshots: it is asked for by an
incremental snapshot signal, once. So is a table that has to be read again, once per label: the id of its signal follows from
the label, so that every look, retry and run with that label means the same request. The rows of one window are asked for
in the same way, and their window belongs to the label.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial

import msgspec

from airflow_provider_chista.archive import window as windows
from airflow_provider_chista.archive.barrier import Capture, require_running
from airflow_provider_chista.archive.topic import TopicMissingError
from airflow_provider_chista.clickhouse.control import Control
from airflow_provider_chista.debezium.avro import framed, refuse_avro
from airflow_provider_chista.debezium.config import control_topic, notification_topic
from airflow_provider_chista.debezium.notifications import SnapshotLog, TableSnapshot
from airflow_provider_chista.debezium.offsets import snapshot_running
from airflow_provider_chista.errors import FatalError
from airflow_provider_chista.model import TableId, Window


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


def advance(
    capture: Capture,
    control: Control,
    tables: Sequence[TableId],
    again: str | None = None,
    window: Window | None = None,
) -> SnapshotStatus:
    """Look at the snapshots of the tables, and ask for those that no snapshot covers.

    :param again: label of a request to read the tables again, whatever snapshots they had: asked for where no request had
        this label yet, and the state is that of this request. None: any snapshot will do.
    :param window: reads only the rows of this window, by a request of its own whatever the label.
    :raises FatalError: a table's snapshot has failed; the message says why.
    :raises ConnectorFailedError: the connector had failed, and was restarted.
    """
    require_running(capture.connect, capture.connector)
    offset = capture.connect.offsets(capture.connector)
    streaming = offset is not None and not snapshot_running(offset)
    log = notifications(capture)
    remembered = _remembered(control, capture.connector)
    look = _Look(capture, control, log, streaming, cache(partial(_signals, capture)), window)
    label = "\x1f".join([*([again] if again else []), *([windows.name(window)] if window else [])])
    states = {
        str(table): look.labelled(table, remembered.get(str(table)), label)
        if label
        else look.whatever(table, remembered.get(str(table)))
        for table in tables
    }
    return SnapshotStatus(states)


@dataclass(frozen=True, slots=True)
class _Memory:
    """What the state table remembers of a table: the last request, or an initial snapshot that was seen completed."""

    state: str
    signal_id: str
    rows: int


@dataclass(frozen=True, slots=True)
class _Look:
    """One look at the snapshots.

    :param streaming: whether the connector streams, so that it reads signals and its initial snapshot is over.
    :param signals: ids of the requests that the connector has read, in their order.
    :param window: of the rows that are asked for.
    """

    capture: Capture
    control: Control
    log: SnapshotLog
    streaming: bool
    signals: Callable[[], list[str]]
    window: Window | None = None

    def whatever(self, table: TableId, known: _Memory | None) -> TableSnapshot:
        """State of whatever snapshot covers the table."""
        state = self.log.table(table)
        if state.state == "completed" and known and known.signal_id and known.state != "completed":
            # A request is under way; what it comes to is for whoever waits for it.
            return state
        return self._settled(table, known, state, new_id=uuid.uuid4().hex)

    def labelled(self, table: TableId, known: _Memory | None, label: str) -> TableSnapshot:
        """State of the request with a label."""
        first = signal_of(self.capture.connector, table, label)
        if known is None or not known.signal_id.startswith(first):
            # Another request, or none, is remembered; one with this label may be older than that.
            known = _Memory("", first, 0)
        return self._settled(
            table, known, self._of(table, known.signal_id), new_id=f"{first}-{uuid.uuid4().hex[:8]}"
        )

    def _settled(
        self, table: TableId, known: _Memory | None, state: TableSnapshot, new_id: str
    ) -> TableSnapshot:
        """Remember what the notifications tell, and ask for what nobody asked for."""
        signal_id = known.signal_id if known else ""
        if state.state == "unknown" and signal_id:
            state = self._of(table, signal_id)
        if state.state == "completed":
            if not known or known.state != "completed":
                self._remember(table, "completed", signal_id, state.rows or 0)
            return state
        if state.state == "failed":
            if known and known.state == "failed" and self.streaming:
                # It was reported; whatever was mended since, a new request finds out.
                return self._request(table, known, new_id)
            if known:
                self._remember(table, "failed", signal_id, 0)
            raise FatalError(
                f"the snapshot of {table} by connector {self.capture.connector} {state.explain()}"
            )
        if state.state == "unknown" and self.streaming:
            if known and known.state == "completed":
                return TableSnapshot("completed", known.rows)
            # A request that was remembered may have died before it was sent; the same id twice asks once.
            return self._request(table, known, signal_id or new_id)
        return state

    def _of(self, table: TableId, signal_id: str) -> TableSnapshot:
        """State of a request; where no notification has its id, a later request may have taken its place."""
        state = self.log.table(table, signal_id)
        if state.state == "unknown" and signal_id in (signals := self.signals()):
            state = self.log.table(table, signal_id, signals[signals.index(signal_id) :])
        return state

    def _request(self, table: TableId, known: _Memory | None, signal_id: str) -> TableSnapshot:
        if known != _Memory("requested", signal_id, 0):
            self._remember(table, "requested", signal_id, 0)
        source = self.capture.source
        condition = source.window_filter(table, self.window) if self.window else None
        source.request_snapshot(signal_id, [table], condition)
        return TableSnapshot("running")

    def _remember(self, table: TableId, state: str, signal_id: str, rows: int) -> None:
        told = {"connector": self.capture.connector, "table_name": str(table), "state": state}
        self.control.insert("snapshots", [{**told, "signal_id": signal_id, "rows": rows}])


def signal_of(connector: str, table: TableId, label: str) -> str:
    """Id of the signal by which a label's request is made; a repeated request after a failure has it as the first part."""
    return uuid.uuid5(_LABELS, "\x1f".join((connector, str(table), label))).hex


_LABELS = uuid.UUID("6f1d0c7e-2f0b-4b43-9c53-0f6a5d8a4f7b")


def notifications(capture: Capture) -> SnapshotLog:
    """What the connector has told of its snapshots so far."""
    log = SnapshotLog()
    for value in _values(capture, notification_topic(capture.prefix)):
        log.add(value)
    return log


class _Signal(msgspec.Struct):
    id: str
    type: str


class _Event(msgspec.Struct):
    op: str
    after: _Signal | None = None


def _signals(capture: Capture) -> list[str]:
    """Ids of the requests for snapshots that the connector has read from its signal table, in their order."""
    decoder, found = msgspec.json.Decoder(_Event), []
    for value in _values(capture, control_topic(capture.prefix, "signal")):
        event = decoder.decode(value)
        if event.op == "c" and event.after and event.after.type == "execute-snapshot":
            found.append(event.after.id)
    return found


def _values(capture: Capture, topic: str) -> Iterator[bytes]:
    """Values of a topic's records up to its end of now, as JSON; none when it does not exist."""
    try:
        state = capture.kafka.describe(topic)
    except TopicMissingError:
        return
    for records in capture.kafka.read(topic, {p: (state.lows[p], end) for p, end in state.ends.items()}):
        values = [value for value in records.values if value is not None]
        if not capture.avro:
            refuse_avro([value for value in values if framed(value)])
        for value in values:
            # What the connector wrote before its format was changed stays as it is.
            yield capture.avro.text(value) if capture.avro and framed(value) else value


def _remembered(control: Control, connector: str) -> dict[str, _Memory]:
    rows = control.rows(
        f"SELECT table_name, state, signal_id, rows FROM {control.name('snapshots')} FINAL"
        " WHERE connector = {connector:String}",
        {"connector": connector},
    )
    return {row["table_name"]: _Memory(row["state"], row["signal_id"], row["rows"]) for row in rows}
