"""Fuzzed columns of MySQL and MariaDB: every row of their type tables, and the attributes that change how a value is sent."""

from __future__ import annotations

import json
import struct
import uuid
from collections.abc import Sequence
from datetime import date
from random import Random
from typing import Any

from airflow_provider_chista.model import Kind
from tests.integration.fuzz import values
from tests.integration.fuzz.columns import Fuzzed
from tests.integration.fuzz.values import Maker

_NUL = "\x00"
_HOURS = 838 * 3600 + 59 * 60 + 59
_INTEGERS = {"tinyint": 8, "smallint": 16, "mediumint": 24, "int": 32, "bigint": 64}
_LABELS = ("a", "B", "b,c", "it's", "x\\y", '"q"', "é日", "l\nm", "  x", "|~|", "1:a", "\\N")
_ENUM = ",".join(
    "'" + label.replace("\\", "\\\\").replace("'", "''").replace("\n", "\\n") + "'" for label in _LABELS
)
_MEMBERS = ("x", "y", "z", "ü", "it's", "p q", "|", "~", "\\")
_SET = ",".join("'" + label.replace("\\", "\\\\").replace("'", "''") + "'" for label in _MEMBERS)
# Without the bytes that latin1 does not define, which the stream loses.
_LATIN1 = ("|", "~", "1:a", "'", "\\", "é", "ÿ", "€", "\xa0", "ß", " ", "\n", "a", "Z", _NUL, "%s")


def _kind(bits: int, signed: bool) -> Kind:
    return Kind(f"{'' if signed else 'u'}int{32 if bits == 24 else bits}")


def _integer(name: str, bits: int, signed: bool) -> Fuzzed:
    row = name if signed else f"{name} unsigned"
    return Fuzzed(row, row.upper(), _kind(bits, signed), values.integers(bits, signed))


def _char(make: Maker) -> Maker:
    """The server strips the trailing blanks of a CHAR."""
    return lambda random: make(random).rstrip(" ")


def _binary(row: str, ddl: str, longest: int = 0) -> Fuzzed:
    return Fuzzed(row, ddl, Kind.BYTES, values.binaries(60, longest))


NUMBERS = (
    *(_integer(name, bits, signed) for name, bits in _INTEGERS.items() for signed in (True, False)),
    Fuzzed("tinyint", "TINYINT(1) NOT NULL", Kind.INT8, values.integers(8)),
    Fuzzed("int unsigned", "INT(10) ZEROFILL", Kind.UINT32, values.integers(32, signed=False)),
    Fuzzed("bigint", "BIGINT NOT NULL", Kind.INT64, values.integers(64)),
    Fuzzed("year", "YEAR", Kind.UINT16, values.between(1901, 2155)),
    Fuzzed("decimal", "DECIMAL(12,2) NOT NULL", Kind.DECIMAL, values.decimals(12, 2)),
    Fuzzed("decimal", "DECIMAL(65,30)", Kind.DECIMAL, values.decimals(65, 30)),
    Fuzzed("decimal unsigned", "DECIMAL(20,0) UNSIGNED", Kind.DECIMAL, values.decimals(20, 0, signed=False)),
    Fuzzed("bit", "BIT(1)", Kind.UINT64, values.between(0, 1)),
    Fuzzed("bit", "BIT(10) NOT NULL", Kind.UINT64, values.integers(10, signed=False)),
    Fuzzed("bit", "BIT(64)", Kind.UINT64, values.integers(64, signed=False)),
    Fuzzed("float", "FLOAT", Kind.FLOAT32, values.singles(), values.six_digits),
    Fuzzed(
        "float unsigned",
        "FLOAT UNSIGNED",
        Kind.FLOAT32,
        values.positive(values.singles()),
        values.positive(values.six_digits),
    ),
    Fuzzed("double", "DOUBLE", Kind.FLOAT64, values.doubles()),
    Fuzzed("double unsigned", "DOUBLE UNSIGNED", Kind.FLOAT64, values.positive(values.doubles())),
    Fuzzed("double(m,d)", "DOUBLE(20,2)", Kind.FLOAT64, values.quarters),
    Fuzzed("double(m,d) unsigned", "DOUBLE(20,2) UNSIGNED", Kind.FLOAT64, values.positive(values.quarters)),
)

