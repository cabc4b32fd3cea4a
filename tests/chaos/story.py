"""The stages of a large table's story, each done by processes that die and are begun again."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from random import Random

from tests.chaos.copies import Copies, copies
from tests.chaos.witness import Witness
from tests.chaos.worker import Worker
from tests.integration.archive.conftest import Store
from tests.integration.chaos.application import day
from tests.integration.chaos.observer import require_settled
from tests.integration.chaos.victim import FATAL, Manner, Victims, victims
from tests.integration.fuzz.table import NAME
from tests.integration.support.archives import Archive
from tests.integration.support.engines import connector
from tests.integration.support.nursery import KILLED, Kill

_PAUSE = 0.2
"""Seconds between two transactions of the application."""

_TRIES = 8
_BY_THE_CLOCK = 0.4
"""Share of the kills that are at a moment; the others are at a request."""

_REFUSING = ("verify", "seal")
"""Stages that refuse what the application has done since the barrier: rows that differ, and purged keys that are used again.
The drain is cleared with them."""

_WAY = ("verify", "approve", "purge", "drain", "seal")


@dataclass
class Story:
    """An archived table of copies with its application.

    :param took: seconds of the processes of a stage; :param rows: that it has dealt with.
    """

    archive: Archive
    copies: Copies
    worker: Worker
    witness: Witness
    victims: Victims
    random: Random
    say: Callable[[str], None]
    took: Counter[str] = field(default_factory=Counter)
    rows: Counter[str] = field(default_factory=Counter)
    kills: Counter[str] = field(default_factory=Counter)
    ended: Counter[str] = field(default_factory=Counter)
    begun: float = field(default_factory=time.monotonic)
    _last: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def at_work(self, but_not: set[date] | None = None) -> Iterator[None]:
        """The application works, but not on rows of some days."""
        self._leave_alone(but_not or set())
        with self.worker.at_work(_PAUSE):
            yield

    def archived(self, seconds: float) -> None:
        """The other half is written, everything drained, with kills, and compared."""
        half = self.copies.half
        with self.timed("snapshot"):
            self.archive.snapshot(seconds)
        self.rows["snapshot"] = half
        with self.timed("copy"):
            self.copies.copy(range(half, self.copies.rows))
        self.rows["copy"] = self.copies.rows - half
        with self.at_work():
            self.stage("drain", 0, kills=3)
        self.rows["drain"] = self.copies.rows
        self.require_rest()
        self.say(self.report())

    def purge(self, number: int, days: int = 1, kills: int = 0) -> None:
        """One window's whole way; :param kills: of each of its stages."""
        _, away = self._look()
        for stage in _WAY:
            self.stage(stage, number, days, kills)
            if stage == "purge":
                there, purged = self._look()
                self.rows["purge"] += purged - away
                self.rows["verify"] += purged - away
        self.say(f"  window {number}, {days} days: {purged - away} rows purged, {there} are at the source")

    def restore(self, number: int, kills: int) -> int:
        """Put a window's rows back; how many that were."""
        self.stage("drain", number)
        _, away = self._look()
        self.stage("restore", number, kills=kills)
        restored = away - self._look()[1]
        self.rows["restore"] += restored
        return restored

    def stage(self, stage: str, number: int, days: int = 1, kills: int = 0) -> None:
        """A stage, after so many of it were killed somewhere; one that fails or finds a server away is tried again."""
        for _ in range(kills):
            kill: dict[str, Kill] = {}
            moment = None
            if stage in self._last and self.random.random() < _BY_THE_CLOCK:
                moment = self.random.random() * self._last[stage]
            else:
                system = self.random.choice(("clickhouse", "source"))
                kill = {system: self.victims.kill(stage, system, self.random)}
            if self._run(stage, number, days, kill, moment) == KILLED:
                self.kills[stage] += 1
                self._look()
        reserved = self.worker.reserved
        for _ in range(_TRIES):
            if (code := self._run(stage, number, days)) == 0:
                self._leave_alone(reserved)
                return
            if code == FATAL:
                assert stage in _REFUSING, self.victims.failures
                # A window whose rows change all the time is never proven.
                self._leave_alone(reserved | {day(number + place) for place in range(days)})
                self._run("drain", number, days)
        raise AssertionError(f"{stage} of window {number}: {self.victims.failures}")

    def _leave_alone(self, days: set[date]) -> None:
        with self.worker.paused():
            self.worker.reserved = days

    def _run(
        self,
        stage: str,
        number: int,
        days: int,
        kills: dict[str, Kill] | None = None,
        moment: float | None = None,
    ) -> int:
        began = time.monotonic()
        code = self.victims(stage, number, days=days, kills=kills, moment=moment)
        seconds = time.monotonic() - began
        self.took[stage] += seconds
        self.ended[f"{stage}, {code}"] += 1
        if code == 0:
            self._last[stage] = seconds
        return code

    def _look(self) -> tuple[int, int]:
        with self.timed("observer"):
            return self.witness.require_nothing_lost()

    @contextmanager
    def timed(self, what: str) -> Iterator[None]:
        began = time.monotonic()
        yield
        self.took[what] += time.monotonic() - began

    def require_rest(self) -> None:
        """Everything is drained, and every value is where it belongs."""
        self.stage("drain", 0)
        with self.timed("observer, by value"):
            self.witness.require_exact()

    def require_settled(self) -> None:
        """Every batch is sealed, and an audit finds nothing."""
        require_settled(self.archive)
        with self.timed("audit"):
            report = self.archive.audit()
        self.say(f"  audit: {report.summary()}")
        assert report.findings == []
        assert (report.missing, report.differing, report.extra, report.evidence) == (0, 0, 0, 0)
        self.rows["audit"] += report.rows

    def report(self) -> str:
        lines = [
            f"{self.kills.total()} kills in {time.monotonic() - self.begun:.0f} seconds: "
            + ", ".join(f"{n} x {stage}" for stage, n in self.kills.items()),
            f"the application made {dict(sorted(self.worker.done.items()))}",
            "ended: " + ", ".join(f"{n} x {what}" for what, n in sorted(self.ended.items())),
        ]
        for what, seconds in self.took.items():
            rows = self.rows[what]
            lines.append(
                f"{what}: {seconds:.1f} s" + (f", {rows} rows, {rows / seconds:.0f} rows/s" if rows else "")
            )
        lines += [f"{n} x {what[:400]}" for what, n in self.victims.failures.most_common(12)]
        return "\n".join(lines)


@contextmanager
def story(
    flavour: str, store: Store, folder: Path, random: Random, rows: int, say: Callable[[str], None]
) -> Iterator[Story]:
    """The table, half of it snapshotted and half streamed, drained and compared."""
    with connector(flavour, {}, captured=[NAME]) as made, copies(made, rows, random) as table:
        seconds = 600 + rows / 500
        manner = Manner(txn_size=1_000, column=table.day_column, barrier_seconds=seconds)
        began = time.monotonic()
        table.copy(range(table.half))
        say(f"  {table.half} rows copied in {time.monotonic() - began:.1f} s")
        made.register()
        archive = Archive(made, store.client, store.control, f"{store.database}_{made.name}", NAME)
        worker = Worker(table, Random(random.random()))
        try:
            with victims(archive, folder, manner) as forks:
                told = Story(
                    archive, table, worker, Witness(archive, table, worker), forks, Random(random.random()), say
                )  # fmt: skip
                told.archived(seconds)
                yield told
        finally:
            archive.capture.source.close()
            archive.client.command(f"DROP DATABASE IF EXISTS {archive.database}")
