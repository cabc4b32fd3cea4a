"""Apicurio's converter writes a column's default for NULL: what cannot be told apart is refused, and nothing else."""

from __future__ import annotations

from tests.integration.avro.conftest import Opened
from tests.integration.events.conftest import require_same
from tests.integration.support.archives import Archive
from tests.integration.support.engines import Connector


def refused(archive: Archive) -> dict[int, str]:
    """Which column was doubtful, by offset."""
    rows = archive.control.rows(
        f"SELECT offset, error FROM {archive.control.name('dead_letters')} FINAL WHERE target = {{t:String}}",
        {"t": str(archive.target)},
    )
    assert all("is NULL or holds its default" in row["error"] for row in rows)
    return {row["offset"]: row["error"].split()[1] for row in rows}


def test_null_is_never_archived_as_the_default_nor_the_default_as_null(
    captured: Connector, opened: Opened
) -> None:
    archive = opened(captured, "defaults")
    archive.snapshot()
    certain = "8, 'y', 5, 1.51, 0.2, 0.2, '2024-01-01', NULL"
    captured.engine.execute(
        f"INSERT INTO {archive.id} VALUES (1, {certain})",
        *(
            f"INSERT INTO {archive.id} VALUES ({number}, {row})"
            for number, row in enumerate(
                (
                    certain.replace("8,", "NULL,"),
                    certain.replace("8,", "7,"),
                    certain.replace("'y'", "NULL"),
                    certain.replace("'y'", "'x'"),
                    certain.replace("1.51", "NULL"),
                    certain.replace("1.51", "1.5"),
                    certain.replace("0.2, 0.2", "NULL, 0.2"),
                    certain.replace("0.2, 0.2", "0.1, 0.2"),
                    certain.replace("0.2, 0.2", "0.2, NULL"),
                    certain.replace("0.2, 0.2", "0.2, 0.1"),
                    certain.replace("'2024-01-01'", "NULL"),
                ),
                2,
            )
        ),
        f"INSERT INTO {archive.id} VALUES (20, 0, '', 5, 0, 0, 0, '2024-01-01', 3)",
    )
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
