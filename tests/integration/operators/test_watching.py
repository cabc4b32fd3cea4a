"""What is seen of the stages while they work on real services: metrics, progress, asset events, links."""

from __future__ import annotations

from base64 import b64decode
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import httpx
import pytest
from airflow.sdk import Asset
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException
from airflow.sdk.execution_time.context import OutletEventAccessors

from airflow_provider_chista.hooks.clickhouse import ChistaClickHouseHook
from airflow_provider_chista.hooks.services import Services
from airflow_provider_chista.operators.audit import AuditArchiveOperator
from airflow_provider_chista.operators.drain import DrainTopicOperator
from airflow_provider_chista.operators.purge import PurgeSourceOperator
from airflow_provider_chista.operators.restore import RestoreRowsOperator
from airflow_provider_chista.operators.verify import VerifyArchiveOperator
from tests.integration.operators.conftest import Place, archived_pair
from tests.integration.operators.test_drain import Topic
from tests.integration.support import services
from tests.integration.support.engines import Connector
from tests.integration.support.tasks import context
from tests.unit.statsd import StatsD, receiving

ROWS = 100
MINE = Asset("mine")


class Run:
    """A task instance, and what its run leaves to be seen."""

    def __init__(self, **params: Any) -> None:
        self.progress: dict[str, Any] = {}
        self.context = {
            **context(**params),
            "outlet_events": OutletEventAccessors(),
            "task_state_store": self,
        }

    def set(self, key: str, value: Any) -> None:
        assert key == "progress"
        self.progress = value

    @property
    def event(self) -> dict[str, Any]:
        events = self.context["outlet_events"]
        return dict(events[MINE].extra) if len(events) else {}


def sent(server: StatsD) -> dict[str, float]:
    """Counters as sums, gauges as they were sent last, and how many durations came."""
    found: dict[str, float] = {}
    for line in server.lines():
        name, _, value = line.removeprefix("airflow.chista.").partition(":")
        number, _, kind = value.partition("|")
        before = found.get(name, 0)
        found[name] = {"c": before + float(number), "g": float(number), "ms": before + 1}[kind]
    return found


def test_a_drain_tells_of_every_record_dead_letters_and_what_is_left(place: Place) -> None:
    topic = Topic(place)
    topic.send(range(ROWS))
    producer = services.producer()
    producer.produce(topic.name, key=b"{}", value=b"no event")
    assert producer.flush(30) == 0
    with receiving(legacy_names_on=False) as server:
        run = Run()
        topic.task(max_rows=40, batch_rows=20).execute(run.context)
        assert sent(server) == {"drain.records": 40, "drain.lag": ROWS + 1 - 40, "drain.duration": 1}
        assert (run.progress["records"], run.progress["left"]) == (40, ROWS + 1 - 40)
        run = Run()
        topic.task(batch_rows=20, follow_seconds=1).execute(run.context)
        assert sent(server) == {
            "drain.records": ROWS + 1 - 40, "drain.dead_letters": 1, "drain.lag": 0, "drain.duration": 1,
        }  # fmt: skip
        assert (run.progress["what"], run.progress["records"]) == (topic.name, ROWS + 1 - 40)
        run = Run()
        topic.task().execute(run.context)
        assert sent(server) == {"drain.lag": 0, "drain.duration": 1}, "of nothing, too"
        assert (run.progress["records"], run.progress["left"]) == (0, 0)


