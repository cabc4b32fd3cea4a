"""The Python environment of Airflow and the provider, ``.venv`` in the repository, made by uv."""

import hashlib
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from stack import downloads
from stack.downloads import locked
from stack.settings import CELERY, Stack
from stack.shell import run

# Pins of stack/versions.env by distribution.
PINNED = {
    "apache-airflow": "AIRFLOW_VERSION",
    "apache-airflow-providers-apache-kafka": "AIRFLOW_KAFKA_PROVIDER_VERSION",
    "apache-airflow-providers-clickhousedb": "AIRFLOW_CLICKHOUSE_PROVIDER_VERSION",
    "apache-airflow-providers-postgres": "AIRFLOW_POSTGRES_PROVIDER_VERSION",
    "apache-airflow-providers-mysql": "AIRFLOW_MYSQL_PROVIDER_VERSION",
    "apache-airflow-providers-standard": "AIRFLOW_STANDARD_PROVIDER_VERSION",
}

EXTRAS = ("openlineage", "test", "lint", "docs")
"""Extras of the project that ``.venv`` has."""


def pins(versions: dict[str, str]) -> list[str]:
    """The requirements that ``stack/versions.env`` fixes, as ``name==version``."""
    return [f"{name}=={versions[version]}" for name, version in PINNED.items()]


def stamp_of(stack: Stack) -> str:
    """A digest of everything that decides what the environment holds."""
    decided = [sys.version, str(stack.root), stack.executor, *pins(stack.versions)]
    digest = hashlib.sha256("\n".join(decided).encode())
    for path in (stack.root / "pyproject.toml", _lock(stack)):
        digest.update(path.read_bytes() if path.exists() else b"-")
    return digest.hexdigest()


def _lock(stack: Stack) -> Path:
    return stack.root / "stack" / "constraints.txt"


def _celery(stack: Stack) -> str:
    """The dependency group of the CeleryExecutor, as uv takes it."""
    return f"{stack.root / 'pyproject.toml'}:celery"


def _pins_file(stack: Stack) -> Path:
    path = stack.cache / "pins.txt"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(pins(stack.versions)) + "\n")
    return path


def uv(stack: Stack, *words: str | Path, hint: str = "") -> str:
    """Run uv, and return what it printed.

    :raises StackError: it failed.
    """
    # Environments are made of Pythons that are there: uv must not fetch another one.
    told = {
        "UV_PYTHON_DOWNLOADS": "never",
        "UV_CACHE_DIR": str(stack.cache / "uv"),
        "UV_NO_PROGRESS": "1",
    }
    return run([downloads.tools(stack) / "bin" / "uv", *words], env=told, hint=hint)


def make(
    stack: Stack,
    venv: Path,
    requirements: Sequence[str | Path],
    constraints: Sequence[Path] = (),
    python: str | Path = sys.executable,
) -> None:
    """Make a virtual environment, or take the one that is there, and install requirements at the versions that files of
    constraints allow.

    :raises StackError: when a package cannot be fetched or built, or nothing fits the constraints.
    """
    if not (venv / "bin" / "python").exists():
        shutil.rmtree(venv, ignore_errors=True)
        uv(stack, "venv", "-q", "--python", python, venv)
    limits = [word for path in constraints for word in ("-c", path)]
    uv(
        stack, "pip", "install", "-q", "--python", venv / "bin" / "python", *limits, *requirements,
        hint="mysqlclient is built here, which needs gcc, pkg-config and headers: python -m stack check",
    )  # fmt: skip


def locked_versions(stack: Stack) -> list[Path]:
    """The files of constraints that hold every version: of ``stack/versions.env`` and of ``stack/constraints.txt``."""
    return [path for path in (_pins_file(stack), _lock(stack)) if path.exists()]


def ensure(stack: Stack) -> None:
    """Make or renew ``.venv``: the project (editable) with all its extras, and Celery where that is the executor, at the
    pinned versions. Does nothing when it is current.

    :raises StackError: when a package cannot be fetched or built.
    """
    stamp = stack.venv / "chista-complete"
    wanted = stamp_of(stack)
    with locked(stack.root / ".venv.lock"):
        if stamp.is_file() and stamp.read_text() == wanted:
            return
        project = f"{stack.root}[{','.join(EXTRAS)}]"
        celery = ["--group", _celery(stack)] if stack.executor == CELERY else []
        make(stack, stack.venv, ["-e", project, *celery], locked_versions(stack))
        stamp.write_text(wanted)


def lock(stack: Stack) -> None:
    """Resolve the project with its extras and Celery anew and write ``stack/constraints.txt``: the version of every
    distribution that is installed. The pins of ``stack/versions.env`` decide, the rest is the newest that fits.

    :raises StackError: when the pins contradict each other.
    """
    options = ["--universal", "--python-version", "3.11", *(f"--extra={extra}" for extra in EXTRAS)]
    options += ["--group", _celery(stack)]
    files: list[str | Path] = [stack.root / "pyproject.toml", "--constraints", _pins_file(stack)]
    shown = ["-q", "--upgrade", "--no-header", "--no-annotate"]
    uv(stack, "pip", "compile", *shown, *options, *files, "-o", _lock(stack))
