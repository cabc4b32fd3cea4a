"""Which differences are real: the capture has passed them, and the source did not change them meanwhile.

A row that the application changes between a barrier and the comparison behind it differs, and means nothing: its change is on
its way. So what differs is looked at once more around another barrier. Where the source holds the same row before and
behind it, and the archive another one, capture has passed that row and the archive is wrong.
"""

from __future__ import annotations

from collections.abc import Callable

from airflow_provider_chista.archive.archived import Archived
from airflow_provider_chista.archive.compare import Differences
from airflow_provider_chista.errors import TransientError
from airflow_provider_chista.model import Window, describe
from airflow_provider_chista.sources.base import Source

LOOKS = 4
"""Comparisons behind a barrier, before rows that change in each of them end the run."""

MOST = 10_000
"""Differing keys up to which each is looked at again; an application that changes more of a window at a time is none."""

_KEYS_AT_A_TIME = 1_000


def settled(
    compared: Callable[[], Differences],
    source: Source,
    archived: Archived,
    window: Window | None,
    catch_up: Callable[[], None],
    log: Callable[[str], None],
) -> Differences:
    """What differs for good; nothing when a comparison finds all rows equal.

    :param compared: compares, behind a barrier, what differed the last time.
    :param catch_up: brings the archive to the source's present state.
    :raises TransientError: the application changed rows during each of :data:`LOOKS` comparisons.
    """
    for look in range(LOOKS):
        found = compared()
        if not found.total:
            return found
        real = _confirmed(source, archived, found, catch_up)
        if real.total:
            return real
        log(f"{found}; the source has changed all of these meanwhile (look {look + 1} of {LOOKS})")
    raise TransientError(
        f"rows of {describe(window)} change at the source while they are compared: {LOOKS} times, {found} in the last "
        "comparison. The task's retries decide whether it is tried again; compare smaller windows, or at a quieter time"
    )


def _confirmed(
    source: Source, archived: Archived, differences: Differences, catch_up: Callable[[], None]
) -> Differences:
    """Those of the differences that are real; all of them where there are more than :data:`MOST`.

    :param catch_up: brings the archive to the source's state of its call; called once, unless there are too many.
    """
    if differences.total > MOST:
        return differences
    keys, found = list(differences.keys), Differences()
    before = _hashes(source, archived, keys)
    catch_up()
    for start in range(0, len(keys), _KEYS_AT_A_TIME):
        part = keys[start : start + _KEYS_AT_A_TIME]
        shown, now = archived.unpurged(part), source.hashes_of(archived.table, part)
        explained = archived.overtaken([key for key in part if key in shown and key not in now])
        for key in part:
            here, there = now.get(key), shown.get(key)
            if here != before.get(key) or here == there or key in explained:
                continue
            found.add("missing" if there is None else "extra" if here is None else "differing", key)
    return found


def _hashes(source: Source, archived: Archived, keys: list[str]) -> dict[str, str]:
    return {
        key: row_hash
        for start in range(0, len(keys), _KEYS_AT_A_TIME)
        for key, row_hash in source.hashes_of(archived.table, keys[start : start + _KEYS_AT_A_TIME]).items()
    }
