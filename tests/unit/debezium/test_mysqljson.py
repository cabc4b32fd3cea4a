r"""MySQL's text of JSON, restored from what Debezium streams.

The streamed texts are those of mysql-binlog-connector-java 0.40.6 (Debezium 3.5), read from the binary log of MySQL 9.7;
the expected texts are ``CAST(c AS CHAR)`` of the same rows.
"""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_chista.debezium.mysqljson import canonical, double

# Snapshot and streamed text of the same value: recorded events of a table with one JSON column.
RECORDED = [
    ("null", "null"),
    ("{}", "{}"),
    ("[]", "[]"),
    ('""', '""'),
    ('{"a": 2, "b": 1, "aa": 3}', '{"a":2,"b":1,"aa":3}'),
    ('{"a": 2}', '{"a":2}'),
    ("18446744073709551615", "18446744073709551615"),
    ("-9223372036854775808", "-9223372036854775808"),
    ("9007199254740993", "9007199254740993"),
    ("1.2345678901234568e29", "123456789012345677877719597056"),
    ("1.5", "1.5"),
    ("0.0000001", "0.0000000999999999999999954748111825886258685613938723690807819366455078125"),
    ("0.1", "0.1"),
    ("-0.0", "-0.0"),
    (
        "1.7976931348623157e308",
        "179769313486231570814527423731704356798070567525844996598917476803157260780028538760589558632766878171540458953"
        "514382464234321326889464182768467546703537516986049910576551282076245490090389328944075868508455133942304583236"
        "903222948165808559332123348274797826204144723168738177180919299881250404026184124858368",
    ),
    ("3.141592653589793", "3.141592653589793"),
    ("true", "true"),
    ('"é日本😀\\u0000 \\"q\\" \\\\ / \\n"', '"é日本😀\\u0000 \\"q\\" \\\\ / \\n"'),
    (
        '{"": [1, null, {"x": []}], "long": "yyyy", "k.with.dot": null}',
        '{"":[1,null,{"x":[]}],"long":"yyyy","k.with.dot":null}',
    ),
    ("[1, 2, 3.0, 1e20]", "[1,2,3.0,100000000000000000000]"),
    ('{"a": 2, "b": 1, "aa": 3, "new": 1.10}', '{"a":2,"b":1,"aa":3,"new":1.10}'),
]

# Found by comparing some 130,000 values with the server.
COMPARED = [
    ("0.001", "0.001"),
    ("-0.0004", "-0.0004000000000000000191686944095437183932517655193805694580078125"),
    (
        "0.000000000000001",
        "0.00000000000000100000000000000007770539987666107923830718560119501514549256171449087560176849365234375",
    ),
    ("9999999.5", "9999999.5"),
    ("10000000.5", "10000000.5"),
    ("112109360514484.48", "112109360514484.484375"),
    ("-6.45e25", "-64500000000000004018143232"),
    ("-1e19", "-10000000000000000000"),
    ("1.8446744073709552e19", "18446744073709551616"),
    ("-9.223372036854778e18", "-9223372036854777856"),
    ("4.2030000", "4.2030000"),
    ("7.31300000000000000000", "7.31300000000000000000"),
    ("12345678901234567890.123456789", "12345678901234567890.123456789"),
    ("0.0000000000000001", "0.0000000000000001"),
    ("1234567890123456789012345678901", "1234567890123456789012345678901"),
    ('"\\t\\u000b\\u001a\\u001f\\u2028"', '"\\t\\u000B\\u001A\\u001F\\u2028"'),
    ('{"\\\\u000B": "\\\\\\u000b"}', '{"\\\\u000B":"\\\\\\u000B"}'),
    ('["a:b,c", "1e5", ", ", ": "]', '["a:b,c","1e5",", ",": "]'),
    ("[[], {}, [[1]], true, false, null]", "[[],{},[[1]],true,false,null]"),
]

# Streamed texts that do not tell what MySQL stored.
LOST = [
    ("10000000000.0", "10000000000", "10000000000"),
    ("-37400000000000.0", "-37400000000000", "-37400000000000"),
    ("9.107028356925881e18", "9107028356925881344", "9107028356925881344"),
    ('"2024-02-29 12:34:56.789000"', '"2024-02-29 12:34:56.789"', '"2024-02-29 12:34:56.789"'),
    ('"12:34:56.000000"', '"12:34:56"', '"12:34:56"'),
    ('"-12:34:56.500000"', '"13:0-35:0-57.00000-5"', '"13:0-35:0-57.00000-5"'),
    ('"base64:type15:AP8="', '"AP8="', '"AP8="'),
    ("97919182017849.375", "97919182017849.375", "97919182017849.38"),
    ("100000000000000000000", "100000000000000000000", "1e20"),
]

