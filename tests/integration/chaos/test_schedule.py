"""A short random schedule of kills beside an application at work; ``make test-chaos`` has the long one."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from tests.integration.chaos.conftest import Store, scene
from tests.integration.chaos.schedule import Schedule

SEED = 20_261_130


@pytest.mark.parametrize("flavour", ["mariadb"])
def test_stages_killed_at_random_beside_an_application_lose_nothing(
    store: Store, tmp_path: Path, flavour: str
) -> None:
    random = Random(SEED)
    with scene(flavour, store, tmp_path, random, days=2, rows=8) as made:
        Schedule(made, random, 2).run(8)
