"""The state machine of ``model.py``, a few examples that are the same each time; ``make test-chaos`` runs many others."""

from __future__ import annotations

from itertools import count
from pathlib import Path
from random import Random

from hypothesis import Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.integration.chaos.conftest import Store, scene
from tests.integration.chaos.model import Protocol


def test_stages_in_any_order_among_changes_of_the_application_lose_nothing(
    store: Store, tmp_path: Path
) -> None:
    chosen = settings(
        max_examples=2, stateful_step_count=12, derandomize=True, database=None, phases=[Phase.generate]
    )
    with scene("postgres", store, tmp_path, Random(3), days=0, rows=3) as made:
        machine = type("Machine", (Protocol,), {"scene": made, "numbers": count()})
        run_state_machine_as_test(machine, settings=chosen)
