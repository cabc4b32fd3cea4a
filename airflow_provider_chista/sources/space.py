"""What a table takes on the source's disk, and what would give back more of it than a delete does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

_UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB")


@dataclass(frozen=True, slots=True)
class Space:
    """A table's space, as the server's statistics have it; they may be some seconds old. Partitions are added up.

    :param table_bytes: the rows with values stored out of line; :param index_bytes: the indexes. On MySQL and MariaDB the
        primary key's index holds the rows.
    :param free_bytes: of these files, what new rows of the table can use; None: the server does not tell.
    :param dead_rows: deleted or old rows whose space nothing can use yet; None: the server does not tell.
    :param remedy: what would free more, and what it costs. Nothing of it is done.
    """

    table_bytes: int
    index_bytes: int
    free_bytes: int | None
    dead_rows: int | None
    remedy: str

    def __str__(self) -> str:
        told = [f"{shown(self.table_bytes)} of rows and {shown(self.index_bytes)} of indexes on disk"]
        if self.free_bytes is not None:
            told.append(f"{shown(self.free_bytes)} of it free for new rows of the table")
        if self.dead_rows is not None:
            told.append(f"{self.dead_rows} dead rows that still take space")
        return f"{', '.join(told)}. {self.remedy}"

    def summary(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "table_bytes": self.table_bytes,
            "index_bytes": self.index_bytes,
            "free_bytes": self.free_bytes,
            "dead_rows": self.dead_rows,
            "remedy": self.remedy,
        }


def shown(size: float) -> str:
    """A number of bytes for people."""
    for unit in _UNITS:
        if size < 1024 or unit == _UNITS[-1]:
            return f"{size:.0f} {unit}" if unit == _UNITS[0] else f"{size:.1f} {unit}"
        size /= 1024
    raise AssertionError
