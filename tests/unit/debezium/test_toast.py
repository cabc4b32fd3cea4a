"""The placeholder of an unchanged TOAST value, in each shape that PostgreSQL's connector gives it.

Those of ``bytea``, ``uuid[]``, ``date[]`` and the arrays of bytes were seen with the provider's settings on a real server.
The UUID is Java's ``UUID.nameUUIDFromBytes`` of the placeholder.
"""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from airflow_provider_chista.clickhouse.types import TypeMap
from airflow_provider_chista.debezium.envelope import EnvelopeDecoder
from airflow_provider_chista.debezium.rows import DecodeError, SchemaDriftError
from airflow_provider_chista.debezium.settings import UNAVAILABLE_VALUE
from airflow_provider_chista.debezium.toast import UNCHANGED, has_placeholder
from airflow_provider_chista.model import Column, Encoding, Kind, LeftOut, Table, TableId
from tests.unit.debezium import recorded


def base64_of(text: str) -> str:
    return json.dumps(base64.b64encode(text.encode()).decode())


TEXT = json.dumps(UNAVAILABLE_VALUE)
BASE64 = base64_of(UNAVAILABLE_VALUE)
BYTES = json.dumps(list(UNAVAILABLE_VALUE.encode()), separators=(",", ":"))
UUID = "4a217ab4-e580-37c4-8f75-faca11f27914"


def column(kind: Kind, encoding: Encoding | None = None, nullable: bool = True, **more: Any) -> Column:
    return Column("c", str(kind), kind, nullable, encoding=encoding, **more)


def array(element: str, nullable: bool = True) -> Column:
    return column(Kind.TEXT, Encoding.ARRAY, nullable, element=element)


SHAPES: dict[str, tuple[Column, str]] = {
    "text": (column(Kind.TEXT), TEXT),
    "jsonb": (column(Kind.TEXT), TEXT),
    "numeric": (column(Kind.TEXT, Encoding.NUMERIC), TEXT),
    "numeric(p,s)": (column(Kind.DECIMAL, precision=70, scale=2), TEXT),
    "bytea": (column(Kind.BYTES), BASE64),
    "composite": (column(Kind.TEXT, Encoding.BASE64_TEXT), BASE64),
    "hstore": (column(Kind.TEXT, Encoding.HSTORE), json.dumps(f"{{{TEXT}:{TEXT}}}")),
    "text[]": (array("text"), f"[{TEXT}]"),
    "jsonb[]": (array("jsonb"), f"[{TEXT}]"),
    "bytea[]": (array("bytea"), f"[{BASE64}]"),
    "integer[]": (array("integer"), BYTES),
    "bigint[]": (array("bigint"), BYTES),
    "date[]": (array("date"), BYTES),
    "uuid[]": (array("uuid"), f'["{UUID}"]'),
}


def decoder(*columns: Column, **more: Any) -> EnvelopeDecoder:
    types = TypeMap()
    made = Table(TableId("s", "t"), (Column("id", "int", Kind.INT32, False), *columns), ("id",), **more)
    return EnvelopeDecoder(made, [types.stored(c).guard for c in (*made.columns, *made.gone)])


def event(fields: str, op: str = "u") -> bytes:
    return f'{{"op":"{op}","source":{{"connector":"postgresql","ts_ms":1,"txId":7}},"after":{{"id":1,{fields}}}}}'.encode()


@pytest.mark.parametrize("nullable", [True, False], ids=["nullable", "not null"])
@pytest.mark.parametrize("name", SHAPES)
def test_the_placeholder_is_recognised_in_its_shape(name: str, nullable: bool) -> None:
    made, sent = SHAPES[name]
    made = Column(**{field: getattr(made, field) for field in Column.__slots__} | {"nullable": nullable})
    assert decoder(made).change(event(f'"c":{sent}')).row == (1, UNCHANGED)


