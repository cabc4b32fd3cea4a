"""The processes of Airflow on this machine: found, slowed down, frozen and killed."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

import psutil
import pytest

from stack.settings import Stack
from stack.supervisor import Supervisor
from tests.system.support.airflow import Run, wait_for

STEP = 0.02
"""Seconds that a process runs between two looks at what it has done."""


@dataclass(frozen=True)
class TaskProcess:
    """The process of one try of a task.

    :param worker: its parent: a worker of the LocalExecutor, which beats the heart of the try and reports its end.
    """

    task: str
    process: psutil.Process
    worker: psutil.Process

    @classmethod
    def of(cls, run: Run, task: str, number: int, seconds: float = 300) -> TaskProcess:
        """The process that Airflow names for this try, frozen as soon as it is there."""

        def look() -> psutil.Process | None:
            found = run.tasks()[task]
            if found["try_number"] > number or (
                found["try_number"] == number and found["state"] == "success"
            ):
                pytest.fail(f"try {number} of {task} was over before it was seen: {found}", pytrace=False)
            if found["try_number"] < number or found["state"] != "running" or not found["pid"]:
                return None
            return psutil.Process(found["pid"])

        process = wait_for(f"try {number} of {task} to run", seconds, look, poll=0.05)
        process.suspend()
        worker = process.parent()
        assert worker is not None
        assert "airflow" in " ".join(worker.cmdline()), worker
        return cls(task, process, worker)

    @property
    def alive(self) -> bool:
        """Whether it is more than the remains of a process that nobody has waited for."""
        return self.process.is_running() and self.process.status() != psutil.STATUS_ZOMBIE

    def run_until(self, sign: Callable[[], object], seconds: float = 300) -> None:
        """Let it run, some milliseconds at a time, and leave it frozen where ``sign`` is true."""
        deadline = time.monotonic() + seconds
        while not sign():
            if time.monotonic() > deadline or not self.alive:
                pytest.fail(
                    f"{self.task} ended, or did not come to its point in {seconds:.0f} s", pytrace=False
                )
            self.process.resume()
            time.sleep(STEP)
            self.process.suspend()

    def resume(self) -> None:
        self.process.resume()

    def kill(self, *, worker: bool = False) -> None:
        """SIGKILL; with ``worker`` to the process above it too, so that nobody is left to report the end."""
        for process in [self.worker, self.process] if worker else [self.process]:
            process.kill()
            # A child whose parent does not wait for it stays as a zombie of the operating system.
            with suppress(psutil.TimeoutExpired):
                process.wait(0.2)


@dataclass
class Scheduler:
    """The scheduler of the stack, which supervisord starts again when it has died."""

    stack: Stack
    _orphans: list[psutil.Process] = field(default_factory=list)

    def kill(self) -> None:
        """SIGKILL to it and its children, but for its workers, which stay with the tasks that they run."""
        process = psutil.Process(Supervisor(self.stack).known()["airflow-scheduler"]["pid"])
        children = process.children()
        workers = [child for child in children if "LocalExecutor" in " ".join(child.cmdline())]
        self._orphans += workers
        for each in (process, *(child for child in children if child not in workers)):
            with suppress(psutil.NoSuchProcess):
                each.kill()
        process.wait(10)

    def clean(self) -> None:
        """End the workers of schedulers that are no more, which would wait for ever for work, with what they still run."""
        for worker in self._orphans:
            with suppress(psutil.NoSuchProcess):
                for process in (*worker.children(recursive=True), worker):
                    process.kill()
