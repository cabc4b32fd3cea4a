"""Replicated tables and targets of other engines on two real servers, as far as the npm library's ClickHouse goes: it takes
the statements and the Keeper, and leaves every replica read-only. Real replication: ``test_cluster_replicas.py``."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from clickhouse_connect.driver.client import Client

from airflow_provider_chista.clickhouse import ddl, sql
from airflow_provider_chista.clickhouse.cluster import Placement
from airflow_provider_chista.clickhouse.control import TABLES, Control
from airflow_provider_chista.clickhouse.load import insert_block
from airflow_provider_chista.clickhouse.types import TypeMap
from airflow_provider_chista.errors import FatalError, TransientError
from airflow_provider_chista.model import Column, Kind, Table, TableId
from tests.integration.clickhouse.conftest import NUMBERS, Pair, numbers
from tests.integration.support.clickhouses import CLUSTER, SHARDS, PrivateServer
from tests.integration.support.services import token

TYPES = TypeMap()
REPLICATED = Placement(replicated=True)
WIDER = Table(NUMBERS.id, (*NUMBERS.columns, Column("more", "int", Kind.INT32, True)), NUMBERS.primary_key)


def new() -> TableId:
    return TableId(f"archive_{token()}", "numbers")


def engines(client: Client, database: str) -> dict[str, str]:
    rows = client.query(
        "SELECT name, engine FROM system.tables WHERE database = {d:String}", parameters={"d": database}
    ).result_rows
    return {row[0]: row[1] for row in rows}


def test_archive_and_state_tables_are_created_replicated_and_found_again(pair: Pair) -> None:
    client, target = pair[0].client(), new()
    assert ddl.ensure_table(client, TYPES, NUMBERS, target, placement=REPLICATED).created
    assert engines(client, target.schema) == {
        "numbers": "ReplicatedReplacingMergeTree",
        "numbers_current": "View",
    }
    assert str(ddl.ensure_table(client, TYPES, NUMBERS, target, placement=REPLICATED)) == "fits already"
    assert ddl.misfit(client, TYPES, NUMBERS, target) is None
    control = Control(client, f"chista_{token()}", REPLICATED)
    control.ensure()
    control.ensure()
    made = engines(client, control.database)
    assert made.keys() == TABLES.keys()
    assert {engine for engine in made.values() if not engine.startswith("Replicated")} == set()


@pytest.mark.parametrize(
    ("settings", "code"), [({}, "code 999"), ({"insert_quorum": 0}, "code 242")], ids=["quorum", "no quorum"]
)
def test_a_replica_without_its_keeper_session_is_transient_at_once(
    readonly_replica: PrivateServer, settings: dict[str, int], code: str
) -> None:
    client, target = readonly_replica.client(**settings), new()
    ddl.ensure_table(client, TYPES, NUMBERS, target, placement=REPLICATED)
    control = Control(client, f"chista_{token()}", REPLICATED)
    control.ensure()
    for write in (
        lambda: insert_block(client, target, numbers(0, 10), "t"),
        lambda: control.insert("snapshots", [{"connector": "c", "table_name": "t"}]),
    ):
        begun = time.monotonic()
        with pytest.raises(TransientError, match=code):
            write()
        assert time.monotonic() - begun < 10
    assert client.command(f"SELECT count() FROM {sql.table(target)}") == 0


def test_a_read_only_replica_that_cannot_be_altered_is_transient(readonly_replica: PrivateServer) -> None:
    client, target = readonly_replica.client(), new()
    ddl.ensure_table(client, TYPES, NUMBERS, target, placement=REPLICATED)
    with pytest.raises(TransientError, match="code 242"):
        ddl.follow(client, TYPES, WIDER, target)
    assert ddl.misfit(client, TYPES, WIDER, target) is None


def test_a_view_that_an_interrupted_change_left_behind_is_made_anew(pair: Pair) -> None:
    client, target = pair[0].client(), new()
    ddl.ensure_table(client, TYPES, NUMBERS, target)
    old = client.command(f"SHOW CREATE VIEW {sql.table(ddl.view_of(target))}")
    ddl.follow(client, TYPES, WIDER, target)
    client.command(str(old).replace("CREATE VIEW", "CREATE OR REPLACE VIEW").replace("\\n", "\n"))
    assert str(ddl.follow(client, TYPES, WIDER, target)) == "fits already"
    shown = client.query(f"DESCRIBE TABLE {sql.table(ddl.view_of(target))}").result_rows
    assert [row[0] for row in shown] == ["id", "name", "more"]


def test_a_server_that_takes_no_on_cluster_says_what_it_lacks(readonly_replica: PrivateServer) -> None:
    client, target = readonly_replica.client(), new()
    with pytest.raises(FatalError, match=r"code 392.*ON CLUSTER needs Keeper and distributed_ddl"):
        ddl.ensure_table(client, TYPES, NUMBERS, target, placement=Placement(CLUSTER, True))
    with pytest.raises(FatalError, match=r"creating the state tables.*code 392"):
        Control(client, target.schema, Placement(CLUSTER, True)).ensure()
    assert engines(client, target.schema) == {}


@pytest.mark.parametrize(
    ("placement", "message"),
    [
        (Placement("elsewhere", True), "knows no cluster elsewhere; it knows chista, shards"),
        (Placement(SHARDS, True), "the cluster shards has 2 shards, and an archive must be whole"),
        (Placement(CLUSTER), "the cluster chista has 2 servers, and tables that are not replicated would be separate"),
    ],
)  # fmt: skip
def test_a_cluster_that_would_not_hold_every_row_on_each_server_is_refused(
    pair: Pair, placement: Placement, message: str
) -> None:
    client, target = pair[0].client(), new()
    with pytest.raises(FatalError, match=message):
        ddl.ensure_table(client, TYPES, NUMBERS, target, placement=placement)
    with pytest.raises(FatalError, match=message):
        Control(client, target.schema, placement).ensure()
    assert not client.command(f"EXISTS DATABASE {target.schema}")


def test_plain_tables_are_refused_where_replicated_ones_are_asked_for(pair: Pair) -> None:
    client, target = pair[0].client(), new()
    ddl.ensure_table(client, TYPES, NUMBERS, target)
    with pytest.raises(
        FatalError, match=r"numbers exists with the engine ReplacingMergeTree, .*clusters\.md"
    ):
        ddl.ensure_table(client, TYPES, WIDER, target, placement=REPLICATED)
    control = Control(client, f"chista_{token()}")
    control.ensure()
    with pytest.raises(FatalError, match=r"chista_\w+\.\w+ exists with the engine \w+, .*clusters\.md"):
        Control(client, control.database, REPLICATED).ensure()
    assert str(ddl.ensure_table(client, TYPES, NUMBERS, target)) == "fits already"


def test_a_plain_table_is_made_anew_as_the_documentation_says(pair: Pair) -> None:
    """``docs/clusters.md``, going over: what was gone at the source and added since is in the new table too."""
    client, target = pair[0].client(), new()
    before = TableId(target.schema, "numbers_before")
    ddl.ensure_table(client, TYPES, WIDER, target)
    ddl.ensure_table(client, TYPES, NUMBERS, target)
    client.command(f"RENAME TABLE {sql.table(target)} TO {sql.table(before)}")
    statement = str(client.query(f"SHOW CREATE TABLE {sql.table(before)}").result_rows[0][0])
    for old, changed in (
        (f"{before}", f"{target}"),
        ("ENGINE = ReplacingMergeTree", "ENGINE = ReplicatedReplacingMergeTree"),
        ("non_replicated_deduplication_window = 1000", "replicated_deduplication_window = 1000"),
    ):
        assert old in statement
        statement = statement.replace(old, changed, 1)
    client.command(statement)
    assert str(ddl.ensure_table(client, TYPES, NUMBERS, target, placement=REPLICATED)) == "fits already"
    assert engines(client, target.schema)["numbers"] == "ReplicatedReplacingMergeTree"


@pytest.mark.parametrize(
    ("definition", "named"),
    [
        ("TABLE {front} AS {rows} ENGINE = Distributed('shards', {database}, 'numbers', id)", True),
        ("TABLE {front} AS {rows} ENGINE = Buffer({database}, 'numbers', 1, 1, 9, 1, 9, 1, 9)", True),
        ("TABLE {front} AS {rows} ENGINE = Merge({database}, '^numbers$')", False),
        ("VIEW {front} AS SELECT * FROM {rows}", False),
        ("MATERIALIZED VIEW {front} ENGINE = MergeTree ORDER BY id AS SELECT * FROM {rows}", False),
    ],
    ids=["Distributed", "Buffer", "Merge", "View", "MaterializedView"],
)  # fmt: skip
def test_a_target_that_only_leads_to_a_table_is_refused_and_the_table_named(
    pair: Pair, definition: str, named: bool, request: pytest.FixtureRequest
) -> None:
    client, rows = pair[0].client(), new()
    ddl.ensure_table(client, TYPES, NUMBERS, rows)
    front = TableId(rows.schema, "front")
    client.command(
        "CREATE "
        + definition.format(front=sql.table(front), rows=sql.table(rows), database=f"'{rows.schema}'")
    )
    looks: list[Callable[[], object]] = [
        lambda: ddl.ensure_table(client, TYPES, NUMBERS, front),
        lambda: ddl.follow(client, TYPES, NUMBERS, front),
        lambda: ddl.adopted(client, TYPES, NUMBERS, front),
    ]
    for look in looks:
        with pytest.raises(FatalError, match="archive into the table that holds the rows") as caught:
            look()
        assert f"engine {request.node.callspec.id}" in str(caught.value)
        assert (f"the rows, {rows} on the server" in str(caught.value)) is named
    assert "archive into the table" in (ddl.misfit(client, TYPES, NUMBERS, front) or "")


def test_a_distributed_table_reads_what_was_inserted_into_the_local_ones(pair: Pair) -> None:
    clients, target = [server.client() for server in pair], new()
    for number, client in enumerate(clients):
        ddl.ensure_table(client, TYPES, NUMBERS, target)
        insert_block(client, target, numbers(number * 100, 100), "t")
        assert client.command(f"SELECT count() FROM {sql.table(target)} FINAL") == 100
    front = TableId(target.schema, "front")
    clients[0].command(
        f"CREATE TABLE {sql.table(front)} AS {sql.table(target)}"
        f" ENGINE = Distributed({SHARDS}, {target.schema}, numbers)"
    )
    ids = clients[0].query(f"SELECT id FROM {sql.table(front)} ORDER BY id").result_columns[0]
    assert list(ids) == list(range(200))


def test_an_insert_through_a_distributed_table_is_acknowledged_before_it_is_stored(pair: Pair) -> None:
    """Why such targets are refused."""
    clients, target = [server.client() for server in pair], new()
    for client in clients:
        ddl.ensure_table(client, TYPES, NUMBERS, target)
    front = TableId(target.schema, "front")
    clients[0].command(
        f"CREATE TABLE {sql.table(front)} AS {sql.table(target)}"
        f" ENGINE = Distributed({SHARDS}, {target.schema}, numbers, 1)"
    )
    clients[0].command(f"SYSTEM STOP DISTRIBUTED SENDS {sql.table(front)}")
    insert_block(clients[0], front, numbers(0, 50), "t")
    assert [client.command(f"SELECT count() FROM {sql.table(target)}") for client in clients] == [0, 0]
    clients[0].command(f"SYSTEM FLUSH DISTRIBUTED {sql.table(front)}")
    assert sum(client.command(f"SELECT count() FROM {sql.table(target)}") for client in clients) == 50
