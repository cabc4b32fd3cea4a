"""Cases of the spatial types of MySQL and MariaDB: the server's own bytes, four of SRID and then WKB, both little-endian."""

from __future__ import annotations

import struct

from airflow_provider_chista.model import Kind
from tests.integration.types.cases import Case, Typed


def wkb(shape: int, *parts: bytes, counted: bool = True) -> bytes:
    """Well-known binary, little-endian; ``counted``: the number of parts comes before them."""
    return (
        struct.pack("<BI", 1, shape) + (struct.pack("<I", len(parts)) if counted else b"") + b"".join(parts)
    )


def xy(x: float, y: float) -> bytes:
    return struct.pack("<dd", x, y)


def ring(*points: tuple[float, float]) -> bytes:
    """The points of a polygon's ring, counted."""
    return struct.pack("<I", len(points)) + b"".join(xy(*point) for point in points)


def point(x: float, y: float) -> bytes:
    return wkb(1, xy(x, y), counted=False)


def line(*points: tuple[float, float]) -> bytes:
    return wkb(2, *(xy(*each) for each in points))


SQUARE = wkb(3, ring((0, 0), (0, 3), (3, 3), (0, 0)), ring((1, 1), (1, 2), (2, 2), (1, 1)))
SQUARE_TEXT = "((0 0,0 3,3 3,0 0),(1 1,1 2,2 2,1 1))"


def geometries(row: str, *pairs: tuple[str, bytes], ddl: str = "", srid: int = 0) -> Typed:
    """A column of geometries, from their well-known text and binary."""
    return Typed(
        row,
        ddl or row.upper(),
        Kind.BYTES,
        [
            Case(f"ST_GeomFromText('{text}', {srid})", struct.pack("<I", srid) + binary)
            for text, binary in pairs
        ],
    )


LINE, TRIANGLE = line((0, 0), (1, 1)), wkb(3, ring((0, 0), (0, 1), (1, 1), (0, 0)))

SHAPES = (
    geometries("geometry", ("POINT(1 2)", point(1, 2)), (f"POLYGON{SQUARE_TEXT}", SQUARE)),
    geometries("point", ("POINT(1 2)", point(1, 2)), ("POINT(-0.1 1e300)", point(-0.1, 1e300))),
    geometries(
        "linestring",
        ("LINESTRING(0 0,1 1.5)", line((0, 0), (1, 1.5))),
        ("LINESTRING(-1 -1,0 0,5 5)", line((-1, -1), (0, 0), (5, 5))),
    ),
    geometries("polygon", (f"POLYGON{SQUARE_TEXT}", SQUARE), ("POLYGON((0 0,0 1,1 1,0 0))", TRIANGLE)),
    geometries(
        "multipoint",
        ("MULTIPOINT(0 0,1 1)", wkb(4, point(0, 0), point(1, 1))),
        ("MULTIPOINT(5 5)", wkb(4, point(5, 5))),
    ),
    geometries(
        "multilinestring",
        ("MULTILINESTRING((0 0,1 1),(2 2,3 3))", wkb(5, LINE, line((2, 2), (3, 3)))),
        ("MULTILINESTRING((0 0,1 1))", wkb(5, LINE)),
    ),
    geometries(
        "multipolygon",
        (f"MULTIPOLYGON({SQUARE_TEXT})", wkb(6, SQUARE)),
        (f"MULTIPOLYGON({SQUARE_TEXT},{SQUARE_TEXT})", wkb(6, SQUARE, SQUARE)),
    ),
)


def collections(row: str) -> Typed:
    """The type of collections, whose name the engines print differently."""
    return geometries(
        row,
        ("GEOMETRYCOLLECTION(POINT(1 1),LINESTRING(0 0,1 1))", wkb(7, point(1, 1), LINE)),
        ("GEOMETRYCOLLECTION(POINT(5 5))", wkb(7, point(5, 5))),
        ddl="GEOMETRYCOLLECTION",
    )
