"""The protocol as a state machine (hypothesis): its stages in any order, with the application as an adversary between them.

One window and one application; the invariant is the observer's, after every step. A purge that dies is an exception at a
sub-batch, before its transaction or behind its commit. A stage that has nothing to do yet is left out by its rule, not by a
precondition: hypothesis draws the same from one run to the next, whatever the services have. Nothing else may fail.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from itertools import count
from typing import Any, ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.integration.chaos.application import Key, Transaction, day
from tests.integration.chaos.conftest import Scene
from tests.integration.chaos.stories import row_key
from tests.integration.chaos.victim import RETENTION, USUAL, perform, window

places = st.integers(0, 99)
"""Of a key among those that the example has used so far."""


class DiedError(BaseException):
    """Where a process would have been killed."""


def dying(call: Callable[..., Any], number: int, behind: bool) -> Callable[..., Any]:
    """The call, which dies the ``number``-th time: before it does anything, or when all is done."""
    calls = count()

    def call_or_die(*arguments: Any) -> Any:
        if next(calls) != number:
            return call(*arguments)
        if behind:
            call(*arguments)
        raise DiedError

    return call_or_die


class Protocol(RuleBasedStateMachine):
    """One example.

    :param scene: of the archive; :param numbers: gives each example a window of its own.

    ``proven``: the window has a proof; ``open``: the purge by the newest proof was begun and not finished; ``begun``: there
    was a purge.
    """

    scene: ClassVar[Scene]
    numbers: ClassVar[count[int]]

    def __init__(self) -> None:
        super().__init__()
        self.number = next(self.numbers)
        self.keys: list[Key] = []
        self.proven = self.open = self.begun = False

    @initialize(rows=st.integers(1, 2 * USUAL.txn_size))
    def fill(self, rows: int) -> None:
        for _ in range(rows):
            self.insert()

    # The application.

    def _change(self, change: Callable[[Transaction], object]) -> None:
        with self.scene.application.transaction() as made:
            change(made)

    def _key(self, place: int) -> Key:
        return self.keys[place % len(self.keys)]

    @rule()
    def insert(self) -> None:
        self.keys.append(self.scene.application.new_key())
        self._change(lambda made: made.insert(self.keys[-1], day(self.number)))

    @rule(place=places)
    def insert_again(self, place: int) -> None:
        self._change(lambda made: made.insert(self._key(place), day(self.number)))

    @rule(place=places)
    def update(self, place: int) -> None:
        self._change(lambda made: made.update(self._key(place)))

    @rule(place=places)
    def delete(self, place: int) -> None:
        self._change(lambda made: made.delete(self._key(place)))

    @rule(place=places)
    def delete_and_insert(self, place: int) -> None:
        def both(made: Transaction) -> None:
            made.delete(self._key(place))
            made.insert(self._key(place), day(self.number))

        self._change(both)

    @rule(place=places, other=places)
    def change_key(self, place: int, other: int) -> None:
        """To one that was used before, or to a new one; the source refuses one that is taken."""
        new = self._key(other) if other % 2 else self.scene.application.new_key()
        self.keys.append(new)
        self._change(lambda made: made.rekey(self._key(place), new))

    # The stages.

    def _do(self, stage: str, row_keys: tuple[str, ...] = ()) -> None:
        perform(self.scene.archive, stage, self.number, row_keys)

    @rule()
    def drain(self) -> None:
        self._do("drain")

    @rule()
    def verify(self) -> None:
        """It drains by itself when it has to."""
        self._do("verify")
        self._do("approve")
        self.proven, self.open = True, False

    @rule()
    def purge(self) -> None:
        if not self.proven:
            return
        self._do("purge")
        self.open, self.begun = False, True

    @rule(number=st.integers(0, 2), behind=st.booleans())
    def purge_and_die(self, number: int, behind: bool) -> None:
        if not self.proven:
            return
        purging = self.scene.archive.purging(
            window(self.number), txn_size=USUAL.txn_size, retention=RETENTION
        )
        purging.source.guarded_delete = dying(purging.source.guarded_delete, number, behind)  # type: ignore[method-assign]
        self.open, self.begun = True, True
        with purging.source, suppress(DiedError):
            purging.run()
            self.open = False

    @rule()
    def seal(self) -> None:
        if self.open or not self.begun:
            return
        self._do("drain")
        self._do("seal")

    @rule(places=st.sets(places, min_size=1, max_size=4))
    def restore(self, places: set[int]) -> None:
        purged = self._purged()
        if self.open or not purged:
            return
        chosen = sorted({purged[place % len(purged)] for place in places})
        self._do("drain")
        self._do("restore", tuple(map(row_key, chosen)))
        assert not set(chosen) & set(self.scene.observer.purged())

    def _purged(self) -> list[Key]:
        return sorted(set(self.scene.observer.purged()) & set(self.keys))

    @invariant()
    def nothing_is_lost(self) -> None:
        self.scene.observer.require_nothing_lost()

    def teardown(self) -> None:
        """Everything comes to rest."""
        for stage in ("drain", "verify", "approve", "purge", "drain", "seal"):
            self._do(stage)
        self.scene.observer.require_at_rest()
        self.scene.observer.require_settled()
        assert set(self.keys) & self.scene.application.record.keys() <= set(self._purged())
