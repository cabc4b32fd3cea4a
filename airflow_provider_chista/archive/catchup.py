"""Bring an archive table to a barrier: purge log first, then the table's topic, then decide the waiting deletes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from clickhouse_connect.driver.client import Client

from airflow_provider_chista.archive import deletes
from airflow_provider_chista.archive.barrier import Barrier
from airflow_provider_chista.archive.drain import Drain, DrainLimits, DrainReport
from airflow_provider_chista.archive.sinks import DeletePolicy, PurgeLogSink, TableSink
from airflow_provider_chista.archive.topic import Kafka
from airflow_provider_chista.clickhouse.control import Control
from airflow_provider_chista.clickhouse.types import TypeMap
from airflow_provider_chista.debezium.config import control_topic, topic_name
from airflow_provider_chista.model import Table, TableId
from airflow_provider_chista.sources.base import CONTROL_SCHEMA


@dataclass(slots=True)
class TableDrain:
    """Drains one source table into one archive table.

    :param prefix: the connector's ``topic.prefix``.
    :param task: who drains, named in dead letters.
    """

    kafka: Kafka
    client: Client
    control: Control
    types: TypeMap
    table: Table
    target: TableId
    prefix: str
    policy: DeletePolicy
    limits: DrainLimits = field(default_factory=DrainLimits)
    accept_gap: bool = False
    task: str = ""
    stopped: Callable[[], bool] = lambda: False
    progress: Callable[[DrainReport], None] = lambda report: None

    @property
    def topic(self) -> str:
        """The table's topic."""
        return topic_name(self.prefix, self.table.id)

    @property
    def purge_log_topic(self) -> str:
        """Topic of the purge log of the same connector."""
        return control_topic(self.prefix, "purge_log")

    @property
    def topics(self) -> list[str]:
        """Topics that a barrier for this table must cover."""
        return [self.topic, self.purge_log_topic] if self.policy is DeletePolicy.ARCHIVE else [self.topic]

    def run(self, barrier: Barrier | None = None) -> dict[str, Any]:
        """Drain to the barrier, or to the end offsets of now.

        Deletes are decided only at a barrier, and only when the purge log too was drained to it: a purge's delete whose log
        entry was not read yet would look like the application's.

        :returns: the drain's summary; ``purge_deletes``, ``application_deletes`` and ``held_deletes`` count the deletes
            decided, and those that wait for their entry of the purge log.
        """
        ends = barrier.ends if barrier else {}
        decidable = False
        if self.policy is DeletePolicy.ARCHIVE and barrier:
            log = PurgeLogSink(self.control, CONTROL_SCHEMA)
            logged = self._drain(log, f"purge_log:{self.purge_log_topic}").run(
                self.purge_log_topic, ends[self.purge_log_topic]
            )
            decidable = logged.reached_end and bool(ends[self.topic])
        sink = TableSink(
            self.client, self.control, self.types, self.table, self.target, self.policy, self.task
        )
        report = self._drain(sink, str(self.target)).run(self.topic, ends.get(self.topic))
        summary = report.summary()
        if decidable and report.reached_end:
            decided = deletes.classify(
                self.control,
                self.types,
                self.table,
                self.target,
                topic=self.topic,
                purge_log_topic=self.purge_log_topic,
                generation=report.generation,
                upto=ends[self.topic],
            )
            summary |= {
                "purge_deletes": decided.purge,
                "application_deletes": decided.application,
                "held_deletes": decided.held,
            }
        return summary

    def _drain(self, sink: TableSink | PurgeLogSink, target: str) -> Drain:
        return Drain(
            self.kafka,
            self.control,
            sink,
            target,
            self.limits,
            self.stopped,
            self.progress,
            self.accept_gap,
        )
