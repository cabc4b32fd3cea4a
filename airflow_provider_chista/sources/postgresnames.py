"""Types of PostgreSQL that share a name across schemas: in snapshots Debezium finds a type by its bare name."""

from __future__ import annotations

from airflow_provider_chista.findings import Finding, Severity
from airflow_provider_chista.model import Table
from airflow_provider_chista.sources.dbapi import Cursor

# Every table is a type too. Types of one kind (enumerations, composites, domains over one type) are read alike, so that
# schemas of the same making (one for each tenant) do not disturb each other. Types of pg_catalog come first in any case.
_NAMESAKES = """
    WITH RECURSIVE used AS (
        SELECT a.attname, COALESCE(e.oid, a.atttypid) AS typid
        FROM pg_attribute a
        JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
        LEFT JOIN pg_type e ON e.typarray = a.atttypid
        WHERE n.nspname = %s AND c.relname = %s AND a.attname = ANY(%s) AND a.attnum > 0 AND NOT a.attisdropped
    ), named AS (
        SELECT u.attname, own.oid AS own, other.oid AS other
        FROM used u JOIN pg_type own ON own.oid = u.typid JOIN pg_type other ON other.typname = own.typname
        WHERE own.typnamespace <> 'pg_catalog'::regnamespace
    ), below AS (
        SELECT attname, own, other, other AS typid FROM named
        UNION ALL
        SELECT b.attname, b.own, b.other, t.typbasetype
        FROM below b JOIN pg_type t ON t.oid = b.typid WHERE t.typtype = 'd'
    ), kinds AS (
        SELECT b.attname, b.own, b.other, CASE WHEN t.typtype IN ('e', 'c') THEN t.typtype::text ELSE t.oid::text END AS kind
        FROM below b JOIN pg_type t ON t.oid = b.typid WHERE t.typtype <> 'd'
    )
    SELECT k.attname, format_type(k.own, NULL), format_type(o.other, NULL)
    FROM kinds k JOIN kinds o USING (attname, own)
    WHERE k.other = k.own AND o.kind <> k.kind ORDER BY 1, 3"""


def namesakes(cursor: Cursor, table: Table) -> list[Finding]:
    """Columns whose type shares its name with a type of another kind."""
    columns = [column.name for column in table.columns]
    cursor.execute(_NAMESAKES, (table.id.schema, table.id.name, columns))
    return [
        Finding(
            "type name",
            Severity.ERROR,
            f"{table.id}.{column}",
            f"its type {own} has the name of {other}, another kind of type: in snapshots Debezium takes one for the other, "
            "and values arrive as NULL or in another form",
            f"rename {other} or {own} (ALTER TYPE or ALTER TABLE ... RENAME TO ...), or exclude the column",
        )
        for column, own, other in cursor.fetchall()
    ]
