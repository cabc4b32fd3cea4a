"""Follow a topic: one bounded drain after another, at a pace that depends on what arrives.

Every drain is a whole one, with its lease, its plan and its positions, so a follower that is killed leaves what a killed
drain leaves. Between drains:

* What arrives is taken together for a second, so that ClickHouse gets about one part per second and table.
* A drain that brought a full micro-batch is followed by the next one at once: there is a backlog.
* While nothing arrives, only the topic's end offsets are asked for, at growing pauses; source and ClickHouse are left alone.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from typing import Any

from airflow_provider_chista.archive.catchup import TableDrain
from airflow_provider_chista.model import Table

SPACING = 1.0
"""Seconds from the begin of a drain to that of the next, while what arrives does not fill a micro-batch."""

IDLE_PAUSES = (0.1, 0.2, 0.4, 0.8)
"""Seconds between two looks at the topic while nothing arrives; the last one repeats."""

_SUMMED = ("records", "bytes")


@dataclass(slots=True)
class Follower:
    """Drains a table's topic again and again.

    :param wait: waits for seconds; True when the follower shall end. ``Event.wait`` of the task's stop signal.
    """

    drain: TableDrain
    wait: Callable[[float], bool]
    spacing: float = SPACING

    def run(self, seconds: float) -> dict[str, Any]:
        """Follow for that long, or until asked to end.

        :returns: the last drain's summary with ``records``, ``bytes`` and operations of all, and ``drains``, how many.
        """
        deadline = time.monotonic() + seconds
        longest = self.drain.limits.seconds
        sums: Counter[str] = Counter()
        while True:
            begun = time.monotonic()
            left = max(0.5, deadline - begun)
            self.drain.limits = replace(self.drain.limits, seconds=min(longest, left))
            summary = self.drain.run()
            sums.update({key: n for key, n in summary.items() if key in _SUMMED or key.startswith("op_")})
            sums["drains"] += 1
            full = summary["remaining"] or summary["records"] >= self.drain.limits.batch_rows
            pause = 0.0 if full else self.spacing - (time.monotonic() - begun)
            if self._ended(deadline, pause) or not self._arrived(summary, deadline):
                return summary | sums

    def _ended(self, deadline: float, pause: float) -> bool:
        pause = max(0.0, min(pause, deadline - time.monotonic()))
        return self.wait(pause) or time.monotonic() >= deadline

    def _arrived(self, summary: dict[str, Any], deadline: float) -> bool:
        """Wait until the topic's ends are no longer where the last drain stands; False when the time is over first."""
        stands = {int(partition): offset for partition, offset in summary["next_offsets"].items()}
        looks = 0
        while True:
            ends = self.drain.kafka.describe(self.drain.topic).ends
            if any(ends.get(partition) != offset for partition, offset in stands.items()) or (
                self.drain.partitions is None and ends.keys() != stands.keys()
            ):
                return True
            if self._ended(deadline, IDLE_PAUSES[min(looks, len(IDLE_PAUSES) - 1)]):
                return False
            looks += 1


@dataclass(slots=True)
class FollowedTable:
    """The source table as the archive holds it, brought up to date whenever it is asked for (``TableDrain.refresh``).

    The source's catalogue is read each time, since a drain needs one that is newer than its records: with an older one a
    changed type would be read as what it was. ClickHouse is asked only when the catalogue changed, when records lack
    columns, and once a minute.

    :param catalogue: reads the source's catalogue.
    :param follow: lets the archive table follow a catalogue, given the columns that records lack.
    """

    catalogue: Callable[[], Table]
    follow: Callable[[Table, Collection[str]], Table]
    every: float = 60.0
    _catalogue: Table | None = field(default=None, init=False)
    _held: Table | None = field(default=None, init=False)
    _followed: float = field(default=0.0, init=False)

    def __call__(self, lacking: Collection[str] = ()) -> Table:
        """The table now."""
        table, now = self.catalogue(), time.monotonic()
        if self._held is None or lacking or table != self._catalogue or now - self._followed >= self.every:
            self._held = self.follow(table, lacking)
            self._catalogue, self._followed = table, now
        return self._held
