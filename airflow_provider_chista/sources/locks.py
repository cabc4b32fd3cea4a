"""The lock that one purge of a table holds at its source, so that no other purge of that table runs meanwhile."""

from __future__ import annotations

import hashlib
from contextlib import ExitStack
from types import TracebackType
from typing import Self

from airflow_provider_chista.errors import TransientError
from airflow_provider_chista.model import TableId
from airflow_provider_chista.sources.dbapi import Connection
from airflow_provider_chista.sources.session import Session


class PurgeLock:
    """A lock of the server that goes away with its connection, so that a killed purge leaves none behind.

    It keeps purges apart; what is deleted is decided by each transaction's own proof, with the lock or without. MySQL and
    MariaDB: ``GET_LOCK``, one for the whole server; PostgreSQL: an advisory lock of the database. A connection pooler must
    give the session to one client at a time.
    """

    def __init__(self, session: Session, table: TableId) -> None:
        self._session = session
        self._table = table
        # GET_LOCK takes at most 64 characters.
        self._name = f"chista purge {hashlib.sha256(str(table).encode()).hexdigest()[:40]}"
        self._stack = ExitStack()
        self._connection: Connection | None = None
        self._held = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def acquire(self) -> bool:
        """Whether this purge holds the lock now; asks once, and does not wait.

        :raises TransientError: the server does not answer.
        """
        if not self._held:
            if self._connection is None:
                self._connection = self._stack.enter_context(self._session._own_connection())
            self._held = bool(self._ask(self._connection, self._session.lock_sql, (self._name,)))
        return self._held

    def keep(self) -> None:
        """Make sure that the lock is still held, and its connection not idle for too long.

        :raises TransientError: the connection was lost and another purge of the table has begun meanwhile.
        """
        try:
            assert self._connection is not None
            self._ask(self._connection, "SELECT 1", ())
        except TransientError:
            self._held, self._connection = False, None
            self._stack.close()
            if not self.acquire():
                raise TransientError(
                    f"{self._session.where}: the connection that held the purge lock of {self._table} was lost, and another "
                    "purge of the table has begun. Rows deleted so far are in the purge log; the next try goes on"
                ) from None

    def _ask(self, connection: Connection, sql: str, values: tuple[object, ...]) -> object:
        with self._session._translated():
            cursor = self._session._cursor(connection)
            cursor.execute(sql, values)
            found = cursor.fetchall()[0][0]
            connection.commit()
            return found
