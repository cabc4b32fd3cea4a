"""Every change of a captured table's schema: nothing is lost or changed silently, and what stops has a way out that works."""

from __future__ import annotations

import re

import pytest

from tests.integration.schema.cases import CHANGES
from tests.integration.schema.changes import Change, Proof, spoken
from tests.integration.schema.stage import Course, Stage

COURSES = [
    pytest.param(flavour, change, kind, id=f"{flavour}-{change.name}-{kind}")
    for flavour in ("mysql", "mariadb", "postgres")
    for change in CHANGES
    if flavour in change.engines
    for kind in ("drained", "waiting")
]
EVERY_COURSE = pytest.mark.parametrize(("engine", "change", "kind"), COURSES, indirect=["engine"])
FINDINGS = {
    Proof.HOLDS: r"^$",
    Proof.OLDER: r"0 missing from the archive, 0 only in the archive, [1-9]\d* differing",
    Proof.EXTRA: r"0 missing from the archive, [1-9]\d* only in the archive",
}


@EVERY_COURSE
def test_the_drain_goes_on_or_stops_and_says_what_to_do(engine: Stage, change: Change, kind: str) -> None:
    course = engine.courses[change.name, kind]
    if course.expected.proof is None:
        assert re.search(spoken(change.says, engine.flavour), course.stopped, re.DOTALL), course.stopped
    else:
        assert course.stopped == ""
        assert course.summary["remaining"] == 0
        assert course.summary.get("op_dead", 0) == 0


@EVERY_COURSE
def test_the_archive_holds_what_the_events_had_and_never_a_default(
    engine: Stage, change: Change, kind: str
) -> None:
    course = engine.courses[change.name, kind]
    assert course.shown == course.expected.archived


@EVERY_COURSE
def test_the_proof_finds_the_rows_that_differ(engine: Stage, change: Change, kind: str) -> None:
    course = engine.courses[change.name, kind]
    if course.expected.proof is None:
        return
    assert re.search(FINDINGS[course.expected.proof], course.unproven), course.unproven
    if course.expected.proof is Proof.OLDER:
        assert columns_that_differ(engine, course) == {change.watch}


@EVERY_COURSE
def test_behind_the_way_out_every_row_is_proven(engine: Stage, change: Change, kind: str) -> None:
    course = engine.courses[change.name, kind]
    assert course.failed == ""
    [(rows,)] = engine.connector.engine.query(f"SELECT COUNT(*) FROM {engine.connector.schema}.{change.name}")
    assert course.proven == rows > 0
    assert course.letters == course.expected.letters
    assert (course.made.table.unproven == ()) is change.purgeable


def columns_that_differ(engine: Stage, course: Course) -> set[str]:
    control = engine.store.control
    found = re.search(r"verify_id ([0-9a-f-]+)", course.unproven)
    assert found
    rows = control.rows(
        f"SELECT columns FROM {control.name('mismatches')} FINAL WHERE verify_id = {{v:String}}",
        {"v": found[1]},
    )
    return {name for row in rows for name in row["columns"]}
