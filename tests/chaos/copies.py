"""A table of every provable type with as many rows as are wanted, each of which is known.

A few hundred rows are written by Python, which remembers their values, and copied at the source: the row with the id i has
the values of row ``i % BASE``, and the day of its block. They are kept in a table of their own, and so is every row that
the application has changed since, so that a query can hold the source against what was written. No hash is used.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from random import Random
from typing import Any

from airflow_provider_chista.model import Kind
from tests.integration.chaos.application import YOUNG, day
from tests.integration.fuzz.columns import Fuzzed
from tests.integration.fuzz.table import COLUMNS, NAME, Application, Row
from tests.integration.support.engines import MYSQL_FAMILY, Connector

BASE = 250
"""Rows that Python writes."""

WINDOWS = int(os.environ.get("CHISTA_STORY_WINDOWS") or 10)
"""Days that are older than the retention; the rows of one more are young."""

PERIOD = WINDOWS + 1
DAYS = (*map(day, range(WINDOWS)), YOUNG)

_TRANSACTION = 2_000
"""Rows of a transaction that copies."""


def on(row_id: int) -> date:
    """Day of a copy."""
    return DAYS[row_id // BASE % PERIOD]


@dataclass
class Copies:
    """The table at the source, and what is known of it.

    :param rows: number of the copies; ids from 0 on.
    :param base: values of the rows that are copied.
    """

    made: Connector
    rows: int
    random: Random
    columns: Sequence[Fuzzed] = field(init=False)
    base: dict[int, Row] = field(default_factory=dict)

    def __post_init__(self) -> None:
        flavour = self.made.engine.flavour
        day_column = Fuzzed("date", "DATE NOT NULL", Kind.DATE, lambda random: random.choice(DAYS))
        self.columns = (*COLUMNS[flavour], day_column)
        self.mysql = flavour in MYSQL_FAMILY
        self.table = f"{self.made.schema}.{NAME}"
        self.writer = Application(self.made, self.columns, self.random)

    @property
    def half(self) -> int:
        """As many rows as are in half of the blocks."""
        return self.rows // BASE // 2 * BASE

    @property
    def day_column(self) -> str:
        return f"c{len(self.columns) - 1}"

    @property
    def known(self) -> str:
        """Schema of what is known. The connector captures another one."""
        return f"{self.made.schema}_known"

    @property
    def period(self) -> str:
        """SQL for the place of a copy's day in :data:`DAYS`."""
        return f"{self.block} % {PERIOD}"

    @property
    def block(self) -> str:
        return f"f.id DIV {BASE}" if self.mysql else f"f.id / {BASE}"

    def create(self) -> None:
        """The table, and the rows to copy, of values that a snapshot can carry."""
        self.writer.create()
        engine, writer = self.made.engine, self.writer
        like = f"LIKE {self.table}" if self.mysql else f"(LIKE {self.table} INCLUDING ALL)"
        engine.execute(
            f"CREATE SCHEMA {self.known}", *(f"CREATE TABLE {self.known}.{name} {like}" for name in ("base", "touched"))
        )  # fmt: skip
        writer.table = f"{self.known}.base"
        with writer.session() as cursor:
            writer.insert(range(BASE), cursor)
        writer.table, self.base, writer.by_snapshot = self.table, writer.rows, False

    def copy(self, ids: range) -> None:
        """Make copies, in transactions that a connector bears; the first id is that of a block."""
        assert ids.start % BASE == 0
        listed = ", ".join(f"f.c{place}" for place in range(len(self.columns) - 1))
        for first in range(ids.start, ids.stop, _TRANSACTION):
            with self.writer.session() as cursor:
                for start in range(first, min(first + _TRANSACTION, ids.stop), BASE):
                    cursor.execute(
                        f"INSERT INTO {self.table} SELECT f.id + {start}, {listed}, DATE '{on(start)}'"
                        f" FROM {self.known}.base f WHERE f.id + {start} < {ids.stop}"
                    )

    def expected(self, row_id: int) -> Row:
        """Values of a copy that nobody has changed."""
        return [*self.base[row_id % BASE][:-1], on(row_id)]

    def ids(self) -> set[int]:
        """Of the rows at the source."""
        return {row_id for (row_id,) in self.made.engine.query(f"SELECT id FROM {self.table}")}

    def altered(self) -> list[int]:
        """Ids at the source whose values are not those that were written."""
        return self.altered_since() + self._found(
            f"JOIN {self.known}.base k ON k.id = f.id % {BASE}"
            f" WHERE NOT EXISTS (SELECT 1 FROM {self.known}.touched t WHERE t.id = f.id)"
            f" AND NOT ({self._same(len(self.columns) - 1)} AND f.{self.day_column} = {self._day()})"
        )

    def altered_since(self) -> list[int]:
        """Those among the rows that the application has changed."""
        return self._found(
            f"JOIN {self.known}.touched k ON k.id = f.id WHERE NOT ({self._same(len(self.columns))})"
        )

    def _found(self, condition: str) -> list[int]:
        return [
            row_id for (row_id,) in self.made.engine.query(f"SELECT f.id FROM {self.table} f {condition}")
        ]

    def _day(self) -> str:
        cases = " ".join(f"WHEN {place} THEN DATE '{on_day}'" for place, on_day in enumerate(DAYS))
        return f"CASE {self.period} {cases} END"

    def _same(self, places: int) -> str:
        """Whether the first columns of both rows have the same values, to the byte."""
        if not self.mysql:
            row = ", ".join(f"{{0}}.c{place}" for place in range(places))
            return f"ROW({row.format('f')})::text = ROW({row.format('k')})::text"
        return " AND ".join(self._same_at(place) for place in range(places))

    def _same_at(self, place: int) -> str:
        if not self.mysql:
            return f"f.c{place}::text IS NOT DISTINCT FROM k.c{place}::text"
        shapes = _SHAPES.get(self.columns[place].kind, ("{}",))
        return " AND ".join(
            f"{shape.format(f'f.c{place}')} <=> {shape.format(f'k.c{place}')}" for shape in shapes
        )

    def told(self, row_id: int, is_copy: bool) -> list[tuple[str, Any, Any]]:
        """Columns of a row that are not as they were written: type, value, and the value that was written."""
        of = f"base k ON k.id = f.id % {BASE}" if is_copy else "touched k ON k.id = f.id"
        return [
            (column.ddl, *values)
            for place, column in enumerate(self.columns)
            for values in self.made.engine.query(
                f"SELECT {self._text('f', place)}, {self._text('k', place)} FROM {self.table} f JOIN {self.known}.{of}"
                f" WHERE f.id = {row_id} AND NOT ({self._same_at(place)})"
            )
        ]

    def _text(self, row: str, place: int) -> str:
        return f"HEX({row}.c{place})" if self.mysql else f"{row}.c{place}::text"

    def drop(self) -> None:
        self.made.engine.execute(f"DROP SCHEMA IF EXISTS {self.known}{'' if self.mysql else ' CASCADE'}")


_SHAPES = {
    Kind.TEXT: ("CAST({} AS BINARY)",),
    Kind.BYTES: ("HEX({})",),
    Kind.FLOAT32: ("{}", "CAST({} AS CHAR)"),
    Kind.FLOAT64: ("{}", "CAST({} AS CHAR)"),
}
"""What of a column MySQL and MariaDB have to compare: texts without their collation, numbers with the sign of a zero."""


@contextmanager
def copies(made: Connector, rows: int, random: Random) -> Iterator[Copies]:
    """The table with its copies to be, dropped behind the test."""
    table = Copies(made, rows, random)
    try:
        table.create()
        yield table
    finally:
        table.drop()
