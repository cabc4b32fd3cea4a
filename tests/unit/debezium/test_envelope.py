"""The envelope decoder on recorded records of Debezium 3.5, and on everything that must not be accepted."""

from __future__ import annotations

import base64
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_chista.canonical import KEY_KINDS, parse_key
from airflow_provider_chista.clickhouse.types import TypeMap
from airflow_provider_chista.debezium.envelope import EnvelopeDecoder
from airflow_provider_chista.debezium.rows import DecodeError, SchemaDriftError
from airflow_provider_chista.errors import FatalError
from airflow_provider_chista.model import INTEGER_BOUNDS, Column, Kind, LeftOut, Table, TableId
from airflow_provider_chista.temporal import (
    FIRST_DAY,
    FIRST_MICROSECOND,
    LAST_DAY,
    LAST_MICROSECOND,
    time_text,
)
from tests.unit.debezium import recorded
from tests.unit.keys import key_text

GTID = "0a8d9975-e6ef-11f1-bf76-02fc00000001"


def table(*columns: Column, key: tuple[str, ...] = ("id",), **more: Any) -> Table:
    return Table(TableId("s", "t"), columns, key, **more)


def guarded(made: Table) -> EnvelopeDecoder:
    """A decoder as the drain has it: values must also fit into the archive's columns."""
    types = TypeMap()
    return EnvelopeDecoder(made, [types.stored(column).guard for column in (*made.columns, *made.gone)])


def col(name: str, kind: Kind, nullable: bool = True) -> Column:
    return Column(name, str(kind), kind, nullable)


ID = col("id", Kind.INT32, nullable=False)
PLAIN = guarded(table(ID, col("name", Kind.TEXT), col("day", Kind.DATE), col("big", Kind.UINT64)))
STRICT = EnvelopeDecoder(table(ID, col("name", Kind.TEXT, nullable=False)))


def event(after: str | None, op: str = "c", source: str = '"gtid":"g:1"') -> bytes:
    row = "" if after is None else f',"after":{after}'
    return f'{{"op":"{op}","source":{{"connector":"mysql","ts_ms":1,{source}}}{row}}}'.encode()


def row(**changed: str) -> str:
    fields = {"id": "1", "name": '"n"', "day": "0", "big": "0"} | changed
    return "{" + ",".join(f'"{name}":{text}' for name, text in fields.items()) + "}"


# What Debezium really sent.


@pytest.mark.parametrize("engine", ["mysql", "mariadb"])
def test_recorded_integers_arrive_exactly_with_the_upper_half_of_bigint_unsigned(engine: str) -> None:
    decoder = EnvelopeDecoder(recorded.table(engine, "t_int"))
    rows = {
        change.row[1]: change.row
        for change in (decoder.change(r.value) for r in recorded.records(engine, "t_int") if r.value)
        if change.op == "r"
    }
    assert rows["max"][2:] == (
        127, 255, 32767, 65535, 8388607, 16777215, 2147483647, 4294967295, 2**63 - 1, 2**64 - 1, 4294967295, 127, 1, 2155
    )  # fmt: skip
    assert rows["min"][2:4] == (-128, 0)
    assert rows["null"][2:] == (None,) * 14
    assert rows["2^63 and 2^53+1"][10:12] == (2**53 + 1, 2**63)


@pytest.mark.parametrize("engine", ["mysql", "mariadb", "postgres"])
def test_recorded_composite_keys_have_the_text_of_the_row_key_whatever_the_column_order(engine: str) -> None:
    decoder = EnvelopeDecoder(recorded.table(engine, "t_cpk"))
    assert [column.name for column in decoder.table.columns] == ["a", "b", "d", "label"]
    seen = [
        (decoder.change(record.value).op if record.value else "tombstone", decoder.key(record.key))
        for record in recorded.records(engine, "t_cpk")
    ]
    assert seen[:2] == [("r", "1:x|2024-01-01|1"), ("r", "3:y z|1899-12-31|18")]
    assert [op for op, _ in seen] == ["r", "r", "c", "d", "tombstone", "c", "d", "tombstone"]
    assert seen[5] == ("c", "5:moved|2024-01-01|1")


def test_the_transaction_is_the_gtid_on_mysql_and_the_xid_on_postgresql() -> None:
    def transactions(engine: str) -> list[str]:
        decoder = EnvelopeDecoder(recorded.table(engine, "t_cpk"))
        return [decoder.change(r.value).transaction for r in recorded.records(engine, "t_cpk") if r.value]

    assert transactions("mysql") == ["", "", *(f"{GTID}:{n}" for n in (210, 211, 211, 212))]
    # transaction.id of the last three differs from event to event; source.txId does not.
    assert transactions("postgres")[2:] == ["1195", "1196", "1196", "1197"]
    assert len(set(transactions("mariadb")[3:5])) == 1


