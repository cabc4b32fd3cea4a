"""Fuzzed columns of PostgreSQL: every row of its type table, and dates beyond the years 1 to 9999."""

from __future__ import annotations

import struct
from datetime import datetime
from random import Random
from typing import Any

from airflow_provider_chista.model import Kind
from tests.integration.fuzz import postgres_texts as texts
from tests.integration.fuzz import values
from tests.integration.fuzz.columns import Fuzzed
from tests.integration.fuzz.values import Maker

_LETTERS = ("a", "A", "b,c", "it's", "x\\y", '"q"', "é😀", " x ", "|~|", "1:a", "NULL", "{}")
_LABELS = ", ".join("'" + label.replace("'", "''") + "'" for label in _LETTERS)
_ENUM = f"CREATE TYPE {{schema}}.letter AS ENUM ({_LABELS})"
_PAIR = "CREATE TYPE {schema}.pair AS (number INT, note TEXT)"


def _extension(name: str) -> tuple[str, ...]:
    return (f"CREATE EXTENSION IF NOT EXISTS {name} SCHEMA public",)


def _hex(value: bytes) -> str:
    return f"\\x{value.hex()}"


def _text(row: str, ddl: str, make: Maker, **more: Any) -> Fuzzed:
    return Fuzzed(row, ddl, Kind.TEXT, make, **more)


def _point(random: Random) -> bytes:
    """Well-known binary, big-endian; every NaN is the same."""
    make = values.doubles(*values.INFINITE)
    x, y = (make(random) for _ in "xy")
    return struct.pack(">BIdd", 0, 1, *(float("nan") if number != number else number for number in (x, y)))


def _coordinates(value: bytes) -> str:
    return "({!r},{!r})".format(*struct.unpack(">dd", value[5:]))


def _cents(most: int) -> Maker:
    def make(random: Random) -> str:
        cents = random.choice((0, most, -most, random.randint(-most, most), random.randint(-10_000, 10_000)))
        return f"{'-' if cents < 0 else ''}{abs(cents) // 100}.{abs(cents) % 100:02d}"

    return make


def _in_utc(value: datetime | str) -> str:
    """As the application writes it; the era comes behind the zone."""
    if isinstance(value, datetime):
        return value.isoformat(" ", "microseconds") + "+00"
    day, bc, _ = value.partition(" BC")
    return value if value.endswith("infinity") else f"{day}+00{bc}"


NUMBERS = (
    Fuzzed("smallint", "SMALLINT", Kind.INT16, values.integers(16)),
    Fuzzed("integer", "INTEGER NOT NULL", Kind.INT32, values.integers(32)),
    Fuzzed("bigint", "BIGINT", Kind.INT64, values.integers(64)),
    Fuzzed("oid", "OID", Kind.UINT32, values.integers(32, signed=False)),
    Fuzzed("boolean", "BOOLEAN", Kind.BOOL, values.one_of(True, False)),
    Fuzzed("numeric(p,s)", "NUMERIC(12,2) NOT NULL", Kind.DECIMAL, values.decimals(12, 2)),
    Fuzzed("numeric(p,s)", "NUMERIC(76,30)", Kind.DECIMAL, values.decimals(76, 30)),
    _text("numeric", "NUMERIC", texts.numerics),
    Fuzzed("money", "MONEY", Kind.DECIMAL, _cents(2**63 - 1), _cents(2**46 * 100 - 1)),
    Fuzzed("real", "REAL", Kind.IEEE32, values.singles(*values.INFINITE), bound=repr),
    Fuzzed("double precision", "DOUBLE PRECISION", Kind.IEEE64, values.doubles(*values.INFINITE), bound=repr),
)

TIMES = (
    Fuzzed("date", "DATE NOT NULL", Kind.DATE, values.dates()),
    Fuzzed("date", "DATE", Kind.DATE, texts.beyond_dates(first_bc=True), texts.beyond_dates(first_bc=False)),
    Fuzzed("timestamp without time zone", "TIMESTAMP(3)", Kind.DATETIME, values.moments(3)),
    Fuzzed("timestamp without time zone", "TIMESTAMP NOT NULL", Kind.DATETIME, values.moments(6)),
    Fuzzed("timestamp without time zone", "TIMESTAMP", Kind.DATETIME, texts.beyond_moments),
    Fuzzed("timestamp with time zone", "TIMESTAMPTZ", Kind.DATETIME, values.moments(6), bound=_in_utc),
    Fuzzed("timestamp with time zone", "TIMESTAMPTZ", Kind.DATETIME, texts.beyond_moments, bound=_in_utc),
    Fuzzed("time without time zone", "TIME", Kind.TIME, values.durations(0, 86_400_000_000)),
    _text("interval", "INTERVAL", texts.intervals),
)

