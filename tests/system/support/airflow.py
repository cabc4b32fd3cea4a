"""Airflow as its users reach it: REST v2, and what a test wants to know of a run."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httpx
import pytest

FINAL = {"success", "failed", "skipped", "upstream_failed", "removed"}
ENDED = {"success", "failed"}
WAITING = {"awaiting_input", "deferred"}
THINKING = 4.0
"""Seconds before an approval is answered."""


def wait_for(what: str, seconds: float, look: Callable[[], Any], poll: float = 0.5) -> Any:
    """The first true answer of ``look``; a failure that says what was waited for, and what was seen last."""
    deadline = time.monotonic() + seconds
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() > deadline:
            pytest.fail(f"waited {seconds:.0f} s for {what}; last seen: {found!r}", pytrace=False)
        time.sleep(poll)


class Airflow:
    """A client of the REST interface; every call fails the test unless the answer is the expected one."""

    def __init__(self, url: str, user: str, password: str) -> None:
        self._http = httpx.Client(base_url=url, timeout=60)
        token = self._http.post("/auth/token", json={"username": user, "password": password})
        assert token.status_code == 201, token.text
        self._http.headers["Authorization"] = f"Bearer {token.json()['access_token']}"

    def call(self, method: str, path: str, body: Any = None, expect: int = 200, **params: Any) -> Any:
        for attempt in range(5):
            try:
                answer = self._http.request(method, f"/api/v2{path}", json=body, params=params)
            except httpx.TransportError:
                if method != "GET" or attempt == 4:
                    raise
                time.sleep(1)
                continue
            if answer.status_code < 500 or method != "GET":
                break
            time.sleep(1)
        assert answer.status_code == expect, f"{method} {path}: {answer.status_code} {answer.text[:1000]}"
        return answer.json() if answer.content else None

    def dag(self, dag_id: str) -> Dag:
        return Dag(self, dag_id)

    def has(self, dag_id: str) -> bool:
        return dag_id in {dag["dag_id"] for dag in self.call("GET", "/dags", limit=100)["dags"]}

    def runs(self) -> list[Run]:
        found = self.call("GET", "/dags/~/dagRuns", limit=100)["dag_runs"]
        return [Run(self, run["dag_id"], run["dag_run_id"]) for run in found]


@dataclass(frozen=True)
class Dag:
    airflow: Airflow
    dag_id: str

    def pause(self, paused: bool = True) -> None:
        self.airflow.call("PATCH", f"/dags/{self.dag_id}", {"is_paused": paused})

    def unpause(self) -> None:
        self.pause(False)

    def trigger(self, logical_date: str | None = None, expect: int = 200, **body: Any) -> Run:
        answer = self.airflow.call(
            "POST", f"/dags/{self.dag_id}/dagRuns", {"logical_date": logical_date, **body}, expect
        )
        return Run(self.airflow, self.dag_id, answer.get("dag_run_id", ""))

    def settle_schedule(self) -> None:
        """Count the run that the schedule is due for as done, so that switching the Dag on starts nothing by itself."""
        due = self.airflow.call("GET", f"/dags/{self.dag_id}/details")["next_dagrun_logical_date"]
        run = self.trigger(due, note="not run by the tests")
        self.airflow.call("PATCH", run.path, {"state": "failed"})

    def archive(self, start: str, end: str, **conf: Any) -> Run:
        """A run as the trigger form starts it, with a window of the caller's."""
        return self.trigger(conf={"window_start": start, "window_end": end, **conf})

    def runs(self) -> list[Run]:
        found = self.airflow.call("GET", f"/dags/{self.dag_id}/dagRuns", limit=100)["dag_runs"]
        return [Run(self.airflow, self.dag_id, run["dag_run_id"]) for run in found]

    def wait_for_run(self, known: Collection[str] = (), seconds: float = 60) -> Run:
        """The run that appears beside the known ones."""
        return wait_for(
            f"a new run of {self.dag_id}",
            seconds,
            lambda: next((run for run in self.runs() if run.run_id not in known), None),
        )


