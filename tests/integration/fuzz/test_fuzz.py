"""More than 20,000 random hostile rows of each engine, over all supported types together, on the real path.

Half of them travel by snapshot, half by stream, with updates, deletes, changed keys and keys used again between them. The
oracle is the values that the application wrote: they are compared with what ClickHouse stored, value by value, and only then
are the three row hashes. ``CHISTA_FUZZ_SEED`` chooses other rows.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from random import Random
from typing import Any

import pytest

from airflow_provider_chista.model import Fate
from airflow_provider_chista.sources import mariadb, mysql, postgrestypes
from tests.integration.archive.conftest import Store
from tests.integration.fuzz.table import COLUMNS, Application, Fuzz, archived
from tests.integration.types.cases import shown

SEED = int(os.environ.get("CHISTA_FUZZ_SEED", "20260704"))
ROWS = 20_000
"""Rows that are there at the end, at least."""

TRANSACTION = 1_000
"""Rows of a transaction of the application."""

TYPES = {"mysql": mysql.TYPES, "mariadb": mariadb.TYPES, "postgres": postgrestypes.TYPES}
SHOWN = 20
"""Differences that a failure shows."""


def write(application: Application) -> None:
    """The half that the snapshot carries, and some rows more, which the stream deletes."""
    for first in range(0, ROWS // 2 + TRANSACTION, TRANSACTION):
        with application.session() as cursor:
            application.insert(range(first, first + TRANSACTION), cursor)


def follow(application: Application) -> None:
    """The other half, each transaction with changes of rows that are there already."""
    random, places = application.random, range(len(application.columns))
    start = max(application.rows) + 1
    for first in range(start, start + ROWS // 2 + TRANSACTION, TRANSACTION):
        with application.session() as cursor:
            application.insert(range(first, first + TRANSACTION), cursor)
            chosen = random.sample(sorted(application.rows), 150)
            for row_id in chosen[:80]:
                changed = random.sample(places, random.randint(1, 6))
                new = {i: application.columns[i].value(random, by_snapshot=False) for i in changed}
                application.update(row_id, new, cursor)
            application.delete(chosen[60:130], cursor)
            application.insert(chosen[60:90], cursor)
            for row_id in chosen[130:]:
                application.rekey(row_id, -row_id - 1, cursor)


@pytest.fixture(scope="module", params=COLUMNS)
def fuzzed(request: pytest.FixtureRequest, store: Store) -> Iterator[Fuzz]:
    print(f"CHISTA_FUZZ_SEED={SEED}")  # noqa: T201  a failure shows it
    with archived(request.param, store, Random(f"{SEED} {request.param}"), write, follow) as made:
        yield made


def alike(found: Any, expected: Any) -> bool:
    """Whether a reader sees the value; the sign of a zero counts, and every NaN is like another."""
    if isinstance(found, float) and isinstance(expected, float):
        return struct.pack("<d", found) == struct.pack("<d", expected) or (
            found != found and expected != expected
        )
    return type(found) is type(expected) and bool(found == expected)


def test_every_supported_type_is_among_the_columns(fuzzed: Fuzz) -> None:
    flavour = fuzzed.archive.engine.flavour
    named_otherwise = {"mysql": {"geometrycollection"}, "mariadb": {"geomcollection"}, "postgres": set()}
    supported = {name for name, row in TYPES[flavour].items() if row.fate is Fate.PROVABLE}
    assert {column.row for column in fuzzed.columns} == supported - named_otherwise[flavour]
    described = [
        (fuzzed.archive.capture.source.dialect.type_of(column).name, column.kind)
        for column in fuzzed.archive.table.columns[1:]
    ]
    assert described == [(column.row, column.kind) for column in fuzzed.columns]


def test_no_record_was_refused(fuzzed: Fuzz) -> None:
    control = fuzzed.archive.control
    letters = control.rows(
        f"SELECT error, count() AS n FROM {control.name('dead_letters')} WHERE target = {{t:String}} GROUP BY error",
        {"t": str(fuzzed.archive.target)},
    )
    assert letters == []


def test_the_archive_has_every_value_that_was_written(fuzzed: Fuzz) -> None:
    assert len(fuzzed.rows) >= ROWS
    wrong: list[tuple[str, int, Any, Any]] = []
    for place, found in fuzzed.stored():
        column = fuzzed.columns[place]
        assert found.keys() == fuzzed.rows.keys()
        wrong += [
            (column.ddl, row_id, row[place], found[row_id])
            for row_id, row in fuzzed.rows.items()
            if not alike(found[row_id], shown(column.kind, row[place]))
        ][:SHOWN]
    assert wrong == [], f"seed {SEED}"


def test_source_archive_and_python_agree_on_every_row_hash(fuzzed: Fuzz) -> None:
    expected, source, archive = fuzzed.expected_hashes(), fuzzed.source_hashes(), fuzzed.archive_hashes()
    assert source.keys() == archive.keys() == expected.keys()
    wrong = sorted(int(key) for key in expected if not expected[key] == source[key] == archive[key])
    assert fuzzed.texts(wrong[:SHOWN]) == []
    assert wrong == [], f"seed {SEED}"
    assert len(set(expected.values())) == len(expected) >= ROWS
