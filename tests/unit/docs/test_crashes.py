"""docs/crashes.md names every step at which a process is killed, and tests that exist."""

from __future__ import annotations

import re

from tests.integration.chaos.steps import STEPS
from tests.integration.chaos.test_steps import STORIES
from tests.unit.docs.generated import ROOT
from tests.unit.docs.pages import code, page, rows, sections

SECTIONS = sections(page("crashes.md"))
STAGES = {"Drain": "drain", "Proof": "proof", "Purge": "purge", "Seal": "seal", "Restore": "restore"}
TESTS = {
    name
    for path in (ROOT / "tests").rglob("test_*.py")
    for name in re.findall(r"^ *def (test_\w+)\(", path.read_text(encoding="utf-8"), re.MULTILINE)
}


def test_each_step_has_its_line_in_the_section_of_its_stage_in_the_order_of_the_protocol() -> None:
    told = {story: [cells[0] for cells in rows(SECTIONS[title])] for title, story in STAGES.items()}
    assert told == {
        story: [step.name for step in STEPS if step.stage in stages] for story, stages in STORIES.items()
    }


def test_each_line_names_tests_that_exist() -> None:
    for title in (*STAGES, "Races", "Servers", "In Airflow"):
        for cells in rows(SECTIONS[title]):
            named = [name.partition("[")[0] for name in code(cells[-1])]
            assert named or cells[-1] in ("the same", "the same two")
            assert set(named) <= TESTS, set(named) - TESTS


def test_the_cases_in_square_brackets_are_those_of_the_section() -> None:
    for title, story in STAGES.items():
        cases = re.findall(r"`test_\w+\[([^\]]+)\]`", SECTIONS[title])
        assert set(cases) == {story}
