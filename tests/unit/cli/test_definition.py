"""What the parser offers is what the code knows."""

from __future__ import annotations

import importlib
import inspect
from typing import get_args

import pytest

from airflow_provider_chista.archive.check import Mode
from airflow_provider_chista.archive.policies import DeletePolicy
from airflow_provider_chista.cli import definition
from airflow_provider_chista.sources import Role
from airflow_provider_chista.sources.detect import SOURCES
from tests.unit.docs.generated import command_line

COMMANDS = command_line()


def test_choices_are_those_of_the_code() -> None:
    assert tuple(source.flavour for source in SOURCES) == definition.ENGINES
    assert get_args(Role) == definition.ROLES
    assert tuple(Mode) == definition.MODES
    (policy,) = (arg for arg in definition.LETTERS_REPLAY.args if "--delete-policy" in arg.flags)
    assert policy.kwargs["choices"] == tuple(DeletePolicy)


def test_options_of_a_sample_and_a_comparison_have_the_operators_defaults() -> None:
    from airflow_provider_chista.operators.verify import VerifyArchiveOperator

    operator = {
        name: parameter.default
        for name, parameter in inspect.signature(VerifyArchiveOperator.__init__).parameters.items()
    }
    for arg in definition.VERIFY.args:
        name = arg.flags[-1].removeprefix("--").replace("-", "_")
        if name in operator and "default" in arg.kwargs:
            assert arg.kwargs["default"] == operator[name], name


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_its_function_and_can_be_verbose(name: str) -> None:
    given = inspect.getclosurevars(COMMANDS[name].func).nonlocals
    module, _, function = given["import_path"].rpartition(".")
    assert callable(getattr(importlib.import_module(module), function))
    assert definition.ARG_VERBOSE in COMMANDS[name].args
