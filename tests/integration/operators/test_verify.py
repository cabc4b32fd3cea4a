"""VerifyArchiveOperator as a task: modes, given keys, and arguments that cannot be used."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from airflow_provider_chista.operators.purge import PurgeSourceOperator
from airflow_provider_chista.operators.verify import VerifyArchiveOperator
from tests.integration.operators.conftest import Place, archived_pair
from tests.integration.support.tasks import context

ROWS = 500


@pytest.fixture(scope="module")
def pair(place: Place) -> dict[str, str]:
    """A table and an equal archive table, made without a connector."""
    return archived_pair(place, ROWS)


def task(place: Place, pair: dict[str, str], **more: Any) -> VerifyArchiveOperator:
    return VerifyArchiveOperator(
        task_id="verify", connector="none", topic_prefix="none", **pair, **place.systems, **more
    )


@pytest.mark.parametrize(
    ("arguments", "rows", "parts"),
    [
        ({"mode": "digest", "part_rows": 100, "parallel": 2}, ROWS, 5),
        ({"mode": "sample", "part_rows": 100, "sample": 0.4, "seed": 3}, 200, 2),
        ({"row_keys": ["7", "8", "90000"]}, 2, 1),
        ({"first_key": "490"}, 10, 1),
        ({"first_key": "10", "end_key": "20"}, 10, 1),
    ],
)
def test_a_check_says_what_it_compared(
    place: Place, pair: dict[str, str], arguments: dict[str, Any], rows: int, parts: int
) -> None:
    found = task(place, pair, **arguments).execute(context())
    assert (found["rows"], found["parts"], found["mode"]) == (rows, parts, arguments.get("mode", "full"))
    assert (found["table"], found["target"]) == (pair["table"], pair["target"])
    with pytest.raises(AirflowFailException, match=r"has no proof|is not in the ledger"):
        PurgeSourceOperator(
            task_id="purge",
            purge_conn_id="mysql_purge",
            verify_id=found["verify_id"],
            retention=timedelta(0),
            **pair,
            **place.systems,
        ).execute(context())


def test_a_proof_in_parts(place: Place, pair: dict[str, str]) -> None:
    found = task(place, pair, part_rows=100, parallel=3).execute(context())
    assert found["rows"] == ROWS
    assert "mode" not in found


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"mode": "quick"}, "mode is 'quick'; it must be one of full, digest, sample"),
        ({"mode": "digest", "repair": True}, "repair needs the proof of a whole window"),
        ({"mode": "sample", "sample": 2}, "share of a sample is 2"),
        ({"row_keys": ["1"], "end_key": "5"}, "not both"),
        ({"row_keys": ["one"]}, "'one' is not a row key of kinds int32"),
        ({"parallel": 0}, "parallel is 0"),
    ],
)
def test_arguments_that_cannot_be_used_fail_without_a_retry(
    place: Place, pair: dict[str, str], arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(AirflowFailException, match=message):
        task(place, pair, **arguments).execute(context())
