"""Which ClickHouse type holds which column, by default and by choice, and what its guard refuses."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_chista.clickhouse.types import (
    DATE32_FIRST,
    DATE32_LAST,
    FORMS,
    TypeMap,
    bare,
    integer_kind,
    integer_name,
)
from airflow_provider_chista.errors import FatalError
from airflow_provider_chista.model import INTEGER_BOUNDS, Column, Encoding, Kind
from airflow_provider_chista.temporal import (
    FIRST_DAY,
    FIRST_MICROSECOND,
    INFINITY,
    LAST_DAY,
    LAST_MICROSECOND,
    day_of,
    microsecond_of,
)

NEW, OLD = TypeMap(), TypeMap(wide_datetime64=False, time64=False, date32=False)


def col(kind: Kind, precision: int = 0, scale: int = 0, **more: Any) -> Column:
    return Column("c", str(kind), kind, nullable=True, precision=precision, scale=scale, **more)


NUMERIC = col(Kind.TEXT, encoding=Encoding.NUMERIC)

DEFAULTS: list[tuple[Column, str, str]] = [
    *((col(kind), integer_name(kind), integer_name(kind)) for kind in INTEGER_BOUNDS),
    (col(Kind.BOOL), "Bool", "Bool"),
    (col(Kind.DECIMAL, 10, 2), "Decimal(10, 2)", "Decimal(10, 2)"),
    (col(Kind.DECIMAL, 76, 38), "Decimal(76, 38)", "Decimal(76, 38)"),
    (col(Kind.DECIMAL, 2, 5), "Decimal(5, 5)", "Decimal(5, 5)"),
    (col(Kind.DECIMAL, 77, 0), "String", "String"),
    (col(Kind.DECIMAL, 100, 50), "String", "String"),
    (col(Kind.FLOAT32), "Float32", "Float32"),
    (col(Kind.IEEE32), "Float32", "Float32"),
    (col(Kind.FLOAT64), "Float64", "Float64"),
    (col(Kind.IEEE64), "Float64", "Float64"),
    (col(Kind.DATE), "DateTime64(0, 'UTC')", "String"),
    (col(Kind.DATETIME), "DateTime64(6, 'UTC')", "String"),
    (col(Kind.TIME), "Time64(6)", "String"),
    (col(Kind.UUID), "UUID", "UUID"),
    (col(Kind.BYTES), "String", "String"),
    (col(Kind.TEXT), "String", "String"),
    (NUMERIC, "String", "String"),
]
"""The type of a new table, on a server with wide DateTime64 and Time64 and on one without."""

EXACT: list[tuple[Column, str, bool]] = [
    (col(Kind.INT32), "Int32", True),
    (col(Kind.INT32), "Int64", True),
    (col(Kind.INT32), "Nullable(Int64)", True),
    (col(Kind.INT32), "Int16", False),
    (col(Kind.INT32), "UInt32", False),
    (col(Kind.INT32), "UInt64", False),
    (col(Kind.UINT32), "Int64", True),
    (col(Kind.UINT32), "Int32", False),
    (col(Kind.UINT64), "Int64", False),
    (col(Kind.UINT8), "Int16", True),
    (col(Kind.INT32), "Int128", False),
    (col(Kind.INT32), "Float64", False),
    (col(Kind.INT32), "String", False),
    (col(Kind.INT32), "LowCardinality(Int32)", False),
    (col(Kind.BOOL), "Bool", True),
    (col(Kind.BOOL), "UInt8", True),
    (col(Kind.BOOL), "Int8", False),
    (col(Kind.DECIMAL, 10, 2), "Decimal(10, 2)", True),
    (col(Kind.DECIMAL, 10, 2), "Decimal(38, 2)", True),
    (col(Kind.DECIMAL, 10, 2), "Decimal(9, 2)", False),
    (col(Kind.DECIMAL, 10, 2), "Decimal(20, 3)", False),
    (col(Kind.DECIMAL, 10, 2), "Decimal(20, 1)", False),
    (col(Kind.DECIMAL, 10, 2), "Decimal(77, 2)", False),
    (col(Kind.DECIMAL, 10, 2), "String", True),
    (col(Kind.DECIMAL, 10, 2), "Float64", False),
    (NUMERIC, "Decimal(38, 10)", True),
    (NUMERIC, "Decimal(10, 20)", False),
    (NUMERIC, "String", True),
    (col(Kind.TEXT), "Decimal(38, 10)", False),
    (col(Kind.FLOAT32), "Float32", True),
    (col(Kind.FLOAT32), "Float64", True),
    (col(Kind.FLOAT64), "Float32", False),
    (col(Kind.IEEE64), "Float32", False),
    (col(Kind.FLOAT32), "BFloat16", False),
    (col(Kind.DATE), "DateTime64(0, 'UTC')", True),
    (col(Kind.DATE), "Date32", True),
    (col(Kind.DATE), "String", True),
    (col(Kind.DATE), "Date", False),
    (col(Kind.DATE), "DateTime64(0)", False),
    (col(Kind.DATE), "DateTime64(0, 'Europe/Berlin')", False),
    (col(Kind.DATE), "DateTime64(3, 'UTC')", False),
    (col(Kind.DATETIME), "DateTime64(6, 'UTC')", True),
    (col(Kind.DATETIME), "DateTime64(3, 'UTC')", True),
    (col(Kind.DATETIME), "DateTime64(0, 'UTC')", True),
    (col(Kind.DATETIME), "DateTime64(9, 'UTC')", False),
    (col(Kind.DATETIME), "DateTime64(6)", False),
    (col(Kind.DATETIME), "DateTime", False),
    (col(Kind.DATETIME), "String", True),
    (col(Kind.TIME), "Time64(6)", True),
    (col(Kind.TIME), "Time64(3)", False),
    (col(Kind.TIME), "String", True),
    (col(Kind.UUID), "UUID", True),
    (col(Kind.UUID), "String", True),
    (col(Kind.UUID), "FixedString(16)", False),
    (col(Kind.BYTES), "String", True),
    (col(Kind.BYTES), "FixedString(8)", False),
    (col(Kind.TEXT), "LowCardinality(String)", True),
    (col(Kind.TEXT), "LowCardinality(Nullable(String))", True),
    (col(Kind.TEXT), "Enum8('a' = 1)", False),
    (col(Kind.TEXT), "JSON", False),
    (col(Kind.TEXT), "Array(String)", False),
    (col(Kind.DATE), "LowCardinality(String)", False),
]
"""Whether a type holds every value of a column exactly, or refuses those that it does not hold."""

SECOND = 10**6
GUARDS: list[tuple[Column, str, list[Any], list[Any]]] = [
    (col(Kind.DATE), "DateTime64(0, 'UTC')", [FIRST_DAY, 0, LAST_DAY], [FIRST_DAY - 1, LAST_DAY + 1, INFINITY, -INFINITY]),
    (col(Kind.DATE), "Date32", [DATE32_FIRST, -1, 0, DATE32_LAST], [DATE32_FIRST - 1, DATE32_LAST + 1, LAST_DAY, INFINITY]),
    (
        col(Kind.DATETIME),
        "DateTime64(6, 'UTC')",
        [FIRST_MICROSECOND, -1, 0, 1, LAST_MICROSECOND],
        [FIRST_MICROSECOND - 1, LAST_MICROSECOND + 1, INFINITY, -INFINITY],
    ),
    (
        col(Kind.DATETIME),
        "DateTime64(3, 'UTC')",
        [FIRST_MICROSECOND, -1000, 0, 1709210096789000, LAST_MICROSECOND - 999],
        [1, -1, 999, 1709210096789012, LAST_MICROSECOND, FIRST_MICROSECOND - 1000, INFINITY],
    ),
    (col(Kind.DATETIME), "DateTime64(0, 'UTC')", [0, -SECOND, 7 * SECOND], [1, SECOND - 1, SECOND // 2, -1]),
    (
        col(Kind.DECIMAL, 5, 2),
        "Decimal(5, 2)",
        ["0.00", "-0.00", "999.99", "-999.99", "0999.99"],
        ["1000.00", "9999.99", "1.5", "1.500", "1", "NaN", "Infinity", "-Infinity", "1e2", "", "+1.00", "1.00\n", " 1.00"],
    ),
    (col(Kind.DECIMAL, 5, 0), "Decimal(5, 0)", ["0", "-99999", "99999"], ["100000", "1.0", "1.", "NaN"]),
    (
        NUMERIC,
        "Decimal(10, 4)",
        ["1.5000", "-999999.9999", "0.0000"],
        ["1.5", "1.50000", "1", "1000000.0000", "NaN", "Infinity"],
    ),
]  # fmt: skip
"""Decoded values that a type's guard lets through, and those that it refuses."""


