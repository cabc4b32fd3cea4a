"""Row versions, and which positions a drain may go on from."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_chista.archive.positions import MAX_GENERATION, MAX_OFFSET, version

generations, offsets, repairs = st.integers(0, MAX_GENERATION), st.integers(0, MAX_OFFSET), st.integers(0, 15)
parts = st.tuples(generations, offsets, repairs)


@given(parts, parts)
def test_versions_are_ordered_by_generation_then_offset_then_repair(
    a: tuple[int, int, int], b: tuple[int, int, int]
) -> None:
    assert (version(*a) < version(*b)) == (a < b)


@given(parts)
def test_versions_fit_into_64_bits(a: tuple[int, int, int]) -> None:
    assert 0 <= version(*a) < 2**64
