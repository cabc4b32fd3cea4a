"""Partitions that are removed whole in place of their rows: what an engine must be able to do, and that most cannot."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from airflow_provider_chista.errors import RefusedError
from airflow_provider_chista.model import Table, TableId, Window
from airflow_provider_chista.sources.session import Session


class PartitionAction(StrEnum):
    """What becomes of a partition: ``drop`` removes it, ``detach`` leaves it beside as a table of its own."""

    DROP = "drop"
    DETACH = "detach"


@dataclass(frozen=True, slots=True)
class Partition:
    """A partition, with its own partitions if it has any.

    :param parent: the table that it is a partition of; :param bounds: as the server prints them.
    """

    id: TableId
    parent: TableId
    bounds: str

    def __str__(self) -> str:
        return f"{self.id} ({self.bounds})"


@dataclass(frozen=True, slots=True)
class Partitions:
    """The partitions of a table that hold rows of a window.

    :param whole: those that lie in the window by their bounds, topmost ones; :param partly: all others.
    :param reasons: why none can be removed, whatever they hold, each with the way out.
    """

    whole: tuple[Partition, ...] = ()
    partly: tuple[Partition, ...] = ()
    reasons: tuple[str, ...] = ()


Proven = Callable[[Sequence[tuple[str, str]]], None]
"""Takes (row key, row hash) of rows, and raises when one of them is not proven."""


class PartitionRemoval(Session):
    """The part of a source that removes partitions; without more, it refuses to."""

    def partitions(self, table: Table, window: Window | None, action: PartitionAction) -> Partitions:
        """Which partitions hold rows of the window, and whether the connected user may remove them.

        Only PostgreSQL offers it. MySQL and MariaDB commit before and after each ALTER TABLE, so that the purge log and the
        end of the partition cannot be one transaction: after a crash between them the log would say what is not so.
        """
        return Partitions(
            reasons=(
                f"{self.where}: a statement that drops a partition commits by itself there, so that the purge log cannot be "
                "written in the same transaction; use method='rows'",
            )
        )

    def remove_partition(
        self, table: Table, partition: Partition, batch_id: str, proven: Proven, action: PartitionAction
    ) -> int:
        """Log every row of a partition and remove it, in one transaction that keeps writers out; return its rows.

        :param proven: asked for all rows of the partition, as they are under the lock.
        :raises RefusedError: a row is not proven, or the partition or the table's columns changed; nothing was removed.
        :raises TransientError: a lock was not granted within a few seconds, or sessions wait for the partition; nothing was
            removed.
        """
        raise RefusedError(self.partitions(table, None, action).reasons[0])
