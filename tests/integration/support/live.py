"""Live copies under load: writers at a steady rate on all three sources, real connectors, one follower process for each."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from clickhouse_connect.driver.client import Client

from airflow_provider_chista.archive import snapshot
from airflow_provider_chista.clickhouse.control import Control
from airflow_provider_chista.operators.drain import DrainTopicOperator
from airflow_provider_chista.operators.table import CreateArchiveTableOperator
from tests.integration.support import services
from tests.integration.support.engines import ENGINES, MYSQL_FAMILY, Connector, connector, wait_for
from tests.integration.support.tasks import context

TABLE = "CREATE TABLE {schema}.live (id INT PRIMARY KEY, v INT NOT NULL, body VARCHAR(100) NOT NULL)"
BODY = "x" * 60
TICK = 0.1
"""Seconds between two transactions of a writer: half of a tick's changes are inserts, half are updates of older rows."""


def follow(flavour: str, prefix: str, target: str, seconds: float) -> None:
    """Body of a follower's process: the task, as Airflow runs it."""
    DrainTopicOperator(
        task_id="follow", table=f"{prefix}.live", target=target, topic_prefix=prefix, delete_policy="mirror",
        source_conn_id=f"{flavour}_verify", follow_seconds=seconds,
    ).execute(context())  # fmt: skip


@dataclass
class Copy:
    """One source table that is written to, and its live copy."""

    connector: Connector
    client: Client
    target: str
    process: BaseProcess
    commits: list[tuple[int, float]] = field(default_factory=list)
    seen: list[tuple[int, float]] = field(default_factory=list)
    changes: int = 0

    @property
    def flavour(self) -> str:
        return self.connector.engine.flavour

    @property
    def source(self) -> str:
        return f"{self.connector.schema}.live"

    def write(self, rate: int, seconds: float, ended: threading.Event) -> None:
        """Change rows at that rate; note when each transaction's last row was committed."""
        each = max(1, round(rate * TICK / 2))
        following, begun, tick = 1, time.monotonic(), 0
        with closing(self.connector.engine.admin()) as connection, closing(connection.cursor()) as cursor:
            if self.flavour in MYSQL_FAMILY:
                connection.autocommit(False)
            else:
                connection.autocommit = False
            while time.monotonic() - begun < seconds and not ended.is_set():
                rows = ", ".join(f"({n}, 0, 'row {n} {BODY}')" for n in range(following, following + each))
                oldest = following - 20 * each
                cursor.execute(f"INSERT INTO {self.source} VALUES {rows}")
                cursor.execute(
                    f"UPDATE {self.source} SET v = v + 1 WHERE id BETWEEN {oldest} AND {oldest + each - 1}"
                )
                if tick % 10 == 0:
                    cursor.execute(f"DELETE FROM {self.source} WHERE id = {oldest}")
                connection.commit()
                following, tick = following + each, tick + 1
                self.commits.append((following - 1, time.time()))
                self.changes += 2 * each
                time.sleep(max(0.0, begun + tick * TICK - time.monotonic()))

    def look(self) -> None:
        """Note how far the copy shows the source's rows."""
        newest = int(self.client.command(f"SELECT max(id) FROM {self.target}"))
        if not self.seen or newest > self.seen[-1][0]:
            self.seen.append((newest, time.time()))

    def latencies(self) -> list[float]:
        """Seconds from each commit until its last row was seen, of those that were seen."""
        found, at = [], 0
        for last, committed in self.commits:
            while at < len(self.seen) and self.seen[at][0] < last:
                at += 1
            if at < len(self.seen):
                found.append(self.seen[at][1] - committed)
        return found

    def parts(self) -> int:
        database, table = self.target.split(".")
        return int(
            self.client.command(
                "SELECT count() FROM system.parts WHERE active AND database = {d:String} AND table = {t:String}",
                parameters={"d": database, "t": table},
            )
        )

    def resources(self) -> dict[str, int]:
        """Resident memory in MiB, file descriptors and threads of the follower's process."""
        home = Path(f"/proc/{self.process.pid}")
        status = dict(
            line.split(":", 1) for line in (home / "status").read_text(encoding="ascii").splitlines()
        )
        return {
            "MiB": int(status["VmRSS"].split()[0]) // 1024,
            "descriptors": len(list((home / "fd").iterdir())),
            "threads": int(status["Threads"]),
        }

    def same(self) -> bool:
        there = self.connector.engine.query(f"SELECT id, v, body FROM {self.source} ORDER BY id")
        here = self.client.query(f"SELECT id, v, body FROM {self.target}_current ORDER BY id").result_rows
        return there == [tuple(row) for row in here]


@contextmanager
def copies(seconds: float) -> Iterator[tuple[list[Copy], Control]]:
    """A copy of each source, its follower running for that long at most; everything is removed behind it."""
    client = services.clickhouse()
    with ExitStack() as stack:
        database, control = stack.enter_context(services.databases(client))
        os.environ["AIRFLOW__CHISTA__STATE_DATABASE"] = control.database
        stack.callback(os.environ.pop, "AIRFLOW__CHISTA__STATE_DATABASE", None)
        made = []
        for flavour in ENGINES:
            captured = stack.enter_context(connector(flavour, {"live": TABLE}))
            table, target = f"{captured.schema}.live", f"{database}.live_{flavour}"
            captured.engine.execute(f"INSERT INTO {table} VALUES (0, 0, 'first')")
            captured.register()
            capture = captured.capture()
            wait_for(lambda c=capture, t=captured.tables: snapshot.advance(c, control, t).completed, 90, 0.5)
            capture.source.close()
            CreateArchiveTableOperator(
                task_id="create", tables={table: target}, source_conn_id=f"{flavour}_verify"
            ).execute(context())
            process = get_context("spawn").Process(
                target=follow, args=(flavour, captured.name, target, seconds), daemon=True
            )
            process.start()
            stack.callback(process.kill)
            made.append(Copy(captured, services.clickhouse(), target, process))
        for copy in made:
            wait_for(lambda copy=copy: client.command(f"SELECT count() FROM {copy.target}"), 90)
        yield made, control


@contextmanager
def written(made: list[Copy], rate: int, seconds: float) -> Iterator[list[threading.Thread]]:
    """Writers on all sources at once; the block looks on."""
    ended = threading.Event()
    threads = [threading.Thread(target=copy.write, args=(rate, seconds, ended)) for copy in made]
    for thread in threads:
        thread.start()
    try:
        yield threads
    finally:
        ended.set()
        for thread in threads:
            thread.join()


def quantile(values: list[float], part: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))]


def watch(made: list[Copy], threads: list[threading.Thread], more: Any = lambda: None) -> None:
    """Look at every copy, ten times a second or as fast as it goes, until the writers have ended and all is seen."""
    late = None
    while True:
        for copy in made:
            with suppress(ValueError):
                copy.look()
        more()
        if not any(thread.is_alive() for thread in threads):
            late = late or time.monotonic() + 60
            if all(copy.seen[-1][0] >= copy.commits[-1][0] for copy in made) or time.monotonic() > late:
                return
        time.sleep(0.05)
