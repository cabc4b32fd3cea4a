"""Every step of the protocol, killed before, inside (done, the reply lost) and after: the end is that of an undisturbed run.

``make test`` takes each stage to one engine, ``make test-chaos`` to all three.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import pytest

from tests.integration.chaos.conftest import Scene, Store, scene
from tests.integration.chaos.steps import PLACES, STEPS
from tests.integration.chaos.stories import ROWS, Story

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
    days = len(PLACES) * len(STORIES)
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


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("made", "name"), cases(), indirect=["made"])
def test_a_stage_killed_at_each_of_its_steps_ends_like_one_that_nobody_disturbed(
    made: Scene, name: str
) -> None:
    first = len(PLACES) * list(STORIES).index(name)
    Story(made, STORIES[name], range(first, first + len(PLACES))).tell()
