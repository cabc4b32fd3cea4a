"""Ends what servers do for a task that was told to end.

Python runs a signal's handler between two of its own instructions only. A driver that waits in C for the answer to a long
statement keeps ``on_kill`` and ``execution_timeout`` waiting as well; Airflow kills the process after five seconds, and the
statement goes on at the server, with its locks. The signal itself arrives at once, though: the interpreter writes its number
into a pipe (``signal.set_wakeup_fd``), which a thread reads here.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

SIGNALS = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGALRM})
"""Those that end a task: Airflow's or the user's, the keyboard's, ``execution_timeout``'s."""

GRACE_SECONDS = 1.0
"""How long a stage that looks at its stop signal may take to end by itself; a transaction is then committed."""

_AGAIN_SECONDS = 0.5


@contextmanager
def cancelled_when_ended(cancel: Callable[[], None]) -> Iterator[None]:
    """Within the block, a signal that ends the task calls ``cancel`` from another thread, after a moment of grace, and again
    twice a second until the block ends.

    Outside of the main thread, where triggers run, nothing is done: signals do not come there.

    :param cancel: makes the servers give up the statements that run; must not raise.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    heard, told = os.pipe()
    os.set_blocking(told, False)
    before = signal.set_wakeup_fd(told, warn_on_full_buffer=False)
    ended = threading.Event()
    thread = threading.Thread(
        target=_listen, args=(heard, before, ended, cancel), name="chista-ending", daemon=True
    )
    thread.start()
    try:
        yield
    finally:
        ended.set()
        signal.set_wakeup_fd(before, warn_on_full_buffer=False)
        os.close(told)
        # It ends by itself; a server that does not answer must not keep the task.
        thread.join(GRACE_SECONDS)


def _listen(heard: int, before: int, ended: threading.Event, cancel: Callable[[], None]) -> None:
    with open(heard, "rb", buffering=0) as signals:
        while numbers := signals.read(64):
            if before >= 0:
                # Whoever listened before, an outer block of this kind or an event loop, hears it too.
                with suppress(OSError):
                    os.write(before, numbers)
            if SIGNALS.isdisjoint(numbers):
                continue
            pause = GRACE_SECONDS
            while not ended.wait(pause):
                cancel()
                pause = _AGAIN_SECONDS
