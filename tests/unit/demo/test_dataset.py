"""The demo's rows: what they contain is what the demo claims to show."""

import csv
import gzip

import pytest

from airflow_provider_chista.canonical import row_hash
from stack.demo import dataset, extract
from stack.demo.dataset import CHISTA, EMPLOYEES, FOREVER, SHIPMENTS, WINDOW


def test_the_extract_is_small_and_carries_its_licence() -> None:
    assert sum(file.stat().st_size for file in extract.DATA.iterdir()) <= 2_000_000
    assert "Attribution-Share Alike 3.0" in (extract.DATA / "LICENSE.txt").read_text()


def test_every_foreign_key_of_the_extract_holds() -> None:
    employees = {row[0] for row in dataset.employees_rows("employees")}
    departments = {row[0] for row in dataset.employees_rows("departments")}
    for table in ("dept_manager", "dept_emp", "titles", "salaries"):
        assert {row[0] for row in dataset.employees_rows(table)} <= employees
    for table in ("dept_manager", "dept_emp"):
        assert {row[1] for row in dataset.employees_rows(table)} <= departments


def test_salaries_lie_on_both_sides_of_the_window_and_some_last_forever() -> None:
    shape = EMPLOYEES["salaries"]
    rows = dataset.employees_rows("salaries")
    inside = sum(map(shape.in_window, rows))
    assert 0 < inside < len(rows)
    assert any(row[3] == FOREVER for row in rows)


def test_shipments_have_both_forms_of_dates_null_statuses_and_the_edges_of_the_window() -> None:
    rows = dataset.shipment_rows()
    created = [row[2] for row in rows if row[2]]
    assert {len(str(text)) for text in created} == {len("1994-01-01"), len("1994-01-01T00:00:00")}
    assert any(row[3] is None for row in rows)
    assert any(row[2] is None for row in rows)
    edges = {row[2]: SHIPMENTS.in_window(row) for row in rows if row[3] == "edge"}
    assert edges == {
        "1984-12-31T23:59:59": False,
        "1985-01-01": True,
        "1985-01-01T00:00:00": True,
        "1995-12-31T23:59:59": True,
        "1996-01-01": False,
        "1996-01-01T00:00:00": False,
    }
    assert not SHIPMENTS.in_window((1, 1, None, None))


def test_chista_has_the_first_row_of_the_walk_through_and_not_the_late_one() -> None:
    rows = dict(dataset.chista_rows())
    assert rows[30500] == "before the connector"
    assert dataset.LATE_ROW[0] == 99999
    assert dataset.LATE_ROW[0] not in rows
    assert {rows[number] for number in range(1, len(dataset.HARD_TEXTS) + 1)} == set(dataset.HARD_TEXTS)


@pytest.mark.parametrize("make", [dataset.chista_rows, dataset.shipment_rows])
def test_generated_rows_are_the_same_in_every_demo_and_their_keys_are_unique(make) -> None:
    rows = make()
    assert rows == make()
    assert len({row[0] for row in rows}) == len(rows)


def test_names_and_statuses_fit_their_columns() -> None:
    assert max(len(str(name or "")) for _, name in dataset.chista_rows()) <= 255
    assert max(len(str(row[3] or "")) for row in dataset.shipment_rows()) <= 25


def test_a_key_is_the_same_whether_dates_are_dates_or_texts() -> None:
    shape = EMPLOYEES["salaries"]
    row = dataset.employees_rows("salaries")[0]
    assert shape.key_of(row) == shape.key_of(
        tuple(str(value) if i > 1 else value for i, value in enumerate(row))
    )


def test_the_digest_is_count_and_sums_of_the_first_two_words() -> None:
    one, two = (row_hash(CHISTA.kinds, row) for row in ((1, "a"), (2, None)))
    first = (int(one[:16], 16) + int(two[:16], 16)) % 2**64
    second = (int(one[16:32], 16) + int(two[16:32], 16)) % 2**64
    assert dataset.digest([one, two]) == f"2:{first:016x}{second:016x}" == dataset.digest([two, one])
    assert WINDOW == ("1985-01-01", "1996-01-01")


def test_the_extract_script_keeps_the_first_employees_and_the_managers(tmp_path) -> None:
    def write(table: str, *lines: list[str]) -> None:
        with gzip.open(tmp_path / f"{table}.csv.gz", "wt", newline="") as file:
            csv.writer(file).writerows(lines)

    write("employees", ["emp_no", "first_name"], ["1", "A"], ["2", "B"], ["9", "M"])
    write("dept_manager", ["emp_no", "dept_no"], ["9", "d1"])
    write("salaries", ["emp_no", "salary"], ["1", "10"], ["2", "20"], ["9", "90"])
    numbers = extract.chosen(tmp_path, 1)
    assert numbers == {"1", "9"}
    content = extract.cut(tmp_path, "salaries", numbers)
    assert gzip.decompress(content).decode() == "emp_no,salary\n1,10\n9,90\n"
    assert content == extract.cut(tmp_path, "salaries", numbers)
