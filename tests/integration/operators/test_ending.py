"""A task that waits for a server's answer ends when Airflow tells it to, and leaves nothing running at the server."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from typing import Any

import pytest

from airflow_provider_chista.model import TableId
from tests.integration.operators.conftest import Place, archived_pair
from tests.integration.support.engines import locked, wait_for, waiting_for

ENDS_WITHIN = 5.0
"""Airflow kills a task that is still there so many seconds after the signal."""


def started(place: Place, pair: dict[str, str], timeout: float = 0.0) -> subprocess.Popen[str]:
    task: dict[str, Any] = {
        "connector": "none", "topic_prefix": "none", "mode": "digest", "timeout": timeout, **pair, **place.systems
    }  # fmt: skip
    return subprocess.Popen(
        [sys.executable, "-m", "tests.integration.support.ending", json.dumps(task)],
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("timeout", [0.0, 2.0], ids=["killed", "execution_timeout"])
def test_a_task_whose_source_does_not_answer_ends(place: Place, timeout: float) -> None:
    pair = archived_pair(place, 10)
    table = TableId.parse(pair["table"])
    with locked(place.engine, table), started(place, pair, timeout) as task:
        try:
            wait_for(lambda: waiting_for(place.engine, table) == 1, 60)
            if not timeout:
                task.send_signal(signal.SIGTERM)
            told = time.monotonic()
            said = task.communicate(timeout=timeout + ENDS_WITHIN)[0]
            took = time.monotonic() - told
        finally:
            task.kill()
        assert took < timeout + ENDS_WITHIN
        # 1317: interrupted. Without a word from us the source itself gives up after three seconds, with 1205.
        ended = "AirflowTaskTimeout" if timeout else "TransientError"
        assert re.search(rf"\nended by {ended}: .*{'' if timeout else '1317'}", said), said
        assert waiting_for(place.engine, table) == 0


def test_a_task_without_a_signal_goes_on(place: Place) -> None:
    pair = archived_pair(place, 10)
    with started(place, pair) as task:
        assert task.communicate(timeout=60)[0].splitlines()[-1] == "succeeded"
