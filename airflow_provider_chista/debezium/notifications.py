"""How a connector's snapshots go, read from its notification topic.

Debezium 3.5 announces a snapshot (``STARTED``), each table (``IN_PROGRESS``, ``TABLE_SCAN_COMPLETED`` with a status and
a number of rows) and its end (``COMPLETED``, ``ABORTED``). Notifications of initial and blocking snapshots carry random ids
and belong together by their order.

Those of incremental snapshots carry the id of the newest signal that the connector has read. Tables of a signal that comes
while a snapshot runs queue up behind it, and everything from ``STARTED`` to ``COMPLETED`` is one run: a request belongs to
the run in which its id, or that of a later one, was first seen, and is done when that run has ended.

An incremental snapshot of a table that could not be read ends with ``COMPLETED`` too: only the table's own status
tells, which is why a table that was never reported counts as failed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import msgspec

from airflow_provider_chista.model import TableId

State = Literal["unknown", "running", "completed", "failed"]

STATUSES: dict[str, str | None] = {
    "SUCCEEDED": None,
    "EMPTY": None,
    "SQL_EXCEPTION": "the connector could not read the table; its log has the SQL error",
    "NO_PRIMARY_KEY": "the table has no primary key, which an incremental snapshot needs",
    "UNKNOWN_SCHEMA": "the connector does not know the table; check its name and that the connector captures it",
    "SKIPPED": "the connector's snapshot.mode leaves the rows out",
    "NOT_SCANNED": "the snapshot ended without reading the table; check that the connector captures it",
    "ABORTED": "the snapshot was aborted; the connector's log has the reason",
}
"""What each status of a table's scan means; None for those that mean success. The last two are ours."""


@dataclass(frozen=True, slots=True)
class TableSnapshot:
    """How far the snapshot of one table is.

    :param state: ``unknown`` when no notification named the table.
    :param rows: rows read, once the table's scan has ended.
    :param status: Debezium's status of the table's scan, or ``NOT_SCANNED`` or ``ABORTED``.
    :param last_key: last key read so far, incremental snapshots only; for logs.
    """

    state: State
    rows: int | None = None
    status: str | None = None
    last_key: str | None = None

    def explain(self) -> str:
        """The state in words, with the cause when it failed."""
        if self.state == "completed":
            return f"completed, {self.rows} rows"
        if self.state == "failed":
            return f"failed with {self.status}: {STATUSES.get(self.status or '') or 'see the log of the connector'}"
        return self.state + (f", last key {self.last_key}" if self.last_key else "")


UNKNOWN = TableSnapshot("unknown")


class _Notification(msgspec.Struct):
    id: str
    type: str
    aggregate_type: str
    additional_data: dict[str, str | None] | None = None

    def detail(self, name: str) -> str:
        return (self.additional_data or {}).get(name) or ""

    def tables(self) -> list[str]:
        return [name for name in self.detail("data_collections").split(",") if name]


@dataclass
class _Run:
    """One snapshot: its tables, and whether it has ended."""

    tables: dict[str, TableSnapshot] = field(default_factory=dict)
    ended: bool = False

    def apply(self, note: _Notification) -> None:
        if note.type in ("STARTED", "IN_PROGRESS"):
            self.ended = False
            for name in note.tables():
                self.tables.setdefault(name, TableSnapshot("running"))
        if note.type == "IN_PROGRESS" and (name := note.detail("current_collection_in_progress")):
            key = note.detail("last_processed_key") or None
            self.tables[name] = TableSnapshot("running", last_key=key)
        elif note.type == "TABLE_SCAN_COMPLETED":
            status = note.detail("status")
            rows = note.detail("total_rows_scanned")
            self.tables[note.detail("scanned_collection")] = TableSnapshot(
                "completed" if status in STATUSES and STATUSES[status] is None else "failed",
                int(rows) if rows else None,
                status,
            )
        elif note.type in ("COMPLETED", "ABORTED"):
            self.ended = True
            status = "NOT_SCANNED" if note.type == "COMPLETED" else "ABORTED"
            for name, table in self.tables.items():
                if table.state == "running" or (status == "ABORTED" and table.state == "completed"):
                    self.tables[name] = TableSnapshot("failed", table.rows, status)

    def table(self, name: str) -> TableSnapshot:
        """Completed only once the whole snapshot has: one that starts over reads its tables again."""
        found = self.tables.get(name, UNKNOWN)
        return replace(found, state="running") if found.state == "completed" and not self.ended else found


class SnapshotLog:
    """Folds the notifications of one connector, added in the order of their topic."""

    def __init__(self) -> None:
        self._requests: dict[str, tuple[int, _Run]] = {}
        self._incremental: _Run | None = None
        self._initial: dict[str, TableSnapshot] = {}
        self._current: _Run | None = None
        self._decoder: msgspec.json.Decoder[_Notification] = msgspec.json.Decoder(_Notification)

    def add(self, value: bytes | str | None) -> bool:
        """Take one record's value; False when it is not about a snapshot."""
        try:
            note = self._decoder.decode(value or b"null")
        except (msgspec.DecodeError, UnicodeDecodeError):
            return False
        if note.aggregate_type == "Incremental Snapshot":
            self._add_incremental(note)
        elif note.aggregate_type == "Initial Snapshot":
            self._add_initial(note)
        else:
            return False
        return True

    def _add_incremental(self, note: _Notification) -> None:
        run = self._incremental or _Run()
        self._requests.setdefault(note.id, (len(self._requests), run))
        run.apply(note)
        self._incremental = None if run.ended else run

    def _add_initial(self, note: _Notification) -> None:
        if note.type == "STARTED" or self._current is None:
            # What a run that never ended has read is read again by this one.
            self._current = _Run()
        run = self._current
        run.apply(note)
        if run.ended:
            self._initial.update(run.tables)
            self._current = None
        elif note.type == "SKIPPED":
            self._current = None

    def table(self, table: TableId, signal_id: str | None = None, later: Sequence[str] = ()) -> TableSnapshot:
        """State of one table's snapshot.

        :param signal_id: id of the signal that asked for it; None asks about initial and blocking snapshots only, since
            an incremental one may have been limited to some rows.
        :param later: ids of the signals that came after it; one of them may have taken its place in the notifications.
        """
        name = str(table)
        if signal_id is not None:
            if signal_id in self._requests:
                return self._requests[signal_id][1].table(name)
            seen = [self._requests[each] for each in later if each in self._requests]
            return min(seen, key=lambda request: request[0])[1].table(name) if seen else UNKNOWN
        if self._current is not None and (name in self._current.tables or not self._current.tables):
            found = self._current.table(name)
            return found if found.state != "unknown" else TableSnapshot("running")
        return self._initial.get(name, UNKNOWN)
