"""Links between pages lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.unit.docs.generated import ROOT
from tests.unit.docs.pages import PAGES, page


def without_code(text: str) -> str:
    return re.sub(r"`[^`\n]+`", "", re.sub(r"^ *```.*?^ *```", "", text, flags=re.MULTILINE | re.DOTALL))


def anchors(path: Path) -> set[str]:
    """Anchors that GitHub gives to the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_links_resolve(path: Path) -> None:
    broken = []
    for link in re.findall(r"\[[^\]]+\]\(([^)]+)\)", without_code(path.read_text(encoding="utf-8"))):
        if link.startswith("https://"):
            continue
        name, _, anchor = link.partition("#")
        target = (path.parent / name) if name else path
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []


def test_every_page_is_in_the_index() -> None:
    index = set(re.findall(r"\]\(([^)#]+)\)", page("index.md")))
    assert {path.name for path in (ROOT / "docs").glob("*.md")} - {"index.md"} <= index


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_paths_of_the_repository_exist(path: Path) -> None:
    """``archive/barrier.py`` is read as a path of the package, or of the repository."""
    text = path.read_text(encoding="utf-8")
    named = re.findall(r"`((?:[\w.-]+/)+[\w.-]+\.(?:py|md|sql|env|txt|xml|toml|ya?ml))`", text)
    roots = (ROOT, ROOT / "airflow_provider_chista")
    assert [name for name in named if not any((root / name).exists() for root in roots)] == []
