"""A source's sessions: one control connection that is kept, and connections of their own for long reads."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import ClassVar, Self

from airflow_provider_chista.errors import FatalError
from airflow_provider_chista.sources.dbapi import Connection, Cursor, Row, is_closed
from airflow_provider_chista.sources.failures import Failure, translated
from airflow_provider_chista.sources.running import OpenConnections

_PING_AFTER_SECONDS = 30.0


class Session(ABC):
    """A database behind a DB-API connection; drivers' errors become :class:`FatalError` or :class:`TransientError`.

    It owns at most one control connection, opened when first needed. Not safe for use by several threads at once.

    :param connect: returns a new connection of mysqlclient, psycopg 3 or psycopg2.
    :param label: how messages call the source until it has told its address, such as an Airflow connection id.
    :param connection: an open connection that becomes the control connection.
    """

    flavour: ClassVar[str]
    failures: ClassVar[tuple[Failure, ...]]
    lock_sql: ClassVar[str]
    """Takes the session's lock of a name, or does not wait: gives whether it has."""

    def __init__(
        self, connect: Callable[[], Connection], *, label: str = "", connection: Connection | None = None
    ) -> None:
        self._connect = connect if isinstance(connect, OpenConnections) else OpenConnections(connect)
        self.where = label or f"{self.flavour} source"
        self._connection: Connection | None = None
        self._used = 0.0
        if connection is not None:
            self._connect.add(connection)
            self._adopt(connection)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the control connection. The source can still be used: the next call opens a new one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(Exception):
                connection.close()

    def cancel(self) -> None:
        """Make the server give up what it does for this source and those made by :meth:`another`; from any thread."""
        self._connect.cancel()

    def another(self) -> Self:
        """The same source with a connection of its own, for another thread."""
        return type(self)(self._connect, label=self.where)

    @abstractmethod
    def _prepare(self, connection: Connection) -> str:
        """Set the session up, assert that it took, and return a text that names server, database and user."""

    @abstractmethod
    def _cursor(self, connection: Connection) -> Cursor:
        """A cursor that gives tuples."""

    def _read(self, sql: str, values: Sequence[object] = ()) -> Sequence[Row]:
        with self._transaction() as cursor:
            cursor.execute(sql, tuple(values))
            return cursor.fetchall()

    def _write(self, sql: str, values: Sequence[object]) -> int:
        with self._transaction() as cursor:
            cursor.execute(sql, tuple(values))
            return cursor.rowcount

    @contextmanager
    def _transaction(self) -> Iterator[Cursor]:
        """A transaction on the control connection: committed at the end, rolled back on any error."""
        connection = self._control()
        try:
            with self._translated():
                cursor = self._cursor(connection)
                yield cursor
                connection.commit()
        except BaseException:
            try:
                connection.rollback()
            except Exception:  # noqa: BLE001  the first error is the one to report
                self.close()
            raise
        self._used = time.monotonic()

    @contextmanager
    def _own_connection(self) -> Iterator[Connection]:
        with self._translated():
            connection = self._connect()
            try:
                self._prepare(connection)
                yield connection
            finally:
                with suppress(Exception):
                    connection.close()

    def _translated(self) -> AbstractContextManager[None]:
        return translated(self.failures, lambda: self.where)

    def _control(self) -> Connection:
        if self._connection is not None and is_closed(self._connection):
            self._connection = None
        if self._connection is not None and time.monotonic() - self._used > _PING_AFTER_SECONDS:
            self._ping(self._connection)
        if self._connection is None:
            with self._translated():
                connection = self._connect()
            self._adopt(connection)
        assert self._connection is not None
        return self._connection

    def _ping(self, connection: Connection) -> None:
        """Servers drop idle connections; better noticed before a statement than in it."""
        try:
            self._cursor(connection).execute("SELECT 1", ())
            connection.rollback()
        except Exception:  # noqa: BLE001  whatever it is, the connection is of no use
            self.close()

    def _adopt(self, connection: Connection) -> None:
        try:
            with self._translated():
                self.where = self._prepare(connection)
        except BaseException:
            with suppress(Exception):
                connection.close()
            raise
        self._connection, self._used = connection, time.monotonic()

    def _require_setting(self, name: str, found: object, expected: object) -> None:
        if found != expected:
            raise FatalError(
                f"{self.where}: the session's {name} is {found!r} and could not be set to {expected!r}; "
                "remove what resets it (init_connect, ALTER ROLE ... SET, a connection pooler)"
            )
