"""Dead letters without services: the record as it is kept, the limits of a drain, and the choice of letters."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_chista.archive.deadletters import Letters, OpenLetters, dead_letter, over_limit
from airflow_provider_chista.archive.records import Record
from airflow_provider_chista.errors import FatalError
from airflow_provider_chista.model import TableId

TARGET = TableId("archive", "orders")


def test_a_record_without_key_and_headers_is_kept_with_empty_ones() -> None:
    letter = dead_letter(
        target=TARGET, topic="p.s.orders", generation=3, record=Record(1, 9, None, b"\xff", []),
        error_class="DecodeError", error="what was wrong", task="dag.task run",
    )  # fmt: skip
    assert letter == {
        "target": "archive.orders", "topic": "p.s.orders", "generation": 3, "partition": 1, "offset": 9,
        "key": b"", "value": b"\xff", "header_names": [], "header_values": [],
        "error_class": "DecodeError", "error": "what was wrong", "task": "dag.task run",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("dead", "records", "ended", "found"),
    [
        (0, 0, True, None),
        (10, 10, False, None),
        (11, 100_000, False, "more than max_dead_letters=10"),
        # Below 1,000 records the share says nothing, unless there are no more.
        (9, 999, False, None),
        (9, 900, True, None),
        (10, 999, True, "more than max_dead_letter_share=0.01 of 999 records"),
        (10, 1_000, False, None),
        (11, 1_000, False, "more than max_dead_letters=10"),
        (1, 1, True, "more than max_dead_letter_share=0.01 of 1 records"),
    ],
)
def test_a_drain_stops_at_the_first_limit_that_it_passes(
    dead: int, records: int, ended: bool, found: str | None
) -> None:
    assert over_limit(dead, records, most=10, share=0.01, ended=ended) == found


@pytest.mark.parametrize(
    ("share", "dead", "found"),
    [
        (1.0, 1_000, None),
        (0.999, 1_000, "more than max_dead_letter_share=0.999 of 1000 records"),
        (0, 1, "more than max_dead_letter_share=0 of 1000 records"),
        (0, 0, None),
    ],
)
def test_a_share_of_one_is_no_limit_and_of_zero_allows_none(
    share: float, dead: int, found: str | None
) -> None:
    assert over_limit(dead, 1_000, most=10_000, share=share) == found


@pytest.mark.parametrize("share", [-0.1, 1.1, 5, float("nan")])
def test_a_share_that_is_none_is_refused(share: float) -> None:
    with pytest.raises(FatalError, match=r"max_dead_letter_share is .*; give a part from 0 to 1"):
        over_limit(0, 0, most=100, share=share)


def test_numbers_of_letters_may_be_texts() -> None:
    assert Letters.parse(TARGET, {"0": ["5", 9], 1: []}, "2") == Letters(TARGET, {0: [5, 9], 1: []}, 2)
    assert Letters.parse(TARGET) == Letters(TARGET, None, None)
    assert Letters.parse(TARGET, {}) == Letters(TARGET, {}, None)


@pytest.mark.parametrize(
    ("offsets", "generation"),
    [
        ("0:5", None),
        ({"a": [1]}, None),
        ({"0": ["x"]}, None),
        ({"0": 5}, None),
        (None, "newest"),
        ({"0": "12"}, None),
    ],
)
def test_a_choice_that_names_no_letters_is_refused(offsets: Any, generation: Any) -> None:
    with pytest.raises(FatalError, match="does not name dead letters"):
        Letters.parse(TARGET, offsets, generation)


def test_open_letters_are_told_by_their_number_and_the_first_one() -> None:
    told = str(OpenLetters("archive.orders", 12, "p.s.orders", 1, 2, 345, "DecodeError", "column n: too big"))
    assert told == (
        "archive.orders has 12 open dead letters (state table dead_letters): rows that are not in the archive. The first is "
        "p.s.orders, generation 1, partition 2, offset 345: DecodeError: column n: too big"
    )
