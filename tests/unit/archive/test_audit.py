"""The parts of an audit that need no service: digests that add up, and ranges of sealed windows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from airflow_provider_chista.archive import window as windows
from airflow_provider_chista.archive.audit import AuditReport, TableReport
from airflow_provider_chista.archive.evidence import NOTHING, Digest, chunks
from airflow_provider_chista.archive.inspection import KEPT, Look, Suspect, spans
from airflow_provider_chista.errors import FatalError
from airflow_provider_chista.model import Window


def days(first: int, last: int, column: str = "day") -> Window:
    start = datetime(2024, 1, 1, tzinfo=UTC)
    return Window(column, start + timedelta(first), start + timedelta(last))


def test_digests_add_up_modulo_two_to_the_64() -> None:
    one, other = Digest(2, 2**64 - 1, 5), Digest(3, 2, 2**64 - 6)
    assert str(one) == f"2:{'f' * 16}0000000000000005"
    assert Digest.parse(str(one)) == one
    assert one + other == Digest(5, 1, 2**64 - 1)
    assert str(Digest()) == NOTHING == "0:" + "0" * 32


@pytest.mark.parametrize("text", ["", "7", "x:00", "1:zz"])
def test_what_is_no_digest_is_refused(text: str) -> None:
    with pytest.raises(FatalError, match="is no digest"):
        Digest.parse(text)


@pytest.mark.parametrize(
    "window", [None, days(0, 31), days(0, 1, "a:b/c"), Window("t", days(0, 1).start, days(0, 1).end + timedelta(seconds=0.5))]
)  # fmt: skip
def test_a_window_is_read_back_from_its_name(window: Window | None) -> None:
    assert windows.named(windows.name(window)) == window


@pytest.mark.parametrize("text", ["", "day", "day:2024-01-01/2024-02-01"])
def test_what_is_no_name_of_a_window_is_refused(text: str) -> None:
    with pytest.raises(FatalError, match="is no name of a window"):
        windows.named(text)


def test_sealed_windows_that_touch_are_one_range() -> None:
    assert spans([days(1, 2), days(0, 1), days(5, 6), days(5, 8), days(6, 7)]) == [days(0, 2), days(5, 8)]
    assert spans([days(0, 1, "a"), days(1, 2, "b")]) == [days(0, 1, "a"), days(1, 2, "b")]
    assert spans([days(0, 1), None]) == [None]
    assert spans([]) == []


def test_many_ranges_are_one_with_what_lies_between() -> None:
    apart = [days(2 * n, 2 * n + 1) for n in range(20)]
    assert spans(apart) == apart
    assert spans([*apart, days(100, 101), days(7, 9, "other")]) == [days(0, 101), days(7, 9, "other")]


def test_rows_that_look_damaged_are_kept_up_to_a_number_and_all_are_counted() -> None:
    look = Look()
    look.suspect(Suspect(str(n), "missing", "h", 0) for n in range(KEPT + 3))
    look.suspect([Suspect("0", "extra", "", 1), Suspect("x", "extra", "", 1)])
    assert len(look.suspects) == KEPT
    assert (look.count("missing"), look.count("extra")) == (KEPT + 3, 1)


def test_ids_are_sent_in_lists() -> None:
    assert [len(part) for part in chunks([str(n) for n in range(25_000)])] == [10_000, 10_000, 5_000]


def test_a_report_with_findings_fails_with_all_of_them() -> None:
    sound, bad = TableReport("1", "a.sound"), TableReport("2", "a.bad")
    AuditReport((sound,)).require_sound()
    bad.find("missing rows", "2 are gone", "look for them")
    bad.find("old proof", "there is none", "make one")
    with pytest.raises(FatalError) as raised:
        AuditReport((sound, bad)).require_sound()
    assert str(raised.value) == (
        "the audit of a.bad found: (1) [error] missing rows: a.bad: 2 are gone. Remedy: look for them"
        " (2) [error] old proof: a.bad: there is none. Remedy: make one"
    )
    summary = AuditReport((sound, bad)).summary()
    assert (summary["findings"], summary["tables"]["a.sound"]["findings"]) == (2, [])