_STAMPS = date(1970, 1, 2), date(2038, 1, 18)
TIMES = (
    Fuzzed("date", "DATE", Kind.DATE, values.dates()),
    Fuzzed("date", "DATE NOT NULL", Kind.DATE, values.dates(date(1900, 1, 1))),
    Fuzzed("datetime", "DATETIME", Kind.DATETIME, values.moments(0)),
    Fuzzed("datetime", "DATETIME(3) NOT NULL", Kind.DATETIME, values.moments(3)),
    Fuzzed("datetime", "DATETIME(6)", Kind.DATETIME, values.moments(6)),
    Fuzzed("timestamp", "TIMESTAMP NULL", Kind.DATETIME, values.moments(0, *_STAMPS)),
    Fuzzed("timestamp", "TIMESTAMP(6) NULL", Kind.DATETIME, values.moments(6, *_STAMPS)),
    Fuzzed("time", "TIME", Kind.TIME, values.durations(-_HOURS * 10**6, _HOURS * 10**6, 0)),
    Fuzzed("time", "TIME(6)", Kind.TIME, values.durations(-_HOURS * 10**6, _HOURS * 10**6)),
)

TEXTS = (
    Fuzzed("char", "CHAR(40)", Kind.TEXT, _char(values.texts(38, _NUL)), bound=lambda text: f"{text}  "),
    Fuzzed("varchar", "VARCHAR(60)", Kind.TEXT, values.texts(60, _NUL)),
    Fuzzed("varchar", "VARCHAR(60) COLLATE utf8mb4_bin NOT NULL", Kind.TEXT, values.texts(60, _NUL)),
    Fuzzed("varchar", "VARCHAR(60) CHARACTER SET latin1", Kind.TEXT, values.texts(60, pieces=_LATIN1)),
    Fuzzed("tinytext", "TINYTEXT", Kind.TEXT, values.texts(60, _NUL)),
    Fuzzed("text", "TEXT", Kind.TEXT, values.texts(80, _NUL, longest=15_000)),
    Fuzzed("mediumtext", "MEDIUMTEXT", Kind.TEXT, values.texts(80, _NUL, longest=20_000)),
    Fuzzed("longtext", "LONGTEXT", Kind.TEXT, values.texts(80, _NUL, longest=20_000)),
    Fuzzed("enum", f"ENUM({_ENUM})", Kind.TEXT, values.one_of(*_LABELS)),
    Fuzzed("set", f"SET({_SET})", Kind.TEXT, values.some_of(*_MEMBERS)),
)

BYTES = (
    Fuzzed("binary", "BINARY(16)", Kind.BYTES, values.padded_bytes(16)),
    _binary("varbinary", "VARBINARY(60)"),
    _binary("tinyblob", "TINYBLOB"),
    _binary("blob", "BLOB", longest=20_000),
    _binary("mediumblob", "MEDIUMBLOB"),
    _binary("longblob", "LONGBLOB NOT NULL"),
)


def _coordinate(random: Random) -> bytes:
    x, y = (random.choice((0.0, -1.5, 180.0, 1e300, random.uniform(-1e6, 1e6))) for _ in "xy")
    return struct.pack("<dd", x, y)


def _wkb(shape: int, content: bytes) -> bytes:
    return struct.pack("<BI", 1, shape) + content


def _counted(parts: Sequence[bytes]) -> bytes:
    return struct.pack("<I", len(parts)) + b"".join(parts)


def _point(random: Random) -> bytes:
    return _wkb(1, _coordinate(random))


def _line(random: Random) -> bytes:
    return _wkb(2, _counted([_coordinate(random) for _ in range(random.randint(2, 4))]))


def _ring(random: Random) -> bytes:
    start, *others = (struct.pack("<dd", *(random.uniform(-1e3, 1e3) for _ in "xy")) for _ in range(3))
    return _counted([start, *others, start])


