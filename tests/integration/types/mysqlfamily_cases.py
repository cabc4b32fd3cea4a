"""Cases of the types that MySQL and MariaDB have in common, but for the spatial ones."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from datetime import date, datetime

from airflow_provider_chista.model import Kind
from tests.integration.types.cases import Case, Typed, same

SESSION = ("SET SESSION time_zone = '+00:00', sql_mode = ''",)
"""Of an application that may write zero dates and labels that an ENUM does not have."""


def single(value: float) -> float:
    """The nearest 4-byte float."""
    return float(struct.unpack("<f", struct.pack("<f", value))[0])


def texts(*values: str, damaged: str = "") -> list[Case]:
    """Cases of texts, written as their bytes so that no quoting comes between."""
    return [
        Case(f"_utf8mb4 x'{value.encode().hex()}'" if value else "''", value, damaged) for value in values
    ]


def binaries(*values: bytes) -> list[Case]:
    """Cases of byte strings."""
    return [Case(f"x'{value.hex()}'" if value else "''", value) for value in values]


def integers(row: str, ddl: str, kind: Kind, *values: int) -> Typed:
    """A column of whole numbers."""
    return Typed(row, ddl, kind, same(*((str(value), value) for value in values)))


HOSTILE = (
    "", "~", "|", "1:a|b", "\\N", "NULL", "null", "'\"`\\", "%s %% {0}", "tab\tline\ncarriage\r", "a\x00b",
    "\x01\x1f\x7f", "  both  ", "日本語", "😀👩‍👩‍👧‍👦𝄞", "e\u0301 é", "\ufeffBOM\u200b", "İıßﬀ", '{"op": "c"}',
    "__debezium_unavailable_value",
)  # fmt: skip
LATIN = ("", "café", "é€ÿ\xa0£", "  both  ", "tab\t|~", "a\x00b")
UNDEFINED_IN_LATIN1 = Case("_latin1 x'80818d8f909dff'", "€\x81\x8d\x8f\x90\x9dÿ", damaged="c")
BLOBS = (b"", b"\x00", b"\x01\x00\x00", b"A  ", b"\xff\xfe\xfb", bytes(range(256))[-60:])

NUMBERS = (
    integers("tinyint", "TINYINT", Kind.INT8, -(2**7), 2**7 - 1, 0),
    integers("smallint", "SMALLINT", Kind.INT16, -(2**15), 2**15 - 1, -1),
    integers("mediumint", "MEDIUMINT", Kind.INT32, -(2**23), 2**23 - 1, -1),
    integers("int", "INT", Kind.INT32, -(2**31), 2**31 - 1, 0),
    integers("bigint", "BIGINT", Kind.INT64, -(2**63), 2**63 - 1, 2**53 + 1),
    integers("tinyint unsigned", "TINYINT UNSIGNED", Kind.UINT8, 0, 2**8 - 1, 2**7),
    integers("smallint unsigned", "SMALLINT UNSIGNED", Kind.UINT16, 0, 2**16 - 1, 2**15),
    integers("mediumint unsigned", "MEDIUMINT UNSIGNED", Kind.UINT32, 0, 2**24 - 1, 2**23),
    integers("int unsigned", "INT UNSIGNED", Kind.UINT32, 0, 2**32 - 1, 2**31),
    integers("bigint unsigned", "BIGINT UNSIGNED", Kind.UINT64, 0, 2**64 - 1, 2**63, 2**53 + 1),
    integers("tinyint", "TINYINT(1)", Kind.INT8, 0, 1, 2, 127, -1, -128),
    integers("tinyint", "BOOLEAN", Kind.INT8, 0, 1, 2, -128),
    integers("tinyint unsigned", "TINYINT(3) ZEROFILL", Kind.UINT8, 0, 7, 255),
    integers("int unsigned", "INT(10) ZEROFILL", Kind.UINT32, 0, 42, 2**32 - 1),
    integers("bigint unsigned", "BIGINT ZEROFILL", Kind.UINT64, 0, 42, 2**63, 2**64 - 1),
    integers("year", "YEAR", Kind.UINT16, 1901, 1970, 2155),
    Typed(
        "decimal",
        "DECIMAL(65,30)",
        Kind.DECIMAL,
        same(
            ("1.5", f"1.5{'0' * 29}"),
            ("0", f"0.{'0' * 30}"),
            ("1e-30", f"0.{'0' * 29}1"),
            (f"-{'9' * 35}.{'9' * 30}", f"-{'9' * 35}.{'9' * 30}"),
            (f"{'9' * 35}.{'9' * 30}", f"{'9' * 35}.{'9' * 30}"),
        ),
    ),
    Typed(
        "decimal",
        "DECIMAL(5,0)",
        Kind.DECIMAL,
        same(("99999", "99999"), ("-99999", "-99999"), ("-0.4", "0"), ("100", "100")),
    ),
    Typed("decimal", "DECIMAL(65,0)", Kind.DECIMAL, same(("9" * 65, "9" * 65), ("-" + "9" * 65, "-" + "9" * 65))),
    Typed("decimal", "DECIMAL(10,10)", Kind.DECIMAL, same(("0.1", "0.1000000000"), ("-0.0000000001", "-0.0000000001"))),
    Typed(
        "decimal unsigned",
        "DECIMAL(10,2) UNSIGNED",
        Kind.DECIMAL,
        same(("0", "0.00"), ("1.50", "1.50"), ("99999999.99", "99999999.99")),
    ),
    Typed(
        "decimal unsigned",
        "DECIMAL(8,0) ZEROFILL",
        Kind.DECIMAL,
        same(("0", "0"), ("42", "42"), ("99999999", "99999999")),
    ),
    Typed("bit", "BIT(1)", Kind.UINT64, same(("b'0'", 0), ("b'1'", 1))),
    Typed("bit", "BIT(10)", Kind.UINT64, same(("b'0'", 0), ("b'1000000010'", 514), ("b'1111111111'", 1023))),
    Typed(
        "bit",
        "BIT(64)",
        Kind.UINT64,
        same(("b'0'", 0), ("0x0102030405060708", 0x0102030405060708), ("1 << 63", 2**63), ("~0", 2**64 - 1)),
    ),
)  # fmt: skip

FLOATS = (
    Typed(
        "float",
        "FLOAT",
        Kind.FLOAT32,
        [
            *same(*((str(n), single(n)) for n in (0.0, 0.5, -0.1, 100.0, 1e10, 123456.0, 1.4e-45, 1e-5))),
            *same(*((str(n), single(n)) for n in (16777216.0, 1 / 3, 3.4028235e38, -1.17549435e-38)), damaged="r"),
        ],
    ),
    Typed(
        "float unsigned",
        "FLOAT UNSIGNED",
        Kind.FLOAT32,
        [*same(("0", 0.0), ("2.5", 2.5)), *same(("0.333333343", single(1 / 3)), damaged="r")],
    ),
    Typed(
        "float",
        "FLOAT(7,3)",
        Kind.FLOAT32,
        same(*((str(n), single(n)) for n in (0.1, 0.001, 9999.999, -9999.999))),
    ),
    Typed(
        "double",
        "DOUBLE",
        Kind.FLOAT64,
        same(
            *(
                (repr(n), n)
                for n in (
                    0.0, 0.1, -0.1, 1 / 3, 5e-324, 2.2250738585072014e-308, 1.7976931348623157e308, -1.7976931348623157e308,
                    1e15, 1e16, 123456789012345680.0, 1e21, 1e22, 9007199254740993.0, 1e-5, 1.5e-10, 100.0, 3.141592653589793,
                )
            )
        ),
    ),
    Typed(
        "double unsigned",
        "DOUBLE UNSIGNED",
        Kind.FLOAT64,
        same(("0.1e0", 0.1), ("1.7976931348623157e308", 1.7976931348623157e308)),
    ),
)  # fmt: skip

# The server rounds to the declared digits in binary, so that it may hold a neighbour of the number that it shows.
ROUNDED = (
    Typed(
        "double(m,d)",
        "DOUBLE(20,5)",
        Kind.FLOAT64,
        same(("0.00001", 1e-5), ("-1.5", -1.5), ("12345678.90625", 12345678.90625), ("-999999999999.5", -999999999999.5)),
    ),
    Typed(
        "double(m,d) unsigned",
        "DOUBLE(20,5) UNSIGNED",
        Kind.FLOAT64,
        same(("0.00001", 1e-5), ("1.5", 1.5), ("1e14", 1e14)),
    ),
)  # fmt: skip

DAYS = (
    "0001-01-01", "0070-03-04", "1000-01-01", "1500-02-28", "1582-10-04", "1582-10-15", "1899-12-31", "1900-01-01",
    "1969-12-31", "1970-01-01", "2024-02-29", "2299-12-31", "2300-01-01", "9999-12-31",
)  # fmt: skip


def dates(*values: str) -> list[Case]:
    return [Case(f"'{value}'", date.fromisoformat(value)) for value in values]


def moments(*values: str, damaged: str = "") -> list[Case]:
    """Cases of timestamps in the years 1 to 9999."""
    return [Case(f"'{value}'", datetime.fromisoformat(value), damaged) for value in values]


(LEAP_DAY,) = moments("2024-02-29 12:34:56")


def zeros(*pairs: tuple[str, str]) -> list[Case]:
    """Cases of dates and timestamps that no calendar has."""
    return same(*((f"'{value}'", text) for value, text in pairs), damaged="rc")


TIMES = (
    Typed(
        "date",
        "DATE",
        Kind.DATE,
        [
            *dates(*DAYS, "1582-10-10"),
            *zeros(("0000-00-00",) * 2, ("2020-05-00",) * 2, ("2020-00-15",) * 2),
            # In a snapshot its event goes to the dead letters: no date of the archive is before year 1.
            Case("'0000-05-06'", "0000-05-06", damaged="c", paths="c"),
        ],
    ),
    Typed(
        "date",
        "DATE NOT NULL DEFAULT '2001-02-03'",
        Kind.DATE,
        [*dates("1970-01-01", "2001-02-03"), *zeros(("0000-00-00",) * 2, ("2020-05-00",) * 2)],
        rest=Case("'2024-02-29'", date(2024, 2, 29)),
    ),
    Typed(
        "datetime",
        "DATETIME",
        Kind.DATETIME,
        [
            *moments(*(f"{day} 23:59:59" for day in DAYS), "1970-01-01 00:00:00", "2024-03-31 02:30:00"),
            *moments("1582-10-10 00:00:00", damaged="r"),
            *zeros(
                ("0000-00-00 00:00:00", "0000-00-00 00:00:00.000000"),
                ("2020-05-00 01:02:03", "2020-05-00 01:02:03.000000"),
                ("0000-05-06 07:08:09", "0000-05-06 07:08:09.000000"),
            ),
        ],
    ),
    Typed(
        "datetime",
        "DATETIME(3)",
        Kind.DATETIME,
        moments("0001-01-01 00:00:00.001", "1969-12-31 23:59:59.999", "2024-02-29 12:34:56.780", "9999-12-31 23:59:59.999"),
    ),
    Typed(
        "datetime",
        "DATETIME(6)",
        Kind.DATETIME,
        [
            *moments(
                "0001-01-01 00:00:00.000001", "1582-10-04 23:59:59.999999", "1969-12-31 23:59:59.999999",
                "1970-01-01 00:00:00.000001", "2024-02-29 12:34:56.789012", "9999-12-31 23:59:59.999999",
            ),
            *moments("1582-10-05 00:00:00.000001", "1582-10-14 23:59:59.999999", damaged="r"),
            *zeros(
                ("0000-00-00 00:00:00", "0000-00-00 00:00:00.000000"),
                ("2020-00-15 01:02:03.000004", "2020-00-15 01:02:03.000004"),
            ),
        ],
    ),
    Typed(
        "datetime",
        "DATETIME NOT NULL",
        Kind.DATETIME,
        [*moments("1970-01-01 00:00:00"), *zeros(("0000-00-00 00:00:00", "0000-00-00 00:00:00.000000"))],
        rest=LEAP_DAY,
    ),
    # 02:30 on 2024-03-31 does not exist in most of Europe, 01:30 on 2024-10-27 is there twice.
    Typed(
        "timestamp",
        "TIMESTAMP NULL",
        Kind.DATETIME,
        [
            *moments(
                "1970-01-01 00:00:01", "2024-03-31 02:30:00", "2024-03-31 01:30:00", "2024-10-27 01:30:00",
                "2024-10-27 00:30:00", "2038-01-19 03:14:07",
            ),
            *zeros(("0000-00-00 00:00:00", "0000-00-00 00:00:00.000000")),
        ],
    ),
    Typed(
        "timestamp",
        "TIMESTAMP(6) NULL",
        Kind.DATETIME,
        [
            *moments(
                "1970-01-01 00:00:01.000001", "2024-02-29 12:34:56.789012", "2024-02-29 12:34:56.100000",
                "2038-01-19 03:14:07.999999",
            ),
            *zeros(("0000-00-00 00:00:00", "0000-00-00 00:00:00.000000")),
        ],
    ),
    Typed(
        "timestamp",
        "TIMESTAMP NOT NULL DEFAULT '2020-01-01 00:00:00'",
        Kind.DATETIME,
        [*moments("1970-01-01 00:00:01"), *zeros(("0000-00-00 00:00:00", "0000-00-00 00:00:00.000000"))],
        rest=LEAP_DAY,
    ),
    Typed(
        "time",
        "TIME",
        Kind.TIME,
        same(
            *(
                (f"'{value}'", f"{value}.000000")
                for value in ("00:00:00", "23:59:59", "24:00:00", "-00:00:01", "100:00:00", "838:59:59", "-838:59:59")
            )
        ),
    ),
    Typed("time", "TIME(3)", Kind.TIME, same(("'-00:00:00.001'", "-00:00:00.001000"), ("'24:00:00.1'", "24:00:00.100000"))),
    Typed(
        "time",
        "TIME(6)",
        Kind.TIME,
        same(
            *(
                (f"'{value}'", value)
                for value in (
                    "00:00:00.000000", "00:00:00.000001", "-00:00:00.000001", "23:59:59.999999", "24:00:00.000000",
                    "838:59:59.000000", "-838:59:59.000000", "-100:00:00.500000",
                )
            )
        ),
    ),
)  # fmt: skip

TEXTS = (
    Typed("char", "CHAR(30)", Kind.TEXT, [*texts(*(t for t in HOSTILE if not t.endswith(" "))), Case("'ab   '", "ab")]),
    Typed("char", "CHAR(10) CHARACTER SET latin1", Kind.TEXT, [*texts("café", "é€ÿ"), UNDEFINED_IN_LATIN1]),
    Typed("varchar", "VARCHAR(60)", Kind.TEXT, texts(*HOSTILE)),
    Typed("varchar", "VARCHAR(60) COLLATE utf8mb4_bin", Kind.TEXT, texts("", "a", "A ", "😀", "a\x00b")),
    Typed("varchar", "VARCHAR(60) CHARACTER SET utf8mb3", Kind.TEXT, texts("", "日本語", "é€ÿ", "a\x00b")),
    Typed("varchar", "VARCHAR(30) CHARACTER SET latin1", Kind.TEXT, [*texts(*LATIN), UNDEFINED_IN_LATIN1]),
    Typed("varchar", "VARCHAR(30) CHARACTER SET latin1 COLLATE latin1_bin", Kind.TEXT, texts("é ", "É")),
    Typed("varchar", "VARCHAR(30) CHARACTER SET ascii", Kind.TEXT, texts("", "a\x00b~|", "  both  ")),
    Typed("varchar", "VARCHAR(30) CHARACTER SET koi8u", Kind.TEXT, [*texts("", "Жук"), *texts("Ґєїі•", damaged="c")]),
    Typed("varchar", "VARCHAR(30) CHARACTER SET utf16", Kind.TEXT, texts("", "日本😀", "é", "a\x00b")),
    Typed("varchar", "VARCHAR(30) CHARACTER SET utf32", Kind.TEXT, texts("", "日本😀", "é", "a\x00b")),
    Typed("varchar", "VARCHAR(30) CHARACTER SET sjis", Kind.TEXT, [*texts("日本", "ﾃｽﾄ~"), *texts("ソ\\", damaged="c")]),
    Typed("varchar", "VARCHAR(30) CHARACTER SET gbk", Kind.TEXT, texts("", "中文", "啊\\")),
    Typed("varchar", "VARCHAR(30) CHARACTER SET cp1251", Kind.TEXT, texts("", "Жук", "№")),
    Typed("tinytext", "TINYTEXT", Kind.TEXT, texts("", "é😀", "  both  ")),
    Typed("text", "TEXT", Kind.TEXT, texts(*HOSTILE, "x" * 5_000)),
    Typed("text", "TEXT CHARACTER SET latin1", Kind.TEXT, [*texts(*LATIN), UNDEFINED_IN_LATIN1]),
    Typed("mediumtext", "MEDIUMTEXT", Kind.TEXT, texts("", "~|", "😀" * 20_000)),
    Typed("longtext", "LONGTEXT", Kind.TEXT, texts("", "\\N", "é" * 50_000)),
    Typed(
        "enum",
        r"""ENUM('a','b,c','it''s','x\\y','"q"','l\nm','c\\,d','n\\n','\\','日','  x','\0','é😀')""",
        Kind.TEXT,
        [
            *texts("a", "b,c", "it's", "x\\y", '"q"', "l\nm", "c\\,d", "n\\n", "\\", "日", "  x", "\0"),
            Case("'nope'", ""),
            *texts("é😀", damaged="c"),
        ],
    ),
    Typed("enum", "ENUM('grün','€') CHARACTER SET latin1", Kind.TEXT, [*texts("grün", "€"), Case("'nope'", "")]),
    Typed(
        "set",
        r"SET('x','y','z','ü','it''s','p q','a\\b','l\nm','é😀')",
        Kind.TEXT,
        [
            *texts("", "x", "ü", "it's,p q", "x,a\\b,l\nm"),
            Case("'ü,x,z,y'", "x,y,z,ü"),
            Case("'nope'", ""),
            *texts("x,é😀", damaged="c"),
        ],
    ),
    Typed("set", "SET('grün','€') CHARACTER SET latin1", Kind.TEXT, texts("", "grün,€")),
)  # fmt: skip


BYTES = (
    Typed(
        "binary",
        "BINARY(8)",
        Kind.BYTES,
        [
            Case(case.sql, case.value.ljust(8, b"\x00"))
            for case in binaries(b"", b"\x01\x02", b"A ", b"\xff" * 8, b"\x00\x01")
        ],
    ),
    Typed("varbinary", "VARBINARY(60)", Kind.BYTES, binaries(*BLOBS)),
    Typed("varbinary", "VARCHAR(20) CHARACTER SET binary", Kind.BYTES, binaries(b"", b"a\x00", b"\xff")),
    *(Typed(row, row.upper(), Kind.BYTES, binaries(*BLOBS)) for row in ("tinyblob", "blob", "mediumblob", "longblob")),
)  # fmt: skip

COMMON: Sequence[Typed] = (*NUMBERS, *FLOATS, *ROUNDED, *TIMES, *TEXTS, *BYTES)
