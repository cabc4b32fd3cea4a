"""Every type of every engine arrives as the source has it, by snapshot and by stream, or the proof finds the difference."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence, Set

import pytest

from airflow_provider_chista.clickhouse import sql
from airflow_provider_chista.debezium.settings import AVRO_CONVERTER, KEEP_NULLS
from airflow_provider_chista.errors import FatalError
from tests.integration.archive.conftest import Store
from tests.integration.support.archives import Archive
from tests.integration.types import mariadb_cases, mysql_cases, mysqlfamily_cases, postgres_cases
from tests.integration.types.cases import Typed, alike, shown
from tests.integration.types.matrix import Matrix, matrix, path

ENGINES: dict[str, Sequence[Typed]] = {
    "mysql": mysql_cases.TYPES,
    "mariadb": mariadb_cases.TYPES,
    "postgres": postgres_cases.TYPES,
}
FORMS = {"json": "", "avro": AVRO_CONVERTER, "avro that keeps NULL": KEEP_NULLS}
"""Names of the converters' formats, with those of Avro."""
SESSION = dict.fromkeys(("mysql", "mariadb"), mysqlfamily_cases.SESSION)


@pytest.fixture(
    scope="module",
    params=[
        pytest.param((flavour, converter), id=f"{flavour}-{form}")
        for form, converter in FORMS.items()
        for flavour in ENGINES
    ],
)
def engine(request: pytest.FixtureRequest, store: Store) -> Iterator[Matrix]:
    flavour, converter = request.param
    with matrix(flavour, store, ENGINES[flavour], SESSION.get(flavour, ()), converter=converter) as made:
        yield made


def test_every_row_of_the_type_table_has_cases_or_is_refused(engine: Matrix) -> None:
    dialect = engine.archive.capture.source.dialect
    cases = {name: 0 for name, row in dialect.types.items() if row.kind}
    for typed, column in zip(engine.types, engine.columns, strict=True):
        assert (dialect.type_of(column).name, column.archived_as) == (typed.row, typed.kind), typed.ddl
        cases[typed.row] += len(typed.cases)
    assert {name: count for name, count in cases.items() if count < 2} == {}


def test_no_record_was_refused(engine: Matrix) -> None:
    control = engine.archive.control
    assert control.rows(f"SELECT error FROM {control.name('dead_letters')}", {}) == []


def test_source_and_archive_have_the_canonical_text_of_the_value(engine: Matrix) -> None:
    wrong = []
    for row_id, cases in engine.rows.items():
        found = zip(
            engine.types, cases, engine.source_texts[row_id], engine.archive_texts[row_id], strict=True
        )
        for typed, case, source, archive in found:
            expected, is_damaged = typed.text(case), path(row_id) in case.damaged
            if source != expected:
                wrong.append((typed.ddl, row_id, "source", source, expected))
            if (archive == expected) is is_damaged:
                wrong.append((typed.ddl, row_id, "archive", archive, expected, is_damaged))
    assert wrong == []


def test_readers_see_the_value(engine: Matrix) -> None:
    for row_id, cases in engine.rows.items():
        for typed, case, value in zip(engine.types, cases, engine.archive_values[row_id], strict=True):
            if path(row_id) not in case.damaged:
                assert alike(value, shown(typed.kind, case.value)), (typed.ddl, row_id, value)


def test_the_proof_finds_exactly_the_rows_that_debezium_damaged(engine: Matrix) -> None:
    archive = engine.archive
    manifests = archive.manifests()
    manifests.freeze(str(archive.target), None)
    proven = {key: row_hash for chunk in manifests.stream(str(archive.target)) for key, row_hash in chunk}
    source = {key: h for chunk in archive.capture.source.hashes(archive.table, None) for key, h in chunk}
    assert proven.keys() == source.keys() == {str(row_id) for row_id in engine.rows}
    assert {int(key) for key in source if source[key] != proven[key]} == engine.damaged()
    assert len(engine.damaged()) < len(engine.rows)


def test_a_repair_makes_every_value_exact_damaged_ones_and_missing_ones(engine: Matrix) -> None:
    archive = engine.archive
    # Dates that are none, such as MySQL's 0000-00-00, are no value of any column of the archive.
    held = {row_id for row_id, texts in engine.source_texts.items() if not any(map(NO_DATE.search, texts))}
    require_repaired(archive, len(engine.damaged()), "differing", engine.rows.keys() - held)
    archive.client.command(f"TRUNCATE TABLE {sql.table(archive.target)}")
    with pytest.raises(FatalError, match=rf"{len(engine.rows)} missing from the archive"):
        archive.verify(repairs=len(engine.rows) - 1)
    require_repaired(archive, len(engine.rows), "missing", engine.rows.keys() - held)
    texts = archive.manifests().fields([str(row_id) for row_id in held])
    for row_id in held:
        wanted = [typed.text(case) for typed, case in zip(engine.types, engine.rows[row_id], strict=True)]
        found = ["~" if text is None else text for text in texts[str(row_id)][1:]]
        assert found == wanted, row_id


NO_DATE = re.compile(r"^\d{4}-(00-\d\d|\d\d-00)|^0000-")


def require_repaired(archive: Archive, most: int, finding: str, rest: Set[int]) -> None:
    """Verify with repairs; all rows but the rest are equal then."""
    if not rest:
        archive.verify(repairs=most)
        return
    with pytest.raises(
        FatalError, match=rf"{len(rest)} {finding}.*cannot be repaired: .* no date of the"
    ) as told:
        archive.verify(repairs=most)
    assert str(min(rest)) in str(told.value)
