"""A window's whole way with an application that is in the way of it, and processes that die at the steps of one stage."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tests.integration.chaos.application import Key, day
from tests.integration.chaos.conftest import Scene
from tests.integration.chaos.steps import PLACES, STEPS
from tests.integration.chaos.victim import perform, window
from tests.integration.support.nursery import KILLED

ROWS = 12
"""Of each window."""

TOUCHED = 4
"""Of them the application changes, deletes or moves so many between proof and purge: they are not purged."""

RESTORED = 4
STAYING = 3
"""Rows of a window that are at the source behind its purge."""


@dataclass
class Story:
    """One window for each place of a kill. A stage dies at each of its steps in turn, and is begun again after each.

    The numbers that are asserted are those of a run that nobody disturbs.

    :param stages: those that die; the others do not.
    """

    made: Scene
    stages: Sequence[str]
    numbers: Sequence[int]

    def tell(self) -> None:
        made = self.made
        restored: dict[int, list[Key]] = {}
        for number, place in zip(self.numbers, PLACES, strict=True):
            keys = sorted(key for key, row in made.application.record.items() if row[3] == day(number))
            assert len(keys) == ROWS
            self._stage("verify", number, place)
            self._stage("approve", number, place)
            self._interfere(keys)
            self._stage("purge", number, place)
            self._come_back(keys, number)
            if "drain" in self.stages:
                self._stage("drain", number, place)
            restored[number] = keys[-RESTORED:]
        perform(made.archive, "drain", 0)
        made.observer.require_at_rest()
        for number, place in zip(self.numbers, PLACES, strict=True):
            self._stage("seal", number, place)
            sealed = made.archive.seal(window(number))
            assert (sealed.rows, sealed.rewritten) == (ROWS - TOUCHED, 2)
        made.observer.require_settled()
        if "restore" in self.stages:
            self._restore(restored)

    def _stage(self, stage: str, number: int, place: str, row_keys: tuple[str, ...] = ()) -> None:
        for step in STEPS:
            if step.stage == stage in self.stages:
                code = self.made.victims(stage, number, row_keys=row_keys, step=step, place=place)
                assert code == KILLED, f"{step.name}, {place}: the process lived, {code}"
                self.made.observer.require_nothing_lost()
        perform(self.made.archive, stage, number, row_keys)
        self.made.observer.require_nothing_lost()

    def _interfere(self, keys: Sequence[Key]) -> None:
        """Between proof and purge: a row is changed, one deleted, one gets another key, one another day."""
        application = self.made.application
        with application.transaction() as first:
            assert first.update(keys[0])
            assert first.delete(keys[1])
        with application.transaction() as second:
            assert second.rekey(keys[2], application.new_key())
            assert second.update(keys[3], application.days[-1])

    def _come_back(self, keys: Sequence[Key], number: int) -> None:
        """Behind the purge: two purged keys are used again, one of them is deleted; what is gone cannot be changed."""
        application = self.made.application
        with application.transaction() as again:
            assert again.insert(keys[4], day(number))
            assert again.insert(keys[5], day(number))
            assert not again.update(keys[6])
            assert not again.delete(keys[7])
        with application.transaction() as gone:
            assert gone.delete(keys[5])

    def _restore(self, keys: dict[int, list[Key]]) -> None:
        """Purged rows go back, come back through the stream, and are proven once more."""
        for place, (number, wanted) in zip(PLACES, keys.items(), strict=True):
            assert set(wanted) <= set(self.made.observer.purged())
            self._stage("restore", number, place, tuple(map(row_key, wanted)))
            assert not set(wanted) & set(self.made.observer.purged())
        perform(self.made.archive, "drain", 0)
        self.made.observer.require_at_rest()
        for number in keys:
            assert self.made.archive.verify(window(number)).rows == RESTORED + STAYING


def row_key(key: Key) -> str:
    """A key as the provider spells it (docs/row-hash.md)."""
    return f"{len(key[0].encode())}:{key[0]}|{key[1]}"
