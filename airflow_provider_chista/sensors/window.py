"""Sensor: a window has been verified."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airflow.sdk import Context

from airflow_provider_chista.hooks.errors import airflow_errors
from airflow_provider_chista.hooks.window import stored
from airflow_provider_chista.links import OfWindow, QueryLink
from airflow_provider_chista.sensors.base import CheckSensor


class WindowVerifiedSensor(OfWindow, CheckSensor):
    """Waits until the run's window of a table has a proof in the ledger, for Dags that purge what another one proved.

    Returns ``verify_id`` and ``rows`` of the proof. The window is found as in every operator
    (:func:`airflow_provider_chista.archive.window.resolve`). Other parameters: :class:`CheckSensor`.

    :param table: source table, ``schema.table``.
    :param target: archive table, ``database.table``.
    :param time_column: the table's time column; None when it is archived whole.
    :param window_start: first day of the window, ISO-8601 UTC.
    :param window_end: its end, exclusive.
    """

    check = "window_verified"
    operator_extra_links = (QueryLink(),)
    template_fields: Sequence[str] = ("table", "target", "window_start", "window_end", "source_conn_id")

    def __init__(
        self,
        *,
        table: str,
        target: str,
        source_conn_id: str,
        time_column: str | None = None,
        window_start: str | None = None,
        window_end: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(source_conn_id=source_conn_id, **kwargs)
        self.table = table
        self.target = target
        self.time_column = time_column
        self.window_start = window_start
        self.window_end = window_end

    def arguments(self, context: Context) -> dict[str, Any]:
        """Arguments of the check."""
        with airflow_errors():
            window = self.window(context)
        return {"table": self.table, "target": self.target, "window": stored(window)}
