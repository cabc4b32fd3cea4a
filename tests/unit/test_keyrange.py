"""The condition of a range of keys selects exactly the keys between its bounds, asked of a real SQL engine."""

from __future__ import annotations

import sqlite3

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_chista.errors import FatalError
from airflow_provider_chista.keyrange import EVERY_KEY, KeyRange, condition
from airflow_provider_chista.model import Column, Kind, Table, TableId

KEYS = [(a, b, c) for a in range(-1, 3) for b in range(3) for c in range(3)]


def table(width: int, kind: Kind = Kind.INT32) -> Table:
    columns = tuple(Column(f"k{i}", "int", kind, False) for i in range(width))
    return Table(TableId("s", "t"), columns, tuple(column.name for column in columns))


def text(key: tuple[int, ...] | None) -> str | None:
    return None if key is None else "|".join(map(str, key))


@given(
    st.integers(1, 3),
    st.none() | st.sampled_from(KEYS),
    st.none() | st.sampled_from(KEYS),
)
def test_the_keys_between_the_bounds(
    width: int, first: tuple[int, ...] | None, end: tuple[int, ...] | None
) -> None:
    keys = sorted({key[:width] for key in KEYS})
    first, end = first and first[:width], end and end[:width]
    values: list[object] = []

    def bound(index: int, value: object) -> str:
        values.append(value)
        return "?"

    where = condition(table(width), KeyRange(text(first), text(end)), "k{}".format, bound)
    connection = sqlite3.connect(":memory:")
    names = ", ".join(f"k{i}" for i in range(width))
    connection.execute(f"CREATE TABLE t ({names})")
    connection.executemany(f"INSERT INTO t VALUES ({', '.join('?' * width)})", keys)
    found = connection.execute(f"SELECT {names} FROM t WHERE {where or 'TRUE'} ORDER BY {names}", values)
    assert found.fetchall() == [
        key for key in keys if (first is None or key >= first) and (end is None or key < end)
    ]


def test_every_key_needs_no_condition_whatever_the_key_is() -> None:
    assert condition(table(1, Kind.TEXT), EVERY_KEY, "{}".format, lambda index, value: "?") == ""


@pytest.mark.parametrize("kind", [Kind.TEXT, Kind.BYTES, Kind.BOOL])
def test_keys_whose_order_differs_have_no_range(kind: Kind) -> None:
    with pytest.raises(FatalError, match=r"keys of s\.t cannot be given as a range: k0 \(int\)"):
        condition(table(1, kind), KeyRange("1:a", None), "{}".format, lambda index, value: "?")


def test_a_bound_that_is_no_key_is_an_error() -> None:
    with pytest.raises(FatalError, match="'1' is not a row key of kinds int32, int32"):
        condition(table(2), KeyRange("1", None), "{}".format, lambda index, value: "?")