def test_proof_purge_restore_and_audit_tell_of_their_rows(place: Place, stopped: Connector) -> None:
    pair = archived_pair(place, ROWS)
    known: dict[str, Any] = {**pair, **place.systems, "outlets": [MINE]}
    purge = PurgeSourceOperator(
        task_id="purge", purge_conn_id="mysql_purge", retention=timedelta(0), require_approval=False,
        txn_size=20, **known,
    )  # fmt: skip
    verify = VerifyArchiveOperator(task_id="verify", connector=stopped.name, topic_prefix="none", **known)
    with receiving(legacy_names_on=False) as server:
        run = Run()
        proof = verify.execute(run.context)
        assert sent(server) == {"verify.rows": ROWS, "verify.duration": 1}
        assert run.event == {
            "event": "verified", "source": pair["table"], "target": pair["target"], "time_column": None,
            "window_start": None, "window_end": None, "rows": ROWS, "digest": proof["digest"],
            "verify_id": proof["verify_id"],
        }  # fmt: skip
        assert (run.progress["stage"], run.progress["what"]) == ("verify", pair["table"])
        assert (run.progress["rows"], run.progress["left"]) == (ROWS, None)

        run = Run()
        purge.limit = 60
        with pytest.raises(AirflowSkipException):
            purge.execute(run.context)
        assert sent(server) == {"purge.deleted": 60, "purge.duration": 1}
        assert run.event == {}
        assert (run.progress["rows"], run.progress["left"]) == (60, 40)

        run = Run()
        purge.limit = None
        place.engine.execute(f"UPDATE {pair['table']} SET name = 'new' WHERE id = 99")
        purged = purge.execute(run.context)
        assert sent(server) == {"purge.deleted": 39, "purge.skipped": 1, "purge.duration": 1}
        assert (run.event["event"], run.event["rows"], run.event["skipped"]) == ("purged", 99, 1)
        assert (run.progress["rows"], run.progress["left"]) == (40, 0)
        purge.execute(Run().context)
        assert sent(server) == {"purge.duration": 1}, "nothing is counted twice"

        run = Run()
        restore = RestoreRowsOperator(
            task_id="restore",
            restore_conn_id="mysql_restore",
            batch_id=purged["batch_id"],
            txn_size=10,
            **known,
        )
        restore.execute(run.context)
        assert sent(server) == {"restore.rows": 99}
        assert (run.event["event"], run.event["rows"]) == ("restored", 99)
        assert (run.progress["rows"], run.progress["left"]) == (99, 0)

        audit = AuditArchiveOperator(
            task_id="audit",
            tables={pair["table"]: pair["target"]},
            max_proof_age=timedelta(0),
            **place.systems,
        )
        with pytest.raises(AirflowFailException):
            audit.execute(context())
        assert sent(server)["audit.findings"] >= 1


def test_rows_that_differ_are_counted_and_are_no_event(
    place: Place, stopped: Connector, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair = archived_pair(place, ROWS)
    place.engine.execute(f"UPDATE {pair['table']} SET name = 'new' WHERE id < 3")
    # The connector of this module never runs, so there is nothing to catch up with.
    monkeypatch.setattr(Services, "catch_up", lambda *given, **more: None)
    run = Run()
    verify = VerifyArchiveOperator(
        task_id="verify", connector=stopped.name, topic_prefix="none", outlets=[MINE], **pair, **place.systems
    )
    with receiving(legacy_names_on=False) as server:
        with pytest.raises(AirflowFailException):
            verify.execute(run.context)
        assert sent(server) == {"verify.differing": 3}
    assert run.event == {}


def test_the_query_of_a_link_finds_what_the_task_is_about_and_its_page_is_there(place: Place) -> None:
    target = f"{place.database}.o'rders"
    known: dict[str, Any] = {"table": "shop.orders", "target": target, **place.systems}
    window = "day:2024-01-01T00:00:00+00:00/2024-01-02T00:00:00+00:00"
    place.control.insert(
        "ledger", [{"target": target, "window": each, "stage": each[:3]} for each in (window, "all")]
    )
    place.control.insert("dead_letters", [{"target": target, "topic": "t", "error": "no event"}])

    def found(task: Any) -> list[Any]:
        query = task.query_sql(context(("2024-01-01", "2024-01-02")))
        address = urlsplit(ChistaClickHouseHook().query_page(query))
        assert httpx.get(urlunsplit((*address[:3], "", ""))).status_code == 200
        assert b64decode(address.fragment).decode() == query
        return list(place.client.query(query).named_results())

    verify = VerifyArchiveOperator(
        task_id="verify", connector="none", topic_prefix="none", time_column="day", **known
    )
    assert [entry["stage"] for entry in found(verify)] == ["day"]
    restore = RestoreRowsOperator(task_id="restore", restore_conn_id="r", **known)
    assert {entry["stage"] for entry in found(restore)} == {"day", "all"}
    drain = DrainTopicOperator(task_id="drain", topic_prefix="p", **known)
    assert [(letter["state"], letter["error"]) for letter in found(drain)] == [("open", "no event")]