def test_without_gtid_the_transaction_block_names_the_transaction() -> None:
    value = b'{"op":"d","source":{"connector":"mysql","ts_ms":1,"gtid":null},"transaction":{"id":"file=b.2,pos=1345"}}'
    assert PLAIN.change(value).transaction == "file=b.2,pos=1345"


@pytest.mark.parametrize("engine", ["mysql", "postgres"])
def test_a_recorded_truncate_is_an_operation_without_a_row(engine: str) -> None:
    [truncate] = [r for r in recorded.records(engine, "t_trunc") if r.value and b'"op":"t"' in r.value]
    assert truncate.key is None
    change = PLAIN.change(truncate.value or b"")
    assert (change.op, change.row) == ("t", ())


# What must not be accepted.

REFUSED = {
    "an integer above its type": row(id="2147483648"),
    "an integer below its type": row(id="-2147483649"),
    "an integer above 64 bits": row(big="18446744073709551616"),
    "a fraction of an integer": row(id="1.0"),
    "an exponent": row(id="1e0"),
    "a boolean for an integer": row(id="true"),
    "a text for an integer": row(id='"1"'),
    "NULL in NOT NULL": row(id="null"),
    "a number for a text": row(name="1"),
    "a list for a text": row(name='["n"]'),
    "a text for a date": row(day='"2024-01-01"'),
    "the day before 0001-01-01": row(day=str(FIRST_DAY - 1)),
    "the day behind 9999-12-31": row(day=str(LAST_DAY + 1)),
    "PostgreSQL infinity, snapshot": row(day="-622191234"),
    "PostgreSQL infinity, streamed": row(day="-2147472692"),
    "PostgreSQL -infinity, streamed": row(day="-2147472691"),
    "half a surrogate pair": row(name='"\\ud800"'),
}


@pytest.mark.parametrize("after", REFUSED.values(), ids=REFUSED)
def test_a_value_that_is_not_exactly_of_its_column_is_refused(after: str) -> None:
    with pytest.raises(DecodeError) as caught:
        PLAIN.change(event(after))
    assert not isinstance(caught.value, SchemaDriftError)


@pytest.mark.parametrize(
    "after", ['{"id":1}', '{"id":1,"name":"n","day":0,"big":0,"more":1}', row().replace("name", "Name")],
    ids=["a column is missing", "a column is new", "a column has another name"],
)  # fmt: skip
def test_other_columns_are_schema_drift(after: str) -> None:
    with pytest.raises(SchemaDriftError):
        PLAIN.change(event(after))


@pytest.mark.parametrize(
    "value",
    [
        b"", b"null", b"{", b"[]", b'"x"', b"{}",
        event(None), event("null"), event(row(), op="x"), event(row(), op=""),
        event(row()).replace(b'"n"', b'"\xff"'),
        event(row()).replace(b'"n"', b'"\xed\xa0\x80"'),
        event(row()).replace(b'"ts_ms":1', b'"ts_ms":"1"'),
        event(row())[:-1], event(row()) + b"x",
        event(row(name="[" * 100_000)), b"[" * 100_000,
        event(row()).replace(b'"op"', b'"before":' + b"[" * 100_000 + b"]" * 100_000 + b',"op"'),
    ],
)  # fmt: skip
def test_what_is_no_change_event_is_refused_as_a_single_record_and_not_as_a_change_of_columns(
    value: bytes,
) -> None:
    with pytest.raises(DecodeError) as caught:
        PLAIN.change(value)
    assert str(caught.value)
    assert not isinstance(caught.value, SchemaDriftError)


def test_null_is_null_and_not_a_default() -> None:
    assert PLAIN.change(event(row(name="null", day="null", big="null"))).row == (1, None, None, None)
    with pytest.raises(DecodeError, match=r"after\.name"):
        STRICT.change(event('{"id":1,"name":null}'))


def test_before_is_never_read() -> None:
    value = event(None, op="d").replace(b'"op"', b'"before":{"anything":[1]},"op"')
    assert PLAIN.change(value).row == ()


def test_the_source_time_is_in_milliseconds() -> None:
    assert PLAIN.change(event(row())).source_time_ms == 1


