"""Each way in which a value travels: what is decoded, to what, and what is refused; nothing becomes a default."""

from __future__ import annotations

import math
import re
import struct
from typing import Any

import pytest

from airflow_provider_chista.debezium.encodings import DECODERS
from airflow_provider_chista.debezium.envelope import EnvelopeDecoder
from airflow_provider_chista.debezium.rows import DecodeError, SchemaDriftError
from airflow_provider_chista.model import Column, Encoding, Kind, Table, TableId
from airflow_provider_chista.temporal import INFINITY

E = Encoding


def col(kind: Kind, encoding: Encoding | None = None, **more: Any) -> Column:
    return Column("c", str(kind), kind, nullable=True, encoding=encoding, **more)


LABELS = ("a", "b", "c,d", "it's", "é", "x\\y", "two\nlines")
COLUMNS: dict[str, Column] = {
    "tinyint": col(Kind.INT8),
    "tinyint unsigned": col(Kind.UINT8),
    "smallint": col(Kind.INT16),
    "smallint unsigned": col(Kind.UINT16),
    "int": col(Kind.INT32),
    "int unsigned": col(Kind.UINT32),
    "bigint": col(Kind.INT64),
    "bigint unsigned": col(Kind.UINT64),
    "boolean": col(Kind.BOOL),
    "bit(1)": col(Kind.UINT64, E.BIT_NUMBER, precision=1),
    "bit(10)": col(Kind.UINT64, E.BIT_NUMBER, precision=10),
    "bit(64)": col(Kind.UINT64, E.BIT_NUMBER, precision=64),
    "bit string(1)": col(Kind.TEXT, E.BIT_STRING, precision=1),
    "bit string(10)": col(Kind.TEXT, E.BIT_STRING, precision=10),
    "float": col(Kind.FLOAT32),
    "double": col(Kind.FLOAT64),
    "real": col(Kind.IEEE32),
    "double precision": col(Kind.IEEE64),
    "decimal(5,2)": col(Kind.DECIMAL, precision=5, scale=2),
    "decimal(5,0)": col(Kind.DECIMAL, precision=5),
    "numeric": col(Kind.TEXT, E.NUMERIC),
    "date": col(Kind.DATE),
    "datetime": col(Kind.DATETIME),
    "timestamp": col(Kind.DATETIME, E.ZONED),
    "time": col(Kind.TIME),
    "time of day": col(Kind.TIME, E.TIME_OF_DAY),
    "uuid": col(Kind.UUID),
    "blob": col(Kind.BYTES),
    "composite": col(Kind.TEXT, E.BASE64_TEXT),
    "text": col(Kind.TEXT),
    "enum": col(Kind.TEXT, E.LABEL, labels=LABELS),
    "set": col(Kind.TEXT, E.LABELS, labels=("x", "ü", "back\\slash", "it's")),
    "json of MySQL": col(Kind.TEXT, E.MYSQL_JSON),
    "geometry": col(Kind.BYTES, E.GEOMETRY),
    "vector": col(Kind.BYTES, E.VECTOR),
    "point": col(Kind.BYTES, E.POINT),
    "interval": col(Kind.TEXT, E.INTERVAL),
    "hstore": col(Kind.TEXT, E.HSTORE),
    "integer[]": col(Kind.TEXT, E.ARRAY, element="integer"),
    "text[]": col(Kind.TEXT, E.ARRAY, element="text"),
}

WKB = "AQEAAAAAAAAAAADwPwAAAAAAAABA"  # POINT(1 2), little-endian
WKB_HEX = "0101000000000000000000f03f0000000000000040"

