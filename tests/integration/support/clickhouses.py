"""ClickHouse servers of a test's own, in a cluster with ZooKeeper: what may be killed, starved and misconfigured.

They are started as the stack starts its own. Out of the npm library they know each other and the Keeper, and Distributed
tables work between them, but they cannot replicate; a ``clickhouse`` binary on the PATH is a server that can.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import clickhouse_connect
from clickhouse_connect.driver.client import Client

from airflow_provider_chista.clickhouse.cluster import CLIENT_SETTINGS
from stack import downloads
from stack.settings import HOST, ROOT, Stack
from stack.shell import find_program
from tests.integration.support.ports import free_port, free_ports

PASSWORD = "of-a-private-server"
CLUSTER, SHARDS = "chista", "shards"
"""Names of the cluster of two replicas, and of that of two shards."""

_MORE = """
<clickhouse>
    <default_replica_path>/clickhouse/tables/{{database}}/{{table}}</default_replica_path>
    <mlock_executable>false</mlock_executable>
    <remote_servers><{name}>{shards}</{name}></remote_servers>
</clickhouse>
"""
_USERS = """
<clickhouse>
    <profiles><reading><readonly>2</readonly></reading></profiles>
    <users>
        <reader><password>reader</password><networks><ip>::/0</ip></networks><profile>reading</profile><quota>default</quota></reader>
        <poor><password>poor</password><networks><ip>::/0</ip></networks><profile>default</profile><quota>default</quota>
            <grants><query>GRANT SELECT ON *.*</query></grants></poor>
    </users>
