"""The pages as a site, as ``make docs`` builds it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from mkdocs.config import load_config

from stack.site import ENVIRONMENT
from tests.unit.docs.generated import ROOT
from tests.unit.docs.pages import page

TABLE = re.compile(r"^\|[ :|-]+\|$", re.MULTILINE)
FENCED = re.compile(r"^ *```.*?^ *```", re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site; a link or heading that leads nowhere, or a page that the navigation lacks, fails the build."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "-d", str(folder)]
    done = subprocess.run(command, cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


def pages_of(entry: object) -> list[str]:
    """Pages of the navigation, in its order."""
    if isinstance(entry, str):
        return [entry]
    entries = entry.values() if isinstance(entry, dict) else entry
    return [name for each in entries for name in pages_of(each)]  # type: ignore[attr-defined]


def test_the_front_page_lists_the_pages_in_the_order_of_the_navigation() -> None:
    listed = re.findall(r"^\| \[[^\]]+\]\(([^)#]+)\) \|", page("index.md"), re.MULTILINE)
    navigation = pages_of(load_config(str(ROOT / "mkdocs.yml")).nav or [])
    assert navigation == ["index.md", *listed]


def test_tables_and_code_are_shown_as_such(site: Path) -> None:
    """The generator is stricter than a Git host about blank lines and indentation."""
    for path in (ROOT / "docs").rglob("*.md"):
        html = site / path.relative_to(ROOT / "docs").with_suffix(".html")
        shown = (html.with_name("index.html") if path.name == "README.md" else html).read_text()
        tables = TABLE.findall(FENCED.sub("", path.read_text()))
        assert (path.name, shown.count("<table>")) == (path.name, len(tables))
        assert not re.findall(r"<p>(?:[^<]*```|\||\* |\d+\. )", shown), path.name


def test_a_reader_of_the_site_fetches_nothing_from_elsewhere(site: Path) -> None:
    front = (site / "index.html").read_text()
    assert re.findall(r'(?:src|<link[^>]+href)="https?://[^"]+"', front) == []