REFUSED = [
    "", " ", "nul", "nulll", "{", "[1,]", "[1 2]", '{"a"}', '{"a":}', "{1:2}", "'a'", '"a', '"\n"', '"\\x"', '"\\u12"',
    "01", "+1", ".5", "1.", "1e", "-", "--1", "1 2", "[1]]", "NaN", "[1,Infinity]", "-Infinity", "1e999", "-1e309",
    "\ufeff1", "١", "9" * 400, "9" * 5000, "[" * 100_000, "\u00a01", "0x1F", "True",
]  # fmt: skip


@pytest.mark.parametrize(("mysql", "streamed"), RECORDED + COMPARED)
def test_a_streamed_text_becomes_the_text_of_mysql(mysql: str, streamed: str) -> None:
    assert canonical(streamed) == mysql


@pytest.mark.parametrize("mysql", [mysql for mysql, _ in RECORDED + COMPARED] + [row[0] for row in LOST[:7]])
def test_the_text_of_mysql_stays_as_it_is(mysql: str) -> None:
    assert canonical(mysql) == mysql


@pytest.mark.parametrize(("mysql", "streamed", "text"), LOST)
def test_what_the_stream_does_not_tell_stays_lost(mysql: str, streamed: str, text: str) -> None:
    assert canonical(streamed) == text != mysql


@pytest.mark.parametrize("text", REFUSED)
def test_a_text_that_is_not_json_of_mysql_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"char \d+|nested"):
        canonical(text)


def test_blanks_are_those_of_mysql() -> None:
    assert canonical(' \t{ "a" :1 , "b":[ 1,2 ,\n3 ] }\r\n') == '{"a": 1, "b": [1, 2, 3]}'


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0.0"),
        (-0.0, "-0.0"),
        (5e-324, "5e-324"),
        (1e-16, "1e-16"),
        (1e-15, "0.000000000000001"),
        (-0.000012345678901234568, "-0.000012345678901234568"),
        (100.0, "100.0"),
        (1e14, "100000000000000.0"),
        (999999999999999.9, "999999999999999.9"),
        (1e15, "1e15"),
        (1234567890123456.5, "1234567890123456.5"),
        (1234567890123456.0, "1.234567890123456e15"),
        (-1.2345678901234567e-308, "-1.2345678901234567e-308"),
    ],
)
def test_a_double_is_printed_as_mysql_prints_it(value: float, text: str) -> None:
    assert double(value) == text


def test_a_double_that_is_not_finite_is_refused() -> None:
    with pytest.raises(ValueError, match="no JSON number"):
        double(float("inf"))


def streamed_double(value: float) -> str:
    if value == 0 or 1e-3 <= abs(value) < 1e7:
        return format(Decimal(repr(value)), "f")
    return format(Decimal(value), "f")


finite = st.floats(allow_nan=False, allow_infinity=False)


@given(finite)
def test_every_double_but_the_lost_ones_is_restored(value: float) -> None:
    streamed = streamed_double(value)
    lost = "." not in streamed and -(2**63) <= int(streamed) < 2**64
    assert canonical(streamed) == (streamed if lost else double(value))
    assert canonical(double(value)) == double(value)
    assert float(double(value)) == value


documents = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | finite | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(documents, st.booleans())
def test_any_document_is_stable_after_one_pass_and_means_the_same(document: object, ascii_only: bool) -> None:
    text = json.dumps(document, ensure_ascii=ascii_only)
    once = canonical(text)
    assert canonical(once) == once
    assert json.loads(once) == document


@given(documents)
def test_separators_do_not_matter(document: object) -> None:
    compact = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    assert canonical(compact) == canonical(json.dumps(document, ensure_ascii=False, indent=1))


@given(st.text(alphabet='{}[]",:0123456789.eE+-truefalsn \\u'))
def test_whatever_is_accepted_is_json(text: str) -> None:
    try:
        once = canonical(text)
    except ValueError:
        return
    assert json.loads(once) == json.loads(text)
