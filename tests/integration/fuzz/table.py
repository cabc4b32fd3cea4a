"""A wide table of random rows on the real path: written by an application, archived, and remembered by the test."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Any

from airflow_provider_chista.canonical import row_hash
from airflow_provider_chista.clickhouse import rowhash, sql
from airflow_provider_chista.model import Kind
from tests.integration.archive.conftest import Store
from tests.integration.fuzz.columns import Fuzzed
from tests.integration.fuzz.mysql_columns import MARIADB, MYSQL
from tests.integration.fuzz.postgres_columns import POSTGRES
from tests.integration.support.archives import Archive
from tests.integration.support.engines import Connector, connector

COLUMNS: dict[str, tuple[Fuzzed, ...]] = {"mysql": MYSQL, "mariadb": MARIADB, "postgres": POSTGRES}

NAME = "fuzz"
SESSION = {
    "mysql": ("SET SESSION time_zone = '+00:00'",),
    "mariadb": ("SET SESSION time_zone = '+00:00'",),
    "postgres": ("SET TIME ZONE 'UTC'",),
}
_INSERTED_AT_ONCE = 200
_READ_AT_ONCE = 10
"""Columns of a query: so many values of all rows are in memory at once."""

Row = list[Any]


def batched(items: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    return (items[first : first + size] for first in range(0, len(items), size))


@dataclass
class Application:
    """The writer at the source, in transactions of its own; it remembers what the table must hold.

    :param rows: values by id, as Python has them.
    """

    made: Connector
    columns: Sequence[Fuzzed]
    random: Random
    rows: dict[int, Row] = field(default_factory=dict)
    by_snapshot: bool = True

    def __post_init__(self) -> None:
        self.flavour = self.made.engine.flavour
        self.table = f"{self.made.schema}.{NAME}"

    def create(self) -> None:
        types = [column.ddl.replace("{schema}", self.made.schema) for column in self.columns]
        setup = dict.fromkeys(statement for column in self.columns for statement in column.setup)
        listed = ", ".join(f"c{i} {ddl}" for i, ddl in enumerate(types))
        self.made.engine.execute(
            *(statement.replace("{schema}", self.made.schema) for statement in setup),
            f"CREATE TABLE {self.table} (id INT PRIMARY KEY, {listed})",
            *([f"ALTER TABLE {self.table} REPLICA IDENTITY FULL"] if self.flavour == "postgres" else []),
        )

    @contextmanager
    def session(self) -> Iterator[Any]:
        """A cursor in a transaction that is committed at the end."""
        with closing(self.made.engine.admin()) as connection:
            cursor = connection.cursor()
            for statement in SESSION[self.flavour]:
                cursor.execute(statement)
            cursor.execute("BEGIN")
            yield cursor
            cursor.execute("COMMIT")

    def values(self) -> Row:
        return [column.value(self.random, self.by_snapshot) for column in self.columns]

    def parameters(self, row: Row) -> list[Any]:
        return [column.parameter(value) for column, value in zip(self.columns, row, strict=True)]

    def insert(self, ids: Iterable[int], cursor: Any, rows: Sequence[Row] | None = None) -> None:
        """New rows, in as few round trips as the driver offers."""
        new = dict(zip(ids, rows, strict=True)) if rows is not None else {i: self.values() for i in ids}
        self.rows |= new
        if self.flavour == "postgres":
            with cursor.copy(f"COPY {self.table} FROM STDIN") as copy:
                for row_id, row in new.items():
                    copy.write_row([row_id, *self.parameters(row)])
            return
        marks = f"({', '.join(['%s', *(column.mark for column in self.columns)])})"
        for part in batched(list(new.items()), _INSERTED_AT_ONCE):
            cursor.execute(
                f"INSERT INTO {self.table} VALUES {', '.join([marks] * len(part))}",
                [value for row_id, row in part for value in (row_id, *self.parameters(row))],
            )

    def update(self, row_id: int, changed: dict[int, Any], cursor: Any) -> None:
        """Some columns of a row, by place."""
        for place, value in changed.items():
            self.rows[row_id][place] = value
        sets = ", ".join(f"c{place} = {self.columns[place].mark}" for place in changed)
        bound = [self.columns[place].parameter(value) for place, value in changed.items()]
        cursor.execute(f"UPDATE {self.table} SET {sets} WHERE id = {row_id}", bound)

    def delete(self, ids: Sequence[int], cursor: Any) -> None:
        for row_id in ids:
            del self.rows[row_id]
        cursor.execute(f"DELETE FROM {self.table} WHERE id IN ({', '.join(map(str, ids))})")

    def rekey(self, row_id: int, new: int, cursor: Any) -> None:
        self.rows[new] = self.rows.pop(row_id)
        cursor.execute(f"UPDATE {self.table} SET id = {new} WHERE id = {row_id}")


def as_read(kind: Kind, column: str) -> str:
    """A column of the archive as an expression whose value the driver gives exactly; bytes as hex."""
    wrapped = {Kind.BYTES: "hex({})", Kind.TIME: "toString({})", Kind.UUID: "toString({})"}
    return wrapped.get(kind, "{}").format(column)


@dataclass
class Fuzz:
    """The archived table, and what it must hold."""

    archive: Archive
    application: Application

    @property
    def columns(self) -> Sequence[Fuzzed]:
        return self.application.columns

    @property
    def rows(self) -> dict[int, Row]:
        return self.application.rows

    def source_hashes(self) -> dict[str, str]:
        """What the source's SQL computes, by row key."""
        return dict(
            pair for chunk in self.archive.capture.source.hashes(self.archive.table, None) for pair in chunk
        )

    def archive_hashes(self) -> dict[str, str]:
        """What ClickHouse's SQL computes, by row key."""
        types, table = self.archive.types, self.archive.table
        key, hashed = rowhash.row_key(types, table), rowhash.row_hash(types, table)
        return dict(
            self.archive.client.query(
                f"SELECT {key}, {hashed} FROM {sql.table(self.archive.target)} FINAL"
            ).result_rows
        )

    def expected_hashes(self) -> dict[str, str]:
        """What ``canonical.py`` computes over the values that the application wrote, by row key."""
        kinds = [Kind.INT32, *(column.kind for column in self.columns)]
        return {str(row_id): row_hash(kinds, [row_id, *row]) for row_id, row in self.rows.items()}

    def stored(self) -> Iterator[tuple[int, dict[int, Any]]]:
        """Place of each column, and its values in ClickHouse as a reader sees them, by id; bytes as hex."""
        for first in range(0, len(self.columns), _READ_AT_ONCE):
            places = range(first, min(first + _READ_AT_ONCE, len(self.columns)))
            read = ", ".join(f"{as_read(self.columns[i].kind, f'c{i}')} AS v{i}" for i in places)
            ids, *found = self.archive.client.query(
                f"SELECT id, {read} FROM {sql.table(self.archive.target)} FINAL"
            ).result_columns
            for place, values in zip(places, found, strict=True):
                yield place, dict(zip(ids, values, strict=True))

    def texts(self, row_ids: Sequence[int]) -> list[tuple[int, str, Any, Any, Any]]:
        """Where rows differ: id, column, and its value, text at the source and text in the archive; for a person to read."""
        keys = [str(row_id) for row_id in row_ids]
        source = self.archive.capture.source.rows(self.archive.table, keys)
        archive = self.archive.manifests().fields(keys)
        return [
            (
                int(key),
                f"{column.ddl} (c{i})",
                self.rows[int(key)][i],
                source[key][i + 1],
                archive[key][i + 1],
            )
            for key in keys
            for i, column in enumerate(self.columns)
            if source[key][i + 1] != archive[key][i + 1]
        ]


@contextmanager
def archived(
    flavour: str,
    store: Store,
    random: Random,
    write: Callable[[Application], None],
    follow: Callable[[Application], None] = lambda application: None,
) -> Iterator[Fuzz]:
    """The engine's table, drained to a barrier.

    :param write: writes the rows that the connector's snapshot carries.
    :param follow: writes what its stream carries.
    """
    with connector(flavour, {}, captured=[NAME]) as made:
        application = Application(made, COLUMNS[flavour], random)
        application.create()
        write(application)
        application.by_snapshot = False
        made.register()
        archive = Archive(made, store.client, store.control, f"{store.database}_{made.name}", NAME)
        try:
            archive.snapshot(120)
            follow(application)
            archive.drain()
            yield Fuzz(archive, application)
        finally:
            archive.capture.source.close()
            archive.client.command(f"DROP DATABASE IF EXISTS {archive.database}")
