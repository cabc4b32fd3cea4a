"""A drain with nothing to do, as the operator does it: every connection opened, positions, catalogue and topic looked at."""

from __future__ import annotations

import logging
import os
import time
import uuid
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import structlog

from benchmarks import services
from benchmarks.drain import events
from benchmarks.drain.race import Entrant, Place, Start, race
from benchmarks.drain.report import Figure
from benchmarks.drain.shapes import orders
from stack.connections import connection_environment

ROWS = 1_000


def operator(place: Place, start: Start) -> Mapping[str, float]:
    """The second of two drains by the operator; the first has drained everything."""
    os.environ |= connection_environment(services.stack())
    os.environ["AIRFLOW__CHISTA__STATE_DATABASE"] = place.control
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    from airflow_provider_chista.operators.drain import DrainTopicOperator

    ti: Any = SimpleNamespace(dag_id="bench", run_id=uuid.uuid4().hex, task_id="drain", map_index=-1)
    summaries = []
    for turn in range(2):
        task = DrainTopicOperator(
            task_id=f"drain_{turn}",
            table=str(place.events.source),
            target=str(place.target),
            topic_prefix=place.events.source.schema,
            source_conn_id="postgres_verify",
        )
        if turn:
            time.sleep(1.0)
            start()
        summaries.append(task.execute({"ti": ti}))  # type: ignore[typeddict-item]
    if [summary["records"] for summary in summaries] != [place.limit, 0]:
        raise SystemExit(f"the operator drained {summaries}")
    return {}


def nothing_to_do(rows: int, rounds: int) -> list[Figure]:
    """Seconds inside ``execute``."""
    made = events.of(orders(min(rows, ROWS)))
    result = race([Entrant("nothing to do", operator, made)], max(rounds, 3))["nothing to do"]
    return [Figure("a drain with nothing to do, inside the operator", result.seconds, "s", most=1.0)]