ACCEPTED: dict[str, list[tuple[str, Any]]] = {
    "tinyint": [("-128", -128), ("0", 0), ("-0", 0), ("127", 127)],
    "tinyint unsigned": [("0", 0), ("255", 255)],
    "smallint": [("-32768", -32768), ("32767", 32767)],
    "smallint unsigned": [("65535", 65535)],
    "int": [("-2147483648", -(2**31)), ("2147483647", 2**31 - 1)],
    "int unsigned": [("4294967295", 2**32 - 1)],
    "bigint": [("-9223372036854775808", -(2**63)), ("9007199254740993", 2**53 + 1), ("9223372036854775807", 2**63 - 1)],
    "bigint unsigned": [("0", 0), ("9223372036854775807", 2**63 - 1), ("-9223372036854775808", 2**63), ("-1", 2**64 - 1)],
    "boolean": [("true", True), ("false", False)],
    "bit(1)": [("true", 1), ("false", 0)],
    # true is of a record from when the column was bit(1).
    "bit(10)": [('"AgI="', 0b1000000010), ('"AAA="', 0), ('"/wM="', 1023), ("true", 1)],
    "bit(64)": [('"CAcGBQQDAgE="', 0x0102030405060708), ('"//////////8="', 2**64 - 1)],
    "bit string(1)": [("true", "1"), ("false", "0")],
    "bit string(10)": [('"AgI="', "1000000010"), ('"AQ=="', "0000000001"), ('""', "0000000000")],
    "float": [
        ("0.1", 0.10000000149011612), ("0.10000000149011612", 0.10000000149011612), ("1.6777216E7", 16777216.0),
        ("3.4028235E38", 2.0**128 - 2.0**104), ("1.4E-45", 2.0**-149), ("-0.0", -0.0), ("1", 1.0),
    ],
    "double": [("0.1", 0.1), ("4.9E-324", 5e-324), ("1.7976931348623157E308", 1.7976931348623157e308), ("-0.0", -0.0)],
    "real": [("0.1", 0.10000000149011612), ('"NaN"', math.nan), ('"Infinity"', math.inf), ('"-Infinity"', -math.inf)],
    "double precision": [("1.0E22", 1e22), ('"NaN"', math.nan), ('"-Infinity"', -math.inf)],
    "decimal(5,2)": [
        ('"1.50"', "1.50"), ('"-999.99"', "-999.99"), ('"0.00"', "0.00"), ('"1.5"', "1.50"), ('"7"', "7.00"),
        ('"1.50000"', "1.50"), ('"1.5E2"', "150.00"),
    ],
    "decimal(5,0)": [('"-5"', "-5"), ('"100.000"', "100"), ('"1E2"', "100")],
    "numeric": [
        ('"1.500"', "1.500"), ('"0.0000001"', "0.0000001"), ('"1E-7"', "0.0000001"), ('"NAN"', "NaN"),
        ('"POSITIVE_INFINITY"', "Infinity"), ('"NEGATIVE_INFINITY"', "-Infinity"),
    ],
    "date": [
        ("0", 0), ("19782", 19782), ("-719162", -719162), ("2932896", 2932896), ("-2147472692", INFINITY),
        ("-2147472691", -INFINITY), ("-622191234", INFINITY), ("-625821272", -INFINITY),
    ],
    "datetime": [
        ("0", 0), ("-1", -1), ("1709210096789012", 1709210096789012), ("9223372036825200000", INFINITY),
        ("-9223372036832400000", -INFINITY),
    ],
    "timestamp": [
        ('"2024-02-29T12:34:56Z"', 1709210096000000), ('"2024-02-29T12:34:56.000Z"', 1709210096000000),
        ('"2024-02-29T12:34:56.7Z"', 1709210096700000), ('"2024-02-29T12:34:56.789012Z"', 1709210096789012),
        ('"infinity"', INFINITY), ('"-infinity"', -INFINITY), ('"+10000-01-01T00:00:01Z"', 253402300801000000),
    ],
    "time": [
        ("0", "00:00:00.000000"), ("-1", "-00:00:00.000001"), ("86400000000", "24:00:00.000000"),
        ("-3020399000000", "-838:59:59.000000"), ("3020399999999", "838:59:59.999999"),
    ],
    "time of day": [("0", "00:00:00.000000"), ("86399999999", "23:59:59.999999"), ("86400000000", "24:00:00.000000")],
    "uuid": [('"123e4567-e89b-12d3-a456-426614174000"', "123e4567-e89b-12d3-a456-426614174000")],
    "blob": [
        ('""', b""), ('"AA=="', b"\0"), ('"AQIAAA=="', b"\1\2\0\0"), ('"+/4+P/8="', b"\xfb\xfe>?\xff"), ('"QSAg"', b"A  "),
    ],
    "composite": [('"KCwsKQ=="', "(,,)"), ('"w6k="', "é"), ('""', "")],
    "text": [
        ('""', ""), ('"ab   "', "ab   "), (r'"a\u0000b"', "a\0b"), (r'"\uD83D\uDE00"', "😀"), ('"é"', "é"),
        ('"e\u0301"', "e\u0301"), ('"__debezium_unavailable_value"', "__debezium_unavailable_value"),
    ],
    "enum": [
        ('"a"', "a"), ('"c,d"', "c,d"), (r'"c\\,d"', "c,d"), ('"it\'s"', "it's"), (r'"x\\y"', "x\\y"), (r'"x\\\\y"', "x\\y"),
        (r'"two\\nlines"', "two\nlines"), ('""', ""), ('"of older days"', "of older days"),
        ("\"it\\\\'s\"", "it's"), ('"b  "', "b"),
    ],
    "set": [
        ('""', ""), ('"x"', "x"), ('"x,ü"', "x,ü"), (r'"x,back\\slash"', "x,back\\slash"),
        ("\"back\\\\\\\\slash,it\\\\'s\"", "back\\slash,it's"),
    ],
    "json of MySQL": [
        ('"{\\"a\\": 2, \\"b\\": [1, 1.50]}"', '{"a": 2, "b": [1, 1.50]}'),
        ('"{\\"a\\":2,\\"b\\":[1,1.50]}"', '{"a": 2, "b": [1, 1.50]}'),
        ('"18446744073709551615"', "18446744073709551615"), ('"null"', "null"),
    ],
    "geometry": [
        (f'{{"wkb":"{WKB}","srid":null}}', bytes.fromhex("00000000" + WKB_HEX)),
        (f'{{"x":1.0,"y":2.0,"wkb":"{WKB}","srid":4326}}', bytes.fromhex("e6100000" + WKB_HEX)),
        (f'{{"wkb":"{WKB}","srid":4294967295}}', bytes.fromhex("ffffffff" + WKB_HEX)),
    ],
    "vector": [("[1.0,-2.5,3.4028235E38]", bytes.fromhex("0000803f000020c0ffff7f7f")), ("[]", b"")],
    "point": [
        (f'{{"x":1.0,"y":2.0,"wkb":"{WKB}","srid":null}}', bytes.fromhex("0000000001" "3ff0000000000000" "4000000000000000")),
        (
            f'{{"x":"NaN","y":"-Infinity","wkb":"{WKB}","srid":null}}',
            bytes.fromhex("0000000001" "7ff8000000000000" "fff0000000000000"),
        ),
        (f'{{"x":-0.0,"y":1.0E300,"wkb":"{WKB}","srid":null}}', struct.pack(">BIdd", 0, 1, -0.0, 1e300)),
    ],
    "interval": [
        ('"P1Y2M3DT4H5M6.789012S"', "P1Y2M3DT4H5M6.789012S"), ('"P0Y0M0DT0H0M0S"', "PT0S"),
        ('"P0Y-10M-3DT4H0M0S"', "P-10M-3DT4H"),
    ],
    "hstore": [('"{}"', ""), ('"{\\"b\\":null,\\"a\\":\\"1\\"}"', '"a"=>"1", "b"=>NULL')],
    "integer[]": [("[]", "{}"), ("[1,null,-2147483648]", "{1,NULL,-2147483648}")],
    "text[]": [('["a","b c","NULL",null,""]', '{a,"b c","NULL",NULL,""}')],
}  # fmt: skip