@pytest.mark.parametrize("types", [NEW, OLD], ids=["new server", "old server"])
@pytest.mark.parametrize(("column", "new", "old"), DEFAULTS)
def test_the_default_is_a_type_that_the_server_keeps(
    column: Column, new: str, old: str, types: TypeMap
) -> None:
    wanted = new if types is NEW else old
    assert types.default(column) == wanted
    assert types.stored(column).ddl == wanted


def test_every_kind_has_a_default_and_a_form_of_its_own() -> None:
    assert {column.kind for column, _, _ in DEFAULTS} == set(Kind)
    assert frozenset().union(*(form.kinds for form in FORMS)) == set(Kind)


@pytest.mark.parametrize(("column", "ddl", "exact"), EXACT)
def test_another_type_is_accepted_only_when_no_value_of_the_column_becomes_another(
    column: Column, ddl: str, exact: bool
) -> None:
    found = NEW.holding(column, ddl)
    assert (found is not None) is exact
    if found:
        assert found.ddl == bare(ddl)


@pytest.mark.parametrize("ddl", ["DateTime64(0, 'UTC')", "DateTime64(6, 'UTC')", "Time64(6)", "Date32"])
def test_a_type_that_the_server_does_not_keep_holds_nothing(ddl: str) -> None:
    for kind in (Kind.DATE, Kind.DATETIME, Kind.TIME):
        assert OLD.holding(col(kind), ddl) is None


