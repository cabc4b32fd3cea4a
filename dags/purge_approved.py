"""Purges a table when a person has said so, and sends a mail to the person who is waited for.

The mail goes out when the proof stands and the run waits for the answer. Without an answer within a week nothing is deleted.
It needs the connection `smtp_default`; when the mail cannot be sent, the task's log says so and the run waits all the same.
"""

from datetime import timedelta

from airflow.providers.smtp.notifications.smtp import SmtpNotifier

from airflow_provider_chista.dag import ArchiveTable, archive_dag

purge_approved = archive_dag(
    "purge_approved",
    tables=[ArchiveTable("employees.dept_manager", "archive_postgres.dept_manager", time_column="from_date")],
    cron="@monthly",
    connector="postgres-connector-approved",
    topic_prefix="postgres1approved",
    source_conn_id="postgres_verify",
    purge_conn_id="postgres_purge",
    capture_conn_id="postgres_capture",
    capture_password="${env:CHISTA_POSTGRES_CAPTURE_PASSWORD}",
    approval_timeout=timedelta(days=7),
    approval_notifiers=[
        SmtpNotifier(
            from_email="airflow@example.com",
            to=["data-owners@example.com"],
            subject="{{ task.table }}: proven rows wait for your approval",
            html_content="Run {{ run_id }} asks: {{ task.subject }} Answer it under Required Actions of {{ dag.dag_id }}.",
        )
    ],
    doc_md=__doc__,
)
