"""Contestants by turns: each round in another order, every result table compared with the source, medians of the seconds."""

from __future__ import annotations

import multiprocessing
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from clickhouse_connect.driver.client import Client

from airflow_provider_chista.clickhouse import ddl, rowhash, sql
from airflow_provider_chista.clickhouse.control import Control
from airflow_provider_chista.clickhouse.types import probe
from airflow_provider_chista.model import TableId
from benchmarks import services
from benchmarks.drain import events
from benchmarks.drain.events import Events

Start = Callable[[], None]
"""Called by a contestant when it is ready; what it did before is not measured."""


@dataclass(frozen=True)
class Place:
    """Where one process of a contestant reads and writes.

    :param target: an empty archive table; :param control: database of the state tables.
    :param partitions: those of the topic that this process reads; :param together: others read the others.
    :param limit: records at most.
    """

    events: Events
    target: TableId
    control: str
    partitions: tuple[int, ...]
    together: bool
    limit: int


Contestant = Callable[[Place, Start], Mapping[str, float]]
"""Does its work and returns what else it measured."""


@dataclass(frozen=True)
class Entrant:
    """A contestant with what it is given.

    :param processes: each reads one partition of the topic.
    :param writes: whether it fills the archive table, which is then compared with the source.
    :param limit: records at most; 0: all.
    """

    name: str
    contestant: Contestant
    events: Events
    processes: int = 1
    writes: bool = True
    limit: int = 0

    @property
    def records(self) -> int:
        """Records that one run reads."""
        return self.limit or self.events.records


@dataclass
class Result:
    """Seconds of each round, and what else was measured."""

    entrant: Entrant
    seconds: list[float]
    more: list[Mapping[str, float]]

    @property
    def rates(self) -> list[float]:
        """Records per second of each round."""
        return [self.entrant.records / seconds for seconds in self.seconds]

    @property
    def cpu(self) -> list[float]:
        """Processor seconds of the (first) process, for a million of its records."""
        share = self.entrant.records / self.entrant.processes / 1e6
        return [more["cpu"] / share for more in self.more]


_barriers: list[Any] = []


def _begin(barrier: Any) -> None:
    _barriers.append(barrier)


def _run(contestant: Contestant, place: Place) -> tuple[float, float, Mapping[str, float]]:
    started = time.monotonic()
    used = 0.0

    def start() -> None:
        nonlocal started, used
        if place.together:
            _barriers[0].wait(60)
        used = time.process_time()
        started = time.monotonic()  # one clock for all processes of the machine

    more = contestant(place, start)
    ended = time.monotonic()
    return started, ended, {**more, "cpu": time.process_time() - used}


def race(entrants: Sequence[Entrant], rounds: int, *, fresh: bool = False) -> dict[str, Result]:
    """Run all entrants in each round.

    :param fresh: each run has a process of its own, so that memory is measured from nothing.
    :raises SystemExit: a result table is not equal to the source.
    """
    results = {entrant.name: Result(entrant, [], []) for entrant in entrants}
    spawn = multiprocessing.get_context("spawn")
    most = max(entrant.processes for entrant in entrants)
    with (
        ProcessPoolExecutor(
            most,
            mp_context=spawn,
            initializer=_begin,
            initargs=(spawn.Barrier(most),),
            max_tasks_per_child=1 if fresh else None,
        ) as pool,
        _client() as client,
    ):
        for number in range(rounds):
            shift = number % len(entrants)
            for entrant in (*entrants[shift:], *entrants[:shift]):
                seconds, more = _once(pool, client, entrant)
                results[entrant.name].seconds.append(seconds)
                results[entrant.name].more.append(more)
                rate = entrant.records / seconds
                print(f"  round {number + 1}: {entrant.name}: {seconds:.2f} s, {rate:,.0f}/s", flush=True)
    return results


def _once(pool: ProcessPoolExecutor, client: Client, entrant: Entrant) -> tuple[float, Mapping[str, float]]:
    name = uuid.uuid4().hex[:12]
    target, control = TableId(f"archive_bench_{name}", "rows"), f"chista_bench_{name}"
    parts = [(p,) for p in range(entrant.processes)]
    try:
        if entrant.writes:
            Control(client, control).ensure()
            ddl.ensure_table(client, probe(client), events.table_of(entrant.events.source), target)
        futures = [
            pool.submit(
                _run,
                entrant.contestant,
                Place(entrant.events, target, control, part, entrant.processes > 1, entrant.records),
            )
            for part in parts
        ]
        spans = [future.result() for future in futures]
        if entrant.writes:
            _require_equal(client, entrant, target, control)
    finally:
        for database in (target.schema, control):
            client.command(f"DROP DATABASE IF EXISTS {database} SYNC")
    return max(ended for _, ended, _ in spans) - min(started for started, *_ in spans), spans[0][2]


def _require_equal(client: Client, entrant: Entrant, target: TableId, control: str) -> None:
    if entrant.limit:
        found, wanted = (
            str(client.command(f"SELECT count() FROM {sql.table(target)} FINAL")),
            str(entrant.limit),
        )
    else:
        found = digest(client, entrant.events.source, target)
        wanted = events.digest(entrant.events.source, entrant.events.bad)
    if found != wanted:
        raise SystemExit(f"{entrant.name}: the archive has {found}, the source {wanted}")
    dead = int(client.command(f"SELECT count() FROM {control}.dead_letters FINAL"))
    expected = entrant.events.records // events.BAD_EVERY if entrant.events.bad else 0
    if dead != expected:
        raise SystemExit(f"{entrant.name}: {dead} dead letters, expected {expected}")


def digest(client: Client, source: TableId, target: TableId) -> str:
    """Digest of the archive's row hashes, computed by ClickHouse."""
    types, table = probe(client), events.table_of(source)
    hashes = f"SELECT {rowhash.row_hash(types, table)} AS row_hash FROM {sql.table(target)} FINAL"
    return str(client.query(f"SELECT {rowhash.DIGEST} FROM ({hashes})").result_rows[0][0])


@contextmanager
def _client() -> Iterator[Client]:
    client = services.clickhouse()
    try:
        yield client
    finally:
        client.close()
