"""A seeded random schedule of kills: windows go their way, stage by stage, while the application works on all of them."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from airflow_provider_chista.errors import TransientError
from tests.integration.chaos.application import Key
from tests.integration.chaos.conftest import Scene
from tests.integration.chaos.stories import row_key
from tests.integration.chaos.victim import FATAL, perform
from tests.integration.support.nursery import KILLED, Kill

WAY = ("drain", "verify", "approve", "purge", "drain", "seal")
"""Stages of a window, of which the last two come once more when it begins again."""

_LIVES = {"drain": 0.4, "verify": 0.5, "approve": 0.7, "purge": 0.15, "seal": 0.15, "restore": 0.15}
"""Share of the stages that nobody kills: the more of the others, the oftener a window comes to its purge."""

_MOVES = 0.2
"""Share of the stages before which the application goes to other days: a window that it works on is seldom proven."""

_AGAIN = 0.15
"""Share of the killed stages behind which the whole run is cleared instead of the task."""

_RESTORED = 5
_TRIES = 5


@dataclass
class Schedule:
    """Kills stages at random requests to ClickHouse, statements at the source, or moments; looks on after each.

    :param windows: how many there are.
    :param between: called before each stage; may kill a server.
    :param calm: called before anything is looked at; waits for such a server.
    """

    made: Scene
    random: Random
    windows: int
    between: Callable[[], None] = lambda: None
    calm: Callable[[], None] = lambda: None
    kills: Counter[str] = field(default_factory=Counter)
    ended: Counter[str] = field(default_factory=Counter)
    begun: float = field(default_factory=time.monotonic)
    _at: dict[int, int] = field(default_factory=dict)

    def run(self, kills: int, pause: float = 0.1) -> None:
        """Until so many victims were killed; then everything comes to rest."""
        with self.made.application.at_work(pause):
            while self.kills.total() < kills:
                self.between()
                if self.random.random() < _MOVES:
                    days = self.made.application.days
                    self.made.application.busy = set(self.random.sample(days, len(days) // 2))
                if self.random.random() < 0.08:
                    self._restore()
                else:
                    self._one(self.random.randrange(self.windows))
            self.calm()
        self.rest()

    def rest(self) -> None:
        """The application has gone home: what is under way is finished, and every window purged and sealed."""
        made = self.made
        for _ in range(2):
            self._patiently("drain", 0)
            made.observer.require_at_rest()
            for number in range(self.windows):
                for stage in ("verify", "approve", "purge"):
                    self._patiently(stage, number)
            made.observer.require_nothing_lost()
            self._patiently("drain", 0)
            for number in range(self.windows):
                self._patiently("seal", number)
            made.observer.require_at_rest()
        made.observer.require_settled()
        young = made.application.days[-1]
        assert all(row[3] == young for row in made.observer.in_source().values())

    def _patiently(self, stage: str, number: int) -> None:
        """As a task with retries: a connector whose source was away is restarted by the first try."""
        for _ in range(_TRIES):
            try:
                perform(self.made.archive, stage, number)
            except TransientError:
                time.sleep(1)
            else:
                return
        perform(self.made.archive, stage, number)

    def _one(self, number: int) -> None:
        at = self._at.get(number, 0)
        stage = WAY[at]
        code = self._stage(stage, number)
        if code == 0:
            self._at[number] = (at + 1) % len(WAY)
        elif code == FATAL or self.random.random() < _AGAIN:
            self._at[number] = 0

    def _stage(self, stage: str, number: int, row_keys: tuple[str, ...] = ()) -> int:
        kills, moment, where = self._drawn(stage)
        code = self.made.victims(stage, number, row_keys=row_keys, kills=kills, moment=moment)
        if code == KILLED:
            self.kills[f"{stage}, {where}"] += 1
            self.calm()
            self.made.observer.require_nothing_lost()
        else:
            self.ended[f"{stage}, {code}"] += 1
        return code

    def _drawn(self, stage: str) -> tuple[dict[str, Kill], float | None, str]:
        some = self.random
        if some.random() < _LIVES[stage]:
            return {}, None, ""
        if some.random() < 0.15:
            return {}, 0.3 + some.random() * 1.5, "at a moment"
        system = some.choice(("clickhouse", "source"))
        kill = self.made.victims.kill(stage, system, some)
        return {system: kill}, None, f"{system} {kill.place}"

    def _restore(self) -> None:
        """Some purged rows go back: the application leaves them alone, and the archive is drained first, as is documented."""
        made = self.made
        keys = self._reserved()
        try:
            if not keys or not self._until_done("drain"):
                return
            self.calm()
            with made.application.paused():
                shown = made.observer.in_archive()
            assert set(keys) <= shown.keys()
            self._until_done("restore", tuple(map(row_key, keys)))
        finally:
            made.application.reserved.clear()

    def _reserved(self) -> list[Key]:
        self.calm()
        with self.made.application.paused():
            purged = self.made.observer.purged()
            keys = self.random.sample(purged, min(_RESTORED, len(purged)))
            self.made.application.reserved.update(keys)
        return keys

    def _until_done(self, stage: str, row_keys: tuple[str, ...] = ()) -> bool:
        for _ in range(_TRIES):
            code = self._stage(stage, 0, row_keys)
            if code in (0, FATAL):
                return code == 0
        return False

    def report(self) -> str:
        application, failures = self.made.application, self.made.victims.failures
        lines = [
            f"{self.kills.total()} kills in {time.monotonic() - self.begun:.0f} seconds",
            f"the application made {dict(sorted(application.done.items()))}",
            f"it lost the reply of {application.lost_replies} commits",
            "killed: " + ", ".join(f"{n} x {what}" for what, n in sorted(self.kills.items())),
            "ended: " + ", ".join(f"{n} x {what}" for what, n in sorted(self.ended.items())),
            *(f"{n} x {what[:400]}" for what, n in failures.most_common(12)),
        ]
        return "\n".join(lines)