REFUSED: dict[str, list[tuple[str, str]]] = {
    "tinyint": [("128", "<= 127"), ("-129", ">= -128"), ("1.0", "got `float`"), ("1e1", "got `float`")],
    "tinyint unsigned": [("-1", ">= 0"), ("256", "<= 255")],
    "smallint": [("32768", "<= 32767"), ("-32769", ">= -32768")],
    "smallint unsigned": [("-1", ">= 0"), ("65536", "<= 65535")],
    "int": [("2147483648", "<= 2147483647"), ("-2147483649", ">= -2147483648"), ("1.5", "got `float`"), ('"1"', "got `str`")],
    "int unsigned": [("-1", ">= 0"), ("4294967296", "<= 4294967295")],
    "bigint": [("9223372036854775808", "<= 9223372036854775807"), ("-9223372036854775809", ""), ("1" * 40, "")],
    # The upper half travels as negative numbers, so a positive one of it is of another setting.
    "bigint unsigned": [("9223372036854775808", ""), ("-9223372036854775809", ""), ('"AP//////////"', "got `str`")],
    "boolean": [("1", "got `int`"), ('"true"', "got `str`")],
    "bit(1)": [('"Ag=="', "more than 1 bits")],
    "bit(10)": [
        ('"AAQ="', "more than 10 bits"), ('"0202"', "more than 10 bits"), ('"AgI"', ""), ('"!!!!"', ""), ("514", "got `int`"),
    ],
    "bit(64)": [('"AAAAAAAAAAAB"', "more than 64 bits")],
    "bit string(1)": [('"Ag=="', "more than the 1 bits")],
    "bit string(10)": [('"AAQ="', "more than the 10 bits"), ('"AQAA"', "more than the 10 bits"), ('"AQ"', "")],
    "float": [
        ("3.4028236E38", "beyond the range"), ("-1.0E39", "beyond the range"), ("1e400", "out of range"),
        ('"NaN"', "not a number"), ('"Infinity"', "not a number"), ('"1.5"', "not a number"), ("true", ""),
    ],
    "double": [("1.8E308", "out of range"), ('"NaN"', "not a number"), ('"1.5"', "not a number")],
    "real": [("3.5E38", "beyond the range"), ('"nan"', "not a number"), ('"+Infinity"', "not a number")],
    "double precision": [("1e309", "out of range"), ('"1e5"', "not a number")],
    "decimal(5,2)": [
        ('"1.005"', "beyond scale 2"), ('"1,5"', "not a number"), ('""', "not a number"), ('"NaN"', "not a number"),
        ('"+1.5"', "not a number"), ('" 1.5"', "not a number"), ('"0x10"', "not a number"), ('"١"', "not a number"),
        ("1.5", "got `float`"), ('{"scale":1,"value":"Dw=="}', "got `object`"),
    ],
    "decimal(5,0)": [('"0.5"', "beyond scale 0"), ("5", "got `int`"), ('"Dw=="', "not a number")],
    "numeric": [
        ('"NaN"', "not a number"), ('"1."', "not a number"), ('".5"', "not a number"), ('"1_000"', "not a number"),
        ("1", "got `int`"),
    ],
    "date": [
        ("2145042906", "are no date"), ("-2440589", "are no date"), ("1.5", "got `float`"), ('"2024-02-29"', "got `str`"),
        ("1709164800000", "are no date"),
    ],
    "datetime": [
        ("9223372036854775807", "are no timestamp"), ("-9223372036853776809", "are no timestamp"), ("1.7E15", "got `float`"),
        ('"2024-02-29T12:34:56Z"', "got `str`"),
    ],
    "timestamp": [
        ('"2024-02-29 12:34:56Z"', "not a time in UTC"), ('"2024-02-29T12:34:56"', "not a time in UTC"),
        ('"2024-02-29T12:34:56+02:00"', "not a time in UTC"), ('"2024-02-29T12:34:56.7890123Z"', "not a time in UTC"),
        ('"2023-02-29T12:34:56Z"', "does not exist"), ('"2024-00-00T00:00:00Z"', "does not exist"),
        ("1709210096000000", "got `int`"),
    ],
    "time": [("3020400000000", "<= 3020399999999"), ("-3020400000000", ">= -3020399999999"), ('"12:34:56"', "got `str`")],
    "time of day": [("-1", "no time of day"), ("86400000001", "no time of day"), ('"12:34:56Z"', "got `str`")],
    "uuid": [
        ('"123E4567-E89B-12D3-A456-426614174000"', ""), ('"{123e4567-e89b-12d3-a456-426614174000}"', ""),
        ('"123e4567e89b12d3a456426614174000"', ""), (r'"123e4567-e89b-12d3-a456-426614174000\n"', ""), ('""', ""),
        ('"123e4567-e89b-12d3-a456-42661417400g"', ""),
    ],
    "blob": [('"AQI"', ""), ('"A_-="', ""), (r'"AQ==\n"', ""), ('"A Q="', ""), ("[1,2]", "got `array`")],
    "composite": [('"/w=="', "utf-8"), ('"(,,)"', "")],
    "text": [("1", "got `int`"), ('["a"]', "got `array`")],
    "enum": [(r'"z\\,w"', "none of the labels"), (r'"c\\\\,d"', "none of the labels"), ("1", "got `int`")],
    "set": [(r'"x,z\\,w"', "none of the labels"), (r'"\\x1,x"', "none of the labels"), ('["x"]', "got `array`")],
    "json of MySQL": [('"{"', ""), ("\"{'a': 1}\"", ""), ('"1e400"', ""), ('"[1,]"', ""), ('{"a":1}', "got `object`")],
    "geometry": [
        ('{"srid":1}', "missing required field `wkb`"), (f'{{"wkb":"{WKB}","srid":-1}}', ">= 0"),
        (f'{{"wkb":"{WKB}","srid":4294967296}}', "<= 4294967295"), (f'{{"wkb":"{WKB}","srid":"4326"}}', ""),
        (f'{{"wkb":"{WKB}","z":1}}', "unknown field `z`"), ('{"wkb":"()"}', ""), (f'"{WKB}"', "got `str`"),
    ],
    "vector": [("[1.0E39]", "beyond the range"), ("[null]", ""), ('["1"]', ""), ('"AACAPw=="', "got `str`")],
    "point": [
        (f'{{"x":1.0,"wkb":"{WKB}"}}', "without a coordinate"),
        (f'{{"x":1.0,"y":null,"wkb":"{WKB}"}}', "without a coordinate"),
        (f'{{"x":"nan","y":1.0,"wkb":"{WKB}"}}', "not a number"), ('{"x":1.0,"y":2.0}', "missing required field `wkb`"),
    ],
    "interval": [('"P1M"', "not an interval"), ('"P0Y12M0DT0H0M0S"', "could hold and print"), ("2629800000000", "got `int`")],
    "hstore": [
        ('"[]"', "not a JSON object"), ('"{\\"a\\":1}"', "not a JSON object"), ('{"a":"1"}', "got `object`"), ('"{"', ""),
        (r'"{\"a\":\"\\ud800\"}"', "surrogates"),
    ],
    "integer[]": [
        ("[2147483648]", "32 bits"), ("[1.0]", "not an integer"), ('["1"]', "not an integer"), ("[[1]]", "not an integer"),
        ("[true]", "not an integer"), ("1", "got `int`"), ('"{1}"', "got `str`"),
    ],
    "text[]": [("[1]", "not a text"), ('[["a"]]', "not a text")],
}  # fmt: skip