@pytest.mark.parametrize(
    "key", [None, b"", b"null", b"[1]", b'{"id":null}', b'{"id":1.0}', b'{"id":"\xff"}', b'{"id":2147483648}']
)
def test_a_key_whose_value_is_not_one_of_the_primary_key_is_refused(key: bytes | None) -> None:
    with pytest.raises(DecodeError) as caught:
        PLAIN.key(key)
    assert not isinstance(caught.value, SchemaDriftError)


@pytest.mark.parametrize("key", [b"{}", b'{"id":1,"x":2}', b'{"ID":1}'])
def test_a_key_of_other_columns_is_schema_drift(key: bytes) -> None:
    with pytest.raises(SchemaDriftError):
        PLAIN.key(key)


# Columns that the archive got later, that the source dropped, that are left out.

CHANGING = guarded(
    table(
        ID,
        col("name", Kind.TEXT),
        Column("later", "int", Kind.INT32, nullable=True, added=True),
        gone=(Column("gone", "int", Kind.INT32, nullable=True, stored_as="Nullable(Int32)", added=True),),
        left_out=(LeftOut("sum", generated=True), LeftOut("secret", generated=False)),
    )
)


@pytest.mark.parametrize(
    ("after", "decoded"),
    [
        ('{"id":1,"name":null}', (1, None, None, None)),
        ('{"id":1,"name":"n","later":null,"gone":null}', (1, "n", None, None)),
        ('{"id":1,"name":"n","later":2}', (1, "n", 2, None)),
        ('{"gone":3,"name":"n","id":1}', (1, "n", None, 3)),
        ('{"id":1,"sum":5,"secret":{"any":["thing",1e400,null]},"name":"n"}', (1, "n", None, None)),
        ('{"id":1,"name":"n","sum":null,"later":2,"secret":"x","gone":3}', (1, "n", 2, 3)),
    ],
)
def test_columns_added_later_or_gone_may_be_missing_and_left_out_ones_are_skipped(
    after: str, decoded: tuple[Any, ...]
) -> None:
    assert CHANGING.change(event(after)).row == decoded


@pytest.mark.parametrize("sent", ['"later":"2"', '"gone":2147483648', '"later":1.5', '"gone":true'])
def test_columns_added_later_or_gone_are_decoded_as_strictly_as_others(sent: str) -> None:
    with pytest.raises(DecodeError, match=r"after\.(later|gone)"):
        CHANGING.change(event(f'{{"id":1,"name":"n",{sent}}}'))


@pytest.mark.parametrize(
    "after",
    [
        '{"id":1}',
        '{"id":1,"later":2,"gone":3}',
        '{"id":1,"name":"n","new":null}',
        '{"id":1,"name":"n","Sum":1}',
    ],
)
def test_a_missing_original_column_and_an_unknown_one_stay_schema_drift(after: str) -> None:
    with pytest.raises(SchemaDriftError):
        CHANGING.change(event(after))


def test_a_record_without_a_column_of_the_key_is_refused_by_itself() -> None:
    with pytest.raises(DecodeError, match="no id, which is of the primary key") as caught:
        CHANGING.change(event('{"name":"n"}'))
    assert not isinstance(caught.value, SchemaDriftError)


@pytest.mark.parametrize(
    ("sent", "key"), [(-1, str(2**64 - 1)), (0, "0"), (2**63 - 1, str(2**63 - 1)), (-(2**63), str(2**63))]
)
def test_bigint_unsigned_keys_are_unsigned(sent: int, key: str) -> None:
    decoder = EnvelopeDecoder(table(col("id", Kind.UINT64, False)))
    assert decoder.key(b'{"id":%d}' % sent) == key
    assert decoder.change(event(f'{{"id":{sent}}}')).row == (int(key),)


def test_a_table_that_cannot_be_archived_has_no_decoder() -> None:
    with pytest.raises(FatalError, match="no primary key"):
        EnvelopeDecoder(table(ID, key=()))
    with pytest.raises(FatalError, match=r"doc \(json\): not supported"):
        EnvelopeDecoder(table(ID, Column("doc", "json", None, True, "not supported")))


def same(values: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Any, Any]]:
    return values.map(lambda value: (value, value))


def paired(values: st.SearchStrategy[Any], decoded: Any) -> st.SearchStrategy[tuple[Any, Any]]:
    return values.map(lambda value: (value, decoded(value)))


