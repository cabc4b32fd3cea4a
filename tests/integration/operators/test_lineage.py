"""OpenLineage data sets of stages that worked on real tables, as Airflow's provider takes them from the operators."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from airflow.providers.openlineage.extractors.base import DefaultExtractor
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException
from openlineage.client.serde import Serde

from airflow_provider_chista.hooks.services import Services
from airflow_provider_chista.operators.purge import PurgeSourceOperator, SealArchiveOperator
from airflow_provider_chista.operators.restore import RestoreRowsOperator
from airflow_provider_chista.operators.verify import VerifyArchiveOperator
from tests.integration.operators.conftest import Place, archived_pair
from tests.integration.operators.test_drain import Topic
from tests.integration.support import services
from tests.integration.support.engines import Connector
from tests.integration.support.tasks import context

ROWS = 30


def told(task: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Inputs and outputs by name."""
    found = DefaultExtractor(task).extract_on_complete(None)
    if found is None:
        return {}, {}
    inputs, outputs = (
        {each.name: Serde.to_dict(each) for each in side} for side in (found.inputs, found.outputs)
    )
    return inputs, outputs  # fmt: skip


def rows(dataset: dict[str, Any]) -> int:
    facets = (
        dataset.get("outputFacets", {}).get("outputStatistics") or dataset["inputFacets"]["inputStatistics"]
    )
    return int(facets["rowCount"])


def types(dataset: dict[str, Any]) -> dict[str, str]:
    return {field["name"]: field.get("type") for field in dataset["facets"]["schema"]["fields"]}


def test_a_drain_tells_the_columns_that_the_two_tables_have(place: Place) -> None:
    topic = Topic(place)
    topic.send(range(ROWS))
    task = topic.task(max_rows=20, batch_rows=10)
    task.execute(context())
    inputs, outputs = told(task)
    assert inputs.keys() == {place.orders["table"], topic.name}
    archive = outputs[topic.target]
    assert rows(inputs[topic.name]) == rows(archive) == 20
    assert inputs[topic.name]["inputFacets"]["inputStatistics"]["size"] > 20 * 100
    assert types(inputs[place.orders["table"]]) == {"id": "int", "name": "varchar(40)", "day": "date"}
    columns = place.client.query(f"DESCRIBE TABLE {topic.target}").result_rows
    assert types(archive) == {column[0]: column[1] for column in columns}
    assert archive["facets"]["columnLineage"]["fields"].keys() == {"id", "name", "day"}
    port = services.stack().ports["clickhouse_http"]
    assert archive["namespace"] == f"clickhouse://127.0.0.1:{port}"


def test_proof_purge_and_restore_tell_their_rows(place: Place, stopped: Connector) -> None:
    pair = archived_pair(place, ROWS)
    known: dict[str, Any] = {**pair, **place.systems}
    source, archive = pair["table"], pair["target"]
    verify = VerifyArchiveOperator(task_id="verify", connector=stopped.name, topic_prefix="none", **known)
    verify.execute(context())
    inputs, outputs = told(verify)
    assert {name: rows(each) for name, each in inputs.items()} == {source: ROWS, archive: ROWS}
    (proof,) = inputs[archive]["inputFacets"]["dataQualityAssertions"]["assertions"]
    assert proof["success"] is True
    assert outputs == {}

    purge = PurgeSourceOperator(
        task_id="purge", purge_conn_id="mysql_purge", retention=timedelta(0), require_approval=False,
        txn_size=10, dry_run=True, **known,
    )  # fmt: skip
    with pytest.raises(AirflowSkipException):
        purge.execute(context())
    assert told(purge) == ({}, {}), "a dry run changed nothing"
    purge.dry_run_only, purge.limit = False, 10
    with pytest.raises(AirflowSkipException):
        purge.execute(context())
    inputs, outputs = told(purge)
    assert (rows(inputs[archive]), rows(outputs[source])) == (ROWS, 10)
    purge.limit = None
    batch = purge.execute(context())["batch_id"]
    assert rows(told(purge)[1][source]) == ROWS - 10, "of this try alone"

    restore = RestoreRowsOperator(task_id="restore", restore_conn_id="mysql_restore", batch_id=batch, **known)
    restore.execute(context())
    inputs, outputs = told(restore)
    assert (rows(inputs[archive]), rows(outputs[source])) == (ROWS, ROWS)
    assert types(outputs[source]) == {"id": "int", "name": "varchar(40)"}
    (origin,) = outputs[source]["facets"]["columnLineage"]["fields"]["name"]["inputFields"]
    assert (origin["name"], origin["field"]) == (archive, "name")


def test_a_failed_proof_tells_that_the_tables_differ(
    place: Place, stopped: Connector, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair = archived_pair(place, ROWS)
    place.engine.execute(f"UPDATE {pair['table']} SET name = 'new' WHERE id = 3")
    # The connector of this module never runs, so there is nothing to catch up with.
    monkeypatch.setattr(Services, "catch_up", lambda *given, **more: None)
    known: dict[str, Any] = {**pair, **place.systems, "topic_prefix": "none"}
    verify = VerifyArchiveOperator(task_id="verify", connector=stopped.name, **known)
    with pytest.raises(AirflowFailException):
        verify.execute(context())
    (proof,) = told(verify)[0][pair["target"]]["inputFacets"]["dataQualityAssertions"]["assertions"]
    assert proof["success"] is False
    seal = SealArchiveOperator(task_id="seal", purge_conn_id="mysql_purge", **known)
    with pytest.raises(AirflowFailException):
        seal.execute(context())
    assert told(seal) == ({}, {}), "nothing was sealed"
