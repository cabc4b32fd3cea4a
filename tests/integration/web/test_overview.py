"""The state of each window, by entries that the real ledger has written; and who sees which of them."""

from __future__ import annotations

import time
from typing import Any

import pytest

from airflow_provider_chista.archive.ledger import Stage
from airflow_provider_chista.archive.overview import Focus, Overview, State, has_state
from airflow_provider_chista.clickhouse.control import Control
from airflow_provider_chista.errors import TransientError
from airflow_provider_chista.model import TableId
from tests.integration.support import services
from tests.integration.support.stories import SOURCE, Story, day, many

VERIFIED, APPROVED, REJECTED = Stage.VERIFIED, Stage.APPROVED, Stage.REJECTED
INTENT, DELETED, SEALED = Stage.INTENT, Stage.DELETED, Stage.SEALED
PURGE = (VERIFIED, APPROVED, INTENT, DELETED)

STORIES: list[tuple[State, tuple[Stage, ...], dict[str, Any]]] = [
    (State.READING, (Stage.BEGUN,), {}),
    (State.READING, (Stage.BEGUN, Stage.REPAIRED), {}),
    (State.CHECKED, (Stage.CHECKED,), {}),
    (State.DIFFERS, (Stage.MISMATCHED,), {}),
    (State.DIFFERS, (Stage.BEGUN, Stage.REPAIRED, Stage.MISMATCHED), {}),
    (State.EMPTY, (VERIFIED,), {"rows": 0}),
    (State.VERIFIED, (Stage.BEGUN, Stage.REPAIRED, VERIFIED), {}),
    (State.APPROVED, (VERIFIED, REJECTED, APPROVED), {}),
    (State.REJECTED, (VERIFIED, APPROVED, REJECTED), {}),
    (State.PURGING, (VERIFIED, APPROVED, INTENT), {}),
    (State.PURGED, PURGE, {}),
    (State.PURGED_IN_PART, PURGE, {"deleted": 90}),
    (State.SEALED, (*PURGE, SEALED), {}),
    (State.SEALED_IN_PART, (*PURGE, SEALED), {"deleted": 90}),
]


def new() -> TableId:
    return TableId("archive", f"t_{services.token()}")


def overview(control: Control, *dags: str) -> Overview:
    return Overview.readable(control, set(dags or ("archive",)))


def only(control: Control, target: TableId) -> dict[str, Any]:
    """The one window of a table."""
    (window,) = overview(control).windows(str(target))
    return window


def test_each_stage_gives_its_state(control: Control) -> None:
    target = new()
    for number, (_, stages, more) in enumerate(STORIES):
        Story.of(control, target, day(number)).tell(*stages, **more)
    found = overview(control).windows(str(target))
    assert [window["state"] for window in found] == [str(state) for state, _, _ in STORIES]
    assert {state for state, _, _ in STORIES} == set(State)


def test_rows_are_counted_as_left_and_as_purged(control: Control) -> None:
    target = new()
    Story.of(control, target, day(0)).tell(VERIFIED, rows=70)
    Story.of(control, target, day(1)).tell(*PURGE, SEALED, rows=50, deleted=40)
    (table,) = [t for t in overview(control).tables() if t["target"] == str(target)]
    assert table["source_table"] == SOURCE
    assert (table["windows"], table["remaining"], table["purged"]) == (2, 70 + 10, 40)
    assert table["states"] == {"verified": 1, "sealed_in_part": 1}


def test_a_proof_of_no_rows_does_not_hide_the_purge_before_it(control: Control) -> None:
    """As when a run is cleared whose rows are gone from the source."""
    target = new()
    story = Story.of(control, target, day(0)).tell(*PURGE, SEALED, deleted=90)
    story.again().tell(VERIFIED, rows=0)
    window = only(control, target)
    assert (window["state"], window["remaining"], window["purged"]) == ("sealed", 0, 90)


def test_a_proof_of_no_rows_ends_differences(control: Control) -> None:
    target = new()
    Story.of(control, target, day(0)).tell(Stage.MISMATCHED).again().tell(VERIFIED, rows=0)
    assert only(control, target)["state"] == "empty"


def test_a_new_proof_of_rows_begins_again_and_keeps_what_was_purged(control: Control) -> None:
    target = new()
    Story.of(control, target, day(0)).tell(*PURGE, SEALED).again("second").tell(VERIFIED, rows=7)
    window = only(control, target)
    assert (window["state"], window["remaining"], window["purged"]) == ("verified", 7, 100)
    assert (window["dag_id"], window["run_id"]) == ("archive", "second")


def test_a_check_hides_no_proof_but_differences_do(control: Control) -> None:
    target = new()
    story = Story.of(control, target, day(0)).tell(*PURGE, SEALED)
    story.again().tell(Stage.CHECKED)
    assert only(control, target)["state"] == "sealed"
    story.again().tell(Stage.MISMATCHED)
    assert only(control, target)["state"] == "differs"


