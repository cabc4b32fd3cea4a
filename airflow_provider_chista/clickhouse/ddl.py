"""The archive table: created from the source catalogue, compared with what is there, extended when the source grew.

``ReplacingMergeTree(_chista_version, _chista_deleted)`` ordered by the primary key keeps, per key, the row of the highest
version; ``FINAL`` shows it unless it is deleted. The version is
``topic generation << 52 | Kafka offset << 4 | repair``: the only order of changes that survives failovers, restored servers
and clock changes at the source.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from clickhouse_connect.driver.client import Client

from airflow_provider_chista.clickhouse import sql
from airflow_provider_chista.clickhouse.errors import translated
from airflow_provider_chista.clickhouse.types import TypeMap
from airflow_provider_chista.errors import FatalError
from airflow_provider_chista.model import Column, Kind, Table, TableId

VERSION, DELETED, OPERATION, SOURCE_TIME = (
    "_chista_version",
    "_chista_deleted",
    "_chista_op",
    "_chista_source_time",
)

META_COLUMNS: dict[str, str] = {
    VERSION: "UInt64",
    DELETED: "UInt8",
    OPERATION: "LowCardinality(String)",
    SOURCE_TIME: "DateTime64(3, 'UTC')",
}
"""Columns that the provider adds: version, deletion flag, Debezium operation (r, c, u, d), commit time at the source."""

DEDUPLICATION_WINDOW = 1000
"""Inserted blocks whose deduplication token a table remembers (``non_replicated_deduplication_window``)."""

_WIDER: dict[Kind, tuple[str, ...]] = {
    Kind.INT8: ("Int16", "Int32", "Int64"),
    Kind.INT16: ("Int32", "Int64"),
    Kind.INT32: ("Int64",),
    Kind.UINT8: ("UInt16", "UInt32", "UInt64", "Int16", "Int32", "Int64"),
    Kind.UINT16: ("UInt32", "UInt64", "Int32", "Int64"),
    Kind.UINT32: ("UInt64", "Int64"),
    Kind.TEXT: ("LowCardinality(String)",),
}
"""Types of a user's own table that hold a kind exactly too."""


_QUOTED = re.compile(r"""`(?:[^`\\]|\\.)*`|'(?:[^'\\]|\\.)*'""", re.DOTALL)
"""Quoted names and texts of a statement."""


@dataclass(frozen=True, slots=True)
class TableChange:
    """What :func:`ensure_table` did: created the table, or added columns (both false and empty: it fitted already)."""

    created: bool
    added: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Existing:
    engine_full: str
    sorting_key: str
    columns: dict[str, str]


def view_of(target: TableId) -> TableId:
    """The view that hides versions and deleted rows: ``<table>_current``."""
    return TableId(target.schema, f"{target.name}_current")


def column_ddl(types: TypeMap, column: Column) -> str:
    """The ClickHouse type of a column, Nullable when the source accepts NULL."""
    ddl = types.stored(column.archived_as).ddl
    return f"Nullable({ddl})" if column.nullable else ddl


def create_statement(types: TypeMap, table: Table, target: TableId) -> str:
    """The CREATE TABLE of an archive table."""
    described = {c.name: column_ddl(types, c) for c in table.columns} | META_COLUMNS
    columns = ",\n    ".join(f"{sql.identifier(name)} {ddl}" for name, ddl in described.items())
    return (
        f"CREATE TABLE IF NOT EXISTS {sql.table(target)}\n(\n    {columns}\n)\n"
        f"ENGINE = ReplacingMergeTree({VERSION}, {DELETED})\n"
        f"ORDER BY ({sql.columns(table.primary_key)})\n"
        f"SETTINGS non_replicated_deduplication_window = {DEDUPLICATION_WINDOW}"
    )


def ensure_table(client: Client, types: TypeMap, table: Table, target: TableId) -> TableChange:
    """Create the archive table and its view, or add the columns that the source has gained.

    :raises FatalError: the source table cannot be archived, or a table of that name exists that cannot hold the
        rows exactly; the message is a list of the differences, and nothing was changed.
    """
    table.require_archivable()
    with translated(f"creating the archive table {target}"):
        client.command(f"CREATE DATABASE IF NOT EXISTS {sql.identifier(target.schema)}")
        existing = _existing(client, target)
        if existing is None:
            client.command(create_statement(types, table, target))
            _replace_view(client, target, [c.name for c in table.columns])
            return TableChange(created=True, added=())
        missing = check_fits(types, table, target, existing)
        for column in missing:
            client.command(
                f"ALTER TABLE {sql.table(target)} ADD COLUMN IF NOT EXISTS"
                f" {sql.identifier(column.name)} {column_ddl(types, column)}"
            )
        if missing or not _exists(client, view_of(target)):
            _replace_view(client, target, [c.name for c in table.columns])
    return TableChange(created=False, added=tuple(c.name for c in missing))


