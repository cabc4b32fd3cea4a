"""What a source database can do: the interface, and all of it that does not depend on the engine."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Collection, Generator, Iterable, Mapping, Sequence
from importlib import resources
from typing import ClassVar, Literal

from airflow_provider_chista.canonical import KeyValue, parse_key
from airflow_provider_chista.errors import FatalError, RefusedError
from airflow_provider_chista.findings import Finding
from airflow_provider_chista.keyrange import EVERY_KEY, KeyRange
from airflow_provider_chista.model import Column, Kind, Table, TableId, Window
from airflow_provider_chista.sources.control import CONTROL_SCHEMA, Marker
from airflow_provider_chista.sources.controltables import ControlTables
from airflow_provider_chista.sources.dbapi import Connection, Cursor, Row
from airflow_provider_chista.sources.failures import Failure, TakenError, translated
from airflow_provider_chista.sources.gauges import Gauges
from airflow_provider_chista.sources.partitions import PartitionRemoval
from airflow_provider_chista.sources.restoring import ArchivedRow, Restored, differing, sorted_out
from airflow_provider_chista.sources.space import Space

Role = Literal["capture", "verify", "purge", "restore"]

__all__ = ["CONTROL_SCHEMA", "Connection", "Marker", "Role", "Source", "TableId"]

LOCK_TIMEOUT_SECONDS = 3
"""How long a guarded delete or a restore waits for the application's row locks before it gives way."""


_NAMED = 5
"""Most rows that an error names."""


