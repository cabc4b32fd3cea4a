"""What a source does for this process, and how another thread makes it stop."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any
from weakref import WeakKeyDictionary

from airflow_provider_chista.sources.dbapi import Connection, is_closed


class OpenConnections:
    """Opens connections of a source, and knows those that are open.

    :param connect: returns a new connection of mysqlclient, psycopg 3 or psycopg2.
    """

    def __init__(self, connect: Callable[[], Connection]) -> None:
        self._connect = connect
        self._open: WeakKeyDictionary[Connection, int | None] = WeakKeyDictionary()

    def __call__(self) -> Connection:
        """A new connection."""
        connection = self._connect()
        self.add(connection)
        return connection

    def add(self, connection: Connection) -> None:
        """Know a connection that was opened elsewhere."""
        thread_id = getattr(connection, "thread_id", None)
        self._open[connection] = thread_id() if thread_id is not None else None

    def cancel(self) -> None:
        """Make the server give up the statements that run on the open connections, from any thread.

        Their callers get the driver's error for it; a connection that runs nothing is not disturbed. psycopg has a way for
        it, of MySQL and MariaDB it is ``KILL QUERY`` by another connection of the same user, which needs no privilege. A
        server that does not answer is left alone.
        """
        numbers = []
        for connection, number in list(self._open.items()):
            if is_closed(connection):
                continue
            if number is not None:
                numbers.append(number)
            elif (cancel := getattr(connection, "cancel", None)) is not None:
                with suppress(Exception):
                    cancel()
        if not numbers:
            return
        with suppress(Exception):
            other: Any = self._connect()
            try:
                for number in numbers:
                    # Error 1094: that connection is gone.
                    with suppress(Exception):
                        other.cursor().execute(f"KILL QUERY {number:d}")
            finally:
                other.close()
