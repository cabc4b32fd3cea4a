"""The shape of a fuzzed column: its type, and where its values come from. The tables are data of each engine."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from random import Random
from typing import Any

from airflow_provider_chista.model import Kind
from tests.integration.fuzz.values import Maker

NULLS = 0.1
"""Share of NULLs in a column that can hold them."""


def _same(value: Any) -> Any:
    return value


@dataclass(frozen=True)
class Fuzzed:
    """One column.

    :param row: name of the row in the engine's type table.
    :param ddl: the type in a CREATE TABLE; with ``NOT NULL`` the column never holds NULL.
    :param kind: the kind expected of it.
    :param make: makes a value as Python has it (``canonical.Value``).
    :param snapshot: makes those of rows that a snapshot carries, where Debezium damages others on that way.
    :param bound: the value as it is bound to a statement of the application.
    :param mark: how the bound value is written in a statement.
    :param setup: statements before the table is created; ``{schema}`` stands for the schema.
    """

    row: str
    ddl: str
    kind: Kind
    make: Maker
    snapshot: Maker | None = None
    bound: Callable[[Any], Any] = _same
    mark: str = "%s"
    setup: tuple[str, ...] = ()

    @property
    def nullable(self) -> bool:
        return "NOT NULL" not in self.ddl

    def value(self, random: Random, by_snapshot: bool) -> Any:
        """A value, or NULL."""
        if self.nullable and random.random() < NULLS:
            return None
        return self.make_by_snapshot(random) if by_snapshot else self.make(random)

    @property
    def make_by_snapshot(self) -> Maker:
        return self.snapshot or self.make

    def parameter(self, value: Any) -> Any:
        """The value as the driver takes it: what neither driver knows goes as text, which both engines' types read."""
        if value is None:
            return None
        value = self.bound(value)
        if isinstance(value, datetime):
            return value.isoformat(" ", "microseconds")
        return str(value) if isinstance(value, (date, uuid.UUID)) else value
