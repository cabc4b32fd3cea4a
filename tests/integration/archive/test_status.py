"""What the ledger's entries make of windows and tables."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from airflow_provider_chista.archive import status
from airflow_provider_chista.archive.ledger import Author, Ledger, Stage, batch_of
from airflow_provider_chista.archive.window import parse_bound
from airflow_provider_chista.clickhouse.control import Control
from airflow_provider_chista.errors import FatalError
from airflow_provider_chista.model import TableId, Window
from tests.integration.support import services

TARGET = TableId("archive", "orders")


@pytest.fixture(scope="module")
def control() -> Iterator[Control]:
    with services.databases(services.clickhouse()) as (_, made):
        yield made


def record(control: Control, day: int, *entries: tuple[Stage, str, int], run: str = "scheduled") -> None:
    window = Window("day", parse_bound(f"2024-01-{day:02}"), parse_bound(f"2024-01-{day + 1:02}"))
    ledger = Ledger(control, "mysql:app.orders", TARGET, window, Author("orders", run, "t", 1))
    for stage, verify_id, rows in entries:
        batch = batch_of(verify_id) if stage in (Stage.INTENT, Stage.DELETED, Stage.SEALED) else ""
        ledger.record(stage, verify_id=verify_id, batch_id=batch, rows=rows)


def test_windows_have_the_stage_that_they_reached_and_tables_their_sums(control: Control) -> None:
    purged = ((Stage.VERIFIED, 10), (Stage.APPROVED, 0), (Stage.INTENT, 10), (Stage.DELETED, 9))
    record(control, 1, *((stage, "a", rows) for stage, rows in purged), run="first")
    # A try that repeats the end of a purge counts once, and a check behind the seal is no stage of the window.
    record(control, 1, (Stage.DELETED, "a", 9), (Stage.SEALED, "a", 9), (Stage.CHECKED, "c", 3), run="second")
    record(control, 2, *((stage, "b", rows) for stage, rows in purged))
    record(control, 3, (Stage.VERIFIED, "d", 5), (Stage.MISMATCHED, "e", 6))
    record(control, 4, (Stage.MISMATCHED, "f", 7), (Stage.VERIFIED, "g", 7))
    record(control, 5, (Stage.CHECKED, "h", 8))
    Ledger(control, "mysql:app.orders", TARGET, None).record(Stage.AUDITED, verify_id="i", rows=18)
    Ledger(control, "mysql:app.items", TableId("archive", "items"), None).record(
        Stage.VERIFIED, verify_id="j"
    )

    windows = status.windows(control, TARGET)
    assert [(w.window[12:14], w.state, w.proven, w.purged, w.sealed, w.run_id) for w in windows] == [
        ("04", "verified", 7, 0, 0, "scheduled"),
        ("03", "mismatched", 5, 0, 0, "scheduled"),
        ("02", "deleted", 10, 9, 0, "scheduled"),
        ("01", "sealed", 10, 9, 9, "second"),
    ]
    assert (windows[-1].verify_id, windows[-1].batch_id) == ("a", batch_of("a"))
    assert [w.state for w in status.windows(control, TARGET, state="sealed")] == ["sealed"]
    assert [w.window for w in status.windows(control, TARGET, limit=2)] == [w.window for w in windows[:2]]

    items, orders = status.tables(control)
    assert (items.target, items.source, items.windows) == ("archive.items", "mysql:app.items", 1)
    assert status.tables(control, TARGET)[0].target == orders.target
    assert (orders.windows, orders.purged, orders.sealed) == (4, 18, 9)
    assert (orders.mismatched, orders.unsealed) == (1, 1)
    assert orders.proven_at is not None
    assert orders.proof_age is not None
    assert 0 <= orders.proof_age.total_seconds() < 60
    with pytest.raises(FatalError, match=r"does not know archive\.customers"):
        status.tables(control, TableId("archive", "customers"))
