"""Airflow's environment for every test, set before the first ``import airflow`` reads it.

Each session has an ``AIRFLOW_HOME`` of its own. Connections in the environment (``AIRFLOW_CONN_*``) stay: they lead the
integration tests to the running stack.
"""

from __future__ import annotations

import os
import tempfile
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests import lanes

# How long an example takes depends on what else the machine does.
settings.register_profile("chista", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("chista")

lanes.enter(os.environ.get("PYTEST_XDIST_WORKER", ""))

_home = tempfile.TemporaryDirectory(prefix="chista-airflow-")

for _name in [name for name in os.environ if name.startswith("AIRFLOW__") or name == "AIRFLOW_CONFIG"]:
    del os.environ[_name]
os.environ.update(
    AIRFLOW_HOME=_home.name,
    AIRFLOW__CORE__LOAD_EXAMPLES="False",
    AIRFLOW__CORE__TEST_CONNECTION="Enabled",
    AIRFLOW__DATABASE__SQL_ALCHEMY_CONN=f"sqlite:///{_home.name}/airflow.db",
)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> lanes.Lanes:
    """How ``-n`` shares tests out."""
    return lanes.Lanes(config, log)


@pytest.fixture(scope="session")
def stack_env() -> dict[str, str]:
    """The environment that ``python -m stack env`` prints; a clear failure when the stack is not in it."""
    if "CHISTA_CONNECT_URL" not in os.environ:
        pytest.fail(
            'this test needs the stack: run `make up`, then `eval "$(python3 -m stack env)"`', pytrace=False
        )
    return dict(os.environ)
