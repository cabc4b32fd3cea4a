"""Many records at once are what each is alone: every recorded event, and every value that is taken or refused, mixed."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import pytest

from airflow_provider_chista.arrays import as_list
from airflow_provider_chista.clickhouse.guards import Between, Digits, Fraction, Guard
from airflow_provider_chista.clickhouse.types import TypeMap
from airflow_provider_chista.debezium.changes import UPSERTS, Change, Changes
from airflow_provider_chista.debezium.envelope import EnvelopeDecoder
from airflow_provider_chista.debezium.rows import DecodeError, SchemaDriftError
from airflow_provider_chista.debezium.toast import has_placeholder
from airflow_provider_chista.model import Column, Kind, Table, TableId
from airflow_provider_chista.temporal import FIRST_MICROSECOND, LAST_MICROSECOND, timestamp_text
from tests.unit.debezium.recorded import records
from tests.unit.debezium.test_encodings import ACCEPTED, COLUMNS, REFUSED
from tests.unit.debezium.test_golden_events import DECODED, archived

Found = Change | DecodeError | None

ID = Column("id", "int", Kind.INT32, nullable=False)


def alone(decoder: EnvelopeDecoder, value: bytes | None) -> Found:
    try:
        return None if value is None else decoder.change(value)
    except DecodeError as error:
        return error


def told(found: Found) -> Any:
    """The repr tells -0.0 from 0.0 and True from 1, and NaN equals itself."""
    if isinstance(found, Change):
        row = (found.op, repr(found.row), found.source_time_ms)
        return row if found.op in UPSERTS else (*row, found.transaction)
    return None if found is None else (type(found), str(found))


def by_place(changes: Changes) -> dict[int, Any]:
    """What became of each record that was decoded."""
    rows = zip(*map(as_list, changes.columns), strict=True) if changes.places else iter(())
    found: dict[int, Found] = {
        place: Change(op, tuple(row), "", time)
        for place, op, row, time in zip(changes.places, changes.ops, rows, changes.times, strict=True)
    }
    found |= changes.others | changes.errors
    if changes.drift:
        found[changes.upto] = changes.drift
    return {place: told(each) for place, each in found.items()}


def require_same(decoder: EnvelopeDecoder, values: Sequence[bytes | None]) -> Changes:
    changes = decoder.changes(values)
    each = [alone(decoder, value) for value in values]
    drifted = [place for place, found in enumerate(each) if isinstance(found, SchemaDriftError)]
    upto = drifted[0] if drifted else len(values)
    assert changes.upto == upto
    assert by_place(changes) == {
        place: told(found) for place, found in enumerate(each[: upto + 1]) if place <= upto
    }
    assert changes.places == sorted(changes.places)
    return changes


@pytest.mark.parametrize("guarded", [False, True], ids=["any", "as ClickHouse holds it"])
@pytest.mark.parametrize(("engine", "name"), DECODED)
def test_recorded_events_together_are_what_they_are_alone(engine: str, name: str, guarded: bool) -> None:
    made, types = archived(engine, name), TypeMap()
    guards = [types.stored(column).guard for column in made.stored] if guarded else ()
    decoder = EnvelopeDecoder(made, guards)
    values = [record.value for record in records(engine, name)]
    may_lack = any(not column.whole for column in made.stored)
    if may_lack and any(value and has_placeholder(value) for value in values):
        assert decoder.changes(values) == Changes(partial=True)
        values = [value for value in values if not value or not has_placeholder(value)]
    while values:
        changes = require_same(decoder, values)
        values = values[changes.upto + 1 :]  # behind a record with other columns


def event(sent: str, op: str, connector: str) -> bytes:
    source = f'{{"connector":"{connector}","ts_ms":1,"gtid":null}}'
    return f'{{"op":"{op}","source":{source},"after":{{"id":1,"c":{sent}}}}}'.encode()


@pytest.mark.parametrize("ops", ["c", "r", "rcu"])
@pytest.mark.parametrize("connector", ["mysql", "postgresql"])
@pytest.mark.parametrize("name", COLUMNS)
def test_values_of_every_encoding_mixed_are_what_they_are_alone(name: str, connector: str, ops: str) -> None:
    chance = random.Random(name)
    decoder = EnvelopeDecoder(Table(TableId("s", "t"), (ID, COLUMNS[name]), ("id",)))
    good = [sent for sent, _ in ACCEPTED[name]] + ["null"]
    bad = [sent for sent, _ in REFUSED.get(name, [])]
    # None, few and many bad ones; many values of few kinds, and each in several parts of the batch.
    for wrong in (0, 3, 60):
        sent = chance.choices(good, k=600) + (chance.choices(bad, k=wrong) if bad else [])
        chance.shuffle(sent)
        changes = require_same(decoder, [event(each, chance.choice(ops), connector) for each in sent])
        assert len(changes.errors) == (wrong if bad else 0)


@pytest.mark.parametrize("op", ["c", "r"])
@pytest.mark.parametrize("connector", ["mysql", "postgresql"])
@pytest.mark.parametrize("name", COLUMNS)
def test_values_of_one_shape_are_what_they_are_alone(name: str, connector: str, op: str) -> None:
    decoder = EnvelopeDecoder(Table(TableId("s", "t"), (ID, COLUMNS[name]), ("id",)))
    more = {"datetime": ["-12219292800000001", "-13000000000000000"], "timestamp": ['"1500-02-28T10:00:00Z"']}
    more |= {"decimal(5,2)": ['"007.50"', '"-0.50"', '"-0.00"'], "numeric": ['"007.50"', '"-0.0"']}
    for sent in [each for each, _ in ACCEPTED[name]] + more.get(name, []):
        require_same(decoder, [event(each, op, connector) for each in (*[sent] * 70, "null")])


@pytest.mark.parametrize(
    ("column", "sent"),
    [
        (Column("c", "date", Kind.DATE, True, stored_as="Date32"), "157054"),
        (Column("c", "datetime", Kind.DATETIME, True), "253402300800000000"),
        (Column("c", "datetime", Kind.DATETIME, True, stored_as="DateTime64(3, 'UTC')"), "1"),
        (Column("c", "decimal", Kind.DECIMAL, True, precision=3, scale=2), '"10.00"'),
    ],
)
def test_values_that_the_archive_cannot_hold_are_refused_together_too(column: Column, sent: str) -> None:
    decoder = EnvelopeDecoder(
        Table(TableId("s", "t"), (ID, column), ("id",)), [None, TypeMap().stored(column).guard]
    )
    changes = require_same(decoder, [event(sent, "c", "mysql")] * 100)
    assert len(changes.errors) == 100


def test_an_upsert_without_a_row_is_refused() -> None:
    decoder = EnvelopeDecoder(Table(TableId("s", "t"), (ID, COLUMNS["int"]), ("id",)))
    empty = b'{"op":"c","source":{"connector":"mysql","ts_ms":1,"gtid":null},"after":null}'
    assert len(require_same(decoder, [empty, event("5", "c", "mysql")]).errors) == 1


def test_places_are_those_of_the_records_whatever_lies_between() -> None:
    decoder = EnvelopeDecoder(Table(TableId("s", "t"), (ID, COLUMNS["int"]), ("id",)))
    delete = b'{"op":"d","source":{"connector":"mysql","ts_ms":9,"gtid":"g:7"},"after":null}'
    usual = event("5", "c", "mysql")
    values = [usual] * 700
    values[3:3] = [delete, None, b"{", event("2147483648", "u", "mysql")]
    changes = require_same(decoder, values)
    assert changes.places == [0, 1, 2, *range(7, 704)]
    assert {place: found and found.transaction for place, found in changes.others.items()} == {
        3: "g:7",
        4: None,
    }
    assert sorted(changes.errors) == [5, 6]


def test_nothing_behind_a_record_with_other_columns_is_decoded() -> None:
    decoder = EnvelopeDecoder(Table(TableId("s", "t"), (ID, COLUMNS["int"]), ("id",)))
    usual, other = event("5", "c", "mysql"), event('5,"more":1', "c", "mysql")
    changes = require_same(decoder, [usual] * 300 + [other] + [b"{"] * 300)
    assert (changes.upto, len(changes.places), changes.errors) == (300, 300, {})
    assert changes.drift
    assert changes.drift.unknown == ("more",)


BETWEEN = Between(FIRST_MICROSECOND, LAST_MICROSECOND, timestamp_text, "DateTime64(3, 'UTC')")
GUARDS: list[tuple[Guard, list[Any], list[Any]]] = [
    (BETWEEN, [FIRST_MICROSECOND, 0, LAST_MICROSECOND], [FIRST_MICROSECOND - 1, LAST_MICROSECOND + 1]),
    (
        Fraction(BETWEEN, 3),
        [FIRST_MICROSECOND, -1000, 0, 1000],
        [1, -1, 999, -999, LAST_MICROSECOND, LAST_MICROSECOND + 1],
    ),
    (Digits(3, 2), ["0.00", "-999.99", "007.50", "00001.00"], ["1000.00", "1.5", "1.505", "1", "1.00\n", "NaN", "1e2"]),
    (Digits(3, 0), ["0", "-999", "0007"], ["1000", "1.0", "0x1", " 1"]),
    (Digits(0, 2), ["0.05", ".05", "-0.99"], ["1.00", "0.5"]),
]  # fmt: skip


@pytest.mark.parametrize(("guard", "held", "refused"), GUARDS)
def test_a_guard_says_of_a_column_what_it_says_of_its_values(
    guard: Guard, held: list[Any], refused: list[Any]
) -> None:
    for value in held:
        guard(value)
    assert guard.holds([*held, None])
    assert guard.holds([None])
    assert guard.holds([])
    for value in refused:
        with pytest.raises(ValueError, match=r"outside|digits"):
            guard(value)
        assert not guard.holds([*held, value, None])


@pytest.mark.parametrize("wrong", [1, 5, 7, 8, 9, 40])
def test_rows_with_wrong_types_are_taken_out_few_or_many(wrong: int) -> None:
    chance = random.Random(wrong)
    sent = ['"7"'] * wrong + [str(number) for number in range(2_000)]
    chance.shuffle(sent)
    decoder = EnvelopeDecoder(
        Table(TableId("s", "t"), (ID, Column("c", "int", Kind.INT32, nullable=True)), ("id",))
    )
    changes = require_same(decoder, [event(each, "c", "mysql") for each in sent])
    assert (len(changes.errors), len(changes.places)) == (wrong, 2_000)


@pytest.mark.parametrize("only", [1, 2])
def test_rows_that_all_have_wrong_types_leave_none(only: int) -> None:
    decoder = EnvelopeDecoder(
        Table(TableId("s", "t"), (ID, Column("c", "int", Kind.INT32, nullable=True)), ("id",))
    )
    assert len(require_same(decoder, [event('"7"', "c", "mysql")] * only).errors) == only


@pytest.mark.parametrize("place", [0, 50, 60, 99])
@pytest.mark.parametrize("other", ["lacks", "more"])
def test_nothing_behind_a_row_with_other_columns_is_taken_whatever_is_wrong_around_it(
    place: int, other: str
) -> None:
    sent = [event('"7"' if number % 20 == 10 else "7", "c", "mysql") for number in range(100)]
    sent[place] = sent[place].replace(b'"c":', b'"c":7,"more":') if other == "more" else _without_c()
    decoder = EnvelopeDecoder(
        Table(TableId("s", "t"), (ID, Column("c", "int", Kind.INT32, nullable=True)), ("id",))
    )
    changes = require_same(decoder, sent)
    assert (changes.upto, bool(changes.drift)) == (place, True)
    assert all(at < place for at in changes.errors)


def _without_c() -> bytes:
    return event("7", "c", "mysql").replace(b',"c":7', b"")
