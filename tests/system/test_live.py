"""`stream_live`: copies in ClickHouse seconds behind the sources; and a running drain that is killed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
from clickhouse_connect.driver.client import Client

from tests.system.support.airflow import Airflow, Run, wait_for
from tests.system.support.tables import CHISTA, SHIPMENTS, TODAY, Pair, shipments

COPIES = [
    replace(CHISTA["mysql"], target="live_mysql.chista"),
    replace(CHISTA["mariadb"], target="live_mariadb.chista"),
    replace(SHIPMENTS, target="live_postgres.shipments"),
]
FOLLOW = ["live_mysql_chista.follow", "live_mariadb_chista.follow", "live_postgres_shipments.follow"]
EVERY_COPY = pytest.mark.parametrize("copy", COPIES, ids=lambda copy: copy.target)

BEHIND = 30
"""Seconds within which a change must be visible; a second or two on a machine that does nothing else."""


@pytest.fixture(scope="module")
def streaming(airflow: Airflow, triggered: Run, scheduled: Run, filled_in_runs: list[Run]) -> Iterator[Run]:
    """The Dag is switched on: its runs follow one another by themselves. Archives of all three sources came before."""
    if not filled_in_runs:
        pytest.skip("needs the run of tests/system/test_ui.py")
    for run in (triggered, scheduled, *filled_in_runs):
        run.wait()
    dag = airflow.dag("stream_live")
    dag.unpause()
    run = dag.wait_for_run()
    for task in FOLLOW:
        run.wait_for_task(task, "running")
    yield run
    dag.pause()


def rows_of(copy: Pair, first: int) -> list[tuple[object, ...]]:
    if copy.source == SHIPMENTS.source:
        return list(shipments(first, TODAY, 3))
    return [(first, "new"), (first + 1, None), (first + 2, "smile 😀")]


@EVERY_COPY
def test_what_the_application_writes_and_deletes_is_in_the_copy_within_seconds(
    streaming: Run, clickhouse: Client, copy: Pair
) -> None:
    def same() -> bool:
        return copy.in_archive(clickhouse) == copy.in_source()

    key, text = copy.key[0], "status" if "status" in copy.columns else "name"
    copy.insert(rows_of(copy, 900_001))
    wait_for(f"three new rows in {copy.target}", 60, same)
    for change in (
        f"UPDATE {copy.source} SET {text} = 'changed' WHERE {key} = 900001",
        f"DELETE FROM {copy.source} WHERE {key} = 900002",
    ):
        copy.engine.execute(change)
        wait_for(change, BEHIND, same, poll=0.2)


@EVERY_COPY
def test_rows_that_were_purged_at_the_source_are_not_in_the_live_copy(
    streaming: Run, clickhouse: Client, copy: Pair
) -> None:
    """Mirror: a delete is a delete, whoever did it. The archive of the same table still has them."""
    archive = replace(copy, target=copy.target.replace("live_", "archive_"))
    assert len(copy.in_archive(clickhouse)) < len(archive.in_archive(clickhouse))


def test_a_drain_that_is_killed_ends_within_seconds_and_the_next_run_goes_on_from_there(
    streaming: Run, airflow: Airflow, clickhouse: Client
) -> None:
    copy = COPIES[0]
    copy.insert(rows_of(copy, 910_001))
    started = time.monotonic()
    for task in FOLLOW:
        streaming.set_task(task, "failed")
    copy.insert(rows_of(copy, 920_001))
    streaming.wait("failed", 60)
    for task in FOLLOW:
        wait_for(
            f"the last line of {task}",
            30,
            lambda task=task: "what was drained is recorded" in streaming.said(task),
        )
    assert time.monotonic() - started < 45
    after = airflow.dag("stream_live").wait_for_run({run.run_id for run in [streaming]})
    after.wait_for_task(FOLLOW[0], "running")
    wait_for(
        f"{copy.target} to hold what was written meanwhile",
        60,
        lambda: copy.in_archive(clickhouse) == copy.in_source(),
    )
    for task in FOLLOW:
        after.wait_for_task(task, "running")
    # Nothing of a paused Dag is started any more, in the run that is there neither.
    airflow.dag("stream_live").pause()
    for task in FOLLOW:
        after.set_task(task, "failed")
