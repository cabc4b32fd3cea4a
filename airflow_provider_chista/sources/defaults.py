"""Columns that can be NULL and have a default: in Avro their NULL cannot be told from the default."""

from __future__ import annotations

import re

from airflow_provider_chista.findings import Finding, Severity
from airflow_provider_chista.model import Table, names
from airflow_provider_chista.sources.dbapi import Cursor

_COLUMNS = """
    SELECT COLUMN_NAME, COLUMN_DEFAULT FROM information_schema.COLUMNS
    WHERE TABLE_SCHEMA = %s AND TABLE_NAME = %s AND IS_NULLABLE = 'YES' AND COLUMN_DEFAULT IS NOT NULL"""

_STATEMENTS: dict[str, str] = {
    "mysql": f"{_COLUMNS} AND EXTRA NOT LIKE '%%DEFAULT_GENERATED%%'",
    "mariadb": _COLUMNS,
    "postgres": """
    SELECT a.attname, pg_get_expr(d.adbin, d.adrelid)
    FROM pg_attrdef d
    JOIN pg_attribute a ON a.attrelid = d.adrelid AND a.attnum = d.adnum
    JOIN pg_class c ON c.oid = d.adrelid
    JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = %s AND c.relname = %s AND NOT a.attnotnull AND a.attgenerated = ''""",
}
"""Names and defaults of the columns, by engine."""

_SENT: dict[str, re.Pattern[str]] = {
    "mysql": re.compile(r".*", re.DOTALL),
    "mariadb": re.compile(r"'.*'|[-+.\d]+(e[-+]?\d+)?|[xb]'.*'", re.DOTALL | re.IGNORECASE),
    "postgres": re.compile(r"(?!NULL(::|$)).*", re.DOTALL),
}
"""Defaults that Debezium sends as the column's own. Of an expression it sends none on MySQL and MariaDB, but on PostgreSQL
one such as 1970 for ``now()``."""


def undecidable(cursor: Cursor, flavour: str, table: Table) -> list[Finding]:
    """One finding that names the columns; none where there are none."""
    cursor.execute(_STATEMENTS[flavour], (table.id.schema, table.id.name))
    sent = _SENT[flavour]
    found = {str(name) for name, default in cursor.fetchall() if sent.fullmatch(str(default))}
    columns = [column.name for column in table.columns if column.name in found]
    if not columns:
        return []
    return [
        Finding(
            "column default",
            Severity.WARNING,
            str(table.id),
            f"{names(columns)} can be NULL and have a default, which Apicurio's Avro converter writes for NULL; rows "
            "with either go to the dead letters",
            "give the connector the converter chista.KeepNulls (docs/avro.md), make the columns NOT NULL, drop their "
            "defaults, or leave schema_registry_conn_id out, so that it writes JSON",
        )
    ]
