"""Keeps live copies in ClickHouse seconds behind the sources, for analytics.

One run follows another; each follows its topics for five minutes. The copies have the delete policy `mirror`: a row
deleted at the source disappears from the copy too, whoever deleted it. They follow the topics that the archive Dags'
connectors fill, with positions of their own, so an archive and a live copy never disturb each other.
"""

from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG, TaskGroup

from airflow_provider_chista.operators.drain import DrainTopicOperator
from airflow_provider_chista.operators.table import CreateArchiveTableOperator
from airflow_provider_chista.sensors.connector import ConnectorRunningSensor

COPIES = [
    # connection, connector, topic prefix, source table, live copy
    ("mysql_verify", "mysql-connector-1", "mysql1", "test.chista", "live_mysql.chista"),
    ("mariadb_verify", "mariadb-connector-1", "mariadb1", "test.chista", "live_mariadb.chista"),
    ("postgres_verify", "shipments-connector", "shipment", "public.shipments", "live_postgres.shipments"),
]

with DAG(
    "stream_live",
    schedule="@continuous",
    start_date=datetime(2024, 1, 1, tzinfo=UTC),
    max_active_runs=1,
    catchup=False,
    params={"follow_seconds": 300},
    default_args={"retries": 5, "retry_delay": timedelta(seconds=15)},
    tags=["chista", "live"],
    doc_md=__doc__,
):
    for source_conn_id, connector, topic_prefix, table, target in COPIES:
        with TaskGroup(target.replace(".", "_")):
            running = ConnectorRunningSensor(
                task_id="connector_running", connector=connector, source_conn_id=source_conn_id
            )
            create = CreateArchiveTableOperator(
                task_id="create_table", tables={table: target}, source_conn_id=source_conn_id
            )
            follow = DrainTopicOperator(
                task_id="follow",
                table=table,
                target=target,
                topic_prefix=topic_prefix,
                source_conn_id=source_conn_id,
                delete_policy="mirror",
                follow_seconds="{{ params.follow_seconds }}",
            )
            running >> create >> follow
