"""What an archived row's life depends on once it is purged at the source: nothing may drop it, and enough servers hold it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import NamedTuple

from clickhouse_connect.driver.client import Client

from airflow_provider_chista.clickhouse import sql
from airflow_provider_chista.clickhouse.cluster import is_replicated
from airflow_provider_chista.clickhouse.ddl import has_ttl
from airflow_provider_chista.clickhouse.errors import translated
from airflow_provider_chista.clickhouse.layout import cluster_in
from airflow_provider_chista.model import TableId


class Threat(NamedTuple):
    """Something that could drop archived rows, and the way out."""

    found: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.found}; {self.remedy}"


CLEANUP_SETTINGS: dict[str, str] = {
    "allow_experimental_replacing_merge_with_cleanup": "OPTIMIZE ... FINAL CLEANUP may",
    "enable_replacing_merge_with_cleanup_for_min_age_to_force_merge": "merges in the background",
}
"""Settings of a MergeTree table with which something drops the rows that are marked as deleted, last content and all."""

_KEEPS_ROWS = ("MATERIALIZE ", "CLEAR INDEX ", "CLEAR STATISTICS ")
"""How mutations begin that write parts anew without a change to their rows."""


def threats(client: Client, target: TableId) -> list[Threat]:
    """What could drop or change rows of an archive table: a TTL, CLEANUP merges, mutations that are not finished."""
    return [*_ttl(client, target), *_cleanup(client, target), *_mutations(client, target)]


def lacking_copies(
    client: Client, target: TableId, wanted: int, cluster: str, age: timedelta
) -> Iterator[Threat]:
    """Why an archive table's rows are not on as many replicas as they should be; nothing when they are.

    A replica holds the rows when it has done every insert that is older than ``age``: parts are merged differently on each,
    so that their names could not be compared, and a replica that is late says by how much (``absolute_delay``).

    :param cluster: where the table's replicas are, unless its comment names the cluster that it was made on.
    :param age: how long ago the rows were read from the table; what was inserted since does not matter.
    """
    asked = f"min_replicas is {wanted}, but"
    with translated(f"looking at the replicas of {target}"):
        engine, comment = client.query(
            "SELECT engine, comment FROM system.tables WHERE database = {database:String} AND name = {table:String}",
            parameters=_named(target),
        ).result_rows[0]
        cluster = cluster_in(comment) or cluster
        if not is_replicated(engine):
            yield Threat(
                f"{asked} {target} is not replicated (engine {engine}): its rows are on one server",
                "go over to replicated tables (docs/clusters.md), or set min_replicas=1 and keep a backup",
            )
        elif engine.startswith("Shared"):
            yield Threat(
                f"{asked} {target} keeps its rows in shared storage (engine {engine}), which has no replicas to ask",
                "set min_replicas=1",
            )
        elif not cluster:
            yield Threat(
                f"{asked} nobody says on which cluster the replicas of {target} are",
                "give the ClickHouse connection chista_cluster",
            )
        else:
            replicas = client.query(
                "SELECT hostName() AS host, is_readonly OR is_session_expired AS cut_off, absolute_delay"
                f" FROM clusterAllReplicas({sql.literal(cluster)}, system.replicas)"
                " WHERE database = {database:String} AND table = {table:String} ORDER BY host",
                parameters=_named(target),
                settings={"skip_unavailable_shards": 1},
            ).result_rows
            late = [
                f"{host} has lost Keeper" if cut_off else f"{host} is {delay} s behind"
                for host, cut_off, delay in replicas
                if cut_off or delay >= age.total_seconds()
            ]
            if len(replicas) - len(late) < wanted:
                yield Threat(
                    f"{asked} {len(replicas) - len(late)} replicas of {target} on the cluster {cluster} surely hold every "
                    f"proven row (others: {', '.join(late) or 'none that answered'})",
                    "start the servers that are down and wait until they have caught up, or lower min_replicas",
                )


def _ttl(client: Client, target: TableId) -> Iterator[Threat]:
    if has_ttl(client, target):
        yield Threat(
            f"{target} has a TTL, which could drop the archived rows",
            f"remove it: ALTER TABLE {sql.table(target)} REMOVE TTL",
        )


def _cleanup(client: Client, target: TableId) -> Iterator[Threat]:
    with translated(f"looking at the settings of {target}"):
        engine = client.query(
            "SELECT engine_full FROM system.tables WHERE database = {database:String} AND name = {table:String}",
            parameters=_named(target),
        ).result_rows
        replicated = engine and is_replicated(engine[0][0])
        settings = "replicated_merge_tree_settings" if replicated else "merge_tree_settings"
        known = client.query(
            f"SELECT name, value FROM system.{settings} WHERE name IN {{names:Array(String)}}",
            parameters={"names": list(CLEANUP_SETTINGS)},
        ).result_rows
    for name, of_server in known:
        own = re.search(rf"\b{name} = '?(\w+)", engine[0][0]) if engine else None
        value = own[1] if own else of_server
        if value not in ("0", "false"):
            yield Threat(
                f"{target} has {name} = {value}, with which {CLEANUP_SETTINGS[name]} drop rows that are marked as deleted",
                f"ALTER TABLE {sql.table(target)} MODIFY SETTING {name} = 0",
            )


def _mutations(client: Client, target: TableId) -> Iterator[Threat]:
    with translated(f"looking at the mutations of {target}"):
        mutations = client.query(
            "SELECT mutation_id, command, latest_fail_reason FROM system.mutations"
            " WHERE database = {database:String} AND table = {table:String} AND is_done = 0 ORDER BY create_time",
            parameters=_named(target),
        ).result_rows
    for mutation, command, failure in mutations:
        if command.lstrip("(").startswith(_KEEPS_ROWS):
            continue
        why = f" (it fails: {failure[:200]})" if failure else ""
        where = f"database = {sql.literal(target.schema)} AND table = {sql.literal(target.name)}"
        yield Threat(
            f"the mutation {mutation} of {target} is not finished, and could drop or change archived rows: {command}{why}",
            f"wait for it, then verify again, or KILL MUTATION WHERE {where} AND mutation_id = {sql.literal(mutation)}",
        )


def _named(target: TableId) -> dict[str, str]:
    return {"database": target.schema, "table": target.name}
