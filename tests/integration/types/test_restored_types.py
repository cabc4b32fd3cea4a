"""Values of every type go from the archive back to the source exactly, or their row is refused."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest

from airflow_provider_chista.archive.restore import Restore, RestoreOptions, Selection
from airflow_provider_chista.errors import FatalError
from tests.integration.archive.conftest import Store
from tests.integration.types import mariadb_cases, mysql_cases, mysqlfamily_cases, postgres_cases
from tests.integration.types.cases import Case, Typed
from tests.integration.types.matrix import Matrix, matrix

ENGINES: dict[str, Sequence[Typed]] = {
    "mysql": mysql_cases.TYPES,
    "mariadb": mariadb_cases.TYPES,
    "postgres": postgres_cases.TYPES,
}
SESSION = dict.fromkeys(("mysql", "mariadb"), mysqlfamily_cases.SESSION)


@pytest.fixture(scope="module", params=ENGINES)
def emptied(request: pytest.FixtureRequest, store: Store) -> Iterator[Matrix]:
    """The archived table of types; the archive has seen none of its deletes at the source."""
    with matrix(request.param, store, ENGINES[request.param], SESSION.get(request.param, ())) as made:
        assert made.archive_texts
        made.archive.engine.execute(f"DELETE FROM {made.archive.id}")
        yield made


def has_no_way_back(typed: Typed, case: Case) -> bool:
    """Values that docs/restore.md names: their text does not say all of them."""
    if typed.row == "enum":
        return case.value == "" and "nope" in case.sql
    return typed.row == "json" and "AS DECIMAL" in case.sql


def restore(made: Matrix, row_ids: list[int]) -> int:
    archive = made.archive
    with archive.engine.source("restore") as source:
        selection = Selection(row_keys=tuple(map(str, row_ids)))
        return (
            Restore(source, archive.manifests(), archive.ledger(), selection, RestoreOptions()).run().restored
        )


def test_every_row_of_the_archive_comes_back_or_is_refused(emptied: Matrix) -> None:
    whole, refused = [], []
    for row_id, cases in emptied.rows.items():
        if row_id in emptied.damaged():
            continue
        lost = any(map(has_no_way_back, emptied.types, cases))
        (refused if lost else whole).append(row_id)
    assert len(whole) > 20
    assert restore(emptied, whole) == len(whole)
    at_source = {row_id: texts for row_id, texts in emptied.source_texts.items() if row_id in whole}
    assert at_source == {row_id: emptied.archive_texts[row_id] for row_id in whole}

    assert bool(refused) is (emptied.archive.engine.flavour != "postgres")
    for row_id in refused:
        with pytest.raises(FatalError, match=r"did not come back|does not take a value that the row had"):
            restore(emptied, [row_id])
    there = emptied.archive.engine.query(f"SELECT id FROM {emptied.archive.id}")
    assert sorted(row_id for (row_id,) in there) == sorted(whole)
