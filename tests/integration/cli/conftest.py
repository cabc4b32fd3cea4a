"""Commands run in this process by Airflow's own parser, on the place that the operators' tests have."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from airflow.cli.cli_parser import get_parser

from tests.integration.operators.conftest import Place, given, place, stopped
from tests.integration.operators.test_dead_letters import Letters
from tests.integration.support.engines import Connector

__all__ = ["given", "place", "stopped"]


@dataclass(frozen=True)
class Outcome:
    """What a command left behind: its exit code, and what it wrote."""

    code: int
    out: str
    err: str

    @property
    def rows(self) -> Any:
        """The output as JSON."""
        return json.loads(self.out)


Run = Callable[..., Outcome]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs ``airflow chista`` with these words, in their given order."""

    def run(*words: str) -> Outcome:
        capsys.readouterr()
        code = 0
        try:
            args = get_parser().parse_args(["chista", *words])
            args.func(args)
        except SystemExit as left:
            code = int(left.code or 0)
        said = capsys.readouterr()
        return Outcome(code, said.out, said.err)

    return run


@pytest.fixture
def letters(place: Place, stopped: Connector) -> Letters:
    """A drained table with one open dead letter: offset 7 of partition 0."""
    return Letters(place, stopped.name)
