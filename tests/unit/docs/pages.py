"""The documentation as tests read it: pages, sections, tables, code blocks."""

from __future__ import annotations

import re
import textwrap

from tests.unit.docs.generated import ROOT

PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]


def page(name: str) -> str:
    """Text of a page of ``docs/``."""
    return (ROOT / "docs" / name).read_text(encoding="utf-8")


def sections(text: str) -> dict[str, str]:
    """Text below each heading of level two or three, up to the next one, by heading."""
    parts = re.split(r"^###? (.+)$", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def rows(text: str) -> list[list[str]]:
    """Cells of every table's rows, headers left out."""
    found: list[list[str]] = []
    for line in text.splitlines():
        if line.startswith("|"):
            cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
            if all(set(cell) <= set("-: ") for cell in cells):
                found.pop()
            else:
                found.append(cells)
    return found


def code(text: str) -> list[str]:
    """What is written as code in a text; a line's end is a blank, as it is shown."""
    return [
        re.sub(r"\n\s*", " ", match[1] or match[2])
        for match in re.finditer(r"``\s?(.+?)\s?``(?!`)|`([^`]+)`", text)
        if any(match.groups())
    ]


def blocks(text: str, language: str) -> list[str]:
    """Code blocks of a language, also indented ones in lists."""
    found = re.findall(rf"^( *)```{language}\n(.*?)^\1```", text, re.MULTILINE | re.DOTALL)
    return [textwrap.dedent(body) for _, body in found]
