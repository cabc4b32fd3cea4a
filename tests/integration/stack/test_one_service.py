"""Services killed, paused, stopped and started alone, in a stack of their own beside the one that is running."""

from __future__ import annotations

import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from stack import processes
from stack.settings import ROOT, Stack

pytestmark = pytest.mark.integration


class Beside:
    """A stack of three services, beside any other on this machine, driven by the command line."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack

    def __call__(self, *words: str, status: int = 0) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "stack", *words],
            cwd=ROOT,
            env={
                **{name: value for name, value in os.environ.items() if not name.startswith("CHISTA_")},
                "CHISTA_BASE_PORT": str(self.stack.base_port),
                "CHISTA_DATA": str(self.stack.data),
                "CHISTA_CACHE": str(self.stack.cache),
            },
            capture_output=True,
            text=True,
        )
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout + done.stderr

    def state(self, name: str) -> str:
        lines = subprocess.run(
            [sys.executable, "-m", "stack", "status"],
            cwd=ROOT,
            env={
                **os.environ,
                "CHISTA_BASE_PORT": str(self.stack.base_port),
                "CHISTA_DATA": str(self.stack.data),
            },
            capture_output=True,
            text=True,
        ).stdout.splitlines()
        return next(line.split()[1] for line in lines if line.startswith(f"{name} "))

    def clickhouse(self, query: str) -> str:
        request = urllib.request.Request(
            self.stack.clickhouse_url,
            data=query.encode(),
            headers={
                "X-ClickHouse-User": "chista",
                "X-ClickHouse-Key": self.stack.secrets["CHISTA_CLICKHOUSE_PASSWORD"],
            },
        )
        try:
            with urllib.request.urlopen(request, timeout=20) as response:
                return str(response.read().decode())
        except urllib.error.HTTPError as error:
            return str(error.read().decode())


@pytest.fixture(scope="module")
def beside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Beside]:
    running = Stack.from_environment()
    stack = Stack(
        base_port=running.base_port + 500, data=tmp_path_factory.mktemp("stack") / "data", cache=running.cache
    )
    made = Beside(stack)
    try:
        made("up", "--only", "clickhouse,mariadb,postgres")
        yield made
    finally:
        made("clean")
        assert processes.belonging(stack) == []
        assert not Path(stack.data).exists()


@pytest.mark.parametrize("name", ["clickhouse", "mariadb", "postgres"])
def test_a_killed_service_stays_down_until_it_is_started_and_the_others_go_on(beside: Beside, name: str):
    others = {"clickhouse", "mariadb", "postgres"} - {name}
    beside("kill", name)
    assert beside.state(name) == "stopped"
    assert {beside.state(other) for other in others} == {"healthy"}
    beside("start", name)
    assert beside.state(name) == "healthy"


@pytest.mark.parametrize("name", ["clickhouse", "mariadb", "postgres"])
def test_a_paused_service_is_ill_and_well_again_when_it_goes_on(beside: Beside, name: str):
    beside("pause", name)
    assert beside.state(name) == "ill"
    beside("resume", name)
    beside("wait", name)
    assert beside.state(name) == "healthy"


def test_a_paused_service_can_be_stopped(beside: Beside):
    beside("pause", "mariadb")
    beside("stop", "mariadb")
    assert beside.state("mariadb") == "stopped"
    beside("start", "mariadb")


def test_what_clickhouse_acknowledged_outlives_a_kill(beside: Beside):
    beside.clickhouse("CREATE TABLE archive_mysql.kept (id Int64) ENGINE = MergeTree ORDER BY id")
    beside.clickhouse("INSERT INTO archive_mysql.kept SELECT number FROM numbers(100000)")
    beside("kill", "clickhouse")
    beside("start", "clickhouse")
    assert beside.clickhouse("SELECT count(), sum(id) FROM archive_mysql.kept").split() == [
        "100000",
        "4999950000",
    ]


def test_the_provider_may_do_nothing_outside_its_databases(beside: Beside):
    assert "ACCESS_DENIED" in beside.clickhouse("CREATE DATABASE other")
    assert "ACCESS_DENIED" in beside.clickhouse(
        "CREATE TABLE default.t (id Int64) ENGINE = MergeTree ORDER BY id"
    )
    assert "ACCESS_DENIED" in beside.clickhouse("SYSTEM SHUTDOWN")


def test_up_again_changes_nothing(beside: Beside):
    before = beside("status")
    beside("up", "--only", "clickhouse,mariadb,postgres")
    assert beside("status") == before


def test_a_taken_port_is_named_with_a_way_out(beside: Beside, tmp_path: Path):
    intruder = Beside(
        Stack(base_port=beside.stack.base_port, data=tmp_path / "other", cache=beside.stack.cache)
    )
    message = intruder("up", "--only", "clickhouse", status=1)
    assert (
        f"port {beside.stack.ports['clickhouse_http']} (clickhouse_http) is taken by another program"
        in message
    )
    assert "CHISTA_BASE_PORT=" in message
    assert beside.state("clickhouse") == "healthy"


def test_an_unknown_service_is_refused(beside: Beside):
    assert "no service is called 'kafak'" in beside("kill", "kafak", status=1)


def test_a_service_that_is_down_cannot_be_killed(beside: Beside):
    assert "kafka is not running" in beside("kill", "kafka", status=1)