def _polygon(random: Random) -> bytes:
    return _wkb(3, _counted([_ring(random) for _ in range(random.randint(1, 2))]))


def _many(shape: int, part: Maker) -> Maker:
    return lambda random: _wkb(shape, _counted([part(random) for _ in range(random.randint(1, 3))]))


def _any_of(*makers: Maker) -> Maker:
    return lambda random: random.choice(makers)(random)


_SHAPES: dict[str, Maker] = {
    "point": _point,
    "linestring": _line,
    "polygon": _polygon,
    "multipoint": _many(4, _point),
    "multilinestring": _many(5, _line),
    "multipolygon": _many(6, _polygon),
}
_COLLECTION = _many(7, _any_of(_point, _line, _polygon))


def _stored(make: Maker) -> Maker:
    """As the server holds a geometry, which is also how it takes one: the SRID, then WKB."""
    return lambda random: struct.pack("<I", random.choice((0, 0, 3857))) + make(random)


SHAPES = (
    Fuzzed("geometry", "GEOMETRY", Kind.BYTES, _stored(_any_of(*_SHAPES.values()))),
    *(Fuzzed(row, row.upper(), Kind.BYTES, _stored(make)) for row, make in _SHAPES.items()),
)

COMMON = (*NUMBERS, *TIMES, *TEXTS, *BYTES, *SHAPES)


def _collection(row: str) -> Fuzzed:
    return Fuzzed(row, "GEOMETRYCOLLECTION", Kind.BYTES, _stored(_COLLECTION))


def _number(random: Random) -> int | float:
    """Numbers inside JSON that keep their spelling: not the whole doubles from 1e7 on, which arrive as integers."""
    if random.random() < 0.5:
        return random.randint(-(2**63), 2**64 - 1) if random.random() < 0.3 else random.randint(-1_000, 1_000)
    whole = random.randint(-9_999_999, 9_999_999)
    return float(whole) if random.random() < 0.2 else whole / 1_000


def _ordered(document: Any) -> Any:
    """Members in the order in which MySQL keeps them: by the length of their names in bytes, then by the bytes."""
    if isinstance(document, list):
        return [_ordered(item) for item in document]
    if isinstance(document, dict):
        names = sorted(document, key=lambda name: (len(name.encode()), name.encode()))
        return {name: _ordered(document[name]) for name in names}
    return document


_DOCUMENT = values.pooled(values.documents(values.texts(30), _number))


def _json(random: Random) -> str:
    return json.dumps(_ordered(_DOCUMENT(random)), ensure_ascii=False)


def _spelled(random: Random) -> str:
    """JSON as an application spells it, which MariaDB keeps as it is."""
    separators = random.choice(((",", ":"), (", ", ": "), (" ,\n", "\t:")))
    return json.dumps(_DOCUMENT(random), ensure_ascii=random.random() < 0.5, separators=separators)


def _vector(random: Random) -> bytes:
    make = values.singles(-0.0)
    return b"".join(struct.pack("<f", make(random)) for _ in range(random.randint(1, 4)))


def _whole_uuid(random: Random) -> uuid.UUID:
    """UUIDs of RFC 4122, which are all that MariaDB takes, without a zero byte at the end: the stream moves those."""
    value = random.getrandbits(128)
    return uuid.UUID(int=value if value & 0xFF else value | 1, version=random.randint(1, 5))


MYSQL = (
    *COMMON,
    Fuzzed("double", "DOUBLE NOT NULL", Kind.FLOAT64, values.doubles(-0.0)),
    _collection("geomcollection"),
    Fuzzed("json", "JSON", Kind.TEXT, _json),
    Fuzzed("vector", "VECTOR(4)", Kind.BYTES, _vector, bound=bytes.hex, mark="UNHEX(%s)"),
)

MARIADB = (
    *COMMON,
    _collection("geometrycollection"),
    Fuzzed("longtext", "JSON", Kind.TEXT, _spelled),
    Fuzzed("uuid", "UUID", Kind.UUID, _whole_uuid),
)
