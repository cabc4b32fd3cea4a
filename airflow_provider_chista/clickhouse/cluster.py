"""Clusters: where tables are made, and the settings with which what one replica acknowledged is on most of them.

A replicated table is on every replica of its shard. An insert is acknowledged when most of them have it, and a read sees
every acknowledged insert, whichever replica answers it, or is an error. On tables that are not replicated the settings
have no effect, so every client has them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from clickhouse_connect.driver.client import Client

from airflow_provider_chista.clickhouse import sql
from airflow_provider_chista.errors import FatalError


class ClientSetting(NamedTuple):
    """A ClickHouse setting of every statement, with its reason."""

    name: str
    value: str | int
    reason: str


SETTINGS = (
    ClientSetting("insert_quorum", "auto", "an insert is acknowledged when most replicas have it"),
    ClientSetting("insert_quorum_parallel", 0, "the next one has the ones before it, which consistent reads need"),
    ClientSetting("insert_quorum_timeout", 30_000, "milliseconds until an insert without a majority is an error"),
    ClientSetting("select_sequential_consistency", 1, "a read sees every acknowledged insert, or is an error"),
    ClientSetting("insert_keeper_max_retries", 2, "without Keeper an insert is an error at once; the default waits 140 s"),
    ClientSetting("distributed_ddl_task_timeout", 45, "seconds until a server that does not answer `ON CLUSTER` is an error"),
    ClientSetting("distributed_ddl_output_mode", "throw", "what fails on one server is an error"),
    ClientSetting("replication_wait_for_inactive_replica_timeout", 30, "seconds that ALTER waits for a replica that is down"),
)  # fmt: skip
"""Settings of clusters. Waits are shorter than the one for an answer (60 s), so that the server says what it waited for."""

CLIENT_SETTINGS: dict[str, str | int] = {setting.name: setting.value for setting in SETTINGS}
"""The same, as a client takes them."""

ALTER_SETTINGS: dict[str, int] = {"mutations_sync": 2, "alter_sync": 2}
"""An ALTER is done when every replica has done it."""

_DEDUPLICATION_SECONDS = 7 * 86_400


@dataclass(frozen=True, slots=True)
class Placement:
    """Where tables are made.

    :param cluster: cluster of ``ON CLUSTER``; empty: on the connected server.
    :param replicated: whether the engines are ``Replicated…``; path and replica name are the server's defaults
        (``default_replica_path``, ``default_replica_name``).
    """

    cluster: str = ""
    replicated: bool = False

    @property
    def on_cluster(self) -> str:
        """The clause, behind a blank; empty when there is no cluster."""
        return f" ON CLUSTER {sql.identifier(self.cluster)}" if self.cluster else ""

    def engine(self, name: str) -> str:
        """An engine of the MergeTree family, replicated when asked."""
        return f"Replicated{name}" if self.replicated else name

    def deduplication(self, blocks: int) -> str:
        """The table settings that remember tokens of the last ``blocks`` inserted blocks; replicated ones for a week."""
        if not self.replicated:
            return f"non_replicated_deduplication_window = {blocks}"
        return (
            f"replicated_deduplication_window = {blocks}, "
            f"replicated_deduplication_window_seconds = {_DEDUPLICATION_SECONDS}"
        )

    def require(self, client: Client) -> None:
        """Raise :class:`FatalError` when tables of the cluster would not hold every row on every server."""
        if not self.cluster:
            return
        servers = client.query("SELECT cluster, shard_num FROM system.clusters").result_rows
        shards = [shard for name, shard in servers if name == self.cluster]
        if not shards:
            known = ", ".join(sorted({name for name, _ in servers})) or "none"
            raise FatalError(f"ClickHouse knows no cluster {self.cluster}; it knows {known}")
        if len(set(shards)) > 1:
            raise FatalError(
                f"the cluster {self.cluster} has {len(set(shards))} shards, and an archive must be whole on each server; "
                "define a cluster in remote_servers that has the replicas of one shard, and name that"
            )
        if len(shards) > 1 and not self.replicated:
            raise FatalError(
                f"the cluster {self.cluster} has {len(shards)} servers, and tables that are not replicated would be "
                "separate ones on each; ask for replicated ones too (chista_replicated)"
            )

    def require_engine(self, table: str, engine: str) -> None:
        """Raise :class:`FatalError` when an existing table is not replicated and should be."""
        if self.replicated and not is_replicated(engine):
            raise FatalError(
                f"{table} exists with the engine {engine}, and replicated tables are asked for (chista_replicated); "
                "docs/clusters.md tells how to go over to them"
            )


HERE = Placement()
"""Tables on the connected server alone."""


def is_replicated(engine: str) -> bool:
    """Whether an engine keeps its rows on several servers; ``Shared…`` is that of ClickHouse Cloud."""
    return engine.startswith(("Replicated", "Shared"))
