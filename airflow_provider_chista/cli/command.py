"""What every command shares: Airflow's surroundings, one line for an error, exit codes, output, who writes to the state."""

from __future__ import annotations

import json
import os
import sys
import traceback
from argparse import Namespace
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import wraps
from typing import Any

from airflow.cli.simple_table import AirflowConsole
from airflow.sdk.exceptions import AirflowException
from airflow.sdk.log import redact  # type: ignore[attr-defined]
from airflow.utils.cli import suppress_logs_and_warning
from airflow.utils.platform import getuser
from airflow.utils.providers_configuration_loader import providers_configuration_loaded
from rich.markup import escape

from airflow_provider_chista.archive import window as windows
from airflow_provider_chista.archive.ledger import Author
from airflow_provider_chista.errors import ChistaError, FatalError, MismatchError
from airflow_provider_chista.hooks.services import Connections
from airflow_provider_chista.model import Window

EQUAL, FOUND, FAILED, INTERRUPTED = 0, 1, 2, 130
"""Exit codes: nothing to say; differences, or something to mend; an error (argparse's too); Ctrl-C."""

_CONTEXT = "_AIRFLOW_PROCESS_CONTEXT"

Command = Callable[[Namespace], int]


def command(function: Command) -> Callable[[Namespace], None]:
    """A function of parsed arguments that returns an exit code, as Airflow runs it.

    Connections of the metadata database are found too, not only those of the environment. An error becomes one line on
    standard error, without secrets; ``--verbose`` adds the traceback. Logs and warnings are shown with ``--verbose`` only.
    """

    @wraps(function)
    def run(args: Namespace) -> None:
        codes: list[int] = []

        @suppress_logs_and_warning
        @providers_configuration_loaded
        def work(args: Namespace) -> None:
            codes.append(function(args))

        try:
            with _server_context():
                work(args)
        except MismatchError as error:
            _tell(args, error)
            codes = [FOUND]
        except (ChistaError, AirflowException, ImportError) as error:
            _tell(args, error)
            codes = [FAILED]
        except KeyboardInterrupt:
            codes = [INTERRUPTED]
        except Exception:  # noqa: BLE001 - Python's own exit code would say that rows differ
            sys.stderr.write(redacted(traceback.format_exc()))
            codes = [FAILED]
        if codes[-1]:
            raise SystemExit(codes[-1])

    return run


def redacted(text: str) -> str:
    """The text without what Airflow knows as secret, such as the passwords of connections that were read."""
    return str(redact(text))


def note(text: str) -> None:
    """A line beside the output, on standard error."""
    sys.stderr.write(redacted(" ".join(text.splitlines())) + "\n")


def show(args: Namespace, rows: Sequence[dict[str, Any]], wide: Collection[str] = ()) -> None:
    """Rows in the format of ``--output``; JSON and YAML keep numbers as numbers.

    :param wide: columns that a table has no room for.
    """
    if args.output == "table":
        rows = [{name: value for name, value in row.items() if name not in wide} for row in rows]
    told = [{name: _told(value) for name, value in row.items()} for row in rows]
    console = AirflowConsole()
    if args.output == "json":
        sys.stdout.write(json.dumps(told, indent=2) + "\n")
    elif args.output == "yaml":
        console.print_as_yaml(told)  # type: ignore[arg-type]
    elif args.output == "plain":
        console.print_as_plain_table([{n: "" if v is None else v for n, v in row.items()} for row in told])
    else:
        console.print_as_table(
            [{n: "" if v is None else escape(str(v)) for n, v in row.items()} for row in told]
        )


def author(name: str) -> Author:
    """Who writes: no DAG, a run that names the user and the moment, and the command as the task."""
    moment = datetime.now(UTC).isoformat(timespec="milliseconds")
    return Author(run_id=f"cli__{getuser()}__{moment}", task_id=f"airflow chista {name}")


def connections(args: Namespace) -> Connections:
    """The connection ids among the arguments; a command has only those that it uses."""
    given = {
        name.removesuffix("_conn_id"): value
        for name, value in vars(args).items()
        if name.endswith("_conn_id")
    }
    given.pop("capture", None)
    return Connections(**{"source": "", **given})


def window(args: Namespace) -> Window | None:
    """The window of the arguments; None when they name none.

    :raises FatalError: only some of its parts are given.
    """
    parts = (args.time_column, args.window_start, args.window_end)
    if not any(parts):
        return None
    if not all(parts):
        raise FatalError("a window needs all of --time-column, --window-start and --window-end")
    return Window(
        args.time_column, windows.parse_bound(args.window_start), windows.parse_bound(args.window_end)
    )


def age(span: timedelta | None) -> str | None:
    """A span of time for people: days, hours or minutes."""
    if span is None:
        return None
    seconds = max(0, int(span.total_seconds()))
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= length:
            return f"{seconds // length} {unit}"
    return f"{seconds} s"


@contextmanager
def _server_context() -> Iterator[None]:
    """Hooks look into the metadata database only in a process that says what it is (as ``airflow connections test`` does)."""
    before = os.environ.get(_CONTEXT)
    os.environ[_CONTEXT] = "server"
    try:
        yield
    finally:
        if before is None:
            del os.environ[_CONTEXT]
        else:
            os.environ[_CONTEXT] = before


def _tell(args: Namespace, error: Exception) -> None:
    if args.verbose:
        sys.stderr.write(redacted(traceback.format_exc()))
    note(f"airflow chista: {error}")


def _told(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(" ", "seconds")
    return value
