from __future__ import annotations

import socket
import time

import pytest

from airflow_provider_chista.debezium.connect import (
    AsyncKafkaConnectClient,
    ConnectorStatus,
    KafkaConnectClient,
    NotFoundError,
    Policy,
    TaskStatus,
)
from airflow_provider_chista.errors import FatalError, TransientError

QUICK = Policy(timeout=2, patience=0.6, startup=0.4, first_pause=0.02, longest_pause=0.1)
RUNNING = {
    "name": "shop",
    "connector": {"state": "RUNNING", "worker_id": "10.0.0.1:8083"},
    "tasks": [{"id": 0, "state": "RUNNING", "worker_id": "10.0.0.1:8083"}],
}
REBALANCE = "Cannot complete request momentarily due to stale configuration (typically caused by a concurrent config change)"


@pytest.fixture
def client(worker):
    with KafkaConnectClient(worker.url, policy=QUICK) as client:
        yield client


@pytest.mark.parametrize(
    ("passing", "why"),
    [
        ((409, {"error_code": 409, "message": REBALANCE}), "a rebalance"),
        ((500, {"error_code": 500, "message": "Request timed out"}), "the leader is busy"),
        ((503, "starting"), "a proxy in front of it"),
        ((429, "slow down"), "a gateway's limit"),
        (
            (404, {"error_code": 404, "message": "HTTP 404 Not Found"}),
            "the port is open, the resources are not",
        ),
        ((404, "<html>Not Found</html>"), "the port is open, the resources are not"),
        ((0, None), "the connection breaks off"),
    ],
    ids=lambda value: value if isinstance(value, str) else str(value[0]),
)
def test_what_passes_by_itself_is_asked_again(worker, client, passing, why):
    worker.answer(passing, passing, (200, RUNNING))
    assert client.status("shop").running
    assert len(worker.asked) == 3


def test_a_rebalance_without_end_is_transient_and_says_what_the_worker_said(worker, client):
    worker.answer(worker.error(409, REBALANCE))
    with pytest.raises(
        TransientError, match=r"GET /connectors/shop/status not done after .* answered 409: Cannot complete"
    ):
        client.status("shop")
    assert len(worker.asked) > 3


def test_a_worker_that_is_down_is_transient_and_named():
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
        with (
            KafkaConnectClient(url, policy=QUICK) as client,
            pytest.raises(TransientError, match=rf"{url}.*no answer"),
        ):
            client.info()


def test_a_worker_that_does_not_answer_in_time_is_transient():
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        policy = Policy(timeout=0.1, patience=0.3, first_pause=0.02)
        with (
            KafkaConnectClient(f"http://127.0.0.1:{silent.getsockname()[1]}", policy=policy) as client,
            pytest.raises(TransientError, match="timed out"),
        ):
            client.info()


def test_something_else_on_the_port_is_fatal_after_the_startup_time(worker, client):
    worker.answer((404, "<html>nginx</html>"))
    begun = time.monotonic()
    with pytest.raises(FatalError, match="check that the URL is that of a Kafka Connect worker"):
        client.connectors()
    assert time.monotonic() - begun < QUICK.patience


def test_an_answer_that_is_no_json_is_fatal(worker, client):
    worker.answer((200, "<html>welcome</html>"))
    with pytest.raises(FatalError, match="does not answer as Kafka Connect does"):
        client.info()


@pytest.mark.parametrize(
    ("status", "hint"),
    [(400, "Connector configuration is invalid"), (401, "check user and password"), (403, "lacks the right")],
)
def test_what_a_retry_cannot_mend_is_fatal_at_once(worker, client, status, hint):
    worker.answer(
        worker.error(status, "Connector configuration is invalid and contains the following 1 error(s)")
    )
    with pytest.raises(FatalError, match=hint):
        client.restart("shop")
    assert len(worker.asked) == 1


def test_a_missing_connector_class_is_fatal_at_once_though_connect_answers_500(worker, client):
    text = (
        "org.apache.kafka.connect.runtime.rest.errors.BadRequestException: Failed to find any class that implements "
        "Connector and which name matches a.B, available connectors are: PluginDesc{klass=class x.Y}"
    )
    worker.answer(worker.error(500, text))
    with pytest.raises(FatalError, match=r"which name matches a.B$"):
        client.validate("a.B", {})
    assert len(worker.asked) == 1


def test_validation_gives_each_property_and_what_is_wrong_with_it(worker, client):
    value = {
        "name": "poll.interval.ms",
        "value": "x",
        "errors": ["A long value is expected", "A positive value"],
    }
    good = {"name": "topic.prefix", "value": "shop", "errors": []}
    worker.answer((200, {"name": "p", "error_count": 2, "configs": [{"value": good}, {"value": value}]}))
    assert client.validate("io.x.C", {"poll.interval.ms": "x"}) == [
        ("poll.interval.ms", "A long value is expected"),
        ("poll.interval.ms", "A positive value"),
    ]
    assert worker.asked == [
        (
            "PUT",
            "/connector-plugins/io.x.C/config/validate",
            {"connector.class": "io.x.C", "poll.interval.ms": "x"},
        )
    ]


def test_a_literal_password_is_cut_out_of_the_workers_message(worker, client):
    worker.answer(worker.error(400, "cannot log in with s3cr3t-password at db:3306"))
    with pytest.raises(FatalError) as error:
        client.validate("io.x.C", {"database.password": "s3cr3t-password"})
    assert "s3cr3t" not in str(error.value)
    assert "log in with *** at db:3306" in str(error.value)


