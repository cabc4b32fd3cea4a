"""From what an engine's catalogue says to a table: what every engine leaves out, and which keys none can have."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from airflow_provider_chista.canonical import KEY_KINDS
from airflow_provider_chista.model import Column, LeftOut, Table, TableId
from airflow_provider_chista.sources.dialect import Dialect


def table_of_columns(
    dialect: Dialect,
    table: TableId,
    columns: Sequence[Column],
    key: tuple[str, ...],
    generated: Collection[str],
) -> Table:
    """A table from its columns: generated ones are left out, the types of the key are checked.

    PostgreSQL's stream leaves generated columns out, snapshots have them; they can be computed again from the others.
    """
    kept = [
        _of_key(dialect, column, column.name in generated) if column.name in key else column
        for column in columns
        if column.name in key or column.name not in generated
    ]
    names = {column.name for column in kept}
    left_out = tuple(LeftOut(column.name, generated=True) for column in columns if column.name not in names)
    return Table(table, tuple(kept), key, left_out)


def _of_key(dialect: Dialect, column: Column, generated: bool) -> Column:
    if column.refusal:
        return column
    refusal = None
    if generated:
        refusal = (
            "a generated column cannot be part of the primary key, because change events may leave it out"
        )
    elif column.kind not in KEY_KINDS or not dialect.type_of(column).key:
        refusal = "a column of this type cannot be part of the primary key: no common order or text; choose another key"
    return replace(column, refusal=refusal)
