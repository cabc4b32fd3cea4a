"""YAML whose every value knows its line and column.

Plain values follow the core schema of YAML 1.2, as editors read them: booleans are ``true`` and ``false`` alone, and a date
or ``22:00`` is a text. Keys must be texts and may not repeat; of tags only ``!!str`` is accepted.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from airflow_provider_chista.config.problems import ArchivesError, Problem

try:
    from yaml import CBaseLoader as _BaseLoader
except ImportError:  # PyYAML without libyaml: the same, slower
    from yaml import BaseLoader as _BaseLoader  # type: ignore[assignment]

_PLAIN = "plain"
_STR, _SEQ, _MAP = (f"tag:yaml.org,2002:{name}" for name in ("str", "seq", "map"))
_WORDS = {"": None, "~": None, "null": None, "true": True, "false": False}
_INT = re.compile(r"[-+]?[0-9]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")


@dataclass(frozen=True, slots=True)
class Item:
    """A value and its place.

    :param value: a mapping of items, a list of items, or a text, number, boolean or None.
    :param line: where it begins, from 1; :param column: likewise.
    :param key: line and column of its key in a mapping.
    :param plain: True for a scalar without quotation marks, whose type follows from its text.
    """

    value: Any
    line: int
    column: int
    key: tuple[int, int]
    plain: bool = False

    @property
    def data(self) -> Any:
        """The value without places."""
        if isinstance(self.value, dict):
            return {name: item.data for name, item in self.value.items()}
        return [item.data for item in self.value] if isinstance(self.value, list) else self.value

    def problem(self, text: str, *, at_key: bool = False) -> Problem:
        """A problem at the value, or at its key."""
        return Problem(*(self.key if at_key else (self.line, self.column)), text)

    def at(self, path: Iterable[str | int]) -> Item:
        """The item at a path; parts that lead nowhere are passed over, such as a key that is missing."""
        item = self
        for part in path:
            inside = item.value
            if isinstance(inside, dict) and part in inside:
                item = inside[part]
            elif isinstance(inside, list) and part in range(len(inside)):
                item = inside[int(part)]
        return item


class _Loader(_BaseLoader):
    """Composes nodes; a scalar that was written without quotation marks and tag has the tag :data:`_PLAIN`."""

    def resolve(self, kind: Any, value: Any, implicit: Any) -> Any:
        if kind is yaml.ScalarNode and implicit[0]:
            return _PLAIN
        return super().resolve(kind, value, implicit)  # type: ignore[no-untyped-call]


def read(path: Path) -> Item:
    """The file's document.

    :raises ArchivesError: it cannot be read, is no YAML, or has keys twice, keys that are no texts, or tags.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
        node = yaml.compose(text, Loader=_Loader)
    except OSError as error:
        raise ArchivesError(path, [Problem(1, 1, f"the file cannot be read: {error.strerror}")]) from error
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise ArchivesError(path, [Problem(line, 1, "the file is not in UTF-8; save it as UTF-8")]) from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        what = " ".join(part for part in (error.context, error.problem) if part)
        raise ArchivesError(path, [Problem(*place, f"this is no YAML: {what}")]) from None
    except yaml.YAMLError as error:
        raise ArchivesError(path, [Problem(1, 1, f"this is no YAML: {error}")]) from None
    if node is None:
        raise ArchivesError(
            path, [Problem(1, 1, "the file is empty; write `archives:` and an archive below it")]
        )
    problems: list[Problem] = []
    document = _item(node, (1, 1), (), problems)
    if problems:
        raise ArchivesError(path, problems)
    return document


def scalar(text: str) -> str | int | float | bool | None:
    """The value of a plain scalar."""
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    if _INT.fullmatch(text):
        return int(text)
    return float(text) if _FLOAT.fullmatch(text) else text


def _item(node: yaml.Node, key: tuple[int, int], above: tuple[int, ...], problems: list[Problem]) -> Item:
    line, column = _place(node)
    value: Any = None
    if id(node) in above:
        problems.append(Problem(*key, "this alias stands within what it refers to; write the value out"))
    elif node.tag not in (_PLAIN, _STR, _SEQ, _MAP):
        problems.append(Problem(line, column, f"the tag {node.tag!r} is not allowed; leave it out"))
    elif isinstance(node, yaml.ScalarNode):
        return Item(
            scalar(node.value) if node.tag == _PLAIN else node.value, line, column, key, node.tag == _PLAIN
        )
    elif isinstance(node, yaml.SequenceNode):
        above = (*above, id(node))
        value = [_item(each, _place(each), above, problems) for each in node.value]
    else:
        value = dict(_entries(node, (*above, id(node)), problems))
    return Item(value, line, column, key)


def _entries(node: yaml.Node, above: tuple[int, ...], problems: list[Problem]) -> Iterator[tuple[str, Item]]:
    first: dict[str, int] = {}
    for key, value in node.value:
        place = _place(key)
        name = key.value
        if not isinstance(key, yaml.ScalarNode) or (key.tag == _PLAIN and not isinstance(scalar(name), str)):
            problems.append(Problem(*place, "a key must be a text; put it into quotation marks"))
        elif name in first:
            problems.append(
                Problem(*place, f"{name} is here already, in line {first[name]}; keep one of the two")
            )
        else:
            first[name] = place[0]
            yield name, _item(value, place, above, problems)


def _place(node: yaml.Node) -> tuple[int, int]:
    return node.start_mark.line + 1, node.start_mark.column + 1
