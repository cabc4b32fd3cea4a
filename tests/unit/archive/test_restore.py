"""Which rows a restore takes, how it cuts them into transactions, and what it says of rows that come back differently."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_chista.archive.restore import RestoreOptions, Selection, parts, size_of
from airflow_provider_chista.errors import FatalError
from airflow_provider_chista.model import Column, Kind, Table, TableId, Window
from airflow_provider_chista.sources.restoring import ArchivedRow, differing, sorted_out

WINDOW = Window("day", datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 2, 1, tzinfo=UTC))
TABLE = Table(
    TableId("app", "orders"),
    (Column("id", "int", Kind.INT32, nullable=False), Column("note", "text", Kind.TEXT, nullable=True)),
    ("id",),
)
MIB = 1024 * 1024


def row(key: int, text: str | None = "", row_hash: str = "h") -> ArchivedRow:
    return ArchivedRow(str(key), row_hash, (str(key), text))


@pytest.mark.parametrize(
    ("chosen", "said"),
    [
        ({"window": WINDOW}, "day in [2024-01-01, 2024-02-01)"),
        ({"row_keys": ("1", "2")}, "2 row keys"),
        ({"batch_id": "b-1"}, "purge batch b-1"),
    ],
)
def test_one_choice_of_rows_is_taken(chosen: dict[str, Any], said: str) -> None:
    assert str(Selection(**chosen)) == said


@pytest.mark.parametrize(
    ("chosen", "said"),
    [
        ({}, "got none; give a window"),
        ({"window": WINDOW, "batch_id": "b"}, r"got day in .* and purge batch b; give"),
        ({"row_keys": ("1",), "batch_id": "b"}, "got 1 row keys and purge batch b"),
    ],
)
def test_no_choice_and_more_than_one_are_refused(chosen: dict[str, Any], said: str) -> None:
    with pytest.raises(FatalError, match=said):
        Selection(**chosen)


def test_a_transaction_needs_a_row() -> None:
    with pytest.raises(FatalError, match="at least one row"):
        RestoreOptions(txn_size=0)


@given(st.lists(st.sampled_from([0, 1, MIB, 3 * MIB, 5 * MIB]), max_size=20), st.integers(1, 5))
def test_sub_batches_hold_every_row_once_in_order_within_rows_and_bytes(
    sizes: list[int], txn_size: int
) -> None:
    texts = {size: "x" * size for size in sizes}
    rows = [row(number, texts[size]) for number, size in enumerate(sizes)]
    cut = list(parts(rows, txn_size))
    assert [each for part in cut for each in part] == rows
    for part in cut:
        assert 1 <= len(part) <= txn_size
        assert len(part) == 1 or sum(map(size_of, part)) <= 4 * MIB


def test_rows_are_missing_equal_or_in_conflict() -> None:
    found = sorted_out([row(1), row(2), row(3)], {"2": "h", "3": "other"})
    assert (found.missing, found.equal, found.conflicts) == ({"1"}, ["2"], ["3"])


def test_columns_that_differ_are_named() -> None:
    rows = [row(1, "1:a"), row(2, None), row(3), row(4)]
    found = {"1": ("1", "1:b"), "2": ("2", "0:"), "4": ("4", "")}
    assert differing(TABLE, rows, found) == (
        "key 1 differs in note; key 2 differs in note; key 3 is not there; "
        "key 4 differs in its hash, since the archive changed"
    )
