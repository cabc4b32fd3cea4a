"""Primary keys: types whose values a key can have, and keys that are easily taken for one another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from airflow_provider_chista.canonical import row_text
from airflow_provider_chista.model import Kind

Key = tuple[tuple[str, Any], ...]
"""One SQL literal and one value in Python for each column of the key."""


@dataclass(frozen=True)
class Keyed:
    """A table with a primary key of some types.

    The first of ``before`` and of ``after`` is updated, the second deleted; the third of ``before`` becomes ``moved``.

    :param columns: DDL of the key columns ``a``, ``b``, … by name; :param kinds: their kinds.
    :param before: keys of rows that the snapshot finds, at least three; :param after: of rows that come in the stream, at
        least two; :param moved: key that the third row gets.
    :param order: the columns in the order of the key.
    :param setup: statements before the table.
    """

    columns: dict[str, str]
    kinds: tuple[Kind, ...]
    before: Sequence[Key]
    after: Sequence[Key]
    moved: Key
    order: str = ""
    setup: Sequence[str] = ()

    @property
    def key(self) -> list[str]:
        """Names of the key's columns in the order of the key; a prefix length stays behind."""
        return (self.order or ", ".join(self.columns)).split(", ")

    def text(self, key: Key) -> str:
        """The canonical row key."""
        values = dict(zip(self.columns, (value for _, value in key), strict=True))
        kinds = dict(zip(self.columns, self.kinds, strict=True))
        names = [name.partition("(")[0] for name in self.key]
        return row_text([kinds[name] for name in names], [values[name] for name in names])

    def where(self, key: Key) -> str:
        """Condition of one row."""
        return " AND ".join(f"{name} = {sql}" for name, (sql, _) in zip(self.columns, key, strict=True))

    def statements(self, table: str) -> tuple[list[str], list[str]]:
        """What the application does before the snapshot, and behind it."""
        ddl = ", ".join(f"{name} {declared}" for name, declared in self.columns.items())
        moved = ", ".join(f"{name} = {sql}" for name, (sql, _) in zip(self.columns, self.moved, strict=True))
        setup = [statement.replace("{table}", table) for statement in self.setup]
        create = f"CREATE TABLE {table} (v INT, {ddl}, PRIMARY KEY ({', '.join(self.key)}))"
        return (
            [
                *setup,
                create.replace("{table}", table),
                *(self._insert(table, key, number) for number, key in enumerate(self.before)),
            ],
            [
                *(self._insert(table, key, 100 + number) for number, key in enumerate(self.after)),
                f"UPDATE {table} SET v = 1000 WHERE {self.where(self.before[0])}",
                f"UPDATE {table} SET v = 1100 WHERE {self.where(self.after[0])}",
                f"DELETE FROM {table} WHERE {self.where(self.before[1])}",
                f"DELETE FROM {table} WHERE {self.where(self.after[1])}",
                f"UPDATE {table} SET {moved} WHERE {self.where(self.before[2])}",
            ],
        )

    def _insert(self, table: str, key: Key, v: int) -> str:
        return f"INSERT INTO {table} VALUES ({v}, {', '.join(sql for sql, _ in key)})"

    @property
    def rows(self) -> dict[str, int]:
        """What is there at the end: ``v`` by row key."""
        rows = {self.text(key): number for number, key in enumerate(self.before)}
        rows |= {self.text(key): 100 + number for number, key in enumerate(self.after)}
        rows |= {self.text(self.before[0]): 1000, self.text(self.after[0]): 1100}
        for gone in (self.before[1], self.after[1], self.before[2]):
            del rows[self.text(gone)]
        return rows | {self.text(self.moved): 2}


def single(
    ddl: str, kind: Kind, before: Sequence[tuple[str, Any]], after: Sequence[tuple[str, Any]], **more: Any
) -> Keyed:
    """A key of one column; the last of ``after`` is the key that the third row gets."""
    *rest, moved = after
    return Keyed({"a": ddl}, (kind,), [(key,) for key in before], [(key,) for key in rest], (moved,), **more)


def numbers(*values: int) -> list[tuple[str, int]]:
    return [(str(value), value) for value in values]


def literals(*values: str) -> list[tuple[str, str]]:
    """Quoted literals that are the value, too."""
    return [(f"'{value}'", value) for value in values]


def dates(*values: str) -> list[tuple[str, date]]:
    return [(f"'{value}'", date.fromisoformat(value)) for value in values]


