"""A StatsD server of a test's own, and Airflow's Stats led to it as a task's process sets them up."""

from __future__ import annotations

import inspect
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from airflow.sdk.configuration import conf
from airflow.sdk.observability.metrics import stats_utils
from airflow.sdk.observability.stats import Stats

AIRFLOW_3_3 = "export_legacy_names" in inspect.signature(Stats.initialize).parameters


class StatsD:
    """Receives what Airflow sends."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.port = int(self._socket.getsockname()[1])

    def lines(self) -> list[str]:
        """What arrived since the last call; sending on this machine is done when the sender returns."""
        self._socket.settimeout(0.05)
        found = []
        while True:
            try:
                found.append(self._socket.recv(65536).decode())
            except TimeoutError:
                return found

    def close(self) -> None:
        self._socket.close()


def initialize(factory: Any = None) -> None:
    """Set Airflow's Stats up by its configuration, as a task's process does, or with a factory of the test's."""
    if AIRFLOW_3_3:
        legacy = conf.getboolean("metrics", "legacy_names_on")
        Stats.initialize(factory=factory or stats_utils.get_stats_factory(), export_legacy_names=legacy)
    else:
        Stats.initialize(factory=factory or stats_utils.get_stats_factory(Stats))


@contextmanager
def receiving(**settings: object) -> Iterator[StatsD]:
    """Airflow's Stats lead to a server of its own, with the given settings of ``[metrics]``."""
    server = StatsD()
    known = {"statsd_on": True, "statsd_host": "127.0.0.1", "statsd_port": server.port, **settings}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in known.items():
            patch.setenv(f"AIRFLOW__METRICS__{name.upper()}", str(value))
        initialize()
        try:
            yield server
        finally:
            server.close()
            patch.setenv("AIRFLOW__METRICS__STATSD_ON", "False")
            initialize()
