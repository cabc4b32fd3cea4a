"""Preflight checks of PostgreSQL: settings, tables, publication."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from airflow_provider_chista.findings import Finding, Severity
from airflow_provider_chista.model import Table, TableId, names
from airflow_provider_chista.sources.checks import archivable, foreign_key, missing_control_tables, trigger
from airflow_provider_chista.sources.control import CONTROL_SCHEMA, CONTROL_TABLES
from airflow_provider_chista.sources.dbapi import Cursor
from airflow_provider_chista.sources.postgresgrants import quoted
from airflow_provider_chista.sources.postgresnames import namesakes

SETUP = "sources/setup/postgres.sql"
MINIMUM = 130_000
"""``server_version_num`` of the oldest version that has what the provider uses."""


@dataclass(frozen=True, slots=True)
class Setting:
    """A condition of the server; ``query`` gives its value when the condition is not met, and no row when it is."""

    check: str
    query: str
    found: str
    remedy: str


SETTINGS = (
    Setting(
        "version",
        f"SELECT current_setting('server_version') WHERE current_setting('server_version_num')::int < {MINIMUM}",
        "version is {value}",
        "Use version 13 or later",
    ),
    Setting(
        "wal_level",
        "SELECT current_setting('wal_level') WHERE current_setting('wal_level') <> 'logical'",
        "wal_level is {value}: there is no change stream",
        "ALTER SYSTEM SET wal_level = 'logical'; and restart the server",
    ),
    Setting(
        "standby",
        "SELECT 'a standby' WHERE pg_is_in_recovery()",
        "the server is {value}: nothing can be written or deleted here",
        "connect to the primary",
    ),
    Setting(
        "encoding",
        """
        SELECT pg_encoding_to_char(encoding) FROM pg_database
        WHERE datname = current_database() AND pg_encoding_to_char(encoding) <> 'UTF8'""",
        "the database's encoding is {value}: texts cannot be proved equal",
        "move the data to a database made with CREATE DATABASE ... ENCODING 'UTF8' TEMPLATE template0",
    ),
    Setting(
        "domain",
        """
        SELECT string_agg(quote_ident(n.nspname) || '.' || quote_ident(t.typname), ', ' ORDER BY n.nspname, t.typname)
        FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
        WHERE t.typtype = 'd' AND t.typcategory = 'E' HAVING count(*) > 0""",
        "{value}: with a domain over an enumeration anywhere in the database Debezium does not start (NullPointerException)",
        "DROP DOMAIN {value}; after giving its columns the enumeration itself (ALTER TABLE ... ALTER COLUMN ... TYPE ...)",
    ),
    # The session's own setting says nothing: it was set for the hashes.
    Setting(
        "intervalstyle",
        """
        WITH settings AS (
            SELECT s.setrole, s.setdatabase, split_part(o.option, '=', 2) AS style
            FROM pg_db_role_setting s CROSS JOIN unnest(s.setconfig) AS o (option)
            WHERE lower(split_part(o.option, '=', 1)) = 'intervalstyle'
              AND s.setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
        ), connecting AS (
            SELECT oid, rolname FROM pg_roles WHERE rolreplication
            ORDER BY rolsuper FETCH FIRST ROW WITH TIES
        )
        SELECT quote_ident(rolname) || ' IN DATABASE ' || quote_ident(current_database()) FROM connecting
        WHERE 'sql_standard' = COALESCE(
            (SELECT style FROM settings WHERE setrole IN (0, connecting.oid) ORDER BY setrole = 0, setdatabase = 0 LIMIT 1),
            (SELECT reset_val FROM pg_settings WHERE name = 'IntervalStyle'))
        ORDER BY rolname""",
        "intervalstyle of the role {value} is sql_standard: a connector of this role misreads all intervals",
        "ALTER ROLE {value} SET intervalstyle = 'postgres'; and restart the connector",
    ),
)

_SLOTS = """
    SELECT (SELECT count(*) FROM pg_replication_slots), current_setting('max_replication_slots')::int,
           (SELECT wal_status FROM pg_replication_slots WHERE slot_name = %s)"""
_CONTROL = """
    SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = %s AND c.relkind = 'r'"""

TREE = """
    WITH root AS (
        SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = %s AND c.relname = %s
    ), tree AS (
        SELECT oid AS relid FROM root
        UNION SELECT p.relid::oid FROM root, pg_partition_tree(root.oid) p
    )"""
"""The start of a query over a table and, when it is partitioned, all of its partitions; ``tree`` has their ``relid``."""

_STORAGE = f"""{TREE}
    SELECT c.oid::regclass::text, c.relreplident::text, c.relpersistence::text, c.reltoastrelid <> 0,
           EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisprimary AND i.indisreplident)
    FROM pg_class c JOIN tree ON tree.relid = c.oid WHERE c.relkind IN ('r', 'p') ORDER BY 1"""
# Columns for which Debezium has no value that stands for an unchanged one; no column of up to 24 bytes is stored out of line.
_UNSENDABLE = f"""{TREE}
    SELECT c.oid::regclass::text, string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum)
    FROM pg_class c JOIN tree ON tree.relid = c.oid
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attstorage <> 'p'
    JOIN pg_type t ON t.oid = a.atttypid
    WHERE c.relkind = 'r' AND c.relreplident <> 'f' AND (
        t.typname = 'varbit' OR t.typname = 'bit' AND a.atttypmod > 128
        OR t.typcategory = 'A' AND t.typname NOT IN (
            '_text', '_varchar', '_bpchar', '_json', '_jsonb', '_int4', '_int8', '_date', '_uuid', '_bytea'))
    GROUP BY c.oid ORDER BY 1"""
_DEFERRABLE = f"""{TREE}
    SELECT i.indexrelid::regclass::text FROM pg_index i JOIN tree ON tree.relid = i.indrelid
    WHERE i.indisprimary AND NOT i.indimmediate ORDER BY 1"""
_INHERITED = """
    SELECT count(*) FROM pg_inherits i
    JOIN pg_class c ON c.oid = i.inhparent JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = %s AND c.relname = %s AND c.relkind = 'r'"""
_FOREIGN_KEYS = f"""{TREE}
    SELECT k.conname, n.nspname, c.relname, k.confdeltype::text
    FROM pg_constraint k
    JOIN tree ON tree.relid = k.confrelid
    JOIN pg_class c ON c.oid = k.conrelid
    JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE k.contype = 'f' AND k.conparentid = 0 ORDER BY n.nspname, c.relname, k.conname"""
_TRIGGERS = f"""{TREE}
    SELECT t.tgname FROM pg_trigger t JOIN tree ON tree.relid = t.tgrelid
    WHERE NOT t.tgisinternal AND t.tgenabled <> 'D' AND t.tgtype & 8 <> 0
    GROUP BY t.tgname ORDER BY t.tgname"""
_RULES = f"""{TREE}
    SELECT r.rulename FROM pg_rewrite r JOIN tree ON tree.relid = r.ev_class
    WHERE r.ev_type = '4' AND r.ev_enabled <> 'D' GROUP BY r.rulename ORDER BY r.rulename"""
_PUBLICATION = """
    SELECT pubinsert AND pubupdate AND pubdelete, pubviaroot, current_setting('server_version_num')::int >= 150000
    FROM pg_publication WHERE pubname = %s"""
_PUBLISHED = f"""{TREE}
    SELECT p.schemaname, p.tablename
    FROM pg_publication_tables p
    JOIN pg_namespace n ON n.nspname = p.schemaname
    JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = p.tablename
    JOIN tree ON tree.relid = c.oid WHERE p.pubname = %s"""
# Row filters and column lists exist from version 15 on.
_FILTERS = f"""{TREE}
    SELECT r.prqual IS NOT NULL, r.prattrs IS NOT NULL
    FROM pg_publication_rel r JOIN pg_publication p ON p.oid = r.prpubid JOIN tree ON tree.relid = r.prrelid
    WHERE p.pubname = %s"""

DELETE_ACTIONS: dict[str, str] = {
    "c": "ON DELETE CASCADE",
    "n": "ON DELETE SET NULL",
    "d": "ON DELETE SET DEFAULT",
}
"""``pg_constraint.confdeltype``; ``a`` (no action) and ``r`` (restrict) only forbid the delete."""


def settings(cursor: Cursor, where: str, slot: str | None) -> list[Finding]:
    """Conditions of the server, a replication slot for the connector, and the control tables."""
    findings = []
    for setting in SETTINGS:
        cursor.execute(setting.query, ())
        findings += [
            Finding(
                setting.check,
                Severity.ERROR,
                where,
                setting.found.format(value=value),
                setting.remedy.format(value=value),
            )
            for (value,) in cursor.fetchall()
        ]
    cursor.execute(_SLOTS, (slot,))
    used, most, status = cursor.fetchall()[0]
    if status == "lost":
        findings.append(
            Finding(
                "replication slot",
                Severity.ERROR,
                f"{where}: slot {slot}",
                "the server removed WAL that the slot still needed (max_slot_wal_keep_size): changes are missing",
                f"SELECT pg_drop_replication_slot('{slot}'); then let the connector take a new snapshot",
            )
        )
    if status is None and used >= most:
        findings.append(
            Finding(
                "replication slot",
                Severity.ERROR,
                where,
                f"no free replication slot: {used} of {most} are in use",
                f"ALTER SYSTEM SET max_replication_slots = {most + 4}; and restart the server, or drop unused slots",
            )
        )
    cursor.execute(_CONTROL, (CONTROL_SCHEMA,))
    there = {row[0] for row in cursor.fetchall()}
    return findings + missing_control_tables(where, CONTROL_TABLES, there, SETUP)


def table(cursor: Cursor, table: Table, listed: Collection[str], publication: str | None) -> list[Finding]:
    """Key, columns, replica identity, publication, and what else a delete would do."""
    path = (table.id.schema, table.id.name)
    findings = [*archivable(table), *namesakes(cursor, table), *_storage(cursor, table.id)]
    if publication is not None:
        findings += _publication(cursor, table.id, publication)
    cursor.execute(_FOREIGN_KEYS, path)
    findings += [
        foreign_key(table.id, TableId(schema, child), key, DELETE_ACTIONS.get(action), listed)
        for key, schema, child, action in cursor.fetchall()
    ]
    for what, query in (("trigger", _TRIGGERS), ("rule", _RULES)):
        cursor.execute(query, path)
        findings += [
            trigger(table.id, f"{table.id.schema}.{found}", listed, what) for (found,) in cursor.fetchall()
        ]
    return findings


def _storage(cursor: Cursor, table: TableId) -> list[Finding]:
    findings, path = [], (table.schema, table.name)
    cursor.execute(_STORAGE, path)
    for relation, identity, persistence, toastable, by_primary_key in cursor.fetchall():
        full = f"ALTER TABLE {relation} REPLICA IDENTITY FULL;"
        if persistence != "p":
            findings.append(
                Finding(
                    "persistence",
                    Severity.ERROR,
                    str(table),
                    f"{relation} is unlogged or temporary and has no change stream",
                    f"ALTER TABLE {relation} SET LOGGED;",
                )
            )
        if identity == "n" or (identity == "i" and not by_primary_key):
            what = (
                "NOTHING: updates and deletes fail"
                if identity == "n"
                else "USING INDEX: delete events carry wrong keys"
            )
            findings.append(
                Finding(
                    "replica identity",
                    Severity.ERROR,
                    str(table),
                    f"{relation} has REPLICA IDENTITY {what}",
                    full,
                )
            )
        elif identity != "f" and toastable:
            findings.append(
                Finding(
                    "replica identity",
                    Severity.WARNING,
                    str(table),
                    f"{relation} can hold values out of line (TOAST), and without REPLICA IDENTITY FULL an update leaves "
                    "unchanged ones out of its event",
                    full,
                )
            )
    cursor.execute(_UNSENDABLE, path)
    findings += [
        Finding(
            "replica identity",
            Severity.ERROR,
            str(table),
            f"without REPLICA IDENTITY FULL an update of {relation} that leaves {columns} as it was stops the connector when "
            "the value is stored out of line (TOAST)",
            f"ALTER TABLE {relation} REPLICA IDENTITY FULL; or, where values are short, ALTER COLUMN ... SET STORAGE PLAIN",
        )
        for relation, columns in cursor.fetchall()
    ]
    cursor.execute(_DEFERRABLE, path)
    findings += [
        Finding(
            "primary key",
            Severity.ERROR,
            str(table),
            f"{key} is deferrable: as replica identity it makes updates fail, and rows that hand their keys on in one "
            "statement arrive in an order in which some are lost",
            f"ALTER TABLE {table} ADD PRIMARY KEY (...) NOT DEFERRABLE, after dropping the constraint",
        )
        for (key,) in cursor.fetchall()
    ]
    cursor.execute(_INHERITED, path)
    if cursor.fetchall()[0][0]:
        findings.append(
            Finding(
                "inheritance",
                Severity.ERROR,
                str(table),
                "other tables inherit from it: a read shows their rows too, its change stream does not",
                "archive the inheriting tables by themselves, or use declarative partitioning",
            )
        )
    return findings


def _publication(cursor: Cursor, table: TableId, publication: str) -> list[Finding]:
    path = (table.schema, table.name)
    name = quoted(*path)
    subject = f"publication {publication}"
    control = names([quoted(CONTROL_SCHEMA, control) for control in CONTROL_TABLES])

    def finding(found: str, remedy: str) -> Finding:
        return Finding("publication", Severity.ERROR, f"{subject} for {table}", found, remedy)

    cursor.execute(_PUBLICATION, (publication,))
    found = cursor.fetchall()
    if not found:
        create = f"CREATE PUBLICATION {quoted(publication)} FOR TABLE {name}, {control}"
        return [finding("it does not exist", f"{create} WITH (publish_via_partition_root = true);")]
    complete, via_root, has_filters = found[0]
    findings = []
    if not complete:
        findings.append(
            finding(
                "it does not publish inserts, updates and deletes",
                f"ALTER PUBLICATION {quoted(publication)} SET (publish = 'insert, update, delete, truncate');",
            )
        )
    cursor.execute(_PUBLISHED, (*path, publication))
    published = {TableId(schema, child) for schema, child in cursor.fetchall()}
    if not published:
        findings.append(
            finding(
                "it does not contain the table", f"ALTER PUBLICATION {quoted(publication)} ADD TABLE {name};"
            )
        )
    elif table not in published and not via_root:
        findings.append(
            finding(
                "it publishes the partitions as tables of their own",
                f"ALTER PUBLICATION {quoted(publication)} SET (publish_via_partition_root = true);",
            )
        )
    if has_filters:
        cursor.execute(_FILTERS, (*path, publication))
        if any(rows or columns for rows, columns in cursor.fetchall()):
            findings.append(
                finding(
                    "it leaves rows or columns of the table out (WHERE or a column list)",
                    f"ALTER PUBLICATION {quoted(publication)} DROP TABLE {name}; "
                    f"ALTER PUBLICATION {quoted(publication)} ADD TABLE {name};",
                )
            )
    return findings
