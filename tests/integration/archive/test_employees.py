"""Salaries of the employees data set, archived by ranges of `from_date`: a composite key, and sentinel dates beyond Date32.

The repository's extract is used, or the whole data set (2,844,047 salaries) from the folder that CHISTA_EMPLOYEES names.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, date, datetime
from itertools import islice
from pathlib import Path

import pytest

from airflow_provider_chista.archive.policies import DeletePolicy
from airflow_provider_chista.model import Window
from stack.demo.extract import DATA, read
from tests.integration.archive.conftest import Store
from tests.integration.support.archives import Archive
from tests.integration.support.engines import Connector, connector

WHOLE = os.environ.get("CHISTA_EMPLOYEES")
SALARIES = (
    "CREATE TABLE {schema}.salaries (emp_no INT NOT NULL, salary INT NOT NULL, from_date DATE NOT NULL,"
    " to_date DATE NOT NULL, PRIMARY KEY (emp_no, from_date))"
)
STILL_VALID = date(9999, 1, 1)


def years(first: int, last: int) -> Window:
    return Window("from_date", datetime(first, 1, 1, tzinfo=UTC), datetime(last, 1, 1, tzinfo=UTC))


def salaries() -> Iterator[list[str]]:
    rows = read(Path(WHOLE) if WHOLE else DATA, "salaries")
    assert next(rows) == ["emp_no", "salary", "from_date", "to_date"]
    return rows


@pytest.fixture(scope="module", params=["mysql", "mariadb", "postgres"])
def archive(request: pytest.FixtureRequest, store: Store) -> Iterator[Archive]:
    with connector(request.param, {"salaries": SALARIES}) as made:
        load(made)
        made.register()
        archive = Archive(made, store.client, store.control, f"{store.database}_{request.param}", "salaries")
        assert archive.policy is DeletePolicy.ARCHIVE
        archive.snapshot(seconds=1200)
        archive.drain()
        yield archive
        archive.capture.source.close()
        archive.client.command(f"DROP DATABASE IF EXISTS {archive.database}")


def load(made: Connector) -> None:
    rows = salaries()
    while part := list(islice(rows, 50_000)):
        made.engine.execute(f"INSERT INTO {made.schema}.salaries VALUES (%s, %s, %s, %s)", many=part)


@pytest.mark.timeout(7200 if WHOLE else 300)
def test_ranges_of_salaries_are_proven_purged_and_still_in_the_archive(archive: Archive) -> None:
    rows = [(int(n), int(s), date.fromisoformat(a), date.fromisoformat(b)) for n, s, a, b in salaries()]
    for window in (years(1985, 1990), years(1990, 1996)):
        expected = sum(window.start.date() <= row[2] < window.end.date() for row in rows)
        proof = archive.verify(window)
        assert proof.rows == expected > 0
        archive.approve(proof, window)
        report = archive.purge(window, txn_size=1000)
        assert (report.deleted, report.skipped.total()) == (expected, 0)
        archive.drain()
        assert archive.seal(window).rows == expected
    kept = archive.engine.query(f"SELECT count(*), min(from_date) FROM {archive.id}")[0]
    assert kept == (
        sum(row[2] >= date(1996, 1, 1) for row in rows),
        min(r[2] for r in rows if r[2].year > 1995),
    )
    shown = archive.client.query(
        f"SELECT count(), countIf(to_date = '9999-01-01 00:00:00') FROM {archive.database}.salaries_current"
    ).result_rows[0]
    assert shown == (len(rows), sum(row[3] == STILL_VALID for row in rows))
    if not WHOLE:
        assert archive.shown() == sorted(rows, key=lambda row: (row[0], row[2]))
