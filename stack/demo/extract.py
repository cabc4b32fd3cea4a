"""Makes ``stack/demo/data``: the employees data set, cut to its first employees.

    CHISTA_EMPLOYEES=/folder/of/the/data/set python -m stack.demo.extract [--employees 5000]

The extract holds the first employees by number and the department managers, with all of their rows in the other tables, so
that every foreign key holds. Files and header lines are those of the data set; its licence is copied beside them.
"""

import argparse
import csv
import gzip
import io
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

DATA = Path(__file__).parent / "data"
TABLES = ("departments", "employees", "dept_manager", "dept_emp", "titles", "salaries")
"""Tables of the data set, parents first."""

LIMIT_BYTES = 2_000_000


def read(folder: Path, table: str) -> Iterator[list[str]]:
    """Lines of a table as lists of texts, the header first."""
    with gzip.open(folder / f"{table}.csv.gz", "rt", encoding="utf-8", newline="") as file:
        yield from csv.reader(file)


def chosen(folder: Path, employees: int) -> set[str]:
    """Numbers of the first employees and of every department manager."""
    rows = read(folder, "employees")
    column = next(rows).index("emp_no")
    first = [row[column] for _, row in zip(range(employees), rows, strict=False)]
    managers = read(folder, "dept_manager")
    column = next(managers).index("emp_no")
    return {*first, *(row[column] for row in managers)}


def cut(folder: Path, table: str, numbers: set[str]) -> bytes:
    """A table's file with the rows of those employees; the same input gives the same bytes."""
    rows = read(folder, table)
    header = next(rows)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    column = header.index("emp_no") if "emp_no" in header else None
    writer.writerows(row for row in rows if column is None or row[column] in numbers)
    return gzip.compress(text.getvalue().encode(), 9, mtime=0)


def main(arguments: list[str]) -> int:
    """Write the extract; 1 when the folder is not named or the extract would be too large for the repository."""
    parser = argparse.ArgumentParser(prog="python -m stack.demo.extract", description=__doc__)
    parser.add_argument("--employees", type=int, default=5000)
    options = parser.parse_args(arguments)
    folder = Path(os.environ.get("CHISTA_EMPLOYEES", ""))
    if not (folder / "employees.csv.gz").is_file():
        print("CHISTA_EMPLOYEES must name the folder that holds employees.csv.gz", file=sys.stderr)
        return 1
    numbers = chosen(folder, options.employees)
    files = {table: cut(folder, table, numbers) for table in TABLES}
    size = sum(map(len, files.values()))
    if size > LIMIT_BYTES:
        print(f"{options.employees} employees make {size} bytes, more than {LIMIT_BYTES}", file=sys.stderr)
        return 1
    DATA.mkdir(exist_ok=True)
    for table, content in files.items():
        (DATA / f"{table}.csv.gz").write_bytes(content)
    shutil.copyfile(folder / "LICENSE.txt", DATA / "LICENSE.txt")
    print(f"{size} bytes for {len(numbers)} employees in {DATA}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
