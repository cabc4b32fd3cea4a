"""Sensor: the rows that were there before the connector have all been sent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airflow.sdk import Context

from airflow_provider_chista.links import ConnectorLink
from airflow_provider_chista.sensors.base import CheckSensor


class SnapshotCompletedSensor(CheckSensor):
    """Waits until a connector has sent the snapshot of each table.

    A table that was added to a running connector is in none of its snapshots: the sensor asks for it once, by Debezium's
    incremental snapshot signal, and waits for that. Returns the rows sent per table. Other parameters:
    :class:`CheckSensor`.

    :param connector: the connector's name.
    :param topic_prefix: its ``topic.prefix``.
    :param tables: source tables, ``schema.table``.
    :param again: a label, such as ``added-column-2024-05``: reads the tables again by an incremental snapshot, once for each
        label, and waits for that, whatever snapshots they had; the remedy for rows that are older than a column. A retry, a
        cleared task and another run with the same label do not read them once more. None, or an empty text: no such request.
    """

    check = "snapshot_completed"
    operator_extra_links = (ConnectorLink(),)
    template_fields: Sequence[str] = ("connector", "topic_prefix", "tables", "again")

    def __init__(
        self,
        *,
        connector: str,
        topic_prefix: str,
        tables: list[str],
        again: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.connector = connector
        self.topic_prefix = topic_prefix
        self.tables = tables
        self.again = again

    def arguments(self, context: Context) -> dict[str, Any]:
        """Arguments of the check."""
        return {
            "connector": self.connector,
            "topic_prefix": self.topic_prefix,
            "tables": self.tables,
            "again": self.again or None,
        }
