"""After the archive: what the application changes and what the archive shows for it; a purge that would be refused."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from airflow_provider_chista.model import TableId
from airflow_provider_chista.sources import open_source
from stack.connections import connections
from stack.demo import sources
from stack.demo.archive import Archive, patiently
from stack.demo.dataset import EMPLOYEES, WINDOW, Row, Shape
from stack.demo.sources import Source
from stack.settings import HOST, Stack

RAISE = 1_000
"""What the application adds to a salary."""


@dataclass(frozen=True)
class Edit:
    """One row that the application changed and one that it deleted, both behind the window's end."""

    source: Source
    old: Row
    new: Row
    deleted: Row

    @property
    def shape(self) -> Shape:
        """Their table."""
        return self.source.edited


def edit(stack: Stack, source: Source) -> Edit:
    """Play the application: change one row that is still at the source, delete another."""
    shape = source.edited
    column = shape.columns.index(shape.time_column or "")
    with source.connect(stack) as connection:
        behind = sorted(
            (row for row in sources.read(connection, shape) if str(row[column] or "") >= WINDOW[1]),
            key=lambda row: str(shape.key_of(row)),
        )
        old, deleted = behind[0], behind[-1]
        new = _changed(shape, old)
        sources.update(connection, shape, new)
        sources.delete(connection, shape, shape.key_of(deleted))
    return Edit(source, old, new, deleted)


def shown(archive: Archive, edit: Edit) -> tuple[list[str], list[str]]:
    """What the archive shows for an edit: (lines for the terminal, what is wrong)."""
    engine, shape, name = edit.source.engine, edit.shape, f"{edit.source.title} {edit.shape.name}"
    visible = {shape.key_of(row): row for row in patiently(lambda: archive.rows(engine, shape, window=False))}
    kept = patiently(lambda: archive.kept(engine, shape, shape.key_of(edit.deleted)))
    lines = [
        f"  {name}: the application changed {_text(edit.old)} to {_text(edit.new)}",
        f"    the archive shows {_text(visible.get(shape.key_of(edit.new)))}",
        f"  {name}: the application deleted {_text(edit.deleted)}",
        f"    the archive shows {_text(visible.get(shape.key_of(edit.deleted)))},"
        f" and keeps, marked as deleted, {_text(kept[0] if kept else None)}",
    ]
    return lines, list(_wrong(edit, name, visible, kept))


def refusals(stack: Stack, source: Source) -> list[str]:
    """Why ``employees.employees`` must not be purged, as the purge itself would say it."""
    connection = connections(stack)[f"{source.engine}_verify"]
    with open_source(lambda: _driver(connection), label=f"{source.engine}_verify") as opened:
        table = opened.catalogue(TableId.parse(EMPLOYEES["employees"].name))
        findings = opened.table_findings(table)
    return [f"{finding.subject}: {finding.found}" for finding in findings if finding.severity == "purge"]


def _driver(connection: dict[str, Any]) -> Any:
    import MySQLdb
    import psycopg

    user, password, port = connection["login"], connection["password"], connection["port"]
    if connection["conn_type"] == "postgres":
        return psycopg.connect(
            host=HOST, port=port, user=user, password=password, dbname=connection["schema"]
        )
    return MySQLdb.connect(host=HOST, port=port, user=user, passwd=password, charset="utf8mb4")


def _changed(shape: Shape, row: Row) -> Row:
    values = dict(zip(shape.columns, row, strict=True))
    if "salary" in values:
        values["salary"] = int(str(values["salary"])) + RAISE
    else:
        values["status"] = "LOST 'n' \\ FOUND 📦"
    return tuple(values.values())


def _wrong(edit: Edit, name: str, visible: dict[Row, Row], kept: list[Row]) -> Iterator[str]:
    shape = edit.shape
    updated = visible.get(shape.key_of(edit.new))
    if updated is None or shape.hash_of(updated) != shape.hash_of(edit.new):
        yield f"{name}: the archive shows {updated} for the row that was changed to {edit.new}"
    if shape.key_of(edit.deleted) in visible:
        yield f"{name}: the archive still shows the row {edit.deleted} that the application deleted"
    if not kept or shape.hash_of(kept[0]) != shape.hash_of(edit.deleted):
        yield f"{name}: the archive does not keep the deleted row {edit.deleted}, it has {kept}"


def _text(row: Row | None) -> str:
    if row is None:
        return "nothing"
    return "(" + ", ".join("NULL" if value is None else str(value) for value in row) + ")"
