from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from airflow_provider_chista.arrays import as_list
from airflow_provider_chista.debezium.avro import (
    AvroDecoder,
    AvroReader,
    adjusted_name,
    decoder_of,
    original_name,
    refuse_avro,
)
from airflow_provider_chista.debezium.envelope import EnvelopeDecoder
from airflow_provider_chista.debezium.rows import DecodeError, SchemaDriftError
from airflow_provider_chista.errors import FatalError, TransientError
from airflow_provider_chista.model import Column, Kind, Table, TableId

TABLE = Table(
    TableId("shop", "order items"),
    (Column("id", "int", Kind.INT32, nullable=False), Column("a_b", "text", Kind.TEXT, nullable=True)),
    ("id",),
)
NAME = "p.shop.order_u005fitems"


def envelope(*columns: Mapping[str, Any], name: str = NAME) -> dict[str, Any]:
    row = {"type": "record", "name": "Value", "fields": [{"name": "id", "type": "int"}, *columns]}
    source = [{"name": "connector", "type": "string"}, {"name": "ts_ms", "type": "long"}]
    fields = {
        "before": ["null", row],
        "after": ["null", "Value"],
        "source": {"type": "record", "name": "Source", "namespace": "io.debezium", "fields": source},
        "op": "string",
    }
    return {
        "type": "record", "name": "Envelope", "namespace": name,
        "fields": [{"name": field, "type": kind} for field, kind in fields.items()],
    }  # fmt: skip


AB = {"name": "a_u005fb", "type": ["null", "string"], "default": None}
SCHEMAS: dict[int, Any] = {
    1: envelope(AB),
    2: {"type": "record", "name": "Key", "namespace": NAME, "fields": [{"name": "id", "type": "int"}]},
    3: envelope({"name": "a_u005fb", "type": [{"type": "string", "connect.default": "x"}, "null"], "default": "x"}),
    4: envelope(AB, name="p.shop.others"),
    5: envelope({"name": "a_b", "type": ["null", "string"]}),
    6: envelope(AB, {"name": "late", "type": ["null", "int"]}),
    7: ["null", "int"],
    8: envelope({"name": "a_u005fb", "type": [{"type": "bytes", "connect.default": "x"}, "null"]}),
    9: envelope({"name": "a_u005fb", "type": "int"}),
}  # fmt: skip
SOURCE = b"\x0amysql\xd0\x0f"


def value(number: int, row: bytes | None, op: bytes = b"c", rest: bytes = b"") -> bytes:
    """A record of a schema of the test; ``row`` is the binary form of the row behind its union."""
    after = b"\x00" if row is None else b"\x02" + row
    return b"\x00\x00\x00\x00" + bytes([number]) + b"\x00" + after + SOURCE + b"\x02" + op + rest


ROW = b"\x02\x02\x06abc"
"""Id 1 and abc, of schema 1."""
KEY = b"\x00\x00\x00\x00\x02\x02"


@pytest.fixture
def decoder() -> AvroDecoder:
    made = decoder_of(EnvelopeDecoder(TABLE), AvroReader(lambda number: json.dumps(SCHEMAS[number])))
    assert isinstance(made, AvroDecoder)
    return made


@given(st.text())
@example("_u0041")
@example("1st")
@example("emoji 😀")
@example("_")
@example("\ud800")
def test_every_name_comes_back_from_what_debezium_makes_of_it(name: str) -> None:
    adjusted = adjusted_name(name)
    assert adjusted.replace("_", "").isalnum() or not name
    assert adjusted.isascii()
    back = original_name(adjusted)
    assert back == name.encode("utf-16-be", "surrogatepass").decode("utf-16-be", "replace")


@pytest.mark.parametrize(
    ("name", "adjusted"),
    [
        ("a b", "a_u0020b"),
        ("dotted.name", "dotted_u002ename"),
        ("1st", "_u0031st"),
        ("_", "_u005f"),
        ("x_u0041", "x_u005fu0041"),
        ("Ümläut", "_u00dcml_u00e4ut"),
        ("emoji😀", "emoji_ud83d_ude00"),
    ],
)
def test_names_as_they_were_recorded(name: str, adjusted: str) -> None:
    assert (adjusted_name(name), original_name(adjusted)) == (adjusted, name)


def test_a_record_is_what_the_json_converter_would_have_written_but_for_what_nobody_reads(
    decoder: AvroDecoder,
) -> None:
    text = decoder.text(value(1, ROW))
    assert json.loads(text) == {
        "after": {"id": 1, "a_b": "abc"}, "source": {"connector": "mysql", "ts_ms": 1000}, "op": "c",
    }  # fmt: skip
    assert decoder.change(value(1, ROW)).row == (1, "abc")
    assert (decoder.key(KEY), decoder.key_of([7])) == ("1", "7")


def test_a_schema_is_asked_for_once() -> None:
    asked: list[int] = []

    def schema(number: int) -> str:
        asked.append(number)
        return json.dumps(SCHEMAS[number])

    reader = AvroReader(schema)
    for _ in range(3):
        reader.text(value(1, ROW))
    assert asked == [1]


