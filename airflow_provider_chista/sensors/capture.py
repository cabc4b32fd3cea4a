"""Sensor: the barrier between the source and the archive."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from airflow.sdk import Context

from airflow_provider_chista.links import ConnectorLink
from airflow_provider_chista.sensors.base import CheckSensor


class SourceCapturedSensor(CheckSensor):
    """Waits until everything committed at the source before now is in Kafka, acknowledged; returns the end offsets.

    Writes a marker row at the source and waits until the connector's committed offset has passed it
    (``archive/barrier.py`` tells why that is strict). Draining to the returned offsets, ``{topic: {partition: end}}``,
    brings all of it into ClickHouse. Other parameters: :class:`CheckSensor`.

    :param connector: the connector's name.
    :param topic_prefix: its ``topic.prefix``.
    :param tables: source tables whose topics the barrier covers; the purge log is always covered.
    """

    check = "source_captured"
    operator_extra_links = (ConnectorLink(),)
    template_fields: Sequence[str] = ("connector", "topic_prefix", "tables", "source_conn_id")

    def __init__(
        self, *, connector: str, topic_prefix: str, tables: list[str], source_conn_id: str, **kwargs: Any
    ) -> None:
        super().__init__(source_conn_id=source_conn_id, **kwargs)
        self.connector = connector
        self.topic_prefix = topic_prefix
        self.tables = tables

    def arguments(self, context: Context) -> dict[str, Any]:
        """Arguments of the check; the marker is named after the try, so that a cleared task takes a new barrier."""
        ti = context["ti"]
        name = f"{ti.dag_id}\x1f{ti.run_id}\x1f{ti.task_id}\x1f{ti.map_index}\x1f{ti.try_number}"
        return {
            "connector": self.connector,
            "topic_prefix": self.topic_prefix,
            "tables": self.tables,
            "marker_id": hashlib.sha256(name.encode()).hexdigest()[:40],
        }
