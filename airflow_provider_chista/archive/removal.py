"""Whole partitions in place of rows: every row of a partition is compared with the proof under the lock that ends it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from airflow_provider_chista.archive.manifest import Manifests
from airflow_provider_chista.archive.settle import settle
from airflow_provider_chista.errors import RefusedError
from airflow_provider_chista.model import Window, describe, names
from airflow_provider_chista.sources.base import Source
from airflow_provider_chista.sources.partitions import Partition, PartitionAction

_CHUNK = 20_000


@dataclass(frozen=True, slots=True)
class Removal:
    """Removes the partitions that lie in a window and hold proven rows only.

    :param source: the source as the purge user.
    """

    source: Source
    manifests: Manifests
    window: Window | None
    action: PartitionAction

    def reasons(self) -> Iterator[str]:
        """Why the window's partitions cannot be removed, each with the way out."""
        found = self.source.partitions(self.manifests.table, self.window, self.action)
        yield from found.reasons
        if found.partly:
            yield (
                f"{describe(self.window)} covers only a part of {names(list(map(str, found.partly)))}, by their bounds, and "
                "has rows there; choose a window that whole partitions lie in, or use method='rows'"
            )

    def partitions(self) -> Sequence[Partition]:
        """The partitions to remove. One that is gone already, or is empty, is none of them."""
        return self.source.partitions(self.manifests.table, self.window, self.action).whole

    def remove(self, partition: Partition, verify_id: str, batch_id: str) -> int:
        """Remove a partition; return how many rows it had. They are in the source's purge log then.

        :raises RefusedError: it has a row that is not proven, or not in the archive as proven; nothing of it was removed.
        """

        def proven(pairs: Sequence[tuple[str, str]]) -> None:
            rows = self.manifests.rows(verify_id, [key for key, _ in pairs])
            hashes = {row.row_key: row.row_hash for row in rows}
            unproven = [key for key, row_hash in pairs if hashes.get(key) != row_hash]
            if unproven:
                raise _unproven(partition, unproven, "the proof does not have as they are")
            archived = self.manifests.still_archived(rows)
            if len(archived) < len(pairs):
                lacking = [key for key, _ in pairs if key not in archived]
                raise _unproven(partition, lacking, "are no longer in the archive as proven")

        return self.source.remove_partition(self.manifests.table, partition, batch_id, proven, self.action)

    def settle_others(self, verify_id: str, batch_id: str) -> None:
        """Record why proven rows were in none of the removed partitions."""
        position = -1
        while rows := self.manifests.unsettled(verify_id, batch_id, position, _CHUNK):
            keys = [row.row_key for row in rows]
            present = self.source.present(self.manifests.table, keys)
            outcomes = {
                key: ("skipped", "in another partition" if key in present else "gone from the source")
                for key in keys
            }
            settle(self.manifests, batch_id, rows, outcomes)
            position = rows[-1].position


def _unproven(partition: Partition, keys: Sequence[str], why: str) -> RefusedError:
    return RefusedError(
        f"partition {partition} has {len(keys)} rows that {why}, such as {names(list(keys[:5]))}; nothing of it was removed. "
        "Drain, verify and approve the window again"
    )
