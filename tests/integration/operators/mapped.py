"""A Dag that lists the partitions of tables and drains them as mapped tasks.

The variable ``MAPPED`` has the arguments of the Dag's tasks as JSON.
"""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime

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
