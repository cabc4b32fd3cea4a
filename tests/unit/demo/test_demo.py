"""The demo's own judgement: restoring tables, following tasks, and noticing every number that is off."""

import io
import json
from dataclasses import replace

import pytest

from stack.demo.archive import Entry
from stack.demo.dataset import CHISTA, digest
from stack.demo.display import Display, grid
from stack.demo.follow import current, stages
from stack.demo.numbers import Numbers
from stack.demo.rest import Task, last_error
from stack.demo.sources import SOURCES, difference


def test_restoring_changes_only_what_differs() -> None:
    change = difference(CHISTA, [(1, "a"), (2, "b"), (99999, "late")], [(1, "a"), (2, "B"), (3, None)])
    assert (change.inserts, change.updates, change.deletes) == ([(3, None)], [(2, "B")], [(99999,)])
    assert len(change) == 3


def task(task_id: str, state: str) -> Task:
    return Task("archive_mysql", task_id, state, 1, None, 0.0)


def tasks(**states: str) -> dict[str, Task]:
    return {name.replace("__", "."): task(name.replace("__", "."), state) for name, state in states.items()}


def test_a_table_goes_through_the_common_stages_first() -> None:
    run = tasks(
        test_chista__drain="running", preflight="success", source_captured="success", other__drain="running"
    )
    assert list(stages(run, CHISTA)) == ["preflight", "source_captured", "drain"]
    now = current(run, CHISTA)
    assert now is not None
    assert now[0] == "drain"


def test_a_table_is_over_when_all_its_tasks_are() -> None:
    assert current(tasks(preflight="success", test_chista__purge="skipped"), CHISTA) is None


def right() -> Numbers:
    hashes = CHISTA.hashes([(1, "a"), (2, None)])
    entry = Entry(2, digest(hashes.values()), 2, 2, "admin")
    return Numbers(SOURCES[0], CHISTA, 2, hashes, True, archived=2, left=0, visible=2, dead=0, ledger=entry)


def test_right_numbers_are_accepted() -> None:
    assert list(right().wrong()) == []


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"archived": 1}, "archived is 1, expected 2"),
        ({"left": 1}, "still in the source is 1, expected 0"),
        ({"visible": 0}, "visible in the archive is 0, expected 2"),
        ({"dead": 3}, "dead letters is 3, expected 0"),
        ({"ledger": replace(right().ledger, verified=1)}, "verified is 1, expected 2"),
        ({"ledger": replace(right().ledger, deleted=1)}, "purged is 1, expected 2"),
        ({"ledger": replace(right().ledger, sealed=0)}, "sealed is 0, expected 2"),
        ({"ledger": replace(right().ledger, digest="2:00")}, "the ledger's digest is 2:00"),
    ],
)
def test_every_number_that_is_off_is_named(change, named: str) -> None:
    (text,) = replace(right(), **change).wrong()
    assert text.startswith(f"MySQL test.chista: {named}")


def test_a_rejected_purge_must_leave_every_row() -> None:
    rejected = replace(right(), purges=False, left=2, ledger=replace(right().ledger, deleted=0, sealed=0))
    assert list(rejected.wrong()) == []
    assert list(replace(rejected, left=0).wrong()) != []


def test_a_late_row_is_counted_once() -> None:
    numbers = right()
    numbers.add((3, "late"))
    numbers.add((3, "late"))
    assert (numbers.before, numbers.owned) == (3, 3)


def test_the_reason_of_a_failure_is_the_last_error_of_the_log() -> None:
    events = [
        {"level": "info", "event": "begun"},
        {"level": "error", "event": "first"},
        {
            "level": "error",
            "event": "Task failed",
            "error_detail": [{"exc_type": "FatalError", "exc_value": "no\nlog"}],
        },
        {"level": "info", "event": "ended"},
    ]
    assert last_error(json.dumps({"content": events})) == "FatalError: no log"
    assert last_error(json.dumps({"content": []})) == ""
    assert last_error("not json") == ""


def test_without_a_terminal_a_line_is_printed_when_the_stage_changes() -> None:
    stream = io.StringIO()
    display = Display(stream)
    for stage in ("drain", "drain", "verify", "done", "done"):
        display.status({"MySQL test.chista": (stage, "")})
    assert [line.split()[-1] for line in stream.getvalue().splitlines()] == ["drain", "verify", "done"]


def test_on_a_terminal_the_lines_are_rewritten_in_place() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    stream = Terminal()
    display = Display(stream)
    display.status({"a": ("drain", ""), "b": ("drain", "")})
    display.status({"a": ("verify", ""), "b": ("drain", "")})
    assert "\x1b[2F\x1b[J" in stream.getvalue()


def test_a_grid_aligns_numbers_to_the_right() -> None:
    lines = grid(("table", "rows"), [("a", "1"), ("long name", "10,000")]).splitlines()
    assert lines[2].endswith("     1")
    assert len({len(line) for line in lines}) == 1
