"""The rows of the demo: the extract of the employees data set, and generated ones that are hard to archive exactly."""

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache

from airflow_provider_chista.canonical import row_hash
from airflow_provider_chista.model import Kind
from stack.demo import extract

WINDOW = ("1985-01-01", "1996-01-01")
"""The rows that the demo archives and purges, ``[start, end)``; rows behind it stay at the source."""

Value = int | str | date | None
"""A value of the demo's tables."""

Row = tuple[Value, ...]


@dataclass(frozen=True)
class Shape:
    """A source table as the demo knows it, written down independently of the catalogue that the provider reads."""

    name: str
    columns: tuple[str, ...]
    kinds: tuple[Kind, ...]
    key: tuple[str, ...]
    time_column: str | None = None

    def key_of(self, row: Row) -> Row:
        """The primary key of a row, with dates as ISO-8601 text, so that rows of all systems compare."""
        values = (row[self.columns.index(column)] for column in self.key)
        return tuple(value.isoformat() if isinstance(value, date) else value for value in values)

    def in_window(self, row: Row) -> bool:
        """Whether a row is in the demo's window; every row is when there is no time column."""
        if self.time_column is None:
            return True
        value = row[self.columns.index(self.time_column)]
        return value is not None and WINDOW[0] <= str(value) < WINDOW[1]

    def hash_of(self, row: Row) -> str:
        """The canonical row hash, computed in Python."""
        return row_hash(self.kinds, row)

    def hashes(self, rows: Iterable[Row]) -> dict[Row, str]:
        """Row hash by primary key."""
        return {self.key_of(row): self.hash_of(row) for row in rows}


def digest(hashes: Iterable[str]) -> str:
    """The digest of a set of row hashes as the ledger writes it.

    Their number, and the sums modulo 2^64 of the first two big-endian 64-bit words of each.
    """
    count = first = second = 0
    for text in hashes:
        count, first, second = count + 1, first + int(text[:16], 16), second + int(text[16:32], 16)
    return f"{count}:{first % 2**64:016x}{second % 2**64:016x}"


_INT, _TEXT, _DATE = Kind.INT32, Kind.TEXT, Kind.DATE

CHISTA = Shape("test.chista", ("id", "name"), (_INT, _TEXT), ("id",))
SHIPMENTS = Shape(
    "public.shipments",
    ("shipment_id", "order_id", "date_created", "status"),
    (Kind.INT64, Kind.INT64, _TEXT, _TEXT),
    ("shipment_id",),
    "date_created",
)
EMPLOYEES = {
    "departments": Shape("employees.departments", ("dept_no", "dept_name"), (_TEXT, _TEXT), ("dept_no",)),
    "employees": Shape(
        "employees.employees",
        ("emp_no", "birth_date", "first_name", "last_name", "gender", "hire_date"),
        (_INT, _DATE, _TEXT, _TEXT, _TEXT, _DATE),
        ("emp_no",),
    ),
    "dept_manager": Shape(
        "employees.dept_manager",
        ("emp_no", "dept_no", "from_date", "to_date"),
        (_INT, _TEXT, _DATE, _DATE),
        ("emp_no", "dept_no"),
    ),
    "dept_emp": Shape(
        "employees.dept_emp",
        ("emp_no", "dept_no", "from_date", "to_date"),
        (_INT, _TEXT, _DATE, _DATE),
        ("emp_no", "dept_no"),
    ),
    "titles": Shape(
        "employees.titles",
        ("emp_no", "title", "from_date", "to_date"),
        (_INT, _TEXT, _DATE, _DATE),
        ("emp_no", "title", "from_date"),
    ),
    "salaries": Shape(
        "employees.salaries",
        ("emp_no", "salary", "from_date", "to_date"),
        (_INT, _INT, _DATE, _DATE),
        ("emp_no", "from_date"),
        "from_date",
    ),
}
"""Tables of the employees data set, parents first."""

