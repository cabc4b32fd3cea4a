"""What MySQL and MariaDB have in common: sessions, catalogue, streamed hashes, the guarded delete, markers."""

from __future__ import annotations

import json
import re
from abc import abstractmethod
from collections.abc import Collection, Sequence
from typing import Any, ClassVar

from airflow_provider_chista.canonical import KeyValue
from airflow_provider_chista.errors import FatalError, RefusedError
from airflow_provider_chista.findings import Finding
from airflow_provider_chista.model import Column, Encoding, Table, TableId, names
from airflow_provider_chista.sources import mysqlchecks, mysqlgrants, mysqlspace
from airflow_provider_chista.sources.base import LOCK_TIMEOUT_SECONDS, Role, Source
from airflow_provider_chista.sources.catalogue import table_of_columns
from airflow_provider_chista.sources.control import ControlSql
from airflow_provider_chista.sources.dbapi import Connection, Cursor
from airflow_provider_chista.sources.defaults import undecidable
from airflow_provider_chista.sources.mysqlfailures import FAILURES, INSERT_FAILURES
from airflow_provider_chista.sources.mysqlgauges import MySQLGauges
from airflow_provider_chista.sources.mysqltypes import digits_of, labels_of, refusal_of
from airflow_provider_chista.sources.space import Space

SESSION: dict[str, object] = {
    "time_zone": "+00:00",
    # Without PAD_CHAR_TO_FULL_LENGTH, which pads CHAR in expressions, and without NO_BACKSLASH_ESCAPES and ANSI_QUOTES. A
    # restored 0 in an AUTO_INCREMENT column must stay 0. In the order in which the server shows the modes.
    "sql_mode": "NO_AUTO_VALUE_ON_ZERO,STRICT_ALL_TABLES",
    # Sorts compare only that many bytes; the longest key of InnoDB has 3072 bytes, up to four times that in UTF-8.
    "max_sort_length": 16_384,
    # Seconds that the server waits for a reader of a streamed result that is busy elsewhere.
    "net_write_timeout": 3_600,
    "innodb_lock_wait_timeout": LOCK_TIMEOUT_SECONDS,
    "lock_wait_timeout": LOCK_TIMEOUT_SECONDS,
}
CHARACTER_SET = "utf8mb4"
_BITS_OF_A_BYTE = 8
_COUNTER = re.compile(r" AUTO_INCREMENT=\d+")
"""In the options behind the columns, where it changes with every insert; it comes before any comment."""

CONTROL = ControlSql(
    write_marker="""
        INSERT INTO chista.marker (id, token, position, nudges) VALUES (%s, %s, NULL, 0)
        ON DUPLICATE KEY UPDATE token = %s, position = NULL, nudges = nudges + 1""",
    read_marker="SELECT token, position, nudges FROM chista.marker WHERE id = %s",
    mark_position="UPDATE chista.marker SET position = %s, nudges = nudges + 1 WHERE id = %s",
    nudge="UPDATE chista.marker SET nudges = nudges + 1 WHERE id = %s",
    delete_marker="DELETE FROM chista.marker WHERE id = %s",
    request_snapshot="""
        INSERT INTO chista.`signal` (id, type, data) VALUES (%s, %s, %s)
        ON DUPLICATE KEY UPDATE type = type""",
    logged="SELECT id, row_key, row_hash FROM chista.purge_log WHERE batch_id = %s AND id > %s ORDER BY id LIMIT %s",
    trim_log="DELETE FROM chista.purge_log WHERE batch_id = %s ORDER BY id LIMIT %s",
)

_TABLE = """
    SELECT TABLE_TYPE FROM information_schema.TABLES
    WHERE TABLE_SCHEMA = %s AND TABLE_NAME = %s"""
_TABLES = """
    SELECT TABLE_NAME FROM information_schema.TABLES
    WHERE TABLE_SCHEMA = %s ORDER BY TABLE_NAME LIMIT 50"""
_COLUMNS = """
    SELECT COLUMN_NAME, COLUMN_TYPE, IS_NULLABLE, COALESCE(GENERATION_EXPRESSION, '') <> '', COLLATION_NAME
    FROM information_schema.COLUMNS
    WHERE TABLE_SCHEMA = %s AND TABLE_NAME = %s ORDER BY ORDINAL_POSITION"""
