"""Every expected text below was printed by PostgreSQL 15; every given value is in the form of a recorded Debezium event."""

from __future__ import annotations

import json
import math
import re
import struct
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_chista.debezium import pgtext
from airflow_provider_chista.debezium.pgtext import ELEMENTS

PRINTED: list[tuple[Callable[..., str], tuple[Any, ...], str]] = [
    (pgtext.interval, ("P0Y0M0DT0H0M0S",), "PT0S"),
    (pgtext.interval, ("P0Y1M0DT0H0M0S",), "P1M"),
    (pgtext.interval, ("P1Y2M3DT4H5M6.789012S",), "P1Y2M3DT4H5M6.789012S"),
    (pgtext.interval, ("P0Y-10M-3DT4H5M6.000001S",), "P-10M-3DT4H5M6.000001S"),
    (pgtext.interval, ("P0Y0M0DT0H0M-0.001S",), "PT-0.001S"),
    (pgtext.interval, ("P0Y0M1DT0H0M10.500S",), "P1DT10.5S"),
    (pgtext.interval, ("P0Y0M0DT0H-1M-17.886468999S",), "PT-1M-17.886469S"),
    (pgtext.interval, ("P0Y0M0DT0H0M10S",), "PT10S"),
    (pgtext.interval, ("P178000000Y0M0DT-99999H0M0S",), "P178000000YT-99999H"),
    (pgtext.hstore, ("{}",), ""),
    (pgtext.hstore, ('{"a":null,"NULL":"NULL"}',), '"a"=>NULL, "NULL"=>"NULL"'),
    (pgtext.hstore, ('{"bb":"1","é":"2","b":"3","aa":""}',), '"b"=>"3", "aa"=>"", "bb"=>"1", "é"=>"2"'),
    (pgtext.hstore, (r'{"a\"b\\":"c\td,e=>f"}',), '"a\\"b\\\\"=>"c\td,e=>f"'),
    (pgtext.bits, (b"\x02\x02", 10), "1000000010"),
    (pgtext.bits, (b"\x01", 10), "0000000001"),
    (pgtext.bits, (b"", 8), "00000000"),
    (pgtext.numeric, ("1.500",), "1.500"),
    (pgtext.numeric, ("9.223372036854776E16",), "92233720368547760"),
    (pgtext.numeric, ("1E-7",), "0.0000001"),
    (pgtext.numeric, ("0E-8",), "0.00000000"),
    (pgtext.numeric, ("NAN",), "NaN"),
    (pgtext.numeric, ("POSITIVE_INFINITY",), "Infinity"),
    (pgtext.numeric, ("NEGATIVE_INFINITY",), "-Infinity"),
    (pgtext.numeric, ("-9999900." + "0" * 2046, -2), "-9999900"),
    (pgtext.numeric, ("0." + "0" * 2046, -2), "0"),
    (pgtext.numeric, ("1234.5", 2), "1234.50"),
    (pgtext.numeric, ("-0.01", 2), "-0.01"),
    (pgtext.encoded, ("KCwsKQ==",), "(,,)"),
]

REFUSED: list[tuple[Callable[..., Any], tuple[Any, ...], str]] = [
    (pgtext.interval, ("P1M",), "not an interval"),
    (pgtext.interval, ("P0Y0M0DT0H0M1E-6S",), "not an interval"),
    (pgtext.interval, ("P0Y12M0DT0H0M0S",), "could hold and print"),
    (pgtext.interval, ("P1Y-2M0DT0H0M0S",), "could hold and print"),
    (pgtext.interval, ("P0Y0M0DT1H0M-1S",), "could hold and print"),
    (pgtext.interval, ("P178956971Y0M0DT0H0M0S",), "could hold and print"),
    (pgtext.interval, ("P0Y0M0DT0H0M60S",), "could hold and print"),
    (pgtext.interval, ("P0Y0M0DT0H0M59.999999999S",), "could hold and print"),
    (pgtext.interval, ("P0Y0M0DT0H0M1.0000005S",), "not an interval"),
    (pgtext.hstore, ("[]",), "not a JSON object"),
    (pgtext.hstore, ('{"a":1}',), "not a JSON object"),
    (pgtext.hstore, ('{"a":{}}',), "not a JSON object"),
    (pgtext.hstore, ('{"a":"1","a":"2"}',), "key twice"),
    (pgtext.hstore, ('"a"=>"1"',), "Extra data"),
    (pgtext.bits, (b"\x00\x04", 10), "more than the 10 bits"),
    (pgtext.bits, (b"\x01\x00\x00", 10), "more than the 10 bits"),
    (pgtext.numeric, ("",), "not a number"),
    (pgtext.numeric, ("NaN",), "not a number"),
    (pgtext.numeric, ("1,5",), "not a number"),
    (pgtext.numeric, ("12350.0", -2), "beyond scale -2"),
    (pgtext.numeric, ("1.005", 2), "beyond scale 2"),
    (pgtext.float8, (1,), "not a floating point"),
    (pgtext.float8, (math.inf,), "not a floating point"),
    (pgtext.float4, (3.5e38,), "not a floating point"),
    (pgtext.encoded, ("not base64!",), "base64"),
    (pgtext.encoded, ("/w==",), "can't decode"),
]

