"""Parts of a table in key order: what a long comparison is cut into, so that it can be shared out and gone on with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from itertools import pairwise
from typing import TypeVar

from airflow_provider_chista.archive.archived import Archived
from airflow_provider_chista.keyrange import EVERY_KEY, KeyRange
from airflow_provider_chista.model import Window
from airflow_provider_chista.sources.base import Source

PART_ROWS = 1_000_000
"""Rows of a part of a proof, about."""

Part = TypeVar("Part")
Result = TypeVar("Result")


def cut(source: Source, archived: Archived, window: Window | None, rows: int) -> list[KeyRange]:
    """Ranges of keys that have about ``rows`` rows of the window each, and are every key together.

    One range where the table is smaller, ``rows`` is 0, or the source would not find a range by its primary key: keys of
    texts or bytes have another order there.
    """
    if not rows or not source.dialect.ranged(archived.table):
        return [EVERY_KEY]
    return [KeyRange(first, end) for first, end in pairwise([None, *archived.bounds(window, rows), None])]


def share_out(work: Callable[[Part], Result], parts: Sequence[Part], parallel: int) -> list[Result]:
    """Results of the parts in their order, with ``parallel`` of them worked on at a time.

    :raises BaseException: the first error of a part; parts that were not begun are left.
    """
    if parallel == 1 or len(parts) == 1:
        return [work(part) for part in parts]
    with ThreadPoolExecutor(parallel, "chista-part") as pool:
        begun = [pool.submit(work, part) for part in parts]
        try:
            wait(begun, return_when=FIRST_EXCEPTION)
        finally:
            for future in begun:
                future.cancel()
        return [future.result() for future in begun if not future.cancelled()]
