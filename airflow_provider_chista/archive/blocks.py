"""Blocks of rows of an archive table: what one INSERT sends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from airflow_provider_chista.archive.complete import Row
from airflow_provider_chista.archive.positions import versions
from airflow_provider_chista.arrays import Values
from airflow_provider_chista.clickhouse import layout
from airflow_provider_chista.clickhouse.types import StoredType
from airflow_provider_chista.debezium.changes import Changes
from airflow_provider_chista.model import Column


@dataclass(frozen=True, slots=True)
class Blocks:
    """Makes Arrow tables of an archive table's rows.

    :param stored: the table's columns with how each is stored, in the order of a row's values.
    """

    stored: Sequence[tuple[Column, StoredType]]

    def of_rows(self, rows: Sequence[Row]) -> pa.Table:
        """Rows that were decoded one by one."""
        return self._table(
            list(zip(*(row.values for row in rows), strict=True)),
            pa.array([row.version for row in rows], pa.uint64()),
            [row.op for row in rows],
            [row.source_time_ms for row in rows],
            pa.array([row.incomplete for row in rows], pa.list_(pa.string())),
        )

    def of_changes(self, changes: Changes, generation: int, offsets: Sequence[int], rows: int) -> pa.Table:
        """The first ``rows`` rows of changes.

        :param offsets: of all the records that the changes are of.
        """
        places = changes.places[:rows]
        columns = [values if len(values) == rows else values[:rows] for values in changes.columns]
        found = pa.array([offsets[place] for place in places], pa.uint64())
        return self._table(
            columns, versions(generation, found), changes.ops[:rows], changes.times[:rows], _no_names(rows)
        )

    def _table(
        self,
        columns: Sequence[Values],
        row_versions: pa.Array[Any],
        ops: Sequence[str],
        times: Sequence[int],
        incomplete: pa.Array[Any],
    ) -> pa.Table:
        arrays: dict[str, pa.Array[Any]] = {
            column.name: stored.array(values)
            for (column, stored), values in zip(self.stored, columns, strict=True)
        }
        arrays[layout.VERSION] = row_versions
        arrays[layout.DELETED] = pa.repeat(pa.scalar(0, pa.uint8()), len(row_versions))
        arrays[layout.OPERATION] = pa.array(ops, pa.string())
        arrays[layout.SOURCE_TIME] = pa.array(times, pa.timestamp("ms", tz="UTC"))
        arrays[layout.INCOMPLETE] = incomplete
        return pa.table(arrays)


def _no_names(rows: int) -> pa.Array[Any]:
    """An empty list for each row."""
    return pa.ListArray.from_arrays(pa.repeat(pa.scalar(0, pa.int32()), rows + 1), pa.array([], pa.string()))
