"""What Airflow loads through the entry point group ``airflow.plugins``.

Scheduler, Dag processor, triggerer, API server, workers and every command import this module: it stays free of heavy
imports. (The key ``plugins`` of the provider information would not do: Airflow ignores it with its default
``[core] lazy_discover_providers = True``.)
"""

from __future__ import annotations

from airflow.plugins_manager import AirflowPlugin

from airflow_provider_chista.timetables.retention import RetentionTimetable


class ChistaPlugin(AirflowPlugin):
    """Registers the timetable, so that a serialised Dag that uses it can be read by every component."""

    name = "chista"
    timetables = [RetentionTimetable]  # noqa: RUF012  # Airflow's own plugin class declares it so
