"""A Kafka broker of a test's own, which may be paused and killed; started as the stack starts its own."""

from __future__ import annotations

import base64
import subprocess
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from stack.services.base import kafka_problem
from stack.settings import HOST
from tests.integration.security.servers import java, write_properties
from tests.integration.support import services
from tests.integration.support.ports import free_port


@dataclass
class PrivateBroker:
    """One broker; :meth:`start` and :meth:`kill` may be called again and again, and its topics stay."""

    port: int
    command: list[str]
    log: Path
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def bootstrap(self) -> str:
        return f"{HOST}:{self.port}"

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(self.command, stdout=log, stderr=log)
        deadline = time.monotonic() + 60
        while kafka_problem(self.port) is not None:
            assert self.process.poll() is None, self.log.read_text()[-3000:]
            assert time.monotonic() < deadline, self.log.read_text()[-3000:]
            time.sleep(0.1)

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


@contextmanager
def broker(folder: Path) -> Iterator[PrivateBroker]:
    """A running broker."""
    stack, port, controller = services.stack(), free_port(), free_port()
    properties = folder / "broker.properties"
    write_properties(
        properties,
        stack.config / "kafka" / "server.properties",
        {
            "controller.quorum.bootstrap.servers": f"{HOST}:{controller}",
            "listeners": f"PLAINTEXT://{HOST}:{port},CONTROLLER://{HOST}:{controller}",
            "advertised.listeners": f"PLAINTEXT://{HOST}:{port}",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "log.dirs": str(folder / "kafka"),
        },
    )
    identity = base64.urlsafe_b64encode(b"\x01" + uuid.uuid4().bytes[1:]).decode().rstrip("=")
    format_ = java(stack, "256m", "kafka.tools.StorageTool", "format", "--standalone")
    subprocess.run([*format_, "-t", identity, "-c", str(properties)], check=True, capture_output=True)
    made = PrivateBroker(port, java(stack, "384m", "kafka.Kafka", str(properties)), folder / "broker.log")
    try:
        made.start()
        yield made
    finally:
        made.kill()
