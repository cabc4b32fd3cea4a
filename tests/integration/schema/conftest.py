"""Every test here needs the stack; each engine's changes are made once, all tables in one connector."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.integration.archive.conftest import Store, store
from tests.integration.schema.stage import Stage, stage

__all__ = ["Store", "store"]


@pytest.fixture(scope="module")
def stages(store: Store) -> Iterator[Callable[[str], Stage]]:
    """The stage of an engine, behind the changes and the ways out; made for the first test that asks for it."""
    made: dict[str, Stage | Exception] = {}
    with ExitStack() as stack:

        def staged(flavour: str) -> Stage:
            if flavour not in made:
                try:
                    made[flavour] = stack.enter_context(stage(flavour, store))
                except Exception as error:  # noqa: BLE001  the other tests of the engine fail by it too, at once
                    made[flavour] = error
            found = made[flavour]
            if isinstance(found, Exception):
                raise found
            return found

        yield staged


@pytest.fixture
def engine(request: pytest.FixtureRequest, stages: Callable[[str], Stage]) -> Stage:
    """The stage of the engine that is the parameter."""
    return stages(request.param)
