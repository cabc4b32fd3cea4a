"""``make compat``: the unit tests with the oldest and the newest versions that ``pyproject.toml`` allows, each time in an
environment of its own.
"""

import re
import shutil
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from stack import environment
from stack.errors import StackError
from stack.launcher import say
from stack.settings import Stack
from stack.shell import streamed


@dataclass(frozen=True)
class Environment:
    """One set of versions to run the unit tests with.

    :param python: minor version of the interpreter.
    :param resolution: uv's word for which of the allowed versions of the direct dependencies to take.
    :param limits: constraints beside those of ``pyproject.toml``.
    """

    name: str
    python: str
    resolution: str = "highest"
    limits: tuple[str, ...] = ()


ENVIRONMENTS = (
    Environment("lowest", "3.11", resolution="lowest-direct"),
    Environment("airflow-3.2", "3.12", limits=("apache-airflow==3.2.*",)),
    Environment("newest", "3.13"),
)


def check(stack: Stack, names: Sequence[str]) -> bool:
    """Make the named environments (none named: all) and run the unit tests in each; whether all that ran passed, and any did.

    An environment whose Python this machine lacks is told and left out.

    :raises StackError: when there is no such environment, its versions contradict each other, or a package cannot be built.
    """
    known = {each.name: each for each in ENVIRONMENTS}
    for name in names:
        if name not in known:
            raise StackError(f"there is no environment {name!r}; there are {', '.join(known)}")
    outcomes = {each.name: _outcome(stack, each) for each in ENVIRONMENTS if not names or each.name in names}
    for name, outcome in outcomes.items():
        say(f"{name}: {outcome or 'not run'}")
    ran = [outcome for outcome in outcomes.values() if outcome]
    return bool(ran) and not any(outcome.startswith("failed") for outcome in ran)


def _outcome(stack: Stack, wanted: Environment) -> str:
    """The closing line of the tests; empty when there is no interpreter."""
    python = _interpreter(stack, wanted)
    if python is None:
        return ""
    folder = stack.cache / "compat" / wanted.name
    resolved = _resolved(stack, wanted, folder)
    shutil.rmtree(folder / "venv", ignore_errors=True)
    environment.make(
        stack, folder / "venv", ["-e", f"{stack.root}[openlineage,test,docs]"], [resolved], python
    )
    say(f"{wanted.name}: Python {wanted.python}, {', '.join(_direct(stack, resolved))}")
    command: list[str | Path] = [
        folder / "venv" / "bin" / "python",
        "-m",
        "pytest",
        "-p",
        "no:cacheprovider",
        "tests/unit",
    ]
    status, last = streamed(command, cwd=stack.root)
    closing = last.strip(" =")
    return closing if status == 0 else f"failed with status {status}: {closing}"


def _interpreter(stack: Stack, wanted: Environment) -> Path | None:
    try:
        found = environment.uv(stack, "python", "find", "--no-project", wanted.python)
    except StackError as error:
        say(f"{wanted.name}: there is no Python {wanted.python} on the PATH\n{error}")
        return None
    return Path(found.strip())


def _resolved(stack: Stack, wanted: Environment, folder: Path) -> Path:
    """A file with the version of everything that the provider and its extra need. What only tests need is the newest."""
    folder.mkdir(parents=True, exist_ok=True)
    limits, resolved = folder / "limits.txt", folder / "resolved.txt"
    limits.write_text("".join(f"{limit}\n" for limit in wanted.limits))
    options: list[str | Path] = [
        "--python-version",
        wanted.python,
        "--resolution",
        wanted.resolution,
        "-c",
        limits,
    ]
    options += ["--extra", "openlineage"]
    shown: list[str | Path] = ["-q", "--upgrade", "--no-header", "--no-annotate", "-o", resolved]
    environment.uv(stack, "pip", "compile", *shown, *options, stack.root / "pyproject.toml")
    return resolved


def _direct(stack: Stack, resolved: Path) -> list[str]:
    """Versions of what ``pyproject.toml`` names itself."""
    project = tomllib.loads((stack.root / "pyproject.toml").read_text())["project"]
    declared = [*project["dependencies"], *project["optional-dependencies"]["openlineage"]]
    direct = {re.split(r"[^\w.-]", requirement)[0] for requirement in declared}
    lines = resolved.read_text().splitlines()
    return [line.replace("==", " ") for line in lines if line.partition("==")[0] in direct]
