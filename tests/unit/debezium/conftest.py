"""A real HTTP server that answers as a Kafka Connect worker does, by a script."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest


@dataclass
class Worker:
    """Answers requests in the order of its script; the last answer is repeated. Records what it was asked."""

    url: str = ""
    script: list[tuple[int, Any]] = field(default_factory=list)
    asked: list[tuple[str, str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)

    def answer(self, *script: tuple[int, Any]) -> None:
        """Set the script: pairs of status and body (a text is sent as it is, None is no body, others as JSON)."""
        self.script = list(script)

    def error(self, status: int, message: str) -> tuple[int, Any]:
        """An error as Connect's REST resources send it."""
        return status, {"error_code": status, "message": message}


@pytest.fixture
def worker() -> Iterator[Worker]:
    state = Worker()

    class Handler(BaseHTTPRequestHandler):
        def _serve(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            state.asked.append((self.command, self.path, body))
            state.headers.append(dict(self.headers))
            status, answer = state.script.pop(0) if len(state.script) > 1 else state.script[0]
            if status == 0:  # the worker dies in the middle of the exchange
                self.connection.close()
                return
            data = (
                (answer if isinstance(answer, str) else json.dumps(answer)).encode()
                if answer is not None
                else b""
            )
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_PUT = do_POST = do_DELETE = _serve  # noqa: N815  # the names that http.server looks for

        def log_message(self, *_: Any) -> None:
            """Keep the test's output clean."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield state
    server.shutdown()
    server.server_close()
