"""Requests for incremental snapshots that come while one runs: notifications carry the id of the newest only.

The sequences are those that Debezium 3.5 sends, shortened to what is read of them.
"""

from __future__ import annotations

import json

import pytest

from airflow_provider_chista.debezium.notifications import SnapshotLog
from airflow_provider_chista.model import TableId

Note = tuple[str, str, str]
"""Id, type, table."""

OVERTAKEN: tuple[Note, ...] = (
    ("a1", "STARTED", "a"),
    ("a1", "IN_PROGRESS", "a"),
    # Requests b1 and c1 have come meanwhile.
    ("c1", "TABLE_SCAN_COMPLETED", "a"),
    ("c1", "IN_PROGRESS", "b"),
    ("c1", "TABLE_SCAN_COMPLETED", "b"),
    ("c1", "IN_PROGRESS", "c"),
    ("c1", "TABLE_SCAN_COMPLETED", "c"),
    ("c1", "COMPLETED", ""),
)
NEXT: tuple[Note, ...] = (
    ("b2", "STARTED", "b"),
    ("b2", "IN_PROGRESS", "b"),
    ("b2", "TABLE_SCAN_COMPLETED", "b"),
    ("b2", "COMPLETED", ""),
)


def log(notes: tuple[Note, ...]) -> SnapshotLog:
    made = SnapshotLog()
    for signal, kind, name in notes:
        table = f"s.{name}"
        data = {
            "STARTED": {"data_collections": table},
            "IN_PROGRESS": {"data_collections": table, "current_collection_in_progress": table},
            "TABLE_SCAN_COMPLETED": {
                "scanned_collection": table,
                "status": "SUCCEEDED",
                "total_rows_scanned": "2",
            },
            "COMPLETED": {},
        }[kind]
        note = {
            "id": signal,
            "type": kind,
            "aggregate_type": "Incremental Snapshot",
            "additional_data": data,
        }
        assert made.add(json.dumps(note))
    return made


@pytest.mark.parametrize(
    ("name", "signal", "later"),
    [("a", "a1", ["b1", "c1"]), ("b", "b1", ["c1"]), ("c", "c1", [])],
    ids=["the first", "one that was overtaken at once", "the last"],
)
def test_a_request_is_done_when_the_run_that_took_it_has_ended(
    name: str, signal: str, later: list[str]
) -> None:
    table = TableId("s", name)
    states = [log(OVERTAKEN[:count]).table(table, signal, later).state for count in range(3, 9)]
    assert set(states[:-1]) <= {"running", "unknown"}
    assert states[-1] == "completed"


def test_an_overtaken_request_is_unknown_without_those_that_came_later() -> None:
    assert log(OVERTAKEN).table(TableId("s", "b"), "b1").state == "unknown"


def test_a_request_behind_a_run_is_not_answered_by_it() -> None:
    table = TableId("s", "b")
    assert log(OVERTAKEN).table(table, "b2").state == "unknown"
    assert log((*OVERTAKEN, *NEXT[:2])).table(table, "b2").state == "running"
    assert log((*OVERTAKEN, *NEXT)).table(table, "b2").state == "completed"
    assert log((*OVERTAKEN, *NEXT[:2])).table(table, "b1", ["c1", "b2"]).state == "completed"


def test_a_table_whose_scan_ended_waits_for_the_end_of_the_run() -> None:
    assert log(OVERTAKEN[:5]).table(TableId("s", "b"), "c1").state == "running"
