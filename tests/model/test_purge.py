"""The model of the purge protocol (docs/model): no state within its bounds breaks a promise, and every seeded fault does."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from stack.errors import StackError
from stack.model import FAULTS, RIGHT, Case, Outcome, search

Searches = dict[str, Future[Outcome]]


@pytest.fixture(scope="module")
def searches() -> Searches:
    """Two at once. Without SPIN or a compiler every test fails with the command that installs them."""
    with ThreadPoolExecutor(2) as pool:
        return {case.what: pool.submit(search, case) for case in RIGHT + FAULTS}


def outcome(searches: Searches, case: Case) -> Outcome:
    try:
        return searches[case.what].result()
    except StackError as error:
        pytest.fail(str(error), pytrace=False)


@pytest.mark.parametrize("case", RIGHT, ids=lambda case: case.what)
def test_the_protocol_loses_nothing_deletes_nothing_unproven_and_comes_to_its_end(
    searches: Searches, case: Case
) -> None:
    found = outcome(searches, case)
    assert found.violated == "", "\n".join(found.story)
    assert found.states > 100_000


@pytest.mark.parametrize("case", FAULTS, ids=lambda case: case.what)
def test_a_fault_is_refuted_by_a_story_that_ends_in_it(searches: Searches, case: Case) -> None:
    found = outcome(searches, case)
    assert found.violated
    assert found.story
