"""Brings rows that were purged back to the source, by hand.

Trigger it with a purge batch (its `batch_id` is in the ledger and in the purge task's XCom), with row keys, or with a window;
**Dry run** first shows how many rows would come back. The rows are inserted at the source, each compared with the archive
before its transaction commits; rows that are there already are left alone. Before it the archive is drained, so that rows
which the application has deleted do not come back, and behind it once more, so that a window of the restored rows can be
verified, and purged again, at once.
"""

from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG, Param

from airflow_provider_chista.assets import archive_asset
from airflow_provider_chista.operators.drain import DrainTopicOperator
from airflow_provider_chista.operators.restore import RestoreRowsOperator
from airflow_provider_chista.sensors.capture import SourceCapturedSensor

TABLE = {"table": "employees.salaries", "target": "archive_mysql.salaries"}
CONNECTOR = {"connector": "mysql-connector-1", "topic_prefix": "mysql1"}
DAY = {"type": ["null", "string"], "format": "date"}

with DAG(
    "restore_rows",
    schedule=None,
    start_date=datetime(2024, 1, 1, tzinfo=UTC),
    max_active_runs=1,
    catchup=False,
    params={
        "batch_id": Param(None, type=["null", "string"], title="Purge batch"),
        "row_keys": Param(None, type=["null", "array"], title="Row keys"),
        "window_start": Param(None, **DAY, title="First day, UTC"),
        "window_end": Param(None, **DAY, title="End, exclusive, UTC"),
        "conflicts": Param(
            "refuse", enum=["refuse", "skip"], title="Rows that the source has in another form"
        ),
        "dry_run": Param(False, type="boolean", title="Dry run"),
        "reason": Param(None, type=["null", "string"], title="Reason, kept in the ledger"),
    },
    default_args={"retries": 5, "retry_delay": timedelta(seconds=15), "source_conn_id": "mysql_verify"},
    tags=["chista", "restore"],
    doc_md=__doc__,
):
    before = SourceCapturedSensor(task_id="source_captured", tables=[TABLE["table"]], **CONNECTOR)
    deletes = DrainTopicOperator(
        task_id="drain", topic_prefix=CONNECTOR["topic_prefix"], barrier=before.output, **TABLE
    )
    restore = RestoreRowsOperator(
        task_id="restore",
        restore_conn_id="mysql_restore",
        time_column="from_date",
        batch_id="{{ params.batch_id or '' }}",
        row_keys="{{ (params.row_keys or []) | tojson }}",
        conflicts="{{ params.conflicts }}",
        outlets=[archive_asset(TABLE["target"], "restored")],
        **TABLE,
    )
    behind = SourceCapturedSensor(task_id="restore_captured", tables=[TABLE["table"]], **CONNECTOR)
    inserts = DrainTopicOperator(
        task_id="drain_inserts", topic_prefix=CONNECTOR["topic_prefix"], barrier=behind.output, **TABLE
    )
    before >> deletes >> restore >> behind >> inserts
