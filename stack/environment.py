"""The Python environment of Airflow and the provider, ``.venv`` in the repository, made by uv."""

import hashlib
import shutil
import sys
from pathlib import Path

from stack import downloads
from stack.downloads import locked
from stack.settings import Stack
from stack.shell import run

# Pins of stack/versions.env by distribution.
_PINNED = {
    "apache-airflow": "AIRFLOW_VERSION",
    "apache-airflow-providers-apache-kafka": "AIRFLOW_KAFKA_PROVIDER_VERSION",
    "apache-airflow-providers-clickhousedb": "AIRFLOW_CLICKHOUSE_PROVIDER_VERSION",
    "apache-airflow-providers-postgres": "AIRFLOW_POSTGRES_PROVIDER_VERSION",
    "apache-airflow-providers-mysql": "AIRFLOW_MYSQL_PROVIDER_VERSION",
    "apache-airflow-providers-standard": "AIRFLOW_STANDARD_PROVIDER_VERSION",
}


def pins(versions: dict[str, str]) -> list[str]:
    """The requirements that ``stack/versions.env`` fixes, as ``name==version``."""
    return [f"{name}=={versions[version]}" for name, version in _PINNED.items()]


def stamp_of(stack: Stack) -> str:
    """A digest of everything that decides what the environment holds."""
    digest = hashlib.sha256("\n".join([sys.version, str(stack.root), *pins(stack.versions)]).encode())
    for path in (stack.root / "pyproject.toml", _constraints(stack)):
        digest.update(path.read_bytes() if path.exists() else b"-")
    return digest.hexdigest()


def _constraints(stack: Stack) -> Path:
    return stack.root / "stack" / "constraints.txt"


def ensure(stack: Stack) -> None:
    """Make or renew ``.venv``: the project (editable) with its test extra, at the pinned versions. Does nothing when it is current.

    :raises StackError: when a package cannot be fetched or built.
    """
    tools = downloads.tools(stack)
    stamp = stack.venv / "chista-complete"
    wanted = stamp_of(stack)
    with locked(stack.root / ".venv.lock"):
        if stamp.is_file() and stamp.read_text() == wanted:
            return
        # The environment is this Python's: uv must not fetch another one.
        environment = {"UV_PYTHON_DOWNLOADS": "never", "UV_CACHE_DIR": str(stack.cache / "uv"), "UV_NO_PROGRESS": "1"}
        uv = tools / "bin" / "uv"
        if not (stack.venv / "bin" / "python").exists():
            shutil.rmtree(stack.venv, ignore_errors=True)
            run([uv, "venv", "-q", "--python", sys.executable, stack.venv], env=environment)
        pinned = stack.cache / "pins.txt"
        pinned.write_text("\n".join(pins(stack.versions)) + "\n")
        run(
            [uv, "pip", "install", "-q", "--python", stack.venv / "bin" / "python", "-c", pinned]
            + (["-c", _constraints(stack)] if _constraints(stack).exists() else [])
            + ["-e", f"{stack.root}[test]"],
            env=environment,
            hint="mysqlclient is built here: it needs gcc, pkg-config, libmysqlclient's and Python's headers (python -m stack check).",
        )
        stamp.write_text(wanted)
