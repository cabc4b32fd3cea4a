"""Errors of the provider: every one says what was found, where, and what the user can do.

The class says whether a retry can help. Operators turn :class:`FatalError` into Airflow's
``AirflowFailException`` (the task fails at once, whatever its ``retries``); a :class:`TransientError` is left to
the task's retries.
"""

from __future__ import annotations


class ChistaError(Exception):
    """Base of all errors raised by this provider."""


class FatalError(ChistaError):
    """A retry of the same task cannot succeed: configuration, data or state must be changed first."""


class TransientError(ChistaError):
    """A service did not answer or refused for the moment; the same task can succeed later."""


class MismatchError(FatalError):
    """Rows differ between the source and the archive; they are in the state table ``mismatches``.

    :param rows: how many.
    """

    def __init__(self, message: str, rows: int) -> None:
        super().__init__(message)
        self.rows = rows


class RefusedError(FatalError):
    """A stage refused to go on because a promise could not be kept (unsure means no); nothing was changed."""
