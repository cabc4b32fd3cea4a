"""``archive_dag``: what it makes of its arguments, and what it refuses."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from airflow.sdk import DAG, Asset

from airflow_provider_chista.dag import ArchiveTable, archive_dag
from airflow_provider_chista.errors import FatalError
from tests.unit.dags.outlets import outlets


def factory(**more: Any) -> DAG:
    arguments: dict[str, Any] = {
        "tables": [ArchiveTable("shop.orders", "archive.orders", "day")],
        "connector": "c",
        "topic_prefix": "p",
        "source_conn_id": "v",
        "purge_conn_id": "d",
        "capture_conn_id": "k",
    }
    return archive_dag("made", **{**arguments, **more})


def test_ten_lines_make_an_archive_without_schedule_too() -> None:
    assert type(factory(cron=None).timetable).__name__ == "NullTimetable"
    assert factory(cron="@hourly", retention=timedelta(hours=6)).timetable.retention == timedelta(hours=6)


def test_the_factory_passes_on_what_a_dag_takes() -> None:
    dag = factory(
        default_args={"retries": 1, "pool": "archive"},
        params={"reason": "audit"},
        max_active_runs=2,
        tags=["mine"],
    )
    assert (dag.max_active_runs, set(dag.tags)) == (2, {"mine"})
    assert set(dag.params) == {"window_start", "window_end", "dry_run", "purge", "reason"}
    assert {task.pool for task in dag.tasks} == {"archive"}
    assert {task.retries for task in dag.tasks} == {1}


def test_a_throttle_is_the_purges_and_the_preflight_asks_for_its_part() -> None:
    given = {
        "max_lag": 5,
        "lag_conn_ids": ["replica"],
        "hours": "22:00-06:00",
        "limit": 10,
        "sentinel": "pause",
    }
    dag = factory(throttle=given)
    (purge,) = [task for task in dag.tasks if task.task_type == "PurgeSourceOperator"]
    assert {name: getattr(purge, name) for name in given} == given
    preflight = dag.task_dict["preflight"]
    assert (preflight.max_lag, preflight.max_load, preflight.lag_conn_ids) == (5, None, ["replica"])


def test_a_table_is_purged_by_the_method_that_it_names() -> None:
    table = ArchiveTable("s.t", "archive.t", "day", method="partition", partition_action="detach")
    (purge,) = [task for task in factory(tables=[table]).tasks if task.task_type == "PurgeSourceOperator"]
    assert (purge.method, purge.partition_action) == ("partition", "detach")


def test_preflight_and_purges_ask_for_the_same_number_of_replicas() -> None:
    dag = factory(min_replicas=2)
    asked = {task.task_type: task.min_replicas for task in dag.tasks if hasattr(task, "min_replicas")}
    assert asked == {"PreflightOperator": 2, "PurgeSourceOperator": 2}


@pytest.mark.parametrize(
    ("throttle", "error", "words"),
    [
        ({"hours": "at night"}, FatalError, "HH:MM-HH:MM"),
        ({"retention": timedelta(0)}, TypeError, "retention"),
        ({"require_approval": False}, TypeError, "require_approval"),
    ],
)
def test_a_throttle_takes_nothing_else_and_is_looked_at_when_the_file_is_parsed(
    throttle: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        factory(throttle=throttle)


@pytest.mark.parametrize(
    ("source", "group"), [("shop.orders", "shop_orders"), ("shop.order lines", "shop_order_lines")]
)
def test_any_table_name_gives_a_task_group(source: str, group: str) -> None:
    dag = factory(tables=[ArchiveTable(source, "archive.t")])
    assert f"{group}.verify" in dag.task_dict


def test_assets_are_those_of_the_connection_and_can_be_left_out() -> None:
    made = outlets(factory(clickhouse_conn_id="other"))
    assert made["shop_orders.verify"] == ["clickhouse://other/archive/orders"]
    assert outlets(factory(asset_events=False)) == {}
    kept = outlets(factory(default_args={"outlets": [Asset("mine")]}, asset_events=True))
    assert kept["shop_orders.verify"] == ["mine", "clickhouse://clickhouse_default/archive/orders"]
    assert kept["preflight"] == ["mine"]


def test_guards_of_the_purge_come_from_the_archive() -> None:
    listed = ["shop.lines(lines_order) -> shop.orders"]
    dag = factory(
        tables=[ArchiveTable("shop.orders", "archive.orders", "day", listed=listed)],
        retention=timedelta(days=90),
        slot="s",
        publication="pub",
    )
    purge = dag.task_dict["shop_orders.purge"]
    assert (purge.retention, purge.listed, purge.slot, purge.publication) == (
        timedelta(days=90), listed, "s", "pub",
    )  # fmt: skip
    preflight = dag.task_dict["preflight"]
    assert (preflight.listed, preflight.time_columns) == (listed, {"shop.orders": "day"})


def test_a_run_may_be_dated_by_any_row() -> None:
    """Airflow makes no task for a date before the start date, and calls such a run a success."""
    assert factory().start_date.isoformat() == "1970-01-01T00:00:00+00:00"


@pytest.mark.parametrize(
    ("snapshot", "column", "message"),
    [
        ("windows", None, "snapshot='windows' needs a time_column of each table; missing: a.b"),
        ("never", "d", "snapshot is 'never'; it must be 'initial' or 'windows'"),
    ],
)
def test_a_way_of_the_snapshot_that_cannot_be_is_refused(
    snapshot: str, column: str | None, message: str
) -> None:
    with pytest.raises(FatalError, match=re.escape(message)):
        archive_dag(
            "d", tables=[ArchiveTable("a.b", "c.b", time_column=column)], connector="c", topic_prefix="c", source_conn_id="s",
            purge_conn_id="p", capture_conn_id="k", snapshot=snapshot,
        )  # fmt: skip


def test_connector_and_topics_are_named_after_the_dag_by_default() -> None:
    made = archive_dag(
        "shop-1", tables=[ArchiveTable("a.b", "c.b", purge=False)], source_conn_id="s", capture_conn_id="k"
    )
    register = made.task_dict["register_connector"]
    assert (register.connector, register.topic_prefix) == ("shop-1", "shop-1")
    assert made.task_dict["preflight"].slot == "chista_shop_1"
    assert not any("purge" in task for task in made.task_dict)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"dag_id": "läden"}, "topic_prefix is 'läden'; give one of letters"),
        ({"dag_id": "d", "topic_prefix": "a b"}, "topic_prefix is 'a b'; give one of letters"),
        (
            {"dag_id": "d", "purge": True},
            "purge_conn_id is missing, and these are to be purged: a.b; give it, or purge=False",
        ),
    ],
)
def test_what_the_defaults_cannot_give_is_refused(given: dict[str, Any], message: str) -> None:
    tables = [ArchiveTable("a.b", "c.b", purge=given.pop("purge", False))]
    with pytest.raises(FatalError, match=re.escape(message)):
        archive_dag(tables=tables, source_conn_id="s", capture_conn_id="k", **given)
