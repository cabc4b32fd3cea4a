"""From the provider's errors to Airflow's: whether the task is tried again."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from airflow.sdk.exceptions import AirflowFailException

from airflow_provider_chista.errors import ChistaError, FatalError

log = logging.getLogger(__name__)


@contextmanager
def airflow_errors() -> Iterator[None]:
    """Around the body of ``execute``, ``poke`` or ``execute_complete``; also usable as a decorator.

    :class:`FatalError` becomes ``AirflowFailException``, so that the task fails at once whatever its ``retries``; every
    other error, :class:`TransientError` among them, is left to the retries. The message is kept and logged as a line of
    its own, so that a task's log ends with the reason.
    """
    try:
        yield
    except FatalError as error:
        log.error("%s", error)  # the cause is chained; the line is for people
        raise AirflowFailException(str(error)) from error
    except ChistaError as error:
        log.warning("%s; the task's retries decide whether it is tried again", error)
        raise