@dataclass(frozen=True)
class Run:
    airflow: Airflow
    dag_id: str
    run_id: str

    @property
    def path(self) -> str:
        return f"/dags/{self.dag_id}/dagRuns/{quote(self.run_id, safe='')}"

    def facts(self) -> dict[str, Any]:
        return self.airflow.call("GET", self.path)

    def tasks(self) -> dict[str, dict[str, Any]]:
        answer = self.airflow.call("GET", f"{self.path}/taskInstances", limit=100)
        return {task["task_id"]: task for task in answer["task_instances"]}

    def states(self) -> dict[str, str]:
        return {name: task["state"] or "none" for name, task in self.tasks().items()}

    def wait_for_task(self, task: str, *states: str, seconds: float = 300) -> dict[str, Any]:
        def look() -> dict[str, Any] | None:
            found = self.tasks().get(task, {})
            if found.get("state") not in states and found.get("state") in FINAL:
                pytest.fail(
                    self._story(f"{task} is {found['state']}, not {' or '.join(states)}"), pytrace=False
                )
            return found if found.get("state") in states else None

        return dict(wait_for(f"{self.dag_id}.{task} to be {' or '.join(states)}", seconds, look))

    def wait_for_try(self, task: str, number: int, seconds: float = 300) -> None:
        """Until that try of the task runs, or has ended."""

        def look() -> bool:
            found = self.tasks()[task]
            return found["try_number"] > number or (
                found["try_number"] == number and found["state"] in {"running", *FINAL, *WAITING}
            )

        wait_for(f"try {number} of {self.dag_id}.{task}", seconds, look)

    def wait(self, state: str = "success", seconds: float = 300) -> None:
        """Until the run has ended; a failure tells the last lines of the tasks that failed."""
        wait_for(f"{self.dag_id} {self.run_id} to end", seconds, lambda: self.facts()["state"] in ENDED)
        found = self.facts()["state"]
        if found != state:
            pytest.fail(self._story(f"{self.dag_id} {self.run_id} is {found}, not {state}"), pytrace=False)

    def _story(self, headline: str) -> str:
        failed = [name for name, state in self.states().items() if state in ("failed", "up_for_retry")]
        lines = [f"{name}: {self.last_line(name)}" for name in failed]
        return "\n".join([headline, str(self.states()), *lines])

    def question(self, task: str) -> dict[str, Any]:
        return self.airflow.call("GET", f"{self.path}/taskInstances/{task}/-1/hitlDetails")

    def answer(self, answers: Mapping[str, tuple[str, str | None]], seconds: float = 240) -> None:
        """Answer approvals, ``{task: (option, reason)}``, until each task has ended.

        Airflow 3.3 takes an answer that comes within a second of the question, before its scheduler has seen the task
        waiting, for a failed try and asks again; so the answers here take their time, and are repeated when asked again.
        """
        asked: dict[tuple[str, int], float] = {}

        def look() -> bool:
            tasks = self.tasks()
            for task, (option, reason) in answers.items():
                state, number = tasks[task]["state"], tasks[task]["try_number"]
                since = asked.setdefault((task, number), time.monotonic()) if state in WAITING else 0
                if since and time.monotonic() - since > THINKING:
                    self.respond(task, option, reason)
                    asked[task, number] = float("inf")
                if state in ("failed", "upstream_failed"):
                    pytest.fail(self._story(f"{task} is {state}"), pytrace=False)
            return all(tasks[task]["state"] in FINAL for task in answers)

        wait_for(f"{', '.join(answers)} of {self.dag_id} to be answered", seconds, look)

    def respond(self, task: str, option: str, reason: str | None = None) -> None:
        """Answer an approval that has no answer yet."""
        path = f"{self.path}/taskInstances/{task}/-1/hitlDetails"
        if not self.airflow.call("GET", path)["response_received"]:
            self.airflow.call("PATCH", path, {"chosen_options": [option], "params_input": {"reason": reason}})

    def xcom(self, task: str, key: str = "return_value", map_index: int = -1) -> Any:
        path = f"{self.path}/taskInstances/{task}/xcomEntries/{quote(key, safe='')}"
        return self.airflow.call("GET", path, deserialize=False, stringify=False, map_index=map_index)[
            "value"
        ]

    def events(self) -> dict[str, dict[str, Any]]:
        """Extra of the asset events that the run made, by URI."""
        found = self.airflow.call(
            "GET", "/assets/events", source_dag_id=self.dag_id, source_run_id=self.run_id, limit=100
        )
        return {event["uri"]: event["extra"] for event in found["asset_events"]}

    def links(self, task: str) -> dict[str, str | None]:
        """Addresses of the task's extra links by their names, as the UI gets them."""
        return dict(self.airflow.call("GET", f"{self.path}/taskInstances/{task}/links")["extra_links"])

    def stored(self, task: str, key: str) -> Any:
        """A value of the task's state store."""
        return self.airflow.call("GET", f"{self.path}/taskInstances/{task}/state-store/{key}")["value"]

    def log(self, task: str, try_number: int | None = None) -> list[dict[str, Any]]:
        number = try_number or self.tasks()[task]["try_number"]
        path = f"{self.path}/taskInstances/{task}/logs/{number}"
        content = self.airflow.call("GET", path, full_content=True)["content"]
        return [event for event in content if isinstance(event, dict)]

    def last_line(self, task: str) -> str:
        """The last line of the task's newest log that says why: its message, with that of the exception."""
        told = ""
        for event in self.log(task):
            if str(event.get("level", "")).lower() in ("error", "critical"):
                causes = [str(e.get("exc_value", "")) for e in event.get("error_detail") or []]
                told = " ".join([str(event.get("event", "")), *causes[:1]])
        return told

    def said(self, task: str) -> str:
        """The whole log as text."""
        return "\n".join(json.dumps(event) for event in self.log(task))

    def set_task(self, task: str, state: str) -> None:
        self.airflow.call("PATCH", f"{self.path}/taskInstances/{task}", {"new_state": state})

    def clear(self, *tasks: str, downstream: bool = False) -> None:
        if not tasks:
            self.airflow.call("POST", f"{self.path}/clear", {"dry_run": False})
            return
        body = {
            "dry_run": False, "dag_run_id": self.run_id, "task_ids": list(tasks), "only_failed": False,
            "include_downstream": downstream, "reset_dag_runs": True,
        }  # fmt: skip
        self.airflow.call("POST", f"/dags/{self.dag_id}/clearTaskInstances", body)