@pytest.mark.parametrize(
    ("column", "ddl", "value"), [(column, ddl, value) for column, ddl, held, _ in GUARDS for value in held]
)
def test_what_a_type_holds_passes_its_guard_and_becomes_an_array(
    column: Column, ddl: str, value: Any
) -> None:
    stored = NEW.holding(column, ddl)
    assert stored
    assert stored.guard
    stored.guard(value)
    assert len(stored.array([value, None])) == 2


@pytest.mark.parametrize(
    ("column", "ddl", "value"),
    [(column, ddl, value) for column, ddl, _, refused in GUARDS for value in refused],
)
def test_what_a_type_does_not_hold_is_refused_with_the_way_out(column: Column, ddl: str, value: Any) -> None:
    stored = NEW.holding(column, ddl)
    assert stored
    assert stored.guard
    with pytest.raises(ValueError, match=r"choose String as the column's type|has more digits of a second"):
        stored.guard(value)


@pytest.mark.parametrize(("column", "new", "old"), DEFAULTS)
def test_what_has_no_guard_holds_every_value_of_its_kind(column: Column, new: str, old: str) -> None:
    limited = {"DateTime64(0, 'UTC')", "DateTime64(6, 'UTC')"}
    for types, ddl in ((NEW, new), (OLD, old)):
        assert (types.stored(column).guard is not None) is (ddl in limited or ddl.startswith("Decimal"))


