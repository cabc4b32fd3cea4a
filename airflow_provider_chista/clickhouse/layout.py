"""What an archive table looks like: the columns that the provider adds, and the types of the source's."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from airflow_provider_chista.clickhouse.types import TypeMap, bare
from airflow_provider_chista.model import Column, Encoding, Kind, Table

VERSION, DELETED, OPERATION, SOURCE_TIME, INCOMPLETE = (
    "_chista_version",
    "_chista_deleted",
    "_chista_op",
    "_chista_source_time",
    "_chista_incomplete",
)

META_COLUMNS: dict[str, str] = {
    VERSION: "UInt64",
    DELETED: "UInt8",
    OPERATION: "LowCardinality(String)",
    SOURCE_TIME: "DateTime64(3, 'UTC')",
    INCOMPLETE: "Array(LowCardinality(String))",
}
"""Columns that the provider adds: version, deletion flag, Debezium operation (r, c, u, d), commit time at the source, and the
columns whose value PostgreSQL did not send and the archive did not have; a row with any has no hash and is never purged."""

_NOTE = "chista "


def with_null(ddl: str, nullable: bool) -> str:
    """A type made Nullable, or not."""
    inner = bare(ddl)
    if "LowCardinality(" in ddl:
        return f"LowCardinality(Nullable({inner}))" if nullable else f"LowCardinality({inner})"
    return f"Nullable({inner})" if nullable else inner


def column_type(types: TypeMap, column: Column) -> str:
    """The ClickHouse type of a column, Nullable when the archive has to hold NULL."""
    return with_null(column.stored_as or types.default(column), column.holds_null)


def note_of(column: Column) -> str:
    """The comment of an archive table's column: what it is at the source, so that it can be read after it is gone there."""
    told: dict[str, Any] = {"declared": column.declared, "kind": column.kind, "encoding": column.sent_as}
    optional = {
        "element": column.element,
        "precision": column.precision,
        "scale": column.scale,
        "labels": list(column.labels),
        "provable": None if column.provable else False,
        "added": column.added,
    }
    told |= {
        name: value for name, value in optional.items() if value or (value is False and name == "provable")
    }
    return _NOTE + json.dumps(told, ensure_ascii=False)


def table_note(table: Table, cluster: str = "") -> str:
    """The comment of an archive table: which columns of the source it leaves out, and the cluster that it was made on."""
    told: dict[str, Any] = {"source": str(table.id), "excluded": sorted(table.excluded)}
    told |= {
        word: names
        for word, names in (
            ("generated", sorted(c.name for c in table.left_out if c.generated and not c.gone)),
            ("gone", sorted(c.name for c in table.left_out if c.gone)),
        )
        if names
    }
    if cluster:
        told["cluster"] = cluster
    return _NOTE + json.dumps(told, ensure_ascii=False)


def cluster_in(comment: str) -> str:
    """The cluster that an archive table was made on, from its comment; empty when there is none."""
    return json.loads(comment.removeprefix(_NOTE)).get("cluster", "") if comment.startswith(_NOTE) else ""


def left_out_in(comment: str) -> dict[str, frozenset[str]] | None:
    """The columns that a table's comment says are left out: ``excluded``, ``generated``, and ``gone`` at the source.

    None: the comment is not the provider's.
    """
    if not comment.startswith(_NOTE):
        return None
    told = json.loads(comment.removeprefix(_NOTE))
    return {word: frozenset(told.get(word, ())) for word in ("excluded", "generated", "gone")}


def noted(name: str, comment: str, stored_as: str) -> Column | None:
    """The column that a comment describes; None when the provider did not write it."""
    if not comment.startswith(_NOTE):
        return None
    told = json.loads(comment.removeprefix(_NOTE))
    column = Column(
        name,
        told["declared"],
        Kind(told["kind"]),
        nullable="Nullable(" in stored_as,
        encoding=Encoding(told["encoding"]),
        element=told.get("element", ""),
        precision=told.get("precision", 0),
        scale=told.get("scale", 0),
        labels=tuple(told.get("labels", ())),
        stored_as=stored_as,
        provable=told.get("provable", True),
    )
    return replace(column, added=told.get("added", False))