def test_a_key_in_a_header_is_json_with_the_adjusted_names() -> None:
    odd = Table(TABLE.id, (Column("the key", "int", Kind.INT32, nullable=False),), ("the key",))
    made = AvroDecoder(EnvelopeDecoder(odd), AvroReader(str))
    assert made.key(b'{"the_u0020key":5}') == "5"
    for broken in (b"{", b"5", b"\xff"):
        with pytest.raises(DecodeError):
            made.key(broken)
    with pytest.raises(DecodeError, match="has no key"):
        made.key(None)


@pytest.mark.parametrize(
    ("record", "told"),
    [
        (b'{"op":"c"}', "the record is not Avro"),
        (b"", "the record is not Avro"),
        (b"\x00\x00\x00\x00", "the record is not Avro"),
        (b"\x01" + value(1, ROW)[1:], "the record is not Avro"),
        (value(1, ROW)[:-1], r"not of its schema 1, p\.shop\.order_items\.Envelope: a text or bytes of 1 bytes"),
        (value(1, None)[:6], "it ends too early"),
        (value(1, ROW, rest=b"\0"), "1 bytes are left over"),
        (value(1, b"\x02\x02\x04\xff\xff"), "not of its schema 1, .*invalid start byte"),
    ],
)  # fmt: skip
def test_a_damaged_record_is_refused_with_what_is_wrong(
    decoder: AvroDecoder, record: bytes, told: str
) -> None:
    with pytest.raises(DecodeError, match=told):
        decoder.change(record)


@pytest.mark.parametrize(
    ("number", "told"),
    [
        (4, r"schema 4 of the registry is of p\.shop\.others\.Envelope, not of shop\.order_items\.Envelope"),
        (5, "column a_b is not spelled as field.name.adjustment.mode=avro_unicode does"),
        (7, "schema 7 of the registry is not one that Debezium's connectors write"),
    ],
)
def test_a_schema_that_is_not_of_the_table_stops(decoder: AvroDecoder, number: int, told: str) -> None:
    with pytest.raises(FatalError, match=told):
        decoder.changes([value(number, ROW)])


@pytest.mark.parametrize("error", [FatalError("no such schema"), TransientError("no answer")])
def test_what_the_registry_raises_stops_and_is_asked_again(error: Exception) -> None:
    answers: list[Any] = [error, None]

    def schema(number: int) -> str:
        answer = answers.pop(0)
        if answer:
            raise answer
        return json.dumps(SCHEMAS[number])

    decoder = AvroDecoder(EnvelopeDecoder(TABLE), AvroReader(schema))
    with pytest.raises(type(error)):
        decoder.changes([value(1, ROW)])
    found = decoder.changes([value(1, ROW)])
    assert [as_list(column) for column in found.columns] == [[1], ["abc"]]


@pytest.mark.parametrize(
    ("number", "row", "doubtful"),
    [
        (3, b"\x02\x00\x02x", True),
        (3, b"\x02\x00\x02y", False),
        (3, b"\x02\x02", False),
        (8, b"\x02\x00\x02y", True),
    ],
)
def test_a_value_that_may_stand_for_null_is_refused(
    decoder: AvroDecoder, number: int, row: bytes, doubtful: bool
) -> None:
    if doubtful:
        with pytest.raises(DecodeError, match="column a_b is NULL or holds its default"):
            decoder.change(value(number, row))
    else:
        assert decoder.change(value(number, row)).row[0] == 1


def test_a_delete_is_never_doubtful(decoder: AvroDecoder) -> None:
    assert decoder.change(value(3, None, op=b"d")).op == "d"


def test_many_records_are_decoded_together_each_with_its_own_error(decoder: AvroDecoder) -> None:
    found = decoder.changes(
        [value(1, ROW), b"\0\0", None, value(1, ROW)[:-2], value(1, None, b"d"), value(1, ROW)]
    )
    assert found.places == [0, 5]
    assert [as_list(column) for column in found.columns] == [[1, 1], ["abc", "abc"]]
    assert sorted(found.errors) == [1, 3]
    assert {place: change.op if change else None for place, change in found.others.items()} == {
        2: None,
        4: "d",
    }
    assert (found.upto, found.drift) == (6, None)


def test_errors_behind_a_drift_are_not_told(decoder: AvroDecoder) -> None:
    found = decoder.changes([value(1, ROW), b"\0\0", value(6, ROW + b"\x00"), b"\0\0"])
    assert (found.upto, list(found.errors)) == (2, [1])
    assert isinstance(found.drift, SchemaDriftError)
    assert found.drift.unknown == ("late",)


def test_a_value_of_another_type_is_refused_by_the_strict_decoding(decoder: AvroDecoder) -> None:
    with pytest.raises(DecodeError, match="Expected `str"):
        decoder.change(value(9, b"\x02\x0e"))


def test_records_that_are_all_json_are_refused_and_one_among_others_is_not(decoder: AvroDecoder) -> None:
    with pytest.raises(FatalError, match="the connector writes JSON, so leave schema_registry_conn_id out"):
        decoder.changes([b'{"op":"c"}', b"{}"])
    assert list(decoder.changes([b"{}", value(1, ROW)]).errors) == [0]


def test_records_that_are_all_avro_are_refused_where_json_is_expected() -> None:
    with pytest.raises(FatalError, match="the records are Avro: give schema_registry_conn_id"):
        refuse_avro([value(1, ROW), None, value(1, ROW)])
    for other in ([value(1, ROW), b"{}"], [None], []):
        refuse_avro(other)
    plain = EnvelopeDecoder(TABLE)
    assert decoder_of(plain, None) is plain
