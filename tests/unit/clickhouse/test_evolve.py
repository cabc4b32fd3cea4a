"""A column of an archive table against the source's: what fits, what follows, and what a person has to decide on."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_chista.clickhouse.evolve import compare
from airflow_provider_chista.clickhouse.layout import noted
from airflow_provider_chista.errors import FatalError
from airflow_provider_chista.model import INTEGER_BOUNDS, Column, Encoding, Kind
from tests.unit.clickhouse.tables import (
    BIGINT,
    INT,
    TARGET,
    TEXT,
    TYPES,
    applied,
    col,
    created,
    dec,
    own,
    source,
)


@dataclass
class Outcome:
    """What :func:`compare` is expected to find for column ``c``.

    :param difference: a part of the only difference; None: there is none.
    :param widened: its new type; :param stored: its type afterwards, where it fits.
    """

    difference: str | None = None
    widened: str | None = None
    stored: str | None = None


def fits(stored: str) -> Outcome:
    return Outcome(stored=stored)


def widens(ddl: str) -> Outcome:
    return Outcome(widened=ddl, stored=ddl)


def differs(part: str) -> Outcome:
    return Outcome(difference=part)


OTHERWISE = "records from before would be read as other values"
CHANGES: dict[str, tuple[Column, Column, Outcome]] = {
    "nothing": (INT, INT, fits("Nullable(Int32)")),
    "a wider integer": (INT, BIGINT, widens("Nullable(Int64)")),
    "a wider integer, not null": (replace(INT, nullable=False), replace(BIGINT, nullable=False), widens("Int64")),
    "a narrower integer": (BIGINT, INT, fits("Nullable(Int64)")),
    "a wider unsigned integer": (col(Kind.UINT8), col(Kind.UINT64), widens("Nullable(UInt64)")),
    "a signed integer becomes unsigned": (INT, col(Kind.UINT32), widens("Nullable(Int64)")),
    "an unsigned integer becomes signed": (col(Kind.UINT16), col(Kind.INT16), widens("Nullable(Int32)")),
    "an unsigned integer becomes signed and wider": (col(Kind.UINT32), col(Kind.INT64), widens("Nullable(Int64)")),
    "a signed integer becomes the widest unsigned": (INT, col(Kind.UINT64), differs("is Nullable(Int32), it must be")),
    "the widest unsigned integer becomes signed": (col(Kind.UINT64), BIGINT, differs("is Nullable(UInt64), it must be")),
    "more digits before the point": (dec(10, 2), dec(12, 2), widens("Nullable(Decimal(12, 2))")),
    "fewer digits before the point": (dec(10, 2), dec(6, 2), fits("Nullable(Decimal(10, 2))")),
    "more digits behind the point": (dec(10, 2), dec(12, 4), widens("Nullable(Decimal(12, 4))")),
    "more behind and fewer before the point": (dec(10, 2), dec(10, 4), widens("Nullable(Decimal(12, 4))")),
    "fewer digits behind the point": (dec(10, 2), dec(10, 1), differs("is Nullable(Decimal(10, 2)), it must be")),
    "the widest decimal": (dec(38, 0), dec(76, 38), widens("Nullable(Decimal(76, 38))")),
    "beyond the widest decimal": (dec(60, 0), dec(65, 30), differs("it must be Nullable(Decimal(65, 30))")),
    "a decimal of 100 digits": (dec(60, 0), dec(100, 0), differs("it must be Nullable(String)")),
    "a decimal becomes an integer": (dec(10, 0), BIGINT, differs("it must be Nullable(Int64)")),
    "an integer becomes a decimal": (INT, dec(10, 2), differs("it must be Nullable(Decimal(10, 2))")),
    "a double becomes a float": (col(Kind.FLOAT64), col(Kind.FLOAT32), fits("Nullable(Float64)")),
    "NOT NULL dropped": (replace(INT, nullable=False), INT, widens("Nullable(Int32)")),
    "NOT NULL dropped, of a text": (replace(TEXT, nullable=False), TEXT, widens("Nullable(String)")),
    "NOT NULL dropped, and wider": (replace(INT, nullable=False), BIGINT, widens("Nullable(Int64)")),
    "NOT NULL added": (INT, replace(INT, nullable=False), fits("Nullable(Int32)")),
    "a longer text": (TEXT, col(Kind.TEXT, "text"), fits("Nullable(String)")),
    "a text becomes an integer": (TEXT, INT, differs("is Nullable(String), it must be Nullable(Int32)")),
    "an integer becomes a text": (INT, TEXT, differs("is Nullable(Int32), it must be Nullable(String)")),
    "a text becomes bytes": (TEXT, col(Kind.BYTES, "blob"), differs(OTHERWISE)),
    "a date becomes a timestamp": (col(Kind.DATE), col(Kind.DATETIME), differs(OTHERWISE)),
    "a timestamp becomes a date": (col(Kind.DATETIME), col(Kind.DATE), differs("it must be Nullable(DateTime64(0, 'UTC'))")),
    "a timestamp gets a time zone": (col(Kind.DATETIME), col(Kind.DATETIME, encoding=Encoding.ZONED), differs(OTHERWISE)),
    "a flag becomes a number": (col(Kind.BOOL), col(Kind.INT8), differs("it must be Nullable(Int8)")),
    "a UUID becomes a text": (col(Kind.UUID), TEXT, differs("is Nullable(UUID), it must be Nullable(String)")),
    "another type of elements": (
        col(Kind.TEXT, "integer[]", encoding=Encoding.ARRAY, element="integer"),
        col(Kind.TEXT, "text[]", encoding=Encoding.ARRAY, element="text"),
        differs(OTHERWISE),
    ),
    "a longer bit string": (
        col(Kind.TEXT, "bit(8)", encoding=Encoding.BIT_STRING, precision=8),
        col(Kind.TEXT, "bit(16)", encoding=Encoding.BIT_STRING, precision=16),
        differs(OTHERWISE),
    ),
    "more labels": (
        col(Kind.TEXT, "enum('a')", encoding=Encoding.LABEL, labels=("a",)),
        col(Kind.TEXT, "enum('a','b')", encoding=Encoding.LABEL, labels=("a", "b")),
        fits("Nullable(String)"),
    ),
    "an enum becomes a text": (
        col(Kind.TEXT, "enum('a')", encoding=Encoding.LABEL, labels=("a",)), TEXT, fits("Nullable(String)"),
    ),
    "an enum with an escaped label becomes a text": (
        col(Kind.TEXT, "enum('a,b')", encoding=Encoding.LABEL, labels=("a,b",)), TEXT, differs(OTHERWISE),
    ),
}  # fmt: skip
"""A column as the archive was made for it, as the source has it now, and what follows."""


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_of_a_column(name: str) -> None:
    before, now, wanted = CHANGES[name]
    fit = compare(TYPES, source(now), created(source(before)))
    if wanted.difference is not None:
        assert len(fit.differences) == 1
        assert fit.differences[0].startswith("column c ")
        assert wanted.difference in fit.differences[0]
        with pytest.raises(FatalError, match=re.escape(wanted.difference)):
            fit.require(TARGET)
        return
    fit.require(TARGET)
    assert [(column.name, ddl) for column, ddl in fit.changes] == (
        [("c", wanted.widened)] if wanted.widened else []
    )
    assert (fit.missing, fit.freed, fit.adopted.gone) == ((), (), ())
    assert fit.is_complete is (wanted.widened is None)
    adopted = fit.adopted.column("c")
    assert (adopted.stored_as, adopted.added) == (wanted.stored, False)
    # Both what the column holds now and what it held before fits into the type, without becoming another value.
    for column in (before, now):
        assert TYPES.holding(
            replace(column, scale=adopted.scale, precision=adopted.precision), wanted.stored or ""
        )


@pytest.mark.parametrize(
    ("before", "now"), [(b, n) for b, n, wanted in CHANGES.values() if wanted.difference is None]
)
def test_what_the_alterations_make_of_the_table_fits(before: Column, now: Column) -> None:
    """After the ALTERs the comparison finds nothing to do, and a reader of the comments finds the column of now."""
    existing = created(source(before))
    fit = compare(TYPES, source(now), existing)
    altered = applied(existing, fit)
    again = compare(TYPES, source(now), altered)
    assert (again.alterations(), again.differences) == ([], ())
    assert again.adopted == fit.adopted
    kept = noted("c", altered.columns["c"][1], altered.columns["c"][0])
    assert kept
    assert (kept.declared, kept.sent_as) == (now.declared, fit.adopted.column("c").sent_as)


INTEGERS = st.sampled_from(sorted(INTEGER_BOUNDS))


@given(INTEGERS, INTEGERS)
def test_whatever_integers_become_the_archive_holds_both_or_says_that_it_cannot(
    before: Kind, now: Kind
) -> None:
    fit = compare(TYPES, source(col(now)), created(source(col(before))))
    ends = INTEGER_BOUNDS[before] + INTEGER_BOUNDS[now]
    holding = [k for k, (low, high) in INTEGER_BOUNDS.items() if low <= min(ends) and max(ends) <= high]
    assert bool(fit.differences) is not bool(holding)
    if holding:
        kind = fit.adopted.column("c").kind
        assert kind in holding
        assert (
            fit.adopted.column("c").stored_as
            == f"Nullable({str(kind).replace('uint', 'UInt').replace('int', 'Int')})"
        )


WIDTHS = st.integers(1, 76).flatmap(lambda digits: st.tuples(st.just(digits), st.integers(0, digits)))


@given(WIDTHS, WIDTHS)
def test_whatever_decimals_become_no_digit_of_either_is_lost(
    before: tuple[int, int], now: tuple[int, int]
) -> None:
    fit = compare(TYPES, source(dec(*now)), created(source(dec(*before))))
    whole = max(before[0] - before[1], now[0] - now[1])
    if now[1] < before[1] or whole + now[1] > 76:
        assert fit.differences
    else:
        fit.require(TARGET)
        digits, scale = map(int, re.findall(r"\d+", fit.adopted.column("c").stored_as or ""))
        assert scale == now[1]
        assert digits - scale >= whole


# A table of the user's own.

OWN: list[tuple[Column, str, str | None]] = [
    (INT, "Nullable(Int32)", None),
    (INT, "Nullable(Int64)", None),
    (replace(INT, nullable=False), "Nullable(Int32)", None),
    (INT, "Int32", "column c is Int32, it must be Nullable(Int32)"),
    (INT, "Nullable(Int16)", "column c is Nullable(Int16), it must be Nullable(Int32)"),
    (INT, "Nullable(UInt32)", "column c is Nullable(UInt32), it must be"),
    (TEXT, "LowCardinality(Nullable(String))", None),
    (TEXT, "LowCardinality(String)", "it must be LowCardinality(Nullable(String))"),
    (TEXT, "Nullable(FixedString(10))", "it must be Nullable(String)"),
    (dec(10, 2), "Nullable(Decimal(12, 2))", None),
    (dec(10, 2), "Nullable(Float64)", "it must be Nullable(Decimal(10, 2))"),
    (dec(10, 2), "Nullable(Decimal(10, 1))", "it must be"),
    (col(Kind.DATE), "Nullable(Date32)", None),
    (col(Kind.DATE), "Nullable(Date)", "it must be Nullable(DateTime64(0, 'UTC'))"),
    (col(Kind.DATETIME), "Nullable(DateTime)", "it must be Nullable(DateTime64(6, 'UTC'))"),
]  # fmt: skip


@pytest.mark.parametrize(("column", "ddl", "difference"), OWN)
def test_a_table_of_the_users_own_is_accepted_when_it_is_exact_and_refused_instead_of_altered(
    column: Column, ddl: str, difference: str | None
) -> None:
    fit = compare(TYPES, source(column), own(id="Int32", c=ddl))
    assert (fit.changes, fit.freed, fit.notes, fit.note) == ((), (), (), None)
    if difference is None:
        fit.require(TARGET)
        assert fit.adopted.column("c").stored_as == ddl
    else:
        assert len(fit.differences) == 1
        assert difference in fit.differences[0]
