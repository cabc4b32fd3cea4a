"""The whole story: a large table of every provable type, changing under an application's load, is archived, verified, purged
to the retention limit, audited, and a tenth of it restored and purged again, with kills of every stage.

``CHISTA_STORY_ROWS`` (1,000,000) is the size of the table, ``CHISTA_STORY_WINDOWS`` (10) the number of its old days, of
which one is restored, ``CHISTA_CHAOS_SEED`` the seed.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from random import Random

import pytest

from tests.chaos.copies import WINDOWS
from tests.chaos.story import Story, story
from tests.chaos.test_random import SEED
from tests.integration.chaos.application import YOUNG, day
from tests.integration.fuzz.conftest import Store, store

__all__ = ["store"]

ROWS = int(os.environ.get("CHISTA_STORY_ROWS") or 1_000_000)
LAST = WINDOWS - 1


@pytest.mark.timeout(1800 + ROWS // 50)
@pytest.mark.parametrize("flavour", ["postgres", "mysql", "mariadb"])
def test_a_large_table_of_every_provable_type_goes_the_whole_way_and_back_with_kills(
    store: Store, tmp_path: Path, flavour: str, capfd: pytest.CaptureFixture[str]
) -> None:
    def say(text: str) -> None:
        with capfd.disabled():
            sys.stdout.write(f"{text}\n")
            sys.stdout.flush()

    say(f"\n{flavour}, {ROWS} rows, CHISTA_CHAOS_SEED={SEED}")
    with story(flavour, store, tmp_path, Random(f"{SEED} {flavour}"), ROWS, say) as told:
        try:
            tell(told)
        finally:
            say(told.report())


def tell(told: Story) -> None:
    witness, worker = told.witness, told.worker
    with told.at_work():
        for number in range(WINDOWS):
            told.purge(number, kills=1)
    # The application has gone home: what it changed between proof and purge is purged too.
    told.purge(0, days=WINDOWS)
    old = [row_id for row_id in worker.ids if worker.on(row_id) != YOUNG]
    assert witness.copies.ids() == worker.ids - set(old)
    witness.require_exact()
    told.require_settled()

    with told.at_work(but_not={day(LAST)}):
        restored = told.restore(LAST, kills=4)
    assert restored >= len(old) // WINDOWS * 0.9
    told.require_rest()
    assert {row_id for row_id in witness.copies.ids() if worker.on(row_id) == day(LAST)} == {
        row_id for row_id in worker.ids if worker.on(row_id) == day(LAST)
    }

    told.purge(0, days=WINDOWS, kills=1)
    assert {worker.on(row_id) for row_id in witness.copies.ids()} == {YOUNG}
    witness.require_exact()
    told.require_settled()
