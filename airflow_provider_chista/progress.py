"""How far a running task is, for people: lines in its log, and a value in Airflow's task state store."""

from __future__ import annotations

import threading
import time
from collections import deque
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from airflow.sdk import Context

from airflow_provider_chista.archive.progress import Progress

if TYPE_CHECKING:
    from airflow.sdk.types import Logger

KEY = "progress"
"""Key of the value in the task state store."""

_EVERY_SECONDS = 5.0

_LOOKED_BACK = 12
"""Looks over which the rate is taken: a minute."""

_PATIENCE_SECONDS = 2.0
"""How long the end of a task waits for the last value to be written."""


class Reporter:
    """Shows a stage's progress, at most every five seconds: rows, rows/s, what is left and for how long.

    A line of the log, and the value ``progress`` of the task state store where this Airflow has one (3.3; the UI has it under
    Storage), for people alone: nothing reads it back. Both happen on a thread of its own, which looks at what was
    shown last, so that a log or an API server that is slow, or fails, neither slows nor fails the stage.

    :param stage: such as ``drain``; :param unit: what is counted.
    :param every: seconds between two looks.
    """

    def __init__(
        self,
        context: Context,
        stage: str,
        log: Logger,
        *,
        unit: str = "rows",
        every: float = _EVERY_SECONDS,
    ) -> None:
        self._store = _store(context)
        self._try_number = context["ti"].try_number
        self._stage, self._log, self._unit, self._every = stage, log, unit, every
        self._shown: Progress | None = None
        self._told: Progress | None = None
        self._started = time.monotonic()
        self._looks = deque([(self._started, 0)], maxlen=_LOOKED_BACK + 1)
        self._warned = False
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="chista-progress", daemon=True)

    def show(self, progress: Progress) -> None:
        """What to show from now on; costs nothing, from any thread."""
        self._shown = progress

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join(_PATIENCE_SECONDS)

    def _run(self) -> None:
        while not self._ended.wait(self._every):
            self._look()
        if self._shown is not None:
            self._write(self._value(self._shown, ended=True))

    def _look(self) -> None:
        shown = self._shown
        if shown is None or shown == self._told:
            return
        if self._told is not None and self._told.what != shown.what:
            self._looks = deque([(self._looks[-1][0], 0)], maxlen=self._looks.maxlen)
        self._told = shown
        value = self._value(shown, ended=False)
        left, eta = value["left"], value["eta_seconds"]
        self._log.info(
            "%s of %s: %d %s so far, %d/s%s%s",
            self._stage, shown.what, shown.rows, self._unit, value["per_second"],
            "" if left is None else f", {left} left",
            "" if eta is None else f", for about {timedelta(seconds=eta)}",
        )  # fmt: skip
        self._write(value)

    def _value(self, shown: Progress, *, ended: bool) -> dict[str, Any]:
        now = time.monotonic()
        rate = self._rate(now, shown)
        eta = round(shown.left / rate) if shown.left is not None and rate and not ended else None
        return {
            "stage": self._stage,
            "what": shown.what,
            self._unit: shown.rows,
            "per_second": round(rate),
            "left": shown.left,
            "eta_seconds": eta,
            "left_by_partition": {str(partition): left for partition, left in shown.partitions.items()},
            "seconds": round(now - self._started, 1),
            "try_number": self._try_number,
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "ended": ended,
        }

    def _rate(self, now: float, shown: Progress) -> float:
        """Rows per second of the last looks at the same thing."""
        self._looks.append((now, shown.rows))
        before, rows = self._looks[0]
        return max(0, shown.rows - rows) / max(now - before, 0.001)

    def _write(self, value: dict[str, Any]) -> None:
        if self._store is None:
            return
        try:
            self._store.set(KEY, value)
        except Exception:  # noqa: BLE001  a display ends no task
            # The next one may be written: an API server that was started again answers soon.
            if not self._warned:
                self._log.warning(
                    "the progress could not be written to Airflow's task state store; the task goes on",
                    exc_info=True,
                )
            self._warned = True


def _store(context: Context) -> Any:
    """The task state store, where there is one that a thread may write while the task asks Airflow for something else.

    A task's process talks to its supervisor under a lock. That of ``dag.test()`` has none: who asks first takes an answer.
    """
    store: Any = context.get("task_state_store")
    if store is None:
        return None
    from airflow.sdk.execution_time import comms, task_runner

    supervisor = getattr(task_runner, "SUPERVISOR_COMMS", None)
    return store if supervisor is None or isinstance(supervisor, comms.CommsDecoder) else None
