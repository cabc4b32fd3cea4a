"""Tables with a story: filled, snapshotted, filled again, drained; one connector for several."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

import pytest

from airflow_provider_chista.archive import barrier, snapshot
from airflow_provider_chista.clickhouse import rowhash, sql
from airflow_provider_chista.clickhouse.choices import Choices
from airflow_provider_chista.errors import RefusedError
from airflow_provider_chista.model import TableId
from tests.integration.archive.conftest import Store
from tests.integration.support.archives import Archive
from tests.integration.support.engines import Connector, connector, wait_for

T = TypeVar("T")
STREAMED = 1_000
"""Ids from here on are of rows that were written after the connector's snapshot."""


@dataclass(frozen=True)
class Story:
    """A table of its own; ``{schema}`` stands for the schema everywhere.

    :param columns: DDL behind ``id INT PRIMARY KEY``.
    :param both: rows (SQL of the columns behind the id) that are there before the snapshot with ids from 1, and come again
        behind it with ids from 1001.
    :param streamed: rows that come only behind the snapshot; their ids follow.
    :param setup: statements before the table; :param between: statements behind the snapshot.
    """

    columns: str
    both: Sequence[str]
    streamed: Sequence[str] = ()
    setup: Sequence[str] = ()
    between: Sequence[str] = ()
    choices: Choices = field(default_factory=Choices)


@dataclass
class Told:
    """The stories' archives, drained, by table."""

    connector: Connector
    archives: dict[str, Archive]

    def __getitem__(self, name: str) -> Archive:
        return self.archives[name]


@contextmanager
def told(
    store: Store, stories: Mapping[str, Story], flavour: str = "postgres", *, unread: bool = False
) -> Iterator[Told]:
    """The stories on a connector of their own.

    :param unread: whether the connector knows which columns are excluded, and does not read them.
    """
    with connector(flavour, {}, captured=list(stories)) as made:
        for name, story in stories.items():
            table = f"CREATE TABLE {{schema}}.{name} (id INT PRIMARY KEY, {story.columns})"
            execute(made, *story.setup, table, *_inserts(name, 1, story.both))
        excluded = {TableId(made.schema, name): story.choices.exclude for name, story in stories.items()}
        made.register(exclude=excluded if unread else {})
        archives = {
            name: Archive(made, store.client, store.control, store.database, name, choices=story.choices)
            for name, story in stories.items()
        }
        try:
            snapshot_together(list(archives.values()))
            for name, story in stories.items():
                rows = (*story.both, *story.streamed)
                execute(made, *story.between, *_inserts(name, STREAMED + 1, rows))
            drain_together(list(archives.values()))
            yield Told(made, archives)
        finally:
            for archive in archives.values():
                archive.capture.source.close()


def snapshot_together(archives: Sequence[Archive]) -> None:
    """Wait until the tables of one connector are snapshotted."""
    first, tables = archives[0], [archive.id for archive in archives]
    wait_for(lambda: snapshot.advance(first.capture, first.control, tables).completed, 60, 0.2)


def drain_together(archives: Sequence[Archive]) -> None:
    """Drain the tables of one connector to one barrier."""
    drains = [archive.table_drain() for archive in archives]
    topics = dict.fromkeys(topic for drain in drains for topic in drain.topics)
    reached = barrier.wait(archives[0].capture, list(topics), timeout=60, poll_seconds=0.1)
    each(drains, lambda drain: drain.run(reached))


def each(items: Sequence[T], do: Callable[[T], object]) -> None:
    """Do something for each of some tables, several at a time: most of it is waiting."""
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(do, items))


def _inserts(table: str, first: int, rows: Sequence[str]) -> list[str]:
    return [
        f"INSERT INTO {{schema}}.{table} VALUES ({number}, {row})" for number, row in enumerate(rows, first)
    ]


def execute(made: Connector, *statements: str) -> None:
    """Statements of the application."""
    made.engine.execute(*(statement.replace("{schema}", made.schema) for statement in statements))


def stored(archive: Archive) -> dict[int, str]:
    """Canonical text of each archived row without its id, by id."""
    columns = [column for column in archive.table.hashed if column.name != "id"]
    text = rowhash.text(archive.types, columns)
    return dict(archive.client.query(f"SELECT id, {text} FROM {sql.table(archive.target)} FINAL").result_rows)


def at_source(archive: Archive) -> dict[int, str]:
    """The same of the source."""
    keys = [str(row[0]) for row in archive.engine.query(f"SELECT id FROM {archive.id}")]
    places = [i for i, column in enumerate(archive.table.hashed) if column.name != "id"]
    found = archive.capture.source.rows(archive.table, keys)
    return {
        int(key): "|".join("~" if row[place] is None else str(row[place]) for place in places)
        for key, row in found.items()
    }


def dead_letters(archive: Archive) -> dict[int, str]:
    """Why rows went to the dead letters, by id."""
    rows = archive.control.rows(
        f"SELECT key, error FROM {archive.control.name('dead_letters')} FINAL WHERE target = {{target:String}}",
        {"target": str(archive.target)},
    )
    return {json.loads(row["key"])["id"]: row["error"] for row in rows}


def differing(archive: Archive) -> set[int]:
    """Ids of the rows whose hash at the source is not the archive's."""
    manifests, name = archive.manifests(), f"all of {archive.id}"
    manifests.freeze(name, None)
    proven = dict(row for chunk in manifests.stream(name) for row in chunk)
    source = dict(row for chunk in archive.capture.source.hashes(archive.table, None) for row in chunk)
    return {int(key) for key in source.keys() | proven.keys() if source.get(key) != proven.get(key)}


def require_readable_and_never_purged(archive: Archive) -> None:
    """The documents of a column ``doc`` stored as ClickHouse's JSON can be queried; no row of the table leaves the source."""
    read = archive.client.query(
        f"SELECT id, toFloat64(doc.a), doc.b.c[2]::String FROM {sql.table(archive.target)} FINAL"
        " WHERE name = 'one' ORDER BY id"
    ).result_rows
    assert read == [(1, 1.5, "x"), (STREAMED + 1, 1.5, "x")]
    assert stored(archive) == both("3:one", "~")
    proof = archive.verify()
    archive.approve(proof)
    with pytest.raises(
        RefusedError, match=r"columns doc of .* are excluded, or stored in a type that need not be exact"
    ):
        archive.purge()
    assert proof.rows == len(archive.in_source()) == 4


def both(*texts: str) -> dict[int, str]:
    """Texts of a story's rows on both paths, by id."""
    return {first + place: text for first in (1, STREAMED + 1) for place, text in enumerate(texts)}


def types_of(archive: Archive) -> dict[str, str]:
    """ClickHouse types by column."""
    rows = archive.client.query(
        "SELECT name, type FROM system.columns WHERE database = {d:String} AND table = {t:String}",
        parameters={"d": archive.target.schema, "t": archive.target.name},
    ).result_rows
    return dict(rows)
