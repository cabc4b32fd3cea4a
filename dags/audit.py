"""Proves once a week that what was purged is still in the archive as it was, and that nothing lies open.

One mapped task for each table, so that a table with findings fails alone; the run fails with it. A finding is named in the
task's log with what to do about it, damaged rows also in the state table `mismatches`; the ledger gets an entry `audited`
either way. Nothing is changed at the source. Give `window_start` and `window_end` to audit a part of the purges alone.
"""

from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG, Param

from airflow_provider_chista.operators.audit import AuditArchiveOperator

ARCHIVES = {
    # engine: connector, topic prefix, source table to archive table
    "mysql": ("mysql-connector-1", "mysql1", ["test.chista", "employees.salaries", "employees.employees"]),
    "mariadb": (
        "mariadb-connector-1",
        "mariadb1",
        ["test.chista", "employees.salaries", "employees.employees"],
    ),
    "postgres": (
        "shipments-connector",
        "shipment",
        ["public.shipments", "employees.salaries", "employees.employees"],
    ),
}
DAY = {"type": ["null", "string"], "format": "date"}

with DAG(
    "audit",
    schedule="@weekly",
    start_date=datetime(2024, 1, 1, tzinfo=UTC),
    max_active_runs=1,
    catchup=False,
    params={
        "window_start": Param(None, **DAY, title="First day, UTC"),
        "window_end": Param(None, **DAY, title="End, exclusive, UTC"),
    },
    default_args={"retries": 5, "retry_delay": timedelta(seconds=15)},
    tags=["chista", "audit"],
    doc_md=__doc__,
):
    for engine, (connector, topic_prefix, tables) in ARCHIVES.items():
        AuditArchiveOperator.partial(
            task_id=f"audit_{engine}",
            source_conn_id=f"{engine}_verify",
            connector=connector,
            topic_prefix=topic_prefix,
            window_start="{{ params.window_start or '' }}",
            window_end="{{ params.window_end or '' }}",
            map_index_template="{{ task.tables | join }}",
        ).expand(tables=[{table: f"archive_{engine}.{table.partition('.')[2]}"} for table in tables])
