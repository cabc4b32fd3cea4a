"""Tables that are made from the code are up to date, and versions and numbers in the text are those of the code."""

from __future__ import annotations

import pytest

from airflow_provider_chista.debezium.settings import FIXED
from airflow_provider_chista.model import Fate
from stack.services import GROUPS, SERVICES
from stack.settings import ROOT, read_env_file
from tests.unit.docs.generated import LISTENERS, OFFSETS, TABLES, block, fixed_settings
from tests.unit.docs.pages import code, page, rows, sections
from tests.unit.docs.types import TYPES, of_engine


@pytest.mark.parametrize("name", TABLES)
def test_the_table_is_what_the_code_says(name: str) -> None:
    path, make = TABLES[name]
    text = (ROOT / path).read_text(encoding="utf-8")
    assert block(name, text)[1] == make(), "run: .venv/bin/python -m tests.unit.docs.generated"


def test_every_fixed_connector_setting_is_there_with_its_reason() -> None:
    table = rows(fixed_settings())
    assert [(cells[0], cells[3]) for cells in table] == [(f"`{s.key}`", s.reason) for s in FIXED]
    assert all(cells[3] for cells in table)


def test_every_listener_has_a_title() -> None:
    assert LISTENERS.keys() == OFFSETS.keys()


def test_the_page_of_types_tells_what_becomes_of_twenty_damages() -> None:
    table = [cells for cells in rows(sections(page("types.md"))["What Debezium damages"]) if len(cells) == 4]
    assert [cells[0] for cells in table] == [str(number) for number in range(1, 21)]
    assert all(cells[1] and cells[2] and cells[3] for cells in table)


@pytest.mark.parametrize("flavour", TYPES)
def test_every_type_of_an_engine_has_one_row_with_a_fate_and_its_reason(flavour: str) -> None:
    _, table, _ = of_engine(flavour)
    named = [name for cells in table for name in code(cells[0])]
    assert sorted(named) == sorted(TYPES[flavour])
    for cells in table:
        assert cells[6] in set(Fate)
        assert cells[7] if cells[6] == Fate.REFUSED else all(cells[1:6]), cells[0]


def test_services_and_groups_are_those_of_the_launcher() -> None:
    (cells,) = (cells for cells in rows(sections(page("stack.md"))["Commands"]) if "`kafka`" in cells[0])
    assert code(cells[0]) == list(SERVICES)
    assert sorted(code(cells[1])) == sorted(GROUPS)


def test_the_readme_names_the_versions_of_the_stack() -> None:
    versions = read_env_file(ROOT / "stack" / "versions.env")
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for text in (
        f"Airflow {versions['AIRFLOW_VERSION']}",
        f"Debezium {versions['DEBEZIUM_VERSION'].removesuffix('.Final')}",
        f"Kafka {versions['KAFKA_VERSION']}",
        f"ClickHouse {versions['CLICKHOUSE_SERIES']}",
        f"MySQL {versions['MYSQL_SERIES']}",
        f"MariaDB {versions['MARIADB_SERIES']}",
        f"PostgreSQL {versions['POSTGRES_SERIES']}",
        f"Python {versions['AIRFLOW_PYTHON']}",
    ):
        assert text in readme