def decoder(column: Column) -> EnvelopeDecoder:
    return EnvelopeDecoder(
        Table(TableId("s", "t"), (Column("id", "int", Kind.INT32, False), column), ("id",))
    )


def decoded(column: Column, sent: str) -> Any:
    source = '{"connector":"mysql","ts_ms":1,"gtid":"g:1"}'
    value = f'{{"op":"c","source":{source},"after":{{"id":1,"c":{sent}}}}}'
    return decoder(column).change(value.encode()).row[1]


def cases(table: dict[str, list[tuple[str, Any]]]) -> list[Any]:
    return [
        pytest.param(COLUMNS[name], sent, wanted, id=f"{name} {sent[:50]}")
        for name, rows in table.items()
        for sent, wanted in rows
    ]


@pytest.mark.parametrize(("column", "sent", "value"), cases(ACCEPTED))
def test_a_value_is_decoded_exactly(column: Column, sent: str, value: Any) -> None:
    found = decoded(column, sent)
    # The repr tells -0.0 from 0.0 and True from 1, and NaN equals itself.
    assert (type(found), repr(found)) == (type(value), repr(value))


@pytest.mark.parametrize(("column", "sent", "why"), cases(REFUSED))
def test_what_is_not_exactly_a_value_of_the_column_is_refused_and_the_column_is_named(
    column: Column, sent: str, why: str
) -> None:
    with pytest.raises(DecodeError, match=re.escape(why) or None) as caught:
        decoded(column, sent)
    assert not isinstance(caught.value, SchemaDriftError)
    assert re.search(r"\$\.after\.c\b|column c: ", str(caught.value)), caught.value


