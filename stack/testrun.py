"""``make test``: the checks and the tests, on a stack of their own that is there before and gone after, come what may."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

from stack import environment, launcher, prerequisites
from stack.connections import client_environment
from stack.errors import StackError
from stack.ports import port_table
from stack.services import chosen, select
from stack.settings import Stack
from stack.shell import streamed

# Beside the demo's stack (20000), so that a test never meets the demo's data.
_DEFAULT_TEST_PORT = "22000"
# From one stack of the tests to the next; what lies between is for servers of the tests' own.
_NEXT_STACK = 2000

_LINT = (
    ("ruff", "check", "."),
    ("ruff", "format", "--check", "."),
    ("mypy",),
    ("mypy", "--strict", "-p", "stack"),
    ("lint-imports",),
)


@dataclass(frozen=True)
class Suite:
    """What one selection of tests runs and needs."""

    paths: tuple[str, ...]
    services: str
    beside: str = ""  # the services of each further stack
    lint: bool = False
    browser: bool = False
    model: bool = False
    marker: str = ""
    parallel: bool = False


SUITES = {
    "all": Suite(
        ("tests",), "all,registry", "data,registry", lint=True, browser=True, model=True, parallel=True
    ),
    "unit": Suite(("tests/unit",), "", parallel=True),
    "integration": Suite(("tests/integration",), "data,registry", "data,registry", parallel=True),
    "system": Suite(("tests/system",), "all", browser=True),
    "soak": Suite(("tests/soak",), "data", marker="soak"),
    "chaos": Suite(("tests/chaos", "tests/integration/chaos"), "data", marker="chaos"),
}


def stack_of_tests(stack: Stack, number: int) -> Stack:
    """A stack of the tests: ``CHISTA_TEST_BASE_PORT`` and ``CHISTA_TEST_DATA``, else port 22000 and ``.stack/test``.

    Its Airflow also has the DAGs of the system tests. The further ones (1, 2, ...) have ports 2,000 higher each.

    :raises ValueError: when the base port is none.
    """
    port = int(os.environ.get("CHISTA_TEST_BASE_PORT") or _DEFAULT_TEST_PORT) + number * _NEXT_STACK
    port_table(port)
    data = Path(os.environ.get("CHISTA_TEST_DATA") or stack.root / ".stack" / "test").absolute()
    data = data.with_name(f"{data.name}-{number}") if number else data
    overrides = {**stack.overrides, "CHISTA_DAGS": str(stack.root / "tests" / "system" / "dags")}
    return replace(stack, base_port=port, data=data, overrides=overrides)


def workers() -> int:
    """How many processes run tests at once: ``CHISTA_TEST_WORKERS``, else two.

    :raises ValueError: when that is no number.
    """
    return int(os.environ.get("CHISTA_TEST_WORKERS") or 2)


def lint(stack: Stack) -> int:
    """Run every linter and return how many of them complained."""
    complaints = 0
    for words in _LINT:
        launcher.say("$ " + " ".join(words))
        done = subprocess.run([stack.venv / "bin" / words[0], *words[1:]], cwd=stack.root, check=False)
        complaints += done.returncode != 0
    return complaints


def run(stack: Stack, name: str, pytest_arguments: list[str]) -> int:
    """Run a suite and return its exit status: 0 when every linter and every test passed.

    The last line printed is pytest's own.

    :raises StackError: when the test stack cannot be started.
    """
    suite = SUITES[name]
    tests = stack_of_tests(stack, 0)
    services = chosen(tests, suite.services)
    count = workers() if suite.parallel else 1
    stacks = [(tests, services)] if services else []
    if suite.beside:
        stacks += [(stack_of_tests(stack, number), select(suite.beside)) for number in range(1, count)]
    others = {"airflow-api"}
    others |= {prerequisites.BROWSER} if suite.browser else set()
    others |= {prerequisites.MODEL} if suite.model else set()
    prerequisites.ensure(tests, {service.name for service in services} | others)
    environment.ensure(tests)
    complaints = lint(tests) if suite.lint else 0
    # A CI that ends the run by a signal gets its processes back too: SIGTERM leaves through the same door as an error.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    try:
        for one, wanted in stacks:
            launcher.clean(one)
            launcher.up(one, wanted)
        # Each of several processes takes its own stack's (tests/lanes.py).
        environments = [client_environment(one) for one, _ in stacks]
        variables = dict(environments[0]) if environments else {}
        variables |= {"CHISTA_TEST_STACKS": json.dumps(environments)} if len(stacks) > 1 else {}
        status, closing = _pytest(tests, suite, count, pytest_arguments, variables)
    finally:
        for one, _ in stacks:
            launcher.down(one)
            _keep_logs(one)
            launcher.clean(one)
    if complaints:
        launcher.say(f"{complaints} of {len(_LINT)} linters complained, see above")
    print(closing, flush=True)
    return status or (1 if complaints else 0)


def _pytest(
    stack: Stack, suite: Suite, count: int, arguments: list[str], variables: dict[str, str]
) -> tuple[int, str]:
    """Run pytest, show what it prints as it prints it, and return its status and last line."""
    paths = [path for path in suite.paths if (stack.root / path).is_dir()]
    if not paths:
        raise StackError(f"there is no {', '.join(suite.paths)}")
    command = [str(stack.venv / "bin" / "python"), "-m", "pytest", *paths]
    command += ["-m", suite.marker] if suite.marker else []
    if count > 1:
        command += ["-n", str(count), "--dist", "loadscope", "--no-loadscope-reorder"]
    command += arguments
    return streamed(command, cwd=stack.root, env=variables)


def _keep_logs(stack: Stack) -> None:
    """Leave the logs of services and tasks where the next run replaces them: a failed test is read there."""
    kept = stack.data.with_name(f"{stack.data.name}-logs")
    launcher.remove(kept)
    if stack.logs.is_dir():
        stack.logs.rename(kept)
        if (stack.airflow_home / "logs").is_dir():
            (stack.airflow_home / "logs").rename(kept / "airflow-tasks")
