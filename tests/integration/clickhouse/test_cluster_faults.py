"""Faults of a real server under the insert path: whether a retry can help, that nothing is half stored, and that the same
block with the same token makes it exact."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
from clickhouse_connect.driver.client import Client

from airflow_provider_chista.clickhouse import ddl, sql
from airflow_provider_chista.clickhouse.control import Control
from airflow_provider_chista.clickhouse.errors import translated
from airflow_provider_chista.clickhouse.load import insert_block
from airflow_provider_chista.clickhouse.types import TypeMap
from airflow_provider_chista.errors import ChistaError, FatalError, TransientError
from airflow_provider_chista.model import TableId
from tests.integration.clickhouse.conftest import NUMBERS, Pair, numbers
from tests.integration.support.clickhouses import PrivateServer
from tests.integration.support.services import token

TYPES = TypeMap()


@pytest.fixture
def server(pair: Pair) -> Iterator[PrivateServer]:
    """A server that the test may kill; it runs again afterwards."""
    yield pair[1]
    if pair[1].process is None:
        pair[1].start()


SLOW = {"function_sleep_max_microseconds_per_block": 0}
"""Settings with which a slow table takes its time."""


def made(client: Client, more: str = "", slow: bool = False, settings: str = "") -> TableId:
    """An archive table.

    :param more: clause before ORDER BY; :param slow: an insert takes 10 microseconds for each row;
        :param settings: settings of the table.
    """
    target = TableId(f"archive_{token()}", "numbers")
    statement = ddl.create_statement(TYPES, NUMBERS, target)
    statement = statement.replace("\nORDER BY", f"\n{more} ORDER BY").replace(
        "SETTINGS ", f"SETTINGS {settings}"
    )
    if slow:
        statement = statement.replace("`id` ", "_slow UInt8 MATERIALIZED sleepEachRow(0.00001), `id` ", 1)
    client.command(f"CREATE DATABASE {target.schema}")
    client.command(statement)
    return target


def stored(client: Client, target: TableId) -> list[int]:
    """Physical rows, replaced versions included."""
    return [row[0] for row in client.query(f"SELECT id FROM {sql.table(target)} ORDER BY id").result_rows]


def test_too_many_parts_are_transient_and_the_same_block_fits_after_merges(server: PrivateServer) -> None:
    client = server.client()
    target = made(client, settings="parts_to_delay_insert = 1, parts_to_throw_insert = 2, ")
    client.command(f"SYSTEM STOP MERGES {sql.table(target)}")
    for part in (0, 1):
        insert_block(client, target, numbers(part * 10, 10), f"t{part}")
    with pytest.raises(TransientError, match=r"merges are behind, code 252.*Too many parts"):
        insert_block(client, target, numbers(20, 10), "t2")
    client.command(f"SYSTEM START MERGES {sql.table(target)}")
    client.command(f"OPTIMIZE TABLE {sql.table(target)} FINAL")
    insert_block(client, target, numbers(20, 10), "t2")
    assert stored(client, target) == list(range(30))


def test_too_many_partitions_in_one_block_go_in_halves_though_the_code_is_the_same(
    server: PrivateServer,
) -> None:
    client = server.client()
    target = made(client, "PARTITION BY id")
    insert_block(client, target, numbers(0, 1001), "t")
    assert client.command(f"SELECT count() FROM {sql.table(target)}") == 1001


@pytest.mark.parametrize(
    ("settings", "code"),
    [({"max_memory_usage": 2_000_000}, "memory limit, code 241"), ({"max_execution_time": 0.3}, "code 159")],
    ids=["memory", "time"],
)
def test_a_block_that_is_over_a_limit_stores_nothing_and_is_exact_at_the_second_try(
    server: PrivateServer, settings: dict[str, float], code: str
) -> None:
    client = server.client(**SLOW)
    target = made(client, slow=True)
    block = numbers(0, 50_000)
    with pytest.raises(TransientError, match=code):
        insert_block(server.client(**SLOW, **settings), target, block, "t")
    assert client.command(f"SELECT count() FROM {sql.table(target)}") == 0
    for _ in range(2):
        insert_block(client, target, block, "t")
    assert stored(client, target) == list(range(50_000))


@pytest.mark.parametrize(
    ("user", "password", "table", "message"),
    [
        ("default", "", "none", "code 60.*create it with CreateArchiveTableOperator"),
        ("poor", "poor", "numbers", r"code 497.*docs/grants\.md"),
        ("reader", "reader", "numbers", "code 164.*must not be read-only"),
    ],
    ids=["no table", "no grant", "read-only user"],
)  # fmt: skip
def test_what_a_person_has_to_change_is_fatal(
    server: PrivateServer, user: str, password: str, table: str, message: str
) -> None:
    target = made(server.client())
    with pytest.raises(FatalError, match=message):
        insert_block(server.client(user, password), TableId(target.schema, table), numbers(0, 1), "t")
    assert stored(server.client(), target) == []


@pytest.mark.parametrize(("user", "code"), [("default", "code 194"), ("poor", "code 516")])
def test_a_wrong_password_is_fatal_whichever_code_it_has(server: PrivateServer, user: str, code: str) -> None:
    with (
        pytest.raises(FatalError, match=f"{code}.*check login and password") as caught,
        translated("connecting"),
    ):
        server.client(user, "wrong-secret")
    assert "wrong-secret" not in str(caught.value)


def test_a_server_that_is_down_is_transient_and_the_same_block_is_exact_when_it_is_back(
    server: PrivateServer,
) -> None:
    client = server.client()
    target, control = made(client), Control(client, f"chista_{token()}")
    control.ensure()
    insert_block(client, target, numbers(0, 1000), "t")
    server.kill()
    for write in (
        lambda: insert_block(client, target, numbers(0, 1000), "t"),
        lambda: control.insert("snapshots", [{"connector": "c", "table_name": "t"}]),
        control.ensure,
    ):
        with pytest.raises(TransientError, match="check that the server is up"):
            write()
    server.start()
    insert_block(server.client(), target, numbers(0, 1000), "t")
    assert stored(server.client(), target) == list(range(1000))


def test_a_server_killed_in_mid_insert_is_transient_and_the_same_block_is_exact_afterwards(
    server: PrivateServer,
) -> None:
    """Four partitions, since an INSERT is atomic per part only."""
    client = server.client(**SLOW)
    target = made(client, "PARTITION BY id % 4", slow=True)
    block, outcome = numbers(0, 60_000), list[ChistaError]()

    def insert() -> None:
        try:
            insert_block(client, target, block, "t")
        except ChistaError as error:
            outcome.append(error)

    thread = threading.Thread(target=insert)
    thread.start()
    watcher = server.client()
    deadline = time.monotonic() + 20
    running = f"SELECT count() FROM system.processes WHERE query LIKE 'INSERT%{target.schema}%'"
    while not watcher.command(running):
        assert time.monotonic() < deadline
    time.sleep(0.1)
    server.kill()
    thread.join(30)
    assert [type(error) for error in outcome] == [TransientError]
    assert "check that the server is up" in str(outcome[0])
    server.start()
    again = server.client(**SLOW)
    for _ in range(2):
        insert_block(again, target, block, "t")
    assert stored(again, target) == list(range(60_000))
