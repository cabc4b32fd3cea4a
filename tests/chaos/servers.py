"""The servers of a stack of the test's own, killed while stages and the application are at work."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from random import Random

from stack.ports import DEFAULT_BASE_PORT
from stack.settings import ROOT
from tests.integration.support import services

SHARE = 0.05
"""Share of the stages beside which a server is killed."""


@dataclass
class Servers:
    """Kills one of the servers by SIGKILL and starts it again.

    :param flavour: of the source.
    """

    flavour: str
    random: Random
    killed: Counter[str] = field(default_factory=Counter)
    _thread: threading.Thread | None = None

    def perhaps_kill(self) -> None:
        """Now and then: beside the next stage, one server at a time."""
        if services.stack().base_port == DEFAULT_BASE_PORT or self.random.random() >= SHARE:
            return
        self.wait()
        name = self.random.choice(("clickhouse", "kafka", "connect", self.flavour))
        self._thread = threading.Thread(target=self._kill, args=(name, self.random.random()), daemon=True)
        self._thread.start()
        self.killed[name] += 1

    def wait(self) -> None:
        """Until the server that was killed answers again."""
        if self._thread:
            self._thread.join()
            self._thread = None

    def _kill(self, name: str, seconds: float) -> None:
        time.sleep(seconds)
        for command in ("kill", "start"):
            subprocess.run(
                [sys.executable, "-m", "stack", command, name], cwd=ROOT, env=os.environ, check=True,
                capture_output=True,
            )  # fmt: skip
