"""Runs a Dag of a file by Airflow itself: ``python -m tests.integration.operators.whole FILE DAG [PASSED]``.

A program of its own, so that Airflow has a fresh metadata database. Tasks that match the pattern ``PASSED`` are not run. The
last line of the output is what became of the run and its tasks, as JSON.
"""

from __future__ import annotations

import json
import sys

from airflow.dag_processing.dagbag import DagBag

if __name__ == "__main__":
    file, dag_id, *passed = sys.argv[1:]
    dag = DagBag(dag_folder=file, bundle_name="dags-folder").dags[dag_id]
    run = dag.test(mark_success_pattern=passed[0] if passed else None)
    tasks = sorted(run.get_task_instances(), key=lambda ti: (ti.task_id, ti.map_index))
    states = [[ti.task_id, ti.map_index, ti.rendered_map_index, ti.state] for ti in tasks]
    sys.stdout.write(json.dumps([run.state, *states]) + "\n")
