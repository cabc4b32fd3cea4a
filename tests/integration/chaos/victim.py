"""The stages of a purge as processes that die: each is one order to a nursery (``support/nursery.py``), like a task's try."""

from __future__ import annotations

import importlib
import itertools
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from random import Random
from typing import Any

import MySQLdb
import MySQLdb.connections
import MySQLdb.cursors
import psycopg
from clickhouse_connect.driver.exceptions import Error as ClickHouseError

from airflow_provider_chista.archive.ledger import Stage
from airflow_provider_chista.errors import FatalError, TransientError
from airflow_provider_chista.model import Window
from tests.integration.chaos.application import day
from tests.integration.support.archives import Archive, opened
from tests.integration.support.nursery import KILLED, Body, Counted, Kill, die, nursery

RETENTION = timedelta(days=365)
WHOLE = -1

FATAL, TRANSIENT, UNREACHED = 3, 4, 5
"""Exit statuses of a stage: it failed, it can be tried again, the step at which it was to die has no such request."""

_UNKNOWN = 12
"""Requests of a stage that was not yet seen to its end."""

_REQUESTS = ("raw_insert", "command", "query", "query_row_block_stream")
_STATEMENTS = (
    (psycopg.Cursor, "execute"), (psycopg.ServerCursor, "execute"), (psycopg.Connection, "commit"),
    (MySQLdb.cursors.BaseCursor, "execute"), (MySQLdb.connections.Connection, "commit"),
)  # fmt: skip


def window(number: int, column: str = "day", days: int = 1) -> Window:
    """The window of one day, or of more from that one on."""
    start = datetime.combine(day(number), time(), UTC)
    return Window(column, start, start + timedelta(days=days))


@dataclass(frozen=True)
class Manner:
    """How stages are done.

    :param txn_size: rows per source transaction; small, so that a small window has several.
    :param column: of the windows.
    :param barrier_seconds: that a drain waits for the connector.
    """

    txn_size: int = 3
    column: str = "day"
    barrier_seconds: float = 60.0


USUAL = Manner()


@dataclass(frozen=True)
class Step:
    """One step of the protocol, as ``docs/crashes.md`` names it.

    :param stage: the stage that takes it; :param call: the function that is the step, ``module:name`` in the package.
    :param system: ``clickhouse``, ``source`` (a statement) or ``commit``: what an ``inside`` kill waits for.
    :param request: which request of the step, from 0 on, is done when the process dies inside.
    :param only: calls count that have a text with this in it among their arguments.
    :param occurrence: which of the calls in the stage is the step.
    """

    name: str
    stage: str
    call: str
    system: str = "clickhouse"
    request: int = 0
    only: str = ""
    occurrence: int = 1

    def counts(self, arguments: tuple[Any, ...]) -> bool:
        return not self.only or any(isinstance(each, str) and self.only in each for each in arguments)


def perform(
    archive: Archive,
    stage: str,
    number: int,
    row_keys: tuple[str, ...] = (),
    days: int = 1,
    manner: Manner = USUAL,
) -> object:
    """Do one stage, of the window of that number, or of the :data:`WHOLE` table. A restore is of rows, or of the window."""
    of = None if number == WHOLE else window(number, manner.column, days)
    archive.barrier_seconds = manner.barrier_seconds
    if stage == "drain":
        return archive.drain()
    if stage == "verify":
        return archive.verify(of)
    if stage == "approve":
        proof = archive.ledger(of).proof()
        if proof is None:
            raise FatalError(f"{of} has no proof")
        return archive.ledger(of).record(Stage.APPROVED, verify_id=proof.verify_id, actor="a.user")
    if stage == "purge":
        return archive.purge(of, txn_size=manner.txn_size, retention=RETENTION)
    if stage == "seal":
        return archive.seal(of)
    chosen: dict[str, Any] = {"row_keys": row_keys} if row_keys else {"window": of}
    return archive.restore(**chosen, txn_size=manner.txn_size)