FLOATS: list[tuple[Callable[[object], str], object, str]] = [
    (pgtext.float8, 0.1, "0.1"),
    (pgtext.float8, -0.0, "-0"),
    (pgtext.float8, 100.0, "100"),
    (pgtext.float8, 1e14, "100000000000000"),
    (pgtext.float8, 1e15, "1e+15"),
    (pgtext.float8, 1e-4, "0.0001"),
    (pgtext.float8, 1e-5, "1e-05"),
    (pgtext.float8, 1e22, "1e+22"),
    (pgtext.float8, 4.9e-324, "5e-324"),
    (pgtext.float8, 1.7976931348623157e308, "1.7976931348623157e+308"),
    (pgtext.float8, 2.0**53, "9.007199254740992e+15"),
    # Python's repr is 5.305343808534952e+17, the midpoint to a neighbour, which PostgreSQL excludes.
    (pgtext.float8, 530534380853495170.0, "5.3053438085349517e+17"),
    (pgtext.float8, 2.0**-44, "5.684341886080802e-14"),
    (pgtext.float8, 9.5367431640625e-07, "9.5367431640625e-07"),
    (pgtext.float8, "NaN", "NaN"),
    (pgtext.float8, "-Infinity", "-Infinity"),
    (pgtext.float4, 0.1, "0.1"),
    (pgtext.float4, 0.10000000149011612, "0.1"),
    (pgtext.float4, 16777216.0, "1.6777216e+07"),
    (pgtext.float4, 123456.0, "123456"),
    (pgtext.float4, 1234567.0, "1.234567e+06"),
    (pgtext.float4, 3.4028235e38, "3.4028235e+38"),
    (pgtext.float4, 1.4e-45, "1e-45"),
]

ARRAYS: list[tuple[str, list[object], str]] = [
    ("integer", [], "{}"),
    ("integer", [1, None], "{1,NULL}"),
    ("bigint", [9007199254740993], "{9007199254740993}"),
    ("text", [None, "NULL", "null", ""], '{NULL,"NULL","null",""}'),
    ("text", ["{", "}", '"', "\\", "a,b", " x "], r'{"{","}","\"","\\","a,b"," x "}'),
    ("text", ["a\tb", "a\vb", "a\u00a0b", "a;b", "N"], '{"a\tb","a\vb",a\u00a0b,a;b,N}'),
    ("character", ["ab  ", "abcd"], '{"ab  ",abcd}'),
    ("boolean", [True, False], "{t,f}"),
    ("numeric", ["1.50", "2"], "{1.50,2}"),
    ("date", [19782, -622191234], "{2024-02-29,infinity}"),
    ("timestamp without time zone", [1709210096789012], '{"2024-02-29 12:34:56.789012"}'),
    (
        "timestamp without time zone",
        [1709210096120000, 0],
        '{"2024-02-29 12:34:56.12","1970-01-01 00:00:00"}',
    ),
    ("timestamp without time zone", [9223372036825200000], "{infinity}"),
    ("timestamp without time zone", [-63517953600000000], '{"0044-03-15 12:00:00 BC"}'),
    ("timestamp without time zone", [-12219292800500000], '{"1582-10-04 23:59:59.5"}'),
    ("timestamp with time zone", ["2024-02-29T10:34:56.789012Z"], '{"2024-02-29 10:34:56.789012+00"}'),
    ("timestamp with time zone", ["+10000-01-01T00:00:00.000000Z"], '{"10000-01-01 00:00:00+00"}'),
    ("bytea", ["AQA=", ""], r'{"\\x0100","\\x"}'),
    ("jsonb", ['{"a": 1}', "null"], r'{"{\"a\": 1}","null"}'),
    ("inet", ["192.168.0.1/24", "::1"], "{192.168.0.1/24,::1}"),
    ("hstore", ['{"a":"1"}'], r'{"\"a\"=>\"1\""}'),
    ("composite", ["KCJzIHQsICIicSIiIiwxLDIwMjQtMDEtMDEp"], r'{"(\"s t, \"\"q\"\"\",1,2024-01-01)"}'),
    ("double precision", ["NaN", "Infinity", -0.0, 0.1, 1e22], "{NaN,Infinity,-0,0.1,1e+22}"),
]

