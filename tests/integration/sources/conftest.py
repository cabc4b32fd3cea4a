"""Real servers for the tests of the sources: those of the stack, and throw-away ones with wrong settings.

Addresses and passwords come from the environment (``python3 -m stack env``): ``AIRFLOW_CONN_<ENGINE>_<ROLE>`` in JSON form
for the least-privilege users, ``CHISTA_<ENGINE>_ROOT_PASSWORD`` for what a test sets up. A test schema has a name of its own
and is dropped at the end of its module.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_chista.model import Table, TableId
from airflow_provider_chista.sources import Source, open_source
from tests.integration.support.ports import free_port

ENGINES = ("mysql", "mariadb", "postgres")
ROOTS = {"mysql": "root", "mariadb": "root", "postgres": "postgres"}


def connect(flavour: str, host: str, port: int, user: str, password: str, database: str | None) -> Any:
    if flavour == "postgres":
        import psycopg

        return psycopg.connect(
            host=host, port=port, user=user, password=password, dbname=database or "postgres"
        )
    import MySQLdb

    made = MySQLdb.connect(
        host=host, port=port, user=user, password=password, database=database or "", charset="utf8mb4"
    )
    made.autocommit(True)
    return made


@dataclass
class Server:
    """One server, and how the tests reach it."""

    flavour: str
    host: str
    port: int
    user: str
    password: str = field(repr=False)
    database: str | None = None

    def connect(
        self, user: str | None = None, password: str | None = None, database: str | None = None
    ) -> Any:
        return connect(
            self.flavour,
            self.host,
            self.port,
            user or self.user,
            self.password if password is None else password,
            database or self.database,
        )

    def source(self, user: str | None = None, password: str | None = None) -> Source:
        return open_source(lambda: self.connect(user, password))

    def execute(
        self, *statements: str, user: str | None = None, password: str | None = None
    ) -> list[tuple[Any, ...]]:
        """Run statements as the administrator (or another user); rows of the last one."""
        with closing(self.connect(user, password)) as connection:
            if self.flavour == "postgres":
                connection.autocommit = True
            cursor = connection.cursor()
            for statement in statements:
                cursor.execute(statement)
            return list(cursor.fetchall()) if cursor.description else []

    def insert(self, table: str, rows: list[tuple[Any, ...]]) -> None:
        with closing(self.connect()) as connection:
            marks = ", ".join(["%s"] * len(rows[0]))
            connection.cursor().executemany(f"INSERT INTO {table} VALUES ({marks})", rows)
            connection.commit()

    def quote(self, *names: str) -> str:
        mark = '"' if self.flavour == "postgres" else "`"
        return ".".join(mark + name.replace(mark, mark * 2) + mark for name in names)


@dataclass
class Schema:
    """A test's own database (MySQL, MariaDB) or schema (PostgreSQL), on which the stack's users have their grants."""

    server: Server
    name: str
    roles: dict[str, dict[str, Any]]

    @property
    def flavour(self) -> str:
        return self.server.flavour

    def id(self, table: str) -> TableId:
        return TableId(self.name, table)

    def named(self, table: str) -> str:
        return self.server.quote(self.name, table)

    def create(self, table: str, columns: str, suffix: str = "") -> None:
        """A table; ``columns`` is DDL that fits the engine."""
        self.server.execute(f"CREATE TABLE {self.named(table)} ({columns}) {suffix}")

    def insert(self, table: str, rows: list[tuple[Any, ...]]) -> None:
        self.server.insert(self.named(table), rows)

    def source(self, role: str) -> Source:
        """A source as one of the stack's least-privilege users."""
        login = self.roles[role]
        return self.server.source(login["login"], login["password"])

    def catalogue(self, table: str) -> Table:
        with self.source("verify") as source:
            return source.catalogue(self.id(table))


@pytest.fixture(scope="session", params=ENGINES)
def server(request: pytest.FixtureRequest) -> Server:
    return stack_server(request.param)


def stack_server(flavour: str) -> Server:
    text = os.environ.get(f"AIRFLOW_CONN_{flavour.upper()}_VERIFY")
    if text is None:
        pytest.fail('no stack: run `make up`, then `eval "$(python3 -m stack env)"`', pytrace=False)
    login = json.loads(text)
    password = os.environ[f"CHISTA_{flavour.upper()}_ROOT_PASSWORD"]
    return Server(flavour, login["host"], login["port"], ROOTS[flavour], password, login.get("schema"))