SHAPES = {
    "boolean": "true",
    "integer": "7",
    "fraction": "0.25",
    "text": '"~"',
    "array": "[{}]",
    "object": '{"~":1}',
}
TAKEN = {
    E.BOOLEAN: {"boolean"}, E.BIT_NUMBER: {"boolean"}, E.BIT_STRING: {"boolean"},
    E.NUMBER: {"integer"}, E.UNSIGNED_LONG: {"integer"}, E.DAYS: {"integer"}, E.MICROSECONDS: {"integer"},
    E.TIME: {"integer"}, E.TIME_OF_DAY: {"integer"},
    E.FLOAT: {"integer", "fraction"}, E.TEXT: {"text"}, E.LABEL: {"text"}, E.LABELS: {"text"},
}  # fmt: skip
"""JSON types of which the sample above is a value of the encoding; every other one of the six is not."""


@pytest.mark.parametrize("name", COLUMNS)
@pytest.mark.parametrize("shape", SHAPES)
def test_each_json_type_but_its_own_is_refused(name: str, shape: str) -> None:
    column = COLUMNS[name]
    if shape in TAKEN.get(column.sent_as, set()):
        assert decoded(column, SHAPES[shape]) is not None
    else:
        with pytest.raises(DecodeError, match=r"\$\.after\.c\b|column c: "):
            decoded(column, SHAPES[shape])


