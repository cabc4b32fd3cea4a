"""Which process runs which tests, under ``pytest -n``.

Tests that share servers are in each other's way: the snapshot of one test's connector holds a global lock for a moment, and
the delete of another then waits longer than it may. So each process that runs tests with servers has a stack of its own
(``CHISTA_TEST_STACKS``), and runs them one after another; the first one's stack has Airflow. Without that variable there is
one stack, and one process runs all tests that need it. Unit tests need none and go to whoever is free.
"""

from __future__ import annotations

import json
import os

from xdist.scheduler import LoadScopeScheduling
from xdist.workermanage import WorkerController

STACKS = "CHISTA_TEST_STACKS"
SYSTEM, INTEGRATION, UNIT = "tests/system", "tests/integration", "tests/unit"

# Packages whose modules share connectors or servers that take long to start; all other modules go one by one.
_TOGETHER = ("avro", "clickhouse", "events", "operators", "security", "sources")


def enter(worker: str) -> None:
    """Give the process of this xdist worker (``gw0``) the environment of its stack."""
    if worker and _number(worker) < len(_stacks()):
        os.environ.update(_stacks()[_number(worker)])


def _stacks() -> list[dict[str, str]]:
    return json.loads(os.environ.get(STACKS, "[]"))  # type: ignore[no-any-return]


def _number(worker: str) -> int:
    return int(worker.removeprefix("gw"))


class Lanes(LoadScopeScheduling):  # type: ignore[misc]
    """Modules of tests for each worker: those that only it can run first, then what is left."""

    def _split_scope(self, nodeid: str) -> str:
        module = nodeid.partition("::")[0]
        for package in (SYSTEM, *(f"{INTEGRATION}/{name}" for name in _TOGETHER)):
            if module.startswith(f"{package}/"):
                return package
        return module

    def _next(self, node: WorkerController) -> str | None:
        """The first unit of work that fits best: tests in Airflow, packages, modules with servers, unit tests."""
        number, stacks = _number(node.gateway.id), max(1, len(_stacks()))

        def rank(scope: str) -> int | None:
            if scope.startswith(UNIT):
                return 3
            if scope == SYSTEM or scope.startswith("tests/chaos"):
                return 0 if number == 0 else None
            if number >= stacks:
                return None
            return 2 if scope.endswith(".py") else 1

        ranked = [
            (found, place) for place, scope in enumerate(self.workqueue) if (found := rank(scope)) is not None
        ]
        return list(self.workqueue)[min(ranked)[1]] if ranked else None

    def _assign_work_unit(self, node: WorkerController) -> None:
        scope = self._next(node)
        if scope is None:
            node.shutdown()
        else:
            self.workqueue.move_to_end(scope, last=False)
            super()._assign_work_unit(node)
