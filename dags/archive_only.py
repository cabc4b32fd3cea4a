"""Archives a table and proves the copy, once a month. Nothing is ever deleted at the source, and no user may.

The proof is kept in the ledger: a later purge, by another Dag or by hand, starts from it.
"""

from airflow_provider_chista.dag import ArchiveTable, archive_dag

archive_only = archive_dag(
    "archive_only",
    tables=[
        ArchiveTable("employees.dept_emp", "archive_mariadb.dept_emp", time_column="from_date", purge=False)
    ],
    cron="@monthly",
    connector="mariadb-connector-only",
    topic_prefix="mariadb1only",
    source_conn_id="mariadb_verify",
    capture_conn_id="mariadb_capture",
    capture_password="${env:CHISTA_MARIADB_CAPTURE_PASSWORD}",
    doc_md=__doc__,
)
