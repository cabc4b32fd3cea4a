"""Archives tables of PostgreSQL into ClickHouse, and deletes at the source what is proven and approved.

`public.shipments` is archived by the ISO-8601 dates in its text column `date_created`, `employees.salaries` by the range of
its `from_date`. `employees.employees` is the parent of ON DELETE CASCADE keys: it is archived and proven, never purged.
"""

from datetime import timedelta

from airflow_provider_chista.dag import ArchiveTable, archive_dag

archive_postgres = archive_dag(
    "archive_postgres",
    tables=[
        ArchiveTable("public.shipments", "archive_postgres.shipments", time_column="date_created"),
        ArchiveTable("employees.salaries", "archive_postgres.salaries", time_column="from_date"),
        ArchiveTable("employees.employees", "archive_postgres.employees", purge=False),
    ],
    connector="shipments-connector",
    topic_prefix="shipment",
    slot="chista_shipment",
    publication="chista",
    source_conn_id="postgres_verify",
    purge_conn_id="postgres_purge",
    capture_conn_id="postgres_capture",
    capture_password="${env:CHISTA_POSTGRES_CAPTURE_PASSWORD}",
    retention=timedelta(days=365),
    doc_md=__doc__,
)
