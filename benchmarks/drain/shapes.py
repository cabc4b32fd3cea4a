"""The source tables: how wide, how many rows, and the SQL that makes them on PostgreSQL, the same each time."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Shape:
    """A table whose rows are made from their number ``i``.

    :param columns: name, type and SQL of the value; the first one is the primary key.
    """

    name: str
    rows: int
    columns: tuple[tuple[str, str, str], ...]

    @property
    def ddl(self) -> str:
        """Columns of CREATE TABLE."""
        first, *others = (f"{name} {kind}" for name, kind, _ in self.columns)
        return ", ".join((f"{first} PRIMARY KEY", *others))

    @property
    def select(self) -> str:
        """The query that gives the rows."""
        return f"SELECT {', '.join(value for *_, value in self.columns)} FROM generate_series(1, {self.rows}) AS i"

    @property
    def fingerprint(self) -> str:
        """Names the content."""
        return f"{self.ddl}|{self.select}"


_STATES = "(ARRAY['new', 'paid', 'sent', 'delivered', 'returned'])[i % 5 + 1]"
_MOMENT = "timestamp '2020-01-01' + i * interval '0.999983 s'"
_NOTE = "CASE WHEN i % 10 > 0 THEN 'order ' || i || ' | naïve ~ ''quoted'', and more words' END"

ORDER_STEP = 7
"""The key of an order is its number times this."""

_ORDER = (
    ("id", "bigint", f"i * {ORDER_STEP}"),
    ("customer", "int NOT NULL", "i % 9973"),
    ("status", "varchar(20) NOT NULL", _STATES),
    ("amount", "numeric(12,2) NOT NULL", "(i % 99991) + (i % 100) / 100.0"),
    ("note", "text", _NOTE),
    ("created", "timestamp(6) NOT NULL", _MOMENT),
    ("updated", "timestamp(6) NOT NULL", f"{_MOMENT} + interval '0.000123 s'"),
    ("paid", "boolean NOT NULL", "i % 3 > 0"),
)


def _wide(count: int) -> tuple[tuple[str, str, str], ...]:
    """The columns of an order over and over, with a key in front."""
    more = (_ORDER[1 + number % 7] for number in range(count - 1))
    numbered = (
        (f"{name}_{number}", kind, f"{value}") for number, (name, kind, value) in enumerate(more, start=1)
    )
    return (_ORDER[0], *numbered)


def orders(rows: int) -> Shape:
    """8 columns: whole numbers, texts, a decimal, timestamps, a boolean; about 700 bytes of JSON each."""
    return Shape("orders", rows, _ORDER)


def shapes(rows: int) -> tuple[Shape, ...]:
    """Narrow, wide and long rows, fewer of them the larger they are."""
    long = ("body", "text NOT NULL", "repeat(md5(i::text), 320)")
    return (
        Shape("3 columns", rows // 2, (_ORDER[0], _ORDER[2], _ORDER[5])),
        Shape("40 columns", rows // 10, _wide(40)),
        Shape("100 columns", rows // 20, _wide(100)),
        Shape("10 KB rows", rows // 50, (_ORDER[0], _ORDER[1], long)),
    )