</clickhouse>
"""


@dataclass
class PrivateServer:
    """One server; :meth:`start` and :meth:`kill` may be called again and again, and its data stays."""

    folder: Path
    http: int
    command: list[str]
    environment: dict[str, str]
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    def start(self) -> None:
        with (self.folder / "out.log").open("ab") as log:
            self.process = subprocess.Popen(
                self.command, env=self.environment, cwd=self.folder, stdout=log, stderr=log
            )
        _await(self.process, self.http, self.folder)

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def client(
        self, user: str = "default", password: str = "", timeout: float = 60, **settings: Any
    ) -> Client:
        return client_of(self.http, user, password, timeout=timeout, **settings)


def client_of(
    http: int, user: str, password: str, host: str = HOST, timeout: float = 60, **settings: Any
) -> Client:
    """A client as the provider's hook makes it.

    :param timeout: seconds that it waits for an answer.
    """
    return clickhouse_connect.get_client(
        host=host,
        port=http,
        username=user,
        password=password,
        autogenerate_session_id=False,
        send_receive_timeout=timeout,
        tz_mode="aware",
        settings={**CLIENT_SETTINGS, **settings},
    )


@contextmanager
def zookeeper(stack: Stack, folder: Path) -> Iterator[int]:
    """ZooKeeper on a free port."""
    port = free_port()
    config = folder / "zoo.cfg"
    config.write_text(
        f"tickTime=500\ndataDir={folder}/zookeeper\nclientPort={port}\nclientPortAddress={HOST}\nadmin.enableServer=false\n"
    )
    classes = f"{downloads.zookeeper(stack)}/*:{downloads.kafka(stack)}/*"
    command = ["java", "-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", classes]
    with (folder / "zookeeper.log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "org.apache.zookeeper.server.ZooKeeperServerMain", str(config)],
            cwd=folder,
            stdout=log,
            stderr=log,
        )
    try:
        _await(process, port, folder)
        yield port
    finally:
        process.kill()
        process.wait()


@contextmanager
def single(stack: Stack, folder: Path) -> Iterator[PrivateServer]:
    """One running server, whose Keeper is not there."""
    http, tcp, interserver, keeper = free_ports(4)
    shared = {
        "CHISTA_KEEPER_HOST": HOST,
        "CHISTA_KEEPER_PORT": str(keeper),
        "CHISTA_CLICKHOUSE_HOST_1": HOST,
        "CHISTA_CLICKHOUSE_PORT_1": str(tcp),
        "CHISTA_CLICKHOUSE_HOST_2": HOST,
        "CHISTA_CLICKHOUSE_PORT_2": str(tcp),
    }
    server = _server(stack, folder / "server", http, tcp, interserver, [tcp], shared)
    try:
        server.start()
        yield server
    finally:
        server.kill()


@contextmanager
def pair(stack: Stack, folder: Path) -> Iterator[tuple[PrivateServer, PrivateServer]]:
    """Two running servers with ZooKeeper, which are replicas of one cluster and shards of another."""
    ports = free_ports(6)
    with ExitStack() as ending:
        keeper = ending.enter_context(zookeeper(stack, folder))
        shared = {
            "CHISTA_KEEPER_HOST": HOST,
            "CHISTA_KEEPER_PORT": str(keeper),
            "CHISTA_CLICKHOUSE_HOST_1": HOST,
            "CHISTA_CLICKHOUSE_PORT_1": str(ports[2]),
            "CHISTA_CLICKHOUSE_HOST_2": HOST,
            "CHISTA_CLICKHOUSE_PORT_2": str(ports[3]),
        }
        servers = []
        for number in (0, 1):
            http, tcp, interserver = ports[number], ports[2 + number], ports[4 + number]
            server = _server(stack, folder / f"server{number}", http, tcp, interserver, ports[2:4], shared)
            ending.callback(server.kill)
            server.start()
            servers.append(server)
        yield servers[0], servers[1]


def _server(
    stack: Stack,
    folder: Path,
    http: int,
    tcp: int,
    interserver: int,
    shards: list[int],
    shared: dict[str, str],
) -> PrivateServer:
    for name in ("config.d", "users.d", "data/tmp", "data/user_files", "data/format_schemas"):
        (folder / name).mkdir(parents=True)
    for name, place in (
        ("config.xml", "config.xml"),
        ("users.xml", "users.xml"),
        ("cluster.xml", "config.d/cluster.xml"),
    ):
        (folder / place).write_bytes((ROOT / "stack" / "config" / "clickhouse" / name).read_bytes())
    replicas = "".join(
        f"<shard><replica><host>{HOST}</host><port>{port}</port></replica></shard>" for port in shards
    )
    # Read after cluster.xml, by its name.
    (folder / "config.d" / "tests.xml").write_text(_MORE.format(name=SHARDS, shards=replicas))
    (folder / "users.d" / "tests.xml").write_text(_USERS)
    environment = {
        "PATH": os.environ["PATH"],
        "CHISTA_CLICKHOUSE_PATH": f"{folder}/data/",
        "CHISTA_CLICKHOUSE_TMP_PATH": f"{folder}/data/tmp/",
        "CHISTA_CLICKHOUSE_USER_FILES_PATH": f"{folder}/data/user_files/",
        "CHISTA_CLICKHOUSE_FORMAT_SCHEMA_PATH": f"{folder}/data/format_schemas/",
        "CHISTA_CLICKHOUSE_LISTEN_HOST": HOST,
        "CHISTA_CLICKHOUSE_HTTP_PORT": str(http),
        "CHISTA_CLICKHOUSE_TCP_PORT": str(tcp),
        "CHISTA_CLICKHOUSE_LOG": str(folder / "server.log"),
        "CHISTA_CLICKHOUSE_ERROR_LOG": str(folder / "errors.log"),
        "CHISTA_CLICKHOUSE_USERS": str(folder / "users.xml"),
        "CHISTA_CLICKHOUSE_PASSWORD": PASSWORD,
        "CHISTA_CLICKHOUSE_REPLICA": f"replica{http}",
        "CHISTA_INTERSERVER_HOST": HOST,
        "CHISTA_INTERSERVER_PORT": str(interserver),
        **shared,
    }
    binary, config = find_program("clickhouse"), str(folder / "config.xml")
    if binary is not None:
        command = [str(binary), "server", f"--config-file={config}"]
    else:
        command = [
            sys.executable,
            str(ROOT / "stack" / "clickhouse_server.py"),
            str(downloads.clickhouse_library(stack)),
            config,
        ]
    return PrivateServer(folder, http, command, environment)


def _await(process: subprocess.Popen[bytes], port: int, folder: Path) -> None:
    """Wait until something listens. Connecting and closing is harmless to both kinds of server; other bytes are not."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        with socket.socket() as probe:
            if probe.connect_ex((HOST, port)) == 0:
                return
        time.sleep(0.05)
    raise RuntimeError(f"{process.args} does not listen on port {port}; its output is in {folder}")
