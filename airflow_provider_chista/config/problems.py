"""What is wrong in a file of archives, and where."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from airflow_provider_chista.errors import FatalError


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing that is wrong.

    :param line: where, from 1; :param column: likewise, in characters.
    :param text: what was found, and what is allowed.
    """

    line: int
    column: int
    text: str


class ArchivesError(FatalError):
    """A file of archives is wrong, and no Dag is made. The message has a line ``file:line:column: text`` for each problem.

    :param path: the file; :param problems: all that was found, in the order of their places; at least one.
    """

    def __init__(self, path: Path, problems: Iterable[Problem]) -> None:
        self.path = path
        self.problems = sorted(set(problems))
        count = len(self.problems)
        lines = (f"{path}:{each.line}:{each.column}: {each.text}" for each in self.problems)
        super().__init__("\n".join([f"{path.name} has {count} error{'s' * (count != 1)}:", *lines]))


def shown(value: Any) -> str:
    """A value as a message names it."""
    if value is None or isinstance(value, bool):
        return {None: "empty (null)", True: "true", False: "false"}[value]
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list" if value else "an empty list"
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
