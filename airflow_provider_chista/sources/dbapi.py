"""The part of PEP 249 that is used: mysqlclient, psycopg 3 and psycopg2 all have it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

Row = tuple[Any, ...]


class Cursor(Protocol):
    """A cursor that gives tuples."""

    @property
    def rowcount(self) -> int:
        """Rows that the last statement gave or changed."""

    @property
    def description(self) -> Sequence[Sequence[Any]] | None:
        """A sequence for each column of the last statement's rows, its name first; None when it gives none."""

    def execute(self, sql: str, parameters: Sequence[object], /) -> object:
        """Run a statement; parameters are always given, so ``%`` is written ``%%`` outside of placeholders."""

    def fetchall(self) -> Sequence[Row]:
        """All rows that are left."""

    def fetchmany(self, size: int, /) -> Sequence[Row]:
        """The next rows, none at the end."""

    def close(self) -> None:
        """Give it back; rows that were not fetched are lost."""


class Connection(Protocol):
    """A connection; it begins transactions by itself."""

    def commit(self) -> None:
        """End the transaction for good."""

    def rollback(self) -> None:
        """Undo the transaction."""

    def close(self) -> None:
        """End the session."""


def is_closed(connection: Connection) -> bool:
    """Whether this side knows the connection to be closed (psycopg: ``closed``, mysqlclient: ``open``)."""
    return bool(getattr(connection, "closed", False)) or not getattr(connection, "open", True)
