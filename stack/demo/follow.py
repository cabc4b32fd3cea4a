"""Following runs of the DAGs: progress, approvals, reasons of failures."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from stack.demo.archive import Archive, table
from stack.demo.dataset import Shape
from stack.demo.display import Display
from stack.demo.rest import FINAL, Airflow, Task, Unanswered
from stack.demo.sources import SOURCES, Source
from stack.errors import StackError

_POLL_SECONDS = 1.0
_THINKING_SECONDS = 5.0
# Airflow's scheduler mistakes the end of the process that asked for the end of the task when the answer comes before it has
# heard of the former, and tries the task again. People are never that fast.
COMMON = (
    "preflight", "register_connector", "connector_running", "create_tables", "snapshot_completed", "source_captured",
)  # fmt: skip
"""Stages of a whole run, in order."""
OF_TABLE = ("drain", "drained", "verify", "approve", "purge", "purge_captured", "drain_deletes", "seal")
"""Stages of one table, in order."""

_PURGING = frozenset({"purge", "purge_captured", "drain_deletes", "seal"})
Tasks = Mapping[str, Task]


def group(shape: Shape) -> str:
    """Task group of a table."""
    return shape.name.replace(".", "_")


def stages(tasks: Tasks, shape: Shape) -> dict[str, Task]:
    """The tasks that a table goes through, by stage, in order."""
    names = {stage: stage for stage in COMMON} | {stage: f"{group(shape)}.{stage}" for stage in OF_TABLE}
    return {stage: tasks[task_id] for stage, task_id in names.items() if task_id in tasks}


def current(tasks: Tasks, shape: Shape) -> tuple[str, Task] | None:
    """The first stage that is not over; None when all are."""
    for stage, task in stages(tasks, shape).items():
        if task.state not in FINAL:
            return stage, task
    return None


@dataclass
class Follower:
    """Follows one run id over the DAGs of all sources.

    :param approve: asked with source, table and question; answers whether the purge may go on.
    :param streaming: called once per source, when its connector has sent the first snapshot and streams.
    :param asked: called with source and table when a purge waits for its approval. Both are called again after a
        ``ConnectionError``.
    """

    airflow: Airflow
    archive: Archive
    display: Display
    run_id: str
    deadline: float
    approve: Callable[[Source, Shape, str], bool] = lambda source, shape, question: False
    streaming: Callable[[Source], None] = lambda source: None
    asked: Callable[[Source, Shape], None] = lambda source, shape: None
    _streams: set[str] = field(default_factory=set)
    _told: set[tuple[str, str, int]] = field(default_factory=set)
    _waiting: dict[tuple[str, str, int], float] = field(default_factory=dict)
    _base: dict[tuple[str, str], int] = field(default_factory=dict)
    _away: str = ""

    def run(self) -> dict[str, Tasks]:
        """Wait until every run has ended; the tasks by DAG.

        :raises StackError: a run failed, or the time is over; the message says where each table stands.
        """
        tasks: dict[str, Tasks] = {source.dag_id: {} for source in SOURCES}
        self._base = self._progress()
        while True:
            try:
                for source in SOURCES:
                    if not tasks[source.dag_id] or not _over(tasks[source.dag_id]):
                        tasks[source.dag_id] = self.airflow.tasks(source.dag_id, self.run_id)
                        self._react(source, tasks[source.dag_id])
                self._back()
                self._show(tasks)
                if all(map(_over, tasks.values())):
                    states = self.airflow.run_states(self.run_id)
                    if not set(states.values()) & {"queued", "running"}:
                        return self._ended(tasks, states)
            except (Unanswered, ConnectionError) as error:
                self._tell_away(str(error))
            if time.monotonic() > self.deadline:
                places = "; ".join(f"{name}: {stage}" for name, (stage, _) in self._lines(tasks, {}).items())
                raise StackError(
                    f"the runs {self.run_id} did not end in time ({places}). They go on in Airflow; look at their logs "
                    "there, or give more time: DEMO_TIMEOUT=3600 make demo"
                )
            time.sleep(_POLL_SECONDS)

    def _react(self, source: Source, tasks: Tasks) -> None:
        snapshot = tasks.get("snapshot_completed")
        if snapshot and snapshot.state == "success" and source.dag_id not in self._streams:
            self.streaming(source)
            self._streams.add(source.dag_id)
        for task in tasks.values():
            if task.state in ("up_for_retry", "failed"):
                self._explain(source, task, task.try_number)
            elif task.try_number > 1:
                self._explain(source, task, task.try_number - 1)
        for shape in source.archived:
            approve = stages(tasks, shape).get("approve")
            if approve is not None and approve.state == "awaiting_input":
                self._consider(source, shape, approve)

    def _consider(self, source: Source, shape: Shape, task: Task) -> None:
        """Answer a question that waits long enough, once for each try."""
        now = time.monotonic()
        since = self._waiting.setdefault((task.dag_id, task.task_id, task.try_number), now)
        if now - since >= _THINKING_SECONDS:
            self._answer(source, shape, task)
            self._waiting[task.dag_id, task.task_id, task.try_number] = math.inf

    def _answer(self, source: Source, shape: Shape, task: Task) -> None:
        self.asked(source, shape)
        question = self.airflow.question(task.dag_id, self.run_id, task.task_id)
        yes = self.approve(source, shape, question)
        option = "Approve" if yes else "Reject"
        self.airflow.answer(task.dag_id, self.run_id, task.task_id, option, "answered in make demo")
        self.display.say(f"  {source.title}: {question}  {'approved' if yes else 'rejected'}")

    def _explain(self, source: Source, task: Task, try_number: int) -> None:
        if (task.dag_id, task.task_id, try_number) in self._told:
            return
        why = self.airflow.reason(task, self.run_id, try_number) or "its log does not say why"
        self._told.add((task.dag_id, task.task_id, try_number))
        then = "failed" if task.state in ("failed", "upstream_failed") else "will be tried again"
        self.display.say(f"! {source.title} {task.task_id}, try {try_number}, {then}: {why}")

    def _ended(self, tasks: dict[str, Tasks], states: Mapping[str, str]) -> dict[str, Tasks]:
        failed = [f"{dag_id} is {state}" for dag_id, state in sorted(states.items()) if state != "success"]
        if failed or len(states) < len(SOURCES):
            raise StackError(
                f"{', '.join(failed) or 'runs are missing'} (run {self.run_id}); the reasons are above"
            )
        self.display.keep()
        return tasks

    def _show(self, tasks: dict[str, Tasks]) -> None:
        self.display.status(self._lines(tasks, self._progress()))

    def _lines(
        self, tasks: dict[str, Tasks], counters: dict[tuple[str, str], int]
    ) -> dict[str, tuple[str, str]]:
        return {
            f"{source.title} {shape.name}": self._line(
                tasks[source.dag_id], shape, table(source.engine, shape), counters
            )
            for source in SOURCES
            for shape in source.archived
        }

    def _line(
        self, tasks: Tasks, shape: Shape, target: str, counters: dict[tuple[str, str], int]
    ) -> tuple[str, str]:
        now = current(tasks, shape) if tasks else ("queued", None)
        stage, task = now or ("done", None)
        what = "purge" if stage in _PURGING else "drain"
        by_stage = stages(tasks, shape)
        worker = by_stage.get(what)
        rows = counters.get((what, target), 0) - self._base.get((what, target), 0)
        seconds = worker.running if worker and worker.started else 0.0
        detail = (
            f"{rows:9,} rows" + (f"{rows / seconds:10,.0f} rows/s" if rows and seconds else "")
            if rows
            else ""
        )
        if stage == "done":
            failed = [name for name, item in by_stage.items() if item.state in ("failed", "upstream_failed")]
            return (f"failed: {failed[0]}" if failed else "done"), detail
        waits = {"running": "", "": "", "scheduled": "", "queued": "", "awaiting_input": " asks"}
        state = waits.get(task.state, f" {task.state}") if task else ""
        again = f" (try {task.try_number})" if task and task.try_number > 1 else ""
        return f"{stage}{state}{again}", detail

    def _progress(self) -> dict[tuple[str, str], int]:
        try:
            return self.archive.progress()
        except ConnectionError as error:
            self._tell_away(str(error))
            return {}

    def _tell_away(self, text: str) -> None:
        if not self._away:
            self.display.say(f"! {text}; waiting for it")
        self._away = text

    def _back(self) -> None:
        if self._away:
            self._away = ""


def runs_left(airflow: Airflow, sources: Sequence[Source], prefix: str, say: Callable[[str], None]) -> None:
    """End runs that an interrupted demo left; stop before a run that somebody else started.

    :raises StackError: another run is active, or a run does not end.
    """
    for source in sources:
        for run_id in airflow.active_runs(source.dag_id):
            if not run_id.startswith(prefix):
                raise StackError(
                    f"{source.dag_id} has an active run {run_id}, which is not the demo's: wait for it, answer what it "
                    "asks, or end it in Airflow's UI, then repeat"
                )
            say(f"  ending {run_id} of {source.dag_id}, which an interrupted demo left")
            airflow.fail_run(source.dag_id, run_id)
            deadline = time.monotonic() + 60
            while not _over(airflow.tasks(source.dag_id, run_id)):
                if time.monotonic() > deadline:
                    raise StackError(
                        f"{run_id} of {source.dag_id} does not end; look at its tasks in Airflow's UI"
                    )
                time.sleep(1)


def _over(tasks: Tasks) -> bool:
    return bool(tasks) and all(task.state in FINAL for task in tasks.values())
