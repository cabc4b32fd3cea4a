"""A Dag that lists the partitions of tables and drains them as mapped tasks, run by Airflow itself.

A program of its own, so that Airflow has a fresh metadata database: ``python -m tests.integration.operators.mapped``. The
variable ``MAPPED`` has the arguments of the Dag's tasks as JSON; the last line of the output is what became of the tasks.
"""

from __future__ import annotations

import json
import os
import sys
from datetime import UTC, datetime

from airflow.dag_processing.dagbag import DagBag
from airflow.sdk import DAG

from airflow_provider_chista.operators.drain import DrainTopicOperator
from airflow_provider_chista.operators.partitions import ListTopicPartitionsOperator

given = json.loads(os.environ["MAPPED"])
shared = {name: given[name] for name in ("topic_prefix", "source_conn_id")}
with DAG("mapped", schedule=None, start_date=datetime(2024, 1, 1, tzinfo=UTC)):
    listed = ListTopicPartitionsOperator(task_id="list", tables=given["tables"], **shared)
    DrainTopicOperator.partial(
        task_id="drain",
        delete_policy="mirror",
        max_dead_letters=2,
        map_index_template="{{ [task.table, task.partitions] | select | join(' ') }}",
        **shared,
    ).expand_kwargs(listed.output)

if __name__ == "__main__":
    run = DagBag(dag_folder=__file__, bundle_name="dags-folder").dags["mapped"].test()
    tasks = sorted(run.get_task_instances(), key=lambda ti: (ti.task_id, ti.map_index))
    states = [[ti.task_id, ti.map_index, ti.rendered_map_index, ti.state] for ti in tasks]
    sys.stdout.write(json.dumps([run.state, *states]) + "\n")
