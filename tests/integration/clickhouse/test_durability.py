"""What could drop archived rows, and on how many servers they are."""

from __future__ import annotations

from datetime import timedelta

import pytest
from clickhouse_connect.driver.client import Client

from airflow_provider_chista.clickhouse import ddl, durability, sql
from airflow_provider_chista.clickhouse.cluster import Placement
from airflow_provider_chista.clickhouse.types import TypeMap
from airflow_provider_chista.model import TableId
from tests.integration.clickhouse.conftest import NUMBERS, Pair, Server, numbers
from tests.integration.support import services
from tests.integration.support.clickhouses import CLUSTER, PrivateServer

ALLOWED, IN_BACKGROUND = durability.CLEANUP_SETTINGS
HOUR = timedelta(hours=1)


@pytest.fixture
def target(server: Server) -> TableId:
    target = server.new()
    ddl.ensure_table(server.client, server.types, NUMBERS, target)
    return target


def told(client: Client, target: TableId) -> list[str]:
    return [str(threat) for threat in durability.threats(client, target)]


def test_a_table_of_the_provider_keeps_its_rows(server: Server, target: TableId) -> None:
    assert told(server.client, target) == []


@pytest.mark.parametrize(
    ("alter", "words"),
    [
        ("MODIFY TTL _chista_source_time + INTERVAL 1 YEAR", "has a TTL"),
        (f"MODIFY SETTING {ALLOWED} = 1", f"{ALLOWED} = 1, with which OPTIMIZE ... FINAL CLEANUP may drop"),
        (f"MODIFY SETTING {IN_BACKGROUND} = true", "with which merges in the background drop rows"),
    ],
)
def test_the_way_out_that_a_threat_names_ends_it(
    server: Server, target: TableId, alter: str, words: str
) -> None:
    server.client.command(f"ALTER TABLE {sql.table(target)} {alter}")
    [threat] = durability.threats(server.client, target)
    assert words in threat.found
    server.client.command(threat.remedy[threat.remedy.index("ALTER TABLE") :])
    assert told(server.client, target) == []


def test_a_mutation_that_is_not_finished_is_named_until_it_is_killed(server: Server, target: TableId) -> None:
    client, name = server.client, sql.table(target)
    client.insert_arrow(str(target), numbers(0, 10))
    at_once = {"mutations_sync": 0}
    client.command(f"ALTER TABLE {name} DELETE WHERE throwIf(id = 3)", settings=at_once)
    [threat] = durability.threats(client, target)
    assert "DELETE WHERE throwIf(id = 3)" in threat.found
    client.command(threat.remedy[threat.remedy.index("KILL MUTATION") :])
    assert told(client, target) == []
    # One that is finished did what it did: the proof sees it. One that only writes parts anew drops nothing.
    client.command(f"ALTER TABLE {name} DELETE WHERE id = 3", settings={"mutations_sync": 1})
    client.command(f"ALTER TABLE {name} ADD INDEX x throwIf(id = 4) TYPE minmax")
    client.command(f"ALTER TABLE {name} MATERIALIZE INDEX x", settings=at_once)
    commands = client.query(
        "SELECT command FROM system.mutations WHERE table = {t:String} AND is_done = 0",
        parameters={"t": target.name},
    ).result_rows
    assert ["MATERIALIZE INDEX" in command for (command,) in commands] == [True]
    assert told(client, target) == []


def test_a_table_of_one_server_is_on_no_other(server: Server, target: TableId) -> None:
    [threat] = durability.lacking_copies(server.client, target, 2, CLUSTER, HOUR)
    assert f"min_replicas is 2, but {target} is not replicated (engine ReplacingMergeTree)" in threat.found
    assert "docs/clusters.md" in threat.remedy


def test_replicas_that_cannot_be_reached_or_have_lost_keeper_do_not_count(
    pair: Pair, readonly_replica: PrivateServer
) -> None:
    client, target = pair[0].client(), TableId(f"archive_{services.token()}", "numbers")
    made = Placement(replicated=True)
    ddl.ensure_table(client, TypeMap(), NUMBERS, target, placement=made)
    [threat] = durability.lacking_copies(client, target, 2, "", HOUR)
    assert "nobody says on which cluster" in threat.found
    [threat] = durability.lacking_copies(client, target, 2, CLUSTER, HOUR)
    assert f"but 0 replicas of {target} on the cluster {CLUSTER} surely hold every proven row" in threat.found
    assert threat.found.count("has lost Keeper") == 1
