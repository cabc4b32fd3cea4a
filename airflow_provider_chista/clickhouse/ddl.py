"""The archive table: created from the source catalogue, compared with what is there, evolved with the source's columns.

``ReplacingMergeTree(_chista_version, _chista_deleted)`` ordered by the primary key keeps, per key, the row of the highest
version; ``FINAL`` shows it unless it is deleted. The version is
``topic generation << 52 | Kafka offset << 4 | repair``: the only order of changes that survives failovers, restored servers
and clock changes at the source. ``clickhouse/layout.py`` has the columns, ``clickhouse/evolve.py`` the comparison,
``clickhouse/cluster.py`` what differs on a cluster.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, replace

from clickhouse_connect.driver.client import Client

from airflow_provider_chista.clickhouse import evolve, sql
from airflow_provider_chista.clickhouse.choices import Choices
from airflow_provider_chista.clickhouse.cluster import ALTER_SETTINGS, HERE, Placement
from airflow_provider_chista.clickhouse.errors import translated
from airflow_provider_chista.clickhouse.layout import (
    DELETED,
    META_COLUMNS,
    VERSION,
    column_type,
    note_of,
    table_note,
)
from airflow_provider_chista.clickhouse.types import TypeMap
from airflow_provider_chista.errors import FatalError
from airflow_provider_chista.model import Table, TableId

DEDUPLICATION_WINDOW = 1000
"""Inserted blocks whose deduplication token a table remembers (``non_replicated_deduplication_window``)."""

_FRONTS = (
    "Distributed",
    "Buffer",
    "Merge",
    "View",
    "MaterializedView",
    "LiveView",
    "WindowView",
    "Dictionary",
    "Alias",
)
"""Engines that only lead to other tables."""

_QUOTED = re.compile(r"""`(?:[^`\\]|\\.)*`|'(?:[^'\\]|\\.)*'""", re.DOTALL)
"""Quoted names and texts of a statement."""


@dataclass(frozen=True, slots=True)
class TableChange:
    """What :func:`ensure_table` did.

    :param created: the table was created; :param added: columns added; :param changed: columns that got a wider type;
        all false and empty: it fitted already.
    :param table: the source table, each column as the archive holds it.
    """

    created: bool
    added: tuple[str, ...]
    changed: tuple[str, ...]
    table: Table

    def __str__(self) -> str:
        if self.created:
            return "created"
        done = [
            f"{word} {', '.join(names)}"
            for word, names in (("added", self.added), ("widened", self.changed))
            if names
        ]
        return "; ".join(done) or "fits already"


def view_of(target: TableId) -> TableId:
    """The view that hides versions and deleted rows: ``<table>_current``."""
    return TableId(target.schema, f"{target.name}_current")


def create_statement(types: TypeMap, table: Table, target: TableId, placement: Placement = HERE) -> str:
    """The CREATE TABLE of an archive table."""
    own = [
        f"{sql.identifier(c.name)} {column_type(types, c)} COMMENT {sql.literal(note_of(c))}"
        for c in table.columns
    ]
    added = [f"{sql.identifier(name)} {ddl}" for name, ddl in META_COLUMNS.items()]
    columns = ",\n    ".join([*own, *added])
    return (
        f"CREATE TABLE IF NOT EXISTS {sql.table(target)}{placement.on_cluster}\n(\n    {columns}\n)\n"
        f"ENGINE = {placement.engine('ReplacingMergeTree')}({VERSION}, {DELETED})\n"
        f"ORDER BY ({sql.columns(table.primary_key)})\n"
        f"SETTINGS {placement.deduplication(DEDUPLICATION_WINDOW)}\n"
        f"COMMENT {sql.literal(table_note(table, placement.cluster))}"
    )


def ensure_table(
    client: Client,
    types: TypeMap,
    table: Table,
    target: TableId,
    choices: Choices | None = None,
    placement: Placement = HERE,
) -> TableChange:
    """Create the archive table and its view, or let it follow the source's columns.

    :param choices: the user's; None: those with which the existing table was made.
    :param placement: where a new table is made.
    :raises FatalError: the source table cannot be archived, or a table of that name exists that cannot hold the
        rows exactly; the message is a list of the differences, and nothing was changed.
    """
    if exists(client, target):
        return follow(client, types, table, target, choices, placement=placement)
    table = (choices or Choices()).applied(types, table)
    table.require_archivable()
    with translated(f"creating the archive table {target}"):
        placement.require(client)
        client.command(f"CREATE DATABASE IF NOT EXISTS {sql.identifier(target.schema)}{placement.on_cluster}")
        client.command(create_statement(types, table, target, placement))
        _replace_view(client, target, [c.name for c in table.columns], placement)
    return TableChange(created=True, added=(), changed=(), table=adopted(client, types, table, target))


def follow(
    client: Client,
    types: TypeMap,
    table: Table,
    target: TableId,
    choices: Choices | None = None,
    lacking: Collection[str] = (),
    placement: Placement = HERE,
) -> TableChange:
    """Let an existing archive table follow the source's columns; as :func:`ensure_table`, but a missing table is an error.

    It is altered on the placement's cluster, or else on the one that it was made on.

    :param lacking: columns that records lack, because they are older than the column; the archive holds NULL for them.
    """
    with translated(f"altering the archive table {target}"):
        existing = _existing(client, target)
        placement.require_engine(str(target), existing.engine)
        placement = replace(placement, cluster=placement.cluster or existing.cluster)
        table = _chosen(types, table, existing, choices)
        table.require_archivable()
        fit = evolve.compare(types, table, existing, lacking)
        fit.require(target)
        for alteration in fit.alterations():
            client.command(
                f"ALTER TABLE {sql.table(target)}{placement.on_cluster} {alteration}", settings=ALTER_SETTINGS
            )
        shown = [c.name for c in (*table.columns, *fit.adopted.gone)]
        if not fit.is_complete or _columns(client, view_of(target)) != shown:
            _replace_view(client, target, shown, placement)
    changed = (*fit.changes, *fit.freed)
    return TableChange(
        created=False,
        added=tuple(c.name for c in fit.missing),
        changed=tuple(c.name for c, _ in changed),
        table=fit.adopted,
    )


def adopted(client: Client, types: TypeMap, table: Table, target: TableId) -> Table:
    """The source table with each column as the existing archive table holds it.

    :raises FatalError: the archive table does not exist, or does not fit any more.
    """
    with translated(f"looking at {target}"):
        existing = _existing(client, target)
    fit = evolve.compare(types, _chosen(types, table, existing, None), existing)
    fit.require(target)
    if not fit.is_complete:
        columns = ", ".join(c.name for c in (*fit.missing, *(c for c, _ in (*fit.changes, *fit.freed))))
        raise FatalError(
            f"the columns of {table.id} changed, and {target} does not follow yet ({columns}); "
            "run CreateArchiveTableOperator"
        )
    return fit.adopted


def misfit(
    client: Client, types: TypeMap, table: Table, target: TableId, choices: Choices | None = None
) -> str | None:
    """Why an existing table of that name cannot hold the rows; None when it can, or does not exist."""
    if not exists(client, target):
        return None
    try:
        with translated(f"looking at {target}"):
            existing = _existing(client, target)
        evolve.compare(types, _chosen(types, table, existing, choices), existing).require(target)
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


def _chosen(types: TypeMap, table: Table, existing: evolve.Existing, choices: Choices | None) -> Table:
    if choices is not None:
        return choices.applied(types, table)
    return table.without(existing.excluded & {column.name for column in table.columns})


def _existing(client: Client, target: TableId) -> evolve.Existing:
    parameters = {"database": target.schema, "table": target.name}
    tables = client.query(
        "SELECT engine, engine_full, sorting_key, comment FROM system.tables"
        " WHERE database = {database:String} AND name = {table:String}",
        parameters=parameters,
    ).result_rows
    if not tables:
        raise FatalError(
            f"the archive table {target} does not exist; create it with CreateArchiveTableOperator"
        )
    kind, engine, sorting_key, comment = tables[0]
    if kind in _FRONTS:
        raise FatalError(
            f"{target} is no table of its own but of the engine {engine or kind}; archive into the table that holds the rows"
            f"{_behind(engine)}: an insert through another one is acknowledged before they are stored, or is not deduplicated"
        )
    columns = client.query(
        "SELECT name, type, comment FROM system.columns WHERE database = {database:String} AND table = {table:String}",
        parameters=parameters,
    ).result_rows
    return evolve.Existing(engine, sorting_key, {name: (ddl, note) for name, ddl, note in columns}, comment)


def _behind(engine: str) -> str:
    """The table that a Distributed or Buffer engine leads to, in words; empty when it does not say."""
    named = re.match(
        r"(?:Distributed\('(?:[^'\\]|\\.)*', |Buffer\()'((?:[^'\\]|\\.)*)', '((?:[^'\\]|\\.)*)'", engine
    )
    return f", {named[1]}.{named[2]} on the server that the connection names" if named else ""


def _columns(client: Client, table: TableId) -> list[str]:
    """The columns of a table or view in order; none when it does not exist."""
    return [
        row[0]
        for row in client.query(
            "SELECT name FROM system.columns WHERE database = {database:String} AND table = {table:String}"
            " ORDER BY position",
            parameters={"database": table.schema, "table": table.name},
        ).result_rows
    ]


def _exists(client: Client, target: TableId) -> bool:
    return bool(client.command(f"EXISTS {sql.table(target)}"))


def _replace_view(client: Client, target: TableId, names: list[str], placement: Placement) -> None:
    client.command(
        f"CREATE OR REPLACE VIEW {sql.table(view_of(target))}{placement.on_cluster}"
        f" AS SELECT {sql.columns(names)} FROM {sql.table(target)} FINAL"
    )
