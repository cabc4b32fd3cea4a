from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from stack import processes
from stack.settings import Stack

# A service that hides its environment from its children: one in its session, one in a session of its own.
SERVICE = """
import subprocess, sys, time
child = subprocess.Popen(["sleep", "60"], env={})
alone = subprocess.Popen(["sleep", "60"], env={}, start_new_session=True)
print(child.pid, alone.pid, flush=True)
time.sleep(60)
"""


@pytest.fixture
def service(tmp_path: Path):
    """The stack of a running service, its process, and the pids of its two children."""
    stack = Stack(data=tmp_path / "data")
    stack.run.mkdir(parents=True)
    process = subprocess.Popen(
        [sys.executable, "-c", SERVICE],
        env={processes.MARK: str(stack.data)},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    children = [int(word) for word in process.stdout.readline().split()]
    processes.remember(stack, process.pid)
    yield stack, process, children
    for pid in (process.pid, *children):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    process.wait()


def eventually(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 5
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    return condition()


def test_a_marked_process_and_the_children_in_its_session_belong_to_the_stack(service):
    stack, process, (child, _) = service
    assert {process.pid, child} <= set(processes.belonging(stack))
    assert processes.belonging(Stack(data=stack.data / "other")) == []


def test_orphans_without_a_mark_are_found_and_ended(service):
    stack, process, (child, _) = service
    process.kill()
    process.wait()
    assert child in processes.belonging(stack)
    processes.end_all(stack)
    assert processes.read(child) is None


def test_a_later_session_of_the_same_number_is_not_ours(service):
    stack, process, (child, _) = service
    own = processes.read(process.pid)
    assert own is not None
    (stack.run / "session.json").write_text(f"[{own.pid}, {own.born - 1}]")
    assert child not in processes.belonging(stack)


def test_a_signal_reaches_children_in_sessions_of_their_own(service):
    _, process, (child, alone) = service
    processes.send(process.pid, signal.SIGKILL)
    process.wait()
    assert eventually(lambda: processes.read(child) is None and processes.read(alone) is None)
