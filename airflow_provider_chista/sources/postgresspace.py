"""Space of PostgreSQL's tables: a delete leaves dead rows, VACUUM makes their space usable, VACUUM FULL gives it back."""

from __future__ import annotations

from airflow_provider_chista.model import TableId
from airflow_provider_chista.sources.dbapi import Cursor
from airflow_provider_chista.sources.postgreschecks import TREE
from airflow_provider_chista.sources.postgresgrants import quoted
from airflow_provider_chista.sources.space import Space

_SIZES = f"""{TREE}
    SELECT COALESCE(sum(pg_table_size(c.oid)), 0)::bigint, COALESCE(sum(pg_indexes_size(c.oid)), 0)::bigint,
           sum(pg_stat_get_dead_tuples(c.oid))::bigint,
           current_setting('autovacuum') <> 'on' OR bool_or(EXISTS (
               SELECT FROM unnest(c.reloptions) AS o (option)
               WHERE option IN ('autovacuum_enabled=false', 'autovacuum_enabled=off', 'autovacuum_enabled=0')))
    FROM pg_class c JOIN tree ON tree.relid = c.oid WHERE c.relkind = 'r'"""

# Only where an administrator has created the extension, and the user may ask it.
_FREE_SPACE_MAP = """
    SELECT quote_ident(n.nspname) || '.pg_freespace' FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
    JOIN pg_proc p ON p.pronamespace = n.oid AND p.proname = 'pg_freespace' AND p.pronargs = 2
    WHERE e.extname = 'pg_freespacemap'
      AND has_schema_privilege(n.oid, 'USAGE') AND has_function_privilege(p.oid, 'EXECUTE')"""
_FREE = """
    SELECT COALESCE(sum({function}(c.oid::regclass, b.block)), 0)::bigint
    FROM pg_class c JOIN tree ON tree.relid = c.oid,
         generate_series(0, pg_relation_size(c.oid) / current_setting('block_size')::bigint - 1) AS b (block)
    WHERE c.relkind = 'r'"""

_MOST = 64 * 2**30
"""Bytes of a table of which every block's free space is asked for, which takes some seconds."""


def space(cursor: Cursor, table: TableId) -> Space:
    """A table's space, its partitions and out-of-line values included."""
    path, name = (table.schema, table.name), quoted(table.schema, table.name)
    cursor.execute(_SIZES, path)
    table_bytes, index_bytes, dead_rows, by_hand = cursor.fetchall()[0]
    cursor.execute(_FREE_SPACE_MAP, ())
    function, free_bytes = cursor.fetchall(), None
    if function and table_bytes <= _MOST:
        cursor.execute(TREE + _FREE.format(function=function[0][0].replace("%", "%%")), path)
        free_bytes = cursor.fetchall()[0][0]
    vacuum = (
        f"autovacuum is off for it: VACUUM {name} makes the space of dead rows usable for new rows"
        if by_hand
        else "autovacuum makes the space of dead rows usable for new rows"
    )
    return Space(
        table_bytes,
        index_bytes,
        free_bytes,
        dead_rows or 0,
        f"{vacuum}; only VACUUM (FULL) {name}, which locks it while it writes it anew, gives it back to the file system",
    )