def test_a_restore_is_counted_and_is_no_window_of_its_own(control: Control) -> None:
    target = new()
    Story.of(control, target, day(0)).tell(*PURGE, SEALED).again().tell(Stage.RESTORED, rows=30)
    Story.of(control, target, None).tell(Stage.RESTORED, rows=5)
    Story.of(control, target, None).tell(Stage.AUDITED, rows=5)
    window = only(control, target)
    assert (window["state"], window["restored"]) == ("sealed", 30)
    assert [e["stage"] for e in overview(control).audits(str(target))] == ["audited", "restored", "restored"]


def test_nobody_sees_entries_of_dags_that_he_may_not_read(control: Control) -> None:
    target = new()
    Story.of(control, target, day(0), "secret").tell(VERIFIED)
    Story.of(control, target, day(1), "archive").tell(VERIFIED)
    Story.of(control, target, day(1), "secret").tell(*PURGE, SEALED)
    Story.of(control, target, day(2), "").tell(VERIFIED)
    mine, other, nobody = overview(control), overview(control, "secret"), overview(control, "unknown")
    assert [w["state"] for w in mine.windows(str(target))] == ["verified"]
    assert [w["state"] for w in other.windows(str(target))] == ["verified", "sealed"]
    name = mine.windows(str(target))[0]["window"]
    assert {entry["dag_id"] for entry in mine.entries(str(target), name)} == {"archive"}
    assert nobody.windows(str(target)) == nobody.tables() == nobody.entries(str(target), name) == []
    assert (mine.may_see(str(target)), nobody.may_see(str(target))) == (True, False)
    assert sum(day["sealed"] for day in mine.activity(str(target), 90)) == 0
    assert sum(day["sealed"] for day in other.activity(str(target), 90)) == 100


def test_the_tab_of_a_dag_and_of_a_run_show_their_own_windows(control: Control) -> None:
    target = new()
    Story.of(control, target, day(0), run_id="a").tell(VERIFIED)
    Story.of(control, target, day(1), run_id="b").tell(VERIFIED)
    Story.of(control, target, day(2), "other", "a").tell(VERIFIED)
    seen = overview(control, "archive", "other")
    of_dag = seen.windows(str(target), Focus("archive"))
    assert len(of_dag) == 2
    of_run = seen.windows(str(target), Focus("archive", "a"))
    assert [window["of_run"] for window in of_run] == [1, 0]
    assert [t["of_run"] for t in seen.tables(Focus("archive", "b")) if t["target"] == str(target)] == [1]
    assert [t for t in seen.tables(Focus("archive", "c")) if t["target"] == str(target)] == []


def test_entries_tell_the_facts_without_long_lists(control: Control) -> None:
    target = new()
    story = Story.of(control, target, day(0))
    story.tell(Stage.BEGUN, detail={"ranges": [[1, 2]] * 100, "circumstances": {"x": 1}})
    story.tell(VERIFIED, detail={"columns": ["id", "name"], "schema": "s"})
    story.tell(APPROVED, actor="vera", detail={"reason": "older than ten years"})
    story.tell(DELETED, deleted=97, detail={"skipped": {"changed": 3}})
    found = overview(control).entries(str(target), only(control, target)["window"])
    assert [(e["stage"], e["facts"]) for e in found] == [
        ("deleted", {"skipped": {"changed": 3}}),
        ("approved", {"reason": "older than ten years"}),
        ("verified", {"columns": 2, "schema": "s"}),
        ("begun", {}),
    ]
    assert (found[1]["actor"], found[0]["rows"]) == ("vera", 97)


def test_activity_counts_each_proof_once_on_its_day(control: Control) -> None:
    target = new()
    Story.of(control, target, day(0)).tell(VERIFIED, DELETED, DELETED, SEALED, rows=10)
    Story.of(control, target, day(1)).tell(VERIFIED, rows=5)
    (today,) = overview(control).activity(str(target), 90)
    assert (today["verified"], today["purged"], today["sealed"]) == (15, 10, 10)


def test_five_thousand_windows_are_read_at_once(control: Control) -> None:
    target = new()
    assert many(control, target, range(5_000)) > 20_000
    seen = overview(control)
    seen.windows(str(target))
    started = time.monotonic()
    found = seen.windows(str(target))
    assert time.monotonic() - started < 3
    assert len(found) == 5_000
    assert {window["state"] for window in found} == {"sealed", "sealed_in_part", "verified", "approved"}


def test_a_query_that_runs_too_long_says_so(control: Control) -> None:
    with pytest.raises(TransientError, match="max_execution_time"):
        control.rows("SELECT count() FROM system.numbers SETTINGS max_execution_time = 1", {})


def test_a_server_without_state_tables_is_told_from_one_with_them(control: Control) -> None:
    assert has_state(control)
    assert not has_state(Control(control.client, f"none_{services.token()}"))
