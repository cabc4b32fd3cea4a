"""Cases of MySQL's types: those in common with MariaDB, and its own."""

from __future__ import annotations

import struct

from airflow_provider_chista.model import Kind
from tests.integration.types.cases import Case, Typed, same
from tests.integration.types.mysqlfamily_cases import COMMON, texts
from tests.integration.types.spatial_cases import SHAPES, collections, geometries, point, wkb

OWN = (
    Typed("year", "YEAR NOT NULL", Kind.UINT16, same(("0", 0), damaged="rc"), rest=Case("2024", 2024)),
    Typed("float", "FLOAT", Kind.FLOAT32, same(("-0e0", -0.0))),
    Typed("double", "DOUBLE", Kind.FLOAT64, same(("-0e0", -0.0))),
    Typed(
        "double(m,d)",
        "DOUBLE(20,5)",
        Kind.FLOAT64,
        same(("-0.17907634530818228", -0.17908000000000002), damaged="r"),
    ),
    Typed(
        "double(m,d) unsigned",
        "DOUBLE(20,5) UNSIGNED",
        Kind.FLOAT64,
        same(("28.745259894819924", 28.745260000000002), damaged="r"),
    ),
    Typed("varchar", "VARCHAR(60) CHARACTER SET cp932", Kind.TEXT, texts("", "日本語")),
    Typed("varchar", "VARCHAR(60) CHARACTER SET gb18030", Kind.TEXT, texts("", "中文😀")),
    Typed("varchar", "VARCHAR(60) COLLATE utf8mb4_0900_ai_ci", Kind.TEXT, texts("", "a", "A ", "É")),
    Typed(
        "json",
        "JSON",
        Kind.TEXT,
        [
            *same(
                ("'null'", "null"),
                ("'{}'", "{}"),
                ("'[]'", "[]"),
                ("'\"\"'", '""'),
                ("'true'", "true"),
                ("'{\"b\": 1, \"a\":2,\"aa\": 3, \"\": null}'", '{"": null, "a": 2, "b": 1, "aa": 3}'),
                ("'{\"a\":1,\"a\":2}'", '{"a": 2}'),
                ("'18446744073709551615'", "18446744073709551615"),
                ("'-9223372036854775808'", "-9223372036854775808"),
                ("'[9007199254740993, 0, -0.0, 1.50, 3.0]'", "[9007199254740993, 0, -0.0, 1.5, 3.0]"),
                ("'[0.1, 3.14159265358979312, 1e20, 1e300, 1.7976931348623157e308]'",
                 "[0.1, 3.141592653589793, 1e20, 1e300, 1.7976931348623157e308]"),
                ("'[1E-7, 5e-324, 123456789012345678901234567890]'",
                 "[0.0000001, 5e-324, 1.2345678901234568e29]"),
                ("CAST(CAST('1.50' AS DECIMAL(5,2)) AS JSON)", "1.50"),
                (
                    "JSON_OBJECT('d', CAST('12345678901234567890.123456789' AS DECIMAL(40,9)), 'day', DATE '2024-02-29')",
                    '{"d": 12345678901234567890.123456789, "day": "2024-02-29"}',
                ),
                (
                    "'{\"deep\": [1, null, {\"x\": [[[]]], \"k.with.dot\": {\"~\": \"|\"}}]}'",
                    '{"deep": [1, null, {"x": [[[]]], "k.with.dot": {"~": "|"}}]}',
                ),
                (
                    "'\"é日本😀\\\\u0000\\\\u001f \\\\\"q\\\\\" \\\\\\\\ / \\\\n\\\\u00e9\"'",
                    '"é日本😀\\u0000\\u001f \\"q\\" \\\\ / \\né"',
                ),
            ),
            *same(
                ("CAST('1e10' AS JSON)", "10000000000.0"),
                ("JSON_OBJECT('t', TIME '-12:34:56.5')", '{"t": "-12:34:56.500000"}'),
                (
                    "JSON_OBJECT('t', TIMESTAMP '2024-02-29 12:34:56.789')",
                    '{"t": "2024-02-29 12:34:56.789000"}',
                ),
                ("JSON_OBJECT('b', CAST(x'00ff' AS BINARY))", '{"b": "base64:type15:AP8="}'),
                ("CAST(b'101' AS JSON)", '"base64:type15:BQ=="'),
                damaged="c",
            ),
        ],
    ),
    geometries(
        "geometry",
        ("MULTIPOINT((0 0),(1 1))", wkb(4, point(0, 0), point(1, 1))),
        ddl="GEOMETRY SRID 4326",
        srid=4326,
    ),
    # Stored longitude first.
    geometries(
        "point",
        ("POINT(10 20)", point(20, 10)),
        ("POINT(-90 180)", point(180, -90)),
        ddl="POINT",
        srid=4326,
    ),
    collections("geomcollection"),
    Typed(
        "vector",
        "VECTOR(3)",
        Kind.BYTES,
        same(
            *(
                (f"STRING_TO_VECTOR('[{', '.join(map(str, v))}]')", struct.pack("<3f", *v))
                for v in ((1, -2.5, 3.4028235e38), (0, -0.0, 1e-30), (1 / 3, 0.1, 16777216))
            )
        ),
    ),
    Typed("vector", "VECTOR(8)", Kind.BYTES, same(("STRING_TO_VECTOR('[5]')", struct.pack("<f", 5)))),
)  # fmt: skip

TYPES: tuple[Typed, ...] = (*COMMON, *SHAPES, *OWN)
