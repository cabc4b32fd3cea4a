"""Metrics of the stages, sent by Airflow's own Stats (StatsD, Datadog or OpenTelemetry, as Airflow is configured).

Each is sent under its name with tags. Plain StatsD drops tags, so that a name would mix up all tables there; as Airflow does
for its own metrics, and while its setting ``[metrics] legacy_names_on`` is on, each is sent under the name with the archive
table behind it too. ``docs/metrics.md`` lists them.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from airflow.sdk import Context
from airflow.sdk.configuration import conf
from airflow.sdk.observability.stats import Stats, normalize_name_for_stats

log = logging.getLogger(__name__)


class Kind(StrEnum):
    """``counter``: what came since it was sent last; ``gauge``: the state of now; ``timing``: milliseconds of a task."""

    COUNTER = "counter"
    GAUGE = "gauge"
    TIMING = "timing"


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric; ``meaning`` is what the documentation says of it."""

    name: str
    kind: Kind
    meaning: str


DRAIN_RECORDS = Metric(
    "chista.drain.records",
    Kind.COUNTER,
    "records of the table's topic that were drained, dead letters included; sent with each micro-batch",
)
DRAIN_DEAD_LETTERS = Metric(
    "chista.drain.dead_letters", Kind.COUNTER, "records of them that went to the dead letters"
)
DRAIN_LAG = Metric(
    "chista.drain.lag",
    Kind.GAUGE,
    "records that are left up to the end offsets that the drain works towards; sent with each micro-batch and at the end. "
    "Of mapped drains each sends that of its partitions, with the tag `partitions`",
)
DRAIN_DURATION = Metric("chista.drain.duration", Kind.TIMING, "how long a drain took")
VERIFY_ROWS = Metric(
    "chista.verify.rows", Kind.COUNTER, "rows that were proven equal, or compared by a check"
)
VERIFY_DIFFERING = Metric(
    "chista.verify.differing",
    Kind.COUNTER,
    "rows that are missing from the archive, only there, or differ, when a proof or a check failed by them",
)
VERIFY_DURATION = Metric("chista.verify.duration", Kind.TIMING, "how long a proof or a check took")
PURGE_DELETED = Metric(
    "chista.purge.deleted",
    Kind.COUNTER,
    "rows that were deleted at the source; sent as they are recorded, those of a killed try by the next one",
)
PURGE_SKIPPED = Metric(
    "chista.purge.skipped",
    Kind.COUNTER,
    "proven rows that the purge left at the source, or did not find there",
)
PURGE_DURATION = Metric("chista.purge.duration", Kind.TIMING, "how long a purge took, its pauses included")
RESTORE_ROWS = Metric(
    "chista.restore.rows",
    Kind.COUNTER,
    "rows that were inserted at the source again; sent with each transaction",
)
AUDIT_FINDINGS = Metric("chista.audit.findings", Kind.GAUGE, "findings of a table's newest audit")

METRICS = (
    DRAIN_RECORDS,
    DRAIN_DEAD_LETTERS,
    DRAIN_LAG,
    DRAIN_DURATION,
    VERIFY_ROWS,
    VERIFY_DIFFERING,
    VERIFY_DURATION,
    PURGE_DELETED,
    PURGE_SKIPPED,
    PURGE_DURATION,
    RESTORE_ROWS,
    AUDIT_FINDINGS,
)
"""Every metric of the provider."""

TAGS = {
    "table": "source table, `schema.table`",
    "target": "archive table, `database.table`",
    "dag_id": "the DAG",
    "task_id": "the task, with its groups",
}
"""Tags of every metric, with what they say."""


@dataclass(slots=True)
class Meter:
    """Sends the metrics of one task's work on one table. Nothing that goes wrong with it reaches the task.

    :param tags: see :data:`TAGS`.
    """

    tags: dict[str, str]
    _sent: dict[str, int] = field(default_factory=dict, init=False)

    @classmethod
    def of(cls, context: Context, table: object, target: object) -> Meter:
        """The meter of a running task for a pair of tables."""
        ti = context["ti"]
        return cls({"table": str(table), "target": str(target), "dag_id": ti.dag_id, "task_id": ti.task_id})

    def total(self, metric: Metric, total: int) -> None:
        """Send what a counter has grown by since this was called last; ``total`` is what this try has counted so far."""
        if more := total - self._sent.get(metric.name, 0):
            self._sent[metric.name] = total
            self._send(metric, more)

    def gauge(self, metric: Metric, value: int, **tags: str) -> None:
        """Send a state, with more tags."""
        self._send(metric, value, tags)

    def took(self, metric: Metric, seconds: float) -> None:
        """Send a duration."""
        self._send(metric, seconds * 1000.0)

    def _send(self, metric: Metric, value: float, more: Mapping[str, str] | None = None) -> None:
        tags = {**self.tags, **(more or {})}
        try:
            for name in self._names(metric):
                match metric.kind:
                    case Kind.COUNTER:
                        Stats.incr(name, int(value), tags=tags)
                    case Kind.GAUGE:
                        Stats.gauge(name, value, tags=tags)
                    case Kind.TIMING:
                        Stats.timing(name, value, tags=tags)
        except Exception:  # a purge does not end because of its metrics
            log.warning("the metric %s could not be sent", metric.name, exc_info=True)

    def _names(self, metric: Metric) -> list[str]:
        names = [metric.name]
        if conf.getboolean("metrics", "legacy_names_on", fallback=True):
            # A dot would be a level of its own to StatsD, as in Airflow's own names.
            own = normalize_name_for_stats(self.tags["target"].replace(".", "__"), log_warning=False)
            names.append(f"{metric.name}.{own}")
        return names
