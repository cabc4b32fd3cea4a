"""Keys that change hands: moves, swaps, deletes with re-inserts, in one transaction; and tables without a usable key."""

from __future__ import annotations

import pytest

from airflow_provider_chista.archive.policies import DeletePolicy
from airflow_provider_chista.archive.report import DrainLimits
from airflow_provider_chista.errors import FatalError, RefusedError
from airflow_provider_chista.findings import Severity
from airflow_provider_chista.model import TableId
from tests.integration.events.conftest import (
    Opened,
    current_keys,
    drain_all,
    require_same,
    transaction,
)
from tests.integration.support.engines import Connector

POLICIES = (DeletePolicy.ARCHIVE, DeletePolicy.MIRROR)


def rows_of(captured: Connector, table: str, columns: str = "id, name") -> dict[object, object]:
    return dict(captured.engine.query(f"SELECT {columns} FROM {table}"))


def test_keys_that_change_hands_leave_what_the_source_has(captured: Connector, opened: Opened) -> None:
    table = f"{captured.schema}.moves"

    def move(old: int, new: int) -> str:
        return f"UPDATE {table} SET id = {new} WHERE id = {old}"

    archives = [
        opened(captured, "moves", policy, limits=limits)
        for policy, limits in (
            (DeletePolicy.ARCHIVE, DrainLimits()),
            (DeletePolicy.ARCHIVE, DrainLimits(batch_rows=1)),
            (DeletePolicy.MIRROR, DrainLimits()),
            (DeletePolicy.MIRROR, DrainLimits(batch_rows=3)),
        )
    ]
    numbers = ", ".join(f"({n}, 'row {n}')" for n in range(1, 31))
    captured.engine.execute(f"INSERT INTO {table} VALUES {numbers}")
    drain_all(*archives)
    captured.engine.execute(move(1, 101))
    transaction(captured, move(2, -1), move(3, 2), move(-1, 3))  # a swap through a third key
    transaction(captured, move(4, 0), move(5, 4), move(6, 5), move(0, 6))  # a round of three
    transaction(captured, f"DELETE FROM {table} WHERE id = 7", f"INSERT INTO {table} VALUES (7, 'again')")
    transaction(
        captured,
        f"DELETE FROM {table} WHERE id = 8",
        f"INSERT INTO {table} VALUES (8, 'again')",
        f"DELETE FROM {table} WHERE id = 8",
    )
    transaction(captured, move(9, -9), move(-9, 9))  # there and back
    transaction(
        captured, f"DELETE FROM {table} WHERE id = 10", move(11, 10)
    )  # onto a key that was just freed
    transaction(
        captured,
        f"INSERT INTO {table} VALUES (40, 'new')",
        move(40, 41),
        f"UPDATE {table} SET name = 'newer' WHERE id = 41",
    )
    transaction(captured, move(12, -2147483648), move(13, 2147483647))
    captured.engine.execute(f"UPDATE {table} SET id = id, name = name WHERE id = 14")
    expected = {n: f"row {n}" for n in range(14, 31)} | {
        101: "row 1", 2: "row 3", 3: "row 2", 4: "row 5", 5: "row 6", 6: "row 4", 7: "again", 9: "row 9",
        10: "row 11", 41: "newer", -2147483648: "row 12", 2147483647: "row 13",
    }  # fmt: skip
    assert rows_of(captured, table) == expected
    drain_all(*archives)
    for archive in archives:
        assert dict(archive.shown()) == expected
        assert {"1", "8", "11", "12", "13", "40", "-1", "0", "-9"} & current_keys(archive) == set()
        assert archive.verify().rows == len(expected)


