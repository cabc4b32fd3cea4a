"""Dags whose tasks are killed by test_kills: an archive of one table, and its way back.

Every stage works in many small pieces, so that it can be caught between two of them. Nothing in it sleeps: the purge is
held back by its own throttle.
"""

from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG

from airflow_provider_chista.dag import WINDOW_PARAMS, ArchiveTable, archive_dag
from airflow_provider_chista.operators.drain import DrainTopicOperator
from airflow_provider_chista.operators.purge import PurgeSourceOperator
from airflow_provider_chista.operators.restore import RestoreRowsOperator
from airflow_provider_chista.operators.verify import VerifyArchiveOperator

QUICK = {"retries": 5, "retry_delay": timedelta(seconds=1)}
PIECE = 20
"""Rows of a source transaction; twice as many are in a micro-batch and in a part of the comparison."""

TABLE = ArchiveTable("employees.kills", "archive_mariadb.kills", time_column="day")

systest_kills = archive_dag(
    "systest_kills",
    tables=[TABLE],
    connector="systest-kills",
    topic_prefix="systest_kills",
    source_conn_id="mariadb_verify",
    purge_conn_id="mariadb_purge",
    capture_conn_id="mariadb_capture",
    capture_password="${env:CHISTA_MARIADB_CAPTURE_PASSWORD}",
    throttle={"rows_per_second": 200},
    cron=None,
    default_args=QUICK,
    tags=["systest"],
)
for task in systest_kills.tasks:
    if isinstance(task, DrainTopicOperator) and task.task_id.endswith(".drain"):
        task.batch_rows = 2 * PIECE
    elif isinstance(task, VerifyArchiveOperator):
        task.part_rows = 2 * PIECE
    elif isinstance(task, PurgeSourceOperator):
        task.txn_size = PIECE

with DAG(
    "systest_kills_restore",
    schedule=None,
    start_date=datetime(2024, 1, 1, tzinfo=UTC),
    params=WINDOW_PARAMS,
    default_args=QUICK,
    tags=["systest"],
):
    RestoreRowsOperator(
        task_id="restore",
        table=TABLE.source,
        target=TABLE.target,
        time_column=TABLE.time_column,
        source_conn_id="mariadb_verify",
        restore_conn_id="mariadb_restore",
        txn_size=PIECE,
    )
