"""One drain at a time of a topic's partition into one target.

Nothing depends on it for exactness: what a drain writes is decided by offsets, so two drains of one partition write the same
rows. A lease spares the work done twice, and lets a drain that was given up for dead (a zombie whose task was started again)
notice that it was replaced before it writes again.

A lease is a row in ClickHouse that its holder renews. The clock is ClickHouse's.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_chista.archive.report import DrainReport
from airflow_provider_chista.clickhouse.control import Control
from airflow_provider_chista.errors import TransientError

EXPIRES_SECONDS = 20.0
"""A holder that did not renew its lease for so long is taken for dead."""

_RENEW_SECONDS = 5.0
_POLL_SECONDS = 0.25
_COLUMNS = "partition, epoch, acquired_at, owner, task, released, renewed_at < now64(3) - {expires:Float64} AS expired"


class TakenOverError(TransientError):
    """Another drain has the lease now."""


@dataclass(slots=True)
class Lease:
    """The right to drain some partitions of a topic into a target.

    :param task: who drains. A lease of the same task is taken over at once, since a task that runs again has lost its
        predecessor; one of another task is waited for.

    What the drain has done is written with every renewal, and at the end: the history that the page draws.
    """

    control: Control
    target: str
    topic: str
    partitions: Collection[int]
    task: str
    owner: str = field(default_factory=lambda: uuid.uuid4().hex)
    _report: DrainReport | None = None
    _first_offsets: Mapping[int, int] = field(default_factory=dict)
    _epoch: int = 0
    _acquired_at: Any = None
    _renewed: float = 0.0

    def acquire(self, seconds: float, stopped: Callable[[], bool] = lambda: False) -> None:
        """Take the lease, or wait for it.

        :param seconds: how long to wait for a drain of another task; :param stopped: ends the waiting.
        :raises TransientError: it was not to be had.
        """
        deadline = time.monotonic() + seconds
        while True:
            rows = self._rows()
            waiting = [row for row in rows if self._must_wait(row)]
            if not waiting:
                self._acquired_at = None
                self._epoch = 1 + max((row["epoch"] for row in rows), default=0)
                self._write(released=False)
                if self._first():
                    return
                self.release()
            elif time.monotonic() >= deadline or stopped():
                other = waiting[0]
                raise TransientError(
                    f"{other['task'] or 'another drain'} drains {self.topic}, partition {other['partition']}, into "
                    f"{self.target} and has not ended; run one of them at a time"
                )
            time.sleep(_POLL_SECONDS)

    def require(self) -> None:
        """Renew the lease; :class:`TakenOverError` when another drain has it."""
        for row in self._rows():
            if self._precedes(row):
                raise TakenOverError(
                    f"{row['task'] or 'another drain'} has taken over {self.topic}, partition {row['partition']}, into "
                    f"{self.target}; this drain wrote nothing more. What it recorded is valid"
                )
        if time.monotonic() - self._renewed >= _RENEW_SECONDS:
            self._write(released=False)

    def follow(self, report: DrainReport) -> None:
        """Tell of this drain, which stands at its beginning, from now on."""
        self._report, self._first_offsets = report, dict(report.next_offsets)

    def release(self) -> None:
        """Give it back."""
        self._write(released=True)

    def _must_wait(self, row: dict[str, Any]) -> bool:
        return not (row["released"] or row["expired"] or (self.task and row["task"] == self.task))

    def _precedes(self, row: dict[str, Any]) -> bool:
        """Whether a lease stands above this one: of a later epoch, or the earlier of two that were taken at once."""
        if row["epoch"] != self._epoch or row["owner"] == self.owner:
            return bool(row["epoch"] > self._epoch)
        earlier = (row["acquired_at"], row["owner"]) < (self._acquired_at, self.owner)
        return bool(earlier and not row["released"])

    def _first(self) -> bool:
        rows = self._rows()
        self._acquired_at = next(row["acquired_at"] for row in rows if row["owner"] == self.owner)
        return not any(self._precedes(row) for row in rows)

    def _rows(self) -> list[dict[str, Any]]:
        return self.control.rows(
            f"SELECT {_COLUMNS} FROM {self.control.name('leases')} FINAL"
            " WHERE target = {target:String} AND topic = {topic:String} AND has({partitions:Array(UInt32)}, partition)",
            {
                "target": self.target,
                "topic": self.topic,
                "partitions": list(self.partitions),
                "expires": EXPIRES_SECONDS,
            },
        )

    def _write(self, *, released: bool) -> None:
        self._renewed = time.monotonic()
        self.control.insert(
            "leases",
            [
                {
                    "target": self.target,
                    "topic": self.topic,
                    "partition": partition,
                    "owner": self.owner,
                    "task": self.task,
                    "epoch": self._epoch,
                    "released": int(released),
                    **self._done(partition),
                    **({"acquired_at": self._acquired_at} if self._acquired_at else {}),
                }
                for partition in self.partitions
            ],
        )

    def _done(self, partition: int) -> dict[str, int]:
        if self._report is None:
            return {}
        return {
            "first": self._first_offsets[partition],
            "next_offset": self._report.next_offsets[partition],
            "end_offset": max(self._report.ends[partition], self._report.next_offsets[partition]),
        }