def test_parts_of_a_composite_key_change_hands(captured: Connector, opened: Opened) -> None:
    table = f"{captured.schema}.pairs"
    archives = [opened(captured, "pairs", policy, limits=DrainLimits(batch_rows=2)) for policy in POLICIES]
    captured.engine.execute(
        f"INSERT INTO {table} VALUES (0, '', '2024-01-01', 'nothing'), (-1, 'x|1:y', '1970-01-01', 'bar'),"
        " (1, 'x', '2024-01-01', 'one'), (2, 'x', '2024-01-01', 'two'), (3, '~', '9999-12-31', 'null?')"
    )
    drain_all(*archives)
    transaction(
        captured,
        f"UPDATE {table} SET a = 99 WHERE name = 'one'",
        f"UPDATE {table} SET a = 1 WHERE name = 'two'",
        f"UPDATE {table} SET a = 2 WHERE name = 'one'",
    )
    captured.engine.execute(
        f"UPDATE {table} SET b = 'x|1:z' WHERE name = 'bar'",
        f"UPDATE {table} SET d = '0001-01-01', name = 'moved' WHERE name = 'nothing'",
    )
    transaction(
        captured,
        f"DELETE FROM {table} WHERE name = 'null?'",
        f"INSERT INTO {table} VALUES (3, '~', '9999-12-31', 'again')",
    )
    drain_all(*archives)
    for archive in archives:
        found = require_same(archive)
        assert {key: row[3] for key, row in found.items()} == {
            "0:|0001-01-01|0": "5:moved",
            "5:x|1:z|1970-01-01|-1": "3:bar",
            "1:x|2024-01-01|1": "3:two",
            "1:x|2024-01-01|2": "3:one",
            "1:~|9999-12-31|3": "5:again",
        }
        assert archive.verify().rows == 5


def test_a_key_that_changes_only_its_case_is_one_row(captured: Connector, opened: Opened) -> None:
    """MySQL and MariaDB compare such keys without case: 'Abc' and 'ABC' are one row, and the same key in their index."""
    table = f"{captured.schema}.letters"
    archives = [opened(captured, "letters", policy) for policy in POLICIES]
    captured.engine.execute(f"INSERT INTO {table} VALUES ('Abc', 'a'), ('x', 'b'), ('ß', 'c'), ('', 'd')")
    drain_all(*archives)
    captured.engine.execute(f"UPDATE {table} SET code = 'ABC' WHERE code = 'Abc'")
    transaction(
        captured, f"DELETE FROM {table} WHERE code = 'x'", f"INSERT INTO {table} VALUES ('X', 'another')"
    )
    drain_all(*archives)
    for archive in archives:
        assert dict(archive.shown()) == {"ABC": "a", "X": "another", "ß": "c", "": "d"}
        assert archive.verify().rows == 4
    archive = archives[0]
    archive.approve(archive.verify())
    assert archive.purge().deleted == 4
    assert rows_of(captured, table, "code, name") == {}


KEYLESS = {
    "keyless": "(id INT, name VARCHAR(255))",
    # Debezium would take this index as the key; the archive does not.
    "unique_only": "(id INT NOT NULL UNIQUE, name VARCHAR(255))",
}


@pytest.mark.parametrize("name", KEYLESS)
def test_a_table_without_a_primary_key_is_refused(captured: Connector, opened: Opened, name: str) -> None:
    table = TableId(captured.schema, name)
    captured.engine.execute(f"CREATE TABLE {table} {KEYLESS[name]}")
    with pytest.raises(
        FatalError, match=rf"table {table} has no primary key.*add a primary key at the source"
    ):
        opened(captured, name)
    with captured.engine.source() as source:
        found = source.table_findings(source.catalogue(table))
    errors = [finding for finding in found if finding.severity is Severity.ERROR]
    assert [finding.check for finding in errors] == ["primary key"]
    assert f"ALTER TABLE {table} ADD PRIMARY KEY" in errors[0].remedy


def test_another_message_key_is_refused(captured: Connector) -> None:
    columns = f"{captured.schema}.moves:name"
    with pytest.raises(
        RefusedError, match=r"message\.key\.columns .* the record key must be the primary key"
    ):
        captured.spec(overrides={"message.key.columns": columns}).config()


@pytest.mark.parametrize("captured", ["postgres"], indirect=True)
def test_a_deferrable_primary_key_is_refused(captured: Connector) -> None:
    """Such keys may be handed on within a statement: row 1 is then inserted as row 2 before the old row 2 is deleted."""
    table = TableId(captured.schema, "deferrable")
    captured.engine.execute(f"CREATE TABLE {table} (id INT PRIMARY KEY DEFERRABLE, name TEXT)")
    with captured.engine.source() as source:
        for identity in ("DEFAULT", "FULL"):
            captured.engine.execute(f"ALTER TABLE {table} REPLICA IDENTITY {identity}")
            found = source.table_findings(source.catalogue(table))
            errors = [finding for finding in found if finding.severity is Severity.ERROR]
            assert [finding.check for finding in errors] == ["primary key"]
            assert "is deferrable" in errors[0].found
    captured.engine.execute(f"DROP TABLE {table}")