_PRIMARY_KEY = """
    SELECT COLUMN_NAME FROM information_schema.STATISTICS
    WHERE TABLE_SCHEMA = %s AND TABLE_NAME = %s AND INDEX_NAME = 'PRIMARY' ORDER BY SEQ_IN_INDEX"""

_LOGGED = "SELECT row_key FROM chista.purge_log WHERE batch_id = %s AND id >= LAST_INSERT_ID()"


class MySQLFamilySource(MySQLGauges, Source):
    """MySQL or MariaDB behind mysqlclient; ``database.table`` names a table."""

    control_sql = CONTROL
    lock_sql = "SELECT GET_LOCK(%s, 0)"
    failures = FAILURES
    insert_failures = INSERT_FAILURES
    gtids: ClassVar[str]
    """Query for the set of executed GTIDs."""
    _release: tuple[int, int] = (0, 0)
    _default = ""
    """The control connection's default database, where it is known."""
    innodb_tables: ClassVar[str]
    """The view of InnoDB's tables."""
    lock_table: ClassVar[str]
    """Ending of a SELECT that locks the rows of ``t`` and nothing else."""
    isolation: ClassVar[str]
    """Variable that holds the session's isolation level."""

    @property
    @abstractmethod
    def binlog_status(self) -> str:
        """Statement that shows file, position and the filters of the binary log in its first four columns."""

    def catalogue(self, table: TableId) -> Table:
        """As :meth:`Source.catalogue`; ``information_schema`` hides what the user has no privilege on."""
        with self._transaction() as cursor:
            found = self._read_catalogue(cursor, table)
            if found is not None:
                return found
            cursor.execute(_TABLES, (table.schema,))
            others = [row[0] for row in cursor.fetchall()]
        raise FatalError(
            f"{self.where}: table {table} does not exist, or the user has no privilege on it; "
            + (
                f"visible in {table.schema}: {names(others)}"
                if others
                else f"nothing is visible in {table.schema}"
            )
        )

    def _read_catalogue(self, cursor: Cursor, table: TableId) -> Table | None:
        identity = (table.schema, table.name)
        cursor.execute(_TABLE, identity)
        kinds = cursor.fetchall()
        if not kinds:
            return None
        if "VIEW" in kinds[0][0]:
            raise FatalError(f"{self.where}: {table} is a view; only tables have a change stream")
        cursor.execute(_COLUMNS, identity)
        found = cursor.fetchall()
        cursor.execute(_PRIMARY_KEY, identity)
        key = tuple(str(row[0]) for row in cursor.fetchall())
        return table_of_columns(
            self.dialect,
            table,
            [
                self._column(name, declared, null, collation, name in key)
                for name, declared, null, _, collation in found
            ],
            key,
            generated={row[0] for row in found if row[3]},
        )

    def _column(
        self, name: str, declared: str, nullable: str, collation: str | None, of_key: bool = False
    ) -> Column:
        refusal = refusal_of(self.dialect, name, declared)
        known = self.dialect.types.get(self.dialect.type_name(declared))
        precision, scale = digits_of(declared)
        if of_key and known and known.encoding is Encoding.BIT_NUMBER and precision > _BITS_OF_A_BYTE:
            # Debezium turns the bytes of a snapshot's row in place, once for the key and once more for the row.
            refusal = "snapshots carry the bytes of a key of more than 8 bits in reverse; change its type to an integer"
        return Column(
            name,
            declared,
            known.kind if known else None,
            nullable == "YES",
            refusal,
            collation,
            encoding=known.encoding if known else None,
            precision=precision,
            scale=scale,
            labels=labels_of(declared),
            whole=True,
            excludable=known is None or known.excludable,
        )

    def _null_or_text(self, column: Column) -> str:
        return f"IF({self.dialect.column(column)} IS NULL, NULL, {self.dialect.field_text(column)})"

    def _keyed_sql(self, table: Table, select: str) -> str:
        return f"SELECT {self.dialect.row_key(table)}, {select}\n{self._join(table)}"

    def _bound_keys(self, table: Table, keys: Sequence[str]) -> tuple[object, ...]:
        return (_json(self._key_values(table, keys)),)

    def _join(self, table: Table, *, hashed: bool = False) -> str:
        """FROM clause that looks the rows of a JSON parameter up in the table, through the primary key's index.

        STRAIGHT_JOIN, because a plan that begins at the table would lock all of its rows; FORCE INDEX, because right after
        a bulk load the statistics say "few rows", and the optimizer would scan (and lock) the table for each key.
        """
        types = [self.dialect.type_of(column).key for column in table.key_columns]
        types += ["VARCHAR(64) CHARACTER SET utf8mb4"] if hashed else []
        columns = ",\n    ".join(f"k{i} {kind} PATH '$[{i}]' ERROR ON ERROR" for i, kind in enumerate(types))
        return (
            f"FROM JSON_TABLE(%s, '$[*]' COLUMNS (\n    {columns})) v\n"
            f"STRAIGHT_JOIN {self.dialect.table(table.id)} t FORCE INDEX (PRIMARY)\n"
            f"    ON {self.dialect.matches(table, 'v.k{}'.format)}"
        )

    def _guard(self, table: Table) -> str:
        """The comparison that lets a row be deleted: the hash of what the source holds now against the archive's."""
        hashed = f"v.k{len(table.primary_key)}"
        return f"{self.dialect.hash_of_row(table)} COLLATE utf8mb4_bin = CONVERT({hashed} USING utf8mb4) COLLATE utf8mb4_bin"

    def _log_sql(self, table: Table) -> str:
        """Lock the equal rows and log them; what the statement has locked can change no more in its transaction."""
        return (
            "INSERT INTO chista.purge_log (batch_id, table_name, row_key, row_hash)\n"
            f"SELECT %s, %s, {self.dialect.row_key(table)}, v.k{len(table.primary_key)}\n"
            f"{self._join(table, hashed=True)}\nWHERE {self._guard(table)}\n{self.lock_table}"
        )

    def _delete_sql(self, table: Table) -> str:
        return f"DELETE t\n{self._join(table)}"

    def guarded_delete_sql(self, table: Table) -> str:
        """As :meth:`Source.guarded_delete_sql`: lock and log the equal rows, delete those that were logged."""
        log = self._log_sql(table) % (":batch_id", ":table_name", ":rows")
        use, delete = self.dialect.quote(table.id.schema) % (), self._delete_sql(table) % (":logged_keys",)
        return f"START TRANSACTION;\nUSE {use};\n{log};\n{delete};\nCOMMIT;"

    def _delete_matching(
        self,
        cursor: Cursor,
        table: Table,
        batch_id: str,
        rows: Sequence[tuple[str, tuple[KeyValue, ...], str]],
    ) -> tuple[list[str], int]:
        """Lock and log the equal rows, delete those; every statement is bounded by the keys of the call."""
        # The target of a joined DELETE is looked for in the default database (errors 1046 and 1044 elsewhere).
        if self._default != table.id.schema:
            cursor.execute(f"USE {self.dialect.quote(table.id.schema)}", ())
            self._default = table.id.schema
        wanted = _json([(*values, row_hash) for _, values, row_hash in rows])
        cursor.execute(self._log_sql(table), (batch_id, str(table.id), wanted))
        logged = cursor.rowcount
        if not logged:
            return [], 0
        values_of = {key: values for key, values, _ in rows}
        cursor.execute(_LOGGED, (batch_id,))
        # Another connection may be logging other rows of the batch.
        keys = [str(row[0]) for row in cursor.fetchall() if row[0] in values_of]
        cursor.execute(self._delete_sql(table), (_json([values_of[key] for key in keys]),))
        if len(keys) != logged:
            raise RefusedError(
                f"{self.where}: chista.purge_log took {logged} rows of {table.id} and shows {len(keys)} of the given keys, "
                "so the transaction was rolled back. Look for triggers on chista.purge_log, and verify the window again"
            )
        return keys, cursor.rowcount

    def _ddl(self, cursor: Cursor, table: Table) -> str | None:
        """As SHOW CREATE TABLE gives it, which costs a tenth of what reading the catalogue does."""
        cursor.execute(f"SHOW CREATE TABLE {self.dialect.table(table.id)}", ())
        return _COUNTER.sub("", str(cursor.fetchall()[0][1]), count=1)

    def _insert_sql(self, table: Table, rows: int) -> str:
        names = ", ".join(self.dialect.quote(column.name) for column in table.columns)
        values = ", ".join(self.dialect.value_of(column, "%s") for column in table.columns)
        return f"INSERT INTO {self.dialect.table(table.id)} ({names})\nVALUES " + ", ".join(
            [f"({values})"] * rows
        )

    def restore_sql(self, table: Table) -> str:
        """As :meth:`Source.restore_sql`, for one row."""
        return self._insert_sql(table, 1) % tuple(f":{column.name}" for column in table.columns)

    def _insert(self, cursor: Cursor, table: Table, columns: Sequence[Sequence[str | None]]) -> None:
        rows = zip(*columns, strict=True)
        cursor.execute(self._insert_sql(table, len(columns[0])), tuple(text for row in rows for text in row))

    def position(self) -> str:
        """File, position and executed GTIDs (empty when the server has none), as JSON text."""
        # GTIDs first or last makes no difference: both are read after the caller's commit.
        with self._transaction() as cursor:
            cursor.execute(self.binlog_status, ())
            status = cursor.fetchall()
            if not status:
                raise FatalError(
                    f"{self.where}: the server writes no binary log. Remedy: {mysqlchecks.LOG_BIN_REMEDY}"
                )
            cursor.execute(self.gtids, ())
            gtids = str(cursor.fetchall()[0][0] or "")
        file, pos = status[0][:2]
        return json.dumps({"file": file, "pos": int(pos), "gtids": "".join(gtids.split())})

    def settings_findings(self, *, slot: str | None = None) -> list[Finding]:
        """As :meth:`Source.settings_findings`; there are no slots here."""
        with self._transaction() as cursor:
            return mysqlchecks.settings(cursor, self.checks, self.where)

    def table_findings(
        self,
        table: Table,
        *,
        listed: Collection[str] = (),
        publication: str | None = None,
        avro: bool = False,
    ) -> list[Finding]:
        """As :meth:`Source.table_findings`; there are no publications here."""
        with self._transaction() as cursor:
            found = mysqlchecks.table(cursor, self.checks, self.binlog_status, table, listed)
            return found + (undecidable(cursor, self.flavour, table) if avro else [])

    def grant_findings(self, role: Role, tables: Sequence[TableId]) -> list[Finding]:
        """As :meth:`Source.grant_findings`, read from SHOW GRANTS."""
        with self._transaction() as cursor:
            return mysqlchecks.grants(cursor, self.checks, role, tables)

    @classmethod
    def grants_sql(cls, role: Role, tables: Sequence[TableId], user: str) -> list[str]:
        """As :meth:`Source.grants_sql`."""
        return mysqlgrants.statements(cls.checks.requirements[role], tables, user)

    def space(self, table: TableId) -> Space:
        """As :meth:`Source.space`."""
        with self._transaction() as cursor:
            return mysqlspace.space(cursor, table, self.innodb_tables)

    def _prepare(self, connection: Connection) -> str:
        driver: Any = connection
        driver.autocommit(False)
        driver.set_character_set(CHARACTER_SET)
        cursor = self._cursor(connection)
        for name, value in SESSION.items():
            cursor.execute(f"SET SESSION {name} = %s", (value,))
        cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED", ())
        cursor.execute(f"SELECT {', '.join(f'@@session.{name}' for name in SESSION)}", ())
        for name, found in zip(SESSION, cursor.fetchall()[0], strict=True):
            self._require_setting(name, found, SESSION[name])
        cursor.execute(
            f"SELECT {self.isolation}, @@character_set_client, @@character_set_connection, @@character_set_results",
            (),
        )
        isolation, *sets = cursor.fetchall()[0]
        self._require_setting("transaction isolation", isolation, "READ-COMMITTED")
        for found in sets:
            self._require_setting("character set", found, CHARACTER_SET)
        cursor.execute("SELECT @@port, COALESCE(DATABASE(), ''), CURRENT_USER(), VERSION()", ())
        port, database, user, version = cursor.fetchall()[0]
        self._release, self._default = mysqlchecks.release(version), ""
        connection.rollback()
        host = str(driver.get_host_info()).partition(" ")[0]
        return f"{self.flavour} {host}:{port}/{database} as {user}"

    def _cursor(self, connection: Connection) -> Cursor:
        from MySQLdb.cursors import Cursor as TupleCursor

        driver: Any = connection
        cursor: Cursor = driver.cursor(TupleCursor)
        return cursor

    def _streaming_cursor(self, connection: Connection) -> Cursor:
        from MySQLdb.cursors import SSCursor

        driver: Any = connection
        cursor: Cursor = driver.cursor(SSCursor)
        return cursor


def _json(rows: Sequence[Sequence[object]]) -> str:
    return json.dumps(rows, ensure_ascii=False, separators=(",", ":"), default=str)
