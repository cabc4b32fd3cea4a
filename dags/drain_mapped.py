"""Drains all tables of one connector side by side, a mapped task for each table and partition.

A table that cannot be drained (another column type, a gap, too many dead letters) fails alone: its archive table is made by
a mapped task of its own, the list is made whatever became of those, and no drain waits for another. The run fails in the
end, so that the table is seen; clear its task when the cause is mended. The copies have positions of their own, beside
those of the archive and the live copies, and the delete policy `archive`: the last task of a table that reaches the
barrier decides its deletes.
"""

from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG

from airflow_provider_chista.operators.drain import DrainTopicOperator
from airflow_provider_chista.operators.partitions import ListTopicPartitionsOperator
from airflow_provider_chista.operators.table import CreateArchiveTableOperator
from airflow_provider_chista.sensors.capture import SourceCapturedSensor
from airflow_provider_chista.sensors.connector import ConnectorRunningSensor

TABLES = {
    "test.chista": "archive_mysql.mapped_chista",
    "employees.salaries": "archive_mysql.mapped_salaries",
    "employees.employees": "archive_mysql.mapped_employees",
}
SOURCE = "mysql_verify"
CONNECTOR = "mysql-connector-1"
TOPICS = "mysql1"

with DAG(
    "drain_mapped",
    schedule="@hourly",
    start_date=datetime(2024, 1, 1, tzinfo=UTC),
    max_active_runs=1,
    catchup=False,
    default_args={"retries": 5, "retry_delay": timedelta(seconds=15), "source_conn_id": SOURCE},
    tags=["chista", "drain"],
    doc_md=__doc__,
):
    running = ConnectorRunningSensor(task_id="connector_running", connector=CONNECTOR)
    captured = SourceCapturedSensor(
        task_id="source_captured", connector=CONNECTOR, topic_prefix=TOPICS, tables=list(TABLES)
    )
    create = CreateArchiveTableOperator.partial(
        task_id="create_table", map_index_template="{{ task.tables | join }}"
    ).expand(tables=[{table: target} for table, target in TABLES.items()])
    listed = ListTopicPartitionsOperator(
        task_id="list_partitions",
        topic_prefix=TOPICS,
        tables=TABLES,
        barrier=captured.output,
        # Of its parents only the barrier must have succeeded; a table that could not be made fails in its drain.
        trigger_rule="all_done_min_one_success",
    )
    drain = DrainTopicOperator.partial(
        task_id="drain",
        topic_prefix=TOPICS,
        barrier=captured.output,
        max_active_tis_per_dagrun=4,
        map_index_template="{{ [task.table, task.partitions] | select | join(' ') }}",
    ).expand_kwargs(listed.output)
    running >> captured >> create >> listed >> drain
