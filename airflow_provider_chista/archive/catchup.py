"""Bring an archive table to a barrier: purge log first, then the table's topic, then decide the waiting deletes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from clickhouse_connect.driver.client import Client

from airflow_provider_chista.archive import deletes, positions
from airflow_provider_chista.archive.barrier import Barrier
from airflow_provider_chista.archive.batches import SchemaChangedError
from airflow_provider_chista.archive.drain import Drain
from airflow_provider_chista.archive.policies import DeletePolicy, TruncatePolicy
from airflow_provider_chista.archive.purgelog import PurgeLogSink
from airflow_provider_chista.archive.report import DrainLimits, DrainReport
from airflow_provider_chista.archive.sinks import TableSink
from airflow_provider_chista.archive.topic import Kafka
from airflow_provider_chista.clickhouse.control import Control
from airflow_provider_chista.clickhouse.types import TypeMap
from airflow_provider_chista.debezium.avro import AvroReader
from airflow_provider_chista.debezium.config import control_topic, topic_name
from airflow_provider_chista.model import Table, TableId
from airflow_provider_chista.sources.base import CONTROL_SCHEMA


@dataclass(slots=True)
class TableDrain:
    """Drains one source table into one archive table.

    :param prefix: the connector's ``topic.prefix``.
    :param table: the source table as the archive holds it.
    :param task: who drains, named in dead letters.
    :param truncates: what a TRUNCATE does to the archive.
    :param refresh: reads the source's catalogue and lets the archive table follow, given the columns that records from
        before they were added lack; None: ``table`` stays, and a record with other columns stops the drain.
    :param partitions: those of the table's topic to drain; None: all.
    :param ignored: columns that neither the source nor the archive has; their values in old records are dropped.
    :param avro: reads the connector's records in Avro; None: they are JSON.
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
    truncates: TruncatePolicy = TruncatePolicy.STOP
    refresh: Callable[[Collection[str]], Table] | None = None
    ignored: Collection[str] = ()
    stopped: Callable[[], bool] = lambda: False
    progress: Callable[[DrainReport], None] = lambda report: None
    partitions: Collection[int] | None = None
    avro: AvroReader | None = None

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
            log = PurgeLogSink(self.control, CONTROL_SCHEMA, self.avro)
            # Tables drain one purge log side by side: its entries are the same whoever writes them.
            logged = self._drain(log, f"purge_log:{self.purge_log_topic}", task=None).run(
                self.purge_log_topic, ends[self.purge_log_topic]
            )
            decidable = logged.reached_end and bool(ends[self.topic])
        report = self._following(ends.get(self.topic))
        summary = report.summary()
        if decidable and report.reached_end and self._all_reached(report.generation, ends[self.topic]):
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

    def _all_reached(self, generation: int, ends: Mapping[int, int]) -> bool:
        """Whether the partitions that other tasks drain are at the barrier too: the last one decides the deletes."""
        if self.partitions is None:
            return True
        reached = positions.recorded(self.control, str(self.target), self.topic, generation)
        return all(reached.get(partition, 0) >= end for partition, end in ends.items())

    def _following(self, ends: Mapping[int, int] | None) -> DrainReport:
        """Drain the table's topic by a catalogue that is newer than every record up to the ends.

        Records are older than that catalogue, never younger: they may have columns that are gone (the archive keeps them) and
        lack columns that came later (:attr:`Column.added`). A column that the archive was created with, and that older
        records lack, is found at the first such record; the archive takes note, and the drain goes on there. Each column
        stops it once at most.
        """
        if self.refresh is None:
            return self._drain(self._sink(), str(self.target), self.task).run(self.topic, ends)
        ends = dict(self.kafka.describe(self.topic).ends) if ends is None else ends
        self.table = self.refresh(())
        before: DrainReport | None = None
        while True:
            try:
                return self._drain(self._sink(), str(self.target), self.task).run(self.topic, ends, before)
            except SchemaChangedError as change:
                if not change.lacking:
                    raise
                self.table, before = self.refresh(change.lacking), change.report
                if any(column.name in change.lacking and not column.added for column in self.table.columns):
                    raise

    def _sink(self) -> TableSink:
        return TableSink(
            self.client,
            self.control,
            self.types,
            self.table,
            self.target,
            self.policy,
            self.task,
            self.truncates,
            self.ignored,
            self.avro,
        )

    def _drain(self, sink: TableSink | PurgeLogSink, target: str, task: str | None) -> Drain:
        return Drain(
            self.kafka,
            self.control,
            sink,
            target,
            self.limits,
            self.stopped,
            self.progress,
            self.accept_gap,
            task,
            None if isinstance(sink, PurgeLogSink) else self.partitions,
        )
