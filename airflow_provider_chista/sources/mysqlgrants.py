"""What the connected user may do on MySQL or MariaDB, read from SHOW GRANTS, and what a role of the provider needs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from airflow_provider_chista.findings import Finding, Severity
from airflow_provider_chista.model import TableId
from airflow_provider_chista.sources.base import Role
from airflow_provider_chista.sources.control import CONTROL_SCHEMA
from airflow_provider_chista.sources.dbapi import Cursor

_DML = ("SELECT", "INSERT", "UPDATE", "DELETE")

Scope = Literal["server", "database", "table", "heartbeat", "marker", "signal", "purge_log"]


@dataclass(frozen=True, slots=True)
class Requirement:
    """Privileges that a role needs on a scope: the server, the captured tables or their databases, or a control table."""

    scope: Scope
    privileges: tuple[str, ...]
    why: str
    severity: Severity = Severity.ERROR


@dataclass(frozen=True, slots=True)
class Grant:
    """One line of SHOW GRANTS; ``*`` stands for all databases or all tables."""

    privileges: frozenset[str]
    schema: str
    table: str

    def covers(self, privilege: str, schema: str, table: str) -> bool:
        """Whether the grant gives the privilege on ``schema.table``."""
        if privilege not in self.privileges and "ALL PRIVILEGES" not in self.privileges:
            return False
        return _like(self.schema, schema) and self.table in ("*", table)


_LINE = re.compile(
    r"^GRANT (?P<privileges>.+?) ON (?:TABLE )?(?P<schema>\*|`(?:[^`]|``)*`)\.(?P<table>\*|`(?:[^`]|``)*`) TO "
)


def parse(lines: Iterable[str]) -> list[Grant]:
    """Grants on the server, on databases and on whole tables; grants of roles, routines, proxies and columns are left out."""
    grants = []
    for line in lines:
        if match := _LINE.match(line):
            plain = re.sub(r"[A-Z ]+\([^)]*\)", "", match["privileges"])
            privileges = frozenset(word.strip() for word in plain.split(",") if word.strip())
            grants.append(Grant(privileges, _unquoted(match["schema"]), _unquoted(match["table"])))
    return grants


@dataclass(frozen=True, slots=True)
class User:
    """The connected user, as ``user@host``, and what it was granted, through active roles too."""

    name: str
    grants: tuple[Grant, ...]

    def holds(self, privilege: str, schema: str = "*", table: str = "*") -> bool:
        """Whether the user has the privilege on the table, or with ``*`` on everything below."""
        return any(grant.covers(privilege, schema, table) for grant in self.grants)

    @property
    def quoted(self) -> str:
        """The user as GRANT wants it."""
        return quoted_account(self.name)


def quoted_account(name: str) -> str:
    """A user as SQL wants it, from ``user@host``; without a host it may log in from anywhere."""
    user, at, host = name.rpartition("@")
    parts = (user, host) if at else (host, "%")
    return "@".join("'" + part.replace("'", "''") + "'" for part in parts)


def current_user(cursor: Cursor, roles_of_grants: str | None) -> User:
    """The connected user with its grants.

    :param roles_of_grants: form of SHOW GRANTS that expands the active roles ``{roles}``; None where the plain one does.
    """
    cursor.execute("SELECT CURRENT_USER(), COALESCE(CURRENT_ROLE(), 'NONE')", ())
    name, roles = cursor.fetchall()[0]
    show = (
        roles_of_grants.format(roles=roles.replace("%", "%%"))
        if roles_of_grants and roles != "NONE"
        else "SHOW GRANTS"
    )
    cursor.execute(show, ())
    return User(name, tuple(parse(row[0] for row in cursor.fetchall())))


def missing(user: User, requirements: Sequence[Requirement], tables: Sequence[TableId]) -> list[Finding]:
    """One finding for each requirement and object on which the user lacks a privilege, with the GRANT to run."""
    return [
        Finding(
            "grants",
            requirement.severity,
            f"user {user.name} on {target}",
            f"lacks {', '.join(lacking)} ({requirement.why})",
            f"GRANT {', '.join(lacking)} ON {target} TO {user.quoted};",
        )
        for requirement in requirements
        for schema, table in _objects(requirement.scope, tables)
        if (lacking := [name for name in requirement.privileges if not user.holds(name, schema, table)])
        for target in (_target(schema, table),)
    ]


def statements(requirements: Sequence[Requirement], tables: Sequence[TableId], user: str) -> list[str]:
    """What makes a user and gives it a role: one GRANT for each object.

    :param user: as in :func:`quoted_account`.
    """
    account = quoted_account(user)
    needed: dict[str, dict[str, None]] = {}
    for requirement in requirements:
        for schema, table in _objects(requirement.scope, tables):
            needed.setdefault(_target(schema, table), {}).update(dict.fromkeys(requirement.privileges))
    return [
        f"CREATE USER {account} IDENTIFIED BY '...';",
        *(
            f"GRANT {', '.join(privileges)} ON {target} TO {account};"
            for target, privileges in needed.items()
        ),
    ]


def _objects(scope: Scope, tables: Sequence[TableId]) -> list[tuple[str, str]]:
    if scope == "server":
        return [("*", "*")]
    if scope == "database":
        return [(schema, "*") for schema in dict.fromkeys(table.schema for table in tables)]
    if scope == "table":
        return [(table.schema, table.name) for table in tables]
    return [(CONTROL_SCHEMA, scope)]


def _target(schema: str, table: str) -> str:
    return ".".join("*" if name == "*" else "`" + name.replace("`", "``") + "`" for name in (schema, table))


def _unquoted(name: str) -> str:
    return name if name == "*" else name[1:-1].replace("``", "`")


def _like(pattern: str, schema: str) -> bool:
    r"""Database names in grants are LIKE patterns: ``emp%``, ``my\_db``."""
    if pattern in ("*", schema):
        return True
    pieces = re.split(r"(\\.|%|_)", pattern)
    wild = {"%": ".*", "_": "."}
    expression = "".join(wild.get(piece) or re.escape(piece.removeprefix("\\")) for piece in pieces)
    return schema != "*" and re.fullmatch(expression, schema, re.DOTALL) is not None


def requirements(binlog_monitor: str) -> dict[Role, tuple[Requirement, ...]]:
    """What each role needs; the privilege to read binary log positions is called differently in MySQL and MariaDB."""
    return {
        "capture": (
            Requirement("table", ("SELECT",), "snapshots read the rows"),
            Requirement(
                "database", ("LOCK TABLES",), "a snapshot locks the tables while it reads their structure"
            ),
            Requirement(
                "server",
                ("RELOAD", "SHOW DATABASES", "REPLICATION SLAVE", binlog_monitor),
                "Debezium reads the binary log and its position",
            ),
            Requirement("heartbeat", _DML, "the connector's heartbeat moves its offset"),
            Requirement("signal", _DML, "incremental snapshots are asked for and bounded here"),
            Requirement("marker", ("SELECT",), "it is captured"),
            Requirement("purge_log", ("SELECT",), "it is captured"),
        ),
        "verify": (
            Requirement("table", ("SELECT",), "row hashes are computed from the rows"),
            Requirement("table", ("TRIGGER",), "triggers are shown only then", Severity.PURGE),
            Requirement(
                "server", ("PROCESS",), "foreign keys of all databases are shown only then", Severity.PURGE
            ),
            Requirement("server", (binlog_monitor,), "the barrier needs the binary log's position"),
            Requirement("marker", _DML, "the barrier writes a marker"),
            Requirement("signal", _DML, "incremental snapshots are asked for here"),
            Requirement("heartbeat", ("SELECT",), "the set-up is checked"),
            Requirement("purge_log", ("SELECT",), "the purge log is compared with the change stream"),
        ),
        "purge": (
            Requirement("table", ("SELECT", "DELETE"), "rows are compared and deleted"),
            Requirement(
                "purge_log",
                ("SELECT", "INSERT", "DELETE"),
                "each deleted row is logged; settled batches are trimmed",
            ),
        ),
        "restore": (Requirement("table", ("SELECT", "INSERT"), "rows are inserted and compared"),),
    }
