"""Rows to measure with: salaries of the employees data set, or made ones of the same shape."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import date, timedelta
from itertools import islice
from pathlib import Path

from stack.demo.extract import read

Salary = tuple[int, int, str, str]


def salaries(rows: int) -> Iterator[Salary]:
    """(emp_no, salary, from_date, to_date), dates as ISO texts.

    From the folder that ``CHISTA_EMPLOYEES`` names (2,844,047 rows), else made: the same rows each time.

    :raises SystemExit: the data set has fewer rows.
    """
    folder = os.environ.get("CHISTA_EMPLOYEES")
    if not folder:
        first = date(1985, 1, 1)
        for number in range(rows):
            day = first + timedelta(days=number % 6000)
            yield number, 40_000 + number % 9_000, day.isoformat(), "9999-01-01"
        return
    lines = read(Path(folder), "salaries")
    next(lines)
    count = 0
    for emp_no, salary, from_date, to_date in islice(lines, rows):
        count += 1
        yield int(emp_no), int(salary), from_date, to_date
    if count < rows:
        raise SystemExit(f"{folder} has {count} salaries, --rows asks for {rows}")
