"""How far a stage is, in one form for all stages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a stage is with something.

    :param what: what it works on, such as a topic or a table.
    :param rows: rows, or records, that this try has done.
    :param left: how many are left; None: nobody knows yet.
    :param partitions: those that are left by partition of the topic; empty where there are none.
    """

    what: str
    rows: int
    left: int | None = None
    partitions: Mapping[int, int] = field(default_factory=dict)
