"""A drain from a broker with SASL and TLS into a ClickHouse behind TLS, all by Airflow connections."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from airflow_provider_chista.archive.topic import Kafka
from airflow_provider_chista.clickhouse.control import Control
from airflow_provider_chista.hooks.clickhouse import ChistaClickHouseHook
from tests.integration.security.authority import Authority
from tests.integration.security.conftest import PREFIX, Define
from tests.integration.security.servers import SecuredKafka
from tests.integration.support import services, streams

ROWS = 400


@pytest.fixture
def stream(
    secured_kafka: SecuredKafka, clickhouse_port: int, authority: Authority, define: Define
) -> Iterator[streams.Stream]:
    """A topic with rows on the secured broker, and its archive table in the secured ClickHouse."""
    known = services.connection("clickhouse_default")
    extra = {"secure": True, "client_kwargs": {"ca_cert": str(authority.ca)}}
    client = ChistaClickHouseHook(define(**{**known, "port": clickhouse_port, "extra": extra})).get_client()
    with closing(client), services.databases(client) as (database, control):
        made = streams.Stream(
            client, Control(client, control.database), database, f"{PREFIX}.{services.token()}", "t"
        )
        secured_kafka.create_topic(made.topic)
        values = streams.names(ROWS)
        secured_kafka.send(made.topic, [(streams.key(number), value) for number, value in enumerate(values)])
        yield made


def require_equal(stream: streams.Stream) -> None:
    """Every row is in the archive as it was sent."""
    day = "dateDiff('day', toDate32('1970-01-01'), day)"
    rows = stream.client.query(f"SELECT id, name, {day} FROM {stream.target} FINAL ORDER BY id").result_rows
    assert rows == [(number, f"n{number}", number) for number in range(ROWS)]


def test_a_user_with_the_least_rights_drains_a_topic_row_by_row(
    stream: streams.Stream,
    secured_kafka: SecuredKafka,
    kafka_as: Callable[..., Kafka],
    told: Callable[[], str],
) -> None:
    summary = stream.drain(kafka=kafka_as("airflow"))
    # The positions are in the consumer group too: otherwise it would be said here.
    assert summary["ended"] == "reached the end offsets"
    assert summary["op_c"] == ROWS
    require_equal(stream)
    everything = told()
    assert secured_kafka.users["airflow"] not in everything
    assert services.connection("clickhouse_default")["password"] not in everything


def test_a_user_who_may_not_write_positions_to_the_group_drains_all_the_same(
    stream: streams.Stream, kafka_as: Callable[..., Kafka]
) -> None:
    ended = stream.drain(kafka=kafka_as("unmirrored"))["ended"]
    assert ended.startswith("reached the end offsets")
    assert "could not be mirrored" in ended
    require_equal(stream)
