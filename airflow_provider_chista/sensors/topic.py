"""Sensor: a topic has been drained."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airflow.sdk import Context

from airflow_provider_chista.debezium.config import topic_name
from airflow_provider_chista.links import TopicLink
from airflow_provider_chista.model import TableId
from airflow_provider_chista.sensors.base import CheckSensor


class TopicDrainedSensor(CheckSensor):
    """Waits until the positions recorded for an archive table have reached the wanted ends of its topic.

    Returns the offsets that are left, which is 0. Other parameters: :class:`CheckSensor`.

    :param table: source table, ``schema.table``.
    :param target: archive table, ``database.table``.
    :param topic_prefix: the connector's ``topic.prefix``.
    :param barrier: end offsets of :class:`SourceCapturedSensor`; None takes the topic's ends at each look.
    """

    check = "topic_drained"
    operator_extra_links = (TopicLink(),)
    template_fields: Sequence[str] = ("table", "target", "topic_prefix", "barrier")

    def __init__(
        self,
        *,
        table: str,
        target: str,
        topic_prefix: str,
        barrier: dict[str, dict[str, int]] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.table = table
        self.target = target
        self.topic_prefix = topic_prefix
        self.barrier = barrier

    def arguments(self, context: Context) -> dict[str, Any]:
        """Arguments of the check."""
        topic = topic_name(self.topic_prefix, TableId.parse(self.table))
        return {
            "topic": topic,
            "target": self.target,
            "ends": self.barrier[topic] if self.barrier is not None else None,
        }