FINITE = {"allow_nan": False, "allow_infinity": False}
SPECIAL = st.sampled_from([("Infinity", float("inf")), ("-Infinity", float("-inf"))])
SENT: dict[Kind, st.SearchStrategy[tuple[Any, Any]]] = {
    **{kind: same(st.integers(*bounds)) for kind, bounds in INTEGER_BOUNDS.items()},
    Kind.UINT64: paired(st.integers(-(2**63), 2**63 - 1), lambda value: value % 2**64),
    Kind.BOOL: same(st.booleans()),
    Kind.DECIMAL: same(st.integers(-(10**9), 10**9).map(str)),
    Kind.FLOAT32: same(st.floats(width=32, **FINITE)),
    Kind.FLOAT64: same(st.floats(**FINITE)),
    Kind.IEEE32: same(st.floats(width=32, **FINITE)) | SPECIAL,
    Kind.IEEE64: same(st.floats(**FINITE)) | SPECIAL,
    Kind.DATE: same(st.integers(FIRST_DAY, LAST_DAY)),
    Kind.TIME: paired(st.integers(-3_020_399_999_999, 3_020_399_999_999), time_text),
    Kind.DATETIME: same(st.integers(FIRST_MICROSECOND, LAST_MICROSECOND)),
    Kind.UUID: same(st.uuids().map(str)),
    Kind.BYTES: st.binary().map(lambda value: (base64.b64encode(value).decode(), value)),
    Kind.TEXT: same(st.text()),
}
"""Of each kind: a value as it travels, and as it is decoded."""


@given(st.lists(st.sampled_from(list(Kind)), min_size=1, max_size=6).flatmap(
    lambda kinds: st.tuples(st.just(kinds), st.tuples(*(SENT[kind] for kind in kinds)))
))  # fmt: skip
def test_every_value_comes_back_and_every_key_can_be_parsed(
    drawn: tuple[list[Kind], tuple[tuple[Any, Any], ...]],
) -> None:
    kinds, pairs = drawn
    names = [f"c{index}" for index in range(len(kinds))]
    keys = [(name, kind) for name, kind in zip(names, kinds, strict=True) if kind in KEY_KINDS]
    made = table(
        ID,
        *(col(name, kind, False) for name, kind in zip(names, kinds, strict=True)),
        key=("id", *(name for name, _ in keys)),
    )
    decoder = guarded(made)
    sent = {"id": 7} | dict(zip(names, (value for value, _ in pairs), strict=True))
    decoded = decoder.change(event(msgspec.json.encode(sent).decode())).row
    # The repr tells -0.0 from 0.0, and True from 1.
    assert [repr(value) for value in decoded] == ["7", *(repr(value) for _, value in pairs)]
    key = decoder.key(msgspec.json.encode({"id": 7} | {name: sent[name] for name, _ in keys}))
    key_kinds = [Kind.INT32, *(kind for _, kind in keys)]
    assert key_text(key_kinds, parse_key(key_kinds, key)) == key
    assert key == decoder.key_of([7, *(dict(zip(names, decoded[1:], strict=True))[name] for name, _ in keys)])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(**FINITE) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)
ACCEPTS: dict[Kind, Any] = {
    Kind.INT32: lambda value: type(value) is int and -(2**31) <= value < 2**31,
    Kind.BOOL: lambda value: type(value) is bool,
    Kind.TEXT: lambda value: type(value) is str,
    Kind.DATE: lambda value: type(value) is int and FIRST_DAY <= value <= LAST_DAY,
}
"""Which JSON values are of a kind, said once more."""


@given(st.sampled_from(list(ACCEPTS)), JSON, st.booleans())
def test_any_json_at_all_gives_a_row_only_when_it_is_a_value_of_the_kind(
    kind: Kind, value: Any, nullable: bool
) -> None:
    decoder = guarded(table(ID, col("c", kind, nullable)))
    sent = event(json.dumps({"id": 1, "c": value}))
    if ACCEPTS[kind](value) or (value is None and nullable):
        assert decoder.change(sent).row == (1, value)
    else:
        with pytest.raises(DecodeError, match=r"after\.c`|column c:"):
            decoder.change(sent)


@given(JSON)
def test_any_json_at_all_in_the_place_of_an_event_is_refused(value: Any) -> None:
    with pytest.raises(DecodeError):
        PLAIN.change(json.dumps(value).encode())


@given(st.binary())
def test_any_bytes_at_all_in_the_place_of_an_event_or_a_key_are_refused(value: bytes) -> None:
    with pytest.raises(DecodeError):
        PLAIN.change(value)
    with pytest.raises(DecodeError):
        PLAIN.key(value)
