"""A table whose rows a purge source deletes."""

from __future__ import annotations

import uuid
from typing import Any

from airflow_provider_chista.model import Table
from airflow_provider_chista.sources import Source

Hashes = list[tuple[str, str]]


class Purge:
    """A table of rows, their hashes as proven, and a purge source."""

    def __init__(self, schema: Any, columns: str, rows: list[tuple[Any, ...]]) -> None:
        self.schema, self.name, self.batch = schema, f"t_{uuid.uuid4().hex[:8]}", uuid.uuid4().hex
        schema.create(self.name, columns)
        schema.insert(self.name, rows)
        self.source: Source = schema.source("purge")
        self.table: Table = self.source.catalogue(schema.id(self.name))
        self.hashes: Hashes = [row for chunk in self.source.hashes(self.table, None) for row in chunk]

    def delete(self, rows: Hashes | None = None, source: Source | None = None) -> list[str]:
        return (source or self.source).guarded_delete(
            self.table, self.batch, self.hashes if rows is None else rows
        )

    def logged(self) -> Hashes:
        return [row for page in self.source.logged(self.batch) for row in page]

    def left(self) -> list[Any]:
        return [row[0] for row in self.execute(f"SELECT id FROM {self.schema.named(self.name)} ORDER BY id")]

    def execute(self, statement: str) -> list[tuple[Any, ...]]:
        rows: list[tuple[Any, ...]] = self.schema.server.execute(
            statement.format(t=self.schema.named(self.name))
        )
        return rows

    def close(self) -> None:
        while self.source.trim_log(self.batch):
            pass
        self.source.close()
