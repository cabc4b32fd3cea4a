"""Source tables, and the archive tables that the provider made for them."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from airflow_provider_chista.clickhouse.evolve import Existing, Fit
from airflow_provider_chista.clickhouse.layout import META_COLUMNS, column_type, note_of, table_note
from airflow_provider_chista.clickhouse.types import TypeMap
from airflow_provider_chista.model import Column, Kind, Table, TableId

TYPES = TypeMap()
TARGET = TableId("archive", "t")
ENGINE = "ReplacingMergeTree(_chista_version, _chista_deleted) ORDER BY id SETTINGS index_granularity = 8192"
ID = Column("id", "int", Kind.INT32, nullable=False)


def col(kind: Kind, declared: str = "", nullable: bool = True, **more: Any) -> Column:
    return Column("c", declared or str(kind), kind, nullable, **more)


def source(*columns: Column, **more: Any) -> Table:
    return Table(TableId("shop", "t"), (ID, *columns), ("id",), **more)


def created(table: Table, **changed: Any) -> Existing:
    """The archive table that the provider makes for a source table."""
    columns = {c.name: (column_type(TYPES, c), note_of(c)) for c in table.columns}
    meta = {name: (ddl, "") for name, ddl in META_COLUMNS.items()}
    return replace(Existing(ENGINE, "id", columns | meta, table_note(table)), **changed)


def own(**columns: str) -> Existing:
    """A table of the user's own: no comments."""
    return Existing(ENGINE, "id", {name: (ddl, "") for name, ddl in (columns | META_COLUMNS).items()})


INT, BIGINT = col(Kind.INT32, "int"), col(Kind.INT64, "bigint")
TEXT = col(Kind.TEXT, "varchar(10)")


def dec(precision: int, scale: int) -> Column:
    return col(Kind.DECIMAL, f"decimal({precision},{scale})", precision=precision, scale=scale)


def applied(existing: Existing, fit: Fit) -> Existing:
    """The table after the alterations, read from their text as ClickHouse reads them."""
    columns, comment = dict(existing.columns), existing.comment
    literal = r"'((?:[^'\\]|\\.)*)'"
    for clause in fit.alterations():
        if found := re.fullmatch(
            rf"(?:ADD COLUMN IF NOT EXISTS|MODIFY COLUMN) `(\w+)` (.*) COMMENT {literal}", clause
        ):
            columns[found[1]] = (found[2], re.sub(r"\\(.)", r"\1", found[3]))
        elif found := re.fullmatch(rf"COMMENT COLUMN `(\w+)` {literal}", clause):
            columns[found[1]] = (columns[found[1]][0], re.sub(r"\\(.)", r"\1", found[2]))
        else:
            found = re.fullmatch(rf"MODIFY COMMENT {literal}", clause)
            assert found, clause
            comment = re.sub(r"\\(.)", r"\1", found[1])
    return replace(existing, columns=columns, comment=comment)
