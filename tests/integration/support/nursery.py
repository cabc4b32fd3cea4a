"""A warm process that forks one victim after the other, which die by SIGKILL at a chosen place or moment.

Not multiprocessing's: each of its processes imports the main module, pytest.
"""

from __future__ import annotations

import importlib
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

KILLED = -signal.SIGKILL

Body = Callable[[dict[str, Any]], int]
"""What a forked process does with an order; its exit status."""


@dataclass(frozen=True)
class Kill:
    """Where a victim dies by SIGKILL.

    :param request: number of the request, from 0 on; None: at a moment instead.
    :param place: ``before`` the request is sent, ``after`` it was answered, or some time ``during`` it.
    :param seconds: how long after the request was begun (``during``), or after the process was.
    """

    request: int | None
    place: str
    seconds: float

    @classmethod
    def at(cls, request: int, chance: random.Random) -> Kill:
        """Before, during or after that request."""
        return cls(request, chance.choice(("before", "after", "during")), chance.random() * 0.006)

    @classmethod
    def some_time(cls, chance: random.Random, seconds: float) -> Kill:
        """At any moment from the fork on, within so many seconds."""
        return cls(None, "moment", chance.random() * seconds)


@dataclass
class Counted:
    """Counts requests of a process that dies at one of them.

    :param kill: None: it lives.
    """

    kill: Kill | None
    made: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """The call, which is a request."""

        def request(*args: Any, **kwargs: Any) -> Any:
            with self._lock:
                number, self.made = self.made, self.made + 1
            kill = self.kill if self.kill and self.kill.request == number else None
            if kill and kill.place == "before":
                die()
            if kill and kill.place == "during":
                threading.Timer(kill.seconds, die).start()
            result = original(*args, **kwargs)
            if kill and kill.place == "after":
                die()
            return result

        return request

    def watch(self, owner: Any, *names: str) -> None:
        """Take calls of an object or of a class as requests."""
        for name in names:
            setattr(owner, name, self(getattr(owner, name)))


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@contextmanager
def nursery(module: str, place: Mapping[str, Any]) -> Iterator[Callable[..., int]]:
    """Forks a victim for each order and gives its exit status, :data:`KILLED` when it was killed.

    :param module: its function ``nurse(place)`` makes what all victims need, and returns their :data:`Body`.
    :param place: what that function gets; JSON.
    """
    command = [sys.executable, "-m", __name__, module, json.dumps(place)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin
        assert process.stdout
        orders, answers = process.stdin, process.stdout

        def fork(order: Mapping[str, Any], moment: float | None = None) -> int:
            """``moment``: the victim is killed from outside, so many seconds behind the fork."""
            print(json.dumps({"order": order, "moment": moment}), file=orders, flush=True)
            return int(answers.readline())

        try:
            yield fork
        finally:
            orders.close()


def _run(module: str, place: dict[str, Any]) -> None:
    body: Body = importlib.import_module(module).nurse(place)
    for line in sys.stdin:
        asked = json.loads(line)
        pid = os.fork()
        if not pid:
            _be_victim(body, asked["order"])
        if asked["moment"] is not None:
            time.sleep(asked["moment"])
            os.kill(pid, signal.SIGKILL)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])}\n")
        sys.stdout.flush()


def _be_victim(body: Body, order: dict[str, Any]) -> None:
    code = 1
    try:
        code = body(order)
    finally:
        if code == 1:
            traceback.print_exc()
        os._exit(code)


if __name__ == "__main__":
    _run(sys.argv[1], json.loads(sys.argv[2]))
