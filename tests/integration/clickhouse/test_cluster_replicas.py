"""Two replicas that really replicate: what one acknowledged, the other shows. Skipped where nothing replicates."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from clickhouse_connect.driver.client import Client

from airflow_provider_chista.clickhouse import ddl, durability, layout, sql
from airflow_provider_chista.clickhouse.cluster import Placement
from airflow_provider_chista.clickhouse.control import TABLES, Control
from airflow_provider_chista.clickhouse.load import DeletedKey, apply_deletes, insert_block
from airflow_provider_chista.clickhouse.types import TypeMap
from airflow_provider_chista.model import Column, Kind, Table, TableId
from tests.integration.clickhouse.conftest import NUMBERS, numbers
from tests.integration.support import services
from tests.integration.support.clickhouses import CLUSTER
from tests.integration.support.engines import wait_for
from tests.integration.support.streams import TABLE, Stream, names

pytestmark = pytest.mark.replicated

TYPES = TypeMap()
PLACEMENT = Placement(CLUSTER, replicated=True)
WIDER = Table(NUMBERS.id, (*NUMBERS.columns, Column("more", "int", Kind.INT32, True)), NUMBERS.primary_key)


@pytest.fixture
def places(replicas: list[Client]) -> Iterator[tuple[str, str]]:
    """An archive database and a state database, dropped on both servers behind the test."""
    own = services.token()
    made = f"archive_it_{own}", f"chista_it_{own}"
    yield made
    for database in made:
        replicas[0].command(f"DROP DATABASE IF EXISTS {database} ON CLUSTER {CLUSTER} SYNC")


def shown(client: Client, target: TableId) -> list[int]:
    rows = client.query(f"SELECT id FROM {sql.table(ddl.view_of(target))} ORDER BY id").result_rows
    return [row[0] for row in rows]


def test_tables_and_views_are_on_both_servers(replicas: list[Client], places: tuple[str, str]) -> None:
    one, other = replicas
    target = TableId(places[0], "numbers")
    ddl.ensure_table(one, TYPES, NUMBERS, target, placement=PLACEMENT)
    Control(one, places[1], PLACEMENT).ensure()
    assert str(ddl.ensure_table(other, TYPES, NUMBERS, target, placement=PLACEMENT)) == "fits already"
    Control(other, places[1], PLACEMENT).ensure()
    rows = other.query(
        "SELECT name, engine FROM system.tables WHERE database IN {d:Array(String)} AND engine LIKE 'Replicated%'",
        parameters={"d": list(places)},
    ).result_rows
    assert {row[0] for row in rows} == {"numbers", *TABLES}
    assert shown(other, target) == []


def test_what_one_replica_acknowledged_the_other_shows_at_once(
    replicas: list[Client], places: tuple[str, str]
) -> None:
    one, other = replicas
    target = TableId(places[0], "numbers")
    ddl.ensure_table(one, TYPES, NUMBERS, target, placement=PLACEMENT)
    for batch in range(20):
        writer, reader = (one, other) if batch % 2 else (other, one)
        for _ in range(2):
            insert_block(writer, target, numbers(batch * 100, 100), f"t{batch}")
        assert shown(reader, target) == list(range(batch * 100 + 100))
    # The same token on the other replica is the same insert.
    insert_block(other, target, numbers(1900, 100), "t19")
    assert other.command(f"SELECT count() FROM {sql.table(target)}") == 2000
    apply_deletes(one, TYPES, NUMBERS, target, [DeletedKey((5,), 2, 0)])
    assert shown(other, target) == [number for number in range(2000) if number != 5]


def test_a_batch_is_on_as_many_replicas_as_have_caught_up(
    replicas: list[Client], places: tuple[str, str]
) -> None:
    one, other = replicas
    target = TableId(places[0], "numbers")
    ddl.ensure_table(one, TYPES, NUMBERS, target, placement=PLACEMENT)
    insert_block(one, target, numbers(0, 100), "t0")

    def lacking(wanted: int) -> list[durability.Threat]:
        return list(durability.lacking_copies(one, target, wanted, "", timedelta(seconds=5)))

    assert (lacking(2), len(lacking(3))) == ([], 1)
    other.command(f"SYSTEM STOP FETCHES {sql.table(target)}")
    one.insert_arrow(str(target), numbers(100, 100), settings={"insert_quorum": 0})
    wait_for(lambda: lacking(2), seconds=30)
    other.command(f"SYSTEM START FETCHES {sql.table(target)}")
    other.command(f"SYSTEM SYNC REPLICA {sql.table(target)}")
    assert lacking(2) == []


def test_writers_at_once_wait_for_each_other(replicas: list[Client], places: tuple[str, str]) -> None:
    target = TableId(places[0], "numbers")
    ddl.ensure_table(replicas[0], TYPES, NUMBERS, target, placement=PLACEMENT)

    def write(part: int) -> None:
        insert_block(replicas[part % 2], target, numbers(part * 10, 10), f"t{part}")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(24)))
    assert [shown(client, target) for client in replicas] == [list(range(240))] * 2


def test_both_servers_follow_a_change_of_the_columns(replicas: list[Client], places: tuple[str, str]) -> None:
    one, other = replicas
    target = TableId(places[0], "numbers")
    ddl.ensure_table(one, TYPES, NUMBERS, target, placement=PLACEMENT)
    # Without a placement: the table remembers its cluster.
    assert ddl.follow(other, TYPES, WIDER, target).added == ("more",)
    for client in replicas:
        view = client.query(f"DESCRIBE TABLE {sql.table(ddl.view_of(target))}").result_rows
        assert [row[0] for row in view] == ["id", "name", "more"]
        comment = client.command(
            "SELECT comment FROM system.tables WHERE database = {d:String} AND name = 'numbers'",
            parameters={"d": target.schema},
        )
        assert layout.cluster_in(str(comment)) == CLUSTER


def test_a_drain_that_goes_on_at_the_other_replica_is_exact(
    replicas: list[Client], places: tuple[str, str]
) -> None:
    one, other = replicas
    prefix = f"it_{services.token()}"
    target = TableId(places[0], prefix)
    ddl.ensure_table(one, TYPES, TABLE, target, placement=PLACEMENT)
    controls = [Control(client, places[1], PLACEMENT) for client in replicas]
    controls[0].ensure()
    first = Stream(one, controls[0], places[0], prefix).create()
    second = Stream(other, controls[1], places[0], prefix)
    try:
        for stream, start in ((first, 0), (second, 3000), (first, 6000)):
            stream.send(*names(3000, start))
            stream.drain(stream.barrier())
        expected = {number: f"n{number}" for number in range(9000)}
        assert first.shown() == second.shown() == expected
        assert first.positions() == second.positions() == {0: 9000}
        assert (second.stored(), second.dead_letters()) == (9000, [])
    finally:
        services.delete_topics(prefix)
