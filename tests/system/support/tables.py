"""The tables of the tests, seen without the provider: by SQL on both sides, and canonical.py between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from clickhouse_connect.driver.client import Client

from airflow_provider_chista.canonical import row_hash, row_text
from airflow_provider_chista.model import Kind
from tests.integration.support.engines import ENGINES, Engine

Row = tuple[Any, ...]
Hashes = dict[str, str]

INT, LONG, TEXT, DATE = Kind.INT32, Kind.INT64, Kind.TEXT, Kind.DATE
FOREVER = date(9999, 1, 1)

TODAY = datetime.now(UTC).date()
DUE = TODAY - timedelta(days=366)
"""The day that the schedule of a Dag with a retention of 365 days owns today."""


@dataclass(frozen=True)
class Pair:
    """A source table and its copy in ClickHouse."""

    engine: Engine
    source: str
    target: str
    columns: dict[str, Kind]
    key: tuple[str, ...]
    time_column: str | None = None

    def _where(self, start: str | None, end: str | None) -> str:
        return f" WHERE {self.time_column} >= '{start}' AND {self.time_column} < '{end}'" if start else ""

    def in_source(self, start: str | None = None, end: str | None = None) -> Hashes:
        """Row hash by row key, computed by canonical.py from the source's own values."""
        select = f"SELECT {', '.join(self.columns)} FROM {self.source}{self._where(start, end)}"
        return self.hashes(self.engine.query(select))

    def count(self, start: str | None = None, end: str | None = None) -> int:
        return int(self.engine.query(f"SELECT count(*) FROM {self.source}{self._where(start, end)}")[0][0])

    def in_archive(self, client: Client) -> Hashes:
        """The same of what a user sees in ClickHouse."""
        database, table = self.target.split(".")
        columns = ", ".join(f"`{name}`" for name in self.columns)
        rows = client.query(f"SELECT {columns} FROM `{database}`.`{table}_current`").result_rows
        return self.hashes([tuple(v.date() if isinstance(v, datetime) else v for v in row) for row in rows])

    def hashes(self, rows: Sequence[Row]) -> Hashes:
        """Row hash by row key of rows of this table."""
        kinds, names = tuple(self.columns.values()), list(self.columns)
        at = [names.index(name) for name in self.key]
        found = {row_text([kinds[i] for i in at], [row[i] for i in at]): row_hash(kinds, row) for row in rows}
        assert len(found) == len(rows), "a key twice"
        return found

    def insert(self, rows: Sequence[Row]) -> None:
        marks = ", ".join(["%s"] * len(self.columns))
        self.engine.execute(f"INSERT INTO {self.source} VALUES ({marks})", many=rows)

    def execute(self, *statements: str) -> None:
        self.engine.execute(*(statement.format(table=self.source) for statement in statements))


def _employees(
    engine: str, table: str, columns: dict[str, Kind], key: tuple[str, ...], time: str | None
) -> Pair:
    return Pair(ENGINES[engine], f"employees.{table}", f"archive_{engine}.{table}", columns, key, time)


SALARY = {"emp_no": INT, "salary": INT, "from_date": DATE, "to_date": DATE}
PERSON = {
    "emp_no": INT,
    "birth_date": DATE,
    "first_name": TEXT,
    "last_name": TEXT,
    "gender": TEXT,
    "hire_date": DATE,
}
TITLE = {"emp_no": INT, "title": TEXT, "from_date": DATE, "to_date": DATE}

SALARIES = {e: _employees(e, "salaries", SALARY, ("emp_no", "from_date"), "from_date") for e in ENGINES}
EMPLOYEES = {e: _employees(e, "employees", PERSON, ("emp_no",), None) for e in ENGINES}
CHISTA = {
    e: Pair(ENGINES[e], "test.chista", f"archive_{e}.chista", {"id": INT, "name": TEXT}, ("id",))
    for e in ("mysql", "mariadb")
}
SHIPMENTS = Pair(
    ENGINES["postgres"],
    "public.shipments",
    "archive_postgres.shipments",
    {"shipment_id": LONG, "order_id": LONG, "date_created": TEXT, "status": TEXT},
    ("shipment_id",),
    "date_created",
)
TITLES = {
    e: Pair(
        ENGINES[e], "employees.titles", f"archive_{e}.systest_titles", TITLE, ("emp_no", "title", "from_date"),
        "from_date",
    )
    for e in ("mysql", "mariadb")
}  # fmt: skip

