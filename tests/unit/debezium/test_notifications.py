from __future__ import annotations

import json
from pathlib import Path

import pytest

from airflow_provider_chista.debezium.notifications import SnapshotLog
from airflow_provider_chista.model import TableId

RECORDS = Path(__file__).parents[2] / "data" / "notifications_mysql.jsonl"
ORDERS, LOG = TableId("gold_my", "orders"), TableId("gold_my", "chista_purge_log")


def recorded(first: int, last: int) -> list[str]:
    """Values of real notifications (Debezium 3.5, MySQL) between two offsets, both included."""
    lines = [json.loads(line) for line in RECORDS.read_text().splitlines()]
    return [line["value"] for line in lines if first <= line["offset"] <= last]


def folded(values: list[str]) -> SnapshotLog:
    log = SnapshotLog()
    for value in values:
        assert log.add(value)
    return log


def note(kind: str, aggregate: str = "Initial Snapshot", signal: str = "random", **data: str) -> str:
    return json.dumps(
        {"id": signal, "type": kind, "aggregate_type": aggregate, "additional_data": data, "timestamp": 1}
    )


def scanned(table: TableId, rows: int, status: str = "SUCCEEDED", **more: str) -> str:
    return note(
        "TABLE_SCAN_COMPLETED",
        scanned_collection=str(table),
        total_rows_scanned=str(rows),
        status=status,
        **more,
    )


def in_progress(*tables: TableId) -> str:
    return note(
        "IN_PROGRESS",
        current_collection_in_progress=str(tables[0]),
        data_collections=",".join(map(str, tables)),
    )


@pytest.mark.parametrize(
    ("last", "orders", "log"),
    [
        (0, "running", "running"),
        (1, "running", "running"),
        (2, "running", "running"),
        (6, "running", "running"),
        (55, "completed, 60 rows", "completed, 0 rows"),
    ],
    ids=["announced", "first table begun", "first table read", "second table read", "ended"],
)
def test_an_initial_snapshot_completes_its_tables_when_it_ends(last, orders, log):
    snapshots = folded(recorded(0, last))
    assert snapshots.table(ORDERS).explain() == orders
    assert snapshots.table(LOG).explain() == log
    assert snapshots.table(ORDERS).rows == (60 if last >= 6 else None)


def test_a_table_that_no_notification_names_is_unknown():
    assert folded(recorded(0, 55)).table(TableId("gold_my", "other")).state == "unknown"
    assert folded(recorded(0, 55)).table(ORDERS, "no-such-signal").state == "unknown"


def test_an_incremental_snapshot_is_found_by_its_signal():
    values = recorded(56, 59)
    signal = json.loads(values[0])["id"]
    steps = [folded(values[: count + 1]).table(ORDERS, signal).explain() for count in range(4)]
    assert steps == ["running", "running, last key 39", "running", "completed, 9 rows"]
    assert folded(values).table(ORDERS).state == "unknown"


@pytest.mark.parametrize(
    ("offsets", "table", "message"),
    [
        ((76, 78), "gold_my.t_nokey", "failed with NO_PRIMARY_KEY: the table has no primary key"),
        (
            (83, 85),
            "gold_my.no_such_table",
            "failed with UNKNOWN_SCHEMA: the connector does not know the table",
        ),
    ],
)
def test_an_incremental_snapshot_that_completed_without_the_table_has_failed(offsets, table, message):
    values = recorded(*offsets)
    state = folded(values).table(TableId.parse(table), json.loads(values[0])["id"])
    assert state.state == "failed"
    assert state.explain().startswith(message)


def test_a_blocking_snapshot_with_a_wrong_filter_has_failed():
    state = folded([*recorded(0, 55), *recorded(64, 67)]).table(ORDERS)
    assert state.explain() == (
        "failed with SQL_EXCEPTION: the connector could not read the table; its log has the SQL error"
    )


def test_an_empty_table_of_an_incremental_snapshot_is_complete():
    signal = {"aggregate": "Incremental Snapshot", "signal": "s1"}
    values = [
        note("STARTED", data_collections=str(ORDERS), **signal),
        scanned(ORDERS, 0, "EMPTY", **signal),
        note("COMPLETED", **signal),
    ]
    assert folded(values).table(ORDERS, "s1").explain() == "completed, 0 rows"


def test_a_requested_table_that_was_never_scanned_has_failed():
    signal = {"aggregate": "Incremental Snapshot", "signal": "s1"}
    values = [note("STARTED", data_collections=str(ORDERS), **signal), note("COMPLETED", **signal)]
    assert folded(values).table(ORDERS, "s1").status == "NOT_SCANNED"


def test_a_snapshot_that_broke_off_begins_again_and_reads_every_table_again():
    broken = [note("STARTED"), in_progress(ORDERS, LOG), scanned(ORDERS, 60)]
    assert folded([*broken, note("STARTED")]).table(ORDERS).explain() == "running"
    again = [*broken, note("STARTED"), in_progress(LOG, ORDERS), scanned(LOG, 0)]
    assert folded(again).table(ORDERS).explain() == "running"
    assert (
        folded([*again, scanned(ORDERS, 61), note("COMPLETED")]).table(ORDERS).explain()
        == "completed, 61 rows"
    )


def test_an_aborted_snapshot_fails_the_tables_it_read():
    values = [note("STARTED"), in_progress(ORDERS), scanned(ORDERS, 60), note("ABORTED")]
    assert folded(values).table(ORDERS).explain().startswith("failed with ABORTED")


def test_a_connector_restarted_after_its_snapshot_keeps_what_it_completed():
    values = [note("STARTED"), in_progress(ORDERS), scanned(ORDERS, 60), note("COMPLETED"), note("SKIPPED")]
    assert folded(values).table(ORDERS).explain() == "completed, 60 rows"


def test_a_snapshot_of_other_tables_does_not_touch_a_completed_one():
    values = [note("STARTED"), in_progress(ORDERS), scanned(ORDERS, 60), note("COMPLETED")]
    assert (
        folded([*values, note("STARTED"), in_progress(LOG)]).table(ORDERS).explain() == "completed, 60 rows"
    )


@pytest.mark.parametrize("value", [None, b"", b"no json", b"{}", b"\xff", note("RESUMED", "Streaming")])
def test_what_is_no_snapshot_notification_is_passed_over(value):
    assert SnapshotLog().add(value) is False
