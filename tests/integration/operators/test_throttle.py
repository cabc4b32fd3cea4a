"""The purge as a task that is held back: Variable, limit, dry run, and what the preflight says beforehand."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from airflow_provider_chista.archive.connector import evidence
from airflow_provider_chista.archive.ledger import Ledger
from airflow_provider_chista.archive.manifest import Manifests
from airflow_provider_chista.archive.verify import verify
from airflow_provider_chista.clickhouse.ddl import adopted
from airflow_provider_chista.clickhouse.types import probe
from airflow_provider_chista.errors import TransientError
from airflow_provider_chista.model import TableId
from airflow_provider_chista.operators.preflight import PreflightOperator
from airflow_provider_chista.operators.purge import PurgeSourceOperator, SealArchiveOperator
from tests.integration.operators.conftest import Place, archived_pair
from tests.integration.support.engines import Connector, wait_for
from tests.integration.support.tasks import context

ROWS = 100


@pytest.fixture
def pair(place: Place, stopped: Connector) -> dict[str, str]:
    """A table whose rows are archived and proven."""
    pair = archived_pair(place, ROWS)
    table, target = TableId.parse(pair["table"]), TableId.parse(pair["target"])
    with place.engine.source() as source:
        types = probe(place.client)
        manifests = Manifests(
            place.control, types, adopted(place.client, types, source.catalogue(table), target), target
        )
        ledger = Ledger(place.control, f"mysql:{table}", target, None)
        made_by = evidence(stopped.connect, stopped.name, table)
        proof = verify(source, manifests, ledger, None, catch_up=lambda: None, evidence=made_by)
    assert proof.rows == ROWS
    return pair


def purge(place: Place, pair: dict[str, str], **more: Any) -> PurgeSourceOperator:
    return PurgeSourceOperator(
        task_id="purge", purge_conn_id="mysql_purge", retention=timedelta(0), require_approval=False,
        **pair, **place.systems, **more,
    )  # fmt: skip


def left(place: Place, pair: dict[str, str]) -> int:
    return int(place.engine.query(f"SELECT count(*) FROM {pair['table']}")[0][0])


def test_a_limit_skips_what_is_downstream_and_the_cleared_task_goes_on(
    place: Place, pair: dict[str, str]
) -> None:
    task, run = purge(place, pair, limit=60), context()
    with pytest.raises(
        AirflowSkipException, match=r"limit ended the purge of .*: 60 of 100 proven rows"
    ) as caught:
        task.execute(run)
    assert "clear this task" in str(caught.value)
    assert (run["ti"].pushed["purge"]["ended"], run["ti"].pushed["purge"]["deleted"]) == ("limit", 60)
    assert left(place, pair) == 40
    seal = SealArchiveOperator(
        task_id="seal", topic_prefix="none", purge_conn_id="mysql_purge", **pair, **place.systems
    )
    with pytest.raises(AirflowFailException, match="is not finished; run PurgeSourceOperator again"):
        seal.execute(context())
    summary = task.execute(context())
    assert (summary["ended"], summary["deleted"], left(place, pair)) == ("finished", 100, 0)
    assert summary["space"]["table_bytes"] > 0
    assert f"OPTIMIZE TABLE `{place.schema}`" in summary["space"]["remedy"]


def test_a_variable_pauses_the_purge_and_a_kill_is_heard(
    place: Place, pair: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_VAR_CHISTA_PAUSE", "load test")
    task = purge(place, pair, sentinel="chista_pause", rows_per_second=40)
    with ThreadPoolExecutor(1) as pool:
        result = pool.submit(task.execute, context())
        time.sleep(2.0)
        assert left(place, pair) == ROWS
        monkeypatch.setenv("AIRFLOW_VAR_CHISTA_PAUSE", "off")
        wait_for(lambda: left(place, pair) < ROWS, seconds=1.5, pause=0.02)
        monkeypatch.setenv("AIRFLOW_VAR_CHISTA_PAUSE", "1")
        time.sleep(2.0)
        assert left(place, pair) > 0
        asked = time.monotonic()
        task.on_kill()
        with pytest.raises(TransientError, match="was stopped after"):
            result.result(10)
        assert time.monotonic() - asked < 1.5
    monkeypatch.delenv("AIRFLOW_VAR_CHISTA_PAUSE")
    again = purge(place, pair, sentinel="chista_pause")
    assert again.execute(context())["deleted"] == ROWS


def test_a_dry_run_names_the_throttle(
    place: Place, pair: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    task = purge(place, pair, dry_run=True, max_load=25, hours="22:00-06:00", sentinel="chista_pause")
    lines: list[str] = []
    monkeypatch.setattr(task.log, "info", lambda line, *values: lines.append(line % values))
    with pytest.raises(AirflowSkipException, match="dry run: 100 proven rows"):
        task.execute(context())
    assert (
        "dry run, the throttle: max_load 25, hours 22:00-06:00; lag_conn_ids: none; sentinel: chista_pause"
        in lines
    )
    assert any("DELETE" in line for line in lines)
    assert left(place, pair) == ROWS


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"max_load": -1}, "max_load is -1; it must be a whole number of sessions"),
        ({"hours": "at night"}, "write the daily window in UTC as HH:MM-HH:MM"),
        ({"max_lag": 5}, "does not know the lag of its replicas"),
        ({"max_lag": 5, "lag_conn_ids": ["mysql_verify"]}, "connection mysql_verify: .*is no replica"),
        ({"max_lag": 5, "lag_conn_ids": ["mysql_purge"]}, "GRANT REPLICATION CLIENT ON"),
    ],
)
def test_a_throttle_that_cannot_be_kept_is_refused(
    place: Place, pair: dict[str, str], arguments: dict[str, Any], words: str
) -> None:
    with pytest.raises(AirflowFailException, match=words):
        purge(place, pair, **arguments).execute(context())
    assert left(place, pair) == ROWS


def test_the_preflight_asks_what_the_purge_will_ask(place: Place, pair: dict[str, str]) -> None:
    def found(**more: Any) -> dict[str, Any]:
        task = PreflightOperator(
            task_id="preflight", tables={pair["table"]: pair["target"]}, purge_conn_id="mysql_purge",
            **place.systems, **more,
        )  # fmt: skip
        return task.execute(context())

    assert found(max_load=5)["purge"] == 0
    assert found(max_lag=5, lag_conn_ids=["mysql_verify"])["purge_refused"] == ["connection mysql_verify"]
    assert found(max_lag=5, lag_conn_ids=["mysql_purge"])["purge_refused"] == ["user chista_purge@%"]
    assert found(max_lag=5, lag_conn_ids=["mysql_purge"], purge_tables=[])["purge"] == 0
