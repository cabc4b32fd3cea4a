from __future__ import annotations

import pytest

from stack import compat
from stack.errors import StackError
from stack.settings import Stack


def test_an_environment_that_there_is_none_of_is_refused_with_those_that_there_are(stack: Stack) -> None:
    with pytest.raises(StackError, match=r"no environment 'oldest'; there are lowest, airflow-3\.2, newest"):
        compat.check(stack, ["oldest"])


def test_the_versions_that_are_told_are_those_that_the_project_names_itself(stack: Stack) -> None:
    resolved = stack.cache / "resolved.txt"
    resolved.write_text("apache-airflow==3.2.0\napache-airflow-core==3.2.0\nhttpx==0.27.0\nhttpx2==2.16.2\n")
    assert compat._direct(stack, resolved) == ["apache-airflow 3.2.0", "httpx 0.27.0"]


@pytest.mark.parametrize(
    ("outcomes", "well"),
    [
        ({"lowest": "5 passed in 1s", "airflow-3.2": "", "newest": "5 passed in 1s"}, True),
        (
            {
                "lowest": "5 passed in 1s",
                "airflow-3.2": "failed with status 1: 1 failed, 4 passed",
                "newest": "",
            },
            False,
        ),
        ({"lowest": "", "airflow-3.2": "", "newest": ""}, False),
    ],
)
def test_a_missing_interpreter_is_no_failure_unless_nothing_ran(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, outcomes: dict[str, str], well: bool
) -> None:
    monkeypatch.setattr(compat, "_outcome", lambda stack, wanted: outcomes[wanted.name])
    assert compat.check(stack, []) is well
