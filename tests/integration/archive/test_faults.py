"""ClickHouse and Kafka paused, killed and started again under a running drain: it goes on by itself, or fails so that the
next run goes on; either way every row is there, and none twice."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from airflow_provider_chista.archive.report import DrainLimits
from airflow_provider_chista.clickhouse import ddl, sql
from airflow_provider_chista.clickhouse.control import Control
from airflow_provider_chista.errors import FatalError, TransientError
from stack.settings import Stack
from tests.integration.archive.conftest import Store
from tests.integration.support import services
from tests.integration.support.brokers import PrivateBroker, broker
from tests.integration.support.clickhouses import PrivateServer, single
from tests.integration.support.engines import wait_for
from tests.integration.support.streams import Stream, names

ROWS = 3_000
LIMITS = DrainLimits(batch_rows=50)
SLOWLY_FETCHED = {
    "queued.min.messages": 1,
    "message.max.bytes": 1000,
    "fetch.max.bytes": 4000,
    "max.partition.fetch.bytes": 4000,
}
"""Consumer settings with which most records are still in Kafka while a drain runs."""

PREFIX = f"it_{services.token()}"

Service = PrivateServer | PrivateBroker


@pytest.fixture(scope="module")
def server(stack_env: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateServer]:
    with single(Stack.from_environment(), tmp_path_factory.mktemp("clickhouse")) as made:
        yield made
    services.delete_topics(PREFIX)


@pytest.fixture(scope="module")
def private_kafka(
    stack_env: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[PrivateBroker]:
    with broker(tmp_path_factory.mktemp("kafka")) as made:
        yield made


def stream_on(server: PrivateServer, timeout: float) -> Stream:
    """A stream into the private server, whose answers are waited for so many seconds; its topic ends with the module."""
    client = server.client(timeout=timeout)
    database, control = f"archive_{services.token()}", Control(client, f"chista_{services.token()}")
    client.command(f"CREATE DATABASE {database}")
    control.ensure()
    return Stream(client, control, database, prefix=f"{PREFIX}_{services.token()}", limits=LIMITS)


def pause(service: Service, seconds: float) -> None:
    assert service.process
    os.kill(service.process.pid, signal.SIGSTOP)
    time.sleep(seconds)
    os.kill(service.process.pid, signal.SIGCONT)


def restart(service: Service, seconds: float) -> None:
    service.kill()
    time.sleep(seconds)
    service.start()


def drain_through(made: Stream, fault: Callable[[], Any], **changed: Any) -> dict[str, Any]:
    """Drain while a fault comes and goes, from a moment behind the first batch on."""
    begun = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        drain = pool.submit(made.drain, progress=lambda report: begun.set(), **changed)
        assert begun.wait(30)
        time.sleep(random.random() * 0.05)
        assert 0 < made.positions()[0] < ROWS
        fault()
        return drain.result()


def require_whole(made: Stream) -> None:
    assert made.positions() == {0: ROWS}
    assert made.shown() == {number: f"n{number}" for number in range(ROWS)}
    assert made.stored() == ROWS


@pytest.mark.parametrize(
    ("fault", "seconds", "timeout"),
    [(pause, 20, 4), (pause, 2, 60), (restart, 0.5, 60)],
    ids=["paused for 20 s, beyond timeouts", "paused within the timeout", "killed and started again"],
)
def test_a_drain_goes_on_when_clickhouse_was(
    server: PrivateServer, fault: Callable[[Service, float], None], seconds: float, timeout: float
) -> None:
    made = stream_on(server, timeout).create()
    made.send(*names(ROWS))
    summary = drain_through(made, lambda: fault(server, seconds))
    assert (summary["records"], summary["remaining"]) == (ROWS, 0)
    require_whole(made)


def require_rest(made: Stream) -> None:
    """A part was drained, and the next run drains the rest."""
    before = made.positions()[0]
    assert 0 < before < ROWS
    assert made.drain()["records"] == ROWS - before
    require_whole(made)


def test_a_drain_fails_when_clickhouse_stays_away_and_the_next_one_ends_it(server: PrivateServer) -> None:
    made = stream_on(server, 60).create()
    made.send(*names(ROWS))
    with pytest.raises(TransientError, match="ClickHouse did not answer"):
        drain_through(made, server.kill, limits=DrainLimits(batch_rows=50, patience=1))
    server.start()
    require_rest(made)


def starved(server: PrivateServer) -> Stream:
    """A stream into a table that refuses a fourth part, without merges."""
    made = stream_on(server, 60).create()
    made.send(*names(ROWS))
    made.client.command(
        f"ALTER TABLE {sql.table(made.target)} MODIFY SETTING parts_to_delay_insert = 1, parts_to_throw_insert = 3"
    )
    made.client.command(f"SYSTEM STOP MERGES {sql.table(made.target)}")
    return made


def merge(made: Stream) -> None:
    made.client.command(f"SYSTEM START MERGES {sql.table(made.target)}")
    made.client.command(f"OPTIMIZE TABLE {sql.table(made.target)} FINAL")
    made.client.command(f"ALTER TABLE {sql.table(made.target)} RESET SETTING parts_to_throw_insert")


def test_a_drain_waits_for_merges_when_there_are_too_many_parts(server: PrivateServer) -> None:
    made = starved(server)

    def merge_late() -> None:
        wait_for(lambda: made.positions()[0] >= 3 * 500)
        time.sleep(1)
        assert made.positions()[0] < ROWS
        merge(made)

    assert drain_through(made, merge_late, limits=DrainLimits(batch_rows=500))["remaining"] == 0
    require_whole(made)


def test_a_drain_fails_when_there_are_no_merges_and_the_next_one_ends_it(server: PrivateServer) -> None:
    made = starved(server)
    with pytest.raises(TransientError, match=r"merges are behind, code 252"):
        made.drain(limits=DrainLimits(batch_rows=500, patience=1))
    assert 0 < made.positions()[0] < ROWS
    merge(made)
    made.drain(limits=DrainLimits(batch_rows=500))
    require_whole(made)


def test_a_batch_of_more_partitions_than_an_insert_may_have_goes_in_halves_once(
    server: PrivateServer,
) -> None:
    made = stream_on(server, 60).create()
    made.client.command(f"DROP TABLE {sql.table(made.target)} SYNC")
    statement = ddl.create_statement(made.types, made.table, made.target)
    made.client.command(statement.replace("\nORDER BY", "\nPARTITION BY id ORDER BY"))
    # Each partition's part is a block of its own that the table has to remember.
    made.client.command(
        f"ALTER TABLE {sql.table(made.target)} MODIFY SETTING non_replicated_deduplication_window = 2000"
    )
    made.send(*names(1_100))
    for _ in range(2):
        assert made.drain(limits=DrainLimits(batch_rows=1_100))["records"] == 1_100
        assert made.stored() == len(made.shown()) == 1_100
        made.client.command(f"TRUNCATE TABLE {made.control.name('positions')}")


@pytest.fixture
def on_broker(private_kafka: PrivateBroker, store: Store, monkeypatch: pytest.MonkeyPatch) -> Stream:
    """A stream on the private broker, most of which waits in Kafka while it is drained."""
    monkeypatch.setattr(services, "bootstrap", lambda: private_kafka.bootstrap)
    made = Stream(store.client, store.control, store.database, limits=LIMITS).create()
    made.send(*names(ROWS))
    made.kafka = services.kafka(SLOWLY_FETCHED)
    return made


@pytest.mark.parametrize(
    ("fault", "seconds"), [(pause, 5), (restart, 0)], ids=["paused", "killed and started again"]
)
def test_a_drain_goes_on_when_kafka_was(
    on_broker: Stream, private_kafka: PrivateBroker, fault: Callable[[Service, float], None], seconds: float
) -> None:
    summary = drain_through(on_broker, lambda: fault(private_kafka, seconds))
    assert (summary["records"], summary["remaining"]) == (ROWS, 0)
    require_whole(on_broker)


def test_a_drain_fails_when_kafka_stays_away_and_the_next_one_ends_it(
    on_broker: Stream, private_kafka: PrivateBroker
) -> None:
    with pytest.raises(TransientError, match=r"Kafka (could not finish|sent nothing)"):
        drain_through(on_broker, private_kafka.kill, limits=DrainLimits(batch_rows=50, patience=1))
    private_kafka.start()
    require_rest(on_broker)


def test_another_cluster_behind_the_same_name_is_refused(
    stream: Callable[..., Stream], private_kafka: PrivateBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = stream().create()
    made.send(*names(10))
    made.drain()
    monkeypatch.setattr(services, "bootstrap", lambda: private_kafka.bootstrap)
    made.kafka = services.kafka()
    made.create()
    made.send(*names(20, 100))
    with pytest.raises(FatalError, match="this is one of cluster"):
        made.drain()
    assert made.stored() == 10
    monkeypatch.undo()