@dataclass
class Watched:
    """The requests of a victim, by system."""

    clickhouse: Counted
    source: Counted
    commit: Counted

    @classmethod
    def of(cls, archive: Archive, kills: Mapping[str, Kill]) -> Watched:
        made = cls(*(Counted(kills.get(system)) for system in ("clickhouse", "source", "commit")))
        made.clickhouse.watch(archive.client, *_REQUESTS)
        for owner, name in _STATEMENTS:
            made.source.watch(owner, name)
            if name == "commit":
                made.commit.watch(owner, name)
        return made

    def arm(self, step: Step, place: str) -> Callable[[], bool]:
        """Let the process die ``before``, ``inside`` or ``after`` a step; what comes back tells whether it was passed."""
        module, _, path = step.call.partition(":")
        owner: Any = importlib.import_module(f"airflow_provider_chista.{module}")
        *parents, name = path.split(".")
        for parent in parents:
            owner = getattr(owner, parent)
        original, calls, passed = getattr(owner, name), itertools.count(1), list[bool]()

        def call(*args: Any, **kwargs: Any) -> Any:
            if not step.counts(args) or next(calls) != step.occurrence:
                return original(*args, **kwargs)
            if place == "before":
                die()
            if place == "inside":
                requests: Counted = getattr(self, step.system)
                requests.kill = Kill(requests.made + step.request, "after", 0)
            result = original(*args, **kwargs)
            if place == "after":
                die()
            passed.append(True)
            return result

        setattr(owner, name, call)
        return lambda: bool(passed)


def nurse(place: dict[str, Any]) -> Body:
    """The stages of one archive, one order each."""
    log, manner = Path(place.pop("log")), Manner(**place.pop("manner"))

    def stage(order: dict[str, Any]) -> int:
        try:
            archive = opened(**place)
        except (TransientError, ClickHouseError):
            return TRANSIENT  # a server is down
        watched = Watched.of(archive, {name: Kill(**kill) for name, kill in order["kills"].items()})
        passed = watched.arm(Step(**order["step"]), order["place"]) if order["step"] else lambda: False
        told: dict[str, Any] = {"stage": order["stage"]}
        code = 0
        try:
            perform(archive, order["stage"], order["window"], tuple(order["row_keys"]), order["days"], manner)
            told |= {"clickhouse": watched.clickhouse.made, "source": watched.source.made}
        except (FatalError, TransientError) as error:
            code = FATAL if isinstance(error, FatalError) else TRANSIENT
            told |= {"error": f"{type(error).__name__}: {error}"}
        with log.open("a", encoding="utf-8") as file:
            file.write(json.dumps(told) + "\n")
        return UNREACHED if passed() else code

    return stage


@dataclass
class Victims:
    """Runs stages in processes of their own.

    :param requests: the most requests that a stage has made, by stage and system.
    :param failures: how often a stage failed, by stage and message.
    """

    fork: Callable[..., int]
    log: Path
    requests: dict[str, dict[str, int]] = field(default_factory=dict)
    failures: Counter[str] = field(default_factory=Counter)
    _read: int = 0

    def __call__(
        self,
        stage: str,
        number: int = 0,
        *,
        row_keys: tuple[str, ...] = (),
        days: int = 1,
        kills: Mapping[str, Kill] | None = None,
        moment: float | None = None,
        step: Step | None = None,
        place: str = "",
    ) -> int:
        """Exit status of one stage."""
        code = self.fork(
            {
                "stage": stage, "window": number, "row_keys": row_keys, "place": place, "days": days,
                "step": asdict(step) if step else None,
                "kills": {system: asdict(kill) for system, kill in (kills or {}).items()},
            },
            moment,
        )  # fmt: skip
        assert code in (0, KILLED, FATAL, TRANSIENT, UNREACHED), code
        self._learn()
        return code

    def kill(self, stage: str, system: str, chance: Random) -> Kill:
        """At one of as many requests as the stage was seen to make."""
        most = self.requests.get(stage, {}).get(system, _UNKNOWN)
        return Kill.at(chance.randrange(max(1, most)), chance)

    def _learn(self) -> None:
        text = self.log.read_text(encoding="utf-8")
        for line in text[self._read :].splitlines():
            told = json.loads(line)
            stage = told.pop("stage")
            if error := told.pop("error", None):
                self.failures[f"{stage}: {error}"] += 1
                continue
            known = self.requests.setdefault(stage, {})
            for system, made in told.items():
                known[system] = max(made, known.get(system, 0))
        self._read = len(text)


@contextmanager
def victims(archive: Archive, folder: Path, manner: Manner = USUAL) -> Iterator[Victims]:
    """Victims that work on an archive."""
    log = folder / "victims.jsonl"
    log.touch()
    place = {
        "flavour": archive.engine.flavour, "connector": archive.connector.name, "database": archive.database,
        "control": archive.control.database, "table": archive.name, "log": str(log),
        "manner": asdict(manner),
    }  # fmt: skip
    with nursery(__name__, place) as fork:
        yield Victims(fork, log)
