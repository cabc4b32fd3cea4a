"""Operators and sensors run as a task runs them, outside of Airflow: real services, connections from the environment."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

from tests.integration.support import services


def context(window: tuple[str, str] | None = None, **params: Any) -> Any:
    """What a task finds; the window as the trigger form gives it."""
    if window:
        params |= {"window_start": window[0], "window_end": window[1]}
    pushed: dict[str, Any] = {}
    ti = SimpleNamespace(
        dag_id="d", run_id=f"r_{services.token()}", task_id="t", map_index=-1, try_number=1,
        xcom_push=pushed.__setitem__, pushed=pushed,
    )  # fmt: skip
    return {"ti": ti, "params": params, "dag_run": SimpleNamespace(run_after=datetime.now(UTC))}


def connection(original: str, **changed: Any) -> str:
    """Value of an ``AIRFLOW_CONN_*`` variable: a connection of the stack with some fields changed."""
    return json.dumps({**services.connection(original), **changed})


class Line:
    """A TCP line to a service that a test can cut."""

    def __init__(self, port: int) -> None:
        self._to = port
        self._pairs: list[socket.socket] = []
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._server.getsockname()[1])
        self.whole = True
        self.watch: Callable[[bytes], None] = lambda sent: None
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Everything under way breaks, and nothing new gets through."""
        self.whole = False
        for end in self._pairs:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def mend(self) -> None:
        self.whole = True

    def close(self) -> None:
        self.cut()
        self._server.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._server.accept()
                if not self.whole:
                    near.close()
                    continue
                far = socket.create_connection(("127.0.0.1", self._to))
                self._pairs += [near, far]
                threading.Thread(target=self._pump, args=(near, far, True), daemon=True).start()
                threading.Thread(target=self._pump, args=(far, near, False), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket, sending: bool) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                if sending:
                    self.watch(data)
                sink.sendall(data)
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


@contextmanager
def line(port: int) -> Iterator[Line]:
    made = Line(port)
    try:
        yield made
    finally:
        made.close()
