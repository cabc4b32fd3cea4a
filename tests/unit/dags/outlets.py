"""The assets of a Dag's tasks."""

from __future__ import annotations

from airflow.sdk import DAG


def outlets(dag: DAG) -> dict[str, list[str]]:
    return {task.task_id: [asset.uri for asset in task.outlets] for task in dag.tasks if task.outlets}
