"""docs/cli.md has a section for every command; its options are made from the code (generated.py)."""

from __future__ import annotations

from tests.unit.docs.generated import command_line
from tests.unit.docs.pages import code, page, sections


def test_every_command_has_a_section_with_its_options() -> None:
    found = sections(page("cli.md"))
    assert sorted(code(title)[0] for title in found) == sorted(command_line())
    for name in command_line():
        assert f"<!-- begin {name} options -->" in found[f"`{name}`"], name
