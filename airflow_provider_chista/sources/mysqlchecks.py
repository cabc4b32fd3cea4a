"""Preflight checks of MySQL and MariaDB: settings, tables, grants. Each engine gives a :class:`Checks` of its own."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from airflow_provider_chista.findings import Finding, Severity
from airflow_provider_chista.model import Table, TableId
from airflow_provider_chista.sources.base import Role
from airflow_provider_chista.sources.checks import archivable, foreign_key, missing_control_tables, trigger
from airflow_provider_chista.sources.control import CONTROL_SCHEMA, CONTROL_TABLES
from airflow_provider_chista.sources.dbapi import Cursor
from airflow_provider_chista.sources.mysqlgrants import Requirement, User, current_user, missing

LOG_BIN_REMEDY = "set log_bin = binlog and a server_id in the [mysqld] section of the server's configuration and restart it"

AGAIN = "; let the applications connect again, since a session keeps the value that it began with"


@dataclass(frozen=True, slots=True)
class Setting:
    """A global variable that must have one of some values; a variable that the server does not know is in order."""

    variable: str
    accepts: Callable[[str], bool]
    why: str
    remedy: str


def one_of(*values: str) -> Callable[[str], bool]:
    """Accepts these values, compared in upper case."""
    return frozenset(values).__contains__


def none_of(*values: str) -> Callable[[str], bool]:
    """Accepts everything but these values, compared in upper case."""
    return lambda value: value not in values


@dataclass(frozen=True, slots=True)
class ForeignKeyRule:
    """What a bit of ``INNODB_FOREIGN.TYPE`` does to the rows of the referring table when a row here is deleted."""

    bit: int
    action: str


def common_settings(persist: str) -> tuple[Setting, ...]:
    """Settings that both engines need.

    :param persist: how the engine sets a global variable for good; ``{assignment}`` is ``name = value``.
    """
    return (
        Setting("log_bin", one_of("ON", "1"), "there is no change stream", LOG_BIN_REMEDY),
        Setting(
            "binlog_format",
            one_of("ROW"),
            "statements do not carry the rows",
            persist.format(assignment="binlog_format = 'ROW'") + AGAIN,
        ),
        Setting(
            "binlog_row_image",
            one_of("FULL"),
            "events lack columns",
            persist.format(assignment="binlog_row_image = 'FULL'") + AGAIN,
        ),
        Setting(
            "server_id",
            none_of("0", ""),
            "a server without an id gives no change stream",
            persist.format(assignment="server_id = 1")
            + "; with a number that no other server and no connector of the topology has",
        ),
    )


DELETE_RULES = (ForeignKeyRule(1, "ON DELETE CASCADE"), ForeignKeyRule(2, "ON DELETE SET NULL"))
"""Of dict_foreign_t in InnoDB's dict0mem.h; InnoDB knows no SET DEFAULT."""


@dataclass(frozen=True, slots=True)
class Checks:
    """What the checks of an engine consist of.

    :param setup: the DDL of the control tables, as a path in this package.
    :param minimum: oldest version that has what the provider uses.
    :param foreign_keys: query for (constraint, child schema, child table, TYPE) by the parent's schema and name; it needs
        PROCESS.
    :param roles_of_grants: see :func:`airflow_provider_chista.sources.mysqlgrants.current_user`.
    """

    setup: str
    minimum: tuple[int, int]
    settings: tuple[Setting, ...]
    foreign_keys: str
    roles_of_grants: str | None
    requirements: Mapping[Role, tuple[Requirement, ...]]


_CONTROL = "SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = %s"
_TABLE = """
    SELECT TABLE_TYPE, ENGINE FROM information_schema.TABLES
    WHERE TABLE_SCHEMA = %s AND TABLE_NAME = %s"""
_TRIGGERS = """
    SELECT TRIGGER_SCHEMA, TRIGGER_NAME FROM information_schema.TRIGGERS
    WHERE EVENT_OBJECT_SCHEMA = %s AND EVENT_OBJECT_TABLE = %s AND EVENT_MANIPULATION = 'DELETE'"""


def release(version: str) -> tuple[int, int]:
    """Major and minor number of a server's version."""
    major, minor = version.split(".")[:2]
    return int(major), int(minor)