@pytest.fixture(scope="session")
def roles(server: Server) -> dict[str, dict[str, Any]]:
    logins = {
        role: json.loads(os.environ[f"AIRFLOW_CONN_{server.flavour.upper()}_{role.upper()}"])
        for role in ("capture", "verify", "purge", "restore")
    }
    # The connector alone knows the password of its user; its connection in Airflow has none.
    logins["capture"]["password"] = os.environ[f"CHISTA_{server.flavour.upper()}_CAPTURE_PASSWORD"]
    return logins


GRANTS = {
    "mysql": (
        "GRANT LOCK TABLES ON `{schema}`.* TO 'chista_capture'@'%'",
        "GRANT SELECT, TRIGGER ON `{schema}`.* TO 'chista_verify'@'%'",
        "GRANT SELECT, DELETE ON `{schema}`.* TO 'chista_purge'@'%'",
        "GRANT SELECT, INSERT ON `{schema}`.* TO 'chista_restore'@'%'",
    ),
    "postgres": (
        'GRANT USAGE ON SCHEMA "{schema}" TO chista_capture, chista_verify, chista_purge, chista_restore',
        'ALTER DEFAULT PRIVILEGES IN SCHEMA "{schema}" GRANT SELECT ON TABLES TO chista_capture, chista_verify',
        'ALTER DEFAULT PRIVILEGES IN SCHEMA "{schema}" GRANT SELECT, DELETE ON TABLES TO chista_purge',
        'ALTER DEFAULT PRIVILEGES IN SCHEMA "{schema}" GRANT SELECT, INSERT ON TABLES TO chista_restore',
    ),
}
REVOKES = (
    "REVOKE LOCK TABLES ON `{schema}`.* FROM 'chista_capture'@'%'",
    "REVOKE SELECT, TRIGGER ON `{schema}`.* FROM 'chista_verify'@'%'",
    "REVOKE SELECT, DELETE ON `{schema}`.* FROM 'chista_purge'@'%'",
    "REVOKE SELECT, INSERT ON `{schema}`.* FROM 'chista_restore'@'%'",
)
GRANTS["mariadb"] = GRANTS["mysql"]


@pytest.fixture(scope="module")
def schema(server: Server, roles: dict[str, dict[str, Any]]) -> Iterator[Schema]:
    made = Schema(server, f"it_src_{uuid.uuid4().hex[:10]}", roles)
    options = "" if server.flavour == "postgres" else " CHARACTER SET utf8mb4"
    kind = "SCHEMA" if server.flavour == "postgres" else "DATABASE"
    server.execute(
        f"CREATE {kind} {server.quote(made.name)}{options}",
        *[grant.format(schema=made.name) for grant in GRANTS[server.flavour]],
    )
    yield made
    server.execute(f"DROP {kind} {server.quote(made.name)}{' CASCADE' if kind == 'SCHEMA' else ''}")
    if server.flavour != "postgres":
        server.execute(*[revoke.format(schema=made.name) for revoke in REVOKES])


@dataclass
class ThrowAway:
    """Starts servers with settings of a test's choice; all of them end with the test session."""

    folder: Path
    running: list[subprocess.Popen[bytes]] = field(default_factory=list)
    servers: dict[tuple[str, ...], Server] = field(default_factory=dict)

    def shared(self, flavour: str, *options: str) -> Server:
        """One server for all tests that want the same settings and leave it as they found it."""
        if (flavour, *options) not in self.servers:
            self.servers[flavour, *options] = self.start(flavour, *options)
        return self.servers[flavour, *options]

    def start(self, flavour: str, *options: str) -> Server:
        place = self.folder / f"{flavour}-{len(self.running)}"
        place.mkdir()
        port = free_port()
        command, environment, account = START[flavour](place, port, list(options))
        log = (place / "server.log").open("wb")
        process = subprocess.Popen(
            command, env=os.environ | environment, stdout=log, stderr=log, cwd=place, **account
        )
        self.running.append(process)
        server = Server(flavour, "127.0.0.1", port, ROOTS[flavour], "")
        deadline = time.monotonic() + 40
        while True:
            try:
                server.execute("SELECT 1")
                return server
            except Exception as error:  # noqa: BLE001  of whichever driver
                if process.poll() is not None or time.monotonic() > deadline:
                    pytest.fail(
                        f"{flavour} did not start: {error}\n{(place / 'server.log').read_text()}",
                        pytrace=False,
                    )
                time.sleep(0.3)

    def stop(self) -> None:
        for process in self.running:
            process.terminate()
        for process in self.running:
            process.wait(30)


