"""Purge batches that were begun and are not sealed: whether their deletes came back, nobody has checked yet."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta

from airflow_provider_chista.archive import window as windows
from airflow_provider_chista.clickhouse.control import Control
from airflow_provider_chista.model import TableId, Window

FORGOTTEN_AFTER = timedelta(days=1)
"""Nothing happened to a batch for so long: no run is at work on it."""


@dataclass(frozen=True, slots=True)
class UnsealedBatch:
    """A batch of an archive table.

    :param window: the window's name in the ledger.
    :param idle: time since a row of it was purged or skipped, or the ledger had an entry.
    """

    batch_id: str
    window: str
    idle: timedelta

    @property
    def forgotten(self) -> bool:
        """Whether no run seems to be at work on it."""
        return self.idle >= FORGOTTEN_AFTER

    def __str__(self) -> str:
        return f"batch {self.batch_id} of the window {self.window} was begun and is not sealed"

    def reason(self, window: Window | None, listed: Collection[str]) -> str | None:
        """Why a window must not be purged beside this batch; None when it may.

        A batch of the same window is sealed together with the window's next one. Batches of other windows run beside each
        other in a backfill: only one that shares rows with this window, or that nobody works on any more, is in the way.

        :param listed: ids of batches that the user accepts.
        """
        if self.window == windows.name(window) or self.batch_id in listed:
            return None
        accept = f", or accept it by listing {self.batch_id}"
        if self.forgotten:
            return f"{self}, and nothing happened to it for {self.idle}; {FINISH}{accept}"
        if windows.overlap(self.window, window):
            return f"{self}, and it may have rows of this window; wait until its run has sealed it{accept}"
        return None


FINISH = (
    "clear the purge of that window and what follows it, so that it is drained and sealed; where another run has proven the "
    "window again since, run SealArchiveOperator for it without a verify_id"
)
"""What to do about a batch that nobody works on."""


def unsealed_batches(control: Control, target: TableId) -> list[UnsealedBatch]:
    """The batches of an archive table that were begun and are not sealed, the one that lay idle longest first."""
    begun = (
        f"SELECT any(batch_id) AS batch_id, any(window) AS window, max(at) AS last FROM {control.name('ledger')}"
        " WHERE target = {target:String} AND stage IN ('intent', 'deleted', 'sealed') GROUP BY verify_id"
        " HAVING countIf(stage = 'intent') > 0 AND countIf(stage = 'sealed') = 0"
    )
    worked = (
        f"SELECT batch_id, max(recorded_at) AS worked FROM {control.name('purged')} WHERE target = {{target:String}}"
        f" AND batch_id IN (SELECT batch_id FROM ({begun})) GROUP BY batch_id"
    )
    rows = control.rows(
        "SELECT batch_id, window, dateDiff('second', greatest(last, worked), now64(6, 'UTC')) AS idle"
        f" FROM ({begun}) AS b LEFT JOIN ({worked}) AS w USING (batch_id) ORDER BY idle DESC",
        {"target": str(target)},
    )
    return [
        UnsealedBatch(row["batch_id"], row["window"], timedelta(seconds=max(0, row["idle"]))) for row in rows
    ]
