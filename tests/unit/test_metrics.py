"""Metrics as Airflow's Stats send them: real datagrams of the StatsD protocol."""

from __future__ import annotations

import logging
from collections import Counter
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_chista import metrics
from airflow_provider_chista.archive.report import DrainReport
from airflow_provider_chista.metrics import METRICS, Kind, Meter
from airflow_provider_chista.operators.drain import Batches
from airflow_provider_chista.progress import Reporter
from tests.unit.statsd import initialize, receiving

CONTEXT: Any = {"ti": SimpleNamespace(dag_id="shop", task_id="orders.drain")}
TAGGED = ",table=shop.orders,target=archive.orders,dag_id=shop,task_id=orders.drain"


def meter() -> Meter:
    return Meter.of(CONTEXT, "shop.orders", "archive.orders")


def reporter() -> Reporter:
    log: Any = logging.getLogger("tests")
    context: Any = {"ti": SimpleNamespace(try_number=1)}
    return Reporter(context, "drain", log, unit="records")


def test_each_kind_arrives_under_its_name_and_under_that_of_the_table() -> None:
    with receiving() as server:
        made = meter()
        made.total(metrics.DRAIN_RECORDS, 3000)
        made.gauge(metrics.DRAIN_LAG, 7)
        made.took(metrics.DRAIN_DURATION, 1.5)
        assert server.lines() == [
            "airflow.chista.drain.records:3000|c",
            "airflow.chista.drain.records.archive__orders:3000|c",
            "airflow.chista.drain.lag:7|g",
            "airflow.chista.drain.lag.archive__orders:7|g",
            "airflow.chista.drain.duration:1500.000000|ms",
            "airflow.chista.drain.duration.archive__orders:1500.000000|ms",
        ]


def test_with_tags_the_table_is_in_the_tags_and_the_long_names_can_be_switched_off() -> None:
    with receiving(statsd_influxdb_enabled=True, legacy_names_on=False) as server:
        meter().total(metrics.PURGE_DELETED, 5)
        assert server.lines() == [f"airflow.chista.purge.deleted{TAGGED}:5|c"]


@pytest.mark.parametrize(("partitions", "tag"), [(None, ""), ([3, 0], ",partitions=0_3")])
def test_the_lag_of_a_mapped_drain_says_of_which_partitions_it_is(
    partitions: list[int] | None, tag: str
) -> None:
    with receiving(statsd_influxdb_enabled=True, legacy_names_on=False) as server:
        Batches("p.shop.orders", meter(), reporter(), partitions).ended(7)
        assert server.lines() == [f"airflow.chista.drain.lag{TAGGED}{tag}:7|g"]


def test_a_counter_sends_what_came_since() -> None:
    with receiving(legacy_names_on=False) as server:
        made = meter()
        for total in (10, 10, 25):
            made.total(metrics.VERIFY_ROWS, total)
        assert server.lines() == ["airflow.chista.verify.rows:10|c", "airflow.chista.verify.rows:15|c"]


def test_any_name_of_a_table_gives_a_name_that_statsd_can_read() -> None:
    with receiving() as server:
        Meter.of(CONTEXT, "shop.böse tabelle", "archive.böse:tabelle|x").total(metrics.RESTORE_ROWS, 1)
        assert server.lines()[1] == "airflow.chista.restore.rows.archive__b_se_tabelle_x:1|c"


def test_metrics_can_be_blocked_as_airflows_own() -> None:
    with receiving(metrics_block_list="chista.drain") as server:
        meter().total(metrics.DRAIN_RECORDS, 1)
        meter().total(metrics.PURGE_DELETED, 1)
        assert [line.partition(":")[0] for line in server.lines()] == [
            "airflow.chista.purge.deleted",
            "airflow.chista.purge.deleted.archive__orders",
        ]


def test_what_goes_wrong_with_a_metric_does_not_reach_the_task() -> None:
    def broken() -> Any:
        raise RuntimeError("no such backend")

    initialize(broken)
    try:
        meter().total(metrics.PURGE_DELETED, 1)
    finally:
        with receiving():
            pass


def test_records_are_counted_once_over_all_drains_of_a_task_and_without_the_purge_log() -> None:
    batches = Batches("p.shop.orders", meter(), reporter())
    first = DrainReport("p.shop.orders", "archive.orders", next_offsets={0: 40}, ends={0: 100})
    first.counts = Counter(c=38, dead=2)
    changed = DrainReport("p.shop.orders", "archive.orders", next_offsets={0: 60}, ends={0: 100})
    changed.counts = first.counts
    later = DrainReport("p.shop.orders", "archive.orders", next_offsets={0: 200}, ends={0: 200})
    later.counts = Counter(u=100)
    with receiving(legacy_names_on=False) as server:
        batches(DrainReport("p.chista.purge_log", "purge_log", counts=Counter(c=9)))
        batches(first)
        first.counts.update(c=20)  # the drain goes on behind a change of the columns
        batches(changed)
        batches(later)  # the next drain of a follower
        batches.ended(0)
        assert server.lines() == [
            "airflow.chista.drain.records:40|c",
            "airflow.chista.drain.dead_letters:2|c",
            "airflow.chista.drain.lag:60|g",
            "airflow.chista.drain.records:20|c",
            "airflow.chista.drain.lag:40|g",
            "airflow.chista.drain.records:100|c",
            "airflow.chista.drain.lag:0|g",
            "airflow.chista.drain.lag:0|g",
        ]


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_names_are_such_as_airflow_takes_and_tell_their_stage(metric: metrics.Metric) -> None:
    provider, stage, _ = metric.name.split(".")
    assert provider == "chista"
    assert stage in {"drain", "verify", "purge", "restore", "audit"}
    assert metric.meaning
    assert metric.kind in Kind
