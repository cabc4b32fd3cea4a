"""supervisord of one stack: its configuration, its start and end, and its remote control."""

import contextlib
import http.client
import signal
import socket
import sys
import time
import xmlrpc.client
from pathlib import Path
from typing import Any

from stack import downloads, processes
from stack.errors import StackError
from stack.services import SERVICES
from stack.services.base import is_root
from stack.settings import Stack
from stack.shell import run, write_private

_STOP_SECONDS = 30


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=_STOP_SECONDS + 10)
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class _UnixTransport(xmlrpc.client.Transport):
    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = str(path)

    def make_connection(self, host: Any) -> http.client.HTTPConnection:
        return _UnixConnection(self.path)


def _socket(stack: Stack) -> Path:
    return stack.run / "supervisor.sock"


def configuration(stack: Stack) -> str:
    """The text of ``supervisord.conf``. A program's command asks the launcher itself what to become, so that neither
    a password nor a path that needs quoting is written here.
    """
    lines = [
        "[supervisord]",
        f"logfile={_quoted(stack.logs / 'supervisord.log')}",
        f"pidfile={_quoted(stack.run / 'supervisord.pid')}",
        f"directory={_quoted(stack.root)}",
        "silent=true",
        *(["user=root"] if is_root() else []),
        "[unix_http_server]",
        f"file={_quoted(_socket(stack))}",
        "chmod=0700",
        "[rpcinterface:supervisor]",
        "supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface",
    ]
    for service in SERVICES.values():
        lines += [
            f"[program:{service.name}]",
            f'command="%(ENV_CHISTA_PYTHON)s" -m stack become {service.name}',
            "autostart=false",
            f"autorestart={str(service.comes_back).lower()}",
            "startsecs=0",
            "startretries=0",
            f"stopsignal={service.stop_signal}",
            f"stopwaitsecs={_STOP_SECONDS}",
            "killasgroup=true",
            "redirect_stderr=true",
            f"stdout_logfile={_quoted(stack.logs / service.name)}.log",
            "stdout_logfile_maxbytes=20MB",
            "stdout_logfile_backups=1",
        ]
    return "\n".join(lines) + "\n"


def _quoted(path: Path) -> str:
    return str(path).replace("%", "%%")


class Supervisor:
    """The supervisord of one stack."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack

    def _call(self, method: str, *arguments: Any) -> Any:
        proxy = xmlrpc.client.ServerProxy("http://localhost", transport=_UnixTransport(_socket(self.stack)))
        return getattr(proxy.supervisor, method)(*arguments)

    def alive(self) -> bool:
        """Whether a supervisord of this stack answers."""
        try:
            return bool(self._call("getState")["statename"] == "RUNNING")
        except (OSError, http.client.HTTPException, xmlrpc.client.Error):
            return False

    def recover(self) -> None:
        """End what a supervisord that was killed has left behind."""
        if not self.alive():
            processes.end_all(self.stack)

    def boot(self) -> None:
        """Start supervisord, with no service yet, if it is not there.

        :raises StackError: when it does not come up.
        """
        if self.alive():
            return
        for folder in (self.stack.logs, self.stack.run):
            folder.mkdir(parents=True, exist_ok=True)
        file = self.stack.rendered / "supervisord.conf"
        write_private(file, configuration(self.stack))
        python = downloads.tools(self.stack) / "bin" / "python"
        run(
            [python, "-m", "supervisor.supervisord", "-c", file], env=self._environment(), cwd=self.stack.root
        )
        deadline = time.monotonic() + 15
        while not self.alive():
            if time.monotonic() > deadline:
                raise StackError(f"supervisord does not answer; see {self.stack.logs / 'supervisord.log'}")
            time.sleep(0.05)
        processes.remember(self.stack, self._call("getPID"))

    def _environment(self) -> dict[str, str]:
        return {
            **self.stack.overrides,
            "CHISTA_BASE_PORT": str(self.stack.base_port),
            "CHISTA_DATA": str(self.stack.data),
            "CHISTA_CACHE": str(self.stack.cache),
            "CHISTA_PYTHON": sys.executable,
            processes.MARK: str(self.stack.data),
            "LC_ALL": "C.UTF-8",
            "TZ": "UTC",
        }

    def known(self) -> dict[str, dict[str, Any]]:
        """What supervisord knows of each service (``statename``, ``pid``, ``start`` ...); empty when it is not there."""
        return {info["name"]: info for info in self._call("getAllProcessInfo")} if self.alive() else {}

    def running(self, name: str) -> bool:
        """Whether the service's process exists (it may be unhealthy, or stopped by a signal)."""
        return self.known().get(name, {}).get("statename") in ("RUNNING", "STARTING", "STOPPING")

    def start(self, name: str) -> None:
        """Start a service's process, if it is not running."""
        if not self.running(name):
            self._call("startProcess", name, False)

    def stop(self, *names: str) -> None:
        """Stop services in order, together; returns when all have ended (by force after 30 s)."""
        known = self.known()
        going = [name for name in names if known.get(name, {}).get("statename") in ("RUNNING", "STARTING")]
        for name in going:
            # A service that was paused by SIGSTOP would not hear the signal to end.
            processes.send(known[name]["pid"], signal.SIGCONT)
            self._call("stopProcess", name, False)
        self._wait_until_ended(going)

    def _wait_until_ended(self, names: list[str]) -> None:
        deadline = time.monotonic() + _STOP_SECONDS + 10
        while any(self.running(name) for name in names):
            if time.monotonic() > deadline:
                raise StackError(
                    f"still running {_STOP_SECONDS + 10} s after the signal to end: {', '.join(names)}"
                )
            time.sleep(0.05)

    def signal(self, name: str, number: signal.Signals) -> None:
        """Send a signal to a service and all its children.

        :raises StackError: when it is not running.
        """
        info = self.known().get(name, {})
        if not info.get("pid"):
            raise StackError(f"{name} is not running")
        processes.send(info["pid"], number)

    def kill(self, name: str) -> None:
        """End a service and all its children by SIGKILL; it stays down, even one that would come back by itself.

        :raises StackError: when it is not running.
        """
        # Frozen, it does not hear the signal to end by which supervisord learns that it shall not start it again.
        self.signal(name, signal.SIGSTOP)
        pid = self.known()[name]["pid"]
        self._call("stopProcess", name, False)
        processes.send(pid, signal.SIGKILL)
        self._wait_until_ended([name])

    def shutdown(self) -> None:
        """End supervisord and with it whatever still runs; returns when nothing of the stack is left."""
        if self.alive():
            with contextlib.suppress(OSError, http.client.HTTPException):
                self._call("shutdown")
            deadline = time.monotonic() + _STOP_SECONDS + 10
            while processes.belonging(self.stack) and time.monotonic() < deadline:
                time.sleep(0.05)
        processes.end_all(self.stack)
