"""Findings that every engine can have, so that they read the same everywhere."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from airflow_provider_chista.findings import Finding, Severity
from airflow_provider_chista.model import Table, TableId, names
from airflow_provider_chista.sources.control import CONTROL_SCHEMA


def archivable(table: Table) -> list[Finding]:
    """No primary key, or columns that cannot be archived exactly."""
    findings = []
    if not table.primary_key:
        findings.append(
            Finding(
                "primary key",
                Severity.ERROR,
                str(table.id),
                "it has no primary key, so its rows have no identity in the archive",
                f"ALTER TABLE {table.id} ADD PRIMARY KEY (...);",
            )
        )
    exclude = "exclude the column (the table is then archived but never purged), "
    findings += [
        Finding(
            "column",
            Severity.ERROR,
            f"{table.id}.{column.name}",
            f"{column.declared}: {column.refusal}",
            (exclude if column.excludable and column.name not in table.primary_key else "")
            + "change its type at the source, or leave the table out",
        )
        for column in table.refused
    ]
    return findings


def missing_control_tables(
    where: str, wanted: Iterable[str], there: Collection[str], setup: str
) -> list[Finding]:
    """One finding that names the control tables that are missing or not visible."""
    lacking = [f"{CONTROL_SCHEMA}.{name}" for name in wanted if name not in there]
    if not lacking:
        return []
    return [
        Finding(
            "control tables",
            Severity.ERROR,
            where,
            f"missing, or not visible to the user: {names(lacking)}",
            f"run {setup} of the package airflow_provider_chista as an administrator, then the grants of docs/grants.md",
        )
    ]


def foreign_key(
    parent: TableId, child: TableId, name: str, action: str | None, listed: Collection[str]
) -> Finding:
    """A foreign key that points at the table.

    :param action: what a delete here does to the child's rows; None when the key only forbids the delete.
    """
    key = f"{child}({name})"
    subject = f"{key} -> {parent}"
    if action is None:
        return Finding(
            "foreign key",
            Severity.WARNING,
            subject,
            "a row that the child still refers to cannot be deleted; its whole purge batch then fails",
            f"archive and purge {child} before {parent}",
        )
    if {subject, key, str(child)} & set(listed):
        return Finding("foreign key", Severity.INFO, subject, f"{action}; accepted, because it is listed", "")
    return Finding(
        "foreign key",
        Severity.PURGE,
        subject,
        f"{action}: a delete here changes rows of {child} that nobody proved",
        f"archive and purge {child} first and drop or change the key, or accept it by listing {child}",
    )


def trigger(table: TableId, name: str, listed: Collection[str], what: str = "trigger") -> Finding:
    """A trigger (or rule) that fires when a row is deleted."""
    subject = f"{name} on {table}"
    if {name, subject} & set(listed):
        return Finding(what, Severity.INFO, subject, "fires on DELETE; accepted, because it is listed", "")
    return Finding(
        what,
        Severity.PURGE,
        subject,
        "fires on DELETE, so a purge would do more than delete proven rows",
        f"drop it, or accept it by listing {name}",
    )