@pytest.mark.parametrize("name", SHAPES)
def test_beside_it_a_null_is_null_and_other_values_are_decoded(name: str) -> None:
    made, sent = SHAPES[name]
    others = (
        Column("empty", "text", Kind.TEXT, nullable=True),
        Column("day", "date", Kind.DATE, nullable=False),
        Column("u", "bigint unsigned", Kind.UINT64, nullable=False),
        Column("f", "real", Kind.IEEE32, nullable=True),
    )
    row = decoder(made, *others).change(event(f'"c":{sent},"empty":null,"day":19782,"u":-1,"f":0.1')).row
    assert row == (1, UNCHANGED, None, 19782, 2**64 - 1, 0.10000000149011612)


TEXTS = {
    "the beginning": UNAVAILABLE_VALUE[:-1],
    "the end": UNAVAILABLE_VALUE[1:],
    "with a blank before": f" {UNAVAILABLE_VALUE}",
    "with a line behind": f"{UNAVAILABLE_VALUE}\n",
    "in a sentence": f"unavailable.value.placeholder is {UNAVAILABLE_VALUE}.",
    "in quotes": f'"{UNAVAILABLE_VALUE}"',
    "in base64": json.loads(BASE64),
    "as its bytes": BYTES,
    "as its UUID": UUID,
    "in upper case": UNAVAILABLE_VALUE.upper(),
    "Debezium's own": "__debezium_unavailable_value",
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_a_text_that_only_holds_the_placeholder_is_a_text(text: str) -> None:
    made = decoder(column(Kind.TEXT), Column("other", "text", Kind.TEXT, nullable=True))
    for other, decoded in (("null", None), (TEXT, UNCHANGED)):
        assert made.change(event(f'"c":{json.dumps(text)},"other":{other}')).row == (1, text, decoded)


@pytest.mark.parametrize(
    ("made", "sent", "value"),
    [
        (array("text"), json.dumps([UNAVAILABLE_VALUE[:-1]]), f"{{{UNAVAILABLE_VALUE[:-1]}}}"),
        (array("integer"), "[95,95,99,104]", "{95,95,99,104}"),
        (array("uuid"), '["4a217ab4-e580-37c4-8f75-faca11f27915"]', "{4a217ab4-e580-37c4-8f75-faca11f27915}"),
        (column(Kind.BYTES), base64_of(UNAVAILABLE_VALUE[:-1]), UNAVAILABLE_VALUE[:-1].encode()),
        (column(Kind.BYTES), base64_of(f"xyz{UNAVAILABLE_VALUE}xyz"), f"xyz{UNAVAILABLE_VALUE}xyz".encode()),
        (
            column(Kind.TEXT, Encoding.BASE64_TEXT),
            base64_of(f"(1,{UNAVAILABLE_VALUE},2)"),
            f"(1,{UNAVAILABLE_VALUE},2)",
        ),
    ],
    ids=["text[]", "integer[]", "uuid[]", "bytea", "bytea around it", "composite around it"],
)
def test_a_value_that_is_nearly_the_placeholder_is_a_value(made: Column, sent: str, value: Any) -> None:
    assert decoder(made).change(event(f'"c":{sent}')).row == (1, value)


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        (f'"c":{TEXT},"n":null', "column n is NULL"),
        (f'"c":{TEXT},"n":2147483648', "<= 2147483647"),
        (f'"c":{TEXT},"n":"1"', "got `str`"),
        (f'"c":{TEXT},"n":1.5', "got `float`"),
    ],
)
def test_beside_it_other_values_are_decoded_as_strictly_as_ever(fields: str, why: str) -> None:
    made = decoder(column(Kind.TEXT), Column("n", "integer", Kind.INT32, nullable=False))
    with pytest.raises(DecodeError, match=why) as caught:
        made.change(event(fields))
    assert not isinstance(caught.value, SchemaDriftError)


def test_beside_it_an_unknown_field_inside_of_a_value_is_no_other_column() -> None:
    made = decoder(column(Kind.TEXT), Column("p", "point", Kind.BYTES, True, encoding=Encoding.POINT))
    with pytest.raises(DecodeError, match="unknown field `z`") as caught:
        made.change(event(f'"c":{TEXT},"p":{{"x":1.0,"y":2.0,"wkb":"AQ==","z":1}}'))
    assert not isinstance(caught.value, SchemaDriftError)