Launch = tuple[list[str], dict[str, str], dict[str, Any]]


def start_mysql(place: Path, port: int, options: list[str]) -> Launch:
    """The binaries that the stack has unpacked, run through the loader that came with them."""
    roots = sorted(Path(os.environ.get("CHISTA_CACHE", "")).glob("mysql-*/usr/sbin/mysqld"))
    if not roots:
        pytest.skip("the stack has not unpacked MySQL (CHISTA_CACHE)")
    usr = roots[-1].parents[1]
    libraries = usr / "lib" / "x86_64-linux-gnu"
    run = [str(libraries / "ld-linux-x86-64.so.2"), "--library-path", f"{libraries}:{usr}/lib/mysql/private"]
    base = [
        *run,
        str(usr / "sbin" / "mysqld"),
        "--no-defaults",
        f"--basedir={usr}",
        f"--lc-messages-dir={usr}/share/mysql",
        f"--character-sets-dir={usr}/share/mysql/charsets",
        f"--plugin-dir={usr}/lib/mysql/plugin",
        "--secure-file-priv=NULL",
        f"--datadir={place / 'data'}",
        *(["--user=root"] if os.geteuid() == 0 else []),
    ]
    environment = {"OPENSSL_CONF": "/dev/null"}
    template = place.parent / "mysql-template"
    if not template.exists():
        initialise = [*base, "--initialize-insecure", f"--datadir={template}"]
        subprocess.run(initialise, env=os.environ | environment, check=True, capture_output=True)
        (template / "auto.cnf").unlink()
    shutil.copytree(template, place / "data")
    here = [
        f"--port={port}",
        "--bind-address=127.0.0.1",
        f"--socket={place}/s.sock",
        "--mysqlx=OFF",
        "--pid-file=pid",
    ]
    return [*base, *here, *options], environment, {}


def start_mariadb(place: Path, port: int, options: list[str]) -> Launch:
    user = ["--user=root"] if os.geteuid() == 0 else []
    base = ["--no-defaults", f"--datadir={place / 'data'}", *user]
    install = [
        program("mariadb-install-db"),
        *base,
        "--skip-test-db",
        "--auth-root-authentication-method=normal",
    ]
    subprocess.run(install, check=True, capture_output=True)
    here = [f"--port={port}", "--bind-address=127.0.0.1", f"--socket={place}/s.sock"]
    return [program("mariadbd"), *base, *here, *options], {}, {}


def start_postgres(place: Path, port: int, options: list[str]) -> Launch:
    """PostgreSQL refuses to run as root, so root hands it to the postgres user."""
    account: dict[str, Any] = {}
    if os.geteuid() == 0:
        account = {"user": "postgres"}
        shutil.chown(place, "postgres")
        for parent in (place, *place.parents):
            if parent.stat().st_uid == 0 and parent.stat().st_mode & 0o001 == 0:
                parent.chmod(parent.stat().st_mode | 0o011)
    data = place / "data"
    initialise = [
        program("initdb"),
        "-A",
        "trust",
        "-U",
        "postgres",
        "-E",
        "UTF8",
        "--locale=C.UTF-8",
        "-D",
        str(data),
    ]
    subprocess.run(initialise, check=True, capture_output=True, cwd=place, **account)
    here = [
        "-D",
        str(data),
        "-p",
        str(port),
        "-k",
        str(place),
        "-c",
        "listen_addresses=127.0.0.1",
        "-c",
        "fsync=off",
    ]
    return [program("postgres"), *here, *options], {}, account


START: dict[str, Callable[[Path, int, list[str]], Launch]] = {
    "mysql": start_mysql,
    "mariadb": start_mariadb,
    "postgres": start_postgres,
}


def program(name: str) -> str:
    """A program of the PATH, or of Debian's folder for PostgreSQL's servers."""
    found = shutil.which(name) or next(iter(sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))), None)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return str(found)


@pytest.fixture(scope="session")
def throw_away(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ThrowAway]:
    made = ThrowAway(tmp_path_factory.mktemp("servers"))
    yield made
    made.stop()
