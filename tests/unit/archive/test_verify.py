"""The merge of two key-ordered streams of hashes."""

from __future__ import annotations

from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_chista.archive.verify import KEPT, Differences, Pair, compare
from airflow_provider_chista.canonical import parse_key, row_text, sort_key
from airflow_provider_chista.model import Kind

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