def check_fits(types: TypeMap, table: Table, target: TableId, existing: _Existing) -> list[Column]:
    """Columns that the existing table lacks; :class:`FatalError` with every difference that cannot be mended by adding."""
    differences = []
    arguments = re.search(r"ReplacingMergeTree\((.*?)\)(?: |$)", existing.engine_full)
    if not arguments or not re.search(rf"\b{VERSION}, {DELETED}$", arguments[1]):
        differences.append(
            f"engine is {existing.engine_full.split(' ORDER BY')[0]}, it must be ReplacingMergeTree({VERSION}, {DELETED})"
        )
    wanted = ", ".join(f"(?:{re.escape(n)}|{re.escape(sql.identifier(n))})" for n in table.primary_key)
    if not re.fullmatch(rf"{wanted}|\({wanted}\)", existing.sorting_key):
        differences.append(
            f"it is ordered by ({existing.sorting_key}), it must be ordered by the primary key"
            f" ({', '.join(table.primary_key)})"
        )
    for name, ddl in META_COLUMNS.items():
        if existing.columns.get(name) != ddl:
            differences.append(f"column {name} is {existing.columns.get(name, 'missing')}, it must be {ddl}")
    missing = []
    for column in table.columns:
        found = existing.columns.get(column.name)
        if found is None:
            missing.append(column)
        elif found not in _accepted(types, column):
            differences.append(f"column {column.name} is {found}, it must be {column_ddl(types, column)}")
    if differences:
        raise FatalError(
            f"the existing table {target} cannot hold {table.id} exactly: {'; '.join(differences)}. "
            "Archive into another table, or rename the existing one"
        )
    return missing


def misfit(client: Client, types: TypeMap, table: Table, target: TableId) -> str | None:
    """Why an existing table of that name cannot hold the rows; None when it can, or does not exist."""
    with translated(f"looking at {target}"):
        existing = _existing(client, target)
    if existing is None:
        return None
    try:
        check_fits(types, table, target, existing)
    except FatalError as error:
        return str(error)
    return None


def has_ttl(client: Client, target: TableId) -> bool:
    """Whether the table or one of its columns has a TTL, which could drop archived rows or values."""
    with translated(f"looking at {target}"):
        statements = client.query(
            "SELECT create_table_query FROM system.tables WHERE database = {database:String} AND name = {table:String}",
            parameters={"database": target.schema, "table": target.name},
        ).result_rows
    return any(re.search(r"\bTTL\b", _QUOTED.sub("", row[0])) for row in statements)


def exists(client: Client, target: TableId) -> bool:
    """Whether the table (or view) exists."""
    with translated(f"looking for {target}"):
        return _exists(client, target)


def _accepted(types: TypeMap, column: Column) -> tuple[str, ...]:
    wider = _WIDER.get(column.archived_as, ())
    if column.nullable:
        wider = tuple(f"Nullable({ddl})" for ddl in wider if "(" not in ddl)
    return (column_ddl(types, column), *wider)


def _existing(client: Client, target: TableId) -> _Existing | None:
    parameters = {"database": target.schema, "table": target.name}
    tables = client.query(
        "SELECT engine_full, sorting_key FROM system.tables WHERE database = {database:String} AND name = {table:String}",
        parameters=parameters,
    ).result_rows
    if not tables:
        return None
    columns = client.query(
        "SELECT name, type FROM system.columns WHERE database = {database:String} AND table = {table:String}",
        parameters=parameters,
    ).result_rows
    return _Existing(
        engine_full=tables[0][0], sorting_key=tables[0][1], columns={row[0]: row[1] for row in columns}
    )


def _exists(client: Client, target: TableId) -> bool:
    return bool(client.command(f"EXISTS {sql.table(target)}"))


def _replace_view(client: Client, target: TableId, names: list[str]) -> None:
    client.command(
        f"CREATE OR REPLACE VIEW {sql.table(view_of(target))} AS SELECT {sql.columns(names)} FROM {sql.table(target)} FINAL"
    )
