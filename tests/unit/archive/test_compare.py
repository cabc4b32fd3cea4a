"""The merge of two key-ordered streams of hashes."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_chista.archive.compare import (
    KEPT,
    Differences,
    Pair,
    block_digests,
    compare,
    read_ahead,
)
from airflow_provider_chista.canonical import KEY_KINDS, parse_key, row_text, sort_key
from airflow_provider_chista.errors import FatalError
from airflow_provider_chista.model import INTEGER_BOUNDS, Kind

KINDS = (Kind.INT32, Kind.TEXT)
# So few keys that the two sides share many, and texts whose order is not that of their lengths.
keys = st.tuples(st.integers(-2, 11), st.sampled_from(["", "b", "aa", "é"])).map(
    lambda values: row_text(KINDS, values)
)
tables = st.dictionaries(keys, st.sampled_from("ab"), max_size=40)


def ordered(table: dict[str, str]) -> list[Pair]:
    return sorted(table.items(), key=lambda pair: sort_key(parse_key(KINDS, pair[0])))


def chunked(pairs: list[Pair], size: int) -> Iterator[list[Pair]]:
    for start in range(0, len(pairs), size):
        yield pairs[start : start + size]


@given(tables, tables, st.integers(1, 9), st.integers(1, 9))
def test_the_differences_are_those_of_the_two_sets_however_the_streams_are_cut(
    source: dict[str, str], archive: dict[str, str], left: int, right: int
) -> None:
    rows, found = compare(KINDS, chunked(ordered(source), left), chunked(ordered(archive), right))
    wanted = dict.fromkeys(source.keys() - archive.keys(), "missing")
    wanted |= dict.fromkeys(archive.keys() - source.keys(), "extra")
    wanted |= {key: "differing" for key in source.keys() & archive.keys() if source[key] != archive[key]}
    assert rows == len(source)
    assert found.keys == wanted
    assert found.total == len(wanted)


# In the order in which every source and ClickHouse stream them; written down, not computed.
ORDERED: dict[Kind, list[Any]] = {
    **{kind: sorted({low, *range(max(low, -12), 12), 100, high}) for kind, (low, high) in INTEGER_BOUNDS.items()},
    Kind.BOOL: [False, True],
    Kind.DECIMAL: [Decimal(text) for text in ("-10.00", "-9.99", "-0.01", "0.00", "0.50", "9.00", "10.00", "100.00")],
    Kind.DATE: [date(1, 1, 1), date(999, 12, 31), date(1969, 12, 31), date(1970, 1, 1), date(9999, 12, 31)],
    Kind.DATETIME: [
        datetime.fromisoformat(text)
        for text in ("0001-01-01", "1969-12-31 23:59:59.999999", "1970-01-01", "2024-02-29 01:00")
    ],
    Kind.UUID: [uuid.UUID(int=number) for number in (0, 1, 2**64, 2**127, 2**128 - 1)],
    Kind.BYTES: [b"", b"\x00", b"\x00\x01", b"\x01", b"a", b"\x80", b"\xff", b"\xff\x00"],
    Kind.TEXT: ["", " ", "!", "A", "B", "a", "aa", "b", "~", "é", "ﬀ", "😀"],
}  # fmt: skip


@pytest.mark.parametrize("kind", sorted(KEY_KINDS))
def test_the_differences_are_found_in_the_order_of_every_kind_of_key(kind: Kind) -> None:
    keys = [row_text([kind], [value]) for value in ORDERED[kind]]
    places = st.lists(
        st.sampled_from(["", "source", "archive", "both"]), min_size=len(keys), max_size=len(keys)
    )

    @given(places, st.integers(1, 3))
    def found(chosen: list[str], size: int) -> None:
        rows = list(zip(keys, chosen, strict=True))
        sides = [
            [(key, "h") for key, side in rows if side in (name, "both")] for name in ("source", "archive")
        ]
        differences = compare([kind], *(chunked(side, size) for side in sides))[1]
        assert differences.keys == {
            key: {"source": "missing", "archive": "extra"}[side]
            for key, side in rows
            if side in ("source", "archive")
        }

    found()


@given(tables, st.integers(1, 9), st.integers(1, 9))
def test_equal_streams_have_no_differences(table: dict[str, str], left: int, right: int) -> None:
    pairs = ordered(table)
    assert compare(KINDS, chunked(pairs, left), chunked(pairs, right))[1].total == 0


def test_a_row_that_one_side_has_twice_is_a_difference() -> None:
    pairs = [("1|1:a", "a")]
    assert compare(KINDS, [pairs * 2], [pairs])[1].missing == 1
    assert compare(KINDS, [pairs], [pairs * 2])[1].extra == 1


def test_all_differences_are_counted_but_only_some_are_kept() -> None:
    found = Differences()
    for number in range(KEPT + 5):
        found.add("missing", str(number))
    assert found.missing == KEPT + 5
    assert len(found.keys) == KEPT


def test_extra_rows_that_a_purge_has_deleted_meanwhile_are_explained_and_no_others() -> None:
    found = Differences()
    for finding, row_key in (
        ("extra", "1|1:a"),
        ("extra", "2|1:b"),
        ("missing", "3|1:c"),
        ("differing", "4|1:d"),
    ):
        found.add(finding, row_key)
    found.explain({"1|1:a", "3|1:c", "4|1:d"})
    assert (found.extra, found.missing, found.differing) == (1, 1, 1)
    assert "1|1:a" not in found.keys


def test_blocks_are_equal_when_and_only_when_their_rows_are() -> None:
    rows = [(f"{n}", f"{n:064x}") for n in range(50)]
    whole = list(block_digests([rows[:30], rows[30:]]))
    assert [count for count, _ in whole] == [30, 20]
    assert list(block_digests([rows[:30], rows[30:]])) == whole
    changed = [*rows[:7], (rows[7][0], "f" * 64), *rows[8:]]
    others = list(block_digests([changed[:30], changed[30:]]))
    assert (others[0] != whole[0], others[1] == whole[1]) == (True, True)
    # What moves between key and hash, or between rows, is seen.
    assert list(block_digests([[("1", "2" * 64)]])) != list(block_digests([[("12", "2" * 63)]]))
    assert list(block_digests([[("1", "a" * 64), ("2", "b" * 64)]])) != list(
        block_digests([[("2", "a" * 64), ("1", "b" * 64)]])
    )


def endless(closed: list[bool]) -> Iterator[list[Pair]]:
    try:
        for number in range(10**9):
            yield [(str(number), "h")]
    finally:
        closed.append(True)


def test_a_stream_is_read_ahead_and_closed_whatever_becomes_of_it() -> None:
    closed: list[bool] = []
    with read_ahead(endless(closed), 3) as rows:
        assert next(rows) == [("0", "h")]
    assert closed == [True]
    with pytest.raises(ValueError, match="elsewhere"), read_ahead(endless(closed)):
        raise ValueError("elsewhere")
    assert closed == [True, True]


def test_an_error_of_the_stream_comes_where_its_list_would_have() -> None:
    def failing() -> Iterator[list[Pair]]:
        yield [("1", "h")]
        raise FatalError("the source is gone")

    with read_ahead(failing(), 0) as rows:
        assert next(rows) == [("1", "h")]
        with pytest.raises(FatalError, match="the source is gone"):
            next(rows)