TEXTS = (
    _text("text", "TEXT", values.texts(80, longest=20_000)),
    _text("text", "TEXT NOT NULL", values.texts(80)),
    _text("character varying", "VARCHAR(60)", values.texts(60)),
    _text("character", "CHAR(20)", texts.padded(values.texts(20), 20)),
    _text("name", "NAME", texts.clipped(values.texts(60), 63)),
    _text('"char"', '"char"', values.one_of("", *(chr(code) for code in range(1, 128)))),
    _text("citext", "CITEXT", values.texts(60), setup=_extension("citext")),
    _text("enum", "{schema}.letter", values.one_of(*_LETTERS), setup=(_ENUM,)),
    Fuzzed("uuid", "UUID", Kind.UUID, values.uuids),
    Fuzzed("bytea", "BYTEA", Kind.BYTES, values.binaries(60, longest=20_000), bound=_hex),
    _text("bit", "BIT(11)", texts.bits(11)),
    _text("bit", "BIT(1)", texts.bits(1)),
)

STRUCTURES = (
    _text("json", "JSON", texts.json_as_written),
    _text("jsonb", "JSONB", texts.jsonb),
    _text("xml", "XML", texts.fragments),
    _text("inet", "INET", texts.addresses),
    _text("cidr", "CIDR", texts.networks),
    _text("macaddr", "MACADDR", texts.hexadecimal(6)),
    _text("macaddr8", "MACADDR8", texts.hexadecimal(8)),
    _text("tsvector", "TSVECTOR", texts.vectors),
    _text("tsquery", "TSQUERY", texts.queries),
    _text("ltree", "LTREE", texts.trees, setup=_extension("ltree")),
    _text("pg_lsn", "PG_LSN", texts.positions),
    _text("pg_snapshot", "PG_SNAPSHOT", texts.snapshots),
    _text("jsonpath", "JSONPATH", texts.paths),
    _text("hstore", "HSTORE", texts.pairs, setup=_extension("hstore")),
    _text("composite", "{schema}.pair", texts.composites(values.texts(30)), setup=(_PAIR,)),
    Fuzzed("point", "POINT", Kind.BYTES, _point, bound=_coordinates),
)

_BOUNDS: dict[str, tuple[texts.Bound, bool]] = {
    "int4": (texts.number_bound, True),
    "int8": (texts.number_bound, True),
    "num": (texts.decimal_bound, False),
    "ts": (texts.moment_bound(""), False),
    "tstz": (texts.moment_bound("+00"), False),
    "date": (texts.day_bound, True),
}
RANGES = (
    *(
        _text(f"{name}range", f"{name.upper()}RANGE", texts.ranges(bound, discrete=discrete))
        for name, (bound, discrete) in _BOUNDS.items()
    ),
    *(
        _text(f"{name}multirange", f"{name.upper()}MULTIRANGE", texts.multiranges(bound))
        for name, (bound, _) in _BOUNDS.items()
    ),
)


def _floats(random: Random) -> str:
    """Numbers that print their digits without an exponent, and those that are none."""
    quarters = random.randint(-160_000, 160_000)
    return random.choice(("NaN", "Infinity", "-Infinity", f"{quarters / 4:.2f}".rstrip("0").rstrip(".")))


def _moment(zone: str) -> Maker:
    make = values.moments(6, texts.MODERN if zone else values.FIRST)
    return lambda random: texts.printed(make(random), zone)


def _plain_numerics(random: Random) -> str:
    while (text := texts.numerics(random)).strip("-") in ("NaN", "Infinity"):
        pass
    return text


def _bytes(random: Random) -> str:
    return _hex(values.binaries(12)(random))


_ELEMENTS: dict[str, tuple[str, Maker]] = {
    "smallint": ("SMALLINT", values.integers(16)),
    "integer": ("INTEGER", values.integers(32)),
    "bigint": ("BIGINT", values.integers(64)),
    "boolean": ("BOOLEAN", values.one_of("t", "f")),
    "real": ("REAL", _floats),
    "double precision": ("DOUBLE PRECISION", _floats),
    "numeric": ("NUMERIC", _plain_numerics),
    "date": ("DATE", values.dates(texts.MODERN)),
    "timestamp without time zone": ("TIMESTAMP", _moment("")),
    "timestamp with time zone": ("TIMESTAMPTZ", _moment("+00")),
    "bytea": ("BYTEA", _bytes),
    "hstore": ("HSTORE", texts.pairs),
    "text": ("TEXT", values.texts(40)),
    "character varying": ("VARCHAR(40)", values.texts(40)),
    "character": ("CHAR(5)", texts.padded(values.texts(5), 5)),
    "citext": ("CITEXT", values.texts(40)),
    "uuid": ("UUID", values.uuids),
    "json": ("JSON", texts.json_as_written),
    "jsonb": ("JSONB", texts.jsonb),
    "inet": ("INET", texts.addresses),
    "cidr": ("CIDR", texts.networks),
    "macaddr": ("MACADDR", texts.hexadecimal(6)),
}
ARRAYS = (
    *(_text(f"{row}[]", f"{ddl}[]", texts.arrays(make)) for row, (ddl, make) in _ELEMENTS.items()),
    _text("enum[]", "{schema}.letter[]", texts.arrays(values.one_of(*_LETTERS), nulls=False)),
)

POSTGRES = (*NUMBERS, *TIMES, *TEXTS, *STRUCTURES, *RANGES, *ARRAYS)
