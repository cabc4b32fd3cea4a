"""PostgreSQL's partitions: DDL is part of a transaction there, so a partition and its lines of the purge log go together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from airflow_provider_chista.model import Kind, Table, TableId, Window
from airflow_provider_chista.sources.dbapi import Cursor, Row
from airflow_provider_chista.sources.dialect import Dialect
from airflow_provider_chista.sources.partitions import Partition, PartitionAction, Partitions
from airflow_provider_chista.sources.postgresgrants import quoted

# Whether the partition lies in the window: only a range over the window's column alone can say so.
_CHILDREN = """
    SELECT c.oid, n.nspname, c.relname, c.relkind::text, pg_get_expr(c.relpartbound, c.oid),
           pg_get_userbyid(c.relowner), pg_has_role(c.relowner, 'USAGE'),
           CASE WHEN p.partstrat = 'r' AND p.partnatts = 1 AND a.attname = %s THEN COALESCE((
               SELECT m[1]::{type} >= %s::timestamp AND m[2]::{type} <= %s::timestamp
               FROM regexp_match(
                   pg_get_expr(c.relpartbound, c.oid), '^FOR VALUES FROM \\(''([^'']*)''\\) TO \\(''([^'']*)''\\)$') AS m
           ), false) ELSE false END
    FROM pg_inherits i
    JOIN pg_class c ON c.oid = i.inhrelid
    JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_partitioned_table p ON p.partrelid = i.inhparent
    LEFT JOIN pg_attribute a ON a.attrelid = p.partrelid AND a.attnum = p.partattrs[0]
    WHERE i.inhparent = %s ORDER BY n.nspname, c.relname"""
_RELATION = """
    SELECT c.oid, c.relkind::text, pg_get_userbyid(c.relowner), pg_has_role(c.relowner, 'USAGE'), current_user
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = %s AND c.relname = %s"""
_LEAVES = "SELECT relid::oid FROM pg_partition_tree(%s::oid) WHERE isleaf"

SAME = """
    SELECT pg_get_expr(c.relpartbound, c.oid) FROM pg_inherits i
    JOIN pg_class c ON c.oid = i.inhrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_class p ON p.oid = i.inhparent JOIN pg_namespace o ON o.oid = p.relnamespace
    WHERE n.nspname = %s AND c.relname = %s AND o.nspname = %s AND p.relname = %s"""
"""The bounds of a partition, by its name and its parent's."""

WAITING = """
    SELECT count(*) FROM pg_locks l WHERE NOT l.granted AND l.relation IN (
        SELECT t.relid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace, pg_partition_tree(c.oid) t
        WHERE n.nspname = %s AND c.relname = %s)"""
"""Sessions that wait for a lock of a partition."""

LOG = """
    INSERT INTO chista.purge_log (batch_id, table_name, row_key, row_hash)
    SELECT %s, %s, v.k, v.h FROM unnest(%s::text[], %s::text[]) AS v (k, h)"""


def lock_sql(dialect: Dialect, partition: TableId) -> str:
    """Keeps writers out of a partition and all of its partitions; readers go on."""
    return f"LOCK TABLE {dialect.table(partition)} IN EXCLUSIVE MODE"


def removal_sql(dialect: Dialect, partition: Partition, action: PartitionAction) -> tuple[str, str]:
    """The last two statements: for their moment nobody may use the parent."""
    parent, name = dialect.table(partition.parent), dialect.table(partition.id)
    return (
        f"LOCK TABLE ONLY {parent} IN ACCESS EXCLUSIVE MODE",
        f"DROP TABLE {name}"
        if action is PartitionAction.DROP
        else f"ALTER TABLE {parent} DETACH PARTITION {name}",
    )


def partitions(
    cursor: Cursor, dialect: Dialect, table: Table, window: Window | None, action: PartitionAction
) -> Partitions:
    """As :meth:`airflow_provider_chista.sources.partitions.PartitionRemoval.partitions`."""
    cursor.execute(_RELATION, (table.id.schema, table.id.name))
    oid, kind, owner, owned, user = cursor.fetchall()[0]
    if kind != "p":
        return Partitions(reasons=(f"{table.id} has no partitions; use method='rows'",))
    if window is None or table.column(window.column).kind not in (Kind.DATE, Kind.DATETIME):
        return Partitions(
            reasons=(
                f"only a window over a date or a timestamp can tell which partitions of {table.id} lie in it; give the "
                "table's time_column, or use method='rows'",
            )
        )
    where, bounds = dialect.where(table, window)
    cursor.execute(f"SELECT DISTINCT t.tableoid::bigint FROM {dialect.table(table.id)} t {where}", bounds)
    holding = {int(row[0]) for row in cursor.fetchall()}
    found = list(_found(cursor, table, window, int(oid), table.id, holding))
    whole = tuple(partition for partition, lies_within, _ in found if lies_within)
    lacking = [
        (partition.id, its_owner) for partition, lies_within, its_owner in found if lies_within and its_owner
    ]
    if action is PartitionAction.DETACH and not owned:
        lacking.append((table.id, owner))
    reasons = tuple(
        f"user {user} does not own {name}, and only its owner may {action} a partition: GRANT {quoted(role)} TO "
        f"{quoted(user)}; (docs/grants.md)"
        for name, role in lacking
    )
    return Partitions(whole, tuple(p for p, lies_within, _ in found if not lies_within), reasons)


def _found(
    cursor: Cursor, table: Table, window: Window, oid: int, parent: TableId, holding: set[int]
) -> Iterator[tuple[Partition, bool, str]]:
    """The partitions below a relation that hold rows of the window, whether they lie in it, and an owner whom we lack."""
    for child, schema, name, kind, text, owner, owned, lies_within in _children(cursor, table, window, oid):
        partition = Partition(TableId(schema, name), parent, text)
        cursor.execute(_LEAVES, (child,))
        if not holding.intersection(int(row[0]) for row in cursor.fetchall()):
            continue
        if kind == "p" and not lies_within:
            yield from _found(cursor, table, window, int(child), partition.id, holding)
        else:
            yield partition, bool(lies_within), "" if owned else owner


def _children(cursor: Cursor, table: Table, window: Window, oid: int) -> Sequence[Row]:
    column = table.column(window.column)
    start, end = (bound.replace(tzinfo=None).isoformat(" ") for bound in (window.start, window.end))
    declared = column.declared.replace("%", "%%")
    cursor.execute(_CHILDREN.format(type=declared), (column.name, start, end, oid))
    return cursor.fetchall()
