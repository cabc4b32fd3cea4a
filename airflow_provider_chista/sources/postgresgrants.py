"""What the connected user may do on PostgreSQL, and what a role of the provider needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from airflow_provider_chista.findings import Finding, Severity
from airflow_provider_chista.model import TableId, names
from airflow_provider_chista.sources.base import Role
from airflow_provider_chista.sources.control import CONTROL_SCHEMA
from airflow_provider_chista.sources.dbapi import Cursor

Scope = Literal["schema", "table", "control schema", "heartbeat", "marker", "signal", "purge_log"]
_DML = ("SELECT", "INSERT", "UPDATE", "DELETE")


@dataclass(frozen=True, slots=True)
class Requirement:
    """Privileges that a role needs on a scope: the captured tables, their schemas, or the control tables."""

    scope: Scope
    privileges: tuple[str, ...]
    why: str


REQUIREMENTS: dict[Role, tuple[Requirement, ...]] = {
    "capture": (
        Requirement("schema", ("USAGE",), "the captured tables are in it"),
        Requirement("table", ("SELECT",), "snapshots read the rows"),
        Requirement("control schema", ("USAGE",), "the control tables are in it"),
        Requirement("heartbeat", _DML, "the connector's heartbeat moves its slot"),
        Requirement("signal", _DML, "incremental snapshots are asked for and bounded here"),
        Requirement("marker", ("SELECT",), "it is captured"),
        Requirement("purge_log", ("SELECT",), "it is captured"),
    ),
    "verify": (
        Requirement("schema", ("USAGE",), "the tables are in it"),
        Requirement("table", ("SELECT",), "row hashes are computed from the rows"),
        Requirement("control schema", ("USAGE",), "the control tables are in it"),
        Requirement("marker", _DML, "the barrier writes a marker"),
        Requirement("signal", _DML, "incremental snapshots are asked for here"),
        Requirement("heartbeat", ("SELECT",), "the set-up is checked"),
        Requirement("purge_log", ("SELECT",), "the purge log is compared with the change stream"),
    ),
    "purge": (
        Requirement("schema", ("USAGE",), "the tables are in it"),
        Requirement("table", ("SELECT", "DELETE"), "rows are compared and deleted"),
        Requirement("control schema", ("USAGE",), "the purge log is in it"),
        Requirement(
            "purge_log",
            ("SELECT", "INSERT", "DELETE"),
            "each deleted row is logged; settled batches are trimmed",
        ),
    ),
    "restore": (
        Requirement("schema", ("USAGE",), "the tables are in it"),
        Requirement("table", ("SELECT", "INSERT"), "rows are inserted and compared"),
    ),
}

# By way of the catalogue: a cast to regclass fails where the user has no USAGE on the schema. A name that does not exist
# is not a missing grant: Source.catalogue and the check of the control tables tell that.
_TABLE_LACKS = """
    SELECT p FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace, unnest(%s::text[]) p
    WHERE n.nspname = %s AND c.relname = %s AND NOT has_table_privilege(c.oid, p)"""
_SCHEMA_LACKS = """
    SELECT p FROM pg_namespace n, unnest(%s::text[]) p
    WHERE n.nspname = %s AND NOT has_schema_privilege(n.oid, p)"""
_REPLICATION = """
    SELECT current_user, rolsuper OR rolreplication OR COALESCE(
               (SELECT pg_has_role(current_user, oid, 'usage') FROM pg_roles WHERE rolname = 'rds_replication'), false)
    FROM pg_roles WHERE rolname = current_user"""
_POLICIES = """
    SELECT row_security_active(c.oid) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = %s AND c.relname = %s"""


def quoted(*identifiers: str) -> str:
    """A qualified name for SQL that a person pastes."""
    return ".".join('"' + identifier.replace('"', '""') + '"' for identifier in identifiers)


def grants(cursor: Cursor, role: Role, tables: Sequence[TableId]) -> list[Finding]:
    """What the connected user lacks for a role."""
    cursor.execute(_REPLICATION, ())
    user, replicates = cursor.fetchall()[0]
    findings = []
    if role == "capture" and not replicates:
        findings.append(
            Finding(
                "grants",
                Severity.ERROR,
                f"user {user}",
                "lacks REPLICATION (the connector reads a replication slot)",
                _replication(user),
            )
        )
    for requirement in REQUIREMENTS[role]:
        for query, path, keyword in _objects(requirement.scope, tables):
            cursor.execute(query, (list(requirement.privileges), *path))
            target = quoted(*path)
            if lacking := names([row[0] for row in cursor.fetchall()]):
                findings.append(
                    Finding(
                        "grants",
                        Severity.ERROR,
                        f"user {user} on {target}",
                        f"lacks {lacking} ({requirement.why})",
                        f"GRANT {lacking} ON {keyword}{target} TO {quoted(user)};",
                    )
                )
    if role != "capture":
        findings += _hidden_rows(cursor, user, tables)
    return findings


def statements(role: Role, tables: Sequence[TableId], user: str) -> list[str]:
    """What makes a user and gives it a role: one GRANT for each object."""
    needed: dict[str, dict[str, None]] = {}
    for requirement in REQUIREMENTS[role]:
        for _, path, keyword in _objects(requirement.scope, tables):
            needed.setdefault(keyword + quoted(*path), {}).update(dict.fromkeys(requirement.privileges))
    return [
        f"CREATE ROLE {quoted(user)} LOGIN PASSWORD '...';",
        *([_replication(user)] if role == "capture" else []),
        *(
            f"GRANT {', '.join(privileges)} ON {target} TO {quoted(user)};"
            for target, privileges in needed.items()
        ),
    ]


def _replication(user: str) -> str:
    return f"ALTER ROLE {quoted(user)} REPLICATION;"


def _hidden_rows(cursor: Cursor, user: str, tables: Sequence[TableId]) -> list[Finding]:
    findings = []
    for table in tables:
        cursor.execute(_POLICIES, (table.schema, table.name))
        if any(active for (active,) in cursor.fetchall()):
            findings.append(
                Finding(
                    "row security",
                    Severity.ERROR,
                    str(table),
                    f"its policies hide rows from user {user}",
                    f"ALTER ROLE {quoted(user)} BYPASSRLS;",
                )
            )
    return findings


def _objects(scope: Scope, tables: Sequence[TableId]) -> list[tuple[str, tuple[str, ...], str]]:
    """Query for the missing privileges, name, and what GRANT puts before the name."""
    if scope == "schema":
        return [
            (_SCHEMA_LACKS, (schema,), "SCHEMA ")
            for schema in dict.fromkeys(table.schema for table in tables)
        ]
    if scope == "control schema":
        return [(_SCHEMA_LACKS, (CONTROL_SCHEMA,), "SCHEMA ")]
    if scope == "table":
        return [(_TABLE_LACKS, (table.schema, table.name), "") for table in tables]
    return [(_TABLE_LACKS, (CONTROL_SCHEMA, scope), "")]