FOREVER = date(9999, 1, 1)
"""``to_date`` of rows that are still valid; ClickHouse's Date32 cannot hold it."""

FIRST_ID = 30500
"""The row of the walk-through that is there before the connector exists."""

LATE_ROW: Row = (99999, "after the connector")
"""The row of the walk-through that is written while the connector streams."""

HARD_TEXTS: tuple[str | None, ...] = (
    None,
    "",
    " ",
    "null",
    "NULL",
    '{"name": null, "list": [null, 1]}',
    "it's",
    'she said "no", twice',
    "a,b;c\td",
    "two\nlines\r\nand a third",
    "back\\slash \\n \\u0041 \\",
    "trailing blanks   ",
    "   leading blanks",
    "smile 😀 and family 👨‍👩‍👧‍👦",
    "combining e\u0301 and single é",
    "日本語 العربية עברית ไทย",
    "a|b~c:5:fields",
    "%s %d %(name)s {0} ${env:NAME}",
    "'; DROP TABLE chista; --",
    "0",
    "ÿ\x01\x1f\x7f",
    "x" * 255,
    "😀" * 255,
)
"""Names that copying tools like to change; every one must come back exactly."""

_STATUSES = (
    None, "", "null", "CREATED", "PACKED", "SHIPPED", "DELIVERED", "DELIVERED ", "RETURNED", "livré, à signer",
    "held \\ 'customs'", "📦 on its way",
)  # fmt: skip
_CHISTA_ROWS, _SHIPMENTS = 3_000, 6_000


def chista_rows() -> list[Row]:
    """``test.chista`` before the connector: the hard texts, :data:`FIRST_ID`, and names made of them."""
    texts = random.Random(30500)
    rows: list[Row] = [(number, text) for number, text in enumerate(HARD_TEXTS, start=1)]
    rows.append((FIRST_ID, "before the connector"))
    short = [text for text in HARD_TEXTS if text and len(text) < 100]
    for number in range(1_000, 1_000 + _CHISTA_ROWS):
        text = None if texts.random() < 0.05 else f"{texts.choice(short)} {number} {texts.choice(short)}"
        rows.append((number, text))
    return rows


def shipment_rows() -> list[Row]:
    """``public.shipments``: dates of 1994 to 1997 as ISO-8601 texts of two forms, every tenth status NULL or odd."""
    numbers = random.Random(1994)
    first, days = date(1994, 1, 1), (date(1998, 1, 1) - date(1994, 1, 1)).days
    rows: list[Row] = []
    for number in range(1, _SHIPMENTS + 1):
        day = (first + timedelta(days=numbers.randrange(days))).isoformat()
        clock = f"T{numbers.randrange(24):02}:{numbers.randrange(60):02}:{numbers.randrange(60):02}"
        created = None if number % 500 == 0 else day + (clock if number % 2 else "")
        rows.append((number, 2**40 + numbers.randrange(10**6), created, numbers.choice(_STATUSES)))
    # The edges of the window, to the second.
    edges = ("1984-12-31T23:59:59", "1985-01-01", "1985-01-01T00:00:00", "1995-12-31T23:59:59", "1996-01-01",
             "1996-01-01T00:00:00")  # fmt: skip
    rows.extend((10_000 + number, -number, edge, "edge") for number, edge in enumerate(edges))
    return rows


def _typed(kind: Kind, text: str) -> Value:
    if text == "":
        return None
    return int(text) if kind is Kind.INT32 else date.fromisoformat(text) if kind is Kind.DATE else text


@cache
def employees_rows(table: str) -> tuple[Row, ...]:
    """Rows of a table of the extract, in the column order of its :class:`Shape`."""
    shape = EMPLOYEES[table]
    lines: Iterator[list[str]] = extract.read(extract.DATA, table)
    header = next(lines)
    order = [header.index(column) for column in shape.columns]
    kinds = shape.kinds
    return tuple(
        tuple(_typed(kind, line[at]) for kind, at in zip(kinds, order, strict=True)) for line in lines
    )