BAD_ELEMENTS: list[tuple[str, object, str]] = [
    ("integer", 2**31, "32 bits"),
    ("smallint", True, "16 bits"),
    ("bigint", "1", "64 bits"),
    ("integer", [1, 2], "32 bits"),
    ("boolean", 1, "not a boolean"),
    ("text", 1, "not a text"),
    ("date", -703383, "drops BC"),
    ("date", -141428, "drops BC"),
    ("timestamp with time zone", "0044-03-15T12:00:00.000000Z", "drops BC"),
    ("timestamp with time zone", "1582-10-14T23:59:59.999999Z", "drops BC"),
    ("timestamp with time zone", "+292269055-12-02T23:00:00.000000Z", "not a time in UTC"),
]


@pytest.mark.parametrize(("function", "given_value", "expected"), PRINTED)
def test_a_value_is_printed_as_postgresql_prints_it(function, given_value, expected) -> None:
    assert function(*given_value) == expected


@pytest.mark.parametrize(("function", "given_value", "message"), REFUSED)
def test_what_debezium_does_not_write_is_refused(function, given_value, message) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        function(*given_value)


@pytest.mark.parametrize(("function", "value", "expected"), FLOATS)
def test_a_floating_point_number_is_printed_as_postgresql_prints_it(function, value, expected) -> None:
    assert function(value) == expected


@pytest.mark.parametrize(("element", "values", "expected"), ARRAYS)
def test_an_array_is_printed_as_postgresql_prints_it(element, values, expected) -> None:
    assert pgtext.array(values, ELEMENTS[element]) == expected


@pytest.mark.parametrize(("element", "value", "message"), BAD_ELEMENTS)
def test_an_element_that_cannot_be_exact_is_refused(element, value, message) -> None:
    with pytest.raises(ValueError, match=message):
        pgtext.array([value], ELEMENTS[element])


def test_an_array_of_numbers_with_a_scale_has_no_digits_behind_it() -> None:
    sent = ["9999900." + "0" * 2046, None, "0.0"]
    assert pgtext.array(sent, pgtext.numeric_of(0)) == "{9999900,NULL,0}"
    assert pgtext.array(["1.5"], pgtext.numeric_of(2)) == "{1.50}"
    with pytest.raises(ValueError, match="beyond scale 2"):
        pgtext.array(["1.555"], pgtext.numeric_of(2))


@pytest.mark.parametrize(
    ("x", "y", "wkb"),
    [
        (1.0, 2.0, "00000000013ff00000000000004000000000000000"),
        (-0.0, math.inf, "000000000180000000000000007ff0000000000000"),
        (math.nan, -math.nan, "00000000017ff80000000000007ff8000000000000"),
    ],
)
def test_a_point_is_big_endian_wkb_with_one_kind_of_nan(x, y, wkb) -> None:
    assert pgtext.point(x, y).hex() == wkb


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_printed_double_reads_back_and_is_no_longer_than_needed(value: float) -> None:
    text = pgtext.float8(value)
    assert struct.pack(">d", float(text)) == struct.pack(">d", value)
    # Python's repr may be shorter only where it is exactly the midpoint between two doubles.
    if Fraction(text) != Fraction(repr(value)):
        neighbours = {Fraction(math.nextafter(value, side)) for side in (math.inf, -math.inf)}
        assert any(2 * Fraction(repr(value)) == Fraction(value) + other for other in neighbours)


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_a_printed_real_reads_back(value: float) -> None:
    assert struct.pack(">f", float(pgtext.float4(value))) == struct.pack(">f", value)


@given(st.integers(1, 200).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, 2**n - 1))))
def test_bits_read_back(case: tuple[int, int]) -> None:
    length, value = case
    text = pgtext.bits(value.to_bytes((value.bit_length() + 7) // 8, "little"), length)
    assert (len(text), int(text, 2)) == (length, value)


_UNQUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"=>(?:(NULL)|"((?:[^"\\]|\\.)*)")', re.S)


@given(st.dictionaries(st.text(max_size=5), st.none() | st.text(max_size=5), max_size=5))
def test_a_printed_hstore_reads_back_with_its_keys_in_order(value: dict[str, str | None]) -> None:
    def bare(text: str) -> str:
        return re.sub(r"\\(.)", r"\1", text, flags=re.S)

    pairs = _UNQUOTED.findall(pgtext.hstore(json.dumps(value)))
    assert {bare(key): None if null else bare(text) for key, null, text in pairs} == value
    keys = [bare(key).encode() for key, _, _ in pairs]
    assert keys == sorted(keys, key=lambda key: (len(key), key))