def test_a_configuration_that_is_stored_already_is_not_sent_again(worker, client):
    worker.answer((200, {"name": "shop", "tasks.max": "1"}))
    assert client.put_config("shop", {"tasks.max": "1"}) is False
    assert [method for method, _, _ in worker.asked] == ["GET"]


def test_a_new_configuration_is_sent_with_the_connectors_name(worker, client):
    worker.answer(worker.error(404, "Connector shop not found"), (201, {"name": "shop"}))
    assert client.put_config("shop", {"tasks.max": "1"}) is True
    assert worker.asked[-1] == ("PUT", "/connectors/shop/config", {"tasks.max": "1", "name": "shop"})


def test_a_connector_just_stored_has_no_status_yet_and_counts_as_unassigned(worker, client):
    worker.answer(worker.error(404, "No status found for connector shop"), (200, {"name": "shop"}))
    status = client.status("shop")
    assert (status.state, status.running, status.failed) == ("UNASSIGNED", False, False)


def test_a_connector_that_does_not_exist_is_named(worker, client):
    worker.answer(worker.error(404, "Connector shop not found"))
    with pytest.raises(NotFoundError, match="Connector shop not found"):
        client.status("shop")
    assert client.config("shop") is None
    assert client.delete("shop") is False


@pytest.mark.parametrize(
    ("answer", "offset"),
    [
        ([], None),
        ([{"partition": {"server": "shop"}, "offset": {}}], None),
        ([{"partition": {"server": "shop"}, "offset": {"lsn": 7}}], {"lsn": 7}),
        (
            [
                {"partition": {"server": "old"}, "offset": {"lsn": 1}},
                {"partition": {"server": "shop"}, "offset": {"lsn": 7}},
            ],
            {"lsn": 7},
        ),
    ],
    ids=["nothing committed", "only notifications so far", "one", "topic prefix was once another"],
)
def test_the_offset_is_that_of_the_topic_prefix(worker, client, answer, offset):
    worker.answer((200, {"offsets": answer}))
    assert client.offsets("shop", "shop") == offset


def test_offsets_of_several_prefixes_are_refused_without_a_prefix(worker, client):
    offsets = [{"partition": {"server": name}, "offset": {"lsn": 1}} for name in ("old", "shop")]
    worker.answer((200, {"offsets": offsets}))
    with pytest.raises(FatalError, match="several topic prefixes"):
        client.offsets("shop")


def test_a_name_is_quoted_and_credentials_are_sent(worker):
    worker.answer((202, None))
    with KafkaConnectClient(worker.url + "/", user="ann", password="secret-word", policy=QUICK) as client:
        client.restart("a/b c?", only_failed=True)
    assert worker.asked == [
        ("POST", "/connectors/a%2Fb%20c%3F/restart?includeTasks=true&onlyFailed=true", None)
    ]
    assert worker.headers[0]["Authorization"].startswith("Basic ")


def test_a_status_is_explained_by_its_causes_without_stack_frames():
    trace = """org.apache.kafka.connect.errors.ConnectException: An exception occurred in the change event producer.
\tat io.debezium.pipeline.ErrorHandler.setProducerThrowable(ErrorHandler.java:67)
Caused by: io.debezium.DebeziumException: Error while deserializing binlog data of date
\tat io.debezium.connector.binlog.X.handle(X.java:1)
\t... 7 more
Caused by: java.time.DateTimeException: Invalid date 'FEBRUARY 30'
\tat java.base/java.time.LocalDate.create(LocalDate.java:462)
"""
    status = ConnectorStatus("shop", "RUNNING", "w", (TaskStatus(0, "FAILED", "w", trace),))
    assert status.failed
    assert not status.running
    assert status.explain() == (
        "connector shop is RUNNING; task 0 is FAILED (org.apache.kafka.connect.errors.ConnectException: An exception "
        "occurred in the change event producer. <- io.debezium.DebeziumException: Error while deserializing binlog data of "
        "date <- java.time.DateTimeException: Invalid date 'FEBRUARY 30')"
    )


def test_a_connector_without_tasks_does_not_run():
    assert not ConnectorStatus("shop", "RUNNING", "w", ()).running


async def test_the_asynchronous_client_decides_alike(worker):
    async with AsyncKafkaConnectClient(worker.url, policy=QUICK) as client:
        worker.answer(worker.error(409, REBALANCE), (200, RUNNING))
        assert (await client.status("shop")).running
        worker.answer(worker.error(409, REBALANCE))
        with pytest.raises(TransientError, match="stale configuration"):
            await client.restart("shop")
        worker.answer(worker.error(404, "Connector shop not found"))
        assert await client.config("shop") is None
        worker.answer(worker.error(403, "no"))
        with pytest.raises(FatalError, match="lacks the right"):
            await client.offsets("shop")
        worker.answer((200, {"version": "4.3.1"}))
        assert (await client.info())["version"] == "4.3.1"


@pytest.mark.parametrize("url", ["ftp://connect:21", "connect:8083", "http://[::1"])
def test_an_unusable_url_is_fatal(url):
    with pytest.raises(FatalError, match="not the address of a Kafka Connect worker"):
        KafkaConnectClient(url, policy=QUICK)
