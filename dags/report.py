"""Counts the rows that each newly archived day of shipments has in ClickHouse.

Nobody schedules it by time: the proof of a window in `archive_postgres` is an event of the archive table's asset, and every
such event starts a run, which finds in it which rows are there now. Put your own query here.
"""

from datetime import UTC, datetime, timedelta
from itertools import chain

from airflow.sdk import DAG, task

from airflow_provider_chista.assets import archive_asset
from airflow_provider_chista.hooks.clickhouse import ChistaClickHouseHook

SHIPMENTS = archive_asset("archive_postgres.shipments")
QUERY = """
    SELECT count() FROM archive_postgres.shipments_current
    WHERE date_created >= {window_start:String} AND date_created < {window_end:String}
"""

with DAG(
    "report",
    schedule=SHIPMENTS,
    start_date=datetime(2024, 1, 1, tzinfo=UTC),
    default_args={"retries": 5, "retry_delay": timedelta(seconds=15)},
    tags=["chista", "report"],
    doc_md=__doc__,
):

    @task
    def count_rows(triggering_asset_events):
        """Rows by window, beside those that were proven; several events may have started one run."""
        client = ChistaClickHouseHook().get_client()
        try:
            report = []
            for event in chain.from_iterable(triggering_asset_events.values()):
                window = {bound: event.extra[bound] for bound in ("window_start", "window_end")}
                rows = client.query(QUERY, parameters=window).first_row[0]
                report.append({**window, "rows": rows, "proven": event.extra["rows"]})
            return report
        finally:
            client.close()

    count_rows()
