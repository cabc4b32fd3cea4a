"""Operator: list what there is to drain of a connector's tables, for mapped drains."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airflow.sdk import Context

from airflow_provider_chista.archive.shares import Share, shares
from airflow_provider_chista.hooks.errors import airflow_errors
from airflow_provider_chista.operators.base import ArchiveOperator


class ListTopicPartitionsOperator(ArchiveOperator):
    """Lists the topics of a connector's tables by table and partition, for ``DrainTopicOperator.partial().expand_kwargs()``.

    Returns a list of ``{"table": ..., "target": ..., "partitions": [...]}``; ``partitions`` is None where one task drains a
    whole topic: it has one partition, or does not exist yet. Shares without records are listed too. Other parameters:
    :class:`ArchiveOperator`.

    :param topic_prefix: the connector's ``topic.prefix``.
    :param tables: source table to archive table.
    :param barrier: end offsets of :class:`SourceCapturedSensor`, whose partitions are listed; None: those of now.
    :param by: ``partition``: a task for each partition of a topic that has several; ``table``: a task for each table.
    """

    template_fields: Sequence[str] = ("topic_prefix", "tables", "barrier", "by", "source_conn_id")

    def __init__(
        self,
        *,
        topic_prefix: str,
        tables: dict[str, str],
        barrier: dict[str, dict[str, int]] | None = None,
        by: str = Share.PARTITION,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.topic_prefix = topic_prefix
        self.tables = tables
        self.barrier = barrier
        self.by = by

    def execute(self, context: Context) -> list[dict[str, Any]]:
        """List."""
        from airflow_provider_chista.archive.barrier import Barrier

        barrier = Barrier.from_json(self.barrier) if self.barrier is not None else None
        with airflow_errors(), self.connections.opened() as services:
            listed = shares(
                services.kafka, self.topic_prefix, self.tables, barrier, Share(self.by), self.log.warning
            )
        self.log.info("%d tables, %d shares to drain", len(self.tables), len(listed))
        return listed
