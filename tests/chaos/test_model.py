"""Many random examples of the state machine of ``tests/integration/chaos/model.py``, on each engine."""

from __future__ import annotations

import os
from itertools import count
from pathlib import Path
from random import Random

import pytest
from hypothesis import Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.integration.chaos.conftest import Store, scene, store
from tests.integration.chaos.model import Protocol

__all__ = ["store"]

EXAMPLES = int(os.environ.get("CHISTA_CHAOS_EXAMPLES") or 40)


@pytest.mark.timeout(600 + 60 * EXAMPLES)
@pytest.mark.parametrize("flavour", ["postgres", "mysql", "mariadb"])
def test_random_stages_among_random_changes_lose_nothing(store: Store, tmp_path: Path, flavour: str) -> None:
    chosen = settings(
        max_examples=EXAMPLES, stateful_step_count=25, database=None, phases=[Phase.generate], print_blob=True
    )
    with scene(flavour, store, tmp_path, Random(3), days=0, rows=3) as made:
        machine = type("Machine", (Protocol,), {"scene": made, "numbers": count()})
        run_state_machine_as_test(machine, settings=chosen)
