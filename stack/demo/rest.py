"""Airflow's REST interface (v2), as far as the demo needs it."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx

from stack.errors import StackError

_ANSWER_SECONDS = 30.0
FINAL = frozenset({"success", "failed", "skipped", "upstream_failed", "removed"})
"""States that a task does not leave by itself."""


class Unanswered(Exception):  # noqa: N818
    """Airflow did not answer, or could not at that moment: asking again can help."""


@dataclass(frozen=True)
class Task:
    """A task instance."""

    dag_id: str
    task_id: str
    state: str
    try_number: int
    started: datetime | None
    seconds: float

    @property
    def running(self) -> float:
        """Seconds since its start while it runs, its duration afterwards."""
        if self.started is not None and self.state not in FINAL:
            return (datetime.now(UTC) - self.started).total_seconds()
        return self.seconds


class Airflow:
    """A client with its own token; every method raises :class:`Unanswered` while Airflow is away."""

    def __init__(self, url: str, user: str, password: str) -> None:
        self._credentials = {"username": user, "password": password}
        self._client = httpx.Client(base_url=url, timeout=_ANSWER_SECONDS)
        self._token = ""

    def close(self) -> None:
        """End the client's connections."""
        self._client.close()

    def dag(self, dag_id: str) -> dict[str, Any]:
        """A DAG; empty when Airflow has not read its file yet."""
        response = self._call("GET", f"/dags/{dag_id}", accept=(200, 404))
        return {} if response.status_code == 404 else dict(response.json())

    def import_errors(self) -> list[str]:
        """Errors of DAG files."""
        errors = self._call("GET", "/importErrors").json()["import_errors"]
        return [f"{error['filename']}: {error['stack_trace'].strip().splitlines()[-1]}" for error in errors]

    def unpause(self, dag_id: str) -> None:
        """Let a DAG's runs start."""
        self._call("PATCH", f"/dags/{dag_id}", {"is_paused": False}, params={"update_mask": "is_paused"})

    def active_runs(self, dag_id: str) -> list[str]:
        """Ids of the runs that are queued or running."""
        answer = self._call("GET", f"/dags/{dag_id}/dagRuns", params={"state": ["queued", "running"]}).json()
        return [run["dag_run_id"] for run in answer["dag_runs"]]

    def fail_run(self, dag_id: str, run_id: str) -> None:
        """End a run; its tasks are ended too."""
        self._call("PATCH", f"/dags/{dag_id}/dagRuns/{run_id}", {"state": "failed"})

    def trigger(self, dag_id: str, run_id: str, conf: Mapping[str, Any], note: str) -> None:
        """Make a run of a DAG that may still be paused.

        A DAG that was never unpaused owes a run for the newest day of its schedule, and would start it beside this one. This
        run then takes that day's date, so that the scheduler counts it as done; which rows it owns is said by ``conf``.
        """
        dag = self.dag(dag_id)
        due, date = dag.get("next_dagrun_run_after"), dag.get("next_dagrun_logical_date")
        takes = date if due and datetime.fromisoformat(due) <= datetime.now(UTC) else None
        body = {"dag_run_id": run_id, "conf": dict(conf), "note": note}
        path = f"/dags/{dag_id}/dagRuns"
        first = self._call("POST", path, {**body, "logical_date": takes}, accept=(200, 409))
        if (
            first.status_code == 409
            and self._call("GET", f"{path}/{run_id}", accept=(200, 404)).status_code == 404
        ):
            self._call("POST", path, {**body, "logical_date": None})

    def run_states(self, run_id: str) -> dict[str, str]:
        """State of the runs of that id, by DAG."""
        answer = self._call("GET", "/dags/~/dagRuns", params={"run_id_prefix_pattern": run_id}).json()
        return {run["dag_id"]: run["state"] for run in answer["dag_runs"]}

    def tasks(self, dag_id: str, run_id: str) -> dict[str, Task]:
        """Task instances of a run by task id."""
        path = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances"
        answer = self._call("GET", path, params={"limit": 100}).json()
        return {
            item["task_id"]: Task(
                dag_id,
                item["task_id"],
                item["state"] or "",
                item["try_number"],
                datetime.fromisoformat(item["start_date"]) if item["start_date"] else None,
                float(item["duration"] or 0),
            )
            for item in answer["task_instances"]
        }

    def question(self, dag_id: str, run_id: str, task_id: str) -> str:
        """What a waiting task asks."""
        return str(self._call("GET", _question(dag_id, run_id, task_id)).json()["subject"])

    def answer(self, dag_id: str, run_id: str, task_id: str, option: str, reason: str) -> None:
        """Answer a waiting task; one that was answered meanwhile stays as it is."""
        body = {"chosen_options": [option], "params_input": {"reason": reason}}
        self._call("PATCH", _question(dag_id, run_id, task_id), body, accept=(200, 409))

    def reason(self, task: Task, run_id: str, try_number: int) -> str:
        """Why a try failed: the last error of its log, empty when the log has none."""
        path = f"/dags/{task.dag_id}/dagRuns/{run_id}/taskInstances/{task.task_id}/logs/{try_number}"
        response = self._call("GET", path, params={"full_content": "true"}, accept=(200, 404))
        return last_error(response.text) if response.status_code == 200 else ""

    def _call(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        params: Mapping[str, Any] | None = None,
        accept: tuple[int, ...] = (200,),
    ) -> httpx.Response:
        for fresh in (False, True):
            if fresh or not self._token:
                self._log_in()
            headers = {"Authorization": f"Bearer {self._token}", "Accept": "application/json"}
            response = self._send(method, f"/api/v2{path}", json=body, params=params, headers=headers)
            if response.status_code != 401:
                break
        if response.status_code >= 500:
            raise Unanswered(f"{method} {path}: {response.status_code} {response.text[:200]}")
        if response.status_code not in accept:
            raise StackError(f"Airflow refused {method} {path}: {response.status_code} {response.text[:500]}")
        return response

    def _log_in(self) -> None:
        response = self._send("POST", "/auth/token", json=self._credentials)
        if response.status_code >= 500:
            raise Unanswered(f"POST /auth/token: {response.status_code}")
        if response.status_code != 201:
            raise StackError(
                f"Airflow refused to log in {self._credentials['username']}: {response.status_code}"
            )
        self._token = response.json()["access_token"]

    def _send(self, method: str, path: str, **options: Any) -> httpx.Response:
        try:
            return self._client.request(method, path, **options)
        except httpx.TransportError as error:
            raise Unanswered(f"{method} {path}: {error}") from error


