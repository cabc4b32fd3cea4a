"""What a running purge does to an application's short transactions on the same server, with and without rest in between."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from multiprocessing import get_context
from multiprocessing.connection import Connection

from airflow_provider_chista.archive.purge import Purge
from airflow_provider_chista.archive.purgereport import PurgeOptions
from airflow_provider_chista.archive.throttle import ThrottleOptions
from benchmarks.purge import ENGINES
from benchmarks.services import source_connection
from benchmarks.verify import Place, place

PER_SECOND = 100
"""Transactions of the application: a row is read by its key, updated, committed."""

ALONE_SECONDS = 15.0
THROTTLES = {"no throttle": 0.0, "sleep_ratio=1": 1.0, "sleep_ratio=4": 4.0}
_APPLICATION_ROWS = 1_000


def measure(rows: int) -> dict[str, float]:
    """Milliseconds of the application's transactions, and ratios to those without a purge beside them."""
    figures: dict[str, float] = {}
    for engine in ENGINES:
        with place(engine, "salaries", rows * len(THROTTLES)) as pair:
            connection = source_connection(engine)
            cursor, name = connection.cursor(), f"{pair.manifests.table.id.schema}.application"
            cursor.execute(f"CREATE TABLE {name} (id INT PRIMARY KEY, n INT NOT NULL)")
            cursor.executemany(f"INSERT INTO {name} VALUES (%s, 0)", [(n,) for n in range(_APPLICATION_ROWS)])
            connection.commit()
            connection.close()
            with _application(engine, name) as alone:
                time.sleep(ALONE_SECONDS)
            figures |= _figures(f"{engine}: alone", alone)
            pair.prove()
            for throttle, ratio in THROTTLES.items():
                with _application(engine, name) as beside:
                    deleted, seconds = _purge(pair, rows, ratio)
                label = f"{engine}: {throttle}"
                figures |= _figures(label, beside)
                figures[f"{label}: ratio of p99 to alone"] = _p99(beside) / _p99(alone)
                figures[f"{label}: the purge"] = deleted / seconds
    return figures


def _purge(pair: Place, rows: int, sleep_ratio: float) -> tuple[int, float]:
    """Rows deleted by a run of the window's purge that is limited to ``rows``, and its seconds."""
    options = PurgeOptions(
        timedelta(0), require_approval=False, throttle=ThrottleOptions(sleep_ratio=sleep_ratio, limit=rows)
    )
    before = pair.source.count(pair.manifests.table, None)
    with pair.source.another() as source:
        report = Purge(source, pair.source, pair.manifests, pair.ledger, options).run()
    deleted = before - pair.source.count(pair.manifests.table, None)
    if deleted != rows:
        raise SystemExit(f"{deleted} of {rows} rows were deleted: {report.ended}")
    return deleted, report.seconds


@contextmanager
def _application(engine: str, name: str) -> Iterator[list[float]]:
    """Milliseconds of transactions at a steady pace, until the end of the block, in a process that the purge's is not."""
    took: list[float] = []
    processes = get_context("spawn")
    here, there = processes.Pipe()
    process = processes.Process(target=_work, args=(engine, name, there))
    process.start()
    here.recv()
    try:
        yield took
    finally:
        here.send("end")
        took += here.recv()
        process.join()


def _work(engine: str, name: str, caller: Connection) -> None:
    took: list[float] = []
    connection = source_connection(engine)
    cursor = connection.cursor()
    caller.send("begun")
    number, due = 0, time.perf_counter()
    while not caller.poll():
        number, due = number + 1, due + 1 / PER_SECOND
        time.sleep(max(0.0, due - time.perf_counter()))
        began = time.perf_counter()
        key = number * 37 % _APPLICATION_ROWS
        cursor.execute(f"SELECT n FROM {name} WHERE id = %s FOR UPDATE", (key,))
        cursor.execute(f"UPDATE {name} SET n = %s WHERE id = %s", (cursor.fetchall()[0][0] + 1, key))
        connection.commit()
        took.append((time.perf_counter() - began) * 1000)
    connection.close()
    caller.send(took)


def _p99(took: list[float]) -> float:
    return statistics.quantiles(took, n=100)[98]


def _figures(label: str, took: list[float]) -> dict[str, float]:
    return {f"{label}: p50, ms": statistics.median(took), f"{label}: p99, ms": _p99(took)}