IN_DEPARTMENT = {"emp_no": INT, "dept_no": TEXT, "from_date": DATE, "to_date": DATE}

MEMBERS = _employees("mariadb", "dept_emp", IN_DEPARTMENT, ("emp_no", "dept_no"), "from_date")
MANAGERS = _employees("postgres", "dept_manager", IN_DEPARTMENT, ("emp_no", "dept_no"), "from_date")
YAML_TITLES = replace(TITLES["mysql"], engine=ENGINES["postgres"], target="archive_postgres.yaml_titles")
BACKFILLED = replace(SALARIES["mysql"], target="archive_mysql.salaries_backfill")
MAPPED = replace(SALARIES["mysql"], target="archive_mysql.mapped_salaries")

KILLS = Pair(
    ENGINES["mariadb"],
    "employees.kills",
    "archive_mariadb.kills",
    {"id": INT, "day": DATE, "note": TEXT},
    ("id",),
    "day",
)

WINDOW = ("1986-01-01", "1987-01-01")
"""The rows that most runs own, ``[start, end)``."""

HARD_NAMES = (
    None, "", " ", "null", "NULL", "it's", 'say "no", twice', "a,b;c\td", "two\nlines\r\nmore", "back\\slash \\n",
    "trailing   ", "smile 😀", "e\u0301 é 日本語", "a|b~c:5:fields", "%s {0} ${env:NAME}", "x" * 255,
)  # fmt: skip

PEOPLE = range(10001, 10021)


def names(first: int, count: int) -> list[Row]:
    return [(first + i, HARD_NAMES[i % len(HARD_NAMES)]) for i in range(count)]


def salaries(day: date, count: int) -> list[Row]:
    return [(number, 40_000 + number, day, FOREVER) for number in PEOPLE[:count]]


def titles(day: date, count: int) -> list[Row]:
    return [(PEOPLE[i % 20], f"title {i}", day, None if i % 3 else FOREVER) for i in range(count)]


def notes(first: int, day: date, count: int) -> list[Row]:
    return [(first + i, day, HARD_NAMES[i % len(HARD_NAMES)]) for i in range(count)]


def shipments(first: int, day: date, count: int) -> list[Row]:
    odd = (None, "", "SHIPPED", "livré, à signer", "📦 on its way", "held \\ 'customs'")
    return [
        (first + i, 2**40 + i, day.isoformat() + ("T23:59:59" if i % 2 else ""), odd[i % len(odd)])
        for i in range(count)
    ]


def load() -> None:
    """The rows that are there before any connector, and no others."""
    for engine in ENGINES.values():
        children = ("salaries", "titles", "dept_emp", "dept_manager", "employees")
        first = "public.shipments" if engine.flavour == "postgres" else "test.chista"
        engine.execute(*(f"DELETE FROM {t}" for t in (first, *(f"employees.{child}" for child in children))))
    people = [
        (number, date(1950, 1, 1), "Ann" if number % 2 else "Bob", "O'Neil", "F" if number % 2 else "M", date(1985, 1, 1))
        for number in PEOPLE
    ]  # fmt: skip
    first = date(1986, 1, 1)
    in_window = [row for week in range(10) for row in salaries(first + timedelta(weeks=week), 20)]
    outside = [*salaries(date(1985, 12, 31), 3), *salaries(date(1987, 1, 1), 4)]
    for engine in ENGINES:
        EMPLOYEES[engine].insert(people)
        SALARIES[engine].insert([*in_window, *outside])
    for pair in CHISTA.values():
        pair.insert(names(1, 160))
    around = [(DUE - timedelta(days=1), 2), (DUE, 90), (DUE + timedelta(days=1), 3)]
    SHIPMENTS.insert(
        [row for n, (day, count) in enumerate(around) for row in shipments(1000 * n + 1, day, count)]
    )
    SALARIES["postgres"].insert([row for day, count in around for row in salaries(day, min(count, 20))])


@dataclass(frozen=True)
class Before:
    """What the source held when the run began."""

    chista: Hashes
    salaries: Hashes
    shipments: Hashes

    @classmethod
    def read(cls) -> Before:
        return cls(CHISTA["mysql"].in_source(), SALARIES["mysql"].in_source(), SHIPMENTS.in_source())
