"""Every step of the protocol, killed before, inside (done, the reply lost) and after: the end is that of an undisturbed run.

``make test`` takes each stage to one engine, ``make test-chaos`` to all three.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import pytest

from tests.integration.chaos.application import day
from tests.integration.chaos.conftest import Scene, Store, scene
from tests.integration.chaos.steps import PLACES, STEPS
from tests.integration.chaos.stories import ROWS, Story
from tests.integration.chaos.victim import perform
from tests.integration.support.nursery import KILLED

STORIES = {
    "proof": ("verify", "approve"),
    "purge": ("purge",),
    "drain": ("drain",),
    "seal": ("seal",),
    "restore": ("restore",),
}
ALWAYS = {
    ("proof", "postgres"),
    ("purge", "mysql"),
    ("drain", "postgres"),
    ("seal", "mysql"),
    ("restore", "postgres"),
}
"""What ``make test`` runs."""


@pytest.fixture(scope="module")
def made(
    request: pytest.FixtureRequest, store: Store, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("steps")
    days = len(PLACES) * len(STORIES) + 1
    with scene(request.param, store, folder, Random(1), days=days, rows=ROWS) as archived:
        yield archived


def cases() -> list[object]:
    return [
        pytest.param(
            flavour,
            name,
            id=f"{name}-{flavour}",
            marks=[] if (name, flavour) in ALWAYS else pytest.mark.chaos,
        )
        for flavour in ("postgres", "mysql", "mariadb")
        for name in STORIES
    ]


def test_each_step_belongs_to_a_story() -> None:
    assert {step.stage for step in STEPS} == {stage for stages in STORIES.values() for stage in stages}


@pytest.mark.parametrize(("made", "name"), cases(), indirect=["made"])
def test_a_stage_killed_at_each_of_its_steps_ends_like_one_that_nobody_disturbed(
    made: Scene, name: str
) -> None:
    first = len(PLACES) * list(STORIES).index(name)
    Story(made, STORIES[name], range(first, first + len(PLACES))).tell()


@pytest.mark.parametrize("made", ["postgres"], indirect=True)
def test_the_log_of_a_seal_that_died_is_trimmed_though_the_window_was_purged_again(made: Scene) -> None:
    number = len(PLACES) * len(STORIES)
    trim = next(step for step in STEPS if step.name == "trim the log")
    for again in (False, True):
        with made.application.transaction() as change:
            assert change.insert(made.application.new_key(), day(number))
        for stage in ("drain", "verify", "approve", "purge", "drain"):
            perform(made.archive, stage, number)
        if not again:
            assert made.victims("seal", number, step=trim, place="before") == KILLED
    perform(made.archive, "seal", number)
    made.observer.require_at_rest()
    made.observer.require_settled()
