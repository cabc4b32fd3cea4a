"""Operator: the connector sends the rows of a window that it never captured."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airflow.sdk import Context

from airflow_provider_chista.errors import FatalError
from airflow_provider_chista.hooks.errors import airflow_errors
from airflow_provider_chista.hooks.window import run_window, stored
from airflow_provider_chista.lineage import SNAPSHOT, Moved, Traced
from airflow_provider_chista.links import ConnectorLink
from airflow_provider_chista.sensors.base import CheckSensor


class SnapshotWindowOperator(Traced, CheckSensor):
    """Has the connector read the rows of the run's window by Debezium's incremental snapshot, and waits until it has.

    For rows that are older than the connector and in no snapshot of it, as where it was registered with
    ``snapshot.mode=no_data``: a backfill then brings one window after the other into the topic, beside the stream. The
    request is a row of ``chista.signal`` with the window as its condition. Each window is asked for once for each label:
    a retry, a cleared task and another run of the window do not read it once more. Several windows may be asked for at a
    time; Debezium reads them one after the other, and all are done when the last of them is.

    Returns the rows that the connector read last for the table. Waits as a sensor does, deferrable too; the
    window is found as in every operator (:func:`airflow_provider_chista.archive.window.resolve`). Other parameters:
    :class:`CheckSensor`.

    :param connector: the connector's name; :param topic_prefix: its ``topic.prefix``.
    :param table: source table, ``schema.table``; it needs a primary key.
    :param time_column: the table's time column.
    :param window_start: first day of the window, ISO-8601 UTC.
    :param window_end: its end, exclusive.
    :param again: a label under which the window is read again, such as ``after-incident-7``.
    """

    check = "snapshot_completed"
    operator_extra_links = (ConnectorLink(),)
    template_fields: Sequence[str] = (
        "connector",
        "topic_prefix",
        "table",
        "window_start",
        "window_end",
        "again",
        "source_conn_id",
    )

    def __init__(
        self,
        *,
        connector: str,
        topic_prefix: str,
        table: str,
        time_column: str,
        source_conn_id: str,
        window_start: str | None = None,
        window_end: str | None = None,
        again: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(source_conn_id=source_conn_id, **kwargs)
        self.connector = connector
        self.topic_prefix = topic_prefix
        self.table = table
        self.time_column = time_column
        self.window_start = window_start
        self.window_end = window_end
        self.again = again

    def execute(self, context: Context) -> Any:
        """Ask for the rows and wait."""
        return self._sent(super().execute(context))

    def execute_complete(self, context: Context, event: dict[str, Any]) -> Any:
        """What the trigger found."""
        return self._sent(super().execute_complete(context, event))

    def _sent(self, rows: dict[str, int]) -> dict[str, int]:
        read = sum(rows.values())
        self.moved = Moved(SNAPSHOT, read=read, written=read)
        return rows

    def arguments(self, context: Context) -> dict[str, Any]:
        """Arguments of the check."""
        with airflow_errors():
            if not self.time_column:
                raise FatalError(
                    f"{self.table} has no time_column, so it has no windows; read all of it by SnapshotCompletedSensor with "
                    "again"
                )
            window = run_window(context, self.time_column, self.window_start, self.window_end)
        return {
            "connector": self.connector,
            "topic_prefix": self.topic_prefix,
            "tables": [self.table],
            "again": self.again or None,
            "window": stored(window),
        }
