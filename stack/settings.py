"""Where the stack is: versions, passwords, ports, folders, URLs and Airflow connections.

One object answers for the launcher, for ``python -m stack env`` and for tests::

    stack = Stack.from_environment()
    stack.ports["mysql"], stack.clickhouse_url, connections(stack)["mysql_verify"]
"""

import getpass
import hashlib
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from stack.ports import DEFAULT_BASE_PORT, port_table

ROOT = Path(__file__).resolve().parent.parent
HOST = "127.0.0.1"
LOCAL, CELERY = "local", "celery"

# A Unix socket's path must fit into 108 bytes; the longest name below the run folder is postgres/.s.PGSQL.65535.lock.
_LONGEST_RUN_FOLDER = 70


def read_env_file(path: Path) -> dict[str, str]:
    """Read ``NAME=value`` lines; blank lines and lines that begin with ``#`` are skipped, values are taken literally.

    The format is what Compose's ``env_file`` and a shell read alike, so values hold no spaces, quotes or ``$``.

    :raises ValueError: for a line of another form.
    """
    values: dict[str, str] = {}
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        name, separator, value = text.partition("=")
        if not separator or not name.isidentifier():
            raise ValueError(f"{path}:{number}: expected NAME=value, found {text!r}")
        values[name] = value
    return values


@dataclass(frozen=True)
class Stack:
    """One stack: a base port and a data folder, with everything that follows from them."""

    base_port: int = DEFAULT_BASE_PORT
    data: Path = ROOT / ".stack" / "demo"
    cache: Path = ROOT / ".cache"
    root: Path = ROOT
    mirror: str = ""
    overrides: Mapping[str, str] = field(default_factory=dict, repr=False)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "Stack":
        """The stack that ``CHISTA_BASE_PORT``, ``CHISTA_DATA`` and ``CHISTA_CACHE`` name; each has a default.

        Passwords in the environment (``CHISTA_..._PASSWORD``) win over ``stack/secrets.env``.

        :raises ValueError: when the base port is no number, or leaves no room for the ports above it, or there is no such
            executor.
        """
        executor = environment.get("CHISTA_EXECUTOR") or LOCAL
        if executor not in (LOCAL, CELERY):
            raise ValueError(f"CHISTA_EXECUTOR must be {LOCAL} or {CELERY}, found {executor!r}")
        text = environment.get("CHISTA_BASE_PORT") or str(DEFAULT_BASE_PORT)
        if not text.isdigit():
            raise ValueError(f"CHISTA_BASE_PORT must be a port number, found {text!r}")
        port_table(int(text))
        return cls(
            base_port=int(text),
            data=Path(environment.get("CHISTA_DATA") or cls.data).absolute(),
            cache=Path(environment.get("CHISTA_CACHE") or cls.cache).absolute(),
            mirror=environment.get("DEBIAN_MIRROR", "").rstrip("/"),
            overrides={name: value for name, value in environment.items() if name.startswith("CHISTA_")},
        )

    @property
    def executor(self) -> str:
        """Of Airflow's tasks: ``local`` or ``celery`` (``CHISTA_EXECUTOR``)."""
        return self.overrides.get("CHISTA_EXECUTOR") or LOCAL

    @cached_property
    def versions(self) -> dict[str, str]:
        """``stack/versions.env``."""
        return read_env_file(self.root / "stack" / "versions.env")

    @cached_property
    def secrets(self) -> dict[str, str]:
        """``stack/secrets.env``, each value replaced by the environment's when that has one."""
        declared = read_env_file(self.root / "stack" / "secrets.env")
        return {name: self.overrides.get(name, value) for name, value in declared.items()}

    @cached_property
    def ports(self) -> dict[str, int]:
        """Port by listener (:data:`stack.ports.OFFSETS`)."""
        return port_table(self.base_port)

    @property
    def config(self) -> Path:
        """The configuration files that the native stack and the containers share."""
        return self.root / "stack" / "config"

    @property
    def rendered(self) -> Path:
        """Configuration with this stack's places filled in."""
        return self.data / "config"

    @property
    def logs(self) -> Path:
        """One log file per service."""
        return self.data / "logs"

    @property
    def temporary(self) -> Path:
        """Temporary files of the services: what a killed one leaves behind goes with the data."""
        return self.data / "tmp"

    @property
    def airflow_home(self) -> Path:
        """``AIRFLOW_HOME`` of the stack's Airflow: configuration, task logs, password file."""
        return self.data / "airflow"

    @property
    def venv(self) -> Path:
        """The environment with Airflow and the provider (editable)."""
        return self.root / ".venv"

    @property
    def dist(self) -> Path:
        """The provider's wheel and sdist."""
        return self.root / "dist"

    @property
    def tools(self) -> Path:
        """The small environment of the launcher's own tools (uv, supervisor)."""
        return self.cache / "tools"

    @cached_property
    def run(self) -> Path:
        """Sockets and pid files; outside the data folder when that is too deep for a Unix socket's path."""
        folder = self.data / "run"
        if len(os.fsencode(folder)) <= _LONGEST_RUN_FOLDER:
            return folder
        digest = hashlib.sha256(os.fsencode(self.data)).hexdigest()[:12]
        return Path(tempfile.gettempdir()) / f"chista-{getpass.getuser()}-{digest}"

    @property
    def kafka_bootstrap(self) -> str:
        """``bootstrap.servers`` for clients."""
        return f"{HOST}:{self.ports['kafka']}"

    @property
    def connect_url(self) -> str:
        """Kafka Connect's REST interface."""
        return f"http://{HOST}:{self.ports['connect']}"

    @property
    def registry_url(self) -> str:
        """The schema registry's REST interface."""
        return f"http://{HOST}:{self.ports['registry']}"

    @property
    def clickhouse_url(self) -> str:
        """ClickHouse's HTTP interface."""
        return f"http://{HOST}:{self.ports['clickhouse_http']}"

    @property
    def airflow_url(self) -> str:
        """Airflow's UI and REST interface."""
        return f"http://{HOST}:{self.ports['airflow']}"
