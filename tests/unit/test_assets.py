"""Assets of archive tables, and what the events of stages say."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import Asset, AssetAlias
from airflow.sdk.execution_time.context import OutletEventAccessors

from airflow_provider_chista.assets import Event, archive_asset, emit
from airflow_provider_chista.errors import FatalError
from airflow_provider_chista.model import TableId, Window
from tests.unit.docs.pages import code, page, rows, sections

PAIR = (TableId.parse("shop.orders"), TableId.parse("archive.orders"))
DAY = Window("day", datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 1, 2, tzinfo=UTC))


@pytest.mark.parametrize(
    ("target", "arguments", "uri"),
    [
        ("archive.orders", {}, "clickhouse://clickhouse_default/archive/orders"),
        ("archive.orders", {"event": "verified"}, "clickhouse://clickhouse_default/archive/orders"),
        (
            "archive.orders",
            {"event": "sealed"},
            "clickhouse://clickhouse_default/archive/orders?event=sealed",
        ),
        ("archive.orders", {"clickhouse_conn_id": "eu"}, "clickhouse://eu/archive/orders"),
        ("archive.a/b ö", {}, "clickhouse://clickhouse_default/archive/a%2Fb%20%C3%B6"),
    ],
)
def test_a_table_an_event_and_a_connection_make_one_asset(
    target: str, arguments: dict[str, str], uri: str
) -> None:
    asset = archive_asset(target, **arguments)
    assert (asset.name, asset.uri) == (uri, uri)
    assert Asset(uri) == asset, "whoever writes the URI has the same asset"


def test_every_event_of_a_table_is_an_asset_of_its_own() -> None:
    assert len({archive_asset("a.b", event).uri for event in Event}) == len(Event)


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(FatalError, match="does not name a table"):
        archive_asset("orders")
    with pytest.raises(ValueError, match="deleted"):
        archive_asset("a.b", "deleted")


def emitted(outlets: list[Any], window: Window | None = DAY) -> dict[str, Any]:
    """What Airflow would record, by asset."""
    context: Any = {"outlet_events": OutletEventAccessors()}
    task: Any = SimpleNamespace(outlets=outlets)
    emit(context, task, Event.SEALED, PAIR, window, {"rows": 90, "digest": "90:ab"})
    return {accessor.key.name: accessor.extra for accessor in context["outlet_events"]._dict.values()}


def test_an_event_says_which_rows_of_what() -> None:
    said = {
        "event": "sealed", "source": "shop.orders", "target": "archive.orders", "time_column": "day",
        "window_start": "2024-01-01", "window_end": "2024-01-02", "rows": 90, "digest": "90:ab",
    }  # fmt: skip
    archive = archive_asset("archive.orders")
    assert emitted([archive, AssetAlias("any"), Asset("mine")]) == {archive.name: said, "mine": said}


def test_a_window_within_a_day_has_times_and_a_whole_table_no_window() -> None:
    hour = Window("at", datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 1, 1, 1, tzinfo=UTC))
    said = emitted([Asset("mine")], hour)["mine"]
    assert (said["window_start"], said["window_end"]) == ("2024-01-01", "2024-01-01T01:00:00+00:00")
    said = emitted([Asset("mine")], None)["mine"]
    assert (said["time_column"], said["window_start"], said["window_end"]) == (None, None, None)


def test_a_task_without_outlets_needs_nothing_of_airflow() -> None:
    task: Any = SimpleNamespace(outlets=[])
    nothing: Any = {}
    emit(nothing, task, Event.SEALED, PAIR, DAY, {})


def test_every_event_and_what_it_says_is_documented() -> None:
    tables = rows(sections(page("watching.md"))["Asset events"])
    assert {name for cells in tables if len(cells) == 4 for name in code(cells[0])} == set(Event)
    known = {key for cells in tables if len(cells) == 2 for key in code(cells[0])}
    assert set(emitted([Asset("mine")])["mine"]) <= known
