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
}

# A name that does not exist is not a missing grant: the catalogue and the check of the control tables tell that.
_TABLE_LACKS = """
    SELECT p FROM unnest(%s::text[]) p
    WHERE to_regclass(%s) IS NOT NULL AND NOT has_table_privilege(to_regclass(%s)::oid, p)"""
_SCHEMA_LACKS = """
    SELECT p FROM unnest(%s::text[]) p
    WHERE to_regnamespace(%s) IS NOT NULL AND NOT has_schema_privilege(to_regnamespace(%s)::oid, p)"""
_REPLICATION = """
    SELECT current_user, rolsuper OR rolreplication OR COALESCE(
               (SELECT pg_has_role(current_user, oid, 'usage') FROM pg_roles WHERE rolname = 'rds_replication'), false)
    FROM pg_roles WHERE rolname = current_user"""
_POLICIES = "SELECT row_security_active(%s::regclass::oid)"


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
                f"ALTER ROLE {quoted(user)} REPLICATION;",
            )
        )
    for requirement in REQUIREMENTS[role]:
        for target, query, keyword in _objects(requirement.scope, tables):
            cursor.execute(query, (list(requirement.privileges), target, target))
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


def _hidden_rows(cursor: Cursor, user: str, tables: Sequence[TableId]) -> list[Finding]:
    findings = []
    for table in tables:
        name = quoted(table.schema, table.name)
        cursor.execute("SELECT to_regclass(%s) IS NOT NULL", (name,))
        if not cursor.fetchall()[0][0]:
            continue
        cursor.execute(_POLICIES, (name,))
        if cursor.fetchall()[0][0]:
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


def _objects(scope: Scope, tables: Sequence[TableId]) -> list[tuple[str, str, str]]:
    if scope == "schema":
        schemas = dict.fromkeys(table.schema for table in tables)
        return [(quoted(schema), _SCHEMA_LACKS, "SCHEMA ") for schema in schemas]
    if scope == "control schema":
        return [(quoted(CONTROL_SCHEMA), _SCHEMA_LACKS, "SCHEMA ")]
    if scope == "table":
        return [(quoted(table.schema, table.name), _TABLE_LACKS, "") for table in tables]
    return [(quoted(CONTROL_SCHEMA, scope), _TABLE_LACKS, "")]
