"""What the machine must have before anything is fetched or started, and the command that gives it what it lacks."""

import contextlib
import importlib.util
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from stack import downloads
from stack.errors import StackError
from stack.services.base import is_root
from stack.services.postgres import program as postgres_program
from stack.settings import Stack
from stack.shell import find_program, run

BROWSER = "browser"
"""What tests of Airflow's pages need, beside the services."""

MODEL = "model"
"""What the check of the model of the purge protocol needs."""

AIRFLOW = ("airflow-api", "airflow-scheduler", "airflow-dag-processor", "airflow-triggerer", "airflow-worker")
_MINIMUM_JAVA = 17
_MINIMUM_POSTGRES = 15
_MINIMUM_PYTHON = (3, 11)


@dataclass(frozen=True)
class Prerequisite:
    """One thing that must be there: ``missing`` returns None when it is, else what was found instead.

    ``packages`` of Debian and Ubuntu bring it (``a|b``: the first that the distribution has); what no package brings has
    a ``remedy`` of its own.
    """

    name: str
    packages: tuple[str, ...]
    missing: Callable[[Stack], str | None]
    needed_by: tuple[str, ...]
    remedy: str = ""


def version_of(command: list[str], after: str = "") -> tuple[int, ...]:
    """The first version number that a program prints (after a text), as numbers; empty when there is none."""
    try:
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )
    except OSError:
        return ()
    found = re.search(r"\d+(?:\.\d+)*", done.stdout.partition(after)[2] if after else done.stdout)
    return tuple(int(part) for part in found.group().split(".")) if found else ()


def _postgres_version(stack: Stack) -> tuple[int, ...]:
    return version_of([str(postgres_program("postgres")), "--version"])


def _mariadb_version(stack: Stack) -> tuple[int, ...]:
    return version_of([str(find_program("mariadbd")), "--version"], after="Ver ")


def _mysql_version(stack: Stack) -> tuple[int, ...]:
    return tuple(int(part) for part in downloads.mysql_version(stack).partition("-")[0].split("."))


def _clickhouse_version(stack: Stack) -> tuple[int, ...]:
    binary = find_program("clickhouse")
    if binary is not None:
        return version_of([str(binary), "--version"], after="version ")
    return tuple(int(part) for part in stack.versions["CLICKHOUSE_VERSION"].split("."))


_MOVING_SERVERS = {
    "mysql": _mysql_version,
    "mariadb": _mariadb_version,
    "postgres": _postgres_version,
    "redis": lambda stack: version_of(["redis-server", "--version"], after="v="),
    "clickhouse": _clickhouse_version,
}


def _java(stack: Stack) -> str | None:
    version = version_of(["java", "-version"], after="version ")
    return (
        None
        if version and version[0] >= _MINIMUM_JAVA
        else f"found {_dotted(version)}, {_MINIMUM_JAVA} or newer is needed"
    )


def _postgres(stack: Stack) -> str | None:
    try:
        version = _postgres_version(stack)
    except StackError:
        return "not found"
    return (
        None
        if version and version[0] >= _MINIMUM_POSTGRES
        else f"found {_dotted(version)}, {_MINIMUM_POSTGRES} or newer is needed"
    )


def _programs(*names: str) -> Callable[[Stack], str | None]:
    def missing(stack: Stack) -> str | None:
        absent = [name for name in names if find_program(name) is None]
        return f"{', '.join(absent)} not found" if absent else None

    return missing


def _clickhouse_source(stack: Stack) -> str | None:
    return None if find_program("clickhouse") else _programs("npm", "node")(stack)


def _client_headers(stack: Stack) -> str | None:
    for name in ("mysqlclient", "libmariadb", "mariadb"):
        if subprocess.run(["pkg-config", "--exists", name], check=False).returncode == 0:
            return None
    return "pkg-config knows neither mysqlclient nor libmariadb"


def _guarded(check: Callable[[Stack], str | None]) -> Callable[[Stack], str | None]:
    def missing(stack: Stack) -> str | None:
        return check(stack) if find_program("pkg-config") else "pkg-config not found"

    return missing


def _python_headers(stack: Stack) -> str | None:
    header = Path(sysconfig.get_path("include")) / "Python.h"
    return None if header.exists() else f"{header} not found"