@pytest.mark.parametrize("name", COLUMNS)
def test_null_is_null_or_refused_where_the_archive_holds_none(name: str) -> None:
    column = COLUMNS[name]
    assert decoded(column, "null") is None
    required = Column(
        "c", column.declared, column.kind, False, encoding=column.encoding, element=column.element,
        precision=column.precision, scale=column.scale, labels=column.labels,
    )  # fmt: skip
    with pytest.raises(DecodeError, match=r"after\.c`"):
        decoded(required, "null")
    # The source accepts no NULL any more, but older records hold them, and so does the archive.
    former = Column(
        **{name: getattr(required, name) for name in Column.__slots__} | {"stored_as": "Nullable(String)"}
    )
    assert decoded(former, "null") is None


def test_every_encoding_has_accepted_and_refused_inputs() -> None:
    assert (
        {COLUMNS[name].sent_as for name, rows in ACCEPTED.items() if rows} == set(DECODERS) == set(Encoding)
    )
    assert ACCEPTED.keys() == REFUSED.keys() == COLUMNS.keys()


NOT_UNICODE = [
    b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xf8\x88\x80\x80\x80", b"\xc0\xaf", rb"\ud800", rb"\ud800x", rb"\udc00",
]  # fmt: skip
"""Bytes that are no UTF-8, and escapes of half a character."""


@pytest.mark.parametrize("bad", NOT_UNICODE)
@pytest.mark.parametrize("name", ["text", "enum", "json of MySQL", "text[]", "hstore", "numeric", "blob"])
def test_what_is_no_unicode_is_refused_wherever_texts_are(name: str, bad: bytes) -> None:
    texts = {"text[]": b'["%s"]', "json of MySQL": rb'"\"%s\""', "hstore": rb'"{\"%s\":null}"'}
    sent = texts.get(name, b'"%s"') % bad
    value = b'{"op":"c","source":{"connector":"mysql","ts_ms":1},"after":{"id":1,"c":%s}}' % sent
    with pytest.raises(DecodeError):
        decoder(COLUMNS[name]).change(value)
