"""Cases of PostgreSQL's types, one column each; what is not a case of a type is in ``test_postgres_types.py``.

Expected texts are those that PostgreSQL prints under TimeZone UTC, DateStyle ISO and IntervalStyle iso_8601, written by hand.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from airflow_provider_chista.model import Kind
from tests.integration.types import postgres_structured_cases as structured
from tests.integration.types.cases import Case, Typed, same
from tests.integration.types.postgres_structured_cases import prints, texts

NAN, INFINITY = math.nan, math.inf


def single(value: float) -> float:
    """The 4-byte float nearest to a number."""
    return float(struct.unpack("<f", struct.pack("<f", value))[0])


def literals(values: Mapping[str, Any], damaged: str = "") -> list[Case]:
    """Cases from quoted literals and their values."""
    return [Case(f"'{literal}'", value, damaged) for literal, value in values.items()]


def decimals(ddl: str, values: Mapping[str, str], *setup: str) -> Typed:
    """A column of numeric(p,s)."""
    return Typed("numeric(p,s)", ddl, Kind.DECIMAL, literals(values), setup)


WIDEST = "9" * 46 + "." + "9" * 30
WIDER = "9" * 80 + "." + "9" * 20

NUMBERS = (
    Typed("smallint", "SMALLINT", Kind.INT16, same(("-32768", -32768), ("32767", 32767), ("0", 0))),
    Typed("integer", "INTEGER", Kind.INT32, same(("-2147483648", -(2**31)), ("2147483647", 2**31 - 1), ("-1", -1))),
    Typed(
        "bigint", "BIGINT", Kind.INT64,
        literals({"-9223372036854775808": -(2**63), "9223372036854775807": 2**63 - 1, "9007199254740993": 2**53 + 1}),
    ),
    Typed("oid", "OID", Kind.UINT32, same(("0", 0), ("4294967295", 2**32 - 1), ("2147483648", 2**31))),
    Typed("boolean", "BOOLEAN", Kind.BOOL, same(("true", True), ("false", False))),
    decimals(
        "NUMERIC(10,2)",
        {"1.5": "1.50", "-0.01": "-0.01", "99999999.99": "99999999.99", "-99999999.99": "-99999999.99", "0": "0.00",
         "-0.001": "0.00", "2.345": "2.35"},
    ),
    decimals("NUMERIC(76,30)", {WIDEST: WIDEST, f"-{WIDEST}": f"-{WIDEST}", "1e-30": f"0.{'0' * 29}1", "1": f"1.{'0' * 30}"}),
    decimals("NUMERIC(38,38)", {"1e-38": f"0.{'0' * 37}1", "0": f"0.{'0' * 38}"}),
    decimals("NUMERIC(76)", {"-" + "9" * 76: "-" + "9" * 76, "0.4": "0"}),
    decimals("NUMERIC(100,20)", {f"-{WIDER}": f"-{WIDER}", "1.5": f"1.5{'0' * 19}", "0": f"0.{'0' * 20}"}),
    decimals("NUMERIC(5,-2)", {"9999900": "9999900", "-9999900": "-9999900", "149": "100", "-50": "-100", "49": "0"}),
    decimals("NUMERIC(3,5)", {"0.00999": "0.00999", "-0.00001": "-0.00001", "0": "0.00000"}),
    decimals(
        "{schema}.price", {"1.5": "1.5000", "-99999999.9999": "-99999999.9999"},
        "CREATE DOMAIN {schema}.price AS NUMERIC(12,4) CHECK (VALUE < 1e8)",
    ),
    Typed(
        "numeric", "NUMERIC", Kind.TEXT,
        prints({
            "1.500": "1.500", "0": "0", "0.00": "0.00", "-0.0": "0.0", "1e-7": "0.0000001", "1e22": f"1{'0' * 22}",
            "100": "100",
            f"-{'9' * 200}.{'7' * 300}": f"-{'9' * 200}.{'7' * 300}", "1e-300": f"0.{'0' * 299}1",
            "NaN": "NaN", "Infinity": "Infinity", "-Infinity": "-Infinity",
        }),
    ),
    # Snapshots carry money through an 8-byte float, which tells two hundredths apart below 2^46 = 70368744177664.
    Typed(
        "money", "MONEY", Kind.DECIMAL,
        literals({"1234.50": "1234.50", "-0.01": "-0.01", "0": "0.00", "70368744177663.99": "70368744177663.99"})
        + literals(
            {"70368744177664.01": "70368744177664.01", "92233720368547758.07": "92233720368547758.07",
             "-92233720368547758.08": "-92233720368547758.08"},
            damaged="r",
        ),
    ),
    Typed(
        "real", "REAL", Kind.IEEE32,
        literals({
            "0.1": single(0.1), "-0": -0.0, "3.4028235e38": single(3.4028235e38), "-3.4028235e38": -single(3.4028235e38),
            "1.17549435e-38": single(1.17549435e-38), "1e-45": single(1.4e-45), "16777216": 16777216.0,
            "16777217": 16777216.0,
            "0.33333333333": single(1 / 3), "9.5367431640625e-07": 2.0**-20, "NaN": NAN, "Infinity": INFINITY,
            "-Infinity": -INFINITY,
        }),
    ),
    Typed(
        "double precision", "DOUBLE PRECISION", Kind.IEEE64,
        literals({
            "0.1": 0.1, "-0": -0.0, "1.7976931348623157e308": 1.7976931348623157e308,
            "-1.7976931348623157e308": -1.7976931348623157e308,
            "2.2250738585072014e-308": 2.2250738585072014e-308, "5e-324": 5e-324, "9007199254740993": 2.0**53,
            "1e22": 1e22, "100": 100.0,
            "530534380853495170": 530534380853495170.0, "NaN": NAN, "Infinity": INFINITY, "-Infinity": -INFINITY,
        }),
    ),
)  # fmt: skip

DATES = (
    "0001-01-01", "0070-03-04", "1500-03-01", "1582-10-04", "1582-10-15", "1899-12-31", "1900-01-01", "1969-12-31",
    "1970-01-01",
    "2024-02-29", "2299-12-31", "2300-01-01", "9999-12-31",
)  # fmt: skip
LEFT_OUT = "1582-10-10"
"""One of the ten days that the calendar of 1582 left out and PostgreSQL has; a snapshot moves it by ten days."""


def moments(
    row: str, ddl: str, zone: str, *more: str, shifted: Mapping[str, str] | None = None, setup: str = ""
) -> Typed:
    """A column of timestamps: the dates at 12:34:56, further ones, and some whose digits PostgreSQL changes."""
    known = {f"{day} 12:34:56{zone}": datetime.fromisoformat(f"{day} 12:34:56") for day in DATES}
    known |= {f"{text}{zone}": datetime.fromisoformat(text) for text in more}
    known |= {text: datetime.fromisoformat(printed) for text, printed in (shifted or {}).items()}
    left_out = {f"{LEFT_OUT} 12:34:56{zone}": datetime.fromisoformat(f"{LEFT_OUT} 12:34:56")}
    return Typed(
        row,
        ddl,
        Kind.DATETIME,
        [*literals(known), *literals(left_out, damaged="r")],
        [setup] if setup else [],
    )


PLAIN, ZONED, TIME = "timestamp without time zone", "timestamp with time zone", "time without time zone"
FIRST, LAST = "0001-01-01 00:00:00", "9999-12-31 23:59:59"
# 02:30 of nights in which the clocks of Berlin and of New York go from 02:00 to 03:00.
GAPS = ("2024-03-31 02:30:00", "2024-03-10 02:30:00")

TIMES = (
    Typed(
        "date", "DATE", Kind.DATE,
        literals({day: date.fromisoformat(day) for day in DATES}) + literals({LEFT_OUT: date.fromisoformat(LEFT_OUT)},
        damaged="r"),
    ),
    moments(PLAIN, "TIMESTAMP(0)", "", FIRST, LAST, shifted={"2024-01-01 00:00:00.5": "2024-01-01 00:00:01"}),
    moments(PLAIN, "TIMESTAMP(3)", "", f"{FIRST}.001", f"{LAST}.999", "1969-12-31 23:59:59.999"),
    moments(PLAIN, "TIMESTAMP", "", FIRST, f"{FIRST}.000001", f"{LAST}.999999", "2024-02-29 12:34:56.789012", *GAPS),
    moments(
        PLAIN, "{schema}.stamp", "", f"{FIRST}.001", f"{LAST}.999", setup="CREATE DOMAIN {schema}.stamp AS TIMESTAMP(3)"
    ),
    moments(ZONED, "TIMESTAMPTZ(0)", "+00", FIRST, LAST),
    moments(ZONED, "TIMESTAMPTZ(3)", "+00", f"{FIRST}.120", f"{LAST}.100"),
    moments(
        ZONED, "TIMESTAMPTZ", "+00", FIRST, f"{FIRST}.1234", f"{LAST}.999999", "2024-02-29 12:34:56.789012", *GAPS,
        shifted={
            "2024-03-31 02:30:00 Europe/Berlin": "2024-03-31 01:30:00",
            "2024-10-27 02:30:00 Europe/Berlin": "2024-10-27 01:30:00",
            "2024-10-27 02:30:00+02": "2024-10-27 00:30:00", "2024-01-01 00:00:00+15:59": "2023-12-31 08:01:00",
        },
    ),
    Typed(
        TIME, "TIME(0)", Kind.TIME,
        literals({"12:34:56": "12:34:56.000000", "24:00": "24:00:00.000000", "23:59:59.6": "24:00:00.000000"}),
    ),
    Typed(TIME, "TIME(3)", Kind.TIME, literals({"12:34:56.789": "12:34:56.789000", "00:00:00.001": "00:00:00.001000"})),
    Typed(
        TIME, "TIME", Kind.TIME,
        literals({
            "00:00": "00:00:00.000000", "00:00:00.000001": "00:00:00.000001", "23:59:59.999999": "23:59:59.999999",
            "24:00": "24:00:00.000000",
        }),
    ),
    Typed(
        "interval", "INTERVAL", Kind.TEXT,
        prints({
            "0": "PT0S", "1 mon": "P1M", "30 days": "P30D", "24:00:00": "PT24H", "1 day": "P1D", "-1 year -1 mon": "P-1Y-1M",
            "1 year 2 mons 3 days 04:05:06.789012": "P1Y2M3DT4H5M6.789012S", "1 mon -1 day": "P1M-1D",
            "-1 day 00:00:01": "P-1DT1S",
            "-1 year +2 mons -3 days +04:05:06.000001": "P-10M-3DT4H5M6.000001S", "1 day -00:00:01.5": "P1DT-1.5S",
            "-04:05:06.7": "PT-4H-5M-6.7S", "-00:00:00.000001": "PT-0.000001S", "00:01:17.886469": "PT1M17.886469S",
            "178000000 years": "P178000000Y", "-178956970 years -8 mons": "P-178956970Y-8M",
            "2147483647 days": "P2147483647D",
            "-2147483648 days": "P-2147483648D", "2147483647:59:59.999999": "PT2147483647H59M59.999999S",
        }),
    ),
    Typed("interval", "INTERVAL YEAR TO MONTH", Kind.TEXT, prints({"14 mons": "P1Y2M", "-14 mons": "P-1Y-2M"})),
    Typed("interval", "INTERVAL(3)", Kind.TEXT, prints({"1.5 days": "P1DT12H", "00:00:00.0005": "PT0.001S"})),
)  # fmt: skip

MOODS = ("sad", "c,d", 'it\'s, "fine"', "", "glücklich", r"back\slash", " x ", "NULL")

TEXTS = (
    Typed("text", "TEXT", Kind.TEXT, texts(*structured.HOSTILE, "x" * 3000, "éß😀" * 500)),
    Typed("character varying", "VARCHAR(4000)", Kind.TEXT, texts(*structured.HOSTILE, "x" * 4000)),
    Typed("character varying", "VARCHAR(3)", Kind.TEXT, texts("abc", "日本😀", "a  ", "")),
    Typed(
        "character varying", "{schema}.email", Kind.TEXT, texts("a@b.c", " a@b.c ", "é"),
        setup=("CREATE DOMAIN {schema}.address AS VARCHAR(60)",
        "CREATE DOMAIN {schema}.email AS {schema}.address CHECK (VALUE <> '')"),
    ),
    Typed(
        "character", "CHAR(5)", Kind.TEXT,
        prints({"": "     ", "ab": "ab   ", "ab    ": "ab   ", "  ab": "  ab ", "日本😀": "日本😀  ", "abcde": "abcde",
        "~|1:a": "~|1:a"}),
    ),
    Typed("character", "CHAR", Kind.TEXT, prints({"a": "a", "": " ", "😀": "😀"})),
    Typed("character", "BPCHAR", Kind.TEXT, texts("ab  ", "", "😀")),
    Typed("name", "NAME", Kind.TEXT, texts("pg_class", "", "Éé😀", "x" * 63, "a b")),
    Typed('"char"', '"char"', Kind.TEXT, texts("a", "", " ", "~", "\\") + prints({"é": r"\303"})),
    Typed("citext", "CITEXT", Kind.TEXT, texts("Abc", "ABC", "İSTANBUL", "", " a "), setup=(structured.extension("citext"),)),
    Typed(
        "enum", "{schema}.mood", Kind.TEXT, texts(*MOODS),
        setup=(f"CREATE TYPE {{schema}}.mood AS ENUM ({', '.join(map(structured.quoted, MOODS))})",),
    ),
    Typed(
        "uuid", "UUID", Kind.UUID,
        literals({
            "123E4567-E89B-12D3-A456-426614174000": "123e4567-e89b-12d3-a456-426614174000",
            "{ffffffffffffffffffffffffffffffff}": "ffffffff-ffff-ffff-ffff-ffffffffffff",
            "00000000-0000-0000-0000-000000000000": "00000000-0000-0000-0000-000000000000",
        }),
    ),
    Typed(
        "bytea", "BYTEA", Kind.BYTES,
        literals({
            rf"\x{value.hex()}": value
            for value in (b"", b"\0", b"\x01\x02\0\0\0", b"a  ", bytes(range(256)), b"\xfb\xfe>?\xff", b"\xff\xfe" * 2000)
        }),
    ),
    Typed("bit", "BIT(1)", Kind.TEXT, texts("1", "0")),
    Typed("bit", "BIT(10)", Kind.TEXT, texts("1000000010", "0000000001", "0" * 10, "1" * 10)),
    Typed("bit", "BIT(70)", Kind.TEXT, texts(f"1{'0' * 68}1", "0" * 70, "01" * 35, "1" * 70)),
    Typed(
        "inet", "INET", Kind.TEXT,
        prints({
            "192.168.0.1": "192.168.0.1", "192.168.0.1/24": "192.168.0.1/24", "192.168.0.1/32": "192.168.0.1",
            "0.0.0.0/0": "0.0.0.0/0",
            "2001:DB8::1/64": "2001:db8::1/64", "::ffff:1.2.3.4": "::ffff:1.2.3.4", "::": "::", "::1/128": "::1",
        }),
    ),
    Typed(
        "cidr", "CIDR", Kind.TEXT,
        prints({
            "192.168.0.0/24": "192.168.0.0/24", "10": "10.0.0.0/8", "192.168.0.1": "192.168.0.1/32", "::/0": "::/0",
            "2001:db8::/32": "2001:db8::/32",
        }),
    ),
    Typed("macaddr", "MACADDR", Kind.TEXT, prints({"08-00-2B-01-02-03": "08:00:2b:01:02:03",
    "000000000000": "00:00:00:00:00:00"})),
    Typed(
        "macaddr8", "MACADDR8", Kind.TEXT,
        prints({"08:00:2b:01:02:03:04:05": "08:00:2b:01:02:03:04:05", "08:00:2b:01:02:03": "08:00:2b:ff:fe:01:02:03"}),
    ),
)  # fmt: skip

TYPES: tuple[Typed, ...] = (
    *NUMBERS,
    *TIMES,
    *TEXTS,
    *structured.DOCUMENTS,
    *structured.RANGES,
    *structured.ARRAYS,
)
