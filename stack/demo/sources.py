"""The source databases, as their DBA and as the application that writes to them.

Nothing here uses the provider's own way of reading: the demo's numbers must not come from the code that they judge.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any

import MySQLdb
import psycopg

from stack.demo.dataset import (
    CHISTA,
    EMPLOYEES,
    SHIPMENTS,
    Row,
    Shape,
    chista_rows,
    employees_rows,
    shipment_rows,
)
from stack.settings import HOST, Stack

_BATCH = 2_000


@dataclass(frozen=True)
class Source:
    """One source database and what the demo archives of it.

    :param engine: ``mysql``, ``mariadb`` or ``postgres``; the DAG is ``archive_<engine>``.
    :param title: how the terminal calls it.
    :param connector: its connector.
    :param shape: the table of the origin's walk-through on this engine.
    """

    engine: str
    title: str
    connector: str
    shape: Shape

    @property
    def dag_id(self) -> str:
        """The DAG that archives it."""
        return f"archive_{self.engine}"

    @property
    def archived(self) -> tuple[Shape, ...]:
        """Tables of the DAG, in its order."""
        return (self.shape, EMPLOYEES["salaries"], EMPLOYEES["employees"])

    @property
    def edited(self) -> Shape:
        """The table whose rows behind the window the application changes after the archive."""
        return SHIPMENTS if self.shape is SHIPMENTS else EMPLOYEES["salaries"]

    @contextmanager
    def connect(self, stack: Stack) -> Iterator[Any]:
        """A connection as the server's administrator; the transaction is committed when the block ends well.

        :raises ConnectionError: the server does not answer, or ended the connection.
        """
        try:
            with self._connect(stack) as connection:
                yield connection
        except (MySQLdb.OperationalError, psycopg.OperationalError) as error:
            raise ConnectionError(f"{self.title} does not answer: {error}") from error

    @contextmanager
    def _connect(self, stack: Stack) -> Iterator[Any]:
        password = stack.secrets[f"CHISTA_{self.engine.upper()}_ROOT_PASSWORD"]
        port = stack.ports[self.engine]
        if self.engine == "postgres":
            with psycopg.connect(
                host=HOST, port=port, user="postgres", password=password, dbname="shipment_db"
            ) as connection:
                yield connection
            return
        opened: Any = MySQLdb.connect(host=HOST, port=port, user="root", passwd=password, charset="utf8mb4")
        try:
            yield opened
            opened.commit()
        finally:
            opened.close()

    def wanted(self) -> dict[Shape, Sequence[Row]]:
        """The first state of every table, parents first."""
        first = shipment_rows() if self.shape is SHIPMENTS else chista_rows()
        return {
            **{shape: employees_rows(table) for table, shape in EMPLOYEES.items()},
            self.shape: first,
        }


SOURCES = (
    Source("mysql", "MySQL", "mysql-connector-1", CHISTA),
    Source("mariadb", "MariaDB", "mariadb-connector-1", CHISTA),
    Source("postgres", "PostgreSQL", "shipments-connector", SHIPMENTS),
)


@dataclass(frozen=True)
class Change:
    """What :func:`difference` found: rows to insert, rows to change, keys to delete."""

    inserts: list[Row]
    updates: list[Row]
    deletes: list[Row]

    def __len__(self) -> int:
        return len(self.inserts) + len(self.updates) + len(self.deletes)


def difference(shape: Shape, present: Iterable[Row], wanted: Iterable[Row]) -> Change:
    """The smallest change that turns the rows that are there into the wanted ones."""
    there = {shape.key_of(row): row for row in present}
    goal = {shape.key_of(row): row for row in wanted}
    return Change(
        inserts=[row for key, row in goal.items() if key not in there],
        updates=[row for key, row in goal.items() if key in there and there[key] != row],
        deletes=[key for key in there if key not in goal],
    )


def read(connection: Any, shape: Shape) -> list[Row]:
    """Every row of a table."""
    cursor = connection.cursor()
    cursor.execute(f"SELECT {', '.join(shape.columns)} FROM {shape.name}")
    return [tuple(row) for row in cursor.fetchall()]


def count(connection: Any, shape: Shape) -> int:
    """Rows of a table."""
    cursor = connection.cursor()
    cursor.execute(f"SELECT count(*) FROM {shape.name}")
    return int(cursor.fetchone()[0])


def insert(connection: Any, shape: Shape, rows: Iterable[Row]) -> None:
    """Insert rows, many with each statement."""
    cursor, left = connection.cursor(), iter(rows)
    values = f"({', '.join(['%s'] * len(shape.columns))})"
    while batch := list(islice(left, _BATCH)):
        statement = (
            f"INSERT INTO {shape.name} ({', '.join(shape.columns)}) VALUES {', '.join([values] * len(batch))}"
        )
        cursor.execute(statement, [value for row in batch for value in row])


def update(connection: Any, shape: Shape, row: Row) -> None:
    """Give the row with this key these values."""
    others = [column for column in shape.columns if column not in shape.key]
    values = dict(zip(shape.columns, row, strict=True))
    connection.cursor().execute(
        f"UPDATE {shape.name} SET {', '.join(f'{column} = %s' for column in others)} WHERE {_key(shape)}",
        [values[column] for column in (*others, *shape.key)],
    )


def delete(connection: Any, shape: Shape, key: Row) -> None:
    """Delete the row with this key."""
    connection.cursor().execute(f"DELETE FROM {shape.name} WHERE {_key(shape)}", list(key))


def restore(stack: Stack, source: Source) -> int:
    """Bring all tables of a source to their first state and return how many rows that took.

    Children go before their parents, so that no ON DELETE CASCADE does it unseen by the change stream.
    """
    wanted = source.wanted()
    with source.connect(stack) as connection:
        changes = {shape: difference(shape, read(connection, shape), rows) for shape, rows in wanted.items()}
        for shape, change in reversed(changes.items()):
            for key in change.deletes:
                delete(connection, shape, key)
        for shape, change in changes.items():
            insert(connection, shape, change.inserts)
            for row in change.updates:
                update(connection, shape, row)
    return sum(map(len, changes.values()))


def _key(shape: Shape) -> str:
    return " AND ".join(f"{column} = %s" for column in shape.key)
