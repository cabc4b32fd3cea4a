"""A table as PostgreSQL's catalogue describes it: one query for its columns, with domains and arrays resolved."""

from __future__ import annotations

from airflow_provider_chista.model import Column
from airflow_provider_chista.sources.dbapi import Cursor
from airflow_provider_chista.sources.postgrestypes import CatalogueColumn, described

TABLE = """
    SELECT c.oid, c.relkind, c.relispartition,
           (SELECT format('%%s', i.inhparent::regclass) FROM pg_inherits i WHERE i.inhrelid = c.oid LIMIT 1)
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = %s AND c.relname = %s AND c.relkind IN ('r', 'p', 'v', 'm', 'f')"""
"""The table's oid, kind, whether it is a partition, and its parent."""

TABLES = """
    SELECT c.relname
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = %s AND c.relkind IN ('r', 'p') ORDER BY c.relname LIMIT 50"""

# A domain is followed to its base type, which keeps the domain's own length and precision; so is an array's element.
_COLUMNS = """
    WITH RECURSIVE cols AS (
        SELECT attnum, attname, attnotnull, attgenerated, atttypid, atttypmod, attndims
        FROM pg_attribute WHERE attrelid = %s AND attnum > 0 AND NOT attisdropped
    ), resolved AS (
        SELECT attnum, atttypid AS typid, atttypmod AS typmod, attndims AS ndims, false AS domain_not_null, 0 AS depth
        FROM cols
        UNION ALL
        SELECT r.attnum, t.typbasetype, t.typtypmod, greatest(r.ndims, t.typndims), r.domain_not_null OR t.typnotnull,
               r.depth + 1
        FROM resolved r JOIN pg_type t ON t.oid = r.typid WHERE t.typtype = 'd'
    ), base AS (
        SELECT DISTINCT ON (attnum) * FROM resolved ORDER BY attnum, depth DESC
    ), elements AS (
        SELECT b.attnum, t.oid AS typid, b.typmod, 0 AS depth
        FROM base b JOIN pg_type t ON t.typarray = b.typid AND b.typid <> 0
        UNION ALL
        SELECT e.attnum, t.typbasetype, t.typtypmod, e.depth + 1
        FROM elements e JOIN pg_type t ON t.oid = e.typid WHERE t.typtype = 'd'
    ), element AS (
        SELECT DISTINCT ON (attnum) * FROM elements ORDER BY attnum, depth DESC
    ), extensions AS (
        SELECT d.objid AS typid, x.extname
        FROM pg_depend d JOIN pg_extension x ON x.oid = d.refobjid
        WHERE d.classid = 'pg_type'::regclass AND d.deptype = 'e' AND d.refclassid = 'pg_extension'::regclass
    )
    SELECT c.attname, format_type(c.atttypid, c.atttypmod), format_type(b.typid, b.typmod), t.typtype::text,
           n.nspname, t.typname, bx.extname,
           CASE WHEN e.typid IS NOT NULL THEN format_type(e.typid, e.typmod) END, et.typtype::text, et.typname, ex.extname,
           b.ndims, c.attnotnull OR b.domain_not_null, c.attgenerated <> '', b.depth > 0, COALESCE(e.depth > 0, false)
    FROM cols c
    JOIN base b USING (attnum)
    JOIN pg_type t ON t.oid = b.typid
    JOIN pg_namespace n ON n.oid = t.typnamespace
    LEFT JOIN element e USING (attnum)
    LEFT JOIN pg_type et ON et.oid = e.typid
    LEFT JOIN extensions bx ON bx.typid = b.typid
    LEFT JOIN extensions ex ON ex.typid = e.typid
    ORDER BY c.attnum"""
_PRIMARY_KEY = """
    SELECT a.attname
    FROM pg_index i
    CROSS JOIN unnest(i.indkey::int2[]) WITH ORDINALITY AS k (attnum, place)
    JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
    WHERE i.indrelid = %s AND i.indisprimary AND k.place <= i.indnkeyatts ORDER BY k.place"""


def columns(cursor: Cursor, oid: int) -> tuple[list[Column], set[str]]:
    """The table's columns in their order, and the names of the generated ones."""
    cursor.execute(_COLUMNS, (oid,))
    found = [CatalogueColumn(*row) for row in cursor.fetchall()]
    return [described(column) for column in found], {column.name for column in found if column.generated}


def primary_key(cursor: Cursor, oid: int) -> tuple[str, ...]:
    """Names of the primary key's columns in key order."""
    cursor.execute(_PRIMARY_KEY, (oid,))
    return tuple(str(row[0]) for row in cursor.fetchall())
