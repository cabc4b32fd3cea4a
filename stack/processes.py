"""The processes of a stack, found in ``/proc`` whoever their parent is by now."""

import contextlib
import json
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from stack.errors import StackError
from stack.settings import Stack

# Set in every supervised process and nowhere else: whatever carries it belongs to the stack with this data folder.
MARK = "CHISTA_SUPERVISED"

_END_SECONDS = 10


@dataclass(frozen=True)
class Process:
    """One process as ``/proc/PID/stat`` has it; ``born`` is its start in clock ticks since the machine's."""

    pid: int
    parent: int
    session: int
    born: int


def read(pid: int) -> Process | None:
    """A process by its pid, None when there is none, or only its remains that nobody waited for."""
    try:
        # After the name in parentheses, which may hold anything: state, parent, group, session, ..., as 20th the start.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] == "Z" else Process(pid, int(fields[1]), int(fields[3]), int(fields[19]))


def everyone() -> Iterator[Process]:
    """Every process of the machine except this one."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            process = read(int(entry.name))
            if process is not None:
                yield process


def remember(stack: Stack, supervisor: int) -> None:
    """Write down that all of the stack is in the session of this supervisord. (Some services overwrite their
    environment with a title, so that the mark alone does not find them once they are orphans.)
    """
    process = read(supervisor)
    if process is not None:
        _session_file(stack).write_text(json.dumps([process.pid, process.born]))


def _session_file(stack: Stack) -> Path:
    return stack.run / "session.json"


def belonging(stack: Stack) -> list[int]:
    """The pids of all processes that were started under this stack's supervisord, children and orphans alike."""
    try:
        leader, born = json.loads(_session_file(stack).read_text())
    except (OSError, ValueError):
        leader, born = 0, 0
    # A living leader of that number that was born at another time is another session's.
    living = read(leader) if leader else None
    known = bool(leader) and (living is None or living.born == born)
    mark = f"{MARK}={stack.data}".encode()
    return [
        process.pid
        for process in everyone()
        if (known and process.session == leader and process.born >= born) or _carries(process, mark)
    ]


def _carries(process: Process, mark: bytes) -> bool:
    try:
        return mark in Path(f"/proc/{process.pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return False


def send(pid: int, number: signal.Signals) -> None:
    """Signal a process and all its descendants, those in sessions of their own too (PostgreSQL's, Airflow's tasks)."""
    children: dict[int, list[int]] = {}
    for process in everyone():
        children.setdefault(process.parent, []).append(process.pid)
    queue = [pid]
    while queue:
        member = queue.pop()
        queue += children.get(member, [])
        with contextlib.suppress(ProcessLookupError):
            os.kill(member, number)


def end_all(stack: Stack) -> None:
    """Kill whatever of a stack is left, and wait until it is gone.

    :raises StackError: when a process stays.
    """
    deadline = time.monotonic() + _END_SECONDS
    while left := belonging(stack):
        if time.monotonic() > deadline:
            raise StackError(f"processes of the stack do not end: {left}")
        for pid in left:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.05)
