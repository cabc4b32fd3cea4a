"""PostgreSQL, out of the machine's package: one of the three sources, and (in a database of its own) Airflow's metadata."""

import os
import shutil
from pathlib import Path

from stack.errors import StackError
from stack.services.base import Service, is_root, setup_sql
from stack.settings import HOST, Stack
from stack.shell import find_program, run, staged_folder, write_private

SUPERUSER = "postgres"
_DEBIAN = Path("/usr/lib/postgresql")


def program(name: str) -> Path:
    """A program of the newest PostgreSQL on this machine (Debian keeps the server's outside the PATH).

    :raises StackError: when there is none.
    """
    versions = [folder for folder in _DEBIAN.glob("*/bin") if folder.parent.name.isdigit()]
    folders = sorted(versions, key=lambda folder: int(folder.parent.name), reverse=True)
    found = find_program(name, *folders)
    if found is None:
        raise StackError(f"PostgreSQL's {name} is missing. On Debian and Ubuntu: apt-get install postgresql")
    return found


def _as_server_user() -> list[str]:
    """PostgreSQL refuses to be root. Started by root it runs as user postgres, which keeps the one right that it
    needs there: to pass through folders of root's on the way to its data (a clone in root's home).
    """
    if not is_root():
        return []
    return [
        "setpriv",
        f"--reuid={SUPERUSER}",
        f"--regid={SUPERUSER}",
        "--init-groups",
        "--inh-caps=+dac_override",
        "--ambient-caps=+dac_override",
    ]


def _own(path: Path) -> None:
    if is_root():
        shutil.chown(path, SUPERUSER, SUPERUSER)


def _prepare(stack: Stack) -> None:
    sockets = stack.run / "postgres"
    sockets.mkdir(parents=True, exist_ok=True)
    _own(sockets)
    if (stack.data / "postgres").is_dir():
        return
    password = stack.rendered / "postgres-first"
    write_private(password, stack.secrets["CHISTA_POSTGRES_ROOT_PASSWORD"])
    with staged_folder(stack.data / "postgres", mode=0o700) as folder:
        _own(folder)
        run(
            [
                *_as_server_user(),
                program("initdb"),
                "-D",
                folder,
                "-U",
                SUPERUSER,
                "-A",
                "scram-sha-256",
                f"--pwfile={password}",
                "-E",
                "UTF8",
                "--locale=C.UTF-8",
            ],
            cwd=Path("/"),
        )
    password.unlink()


def _command(stack: Stack) -> list[str]:
    settings = {
        "config_file": stack.config / "postgres" / "postgresql.conf",
        "hba_file": stack.config / "postgres" / "pg_hba.conf",
        "listen_addresses": HOST,
        "port": stack.ports["postgres"],
        "unix_socket_directories": stack.run / "postgres",
    }
    options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    return [*_as_server_user(), str(program("postgres")), "-D", str(stack.data / "postgres"), *options]


def psql(stack: Stack, database: str, *arguments: str, sql: str | None = None) -> str:
    """Run ``psql`` as the superuser over the socket and return what it printed; passwords go by the environment.

    :raises StackError: when it fails.
    """
    return run(
        [program("psql"), "-X", "-q", "-At", "-v", "ON_ERROR_STOP=1", "-d", database, *arguments],
        env={
            **stack.secrets,
            "PGHOST": str(stack.run / "postgres"),
            "PGPORT": str(stack.ports["postgres"]),
            "PGUSER": SUPERUSER,
            "PGPASSWORD": stack.secrets["CHISTA_POSTGRES_ROOT_PASSWORD"],
            "PGCONNECT_TIMEOUT": "2",
        },
        stdin=sql,
    )


def _problem(stack: Stack, since: float) -> str | None:
    try:
        psql(stack, "postgres", "-c", "SELECT 1")
    except StackError as error:
        return error.reason()
    return None


def _set_up(stack: Stack) -> None:
    psql(stack, "postgres", "-f", os.fspath(stack.root / "stack" / "sql" / "postgres-databases.sql"))
    for path in setup_sql(stack, "postgres"):
        psql(stack, "shipment_db", "-f", os.fspath(path))


POSTGRES = Service(
    name="postgres",
    ports=("postgres",),
    prepare=_prepare,
    command=_command,
    healthy=_problem,
    set_up=_set_up,
    stop_signal="INT",  # fast shutdown: TERM would wait for every client to leave
)
