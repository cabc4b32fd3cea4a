"""The repair: rows that the change stream did not carry exactly, read from the source by SQL and written into the archive.

Debezium itself loses some values (``docs/types.md``), and no waiting brings them back. Such a row is read from the source in
its canonical text and written with the repair bits of its newest version raised: above the event that it mends, below the
next event of its key. Versions are read before rows, so whatever the application does meanwhile arrives with a higher one.

Rows are only added or replaced. A row that the source does not have is never taken from the archive.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from airflow_provider_chista.archive.blocks import Blocks
from airflow_provider_chista.archive.complete import Row
from airflow_provider_chista.archive.manifest import Manifests
from airflow_provider_chista.archive.positions import LAST_REPAIR, generation_of, version
from airflow_provider_chista.clickhouse.load import insert_block
from airflow_provider_chista.debezium.encodings import decoded
from airflow_provider_chista.errors import FatalError
from airflow_provider_chista.model import names
from airflow_provider_chista.sources.base import Source

OPERATION = "repair"
"""``_chista_op`` of a row that a repair wrote."""

CHUNK = 1_000
"""Rows that are read, recorded and written at a time."""


@dataclass(frozen=True, slots=True)
class Repair:
    """Repairs rows of one archive table.

    :param source: the source as the verify user.
    """

    source: Source
    manifests: Manifests

    def require_possible(self) -> None:
        """Raise :class:`FatalError` when the table has columns whose values cannot be read back exactly from the source."""
        table = self.manifests.table
        others = [column.name for column in table.stored if column not in table.hashed]
        if others:
            raise FatalError(
                f"{table.id} cannot be repaired: a repair writes whole rows, and the source does not give the archive's "
                f"values of {names(others)} (dropped at the source, or stored in a type that is not exact). Take the rows "
                "again by an incremental snapshot"
            )

    def run(self, keys: Sequence[str], token: str) -> tuple[int, dict[str, str]]:
        """Write those of the rows (at most :data:`CHUNK` row keys) that the source has.

        :param token: names the repair, so that a block whose outcome is not known can be sent again.
        :returns: rows written; and by row key, why one cannot be.
        :raises TransientError: a server did not answer.
        """
        types, table = self.manifests.types, self.manifests.table
        blocks = Blocks([(column, types.stored(column)) for column in table.stored])
        newest = self.manifests.newest_versions(keys)
        first = version(generation_of(self.manifests.control, str(self.manifests.target)), 0)
        now = time.time_ns() // 1_000_000
        rows: list[Row] = []
        refused: dict[str, str] = {}
        for key, texts in self.source.rows(table, keys).items():
            try:
                values = _decoded(blocks, texts)
                rows.append(Row(values, _above(newest.get(key, first)), OPERATION, now))
            except ValueError as error:
                refused[key] = str(error)
        if rows:
            insert_block(self.manifests.control.client, self.manifests.target, blocks.of_rows(rows), token)
        return len(rows), refused


def _above(newest: int) -> int:
    """The version of a repaired row, above everything that the archive has of its key."""
    if newest & LAST_REPAIR == LAST_REPAIR:
        raise ValueError(f"it was repaired {LAST_REPAIR} times since its last change event")
    return newest + 1


def _decoded(blocks: Blocks, texts: Sequence[str | None]) -> tuple[object, ...]:
    """Decoded values of a row's canonical field texts; :class:`ValueError` for one that the archive's column cannot hold."""
    values: list[object] = []
    for (column, stored), text in zip(blocks.stored, texts, strict=True):
        try:
            value = None if text is None else decoded(column.archived_as, text)
            if value is not None and stored.guard:
                stored.guard(value)
        except ValueError as error:
            raise ValueError(f"column {column.name}: {error}") from error
        values.append(value)
    return tuple(values)
