"""Dags that only the system tests run: one small archive with a schedule, and every sensor through the triggerer.

`systest_archive` is the factory's Dag for one table, so that a run costs 14 tasks instead of 25; its purge works in
transactions of one row, slowly enough to be killed in the middle. `systest_deferrable` waits for everything in the
triggerer, with connections that only Airflow's metadata database has.
"""

from datetime import UTC, datetime, timedelta

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import DAG

from airflow_provider_chista.dag import WINDOW_PARAMS, ArchiveTable, archive_dag
from airflow_provider_chista.operators.connector import RegisterConnectorOperator
from airflow_provider_chista.operators.drain import DrainTopicOperator
from airflow_provider_chista.operators.purge import PurgeSourceOperator
from airflow_provider_chista.operators.table import CreateArchiveTableOperator
from airflow_provider_chista.operators.verify import VerifyArchiveOperator
from airflow_provider_chista.sensors.capture import SourceCapturedSensor
from airflow_provider_chista.sensors.connector import ConnectorRunningSensor
from airflow_provider_chista.sensors.snapshot import SnapshotCompletedSensor
from airflow_provider_chista.sensors.topic import TopicDrainedSensor
from airflow_provider_chista.sensors.window import WindowVerifiedSensor

QUICK = {"retries": 2, "retry_delay": timedelta(seconds=2)}

systest_archive = archive_dag(
    "systest_archive",
    tables=[ArchiveTable("employees.titles", "archive_mariadb.systest_titles", time_column="from_date")],
    connector="systest-mariadb",
    topic_prefix="systest",
    source_conn_id="mariadb_verify",
    purge_conn_id="mariadb_purge",
    capture_conn_id="mariadb_capture",
    capture_password="${env:CHISTA_MARIADB_CAPTURE_PASSWORD}",
    default_args=QUICK,
    tags=["systest"],
)
for task in systest_archive.tasks:
    if isinstance(task, PurgeSourceOperator):
        task.txn_size = 1

STORED = {
    # Only in Airflow's metadata database; the system tests put them there.
    "source_conn_id": "stored_mysql_verify",
    "kafka_conn_id": "stored_kafka",
    "kafka_connect_conn_id": "stored_kafka_connect",
    "clickhouse_conn_id": "stored_clickhouse",
}
WAIT = {"deferrable": True, "poke_interval": 1, "timeout": 240}
STREAM = {"connector": "systest-mysql", "topic_prefix": "systest_mysql"}
TABLE = "employees.titles"
PAIR = {"table": TABLE, "target": "archive_mysql.systest_titles"}

with DAG(
    "systest_deferrable",
    schedule=None,
    start_date=datetime(2024, 1, 1, tzinfo=UTC),
    params=WINDOW_PARAMS,
    default_args=QUICK,
    tags=["systest"],
):
    verified = WindowVerifiedSensor(
        task_id="window_verified", time_column="from_date", **PAIR, **STORED, **WAIT
    )
    register = RegisterConnectorOperator(
        task_id="register",
        tables=["employees.departments", TABLE],
        capture_conn_id="mysql_capture",
        password="${env:CHISTA_MYSQL_CAPTURE_PASSWORD}",
        **STREAM,
        **STORED,
    )
    running = ConnectorRunningSensor(
        task_id="connector_running", connector=STREAM["connector"], **STORED, **WAIT
    )
    create = CreateArchiveTableOperator(task_id="create", tables={TABLE: PAIR["target"]}, **STORED)
    snapshot = SnapshotCompletedSensor(
        task_id="snapshot_completed", tables=[TABLE], **STREAM, **STORED, **WAIT
    )
    captured = SourceCapturedSensor(task_id="source_captured", tables=[TABLE], **STREAM, **STORED, **WAIT)
    ends = {"topic_prefix": STREAM["topic_prefix"], "barrier": captured.output}
    drained = TopicDrainedSensor(task_id="topic_drained", **ends, **PAIR, **STORED, **WAIT)
    go_on = ApprovalOperator(task_id="go_on", subject="Have all sensors been seen waiting?")
    drain = DrainTopicOperator(task_id="drain", **ends, **PAIR, **STORED)
    verify = VerifyArchiveOperator(task_id="verify", time_column="from_date", **STREAM, **PAIR, **STORED)
    register >> running >> create >> snapshot >> captured >> go_on >> drain >> verify
    captured >> drained
