"""One wide table with a column for each type of an engine, brought through the real path twice: by snapshot and by stream."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from airflow_provider_chista.clickhouse import rowhash, sql
from airflow_provider_chista.model import Column, Kind
from tests.integration.archive.conftest import Store
from tests.integration.support.archives import Archive
from tests.integration.support.engines import Connector, connector
from tests.integration.types.cases import Case, Typed

STREAMED = 1_000
"""Ids from here on are of rows that were written after the connector's snapshot."""


def path(row_id: int) -> str:
    """How a row travels: ``r`` in the snapshot, ``c`` in the stream."""
    return "c" if row_id >= STREAMED else "r"


def rows_of(types: Sequence[Typed]) -> list[tuple[Case, ...]]:
    """The rows of each path: those whose hashes must agree, then one of the rests (NULLs), then those that Debezium damages.

    Apart, since one damaged value hides whatever else is wrong with its row's hash.
    """
    whole = [[case for case in typed.cases if not case.damaged] for typed in types]
    damaged = [[case for case in typed.cases if case.damaged] for typed in types]
    return [*_across(types, whole), tuple(typed.rest for typed in types), *_across(types, damaged)]


def _across(types: Sequence[Typed], columns: Sequence[Sequence[Case]]) -> Iterator[tuple[Case, ...]]:
    for row in range(max(map(len, columns))):
        yield tuple(
            cases[row] if row < len(cases) else typed.rest
            for typed, cases in zip(types, columns, strict=True)
        )


@dataclass
class Matrix:
    """The archived table of types.

    :param types: the types, column ``c0``, ``c1``, … in their order.
    """

    archive: Archive
    types: Sequence[Typed]

    @cached_property
    def rows(self) -> dict[int, list[Case]]:
        """What each row holds, by id."""
        found = rows_of(self.types)
        return {
            row_id: held(self.types, found[row_id % STREAMED], row_id)
            for row_id in [*range(len(found)), *range(STREAMED, STREAMED + len(found))]
        }

    def damaged(self) -> set[int]:
        """Ids of rows that Debezium does not send as the source has them."""
        return {
            row_id for row_id, cases in self.rows.items() if any(path(row_id) in c.damaged for c in cases)
        }

    @cached_property
    def columns(self) -> list[Column]:
        """The column of each type."""
        return [self.archive.table.column(f"c{i}") for i in range(len(self.types))]

    @cached_property
    def source_texts(self) -> dict[int, list[str]]:
        """Canonical texts at the source, by id."""
        found = self.archive.capture.source.rows(self.archive.table, [str(row_id) for row_id in self.rows])
        places = [self.archive.table.hashed.index(column) for column in self.columns]
        return {
            int(key): ["~" if values[place] is None else str(values[place]) for place in places]
            for key, values in found.items()
        }

    @cached_property
    def archive_texts(self) -> dict[int, list[str]]:
        """Canonical texts in ClickHouse, by id."""
        return self._query([rowhash.field(self.archive.types, column) for column in self.columns])

    @cached_property
    def archive_values(self) -> dict[int, list[Any]]:
        """Values in ClickHouse as a reader sees them, by id; bytes as hex."""
        wrapped = {Kind.BYTES: "hex({})", Kind.TIME: "toString({})", Kind.UUID: "toString({})"}
        return self._query(
            [
                wrapped.get(typed.kind, "{}").format(sql.identifier(column.name))
                for typed, column in zip(self.types, self.columns, strict=True)
            ]
        )

    def _query(self, expressions: Sequence[str]) -> dict[int, list[Any]]:
        fields = ", ".join(f"{expression} AS f{i}" for i, expression in enumerate(expressions))
        found = self.archive.client.query(f"SELECT id, {fields} FROM {sql.table(self.archive.target)} FINAL")
        return {row_id: list(values) for row_id, *values in found.result_rows}


def held(types: Sequence[Typed], cases: Sequence[Case], row_id: int) -> list[Case]:
    """What a row holds: the cases, or the rests where a case is not for the row's path."""
    return [
        case if path(row_id) in case.paths else typed.rest for typed, case in zip(types, cases, strict=True)
    ]


def inserts(made: Connector, types: Sequence[Typed], first: int) -> list[str]:
    """INSERT statements of one path's rows."""
    names = ", ".join(["id", *(f"c{i}" for i in range(len(types)))])
    return [
        f"INSERT INTO {made.schema}.types ({names}) VALUES ("
        + ", ".join([str(row_id), *(case.sql for case in held(types, cases, row_id))]).replace(
            "{schema}", made.schema
        )
        + ")"
        for row_id, cases in enumerate(rows_of(types), first)
    ]


@contextmanager
def matrix(
    flavour: str, store: Store, types: Sequence[Typed], session: Sequence[str] = (), *, converter: str = ""
) -> Iterator[Matrix]:
    """The table of types, drained to a barrier behind its streamed rows.

    :param session: statements for the application's session before it inserts.
    :param converter: by which the connector writes Avro; empty: it writes JSON.
    """
    columns = ", ".join(f"c{i} {typed.ddl}" for i, typed in enumerate(types))
    setup = [statement for typed in types for statement in typed.setup]
    with connector(flavour, {}, captured=["types"], avro=bool(converter)) as made:
        made.engine.execute(
            *(statement.replace("{schema}", made.schema) for statement in setup),
            *session,
            f"CREATE TABLE {{schema}}.types (id INT PRIMARY KEY, {columns})".replace("{schema}", made.schema),
            *inserts(made, types, 0),
        )
        both = {f"{side}.converter": converter for side in ("key", "value")}
        made.register(overrides=both if converter else {})
        archive = Archive(made, store.client, store.control, f"{store.database}_{made.name}", "types")
        try:
            archive.snapshot()
            made.engine.execute(*session, *inserts(made, types, STREAMED))
            archive.drain()
            yield Matrix(archive, types)
        finally:
            archive.capture.source.close()
            archive.client.command(f"DROP DATABASE IF EXISTS {archive.database}")
