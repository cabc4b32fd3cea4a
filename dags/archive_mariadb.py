"""Archives tables of MariaDB into ClickHouse, and deletes at the source what is proven and approved.

`test.chista` has no date, so every run archives it whole. `employees.salaries` is archived by the range of its
`from_date`. `employees.employees` is the parent of ON DELETE CASCADE keys: it is archived and proven, never purged.
"""

from datetime import timedelta

from airflow_provider_chista.dag import ArchiveTable, archive_dag

archive_mariadb = archive_dag(
    "archive_mariadb",
    tables=[
        ArchiveTable("test.chista", "archive_mariadb.chista"),
        ArchiveTable("employees.salaries", "archive_mariadb.salaries", time_column="from_date"),
        ArchiveTable("employees.employees", "archive_mariadb.employees", purge=False),
    ],
    connector="mariadb-connector-1",
    topic_prefix="mariadb1",
    source_conn_id="mariadb_verify",
    purge_conn_id="mariadb_purge",
    capture_conn_id="mariadb_capture",
    capture_password="${env:CHISTA_MARIADB_CAPTURE_PASSWORD}",
    retention=timedelta(days=365),
    doc_md=__doc__,
)