def last_error(log: str) -> str:
    """The last error of a task's log in Airflow's JSON form: message of the exception where there is one, else the event."""
    try:
        events = json.loads(log)["content"]
    except (ValueError, KeyError):
        return ""
    found = ""
    for event in events:
        if not isinstance(event, dict) or str(event.get("level", "")).lower() not in ("error", "critical"):
            continue
        causes = event.get("error_detail") or []
        text = f"{causes[0].get('exc_type', '')}: {causes[0].get('exc_value', '')}" if causes else ""
        found = text or str(event.get("event", "")) or found
        if event.get("detail") and not causes:
            found = f"{found} ({event['detail']})"
    return " ".join(found.split())


def wait_for_dags(airflow: Airflow, dag_ids: list[str], seconds: float = 120.0) -> None:
    """Wait until Airflow knows these DAGs.

    :raises StackError: when it does not in time, with the errors of their files.
    """
    deadline = time.monotonic() + seconds
    missing = list(dag_ids)
    while missing:
        try:
            missing = [dag_id for dag_id in missing if not airflow.dag(dag_id)]
            if missing and time.monotonic() > deadline:
                errors = "; ".join(airflow.import_errors()) or "their files show no error"
                raise StackError(f"Airflow does not know {', '.join(missing)}: {errors}")
        except Unanswered as error:
            if time.monotonic() > deadline:
                raise StackError(f"Airflow does not answer: {error}") from error
        if missing:
            time.sleep(1)


def _question(dag_id: str, run_id: str, task_id: str) -> str:
    # -1 is the map index of a task that is not mapped; the address has no form without it.
    return f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/-1/hitlDetails"