def moments(*values: str) -> list[tuple[str, datetime]]:
    return [(f"'{value}'", datetime.fromisoformat(value)) for value in values]


def zoned(*values: str) -> list[tuple[str, datetime]]:
    return [(f"'{value}+00'", datetime.fromisoformat(value)) for value in values]


def binaries(*values: bytes) -> list[tuple[str, bytes]]:
    return [(f"x'{value.hex()}'" if value else "''", value) for value in values]


def decimals(*values: str) -> list[tuple[str, str]]:
    return [(value, value) for value in values]


def uuids(*values: str) -> list[tuple[str, UUID]]:
    return [(f"'{value}'", UUID(value)) for value in values]


ZERO_UUID, HIGH_UUID = "00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff"
INTEGER_KEYS = {
    "int": single("INT", Kind.INT32, numbers(-(2**31), -10, 0, 9, 10, 2**31 - 1), numbers(-1, 1, -9, 100)),
    "bigint": single("BIGINT", Kind.INT64, numbers(0, -(2**63), 2**63 - 1, 5, 10), numbers(-5, -1, 2**53 + 1, -10)),
    "date": single(
        "DATE", Kind.DATE, dates("0001-01-01", "1970-01-01", "1582-10-04", "9999-12-31", "1999-12-31"),
        dates("1582-10-15", "2024-02-29", "1000-01-01", "1969-12-31"),
    ),
    "composite": Keyed(
        {"a": "INT", "b": "VARCHAR(20)", "c": "DATE"},
        (Kind.INT32, Kind.TEXT, Kind.DATE),
        [
            (("1", 1), ("'a|1'", "a|1"), ("'2024-01-01'", date(2024, 1, 1))),
            (("1", 1), ("'a'", "a"), ("'2024-01-01'", date(2024, 1, 1))),
            (("-1", -1), ("'b'", "b"), ("'2024-01-01'", date(2024, 1, 1))),
            (("10", 10), ("'a'", "a"), ("'2024-01-01'", date(2024, 1, 1))),
            (("2", 2), ("'a'", "a"), ("'2024-01-01'", date(2024, 1, 1))),
        ],
        [
            (("2", 2), ("'a'", "a"), ("'2024-01-02'", date(2024, 1, 2))),
            (("3", 3), ("'~'", "~"), ("'1899-12-31'", date(1899, 12, 31))),
            (("3", 3), ("''", ""), ("'9999-12-31'", date(9999, 12, 31))),
        ],
        (("-1", -1), ("'b'", "b"), ("'2024-01-02'", date(2024, 1, 2))),
        order="b, c, a",
    ),
}  # fmt: skip
"""Keys that every engine has alike."""

