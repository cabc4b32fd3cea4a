"""Airflow's environment for every test, set before the first ``import airflow`` reads it.

Each session has an ``AIRFLOW_HOME`` of its own. Connections in the environment (``AIRFLOW_CONN_*``) stay: they lead the
integration tests to the running stack.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from xdist.scheduler import LoadScopeScheduling

# How long an example takes depends on what else the machine does.
settings.register_profile("chista", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("chista")

_home = tempfile.TemporaryDirectory(prefix="chista-airflow-")

for _name in [name for name in os.environ if name.startswith("AIRFLOW__") or name == "AIRFLOW_CONFIG"]:
    del os.environ[_name]
os.environ.update(
    AIRFLOW_HOME=_home.name,
    AIRFLOW__CORE__LOAD_EXAMPLES="False",
    AIRFLOW__CORE__TEST_CONNECTION="Enabled",
    AIRFLOW__DATABASE__SQL_ALCHEMY_CONN=f"sqlite:///{_home.name}/airflow.db",
)


FOLDERS = ("system", "integration", "chaos", "soak", "model", "unit")
"""Folders in the order in which they begin: what takes long first, so that several workers end together."""

ENGINES = {"mysql", "mariadb", "postgres"}
SEEDS = "test_kills.py::test_a_drain_that_is_killed_anywhere"
"""Each seed of this test takes minutes, and shares nothing with the others."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes long comes first."""
    here = Path(__file__).parent
    items.sort(key=lambda item: FOLDERS.index(item.path.relative_to(here).parts[0]))


class ByModule(LoadScopeScheduling):
    """One worker takes the tests of a module, or those of one engine in it, which share their fixtures."""

    def _split_scope(self, nodeid: str) -> str:
        module, _, parameters = nodeid.partition("[")
        path = module.partition("::")[0]
        if path.startswith("tests/system/"):
            return "tests/system"  # one Airflow, in one order
        if SEEDS in module:
            return nodeid
        engine = ENGINES.intersection(parameters.rstrip("]").split("-"))
        return f"{path} {' '.join(sorted(engine))}"


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByModule:
    """With ``-n``."""
    return ByModule(config, log)


@pytest.fixture(scope="session")
def stack_env() -> dict[str, str]:
    """The environment that ``python -m stack env`` prints; a clear failure when the stack is not in it."""
    if "CHISTA_CONNECT_URL" not in os.environ:
        pytest.fail(
            'this test needs the stack: run `make up`, then `eval "$(python3 -m stack env)"`', pytrace=False
        )
    return dict(os.environ)
