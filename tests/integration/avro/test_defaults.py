"""Apicurio's converter writes a column's default for NULL: what cannot be told apart is refused, and nothing else."""

from __future__ import annotations

import pytest

from airflow_provider_chista.debezium.settings import KEEP_NULLS
from tests.integration.avro.conftest import Opened, tables
from tests.integration.events.conftest import require_same
from tests.integration.support.archives import Archive
from tests.integration.support.engines import ENGINES, Connector, connector


def refused(archive: Archive) -> dict[int, str]:
    """Which column was doubtful, by offset."""
    rows = archive.control.rows(
        f"SELECT offset, error FROM {archive.control.name('dead_letters')} FINAL WHERE target = {{t:String}}",
        {"t": str(archive.target)},
    )
    assert all("is NULL or holds its default" in row["error"] for row in rows)
    return {row["offset"]: row["error"].split()[1] for row in rows}


CERTAIN = "8, 'y', 5, 1.51, 0.2, 0.2, '2024-01-01', NULL"
CHANGED = (
    ("8,", "NULL,"), ("8,", "7,"), ("'y'", "NULL"), ("'y'", "'x'"), ("1.51", "NULL"), ("1.51", "1.5"),
    ("0.2, 0.2", "NULL, 0.2"), ("0.2, 0.2", "0.1, 0.2"), ("0.2, 0.2", "0.2, NULL"), ("0.2, 0.2", "0.2, 0.1"),
    ("'2024-01-01'", "NULL"),
)  # fmt: skip
"""Each column as NULL, then as its default; for the last one the default is an expression."""


def inserts(archive: Archive) -> list[str]:
    """Rows 1 and 20 are certain, the others between them are not."""
    rows = [CERTAIN, *(CERTAIN.replace(*changed) for changed in CHANGED)]
    told = [f"INSERT INTO {archive.id} VALUES ({number}, {row})" for number, row in enumerate(rows, 1)]
    return [*told, f"INSERT INTO {archive.id} VALUES (20, 0, '', 5, 0, 0, 0, '2024-01-01', 3)"]


def test_null_is_never_archived_as_the_default_nor_the_default_as_null(
    captured: Connector, opened: Opened
) -> None:
    archive = opened(captured, "defaults")
    archive.snapshot()
    captured.engine.execute(*inserts(archive))
    archive.drain()
    # PostgreSQL's connector has a default for an expression too, 1970.
    postgres = captured.engine.flavour == "postgres"
    columns = ["n", "n", "t", "t", "d", "d", "f", "f", "s", "s", *(["computed"] if postgres else [])]
    assert refused(archive) == dict(enumerate(columns, 1))
    kept = {"1", "20"} if postgres else {"1", "12", "20"}
    assert archive.archive_keys() == kept
    captured.engine.execute(f"DELETE FROM {archive.id} WHERE id BETWEEN 2 AND {12 if postgres else 11}")
    assert require_same(archive).keys() == kept


def test_the_preflight_warns_of_the_columns_and_of_no_others(captured: Connector, opened: Opened) -> None:
    archive = opened(captured, "defaults")

    def warned(avro: bool) -> list[str]:
        findings = archive.capture.source.table_findings(archive.table, avro=avro)
        return [finding.found for finding in findings if finding.check == "column default"]

    assert warned(avro=False) == []
    (told,) = warned(avro=True)
    more = ", computed" if captured.engine.flavour == "postgres" else ""
    assert told.startswith(f"n, t, d, f, s{more} can be NULL and have a default")


@pytest.mark.parametrize("flavour", ENGINES)
def test_with_the_converter_that_keeps_null_every_value_is_certain(
    flavour: str, opened: Opened, stack_env: dict[str, str]
) -> None:
    engine = ENGINES[flavour]
    with connector(flavour, {"defaults": tables(engine)["defaults"]}, avro=True) as made:
        insert = f"INSERT INTO {made.schema}.defaults VALUES"
        made.engine.execute(f"{insert} (100, NULL, NULL, 5, NULL, NULL, NULL, NULL, NULL)")
        made.register(overrides={f"{side}.converter": KEEP_NULLS for side in ("key", "value")})
        archive = opened(made, "defaults")
        archive.snapshot()
        made.engine.execute(
            *inserts(archive),
            f"UPDATE {archive.id} SET n = NULL, t = NULL WHERE id = 20",
            f"DELETE FROM {archive.id} WHERE id = 1",
        )
        archive.drain()
        assert refused(archive) == {}
        assert len(require_same(archive)) == 13
        assert archive.verify().rows == 13