def settings(cursor: Cursor, checks: Checks, where: str) -> list[Finding]:
    """Global variables, the server's version, and the control tables."""
    wanted = [setting.variable for setting in checks.settings]
    cursor.execute(
        f"SHOW GLOBAL VARIABLES WHERE Variable_name IN ({', '.join(['%s'] * len(wanted))})", wanted
    )
    values: dict[str, str] = dict(cursor.fetchall())
    findings = [
        Finding(
            setting.variable,
            Severity.ERROR,
            where,
            f"{setting.variable} is {values[setting.variable]!r}: {setting.why}",
            setting.remedy,
        )
        for setting in checks.settings
        if setting.variable in values and not setting.accepts(values[setting.variable].upper())
    ]
    cursor.execute("SELECT VERSION()", ())
    version = str(cursor.fetchall()[0][0])
    if release(version) < checks.minimum:
        least = ".".join(map(str, checks.minimum))
        findings.append(
            Finding(
                "version", Severity.ERROR, where, f"version is {version}", f"Use version {least} or later"
            )
        )
    cursor.execute(_CONTROL, (CONTROL_SCHEMA,))
    there = {row[0] for row in cursor.fetchall()}
    return findings + missing_control_tables(where, CONTROL_TABLES, there, checks.setup)


def table(
    cursor: Cursor, checks: Checks, binlog_status: str, table: Table, listed: Collection[str]
) -> list[Finding]:
    """Key, columns, engine, binary log filters, and what else a delete would do.

    :param binlog_status: statement that shows Binlog_Do_DB and Binlog_Ignore_DB in its third and fourth column.
    """
    user = current_user(cursor, checks.roles_of_grants)
    return [
        *archivable(table),
        *_engine(cursor, table.id),
        *_binlog_filters(cursor, binlog_status, user, table.id),
        *_foreign_keys(cursor, checks, user, table.id, listed),
        *_triggers(cursor, user, table.id, listed),
    ]


def grants(cursor: Cursor, checks: Checks, role: Role, tables: Sequence[TableId]) -> list[Finding]:
    """What the connected user lacks for a role."""
    return missing(current_user(cursor, checks.roles_of_grants), checks.requirements[role], tables)


def _engine(cursor: Cursor, table: TableId) -> list[Finding]:
    cursor.execute(_TABLE, (table.schema, table.name))
    found = cursor.fetchall()
    if not found:
        return []
    table_type, engine = found[0]
    findings = []
    if engine != "InnoDB":
        findings.append(
            Finding(
                "engine",
                Severity.PURGE,
                str(table),
                f"its engine is {engine}, which has no transactions, so log and delete cannot be one step",
                f"ALTER TABLE `{table.schema}`.`{table.name}` ENGINE = InnoDB;",
            )
        )
    if table_type == "SYSTEM VERSIONED":
        findings.append(
            Finding(
                "system versioning",
                Severity.ERROR,
                str(table),
                "its first streamed change stops the Debezium connector (internal schema size and row size differ)",
                f"ALTER TABLE `{table.schema}`.`{table.name}` DROP SYSTEM VERSIONING; or leave the table out",
            )
        )
    return findings


def _binlog_filters(cursor: Cursor, binlog_status: str, user: User, table: TableId) -> list[Finding]:
    if not any(user.holds(name) for name in ("REPLICATION CLIENT", "BINLOG MONITOR", "SUPER")):
        return []  # grant_findings names the missing privilege
    cursor.execute(binlog_status, ())
    status = cursor.fetchall()
    if not status:
        return []  # settings_findings names log_bin
    only, ignored = ({name for name in text.split(",") if name} for text in status[0][2:4])
    if table.schema not in ignored and (not only or table.schema in only):
        return []
    return [
        Finding(
            "binary log filter",
            Severity.ERROR,
            str(table),
            f"the binary log leaves database {table.schema} out (binlog_do_db, binlog_ignore_db)",
            "remove binlog_do_db and binlog_ignore_db from the server's configuration and restart it",
        )
    ]


def _foreign_keys(
    cursor: Cursor, checks: Checks, user: User, table: TableId, listed: Collection[str]
) -> list[Finding]:
    if not user.holds("PROCESS"):
        return [
            Finding(
                "foreign key",
                Severity.PURGE,
                str(table),
                f"user {user.name} cannot see the foreign keys of all databases, so a cascade could go unnoticed",
                f"GRANT PROCESS ON *.* TO {user.quoted};",
            )
        ]
    cursor.execute(checks.foreign_keys, (table.schema, table.name))
    return [
        foreign_key(
            table,
            TableId(schema, child),
            name,
            next((rule.action for rule in DELETE_RULES if int(kind) & rule.bit), None),
            listed,
        )
        for name, schema, child, kind in cursor.fetchall()
    ]


def _triggers(cursor: Cursor, user: User, table: TableId, listed: Collection[str]) -> list[Finding]:
    if not user.holds("TRIGGER", table.schema, table.name):
        return [
            Finding(
                "trigger",
                Severity.PURGE,
                str(table),
                f"user {user.name} cannot see the table's triggers, so one that fires on DELETE could go unnoticed",
                f"GRANT TRIGGER ON `{table.schema}`.`{table.name}` TO {user.quoted};",
            )
        ]
    cursor.execute(_TRIGGERS, (table.schema, table.name))
    return [trigger(table, f"{schema}.{name}", listed) for schema, name in cursor.fetchall()]
