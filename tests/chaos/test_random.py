"""A long random schedule of kills on each engine, of stages and of servers, beside an application at work.

``CHISTA_CHAOS_KILLS`` (200) stages are killed per engine, by the schedule of ``CHISTA_CHAOS_SEED`` (another one each time,
which is printed). Servers are killed only on a stack of the test's own, not on the default port.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from random import Random, SystemRandom

import pytest

from tests.chaos.servers import Servers
from tests.integration.chaos.conftest import Store, scene, store
from tests.integration.chaos.schedule import Schedule

__all__ = ["store"]

KILLS = int(os.environ.get("CHISTA_CHAOS_KILLS") or 200)
SEED = int(os.environ.get("CHISTA_CHAOS_SEED") or SystemRandom().randrange(10**9))


@pytest.mark.timeout(600 + 15 * KILLS)
@pytest.mark.parametrize("flavour", ["postgres", "mysql", "mariadb"])
def test_any_kill_of_stages_and_servers_loses_nothing(
    store: Store, tmp_path: Path, flavour: str, capfd: pytest.CaptureFixture[str]
) -> None:
    random = Random(SEED)
    with scene(flavour, store, tmp_path, random, days=6, rows=15) as made:
        servers = Servers(flavour, Random(random.random()))
        schedule = Schedule(made, random, 6, servers.perhaps_kill, servers.wait)
        try:
            schedule.run(KILLS)
        finally:
            servers.wait()
            with capfd.disabled():
                sys.stdout.write(
                    f"\n{flavour}, CHISTA_CHAOS_SEED={SEED}: {schedule.report()}\nservers killed: {dict(servers.killed)}\n"
                )