TEXTS = literals("a", "b2", "B1", "é", "z", "日本", "x|1:y", "😀", "A1"), literals("Z", "~", "", "ab", "b3")
MYSQL_FAMILY_KEYS = {
    **INTEGER_KEYS,
    "bigint_unsigned": single(
        "BIGINT UNSIGNED", Kind.UINT64, numbers(0, 2**63, 2**64 - 1, 9, 10), numbers(2**63 - 1, 2**53 + 1, 100, 2**63 + 1)
    ),
    "zerofill": single("INT(10) ZEROFILL", Kind.UINT32, numbers(0, 7, 42, 2**32 - 1), numbers(10, 9, 100, 8)),
    "tinyint": Keyed(
        {"a": "TINYINT(1)", "b": "SMALLINT"},
        (Kind.INT8, Kind.INT16),
        [tuple(numbers(a, b)) for a, b in ((0, 0), (1, -1), (-128, 0), (2, 10), (1, 9))],
        [tuple(numbers(a, b)) for a, b in ((127, 0), (1, 0), (0, -32768))],
        tuple(numbers(-128, 1)),
    ),
    "serial": single("BIGINT UNSIGNED AUTO_INCREMENT", Kind.UINT64, numbers(1, 2, 3), numbers(10, 11, 9, 4)),
    "year": single("YEAR", Kind.UINT16, numbers(1901, 1970, 2155, 1999), numbers(2000, 2024, 1902, 2154)),
    "decimal": single(
        "DECIMAL(10,2)", Kind.DECIMAL, decimals("0.00", "-1.50", "10.00", "9.05", "-10.00", "99999999.99"),
        decimals("1.50", "-0.01", "100.10", "0.01"),
    ),
    "bit": single(
        "BIT(8)", Kind.UINT64, [(f"b'{n:b}'", n) for n in (0, 1, 2, 128, 255)], [(f"b'{n:b}'", n) for n in (127, 3, 64, 254)]
    ),
    "datetime": single(
        "DATETIME(6)", Kind.DATETIME,
        moments("0001-01-01 00:00:00.000001", "1970-01-01 00:00:00", "2024-03-31 02:30:00.5", "9999-12-31 23:59:59.999999"),
        moments("1969-12-31 23:59:59.999999", "2024-02-29 12:34:56.789012", "1582-10-15 00:00:00", "2024-03-31 02:30:00.6"),
    ),
    "timestamp": single(
        "TIMESTAMP(3)", Kind.DATETIME, moments("1970-01-01 00:00:01", "2024-03-31 02:30:00.1", "2024-10-27 01:30:00"),
        moments("2038-01-19 03:14:07.999", "2024-10-27 00:30:00", "1999-12-31 23:59:59.99", "2024-10-27 01:30:00.001"),
    ),
    # 'abc' becomes 'ABC', and 'x' becomes 'x ': the same key at the source, another one downstream.
    "text_nocase": single(
        "VARCHAR(20) COLLATE utf8mb4_general_ci", Kind.TEXT,
        literals("k1", "K2", "abc", "é", "x|1:y", "日本", " k1", "-"), literals("Z", "~", "ab", "ABC"),
    ),
    "text_padded": single(
        "VARCHAR(20) COLLATE utf8mb4_general_ci", Kind.TEXT, literals("k1 ", "k2  ", "x", "a b", "ab", "a  "),
        literals("q ", "q2 ", "", "x  "),
    ),
    "text_binary": single("VARCHAR(20) COLLATE utf8mb4_bin", Kind.TEXT, *TEXTS),
    "text_latin1": single(
        "VARCHAR(20) CHARACTER SET latin1", Kind.TEXT, literals("a", "é1", "ÿ", "Zoë", "zoo"), literals("b ", "€", "ü", "ÿ2")
    ),
    "text_padded_char": single("CHAR(4)", Kind.TEXT, literals("a", "b", "abcd", "é"), literals("c", "d", "", "abce")),
    "text_prefix": single(
        "TEXT", Kind.TEXT, literals("long one", "short", "third", "é"), literals("b", "c", "d", "third one"), order="a(5)"
    ),
    "varbinary": single(
        "VARBINARY(8)", Kind.BYTES, binaries(b"\x00", b"\x00\x00", b"", b"\x00\x01", b"\xff\xfe", b"a", b"A"),
        binaries(b"\x00\x00\x00", b"\x01", b"a ", b"\x00\xff"),
    ),
    "binary": single(
        "BINARY(4)", Kind.BYTES,
        binaries(*(b.ljust(4, b"\x00") for b in (b"\x00", b"\x00\x01", b"\x00\x00\x01", b"abcd", b"\xff"))),
        binaries(*(b.ljust(4, b"\x00") for b in (b"\x00\x00\x00\x01", b"\x01", b"ab", b"\x00\xff"))),
    ),
    "enum": single(
        r"ENUM('z','b,c','a','x\\y','m','q,r','k','o','h')", Kind.TEXT, literals("z", "m", "a", "b,c"),
        [*literals("k", "o"), ("'x\\\\y'", "x\\y"), *literals("q,r", "h")],
    ),
    "set": single("SET('y','x','z')", Kind.TEXT, literals("y,x", "x", "z", "y"), literals("y,x,z", "y,z", "x,z", "")),
}  # fmt: skip
POSTGRES_KEYS = {
    **INTEGER_KEYS,
    "text": single("TEXT", Kind.TEXT, *TEXTS),
    "varchar": single("VARCHAR(20)", Kind.TEXT, literals("a ", "a", "A", "b"), literals("c ", "c", "d", "A ")),
    "citext": single("CITEXT", Kind.TEXT, literals("k1", "K2", "abc", "é", "Zoo", "zap"), literals("Z", "~", "ab", "ABC")),
    "char": single(
        "CHAR(4)", Kind.TEXT, [(f"'{t}'", t.ljust(4)) for t in ("a", "b", "abcd", "é", "A")],
        [(f"'{t}'", t.ljust(4)) for t in ("c", "d", "", "abce")],
    ),
    "uuid": single(
        "UUID", Kind.UUID, uuids(ZERO_UUID, HIGH_UUID, "123e4567-e89b-12d3-a456-426614174000"),
        uuids("7fffffff-ffff-ffff-ffff-ffffffffffff", "80000000-0000-0000-0000-000000000000",
              "01890a5d-ac96-774b-bcce-b302099a8000", "123e4567-e89b-12d3-a456-426614174001"),
    ),
    "bytea": single(
        "BYTEA", Kind.BYTES, [(f"'\\x{b.hex()}'", b) for b in (b"\x00", b"\x00\x00", b"", b"\x00\x01", b"\xff\xfe")],
        [(f"'\\x{b.hex()}'", b) for b in (b"\x00\x00\x00", b"\x01", b"a ", b"\x00\xff")],
    ),
    "timestamp": single(
        "TIMESTAMP", Kind.DATETIME,
        moments("1970-01-01 00:00:00.000001", "2024-03-31 02:30:00", "9999-12-31 23:59:59.999999"),
        moments("1969-12-31 23:59:59.999999", "2024-02-29 12:34:56.789", "1600-01-01 00:00:00", "9999-12-31 23:59:59.999998"),
    ),
    "timestamptz": single(
        "TIMESTAMPTZ", Kind.DATETIME,
        zoned("1970-01-01 00:00:00", "2024-10-27 01:30:00", "2024-10-27 00:30:00"),
        zoned("1969-12-31 23:59:59.5", "1999-12-31 23:59:59", "2024-03-31 02:30:00", "2024-10-27 00:30:00.000001"),
    ),
    "numeric": single(
        "NUMERIC(10,2)", Kind.DECIMAL, decimals("0.00", "-1.50", "10.00", "9.05", "-10.00", "99999999.99"),
        decimals("1.50", "-0.01", "100.10", "0.01"),
    ),
    "boolean": Keyed(
        {"a": "BOOLEAN", "b": "INT"},
        (Kind.BOOL, Kind.INT32),
        [((str(a), a), (str(b), b)) for a, b in ((True, 1), (False, 1), (True, -1), (False, 10), (True, 9))],
        [((str(a), a), (str(b), b)) for a, b in ((False, 0), (True, 0), (True, 10))],
        (("false", False), ("-1", -1)),
    ),
    "inet": single(
        "INET", Kind.TEXT, literals("192.168.0.1/24", "192.168.0.1", "10.0.0.1", "::1", "9.0.0.1"),
        literals("192.168.0.2", "10.0.0.2", "2001:db8::1/64", "10.0.0.1/8"),
    ),
    "enum": single(
        "{table}_mood", Kind.TEXT, literals("z", "m", "a", "b,c"), literals("k", "o", "q,r", "h"),
        setup=["CREATE TYPE {table}_mood AS ENUM ('z', 'b,c', 'a', 'm', 'k', 'o', 'q,r', 'h')"],
    ),
    "oid": single("OID", Kind.UINT32, numbers(0, 1, 2**32 - 1), numbers(2**31, 2, 9, 10)),
    "macaddr": single(
        "MACADDR", Kind.TEXT, literals("00:00:00:00:00:00", "08:00:2b:01:02:03", "ff:ff:ff:ff:ff:ff"),
        literals("00:00:00:00:00:01", "10:00:00:00:00:00", "80:00:00:00:00:00", "ff:ff:ff:ff:ff:fe"),
    ),
}  # fmt: skip
_NOPAD = literals("x", "x ", "abc", "x  ", "é"), literals("y ", "y", "z", "ABC")
_OF_ENGINE = {
    "mysql": {
        **MYSQL_FAMILY_KEYS,
        "text_nopad": single("VARCHAR(20) COLLATE utf8mb4_0900_ai_ci", Kind.TEXT, *_NOPAD),
    },
    "mariadb": {
        **MYSQL_FAMILY_KEYS,
        "text_nopad": single("VARCHAR(20) COLLATE utf8mb4_general_nopad_ci", Kind.TEXT, *_NOPAD),
    },
    "postgres": POSTGRES_KEYS,
}
KEYS: dict[str, dict[str, Keyed]] = {
    # Not called like the type: with a table called citext, Debezium takes the type of its rows for the extension's.
    flavour: {f"by_{name}": keyed for name, keyed in keys.items()}
    for flavour, keys in _OF_ENGINE.items()
}
"""Tables by name, by engine."""
