"""The window of a run, from its Airflow context."""

from __future__ import annotations

from airflow.sdk import Context

from airflow_provider_chista.archive import window as windows
from airflow_provider_chista.model import Window


def run_window(
    context: Context, column: str | None, start: windows.Bound, end: windows.Bound
) -> Window | None:
    """The rows that this run owns; see :func:`airflow_provider_chista.archive.window.resolve`.

    :param column: the time column; None, or empty as a template makes it: the table has none.
    """
    first, last = context.get("data_interval_start"), context.get("data_interval_end")
    dates = windows.RunDates(
        params=context.get("params") or {},
        interval=(first, last) if first and last else None,
        logical_date=context.get("logical_date"),
        run_after=getattr(context.get("dag_run"), "run_after", None),
    )
    return windows.resolve(column or None, start, end, dates)


def stored(window: Window | None) -> list[str] | None:
    """A window as JSON values, for a trigger: column, start and end (ISO-8601 UTC)."""
    return [window.column, window.start.isoformat(), window.end.isoformat()] if window else None
