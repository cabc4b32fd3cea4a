"""The smallest change of one value of one row changes that row's hash, at the source and in ClickHouse, and no other row's.

Each change in the tables has a row of its own among rows of random values. All are made at the source first, without
draining: exactly those rows then differ from the archive. Then ClickHouse gets the same changes, as newer versions of rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

import pytest

from airflow_provider_chista.canonical import field_text
from airflow_provider_chista.clickhouse import layout, sql
from airflow_provider_chista.model import Kind
from tests.integration.archive.conftest import Store
from tests.integration.fuzz import mutations, mysql_mutations, postgres_mutations
from tests.integration.fuzz.columns import Fuzzed
from tests.integration.fuzz.mutations import Mutation
from tests.integration.fuzz.table import COLUMNS, Application, Fuzz, archived

TABLES = {
    "mysql": mysql_mutations.MYSQL,
    "mariadb": mysql_mutations.MARIADB,
    "postgres": postgres_mutations.POSTGRES,
}
UNTOUCHED = 100
"""Rows that are not changed."""

Hashes = dict[str, str]


def listed(flavour: str, column: Fuzzed) -> Sequence[Mutation]:
    """The changes of a column: of its declared type, else of its row in the type table, else of its kind."""
    table = TABLES[flavour]
    return table.get(column.ddl) or table.get(column.row) or mutations.BY_KIND[column.kind]


def changes(flavour: str, column: Fuzzed, random: Random) -> list[Mutation]:
    """Those of the tables, a random value and another, and those from and to NULL."""
    one = column.make_by_snapshot(random)
    others = (column.make_by_snapshot(random) for _ in range(100))
    another = next(two for two in others if field_text(column.kind, two) != field_text(column.kind, one))
    nulls = [("to NULL", one, None), ("from NULL", None, another)] if column.nullable else []
    return [*listed(flavour, column), ("another value", one, another), *nulls]


@dataclass(frozen=True)
class Change:
    """One change of the value of the column at ``place``, in a row of its own."""

    place: int
    what: str
    before: Any
    after: Any


@dataclass
class Mutated:
    """Row hashes by row key, before and after, and as they are expected."""

    fuzz: Fuzz
    changes: dict[int, Change]
    expected_before: Hashes
    source_before: Hashes
    archive_before: Hashes
    expected: Hashes
    source: Hashes
    archive: Hashes

    def missed(self, before: Hashes, after: Hashes) -> list[tuple[str, str]]:
        """Changes that did not change the hash of their row."""
        return [
            (self.fuzz.columns[change.place].ddl, change.what)
            for row_id, change in self.changes.items()
            if before[str(row_id)] == after[str(row_id)]
        ]


def change_at_source(application: Application, planned: dict[int, Change]) -> None:
    with application.session() as cursor:
        for row_id, change in planned.items():
            application.update(row_id, {change.place: change.after}, cursor)


def literal(column: Fuzzed, value: Any, ddl: str) -> str:
    """SQL of a value for a column of ClickHouse, through the text that the type reads."""
    if value is None:
        return f"CAST(NULL AS {ddl})"
    if isinstance(value, float):
        text = repr(value)
    elif isinstance(value, bool):
        text = str(value).lower()
    elif column.kind is Kind.TEXT:
        text = value
    else:
        text = value if isinstance(value, bytes) else field_text(column.kind, value)
    raw = text if isinstance(text, bytes) else text.encode()
    return f"CAST(unhex('{raw.hex()}') AS {ddl})"


def change_in_archive(fuzz: Fuzz, planned: dict[int, Change]) -> None:
    """A newer version of each row, in which one column is another."""
    target, client = sql.table(fuzz.archive.target), fuzz.archive.client
    version = layout.VERSION
    for place, column in enumerate(fuzz.columns):
        ddl = layout.column_type(fuzz.archive.types, fuzz.archive.table.column(f"c{place}"))
        rows = {row_id: change for row_id, change in planned.items() if change.place == place}
        cases = ", ".join(
            f"id = {row_id}, {literal(column, change.after, ddl)}" for row_id, change in rows.items()
        )
        client.command(
            f"INSERT INTO {target} SELECT * REPLACE ({version} + 1 AS {version}, multiIf({cases}, c{place}) AS c{place})"
            f" FROM {target} FINAL WHERE id IN ({', '.join(map(str, rows))})",
            settings={"precise_float_parsing": 1, "max_query_size": 10_000_000},
        )


@pytest.fixture(scope="module", params=COLUMNS)
def mutated(request: pytest.FixtureRequest, store: Store) -> Iterator[Mutated]:
    random = Random(f"mutations {request.param}")
    planned = dict(
        enumerate(
            Change(place, *change)
            for place, column in enumerate(COLUMNS[request.param])
            for change in changes(request.param, column, random)
        )
    )

    def write(application: Application) -> None:
        ids = range(len(planned) + UNTOUCHED)
        rows = [application.values() for _ in ids]
        for row_id, change in planned.items():
            rows[row_id][change.place] = change.before
        with application.session() as cursor:
            application.insert(ids, cursor, rows)

    with archived(request.param, store, random, write) as fuzz:
        before = fuzz.expected_hashes(), fuzz.source_hashes(), fuzz.archive_hashes()
        change_at_source(fuzz.application, planned)
        source = fuzz.source_hashes()
        change_in_archive(fuzz, planned)
        yield Mutated(fuzz, planned, *before, fuzz.expected_hashes(), source, fuzz.archive_hashes())


def test_every_column_is_changed_in_several_ways(mutated: Mutated) -> None:
    ways = {
        place: [c.what for c in mutated.changes.values() if c.place == place]
        for place in range(len(mutated.fuzz.columns))
    }
    assert min(len(set(what)) for what in ways.values()) >= 4
    for column in mutated.fuzz.columns:
        assert column.nullable or len(listed(mutated.fuzz.archive.engine.flavour, column)) >= 3, column.ddl


def test_before_the_changes_all_agree(mutated: Mutated) -> None:
    assert mutated.source_before == mutated.archive_before == mutated.expected_before
    assert len(mutated.expected_before) == len(mutated.changes) + UNTOUCHED


def test_a_change_at_the_source_is_found_in_its_row_and_in_no_other(mutated: Mutated) -> None:
    assert mutated.missed(mutated.archive_before, mutated.source) == []
    differing = {
        int(key) for key, row_hash in mutated.source.items() if row_hash != mutated.archive_before[key]
    }
    assert differing == set(mutated.changes)


def test_a_change_in_the_archive_changes_the_hash_of_its_row_and_of_no_other(mutated: Mutated) -> None:
    assert mutated.missed(mutated.archive_before, mutated.archive) == []
    differing = {
        int(key) for key, row_hash in mutated.archive.items() if row_hash != mutated.archive_before[key]
    }
    assert differing == set(mutated.changes)


def test_after_the_changes_all_agree_again(mutated: Mutated) -> None:
    assert mutated.source == mutated.expected
    assert mutated.archive == mutated.expected
