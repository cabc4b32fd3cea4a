"""The envelope decoder on recorded records of Debezium 3.5, and on everything that must not be accepted."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_chista.canonical import FIRST_DAY, LAST_DAY, parse_key
from airflow_provider_chista.debezium.envelope import DecodeError, EnvelopeDecoder, SchemaDriftError
from airflow_provider_chista.debezium.settings import UNAVAILABLE_VALUE
from airflow_provider_chista.errors import FatalError
from airflow_provider_chista.model import INTEGER_BOUNDS, Column, Kind, Table, TableId

EVENTS = Path(__file__).parents[2] / "data" / "events.jsonl"
GTID = "0a8d9975-e6ef-11f1-bf76-02fc00000001"


def recorded(topic: str) -> Iterator[tuple[bytes | None, bytes | None]]:
    for line in EVENTS.read_text(encoding="utf-8").splitlines():
        record = json.loads(line)
        if record["topic"] == topic:
            yield tuple(
                text.encode() if text is not None else None for text in (record["key"], record["value"])
            )


def table(*columns: Column, key: tuple[str, ...] = ("id",)) -> Table:
    return Table(TableId("s", "t"), columns, key)


def col(name: str, kind: Kind, nullable: bool = True) -> Column:
    return Column(name, str(kind), kind, nullable)


ID = col("id", Kind.INT32, nullable=False)
PLAIN = EnvelopeDecoder(table(ID, col("name", Kind.TEXT), col("day", Kind.DATE), col("big", Kind.UINT64)))
STRICT = EnvelopeDecoder(table(ID, col("name", Kind.TEXT, nullable=False)))


def event(after: str | None, op: str = "c", source: str = '"gtid":"g:1"') -> bytes:
    row = "" if after is None else f',"after":{after}'
    return f'{{"op":"{op}","source":{{"connector":"mysql","ts_ms":1,{source}}}{row}}}'.encode()


def row(**changed: str) -> str:
    fields = {"id": "1", "name": '"n"', "day": "0", "big": "0"} | changed
    return "{" + ",".join(f'"{name}":{text}' for name, text in fields.items()) + "}"


# What Debezium really sent.

T_INT = table(
    ID,
    col("label", Kind.TEXT),
    col("ti", Kind.INT8), col("tiu", Kind.UINT8), col("si", Kind.INT16), col("siu", Kind.UINT16),
    col("mi", Kind.INT32), col("miu", Kind.UINT32), col("i", Kind.INT32), col("iu", Kind.UINT32),
    col("bi", Kind.INT64), col("biu", Kind.UINT64), col("zf", Kind.UINT32), col("t1", Kind.INT8),
    col("bo", Kind.INT8), col("y", Kind.UINT16),
)  # fmt: skip


def test_recorded_integers_arrive_exactly_with_the_upper_half_of_bigint_unsigned() -> None:
    decoder = EnvelopeDecoder(T_INT)
    rows = {
        change.row[1]: change.row
        for change in (decoder.change(v) for _, v in recorded("gold_mysql_iso.gold_my.t_int") if v)
    }
    assert rows["max"][2:] == (
        127, 255, 32767, 65535, 8388607, 16777215, 2147483647, 4294967295, 2**63 - 1, 2**64 - 1, 4294967295, 127, 1, 2155
    )  # fmt: skip
    assert rows["min"][2:4] == (-128, 0)
    assert rows["null"][2:] == (None,) * 14
    assert rows["2^63 and 2^53+1"][10:12] == (2**53 + 1, 2**63)


@pytest.mark.parametrize(
    "topic", ["gold_mysql.gold_my.t_cpk", "gold_mariadb.gold_ma.t_cpk", "gold_pg.public.t_cpk"]
)
def test_recorded_composite_keys_have_the_text_of_the_row_key_whatever_the_column_order(topic: str) -> None:
    decoder = EnvelopeDecoder(
        table(
            col("a", Kind.INT32, False), col("b", Kind.TEXT, False), col("d", Kind.DATE, False), col("label", Kind.TEXT),
            key=("b", "d", "a"),
        )
    )  # fmt: skip
    seen = [
        (decoder.change(value).op if value else "tombstone", decoder.key(key))
        for key, value in recorded(topic)
    ]
    assert seen[:2] == [("r", "1:x|2024-01-01|1"), ("r", "3:y z|1899-12-31|18")]
    assert [op for op, _ in seen] == ["r", "r", "c", "d", "tombstone", "c", "d", "tombstone"]
    assert seen[5] == ("c", "5:moved|2024-01-01|1")


def test_the_transaction_is_the_gtid_on_mysql_and_the_xid_on_postgresql() -> None:
    columns = (
        col("a", Kind.INT32, False),
        col("b", Kind.TEXT, False),
        col("d", Kind.DATE, False),
        col("label", Kind.TEXT),
    )
    decoder = EnvelopeDecoder(table(*columns, key=("b", "d", "a")))

    def transactions(topic: str) -> list[str]:
        return [decoder.change(value).transaction for _, value in recorded(topic) if value]

    assert transactions("gold_mysql.gold_my.t_cpk") == [
        "",
        "",
        *(f"{GTID}:{n}" for n in (210, 211, 211, 212)),
    ]
    # transaction.id of the last three differs from event to event; source.txId does not.
    assert transactions("gold_pg.public.t_cpk")[2:] == ["1195", "1196", "1196", "1197"]
    assert len(set(transactions("gold_mariadb.gold_ma.t_cpk")[3:5])) == 1


def test_without_gtid_the_transaction_block_names_the_transaction() -> None:
    value = b'{"op":"d","source":{"connector":"mysql","ts_ms":1,"gtid":null},"transaction":{"id":"file=b.2,pos=1345"}}'
    assert PLAIN.change(value).transaction == "file=b.2,pos=1345"


def test_a_recorded_toast_placeholder_is_refused_and_says_what_to_do() -> None:
    columns = [col(name, Kind.TEXT) for name in ("label", "big")]
    decoder = EnvelopeDecoder(table(ID, *columns))
    small, toasted = (json.loads(value) for _, value in recorded("gold_pg.public.t_toast") if value)
    for value in (small, toasted):
        value["after"] = {name: value["after"][name] for name in ("id", "label", "big")}
    assert decoder.change(json.dumps(small).encode()).row == (2, "small", "small")
    assert toasted["after"]["big"] == "__debezium_unavailable_value"  # recorded with Debezium's default
    toasted["after"]["big"] = UNAVAILABLE_VALUE
    with pytest.raises(DecodeError, match="REPLICA IDENTITY FULL"):
        decoder.change(json.dumps(toasted).encode())


def test_a_recorded_truncate_is_an_operation_without_a_row() -> None:
    values = [value for _, value in recorded("gold_mysql.gold_my.t_trunc")]
    assert values
    assert {PLAIN.change(value).op for value in values if value} == {"t"}


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
    "the TOAST placeholder": row(name=json.dumps(UNAVAILABLE_VALUE)),
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
    ],
)  # fmt: skip
def test_what_is_no_change_event_is_refused(value: bytes) -> None:
    with pytest.raises(DecodeError) as caught:
        PLAIN.change(value)
    assert str(caught.value)


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
    "key", [None, b"", b"null", b"{}", b'{"id":null}', b'{"id":1,"x":2}', b'{"id":1.0}', b'{"id":"\xff"}']
)
def test_a_key_that_is_not_the_primary_key_is_refused(key: bytes | None) -> None:
    with pytest.raises(DecodeError):
        PLAIN.key(key)


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
    with pytest.raises(FatalError, match="json"):
        EnvelopeDecoder(table(ID, Column("doc", "json", None, True, "not supported")))


VALUES: dict[Kind, st.SearchStrategy[Any]] = {
    **{
        kind: st.integers(*bounds)
        for kind, bounds in (INTEGER_BOUNDS | {Kind.UINT64: (-(2**63), 2**63 - 1)}).items()
    },
    Kind.DATE: st.integers(FIRST_DAY, LAST_DAY),
    Kind.TEXT: st.text(),
}


@given(st.lists(st.sampled_from(list(Kind)), min_size=1, max_size=6).flatmap(
    lambda kinds: st.tuples(st.just(kinds), st.tuples(*(VALUES[kind] for kind in kinds)))
))  # fmt: skip
def test_every_value_comes_back_and_every_key_can_be_parsed(
    drawn: tuple[list[Kind], tuple[Any, ...]],
) -> None:
    kinds, values = drawn
    names = [f"c{index}" for index in range(len(kinds))]
    decoder = EnvelopeDecoder(
        table(*(col(name, kind, False) for name, kind in zip(names, kinds, strict=True)), key=tuple(names))
    )
    sent = msgspec.json.encode(dict(zip(names, values, strict=True)))
    wanted = tuple(
        value + 2**64 if kind is Kind.UINT64 and value < 0 else value
        for kind, value in zip(kinds, values, strict=True)
    )
    assert decoder.change(event(sent.decode())).row == wanted
    parsed = parse_key(kinds, decoder.key(sent))
    assert [v for k, v in zip(kinds, parsed, strict=True) if k is not Kind.DATE] == [
        v for k, v in zip(kinds, wanted, strict=True) if k is not Kind.DATE
    ]