ARRAYS: list[tuple[Column, str, list[Any], pa.DataType, list[Any]]] = [
    (col(Kind.UINT64), "UInt64", [2**64 - 1, None, 0], pa.uint64(), [2**64 - 1, None, 0]),
    (col(Kind.INT8), "Int64", [-128, None], pa.int64(), [-128, None]),
    (col(Kind.BOOL), "UInt8", [True, False, None], pa.uint8(), [1, 0, None]),
    (col(Kind.DECIMAL, 65, 30), "Decimal(65, 30)", ["9" * 35 + "." + "9" * 30, None], pa.decimal256(65, 30),
     [Decimal("9" * 35 + "." + "9" * 30), None]),
    (col(Kind.DECIMAL, 5, 2), "Decimal(5, 2)", ["-0.05"], pa.decimal128(5, 2), [Decimal("-0.05")]),
    (col(Kind.DECIMAL, 5, 2), "String", ["1.50", "NaN", None], pa.string(), ["1.50", "NaN", None]),
    (col(Kind.DATE), "DateTime64(0, 'UTC')", [FIRST_DAY, LAST_DAY, None], pa.timestamp("s", tz="UTC"),
     [FIRST_DAY * 86_400, LAST_DAY * 86_400, None]),
    (col(Kind.DATE), "String", [FIRST_DAY - 1, INFINITY, -INFINITY, None], pa.string(),
     ["0001-12-31 BC", "infinity", "-infinity", None]),
    (col(Kind.DATETIME), "DateTime64(6, 'UTC')", [FIRST_MICROSECOND, -1, None], pa.timestamp("us", tz="UTC"),
     [FIRST_MICROSECOND, -1, None]),
    (col(Kind.DATETIME), "String", [microsecond_of("9999-12-31 23:59:59.999999") + 1, 0], pa.string(),
     ["10000-01-01 00:00:00.000000", "1970-01-01 00:00:00.000000"]),
    (col(Kind.BYTES), "String", [b"\x00\xff", b"", None], pa.binary(), [b"\x00\xff", b"", None]),
    (col(Kind.TEXT), "String", ["\0é😀", "", None], pa.string(), ["\0é😀", "", None]),
]  # fmt: skip


@pytest.mark.parametrize(("column", "ddl", "values", "arrow", "sent"), ARRAYS)
def test_an_array_holds_the_decoded_values_and_null_as_null(
    column: Column, ddl: str, values: list[Any], arrow: pa.DataType, sent: list[Any]
) -> None:
    stored = NEW.holding(column, ddl)
    assert stored
    array = stored.array(values)
    assert array.type == arrow
    found = array.cast(pa.int64()) if pa.types.is_timestamp(arrow) else array
    assert found.to_pylist() == sent


@given(st.integers(DATE32_FIRST, DATE32_LAST))
def test_a_date32_is_sent_as_its_day(day: int) -> None:
    stored = NEW.holding(col(Kind.DATE), "Date32")
    assert stored
    assert stored.array([day]).cast(pa.int32()).to_pylist() == [day]


def test_the_bounds_of_date32_are_its_documented_ones() -> None:
    assert day_of("1900-01-01") == DATE32_FIRST
    assert day_of("2299-12-31") == DATE32_LAST


def test_a_chosen_type_that_is_not_exact_has_no_guard_and_no_text_and_is_sent_as_text() -> None:
    stored = NEW.stored(col(Kind.DATE, stored_as="Date", provable=False))
    assert (stored.ddl, stored.guard, stored.text) == ("Date", None, "''")
    assert stored.array([0, None, INFINITY]).to_pylist() == ["1970-01-01", None, "infinity"]


def test_a_column_whose_stored_type_does_not_hold_it_is_an_error() -> None:
    with pytest.raises(FatalError, match="cannot be stored as Int16 exactly"):
        NEW.stored(col(Kind.INT32, stored_as="Int16"))


def test_a_refused_column_has_no_type() -> None:
    refused = Column("c", "varbit", None, nullable=True, refusal="because")
    with pytest.raises(FatalError, match="cannot be archived: because"):
        NEW.default(refused)


@pytest.mark.parametrize(
    ("ddl", "kind"),
    [
        ("Int8", Kind.INT8),
        ("Nullable(UInt64)", Kind.UINT64),
        ("String", None),
        ("Int128", None),
        (None, None),
    ],
)
def test_integer_kinds_of_types(ddl: str | None, kind: Kind | None) -> None:
    assert integer_kind(ddl) == kind


@pytest.mark.parametrize(
    ("ddl", "inner"),
    [
        ("String", "String"),
        ("Nullable(Decimal(10, 2))", "Decimal(10, 2)"),
        ("LowCardinality(Nullable(String))", "String"),
        ("Array(Nullable(String))", "Array(Nullable(String))"),
    ],
)
def test_a_type_without_nullable_and_low_cardinality(ddl: str, inner: str) -> None:
    assert bare(ddl) == inner
