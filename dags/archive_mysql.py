"""Archives tables of MySQL into ClickHouse, and deletes at the source what is proven and approved.

`test.chista` has no date, so every run archives it whole. `employees.salaries` is archived by the range of its
`from_date`. `employees.employees` is the parent of ON DELETE CASCADE keys: it is archived and proven, never purged.
"""

from datetime import timedelta

from airflow_provider_chista.dag import ArchiveTable, archive_dag

archive_mysql = archive_dag(
    "archive_mysql",
    tables=[
        ArchiveTable("test.chista", "archive_mysql.chista"),
        ArchiveTable("employees.salaries", "archive_mysql.salaries", time_column="from_date"),
        ArchiveTable("employees.employees", "archive_mysql.employees", purge=False),
    ],
    connector="mysql-connector-1",
    topic_prefix="mysql1",
    source_conn_id="mysql_verify",
    purge_conn_id="mysql_purge",
    capture_conn_id="mysql_capture",
    capture_password="${env:CHISTA_MYSQL_CAPTURE_PASSWORD}",
    retention=timedelta(days=365),
    doc_md=__doc__,
)
