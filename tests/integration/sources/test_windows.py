"""The rows of a window, counted and hashed by the source: half-open, by value and by bytes, and never by a collation."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from airflow_provider_chista.errors import FatalError
from airflow_provider_chista.model import Window


def keys(schema: Any, name: str, window: Window) -> list[str]:
    """Keys of the window's rows; the count must be theirs."""
    with schema.source("verify") as source:
        table = source.catalogue(schema.id(name))
        found = [key for chunk in source.hashes(table, window) for key, _ in chunk]
        assert source.count(table, window) == len(found)
        return found


def window(column: str, start: str, end: str) -> Window:
    return Window(
        column,
        datetime.fromisoformat(start).replace(tzinfo=UTC),
        datetime.fromisoformat(end).replace(tzinfo=UTC),
    )


def test_a_window_is_half_open_on_dates(schema: Any) -> None:
    schema.create("windowed", "id INT PRIMARY KEY, d DATE")
    schema.insert(
        "windowed", [(1, "2020-01-31"), (2, "2020-02-01"), (3, "2020-02-29"), (4, "2020-03-01"), (5, None)]
    )
    february = window("d", "2020-02-01", "2020-03-01")
    assert keys(schema, "windowed", february) == ["2", "3"]


@pytest.mark.parametrize("plain", [True, False])
def test_a_window_is_half_open_on_timestamps(schema: Any, plain: bool) -> None:
    """Bounds with microseconds, over timestamps of a wall clock and over those of an instant."""
    family = {True: "DATETIME(6)", False: "TIMESTAMP(6) NULL"}
    declared = {True: "TIMESTAMP", False: "TIMESTAMPTZ"} if schema.flavour == "postgres" else family
    name = f"moments_{plain}".lower()
    schema.create(name, f"id INT PRIMARY KEY, t {declared[plain]}")
    moments = (
        "2020-01-31 23:59:59.999999",
        "2020-02-01 00:00:00.000001",
        "2020-02-01 12:00:00",
        "2020-02-01 12:00:00.000001",
        None,
    )
    zone = "+00" if schema.flavour == "postgres" and not plain else ""
    schema.insert(name, [(i, moment and moment + zone) for i, moment in enumerate(moments)])
    assert keys(schema, name, window("t", "2020-02-01 00:00:00.000001", "2020-02-01 12:00:00.000001")) == [
        "1",
        "2",
    ]


def test_a_window_compares_texts_by_their_bytes(schema: Any) -> None:
    schema.create("dated_texts", "id INT PRIMARY KEY, d VARCHAR(25)")
    texts = [
        "2021-01-21",
        "2021-01-21 23:59:59",
        "2021-01-22",
        "2021-01-20T23:59:59",
        " 2021-01-21",
        "",
        None,
        "2021-01-2",
        "2021.01.21",
    ]
    schema.insert("dated_texts", list(enumerate(texts)))
    day = window("d", "2021-01-21", "2021-01-22")
    expected = [
        str(i)
        for i, text in enumerate(texts)
        if text is not None and b"2021-01-21" <= text.encode() < b"2021-01-22"
    ]
    assert keys(schema, "dated_texts", day) == expected == ["0", "1"]


@pytest.mark.parametrize(
    ("column", "message"), [("n", "a window needs a timestamp, a date"), ("nothing", "no column 'nothing'")]
)
def test_a_window_over_another_column_is_refused(schema: Any, column: str, message: str) -> None:
    name = f"not_dated_{column}"
    schema.create(name, "id INT PRIMARY KEY, n INT")
    with pytest.raises(FatalError, match=message):
        keys(schema, name, window(column, "2020-01-01", "2020-02-01"))
