"""A real connector for each engine, registered, streaming, failing and removed by the provider's own client."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest

from airflow_provider_chista.debezium.config import notification_topic, topic_name
from airflow_provider_chista.debezium.connect import AsyncKafkaConnectClient, KafkaConnectClient
from airflow_provider_chista.debezium.notifications import SnapshotLog, TableSnapshot
from airflow_provider_chista.debezium.offsets import incremental_snapshot_tables, reached, snapshot_running
from airflow_provider_chista.errors import FatalError
from airflow_provider_chista.model import TableId
from tests.integration.support import services
from tests.integration.support.engines import Connector, connector, wait_for

pytestmark = pytest.mark.integration

TABLES = {
    "people": "CREATE TABLE {schema}.people (id INT PRIMARY KEY, name VARCHAR(255) NULL)",
    "nobody": "CREATE TABLE {schema}.nobody (id INT PRIMARY KEY)",
}
NAMES = ["plain", None, 'it\'s "quoted", null', "emoji \U0001f600\nnew line"]


@pytest.fixture(scope="module", params=["mysql", "mariadb", "postgres"])
def running(request: pytest.FixtureRequest) -> Iterator[Connector]:
    with connector(request.param, TABLES) as made:
        made.engine.execute(f"INSERT INTO {made.schema}.people VALUES (%s, %s)", many=list(enumerate(NAMES)))
        made.register()
        wait_for(lambda: made.connect.status(made.name).running)
        wait_for(lambda: (offset := made.connect.offsets(made.name)) and not snapshot_running(offset))
        yield made


def events(made: Connector, topic: str, count: int, seconds: float = 30) -> list[dict]:
    """The first records with a value of a topic, once it has that many."""
    kafka, deadline = services.kafka(), time.monotonic() + seconds
    while True:
        found = []
        if topic in kafka.admin().list_topics(timeout=10).topics:
            state = kafka.describe(topic)
            ranges = {p: (state.lows[p], end) for p, end in state.ends.items()}
            found = [json.loads(r.value) for records in kafka.read(topic, ranges) for r in records if r.value]
        if len(found) >= count:
            return found
        assert time.monotonic() < deadline, f"{len(found)} of {count} records in {topic}"
        time.sleep(0.2)


def snapshot_of(made: Connector, name: str, signal_id: str | None = None) -> TableSnapshot:
    log = SnapshotLog()
    for value in events(made, notification_topic(made.name), 1):
        log.add(json.dumps(value))
    return log.table(TableId(made.schema, name), signal_id)


def test_rows_from_before_and_after_the_connector_arrive_exactly(running):
    topic = topic_name(running.name, TableId(running.schema, "people"))
    running.engine.execute(f"INSERT INTO {running.schema}.people VALUES (99999, 'late')")
    found = events(running, topic, len(NAMES) + 1)
    snapshot, stream = found[: len(NAMES)], found[len(NAMES) :]
    assert [event["after"] for event in snapshot] == [{"id": n, "name": name} for n, name in enumerate(NAMES)]
    assert {event["op"] for event in snapshot} == {"r"}
    assert [(event["op"], event["after"]) for event in stream] == [("c", {"id": 99999, "name": "late"})]


def test_notifications_tell_when_the_initial_snapshot_is_complete(running):
    wait_for(lambda: snapshot_of(running, "people").state == "completed")
    assert snapshot_of(running, "people").rows == len(NAMES)
    assert snapshot_of(running, "nobody").explain() == "completed, 0 rows"


def test_rest_shows_the_reference_and_never_the_password(running):
    password = services.stack().secrets[f"CHISTA_{running.engine.flavour.upper()}_CAPTURE_PASSWORD"]
    http = running.connect._http
    bodies = [
        http.get(f"/connectors/{running.name}{path}").text
        for path in ("", "/config", "/tasks", "/status", "/offsets", "/tasks-config")
    ]
    config = running.spec().config()
    bodies.append(
        http.put(f"/connector-plugins/{running.spec().connector_class}/config/validate", json=config).text
    )
    assert not [body for body in bodies if password in body]
    assert running.connect.config(running.name)["database.password"] == config["database.password"]


def test_the_offset_passes_a_position_on_an_otherwise_idle_source(running):
    wait_for(lambda: snapshot_of(running, "people").state == "completed")
    flavour, connect = running.engine.flavour, running.connect
    with running.engine.source() as source:
        running.engine.execute(f"UPDATE {running.schema}.people SET name = 'again' WHERE id = 1")
        position = source.position()
    wait_for(lambda: reached(flavour, connect.offsets(running.name) or {}, position), seconds=20)
    # The offset was committed after the change was acknowledged: it must be in the topic now, without waiting.
    found = events(
        running, topic_name(running.name, TableId(running.schema, "people")), len(NAMES) + 1, seconds=0
    )
    assert {"id": 1, "name": "again"} in [event["after"] for event in found]


def test_an_incremental_snapshot_is_asked_for_by_signal(running):
    signal_id = f"signal-{services.token()}"
    with running.engine.source() as source:
        tables = [TableId(running.schema, name) for name in TABLES]
        source.request_snapshot(signal_id, tables)
    wait_for(lambda: snapshot_of(running, "nobody", signal_id).state == "completed")
    assert snapshot_of(running, "nobody", signal_id).explain() == "completed, 0 rows"
    assert snapshot_of(running, "people", signal_id).rows >= len(NAMES)
    wait_for(lambda: not incremental_snapshot_tables(running.connect.offsets(running.name)))


def test_a_signal_for_a_table_that_is_not_captured_fails_by_name(running):
    signal_id = f"signal-{services.token()}"
    with running.engine.source() as source:
        source.request_snapshot(signal_id, [TableId(running.schema, "missing")])
    state = wait_for(
        lambda: found if (found := snapshot_of(running, "missing", signal_id)).state == "failed" else None
    )
    assert "check" in state.explain()


def test_the_same_configuration_is_stored_once(running):
    assert running.connect.put_config(running.name, running.spec().config()) is False
    assert running.connect.status(running.name).running


async def test_the_asynchronous_client_sees_the_same(running):
    async with AsyncKafkaConnectClient(running.connect.url) as connect:
        assert (await connect.status(running.name)).running
        assert await connect.config(running.name) == running.connect.config(running.name)
        assert (await connect.info())["version"] == running.connect.info()["version"]


def test_control_topics_have_one_partition_and_data_topics_what_was_asked():
    with connector("postgres", TABLES) as made:
        made.engine.execute(f"INSERT INTO {made.schema}.people VALUES (1, 'x')")
        made.register(partitions=3)
        events(made, topic_name(made.name, TableId(made.schema, "people")), 1)
        events(made, f"{made.name}.chista.heartbeat", 1)
        topics = services.kafka().admin().list_topics(timeout=10).topics
        counts = {name: len(topics[name].partitions) for name in topics if name.startswith(made.name)}
    assert counts.pop(f"{made.name}.{made.schema}.people") == 3
    assert set(counts.values()) == {1}


@pytest.mark.parametrize("flavour", ["mysql", "mariadb", "postgres"])
@pytest.mark.parametrize(
    ("change", "property_name"),
    [
        ({"user": "nobody_here"}, "database.hostname"),
        ({"port": 1}, "database.hostname"),
        ({"overrides": {"snapshot.mode": "sometimes"}}, "snapshot.mode"),
    ],
    ids=["unknown user", "nothing listens", "no such value"],
)
def test_what_the_worker_finds_wrong_is_passed_on(flavour, change, property_name):
    with connector(flavour, {"people": TABLES["people"]}) as made:
        spec = made.spec(password="a-literal-secret", **change)
        found = dict(made.connect.validate(spec.connector_class, spec.config()))
        assert property_name in found
        assert "a-literal-secret" not in str(found)
        with pytest.raises(FatalError, match="Connector configuration is invalid") as error:
            made.connect.put_config(made.name, spec.config())
        assert "a-literal-secret" not in str(error.value)
        assert made.connect.config(made.name) is None


@pytest.mark.parametrize(
    ("flavour", "change", "cause"),
    [
        ("postgres", {"publication": "no_such"}, "Publication autocreation is disabled, please create one"),
        (
            "mysql",
            {"overrides": {"snapshot.mode": "recovery"}},
            "Could not find existing redo log information",
        ),
        (
            "mariadb",
            {"overrides": {"snapshot.mode": "recovery"}},
            "Could not find existing redo log information",
        ),
    ],
)
def test_a_failed_task_is_explained_and_runs_after_the_cause_is_mended(flavour, change, cause):
    with connector(flavour, {"people": TABLES["people"]}) as made:
        config = made.spec(**change).config()
        made.connect.put_config(made.name, config)
        status = wait_for(
            lambda: found if (found := made.connect.status(made.name)).failed else None, seconds=60
        )
        explained = status.explain()
        assert "task 0 is FAILED (" in explained
        assert cause in explained
        assert "\tat " not in explained
        made.connect.put_config(made.name, made.spec().config())
        made.connect.restart(made.name)
        wait_for(lambda: made.connect.status(made.name).running)


def test_a_connector_is_paused_resumed_stopped_and_forgotten():
    with connector("postgres", {"people": TABLES["people"]}) as made:
        connect, name = made.connect, made.name
        made.register()
        wait_for(lambda: connect.offsets(name))
        connect.pause(name)
        wait_for(lambda: connect.status(name).state == "PAUSED")
        connect.resume(name)
        wait_for(lambda: connect.status(name).running)
        with pytest.raises(FatalError, match="STOPPED"):
            connect.delete_offsets(name)
        connect.stop(name)
        wait_for(lambda: connect.status(name).state == "STOPPED" and not connect.status(name).tasks)
        connect.delete_offsets(name)
        assert connect.offsets(name) is None
        assert connect.delete(name) is True
        wait_for(lambda: connect.config(name) is None)
        assert connect.delete(name) is False


def test_a_missing_connector_class_is_named_at_once():
    with KafkaConnectClient(services.stack().connect_url) as connect:
        assert connect.plugins()["io.debezium.connector.mysql.MySqlConnector"] == "3.5.0.Final"
        begun = time.monotonic()
        with pytest.raises(FatalError, match=r"io\.debezium\.Nope"):
            connect.validate("io.debezium.Nope", {"name": "x"})
        assert time.monotonic() - begun < 5
