"""Load and replication lag as real servers tell them, with real sessions, real replicas, and users who may not see them."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_chista.archive.factors import SourceFactors
from airflow_provider_chista.archive.throttle import ThrottleOptions
from airflow_provider_chista.errors import FatalError
from airflow_provider_chista.sources import Source
from tests.integration.sources.conftest import Server, ThrowAway, program
from tests.integration.support.ports import free_port

BUSY = 4
Standby = tuple[Server, Server, subprocess.Popen[bytes]]


def wait_for(condition: Callable[[], Any], seconds: float = 20.0) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"not true within {seconds} seconds"
        time.sleep(0.1)
    return found


@contextmanager
def busy(server: Server, sessions: int, seconds: float) -> Iterator[None]:
    """Sessions that each run one statement for some seconds."""
    statement = f"SELECT {'pg_sleep' if server.flavour == 'postgres' else 'SLEEP'}({seconds})"
    threads = [threading.Thread(target=server.execute, args=(statement,)) for _ in range(sessions)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        for thread in threads:
            thread.join()


def test_sessions_that_run_a_statement_are_counted_until_they_end(schema: Any) -> None:
    with schema.source("verify") as source:
        before = min(source.running() for _ in range(5))
        with busy(schema.server, BUSY, 3):
            assert wait_for(lambda: source.running() >= before + BUSY, 2.5)
        wait_for(lambda: source.running() < before + BUSY)


def test_an_own_session_an_idle_one_and_a_walsender_are_no_load(throw_away: ThrowAway) -> None:
    server = throw_away.shared("postgres", "-c", "wal_level=logical")
    with logical_walsender(server), server.source() as source, closing(server.connect()) as idle:
        idle.execute("SELECT 1")
        assert source.running() == 0
        with busy(server, BUSY, 2):
            wait_for(lambda: source.running() == BUSY, 1.5)
        assert source.running() == 0


@pytest.fixture
def nobody(schema: Any) -> Iterator[str]:
    """A user that may only log in."""
    name = f"it_{uuid.uuid4().hex[:12]}"
    role = schema.flavour == "postgres"
    user = name if role else f"'{name}'@'%'"
    schema.server.execute(
        f"CREATE ROLE {name} LOGIN PASSWORD 'pw'" if role else f"CREATE USER {user} IDENTIFIED BY 'pw'"
    )
    yield name
    schema.server.execute(f"DROP {'ROLE' if role else 'USER'} {user}")


NEEDED = {
    "mysql": ("behind_findings", "REPLICATION CLIENT"),
    "mariadb": ("behind_findings", "SLAVE MONITOR"),
    "postgres": ("load_findings", "pg_read_all_stats"),
}


def test_a_missing_right_is_found_with_the_grant_that_mends_it(schema: Any, nobody: str) -> None:
    method, right = NEEDED[schema.flavour]

    def findings(which: str) -> Any:
        with schema.server.source(nobody, "pw") as source:
            return getattr(source, which)()

    (finding,) = findings(method)
    assert (finding.check, finding.severity) == ("throttle", "purge")
    assert nobody in finding.subject
    assert finding.remedy.startswith(f"GRANT {right} ")
    if schema.flavour == "postgres":
        assert [each.remedy for each in findings("standby_findings")] == [finding.remedy]
        assert findings("behind_findings") == []
    else:
        assert findings("load_findings") == findings("standby_findings") == []
    schema.server.execute(finding.remedy)
    assert [findings(each) for each in ("load_findings", "standby_findings", "behind_findings")] == [[]] * 3


def test_without_the_right_sessions_of_others_would_go_unseen(schema: Any, nobody: str) -> None:
    """Why the right is asked for: PostgreSQL answers, but wrongly."""
    if schema.flavour != "postgres":
        pytest.skip("of PostgreSQL")
    with schema.server.source(nobody, "pw") as source, busy(schema.server, BUSY, 2):
        time.sleep(1)
        assert source.running() == 0


def test_the_stacks_verify_user_may_see_everything(schema: Any) -> None:
    with schema.source("verify") as source:
        assert source.load_findings() == source.standby_findings() == source.behind_findings() == []


def test_a_server_that_is_no_replica_says_so(schema: Any) -> None:
    with schema.source("verify") as source, pytest.raises(FatalError) as caught:
        source.behind()
    assert "is no replica" in str(caught.value)
    assert "lag_conn_ids" in str(caught.value)
    assert "chista_verify" in str(caught.value)


# Real replicas.


def max_lag(factors: SourceFactors, seconds: float) -> Callable[[], str | None]:
    """What a purge with this ``max_lag`` asks before a transaction."""
    options = ThrottleOptions(max_lag=seconds)
    assert list(factors.findings(options)) == []
    (factor,) = factors.factors(options)
    return factor.check


@contextmanager
def logical_walsender(server: Server) -> Iterator[None]:
    """A stream of a logical slot, as Debezium has one."""
    slot = f"it_{uuid.uuid4().hex[:8]}"
    server.execute(f"SELECT pg_create_logical_replication_slot('{slot}', 'pgoutput')")
    address = ["-h", server.host, "-p", str(server.port), "-U", server.user, "-d", "postgres"]
    options = ["-o", "proto_version=1", "-o", "publication_names=none", "-f", os.devnull]
    stream = subprocess.Popen(
        [program("pg_recvlogical"), *address, "--slot", slot, "--start", *options],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        active = f"SELECT 1 FROM pg_replication_slots WHERE slot_name = '{slot}' AND active"
        wait_for(lambda: server.execute(active))
        yield
    finally:
        stream.terminate()
        stream.wait(10)
        wait_for(lambda: not server.execute(active))
        server.execute(f"SELECT pg_drop_replication_slot('{slot}')")


@pytest.fixture(scope="module")
def standby(throw_away: ThrowAway) -> Standby:
    """A primary of PostgreSQL and a standby that streams from it."""
    primary = throw_away.start("postgres", "-c", "wal_level=logical")
    place, port = throw_away.folder / f"standby-{uuid.uuid4().hex[:6]}", free_port()
    place.mkdir()
    account: dict[str, Any] = {}
    if os.geteuid() == 0:
        account = {"user": "postgres"}
        shutil.chown(place, "postgres")
    address = ["-h", primary.host, "-p", str(primary.port), "-U", primary.user]
    data = ["-D", str(place / "data")]
    subprocess.run(
        [program("pg_basebackup"), *address, *data, "-R", "-c", "fast"],
        check=True, capture_output=True, cwd=place, **account,
    )  # fmt: skip
    here = ["-p", str(port), "-k", str(place), "-c", "listen_addresses=127.0.0.1"]
    log = (place / "server.log").open("wb")
    throw_away.running.append(
        subprocess.Popen([program("postgres"), *data, *here], stdout=log, stderr=log, cwd=place, **account)
    )
    replica = Server("postgres", "127.0.0.1", port, primary.user, "")
    wait_for(lambda: primary.execute("SELECT 1 FROM pg_stat_replication WHERE state = 'streaming'"), 40)
    return primary, replica, throw_away.running[-1]


def only(source: Source) -> float:
    lags = source.standby_lags()
    assert lags is not None
    assert list(lags) == ["walreceiver@127.0.0.1"]
    return lags["walreceiver@127.0.0.1"]


def test_a_standby_has_a_lag_that_grows_while_it_does_not_replay(standby: Standby) -> None:
    primary, replica, _ = standby
    primary.execute("CREATE TABLE IF NOT EXISTS lag (id INT)")
    with primary.source() as source, replica.source() as other:
        wait_for(lambda: only(source) < 1 and other.behind() == 0)
        replica.execute("SELECT pg_wal_replay_pause()")
        for _ in range(3):
            primary.execute("INSERT INTO lag SELECT generate_series(1, 100)")
            time.sleep(0.2)
        wait_for(lambda: only(source) > 2)
        assert "walreceiver@127.0.0.1 is " in str(max_lag(SourceFactors(source), 2)())
        assert max_lag(SourceFactors(source), 3600)() is None
        wait_for(lambda: (other.behind() or 0) > 2)
        replica.execute("SELECT pg_wal_replay_resume()")
        wait_for(lambda: only(source) < 1 and other.behind() == 0)


def test_logical_streams_and_a_copy_of_the_log_are_no_standbys(
    throw_away: ThrowAway, standby: Standby, tmp_path: Path
) -> None:
    """A subscription says how far it has come, as Debezium does; the programs of PostgreSQL do not."""
    primary, _, _ = standby
    subscriber = throw_away.shared("postgres", "-c", "wal_level=logical")
    address = ["-h", primary.host, "-p", str(primary.port), "-U", primary.user]
    primary.execute("CREATE PUBLICATION nothing")
    subscriber.execute(
        f"CREATE SUBSCRIPTION logical CONNECTION 'host={primary.host} port={primary.port} user={primary.user}"
        " dbname=postgres' PUBLICATION nothing WITH (copy_data = false)"
    )
    copy = subprocess.Popen(
        [program("pg_receivewal"), *address, "-D", str(tmp_path)],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        with logical_walsender(primary), primary.source() as source:
            told = "SELECT application_name FROM pg_stat_replication WHERE replay_lsn IS NOT NULL ORDER BY 1"
            wait_for(lambda: primary.execute("SELECT count(*) FROM pg_stat_replication") == [(4,)])
            wait_for(lambda: primary.execute(told) == [("logical",), ("walreceiver",)])
            only(source)
    finally:
        copy.terminate()
        copy.wait(10)
        subscriber.execute("DROP SUBSCRIPTION logical")


START = {
    "mysql": (
        "CHANGE REPLICATION SOURCE TO SOURCE_HOST='127.0.0.1', SOURCE_PORT={port}, SOURCE_USER='root', SOURCE_DELAY={delay},"
        " GET_SOURCE_PUBLIC_KEY=1",
        "START REPLICA",
        "STOP REPLICA",
    ),
    "mariadb": (
        "CHANGE MASTER TO MASTER_HOST='127.0.0.1', MASTER_PORT={port}, MASTER_USER='root', MASTER_DELAY={delay}",
        "START SLAVE",
        "STOP SLAVE",
    ),
}


@pytest.mark.parametrize("flavour", START)
def test_a_replica_has_a_lag_until_its_replication_is_stopped(flavour: str, throw_away: ThrowAway) -> None:
    """And a purge waits for what it says: too much, unknown, or nothing at all since the server is gone."""
    primary = throw_away.start(flavour, "--log-bin", "--server-id=11", "--binlog-format=ROW")
    replica = throw_away.start(flavour, "--server-id=12")
    change, start, stop = START[flavour]
    replica.execute(change.format(port=primary.port, delay=0), start)
    with primary.source() as first, replica.source() as source:
        reason = max_lag(SourceFactors(first, {"second": source}), 0.5)
        wait_for(lambda: source.behind() == 0)
        assert reason() is None
        replica.execute(stop)
        assert source.behind() is None
        assert reason() == "the lag of second is unknown"
        replica.execute(change.format(port=primary.port, delay=60), start)
        primary.execute("CREATE DATABASE lagging")
        wait_for(lambda: (source.behind() or 0) >= 1)
        assert str(reason()).endswith("s behind, more than 0.5 s")
        throw_away.running[-1].terminate()
        throw_away.running[-1].wait(30)
        assert reason() == "the lag of second is unknown"
    with primary.source() as source, pytest.raises(FatalError, match="is no replica"):
        source.behind()


def test_a_standby_that_streamed_when_the_run_began_is_missed_when_it_is_gone(standby: Standby) -> None:
    primary, _, process = standby
    with primary.source() as source:
        reason = max_lag(SourceFactors(source), 3600)
        assert reason() is None
        process.terminate()
        process.wait(30)
        wait_for(lambda: source.standby_lags() == {})
        assert reason() == "the lag of walreceiver@127.0.0.1 is unknown"
        (finding,) = SourceFactors(source).findings(ThrottleOptions(max_lag=3600))
        assert "no standby streams" in finding.found
