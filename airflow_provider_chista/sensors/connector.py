"""Sensor: the connector and its tasks run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airflow.sdk import Context

from airflow_provider_chista.links import ConnectorLink
from airflow_provider_chista.sensors.base import CheckSensor


class ConnectorRunningSensor(CheckSensor):
    """Waits until a connector and all of its tasks are ``RUNNING``; a ``FAILED`` one is restarted and fails
    the try with its causes.

    Returns the connector's state. Other parameters: :class:`CheckSensor`.

    :param connector: the connector's name.
    """

    check = "connector_running"
    operator_extra_links = (ConnectorLink(),)
    template_fields: Sequence[str] = ("connector",)

    def __init__(self, *, connector: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.connector = connector

    def arguments(self, context: Context) -> dict[str, Any]:
        """Arguments of the check."""
        return {"connector": self.connector}