@pytest.mark.parametrize(
    "fields", [f'"c":{TEXT}', f'"c":{TEXT},"n":1,"new":1', f'"c":{TEXT},"n":1,"new":{TEXT}']
)
def test_beside_it_other_columns_are_schema_drift(fields: str) -> None:
    made = decoder(column(Kind.TEXT), Column("n", "integer", Kind.INT32, nullable=False))
    with pytest.raises(SchemaDriftError):
        made.change(event(fields))


def test_in_a_column_that_is_gone_it_is_recognised_and_in_one_that_is_left_out_skipped() -> None:
    gone = Column("gone", "text", Kind.TEXT, nullable=True, stored_as="Nullable(String)", added=True)
    made = decoder(column(Kind.TEXT), gone=(gone,), left_out=(LeftOut("secret", generated=False),))
    assert made.change(event(f'"c":"x","secret":{TEXT},"gone":{TEXT}')).row == (1, "x", UNCHANGED)
    assert made.change(event(f'"c":{TEXT},"secret":[1]')).row == (1, UNCHANGED, None)


def test_an_event_without_a_row_is_refused_with_it_too() -> None:
    value = event('"c":"x"').replace(
        b'"after":{"id":1,"c":"x"}', b'"before":{"c":%s},"after":null' % TEXT.encode()
    )
    assert has_placeholder(value)
    with pytest.raises(DecodeError, match="no row"):
        decoder(column(Kind.TEXT)).change(value)


def test_the_placeholder_in_before_says_nothing_about_the_row() -> None:
    value = event('"c":"x"').replace(b'"after"', b'"before":{"c":%s},"after"' % TEXT.encode())
    assert decoder(column(Kind.TEXT)).change(value).row == (1, "x")


BIG = ["big", "bigb", "bigj", "biga", "bigia", "bighs", "bignn"]


def rows(name: str) -> list[tuple[str, dict[str, Any]]]:
    made = recorded.table("postgres", name)
    names = [c.name for c in made.columns]
    changes = [EnvelopeDecoder(made).change(r.value) for r in recorded.records("postgres", name) if r.value]
    return [(change.op, dict(zip(names, change.row, strict=True))) for change in changes if change.row]


def test_recorded_updates_of_the_default_identity_leave_out_what_did_not_change() -> None:
    """The statements were: n = n + 1 of both rows, big = big || 'x', bigj = NULL, id = 5."""
    left_out = [
        (op, row["id"], {name for name, value in row.items() if value is UNCHANGED})
        for op, row in rows("t_toast")
    ]
    every = set(BIG)
    assert left_out == [
        ("r", 1, set()), ("r", 2, set()), ("c", 1001, set()), ("c", 1002, set()),
        ("u", 1, every), ("u", 2, set()), ("u", 1, every - {"big"}), ("u", 1, every - {"bigj"}),
        ("c", 5, every - {"bigj"}),
    ]  # fmt: skip


def test_recorded_rows_filled_from_the_rows_before_them_are_those_of_the_source() -> None:
    known: dict[int, dict[str, Any]] = {}
    moved = {5: 1}
    for _, row in rows("t_toast"):
        before = known.get(moved.get(row["id"], row["id"]), {})
        known[row["id"]] = {
            name: before[name] if value is UNCHANGED else value for name, value in row.items()
        }
    first = known[1001]
    assert known[5] == first | {"id": 5, "n": 2, "big": first["big"] + "x", "bigj": None}
    assert (len(first["big"]), first["bigb"]) == (2880, first["big"].encode())
    assert first["biga"] == f"{{{first['big']}}}"
    assert first["bighs"] == f'"k"=>"{first["big"]}"'


def test_recorded_updates_of_the_full_identity_are_complete() -> None:
    found = rows("t_toast_full")
    assert [op for op, _ in found] == ["r", "r", "c", "c", "u", "u", "c"]
    assert not any(value is UNCHANGED for _, row in found for value in row.values())
