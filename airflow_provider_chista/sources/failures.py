"""From a driver's error to one of ours: fatal or transient, with the remedy.

A table row names codes of the server (MySQL and MariaDB: error numbers, PostgreSQL: SQLSTATEs, or the two characters of a
class of them) and says what they mean. Errors are recognised by the shape that PEP 249 gives them, so no driver is imported
and both psycopg versions work.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from airflow_provider_chista.errors import ChistaError, FatalError, TransientError


class TakenError(FatalError):
    """A value of a unique key, or the primary key itself, is another row's."""


@dataclass(frozen=True, slots=True)
class Failure:
    """One row of an engine's table of errors.

    :param codes: error numbers, SQLSTATEs or SQLSTATE classes.
    :param error: the class to raise.
    :param remedy: what the user can do.
    :param texts: parts of the message, for errors without a code: libpq gives none when a connection is refused.
    """

    codes: frozenset[int | str]
    error: type[ChistaError]
    remedy: str
    texts: tuple[str, ...] = ()


def insert_failures(
    *,
    foreign: set[int | str],
    unique: set[int | str],
    null: set[int | str],
    value: set[int | str],
) -> tuple[Failure, ...]:
    """What errors mean when archived rows are inserted, by the engine's codes."""
    return (
        Failure(
            frozenset(foreign),
            FatalError,
            "The rows refer by foreign key to rows that are not at the source; restore the parent tables first. Nothing of "
            "this transaction was written",
        ),
        Failure(
            frozenset(unique),
            TakenError,
            "Another row at the source has this value in a unique key, or a key that its collation calls equal; restore the "
            "others by row_keys. Nothing of this transaction was written",
        ),
        Failure(
            frozenset(null),
            FatalError,
            "The archive has no value for a column that was added at the source after these rows; let the column be NULL at "
            "the source. Nothing of this transaction was written",
        ),
        Failure(
            frozenset(value),
            FatalError,
            "The table does not take a value that the row had: a constraint or a narrower type since, or a value outside of "
            "its type, such as the empty error value of an ENUM. Restore the others by row_keys. Nothing of this transaction "
            "was written",
        ),
    )


def is_driver_error(error: BaseException) -> bool:
    """True for the errors of a DB-API driver: PEP 249 names their base class ``Error``."""
    return any(base.__name__ == "Error" and base.__module__ != "builtins" for base in type(error).__mro__)


def code_of(error: BaseException) -> int | str | None:
    """SQLSTATE (psycopg 3: ``sqlstate``, psycopg2: ``pgcode``) or error number (mysqlclient: first argument)."""
    sqlstate = getattr(error, "sqlstate", None) or getattr(error, "pgcode", None)
    if sqlstate:
        return str(sqlstate)
    return error.args[0] if error.args and isinstance(error.args[0], int) else None


def translate(failures: Sequence[Failure], error: BaseException, where: str) -> ChistaError:
    """The error to raise in place of a driver's error; ``where`` names host, port, database and user.

    A code that no row knows is transient when the driver calls it operational, else fatal (PEP 249: the others are
    errors of the statement or its data).
    """
    code, text = code_of(error), _message(error)
    for failure in failures:
        if _fits(failure, code, text):
            return failure.error(f"{where}: {text}. {failure.remedy}")
    names = {base.__name__ for base in type(error).__mro__}
    if names & {"OperationalError", "InterfaceError", "InternalError"}:
        return TransientError(f"{where}: {text}. Try again; if it stays, look into the server's log")
    return FatalError(f"{where}: {text}")


@contextmanager
def translated(
    failures: Sequence[Failure], where: Callable[[], str], *, others: bool = True
) -> Iterator[None]:
    """Turn errors of the driver into ours; ``where`` is asked only then.

    :param others: False leaves errors that no row knows to the caller.
    """
    try:
        yield
    except Exception as error:
        if is_driver_error(error) and (others or any(_fits(f, code_of(error), "") for f in failures)):
            raise translate(failures, error, where()) from error
        raise


def _fits(failure: Failure, code: int | str | None, text: str) -> bool:
    if code in failure.codes or (isinstance(code, str) and code[:2] in failure.codes):
        return True
    return code is None and any(part in text for part in failure.texts)


def _message(error: BaseException) -> str:
    texts = [str(argument).strip() for argument in error.args if not isinstance(argument, int)]
    message = " ".join(" ".join(texts or [str(error)]).split())
    number = code_of(error)
    return f"{message.rstrip('.')} ({type(error).__name__}{f' {number}' if number else ''})"
