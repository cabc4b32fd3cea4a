"""Backfills rows from before the connector, month by month, without a snapshot of the whole table.

    airflow backfill create --dag-id backfill_salaries --from-date 1990-01-01 --to-date 1993-12-31 --max-active-runs 2

Each run has the connector read the rows of its own month, archives and proves them. Nothing is deleted at the source.
"""

from datetime import timedelta

from airflow_provider_chista.dag import ArchiveTable, archive_dag

backfill_salaries = archive_dag(
    "backfill_salaries",
    tables=[
        ArchiveTable(
            "employees.salaries", "archive_mysql.salaries_backfill", time_column="from_date", purge=False
        )
    ],
    snapshot="windows",
    cron="@monthly",
    connector="mysql-connector-backfill",
    topic_prefix="mysql1backfill",
    source_conn_id="mysql_verify",
    purge_conn_id="mysql_purge",
    capture_conn_id="mysql_capture",
    capture_password="${env:CHISTA_MYSQL_CAPTURE_PASSWORD}",
    retention=timedelta(days=365),
    doc_md=__doc__,
)
