"""Cases of MariaDB's types: those in common with MySQL, and its own."""

from __future__ import annotations

from uuid import UUID

from airflow_provider_chista.model import Kind
from tests.integration.types.cases import Case, Typed, same
from tests.integration.types.mysqlfamily_cases import COMMON, texts
from tests.integration.types.spatial_cases import SHAPES, collections, geometries, point


def uuids(*values: str, damaged: str = "") -> list[Case]:
    return [Case(f"'{value}'", UUID(value), damaged) for value in values]


OWN = (
    Typed(
        "decimal unsigned",
        "DECIMAL(8,3) ZEROFILL",
        Kind.DECIMAL,
        same(("0", "0.000"), ("1.5", "1.500"), ("99999.999", "99999.999")),
    ),
    # A snapshot with the year 0000 stops the connector.
    Typed("year", "YEAR NOT NULL", Kind.UINT16, same(("0", 0), damaged="c", paths="c"), rest=Case("2024", 2024)),
    Typed(
        "double(m,d)",
        "DOUBLE(20,5)",
        Kind.FLOAT64,
        same(("-0.09568979319355764", -0.09569000000000005), damaged="r"),
    ),
    Typed(
        "double(m,d) unsigned",
        "DOUBLE(20,5) UNSIGNED",
        Kind.FLOAT64,
        same(("498.34572048203154", 498.34572000000003), damaged="r"),
    ),
    Typed("varchar", "VARCHAR(60) COLLATE utf8mb4_general_nopad_ci", Kind.TEXT, texts("", "a", "A ", "É")),
    Typed("varchar", "VARCHAR(60) CHARACTER SET cp932", Kind.TEXT, [*texts("", "cafe"), *texts("日本語", damaged="c")]),
    # JSON is LONGTEXT: the text as it was written.
    Typed(
        "longtext",
        "JSON",
        Kind.TEXT,
        texts(
            "null", "{}", '{"b": 1,"a":1.50, "a" : 1E-7}', "[1,  2 ,3.0, 100000000000000000000.5, 1e20]",
            "18446744073709551615", '"é日本😀\\u0000 \\"q\\" \\\\ / \\n"', '{"deep": [1, null, {"x": [[[]]]}]}',
        ),
    ),
    geometries("point", ("POINT(10 20)", point(10, 20)), ("POINT(-90 180)", point(-90, 180)), srid=4326),
    collections("geometrycollection"),
    Typed(
        "uuid",
        "UUID",
        Kind.UUID,
        [
            *uuids(
                "123e4567-e89b-12d3-a456-426614174001", "00000000-0000-0000-0000-000000000001",
                "ffffffff-ffff-ffff-ffff-ffffffffffff", "01890a5d-ac96-774b-bcce-b302099a8057",
            ),
            *uuids(
                "123e4567-e89b-12d3-a456-426614174000", "fffffffe-0000-1000-8000-000000000000", damaged="c",
            ),
        ],
    ),
)  # fmt: skip

TYPES: tuple[Typed, ...] = (*COMMON, *SHAPES, *OWN)
