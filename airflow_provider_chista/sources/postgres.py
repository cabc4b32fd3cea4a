"""PostgreSQL 13 and later, behind psycopg 3 or psycopg2; ``schema.table`` names a table of the connection's database."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from contextlib import closing
from typing import Any

from airflow_provider_chista.canonical import KeyValue
from airflow_provider_chista.errors import FatalError, RefusedError, TransientError
from airflow_provider_chista.findings import Finding
from airflow_provider_chista.model import Column, Kind, Table, TableId, Window, names
from airflow_provider_chista.sources import (
    postgrescatalogue,
    postgreschecks,
    postgresgrants,
    postgrespartitions,
    postgresspace,
)
from airflow_provider_chista.sources.base import LOCK_TIMEOUT_SECONDS, Role, Source
from airflow_provider_chista.sources.catalogue import table_of_columns
from airflow_provider_chista.sources.control import ControlSql
from airflow_provider_chista.sources.dbapi import Connection, Cursor
from airflow_provider_chista.sources.defaults import undecidable
from airflow_provider_chista.sources.failures import Failure, insert_failures
from airflow_provider_chista.sources.partitions import Partition, PartitionAction, Partitions, Proven
from airflow_provider_chista.sources.postgresgauges import PostgresGauges
from airflow_provider_chista.sources.postgrestypes import DIALECT
from airflow_provider_chista.sources.space import Space

SESSION: dict[str, str] = {
    "TimeZone": "UTC",
    "client_encoding": "UTF8",
    "DateStyle": "ISO, MDY",
    "extra_float_digits": "3",
    "IntervalStyle": "iso_8601",
    "bytea_output": "hex",
    "standard_conforming_strings": "on",
    # Types and tables of the user's schemas are then always shown with their schema.
    "search_path": "pg_catalog",
    # A policy must make a read fail, not hide rows from it.
    "row_security": "off",
    "default_transaction_isolation": "read committed",
    "lock_timeout": f"{LOCK_TIMEOUT_SECONDS}s",
}

CONTROL = ControlSql(
    write_marker="""
        INSERT INTO chista.marker AS m (id, token, position, nudges) VALUES (%s, %s, NULL, 0)
        ON CONFLICT (id) DO UPDATE SET token = %s, position = NULL, nudges = m.nudges + 1""",
    read_marker="SELECT token, position, nudges FROM chista.marker WHERE id = %s",
    mark_position="UPDATE chista.marker SET position = %s, nudges = nudges + 1 WHERE id = %s",
    nudge="UPDATE chista.marker SET nudges = nudges + 1 WHERE id = %s",
    delete_marker="DELETE FROM chista.marker WHERE id = %s",
    request_snapshot="INSERT INTO chista.signal (id, type, data) VALUES (%s, %s, %s) ON CONFLICT (id) DO NOTHING",
    logged="SELECT id, row_key, row_hash FROM chista.purge_log WHERE batch_id = %s AND id > %s ORDER BY id LIMIT %s",
    trim_log="""
        DELETE FROM chista.purge_log
        WHERE id IN (SELECT id FROM chista.purge_log WHERE batch_id = %s ORDER BY id LIMIT %s)""",
)

_BY_INDEX = "SELECT set_config('enable_hashjoin', 'off', true), set_config('enable_mergejoin', 'off', true)"
"""For the transaction: else the planner, to whom a SHA-256 costs no more than a sum, may hash every row of the table."""

_RELATION_KINDS = {"v": "a view", "m": "a materialized view", "f": "a foreign table"}

# SQLSTATEs: PostgreSQL, appendix A. Rows with texts are for errors of libpq, which have no SQLSTATE.
FAILURES = (
    Failure(
        frozenset({"28"}),
        FatalError,
        "Check user and password of the Airflow connection, and pg_hba.conf",
        texts=("password authentication failed", "no pg_hba.conf entry", "no password supplied", 'role "'),
    ),
    Failure(
        frozenset({"3D000"}),
        FatalError,
        "Check the database name of the Airflow connection",
        texts=('FATAL:  database "', 'FATAL: database "'),
    ),
    Failure(frozenset({"42501"}), FatalError, "Grant what is missing (docs/grants.md)"),
    Failure(
        frozenset({"42P01", "3F000", "42703"}),
        FatalError,
        "Check the names; if a table of chista is missing, run the set-up SQL of sources/setup as the database's owner",
    ),
    Failure(frozenset({"55P03"}), TransientError, "The application holds the row locks; try again later"),
    Failure(frozenset({"40"}), TransientError, "A deadlock or a conflict was broken; try again"),
    Failure(frozenset({"25006"}), FatalError, "The server is read-only or a standby; connect to the primary"),
    Failure(frozenset({"55000"}), FatalError, "If the server is a standby, connect to the primary"),
    Failure(
        frozenset({"23503"}),
        FatalError,
        "Other tables refer to these rows by foreign key; purge the referring rows first",
    ),
    Failure(
        frozenset({"2BP01"}),
        FatalError,
        "Foreign keys or views are bound to the partition; drop them, or purge with method='rows'",
    ),
    Failure(
        frozenset({"08", "53", "57", "58", "25P03"}),
        TransientError,
        "The server is unreachable, busy or going down; if host and port of the Airflow connection are right, try again",
        texts=("connection to server", "could not translate host name", "server closed the connection"),
    ),
)

INSERT_FAILURES = insert_failures(
    foreign={"23503"}, unique={"23505", "23P01"}, null={"23502"}, value={"22", "23514"}
)


_PARTITION_CHUNK = 50_000
"""Rows of a partition that are compared and logged at a time."""


class PostgresSource(PostgresGauges, Source):
    """PostgreSQL."""

    flavour = "postgres"
    dialect = DIALECT
    control_sql = CONTROL
    lock_sql = "SELECT pg_try_advisory_lock(hashtextextended(%s, 0))"
    failures = FAILURES
    insert_failures = INSERT_FAILURES

    @classmethod
    def recognises(cls, version: str) -> bool:
        """As in ``PostgreSQL 15.18 (Debian 15.18-0+deb12u1) on x86_64-pc-linux-gnu``."""
        return version.startswith("PostgreSQL ")

    def catalogue(self, table: TableId) -> Table:
        """As :meth:`Source.catalogue`; ``pg_catalog`` shows tables without regard to privileges."""
        with self._transaction() as cursor:
            found = self._read_catalogue(cursor, table)
            if found is not None:
                return found
            cursor.execute(postgrescatalogue.TABLES, (table.schema,))
            others = [row[0] for row in cursor.fetchall()]
        raise FatalError(
            f"{self.where}: table {table} does not exist in this database; "
            + (
                f"schema {table.schema} has: {names(others)}"
                if others
                else f"schema {table.schema} has no tables"
            )
        )

    def _read_catalogue(self, cursor: Cursor, table: TableId) -> Table | None:
        cursor.execute(postgrescatalogue.TABLE, (table.schema, table.name))
        found = cursor.fetchall()
        if not found:
            return None
        oid, kind, is_partition, parent = found[0]
        if kind in _RELATION_KINDS:
            raise FatalError(
                f"{self.where}: {table} is {_RELATION_KINDS[kind]}; only tables have a change stream"
            )
        if is_partition:
            raise FatalError(
                f"{self.where}: {table} is a partition, whose changes arrive as those of {parent}; archive {parent}"
            )
        columns, generated = postgrescatalogue.columns(cursor, oid)
        return table_of_columns(
            self.dialect, table, columns, postgrescatalogue.primary_key(cursor, oid), generated
        )

    def beyond_years(self, table: Table) -> set[str]:
        """As :meth:`Source.beyond_years`."""
        columns = [c for c in table.columns if c.kind in (Kind.DATE, Kind.DATETIME) and not c.refusal]
        if not columns:
            return set()
        beyond = ", ".join(
            f"bool_or({self.dialect.column(c)} < '0001-01-01' OR {self.dialect.column(c)} >= '10000-01-01')"
            for c in columns
        )
        found = self._read(f"SELECT {beyond} FROM {self.dialect.table(table.id)} t")[0]
        return {column.name for column, is_beyond in zip(columns, found, strict=True) if is_beyond}

    def _null_or_text(self, column: Column) -> str:
        # IS NOT NULL would ask every field of a composite.
        quoted = self.dialect.column(column)
        return f"CASE WHEN {quoted} IS DISTINCT FROM NULL THEN {self.dialect.field_text(column)} END"

    def _keyed_sql(self, table: Table, select: str) -> str:
        return (
            f"SELECT {self.dialect.row_key(table)}, {select}\nFROM {self._values(table)}\n"
            f"JOIN {self.dialect.table(table.id)} t ON {self.dialect.matches(table, 'v.k{}'.format)}"
        )

    def _bound_keys(self, table: Table, keys: Sequence[str]) -> tuple[object, ...]:
        return _arrays(self._key_values(table, keys))

    def _values(self, table: Table, *, hashed: bool = False) -> str:
        """The keys (and hashes) of a call as a table: one array for each column, so that a statement has few parameters."""
        types = [self.dialect.type_of(column).key for column in table.key_columns] + (
            ["text[]"] if hashed else []
        )
        columns = [f"k{i}" for i in range(len(table.primary_key))] + (["h"] if hashed else [])
        return f"unnest({', '.join(f'%s::{name}' for name in types)}) AS v ({', '.join(columns)})"

    def _delete_sql(self, table: Table) -> str:
        return f"""
            WITH deleted AS (
                DELETE FROM {self.dialect.table(table.id)} t
                USING {self._values(table, hashed=True)}
                WHERE {self.dialect.matches(table, "v.k{}".format)}
                  AND {self.dialect.hash_of_row(table)} = v.h
                RETURNING {self.dialect.row_key(table)} AS row_key, v.h AS row_hash
            ), logged AS (
                INSERT INTO chista.purge_log (batch_id, table_name, row_key, row_hash)
                SELECT %s, %s, row_key, row_hash FROM deleted
                RETURNING row_key
            )
            SELECT row_key, (SELECT count(*) FROM deleted) FROM logged
            UNION ALL SELECT NULL, count(*) FROM deleted"""

    def guarded_delete_sql(self, table: Table) -> str:
        """As :meth:`Source.guarded_delete_sql`: one statement deletes and logs."""
        values = [f":{name}" for name in (*table.primary_key, "row_hash", "batch_id", "table_name")]
        return f"BEGIN;\n{_BY_INDEX};\n{(self._delete_sql(table) % tuple(values)).strip()};\nCOMMIT;"

    def _delete_matching(
        self,
        cursor: Cursor,
        table: Table,
        batch_id: str,
        rows: Sequence[tuple[str, tuple[KeyValue, ...], str]],
    ) -> tuple[list[str], int]:
        """One statement: a row that changes while it waits is compared again in its new version (EvalPlanQual)."""
        cursor.execute(_BY_INDEX, ())
        arrays = _arrays([(*values, row_hash) for _, values, row_hash in rows])
        cursor.execute(self._delete_sql(table), (*arrays, batch_id, str(table.id)))
        found = cursor.fetchall()
        return [key for key, _ in found if key is not None], int(found[-1][1])

    def partitions(self, table: Table, window: Window | None, action: PartitionAction) -> Partitions:
        """As :meth:`PartitionRemoval.partitions`."""
        with self._transaction() as cursor:
            return postgrespartitions.partitions(cursor, self.dialect, table, window, action)

    def remove_partition(
        self, table: Table, partition: Partition, batch_id: str, proven: Proven, action: PartitionAction
    ) -> int:
        """As :meth:`PartitionRemoval.remove_partition`.

        The partition is locked against writers while its rows are read; the table itself only for the last statement. There
        it is not waited for while a session waits for the partition, so that the two do not wait for each other.
        """
        own, above = partition.id, partition.parent
        with self._transaction() as cursor:
            # Between two lists of rows the archive is asked.
            cursor.execute("SET LOCAL idle_in_transaction_session_timeout = 0", ())
            cursor.execute(postgrespartitions.lock_sql(self.dialect, own), ())
            cursor.execute(postgrespartitions.SAME, (own.schema, own.name, above.schema, above.name))
            if cursor.fetchall() != [(partition.bounds,)]:
                raise RefusedError(
                    f"{self.where}: {own} is no partition of {above} with the bounds {partition.bounds} any more; nothing of "
                    "it was removed. Run the purge again"
                )
            rows = sum(
                self._log_proven(cursor, table, batch_id, proven, pairs)
                for pairs in self._rows_of(table, own)
            )
            cursor.execute(postgrespartitions.WAITING, (own.schema, own.name))
            if cursor.fetchall()[0][0]:
                raise TransientError(
                    f"{self.where}: sessions wait to write to the partition {own}; nothing of it was removed. Try again later"
                )
            for statement in postgrespartitions.removal_sql(self.dialect, partition, action):
                cursor.execute(statement, ())
            self._require_unchanged(cursor, table)
        return rows

    def _rows_of(self, table: Table, partition: TableId) -> Iterator[list[tuple[str, str]]]:
        """Row keys and hashes of a partition, in the transaction at hand."""
        # Nothing can be dropped while a cursor is open on it.
        with closing(self._streaming_cursor(self._control())) as cursor:
            cursor.execute(
                f"SELECT {self.dialect.row_key(table)}, {self.dialect.hash_of_row(table)}"
                f" FROM {self.dialect.table(partition)} t",
                (),
            )
            while chunk := cursor.fetchmany(_PARTITION_CHUNK):
                yield self._hashed(table, chunk)

    def _log_proven(
        self, cursor: Cursor, table: Table, batch_id: str, proven: Proven, pairs: Sequence[tuple[str, str]]
    ) -> int:
        proven(pairs)
        keys, hashes = zip(*pairs, strict=True)
        values = (batch_id, str(table.id), _text_array(keys), _text_array(hashes))
        cursor.execute(postgrespartitions.LOG, values)
        return len(pairs)

    def _insert_sql(self, table: Table) -> str:
        """Rows arrive as one array of texts for each column; identity columns take the value that they are given."""
        names = ", ".join(self.dialect.quote(column.name) for column in table.columns)
        values = ", ".join(self.dialect.value_of(column, f"v.c{i}") for i, column in enumerate(table.columns))
        arrays = ", ".join(["%s::text[]"] * len(table.columns))
        texts = ", ".join(f"c{i}" for i in range(len(table.columns)))
        return (
            f"INSERT INTO {self.dialect.table(table.id)} ({names})\nOVERRIDING SYSTEM VALUE\n"
            f"SELECT {values}\nFROM unnest({arrays}) AS v ({texts})"
        )

    def restore_sql(self, table: Table) -> str:
        """As :meth:`Source.restore_sql`."""
        return self._insert_sql(table) % tuple(f":{column.name}" for column in table.columns)

    def _insert(self, cursor: Cursor, table: Table, columns: Sequence[Sequence[str | None]]) -> None:
        cursor.execute(self._insert_sql(table), tuple(map(_text_array, columns)))

    def position(self) -> str:
        """The LSN as a number, as JSON text."""
        # The insert position, not the written one: with synchronous_commit off a visible commit may not be written yet.
        return json.dumps(
            {"lsn": int(self._read("SELECT (pg_current_wal_insert_lsn() - '0/0')::bigint")[0][0])}
        )

    def settings_findings(self, *, slot: str | None = None) -> list[Finding]:
        """As :meth:`Source.settings_findings`."""
        with self._transaction() as cursor:
            return postgreschecks.settings(cursor, self.where, slot)

    def table_findings(
        self,
        table: Table,
        *,
        listed: Collection[str] = (),
        publication: str | None = None,
        avro: bool = False,
    ) -> list[Finding]:
        """As :meth:`Source.table_findings`."""
        with self._transaction() as cursor:
            found = postgreschecks.table(cursor, table, listed, publication)
            return found + (undecidable(cursor, self.flavour, table) if avro else [])

    def grant_findings(self, role: Role, tables: Sequence[TableId]) -> list[Finding]:
        """As :meth:`Source.grant_findings`, asked of the ``has_..._privilege`` functions."""
        with self._transaction() as cursor:
            return postgresgrants.grants(cursor, role, tables)

    @classmethod
    def grants_sql(cls, role: Role, tables: Sequence[TableId], user: str) -> list[str]:
        """As :meth:`Source.grants_sql`."""
        return postgresgrants.statements(role, tables, user)

    def space(self, table: TableId) -> Space:
        """As :meth:`Source.space`."""
        with self._transaction() as cursor:
            return postgresspace.space(cursor, table)

    def _prepare(self, connection: Connection) -> str:
        driver: Any = connection
        driver.autocommit = False
        if hasattr(driver, "row_factory"):
            from psycopg.rows import tuple_row

            driver.row_factory = tuple_row
        else:
            driver.cursor_factory = None
            driver.set_client_encoding("UTF8")
        cursor = self._cursor(connection)
        for name, value in SESSION.items():
            cursor.execute("SELECT set_config(%s, %s, false)", (name, value))
        for name, value in SESSION.items():
            cursor.execute("SELECT current_setting(%s)", (name,))
            self._require_setting(name, cursor.fetchall()[0][0], value)
        cursor.execute("SELECT current_database(), current_user", ())
        database, user = cursor.fetchall()[0]
        connection.commit()
        return f"{self.flavour} {driver.info.host}:{driver.info.port}/{database} as {user}"

    def _cursor(self, connection: Connection) -> Cursor:
        driver: Any = connection
        cursor: Cursor = driver.cursor()
        return cursor

    def _streaming_cursor(self, connection: Connection) -> Cursor:
        driver: Any = connection
        cursor: Cursor = driver.cursor(name="chista_hashes")
        return cursor


def _arrays(rows: Sequence[Sequence[KeyValue]]) -> tuple[list[KeyValue], ...]:
    return tuple([list(column) for column in zip(*rows, strict=True)])


def _text_array(texts: Sequence[str | None]) -> str:
    """The literal of a ``text[]``: psycopg 3 without its C part takes several times as long for a list."""
    quoted = (
        "NULL" if text is None else '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
        for text in texts
    )
    return "{" + ",".join(quoted) + "}"
