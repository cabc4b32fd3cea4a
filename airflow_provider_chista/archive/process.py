"""Settings of the process while it drains."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock

import pyarrow as pa

_OBJECTS = 50_000
"""New objects until Python looks for cycles among them. Thousands of Kafka's messages come and go with each micro-batch, and
have none; by default every 700 of them are looked at."""

_lock = Lock()
_restores: list[Callable[[], None]] = []
"""For each drain that runs, what it does at its end: the last one of them restores what the first one found."""


@contextmanager
def tuned() -> Iterator[None]:
    """Python's garbage collector and Arrow's memory pool as a drain needs them, and as they were behind the last drain.

    Arrow's own pool keeps what was freed for each thread that used it; the system's gives it to whoever asks next, which
    saves some 40 MB of a drain's peak.
    """
    with _lock:
        _restores.append((lambda: None) if _restores else _tune())
    try:
        yield
    finally:
        with _lock:
            # Drains of several threads end in any order.
            restore = _restores.pop()
            restore()


def _tune() -> Callable[[], None]:
    """Set both; return what restores them."""
    pool, (objects, *older) = pa.default_memory_pool(), gc.get_threshold()
    pa.set_memory_pool(pa.system_memory_pool())
    if objects:  # else it is switched off
        gc.set_threshold(max(objects, _OBJECTS), *older)

    def restore() -> None:
        gc.set_threshold(objects, *older)
        pa.set_memory_pool(pool)

    return restore
