"""``make package``: wheel and sdist in ``dist/``, the wheel installed into an environment of its own and looked at there."""

import shutil

from stack import environment
from stack.launcher import say
from stack.settings import Stack
from stack.shell import run

_NAME = "airflow_provider_chista"


def build(stack: Stack) -> None:
    """Build the sdist, and the wheel out of it, into an empty ``dist/``.

    :raises StackError: when a build fails.
    """
    limits = [word for path in environment.locked_versions(stack) for word in ("--build-constraints", path)]
    # Without --sdist and --wheel the wheel is made of the sdist, as a distributor makes it.
    environment.uv(
        stack, "build", "-q", "--clear", "--no-create-gitignore", *limits, "-o", stack.dist, stack.root,
        hint="The build backend, hatchling, is fetched for a build.",
    )  # fmt: skip


def check(stack: Stack) -> None:
    """Install the wheel of ``dist/`` with its own dependencies alone, and run ``stack/installed.py`` there, away from the
    repository.

    :raises StackError: when it cannot be installed, or something is missing in the installation.
    """
    (wheel,) = stack.dist.glob(f"{_NAME}-*.whl")
    venv = stack.cache / "package"
    shutil.rmtree(venv, ignore_errors=True)
    environment.make(stack, venv, [wheel], environment.locked_versions(stack))
    script = stack.root / "stack" / "installed.py"
    # Isolated: neither the repository nor PYTHONPATH can lend what the wheel lacks.
    print(
        run([venv / "bin" / "python", "-I", "-W", "ignore", script], cwd=venv, env={"PYTHONPATH": ""}), end=""
    )


def package(stack: Stack) -> None:
    """:func:`build`, then :func:`check`."""
    build(stack)
    for file in sorted(stack.dist.iterdir()):
        say(f"built {file.relative_to(stack.root)}")
    check(stack)
