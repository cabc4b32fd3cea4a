"""MySQL (unpacked Debian packages, run through their own loader) and MariaDB (the machine's package)."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from stack import downloads
from stack.errors import StackError
from stack.services.base import Service, fill_in, is_root, setup_sql
from stack.settings import HOST, Stack
from stack.shell import find_program, run, staged_folder, write_private

# Debian's OpenSSL configuration is of another OpenSSL than the one unpacked beside MySQL.
_MYSQL_ENVIRONMENT = {"OPENSSL_CONF": "/dev/null"}


def _unpacked(stack: Stack, program: str) -> list[str]:
    """A program of the unpacked packages, started through the loader and libraries that came with it."""
    root = downloads.mysql(stack)
    libraries = root / "usr" / "lib" / "x86_64-linux-gnu"
    loader = [
        str(libraries / "ld-linux-x86-64.so.2"),
        "--library-path",
        f"{libraries}:{root}/usr/lib/mysql/private",
    ]
    return [*loader, str(root / "usr" / program)]


def _mysql_places(stack: Stack) -> list[str]:
    usr = downloads.mysql(stack) / "usr"
    return [
        f"--basedir={usr}",
        f"--lc-messages-dir={usr}/share/mysql",
        f"--character-sets-dir={usr}/share/mysql/charsets",
        f"--plugin-dir={usr}/lib/mysql/plugin",
        "--secure-file-priv=NULL",
    ]


def _server_places(stack: Stack, name: str) -> list[str]:
    user = ["--user=root"] if is_root() else []
    return [
        f"--datadir={stack.data / name}",
        f"--bind-address={HOST}",
        f"--port={stack.ports[name]}",
        f"--socket={stack.run / name}.sock",
        f"--pid-file={stack.run / name}.pid",
        *user,
    ]


def _root_password_sql(stack: Stack, name: str) -> str:
    return f"ALTER USER 'root'@'localhost' IDENTIFIED BY '{stack.secrets[f'CHISTA_{name.upper()}_ROOT_PASSWORD']}';\n"


def _prepare_mysql(stack: Stack) -> None:
    _client_file(stack, "mysql")
    if (stack.data / "mysql").is_dir():
        return
    first = stack.rendered / "mysql-first.sql"
    write_private(first, _root_password_sql(stack, "mysql"))
    with staged_folder(stack.data / "mysql", mode=0o700) as folder:
        user = ["--user=root"] if is_root() else []
        run(
            [
                *_unpacked(stack, "sbin/mysqld"),
                f"--defaults-file={stack.config / 'mysql' / 'my.cnf'}",
                *_mysql_places(stack),
                "--initialize-insecure",
                "--skip-log-bin",
                f"--init-file={first}",
                f"--datadir={folder}",
                *user,
            ],
            env=_MYSQL_ENVIRONMENT,
        )
    first.unlink()


def _mysql_command(stack: Stack) -> list[str]:
    defaults = f"--defaults-file={stack.config / 'mysql' / 'my.cnf'}"
    return [
        *_unpacked(stack, "sbin/mysqld"),
        defaults,
        *_mysql_places(stack),
        *_server_places(stack, "mysql"),
    ]


def _mariadb_program(name: str) -> Path:
    program = find_program(name)
    if program is None:
        raise StackError(
            f"{name} is missing. On Debian and Ubuntu: apt-get install mariadb-server-core mariadb-client-core"
        )
    return program


def _prepare_mariadb(stack: Stack) -> None:
    _client_file(stack, "mariadb")
    if (stack.data / "mariadb").is_dir():
        return
    user = ["--user=root"] if is_root() else []
    with staged_folder(stack.data / "mariadb", mode=0o700) as folder:
        # Without --skip-test-db and with another authentication method an anonymous user shadows every other at localhost.
        run(
            [
                _mariadb_program("mariadb-install-db"),
                "--no-defaults",
                f"--datadir={folder}",
                "--skip-test-db",
                "--skip-name-resolve",
                "--auth-root-authentication-method=normal",
                *user,
            ]
        )
        run(
            [
                _mariadb_program("mariadbd"),
                "--no-defaults",
                f"--datadir={folder}",
                "--bootstrap",
                "--silent-startup",
                *user,
            ],
            stdin="FLUSH PRIVILEGES;\n" + _root_password_sql(stack, "mariadb"),
        )


def _mariadb_command(stack: Stack) -> list[str]:
    defaults = f"--defaults-file={stack.config / 'mariadb' / 'my.cnf'}"
    return [str(_mariadb_program("mariadbd")), defaults, *_server_places(stack, "mariadb")]


def _client_file(stack: Stack, name: str) -> None:
    """Options of the command line client: root's password stays out of the process list."""
    write_private(
        stack.rendered / f"{name}-client.cnf",
        "[client]\nuser=root\n"
        f"password={stack.secrets[f'CHISTA_{name.upper()}_ROOT_PASSWORD']}\n"
        f"socket={stack.run / name}.sock\nconnect-timeout=2\n",
    )


@dataclass(frozen=True)
class _Client:
    """The command line client of one of the two servers."""

    name: str
    program: Callable[[Stack], list[str]]
    environment: dict[str, str]

    def run(self, stack: Stack, sql: str) -> str:
        options = [
            f"--defaults-file={stack.rendered / f'{self.name}-client.cnf'}",
            "--default-character-set=utf8mb4",
        ]
        return run([*self.program(stack), *options, "--batch"], stdin=sql, env=self.environment)

    def problem(self, stack: Stack, since: float) -> str | None:
        try:
            self.run(stack, "SELECT 1;")
        except StackError as error:
            return error.reason()
        return None

    def set_up(self, stack: Stack) -> None:
        for path in setup_sql(stack, self.name):
            self.run(stack, fill_in(path.read_text(), stack.secrets))


_MYSQL_CLIENT = _Client("mysql", lambda stack: _unpacked(stack, "bin/mysql"), _MYSQL_ENVIRONMENT)
_MARIADB_CLIENT = _Client("mariadb", lambda stack: [str(_mariadb_program("mariadb"))], {})

MYSQL = Service(
    name="mysql",
    ports=("mysql",),
    install=downloads.mysql,
    prepare=_prepare_mysql,
    command=_mysql_command,
    environment=lambda stack: _MYSQL_ENVIRONMENT,
    healthy=_MYSQL_CLIENT.problem,
    set_up=_MYSQL_CLIENT.set_up,
)

MARIADB = Service(
    name="mariadb",
    ports=("mariadb",),
    prepare=_prepare_mariadb,
    command=_mariadb_command,
    healthy=_MARIADB_CLIENT.problem,
    set_up=_MARIADB_CLIENT.set_up,
)