def _venv(stack: Stack) -> str | None:
    return (
        None
        if importlib.util.find_spec("ensurepip") and importlib.util.find_spec("venv")
        else "no module ensurepip"
    )


def _mirror(stack: Stack) -> str | None:
    if find_program("apt-get") is None:
        return "apt-get not found"
    try:
        downloads.debian_mirror(stack)
    except StackError as error:
        return str(error)
    return None


def _keyring(stack: Stack) -> str | None:
    return (
        None
        if Path("/usr/share/keyrings/debian-archive-keyring.gpg").exists()
        else "Debian's signing keys not found"
    )


PREREQUISITES = (
    Prerequisite(
        "Java", ("openjdk-17-jre-headless|default-jre-headless",), _java, ("kafka", "connect", "registry")
    ),
    Prerequisite(
        "a Java compiler",
        ("openjdk-17-jdk-headless|default-jdk-headless",),
        _programs("javac"),
        ("registry",),
    ),
    Prerequisite("Maven", ("maven",), _programs("mvn"), ("kafka", "connect", "registry")),
    Prerequisite("Node.js with npm", ("nodejs", "npm"), _clickhouse_source, ("clickhouse",)),
    Prerequisite("dpkg-deb and apt-get", ("dpkg", "apt"), _programs("dpkg-deb", "apt-get"), ("mysql",)),
    Prerequisite("Debian's archive keys", ("debian-archive-keyring",), _keyring, ("mysql",)),
    Prerequisite(
        "a Debian mirror",
        (),
        _mirror,
        ("mysql",),
        remedy="export DEBIAN_MIRROR=ADDRESS, that of the folder of a Debian mirror which holds dists/",
    ),
    Prerequisite(
        "MariaDB server",
        ("mariadb-server-core", "mariadb-client-core"),
        _programs("mariadbd", "mariadb-install-db", "mariadb"),
        ("mariadb",),
    ),
    Prerequisite("PostgreSQL server", ("postgresql",), _postgres, ("postgres", *AIRFLOW)),
    Prerequisite("Redis", ("redis-server",), _programs("redis-server", "redis-cli"), ("redis",)),
    Prerequisite("setpriv", ("util-linux",), _programs("setpriv"), ("postgres",)),
    Prerequisite("Python's venv", ("python3-venv",), _venv, ()),
    Prerequisite("a C compiler", ("gcc", "libc6-dev"), _programs("gcc"), (*AIRFLOW, MODEL)),
    Prerequisite("pkg-config", ("pkg-config",), _programs("pkg-config"), AIRFLOW),
    Prerequisite("Python's headers", ("python3-dev",), _python_headers, AIRFLOW),
    Prerequisite(
        "libmysqlclient's headers", ("default-libmysqlclient-dev",), _guarded(_client_headers), AIRFLOW
    ),
    Prerequisite("SPIN", ("spin",), _programs("spin"), (MODEL,)),
    Prerequisite("Chromium", ("chromium",), _programs("chromium"), (BROWSER,)),
)


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version)) or "nothing"


def missing(stack: Stack, services: set[str]) -> list[tuple[Prerequisite, str]]:
    """What these services need and the machine lacks, each with what was found instead."""
    found = []
    for prerequisite in PREREQUISITES:
        if not prerequisite.needed_by or services.intersection(prerequisite.needed_by):
            seen = prerequisite.missing(stack)
            if seen is not None:
                found.append((prerequisite, seen))
    return found


def explain(lacking: list[tuple[Prerequisite, str]]) -> str:
    """One line for each missing thing, and what mends them: one command for all that packages bring."""
    lines = ["the machine lacks"]
    lines += [f"  {prerequisite.name}: {seen}" for prerequisite, seen in lacking]
    lines += [
        f"For {prerequisite.name}: {prerequisite.remedy}"
        for prerequisite, _ in lacking
        if prerequisite.remedy
    ]
    if packages_of(lacking):
        lines += ["On Debian or Ubuntu this mends it:", f"  {apt_command(lacking)}"]
    return "\n".join(lines)


def packages_of(lacking: list[tuple[Prerequisite, str]]) -> list[str]:
    """The packages that bring what is missing, alternatives decided."""
    return [_first_available(package) for prerequisite, _ in lacking for package in prerequisite.packages]