class Source(PartitionRemoval, ControlTables, Gauges):
    """A source database behind a DB-API connection (:class:`Session`); :meth:`hashes` opens one of its own.

    Every method raises :class:`FatalError` when the user must change something first (password, privilege, name, setting),
    :class:`TransientError` when the same call can succeed later (server away, lock timeout).
    """

    insert_failures: ClassVar[tuple[Failure, ...]]
    """What errors mean when rows are inserted; looked up before ``failures``."""
    version_query: ClassVar[str] = "SELECT VERSION()"

    def __init__(
        self, connect: Callable[[], Connection], *, label: str = "", connection: Connection | None = None
    ) -> None:
        super().__init__(connect, label=label, connection=connection)
        self._unchanged: dict[TableId, tuple[str | None, str]] = {}
        """DDL and fingerprint of tables that were found unchanged."""

    # What differs from engine to engine.

    @classmethod
    @abstractmethod
    def recognises(cls, version: str) -> bool:
        """Whether the answer to ``SELECT VERSION()`` is this engine's."""

    @abstractmethod
    def catalogue(self, table: TableId) -> Table:
        """The table as the source's catalogue describes it, with the reason at every column that cannot be archived.

        :raises FatalError: the table does not exist or is not visible (the message names those of its schema), or is a view.
        """

    @abstractmethod
    def guarded_delete_sql(self, table: Table) -> str:
        """The statements of :meth:`guarded_delete`, for a person to read; ``:name`` stands for a bound value."""

    @abstractmethod
    def restore_sql(self, table: Table) -> str:
        """The INSERT of :meth:`restore`, for a person to read; ``:name`` stands for a bound value."""

    @abstractmethod
    def position(self) -> str:
        """The source's position now, as JSON text, at or after every commit that was visible when it was asked.

        MySQL and MariaDB: ``{"file": ..., "pos": ..., "gtids": ...}``; PostgreSQL: ``{"lsn": ...}``.
        """

    @abstractmethod
    def settings_findings(self, *, slot: str | None = None) -> list[Finding]:
        """Settings of the server that keep it from being archived, and control tables that are missing.

        :param slot: name of the connector's replication slot (PostgreSQL); no free slot is needed when it exists.
        """

    @abstractmethod
    def table_findings(
        self,
        table: Table,
        *,
        listed: Collection[str] = (),
        publication: str | None = None,
        avro: bool = False,
    ) -> list[Finding]:
        """What keeps a table from being archived or purged.

        :param listed: child tables, foreign keys (named as in the finding) and triggers that the user accepts: ``info``.
        :param publication: the connector's publication (PostgreSQL), which must contain the table; None leaves that out.
        :param avro: whether the connector writes Avro.
        """

    @abstractmethod
    def grant_findings(self, role: Role, tables: Sequence[TableId]) -> list[Finding]:
        """Grants that the connected user lacks for a role; ``docs/grants.md`` gives the reason of each."""

    @classmethod
    @abstractmethod
    def grants_sql(cls, role: Role, tables: Sequence[TableId], user: str) -> list[str]:
        """What an administrator runs so that a user has a role, from the same table that :meth:`grant_findings` reads.

        :param user: MySQL and MariaDB: ``user`` or ``user@host``.
        :returns: the statement that makes the user, with ``...`` for its password, and one GRANT for each object.
        """

    @abstractmethod
    def space(self, table: TableId) -> Space:
        """What the table takes on disk, and what would give back more than a delete does; as the verify user."""

    @abstractmethod
    def _streaming_cursor(self, connection: Connection) -> Cursor:
        """A server-side cursor that gives tuples."""

    @abstractmethod
    def _delete_matching(
        self,
        cursor: Cursor,
        table: Table,
        batch_id: str,
        rows: Sequence[tuple[str, tuple[KeyValue, ...], str]],
    ) -> tuple[list[str], int]:
        """Log and delete the rows whose recomputed hash equals, inside the caller's transaction.

        :param rows: key values and hash of each row.
        :returns: the row keys that were logged, and how many rows were deleted.
        """

    @abstractmethod
    def _insert(self, cursor: Cursor, table: Table, columns: Sequence[Sequence[str | None]]) -> None:
        """Insert rows, given as the dialect's bound texts of each column, inside the caller's transaction."""

    @abstractmethod
    def _keyed_sql(self, table: Table, select: str) -> str:
        """Statement that gives row key and ``select`` of those keys that exist, by one join with the primary key.

        The join may find rows whose keys only the column's collation calls equal.

        :param select: a list of expressions, not empty.
        """

    @abstractmethod
    def _bound_keys(self, table: Table, keys: Sequence[str]) -> tuple[object, ...]:
        """The parameters of :meth:`_keyed_sql`, from different row keys."""

    @abstractmethod
    def _null_or_text(self, column: Column) -> str:
        """SQL of a column's canonical field text, NULL for NULL."""

    # What all engines share.

    def version(self) -> str:
        """The server's version, as it prints it."""
        return str(self._read(self.version_query)[0][0])

    def setup_sql(self) -> str:
        """DDL of the control tables, to be run once by an administrator; safe to repeat."""
        return resources.files(__package__).joinpath(f"setup/{self.flavour}.sql").read_text(encoding="utf-8")

    def beyond_years(self, table: Table) -> set[str]:
        """Columns of dates and timestamps that hold infinities, or values outside of the years 1 to 9999, at this moment.

        Only PostgreSQL has such values; it reads the whole table to find them.
        """
        return set()

    def count(self, table: Table, window: Window | None) -> int:
        """Rows of the window, or of the whole table."""
        where, values = self.dialect.where(table, window)
        return int(self._read(f"SELECT COUNT(*) FROM {self.dialect.table(table.id)} t {where}", values)[0][0])

    def window_filter(self, table: TableId, window: Window) -> str:
        """As :meth:`Dialect.window_filter`, with the table's columns of now."""
        return self.dialect.window_filter(self.catalogue(table), window)

    def hashes(
        self, table: Table, window: Window | None, chunk_rows: int = 20_000, keys: KeyRange = EVERY_KEY
    ) -> Generator[list[tuple[str, str]], None, None]:
        """Stream (row key, row hash) of the window's rows, with keys in a range, in the order of ``canonical.sort_key``.

        The rows are those of one consistent snapshot, read by a server-side cursor on a connection of its own, which
        is closed when the iterator ends or is closed.

        :param chunk_rows: most rows in one list; no list is empty.
        :raises FatalError: a row's hash could not be computed, because its text is longer than the server allows.
        """
        table.require_archivable()
        with self._own_connection() as connection:
            cursor = self._streaming_cursor(connection)
            cursor.execute(*self.dialect.hashes(table, window, keys))
            while chunk := cursor.fetchmany(chunk_rows):
                yield self._hashed(table, chunk)

    def digest(self, table: Table, window: Window | None, keys: KeyRange = EVERY_KEY) -> str:
        """Digest of the row hashes of those rows, as ``clickhouse/rowhash.py`` computes it, on a connection of its own.

        :raises FatalError: a row's hash could not be computed, because its text is longer than the server allows.
        """
        table.require_archivable()
        where, values = self.dialect.where(table, window, keys)
        hashes = (
            f"SELECT {self.dialect.hash_of_row(table)} AS h FROM {self.dialect.table(table.id)} t {where}"
        )
        with self._own_connection() as connection:
            cursor = self._cursor(connection)
            cursor.execute(self.dialect.digest.format(hashes=hashes), values)
            rows, hashed, *words = cursor.fetchall()[0]
        if rows != hashed:
            raise self._unhashed(f"a row (one of {rows - hashed})", table)
        first, second = (int(word or 0) % 2**64 for word in words)
        return f"{rows}:{first:016x}{second:016x}"

    def guarded_delete(self, table: Table, batch_id: str, rows: Sequence[tuple[str, str]]) -> list[str]:
        """Delete those rows whose hash, recomputed in the deleting transaction, equals the archive's; return their keys.

        One short READ COMMITTED transaction: the rows are logged in ``chista.purge_log`` and deleted, or nothing happens.
        Rows that changed, or are gone, are left out. After a lost reply :meth:`logged` tells which rows were deleted.

        :param batch_id: at most 64 characters; it names the rows in the purge log.
        :param rows: row key and row hash of each row, both from the archive.
        :raises RefusedError: the table is not the one that was archived (columns or key changed), or the counts of logged and
            deleted rows differ; nothing was deleted.
        :raises TransientError: a lock was not granted within a few seconds, or a deadlock was broken; nothing was deleted.
        """
        table.require_archivable()
        pairs = dict.fromkeys(rows)
        if not pairs:
            return []
        values = self._key_values(table, (key for key, _ in pairs))
        wanted = [(key, value, row_hash) for value, (key, row_hash) in zip(values, pairs, strict=True)]
        with self._transaction() as cursor:
            logged, deleted = self._delete_matching(cursor, table, batch_id, wanted)
            if len(logged) != deleted:
                raise RefusedError(
                    f"{self.where}: batch {batch_id} logged {len(logged)} rows of {table.id} but deleted {deleted}; "
                    "the transaction was rolled back. Look for triggers or rules on the table and on chista.purge_log"
                )
            self._require_unchanged(cursor, table)
        return logged

    def rows(self, table: Table, keys: Sequence[str]) -> dict[str, tuple[str | None, ...]]:
        """Canonical field texts (None for NULL) of the hashed columns of those of the keys that exist, by row key."""
        fields = ", ".join(map(self._null_or_text, table.hashed))
        return {row[0]: tuple(row[1:]) for row in self._keyed(table, keys, fields)}

    def present(self, table: Table, keys: Sequence[str]) -> set[str]:
        """Those of the row keys that exist."""
        return {row[0] for row in self._keyed(table, keys)}

    def hashes_of(self, table: Table, keys: Sequence[str]) -> dict[str, str]:
        """Row hashes of those of the keys that exist, by row key."""
        return {row[0]: row[1] for row in self._keyed(table, keys, self.dialect.hash_of_row(table))}

    def restore(self, table: Table, rows: Sequence[ArchivedRow], *, skip: bool = False) -> Restored:
        """Insert archived rows, all that are missing in one short transaction, or none.

        The row hashes are computed again from what the source then holds, in the same transaction, and compared with
        ClickHouse's before the commit. A row that is there already is never written: with the archive's hash it is counted,
        so that a call can be repeated; with another one it is a conflict.

        :param rows: with different keys.
        :param skip: leave the source's row where there is a conflict.
        :raises RefusedError: a conflict, a row that does not come back as it was archived (the message names key and
            columns), or the table's columns changed; nothing was written.
        :raises FatalError: the source refuses a row (foreign key, unique key, NOT NULL, privilege); nothing was written.
        :raises TransientError: a lock was not granted within a few seconds, or a deadlock was broken; nothing was written.
        """
        table.require_archivable()
        try:
            return self._restored(table, rows, skip)
        except TakenError:
            # Perhaps the application inserted a key between the look and the INSERT: a second look sees it.
            return self._restored(table, rows, skip)

    def _restored(self, table: Table, rows: Sequence[ArchivedRow], skip: bool) -> Restored:
        keys = self._bound_keys(table, [row.key for row in rows])
        hashes = self._keyed_sql(table, self.dialect.hash_of_row(table))
        with (
            self._transaction() as cursor,
            translated(self.insert_failures, lambda: self.where, others=False),
        ):
            cursor.execute(hashes, keys)
            found = sorted_out(rows, dict(cursor.fetchall()))
            if found.conflicts and not skip:
                raise RefusedError(
                    f"{self.where}: {len(found.conflicts)} rows of {table.id} are at the source with another content than in "
                    f"the archive, and were not overwritten: keys {', '.join(found.conflicts[:_NAMED])}. Nothing of this "
                    "transaction was written. Restore the others with conflicts='skip', or look which row is the right one"
                )
            missing = [row for row in rows if row.key in found.missing]
            if missing:
                values = zip(*(row.values for row in missing), strict=True)
                self._insert(cursor, table, list(map(self.dialect.bound, table.columns, values)))
                cursor.execute(hashes, keys)
                self._require_restored(cursor, table, missing, dict(cursor.fetchall()))
                self._require_unchanged(cursor, table)
        return found

    def _require_restored(
        self, cursor: Cursor, table: Table, rows: Sequence[ArchivedRow], hashes: Mapping[str, str]
    ) -> None:
        wrong = [row for row in rows if hashes.get(row.key) != row.row_hash][:_NAMED]
        if wrong:
            fields = ", ".join(map(self._null_or_text, table.hashed))
            keys = self._bound_keys(table, [row.key for row in wrong])
            cursor.execute(self._keyed_sql(table, fields), keys)
            found = {row[0]: row[1:] for row in cursor.fetchall()}
            raise RefusedError(
                f"{self.where}: rows of {table.id} did not come back as they were archived, so the transaction was rolled "
                f"back: {differing(table, wrong, found)}. Look for triggers, rules and narrowed types at the source"
            )

    def _hashed(self, table: Table, chunk: Sequence[Row]) -> list[tuple[str, str]]:
        for key, row_hash in chunk:
            if key is None or row_hash is None:
                raise self._unhashed(f"row {key!r}", table)
        return [*chunk]

    def _unhashed(self, what: str, table: Table) -> FatalError:
        return FatalError(
            f"{self.where}: {what} of {table.id} has no hash, because its text is longer than max_allowed_packet (raise it: "
            "SET GLOBAL, and in the configuration), or a column became nullable meanwhile (try again)"
        )

    def _key_values(self, table: Table, keys: Iterable[str]) -> list[tuple[KeyValue, ...]]:
        kinds = [column.kind or Kind.TEXT for column in table.key_columns]
        return [parse_key(kinds, key) for key in keys]

    def _keyed(self, table: Table, keys: Sequence[str], select: str = "1") -> Sequence[Row]:
        table.require_archivable()
        if not keys:
            return ()
        wanted = dict.fromkeys(keys)
        found = self._read(self._keyed_sql(table, select), self._bound_keys(table, list(wanted)))
        return [row for row in found if row[0] in wanted]

    @abstractmethod
    def _read_catalogue(self, cursor: Cursor, table: TableId) -> Table | None:
        """The table from the catalogue in the cursor's transaction; None when it is not there."""

    def _require_unchanged(self, cursor: Cursor, table: Table) -> None:
        """The rows are locked by now, so no DDL can come between this look and the commit."""
        seen = (self._ddl(cursor, table), table.fingerprint)
        if seen[0] is not None and self._unchanged.get(table.id) == seen:
            return
        now = self._read_catalogue(cursor, table.id)
        if now is None or now.fingerprint != table.fingerprint:
            raise RefusedError(
                f"{self.where}: the columns or the key of {table.id} changed since they were read; nothing was deleted or "
                "restored. Archive and verify the table with its new columns first"
            )
        self._unchanged[table.id] = seen

    def _ddl(self, cursor: Cursor, table: Table) -> str | None:
        """A text that changes with everything that the fingerprint is made of, where it costs less than the catalogue."""
        return None
