"""What Airflow loads through the entry point group ``airflow.plugins``.

Scheduler, Dag processor, triggerer, API server, workers and every command import this module: it stays free of heavy
imports. (The key ``plugins`` of the provider information would not do: Airflow ignores it with its default
``[core] lazy_discover_providers = True``.)
"""

from __future__ import annotations

from typing import Any

from airflow.plugins_manager import AirflowPlugin

from airflow_provider_chista.timetables.retention import RetentionTimetable

_ICONS = {"icon": "chista/static/icon.svg", "icon_dark_mode": "chista/static/icon-dark.svg"}


class ChistaPlugin(AirflowPlugin):
    """Registers the timetable, so that a serialised Dag that uses it can be read by every component, and the page."""

    name = "chista"
    timetables = [RetentionTimetable]  # noqa: RUF012  # Airflow's own plugin class declares it so
    # Addresses without a leading slash follow Airflow's base URL.
    external_views = [  # noqa: RUF012
        {
            "name": "Archive",
            "href": "chista/page",
            "destination": "nav",
            "category": "browse",
            "url_route": "archive",
            **_ICONS,
        },
        {
            "name": "Archive",
            "href": "chista/page?dag_id={DAG_ID}",
            "destination": "dag",
            "url_route": "archive_dag",
            **_ICONS,
        },
        {
            "name": "Archive",
            "href": "chista/page?dag_id={DAG_ID}&run_id={RUN_ID}",
            "destination": "dag_run",
            "url_route": "archive_run",
            **_ICONS,
        },
    ]

    @property
    def fastapi_apps(self) -> list[dict[str, Any]]:  # type: ignore[override]  # Airflow reads it from an instance
        """The page's application; read by the API server alone, which keeps FastAPI out of every other process."""
        from airflow_provider_chista.web.app import build_app

        return [{"app": build_app(), "url_prefix": "/chista", "name": "Chista archive"}]
