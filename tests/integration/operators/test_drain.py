"""The drain as a task: gaps, and a ClickHouse that goes away in the middle."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote_plus

import pytest
from airflow.sdk.exceptions import AirflowFailException
from confluent_kafka import TopicPartition

from airflow_provider_chista.clickhouse import sql
from airflow_provider_chista.errors import TransientError
from airflow_provider_chista.model import TableId
from airflow_provider_chista.operators.drain import DrainTopicOperator
from airflow_provider_chista.operators.table import CreateArchiveTableOperator
from tests.integration.operators.conftest import Place
from tests.integration.support import services
from tests.integration.support.engines import wait_for
from tests.integration.support.tasks import context, line

Give = Callable[..., str]


def event(number: int) -> bytes:
    row = {"id": number, "name": f"name {number}", "day": 19_000 + number % 1000}
    source = {"connector": "mysql", "ts_ms": 1_700_000_000_000, "snapshot": None, "gtid": "g:1"}
    return json.dumps({"before": None, "after": row, "source": source, "op": "c", "ts_ms": 1}).encode()


class Topic:
    """A topic of the table ``orders`` under a prefix of its own, filled by the test."""

    def __init__(self, place: Place) -> None:
        self.place, self.prefix = place, f"{place.schema}.{services.token()}"
        self.name = f"{self.prefix}.{place.orders['table']}"
        self.target = f"{place.database}.t_{services.token()}"
        services.create_topic(self.name)
        CreateArchiveTableOperator(
            task_id="create", tables={place.orders["table"]: self.target}, **place.systems
        ).execute(context())

    def send(self, numbers: range) -> None:
        producer = services.producer()
        for number in numbers:
            producer.produce(self.name, key=b'{"id":%d}' % number, value=event(number))
            producer.poll(0)
        assert producer.flush(30) == 0

    def task(self, **more: Any) -> DrainTopicOperator:
        known = {"table": self.place.orders["table"], "target": self.target, **self.place.systems}
        return DrainTopicOperator(
            task_id="drain", topic_prefix=self.prefix, delete_policy="mirror", **{**known, **more}
        )

    def rows(self) -> tuple[int, int]:
        """Distinct rows, and physical ones."""
        client = self.place.client
        found = client.query(f"SELECT uniqExact(id), count() FROM {self.target}").result_rows[0]
        return int(found[0]), int(found[1])


@pytest.fixture
def topic(place: Place) -> Topic:
    return Topic(place)


def test_records_that_retention_removed_stop_the_drain_with_the_numbers(topic: Topic) -> None:
    topic.send(range(100))
    assert topic.task(max_rows=40, batch_rows=20).execute(context())["records"] == 40
    admin = services.kafka().admin()
    for future in admin.delete_records([TopicPartition(topic.name, 0, 60)]).values():
        future.result()
    with pytest.raises(AirflowFailException) as raised:
        topic.task().execute(context())
    for part in (topic.name, "40", "60", "accept_gap"):
        assert part in str(raised.value), part
    assert topic.rows() == (40, 40)
    assert topic.task(accept_gap=True).execute(context())["records"] == 40
    assert topic.rows() == (80, 80)


def test_clickhouse_that_goes_away_in_the_middle_loses_and_repeats_nothing(
    topic: Topic, given: Give, place: Place
) -> None:
    topic.send(range(6_000))
    with line(services.stack().ports["clickhouse_http"]) as wire:
        through = given("wire", "clickhouse_default", host="127.0.0.1", port=wire.port)
        inserts = iter(range(1, 1_000))
        sent_query = quote_plus(f"INTO {sql.table(TableId(*topic.target.split('.')))} ").encode()

        def cut_at_the_third_block(sent: bytes) -> None:
            if sent_query in sent and next(inserts) == 3:
                wire.cut()

        wire.watch = cut_at_the_third_block
        with pytest.raises(TransientError) as raised:
            topic.task(clickhouse_conn_id=through, batch_rows=500, patience=1.0).execute(context())
        assert "ClickHouse" in str(raised.value)
        assert topic.rows()[0] == 1_000
        with pytest.raises(TransientError):
            topic.task(clickhouse_conn_id=through).execute(context())
        wire.watch = lambda sent: None
        wire.mend()
        topic.task(clickhouse_conn_id=through, batch_rows=500).execute(context())
    assert topic.rows()[0] == 6_000
    (again,) = place.client.query(f"SELECT count() FROM {topic.target} FINAL").result_rows[0]
    assert again == 6_000


def test_a_drain_that_was_asked_to_stop_is_tried_again(topic: Topic) -> None:
    topic.send(range(100))
    task = topic.task()
    task.on_kill()
    with pytest.raises(TransientError, match="was stopped; what was drained is recorded"):
        task.execute(context())
    topic.task().execute(context())
    assert topic.rows() == (100, 100)


def test_following_drains_what_arrives_until_its_time_is_over(topic: Topic) -> None:
    topic.send(range(10))
    with ThreadPoolExecutor(1) as pool:
        following = pool.submit(topic.task(follow_seconds="6").execute, context())
        wait_for(lambda: topic.rows()[0] == 10)
        topic.send(range(10, 15))
        summary = following.result()
    assert (summary["records"], summary["drains"]) == (15, 2)
    assert topic.rows() == (15, 15)


def test_a_column_that_is_added_while_it_follows_is_archived(place: Place, topic: Topic) -> None:
    topic.send(range(10))
    table = place.orders["table"]
    with ThreadPoolExecutor(1) as pool:
        following = pool.submit(topic.task(follow_seconds=8).execute, context())
        wait_for(lambda: topic.rows()[0] == 10)
        place.engine.execute(f"ALTER TABLE {table} ADD COLUMN more INT NULL")
        try:
            changed = json.loads(event(10))
            changed["after"]["more"] = 7
            producer = services.producer()
            producer.produce(topic.name, key=b'{"id":10}', value=json.dumps(changed).encode())
            assert producer.flush(30) == 0
            assert following.result()["records"] == 11
        finally:
            place.engine.execute(f"ALTER TABLE {table} DROP COLUMN more")
    rows = place.client.query(f"SELECT id, more FROM {topic.target} WHERE id >= 9 ORDER BY id").result_rows
    assert [tuple(row) for row in rows] == [(9, None), (10, 7)]