def _first_available(package: str) -> str:
    *others, last = package.split("|")
    apt_cache = find_program("apt-cache")
    for name in others if apt_cache else ():
        if subprocess.run([str(apt_cache), "show", name], capture_output=True, check=False).returncode == 0:
            return name
    return last


def apt_command(lacking: list[tuple[Prerequisite, str]]) -> str:
    """The command line that installs the packages of missing prerequisites."""
    packages = " ".join(packages_of(lacking))
    sudo = "" if is_root() else "sudo "
    return f"{sudo}apt-get update && {sudo}apt-get install -y --no-install-recommends {packages}"


def ensure(stack: Stack, services: set[str], install: bool = True) -> None:
    """Check what these services need; as root, or where sudo asks for no password, install what is missing.

    :raises StackError: naming everything that is missing and the command that mends it.
    """
    if platform.system() != "Linux" or platform.machine() != "x86_64":
        raise StackError(
            f"the native stack runs on Linux x86-64, this is {platform.system()} {platform.machine()}; "
            "use  docker compose up"
        )
    if sys.version_info < _MINIMUM_PYTHON:
        raise StackError(
            f"Python {_dotted(_MINIMUM_PYTHON)} or newer is needed, this is {_dotted(sys.version_info[:2])}. "
            "On Debian and Ubuntu: apt-get install python3.11 python3.11-venv python3.11-dev, "
            "then  make PYTHON=python3.11 up"
        )
    lacking = missing(stack, services)
    if not lacking:
        return
    may_install = (
        install
        and packages_of(lacking)
        and find_program("apt-get") is not None
        and (is_root() or _sudo_without_password())
    )
    if not may_install:
        raise StackError(explain(lacking))
    print(explain(lacking), file=sys.stderr, flush=True)
    _apt_install(lacking)
    if lacking := missing(stack, services):
        raise StackError(explain(lacking))


def other_versions(stack: Stack, services: set[str]) -> list[str]:
    """Which servers are of another series than the stack was tried with, a sentence each. They may well do.

    Asked once everything is fetched: some servers come with the machine's packages, which are of the distribution's
    version, and MySQL from a suite that moves.
    """
    sentences = []
    for service, version in _MOVING_SERVERS.items():
        if service in services:
            series, found = stack.versions[f"{service.upper()}_SERIES"], _dotted(version(stack))
            if not in_series(found, series):
                sentences.append(f"{service} is {found}; the stack was tried with {series}")
    return sentences


def in_series(version: str, series: str) -> bool:
    """Whether a version is of a series: 10.11.19 of 10.11, but not of 10.1."""
    return version == series or version.startswith(f"{series}.")


def _sudo_without_password() -> bool:
    if shutil.which("sudo") is None:
        return False
    return subprocess.run(["sudo", "-n", "true"], capture_output=True, check=False).returncode == 0


def _apt_install(lacking: list[tuple[Prerequisite, str]]) -> None:
    sudo = [] if is_root() else ["sudo", "-n"]
    environment = ["env", "DEBIAN_FRONTEND=noninteractive"]
    with _no_service_starts(sudo):
        run([*sudo, *environment, "apt-get", "update", "-qq"])
        run(
            [
                *sudo,
                *environment,
                "apt-get",
                "install",
                "-y",
                "-qq",
                "--no-install-recommends",
                *packages_of(lacking),
            ]
        )


@contextlib.contextmanager
def _no_service_starts(sudo: list[str]) -> Iterator[None]:
    """Keep packages from starting servers of their own while they are installed, and PostgreSQL's from making its
    first cluster: the stack has its own. What was there before is there again afterwards.
    """
    files = {
        Path("/usr/sbin/policy-rc.d"): ("#!/bin/sh\nexit 101\n", "755"),
        Path("/etc/postgresql-common/createcluster.d/chista.conf"): ("create_main_cluster = false\n", "644"),
    }
    ours = [path for path in files if not path.exists()]
    try:
        for path in ours:
            text, mode = files[path]
            run([*sudo, "mkdir", "-p", path.parent])
            run([*sudo, "tee", path], stdin=text)
            run([*sudo, "chmod", mode, path])
        yield
    finally:
        for path in ours:
            run([*sudo, "rm", "-f", path])
