"""A drain from a broker with SASL and TLS into a ClickHouse behind TLS, all by Airflow connections."""

from __future__ import annotations

from collections.abc import Callable

from airflow_provider_chista.archive.topic import Kafka
from airflow_provider_chista.clickhouse.control import Control
from airflow_provider_chista.hooks.clickhouse import ChistaClickHouseHook
from tests.integration.security.authority import Authority
from tests.integration.security.conftest import PREFIX, Define
from tests.integration.security.servers import SecuredKafka
from tests.integration.support import services, streams

ROWS = 400


def test_a_user_with_the_least_rights_drains_a_topic_row_by_row(
    secured_kafka: SecuredKafka,
    kafka_as: Callable[..., Kafka],
    clickhouse_port: int,
    authority: Authority,
    define: Define,
    told: Callable[[], str],
) -> None:
    known = services.connection("clickhouse_default")
    extra = {"secure": True, "client_kwargs": {"ca_cert": str(authority.ca)}}
    client = ChistaClickHouseHook(define(**{**known, "port": clickhouse_port, "extra": extra})).get_client()
    with services.databases(client) as (database, control):
        stream = streams.Stream(
            client, Control(client, control.database), database, f"{PREFIX}.drain", "drained"
        )
        secured_kafka.create_topic(stream.topic)
        secured_kafka.send(
            stream.topic, [(streams.key(number), value) for number, value in enumerate(streams.names(ROWS))]
        )
        summary = stream.drain(kafka=kafka_as("airflow"))
        # The mirror of the positions in the consumer group too: a note about it would stand here.
        assert summary["ended"] == "reached the end offsets"
        assert summary["op_c"] == ROWS
        day = "dateDiff('day', toDate32('1970-01-01'), day)"
        rows = client.query(f"SELECT id, name, {day} FROM {database}.drained FINAL ORDER BY id").result_rows
        assert rows == [(number, f"n{number}", number) for number in range(ROWS)]
    client.close()
    everything = told()
    assert secured_kafka.users["airflow"] not in everything
    assert known["password"] not in everything
