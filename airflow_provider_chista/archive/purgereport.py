"""How a purge works, and what it did."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Any

from airflow_provider_chista.archive.policies import DeletePolicy
from airflow_provider_chista.archive.throttle import ThrottleOptions, Verdict
from airflow_provider_chista.errors import FatalError
from airflow_provider_chista.sources.partitions import PartitionAction

FINISHED = "finished"


class PurgeMethod(StrEnum):
    """``rows``: guarded deletes. ``partition``: partitions that lie in the window are removed whole; PostgreSQL only."""

    ROWS = "rows"
    PARTITION = "partition"


@dataclass(frozen=True, slots=True)
class PurgeOptions:
    """How a purge works.

    :param retention: a window that ends later than now minus this is refused.
    :param policy: the table's delete policy; ``mirror`` is refused.
    :param txn_size: rows per source transaction (pt-archiver's name).
    :param parallel: transactions at a time, each with a connection of its own to the source.
    :param dry_run: print SQL and counts, delete nothing.
    :param require_approval: refuse without an approval of this proof in the ledger.
    :param listed: foreign keys, triggers and unsealed batches that are known and accepted, as the refusal spells them.
    :param min_replicas: replicas of the archive table that must hold every proven row.
    :param method: how rows leave the source; a batch is worked on by one method from its beginning.
    :param partition_action: what becomes of a partition, with the method ``partition``.
    :param slot: the connector's replication slot; :param publication: its publication; both PostgreSQL only.
    :param throttle: what holds it back.
    """

    retention: timedelta
    policy: DeletePolicy = DeletePolicy.ARCHIVE
    txn_size: int = 1_000
    parallel: int = 1
    dry_run: bool = False
    require_approval: bool = True
    listed: tuple[str, ...] = ()
    slot: str | None = None
    publication: str | None = None
    min_replicas: int = 1
    method: PurgeMethod = PurgeMethod.ROWS
    partition_action: PartitionAction = PartitionAction.DROP
    throttle: ThrottleOptions = field(default_factory=ThrottleOptions)

    def __post_init__(self) -> None:
        if self.txn_size < 1 or self.parallel < 1:
            raise FatalError(
                f"txn_size is {self.txn_size} and parallel {self.parallel}; a purge needs at least one of each"
            )


@dataclass(slots=True)
class PurgeReport:
    """Outcome of a batch.

    :param proven: rows of the manifest; :param deleted: rows deleted at the source; :param skipped: by reason.
    :param deleted_before: rows of them that earlier tries had deleted and recorded; :param skipped_before: or skipped.
    :param ended: why the run ended: ``finished``, ``limit``, ``run_time``, ``dry_run``, or ``sealed`` when it was before.
    :param partitions: those that were removed, or would be by a dry run, by name.
    :param throttled: paused seconds by factor; of factors that held at once each counts.
    :param throttled_seconds: paused seconds in all.
    """

    batch_id: str
    verify_id: str
    proven: int
    deleted: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    deleted_before: int = 0
    skipped_before: int = 0
    seconds: float = 0.0
    dry_run: bool = False
    ended: str = FINISHED
    partitions: list[str] = field(default_factory=list)
    throttled: dict[str, float] = field(default_factory=dict)
    throttled_seconds: float = 0.0

    @property
    def done(self) -> int:
        """Rows of the batch that were decided on, by any try."""
        return self.deleted + self.skipped.total()

    @property
    def done_before(self) -> int:
        """Those of earlier tries."""
        return self.deleted_before + self.skipped_before

    @property
    def unfinished(self) -> bool:
        """Whether rows of the batch are left, for a run that goes on with it."""
        return self.ended in (Verdict.LIMIT, Verdict.RUN_TIME)

    def summary(self) -> dict[str, Any]:
        """The report as JSON values."""
        return {
            "batch_id": self.batch_id,
            "verify_id": self.verify_id,
            "proven": self.proven,
            "deleted": self.deleted,
            "skipped": dict(self.skipped),
            "seconds": round(self.seconds, 3),
            "dry_run": self.dry_run,
            "ended": self.ended,
            "partitions": self.partitions,
            "throttled": {name: round(seconds, 3) for name, seconds in self.throttled.items()},
            "throttled_seconds": round(self.throttled_seconds, 3),
        }
