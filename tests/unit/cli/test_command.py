"""Exit codes, one line for an error, no secrets; spans and windows from arguments."""

from __future__ import annotations

import os
from argparse import Namespace
from datetime import UTC, datetime, timedelta

import pytest
from airflow.sdk.exceptions import AirflowNotFoundException
from airflow.sdk.log import mask_secret

from airflow_provider_chista.cli.command import age, author, command, window
from airflow_provider_chista.errors import FatalError, MismatchError, TransientError
from airflow_provider_chista.model import Window

SECRET = "a-password-of-a-test"


def outcome(raised: BaseException | None, code: int = 0, verbose: bool = False) -> int:
    @command
    def act(args: Namespace) -> int:
        assert os.environ["_AIRFLOW_PROCESS_CONTEXT"] == "server"
        if raised is not None:
            raise raised
        return code

    try:
        act(Namespace(verbose=verbose))
    except SystemExit as left:
        return int(left.code or 0)
    return 0


@pytest.mark.parametrize("code", [0, 1])
def test_the_exit_code_is_what_the_command_returns(code: int) -> None:
    assert outcome(None, code) == code


@pytest.mark.parametrize(
    ("raised", "code"),
    [
        (MismatchError("differs", 1), 1),
        (FatalError("is wrong"), 2),
        (TransientError("does not answer"), 2),
        (AirflowNotFoundException("isn't defined"), 2),
    ],
)
def test_an_error_is_one_line_on_standard_error(
    raised: Exception, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert outcome(raised) == code
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", f"airflow chista: {raised}\n")
    assert outcome(raised, verbose=True) == code
    assert "Traceback" in capsys.readouterr().err


def test_a_defect_is_told_with_its_traceback_and_never_by_the_code_for_differences(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert outcome(KeyError("nobody thought of it")) == 2
    assert "Traceback" in capsys.readouterr().err
    assert outcome(KeyboardInterrupt()) == 130


def test_secrets_are_masked_in_every_way_that_an_error_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    mask_secret(SECRET)
    for raised in (FatalError(f"{SECRET}\nis in two lines"), KeyError(SECRET)):
        for verbose in (False, True):
            outcome(raised, verbose=verbose)
            said = capsys.readouterr().err
            assert SECRET not in said
            assert "***" in said


def test_the_surroundings_are_left_as_they_were() -> None:
    before = os.environ.get("_AIRFLOW_PROCESS_CONTEXT")
    outcome(FatalError("is wrong"))
    assert os.environ.get("_AIRFLOW_PROCESS_CONTEXT") == before


def test_each_call_writes_as_a_run_of_its_own() -> None:
    who = author("verify")
    assert (who.dag_id, who.task_id, who.try_number) == ("", "airflow chista verify", 0)
    assert who.run_id.startswith("cli__")


def test_a_window_is_given_whole_or_not_at_all() -> None:
    assert window(Namespace(time_column=None, window_start=None, window_end=None)) is None
    given = Namespace(time_column="day", window_start="2024-01-01", window_end="2024-02-01")
    assert window(given) == Window("day", datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 2, 1, tzinfo=UTC))
    for missing in ("time_column", "window_start", "window_end"):
        with pytest.raises(FatalError, match="all of --time-column, --window-start and --window-end"):
            window(Namespace(**{**vars(given), missing: None}))


def test_ages_are_short() -> None:
    told = [age(timedelta(seconds=seconds)) for seconds in (-1, 59, 60, 3_600, 90_000)]
    assert told == ["0 s", "59 s", "1 min", "1 h", "1 d"]
    assert age(None) is None
