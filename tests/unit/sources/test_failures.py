"""Errors of drivers, recognised by the shape that PEP 249 gives them."""

from __future__ import annotations

import pytest

from airflow_provider_chista.errors import ChistaError, FatalError, TransientError
from airflow_provider_chista.sources.failures import translate, translated
from airflow_provider_chista.sources.mysqlfailures import FAILURES as MYSQL
from airflow_provider_chista.sources.postgres import FAILURES as POSTGRES

MYSQLDB = pytest.importorskip("MySQLdb")
PSYCOPG = pytest.importorskip("psycopg")

MYSQL_CODES = {
    1045: FatalError,
    1049: FatalError,
    1142: FatalError,
    1146: FatalError,
    1205: TransientError,
    1213: TransientError,
    1290: FatalError,
    1451: FatalError,
    2002: TransientError,
    2003: TransientError,
    2006: TransientError,
    2013: TransientError,
    1040: TransientError,
}
STATES = {
    "InvalidPassword": FatalError,
    "InvalidCatalogName": FatalError,
    "InsufficientPrivilege": FatalError,
    "UndefinedTable": FatalError,
    "UndefinedColumn": FatalError,
    "LockNotAvailable": TransientError,
    "DeadlockDetected": TransientError,
    "SerializationFailure": TransientError,
    "ReadOnlySqlTransaction": FatalError,
    "ForeignKeyViolation": FatalError,
    "AdminShutdown": TransientError,
    "TooManyConnections": TransientError,
}
LIBPQ = {
    'connection to server at "h", port 1 failed: Connection refused': TransientError,
    'could not translate host name "nowhere" to address': TransientError,
    "server closed the connection unexpectedly": TransientError,
    'connection to server at "h", port 1 failed: FATAL:  password authentication failed for user "u"': FatalError,
    'connection to server at "h", port 1 failed: FATAL:  database "x" does not exist': FatalError,
    'connection to server at "h", port 1 failed: FATAL:  role "x" does not exist': FatalError,
    'connection to server at "h", port 1 failed: fe_sendauth: no password supplied': FatalError,
}


@pytest.mark.parametrize(("code", "expected"), MYSQL_CODES.items())
def test_mysql_numbers(code: int, expected: type[ChistaError]) -> None:
    error = translate(MYSQL, MYSQLDB.OperationalError(code, "what the server said"), "mysql h:1/d as u")
    assert type(error) is expected
    assert str(error).startswith(f"mysql h:1/d as u: what the server said (OperationalError {code}). ")


@pytest.mark.parametrize(("name", "expected"), STATES.items())
def test_postgres_states(name: str, expected: type[ChistaError]) -> None:
    made = getattr(PSYCOPG.errors, name)("what the server said")
    error = translate(POSTGRES, made, "postgres h:1/d as u")
    assert type(error) is expected
    assert made.sqlstate in str(error)


@pytest.mark.parametrize(("text", "expected"), LIBPQ.items())
def test_errors_of_libpq_have_no_state(text: str, expected: type[ChistaError]) -> None:
    assert type(translate(POSTGRES, PSYCOPG.OperationalError(text), "p")) is expected


def test_an_unknown_operational_error_is_transient_and_any_other_is_fatal() -> None:
    assert type(translate(MYSQL, MYSQLDB.OperationalError(9999, "odd"), "m")) is TransientError
    assert type(translate(MYSQL, MYSQLDB.DataError(9999, "odd"), "m")) is FatalError
    assert type(translate(POSTGRES, PSYCOPG.errors.DivisionByZero("odd"), "p")) is FatalError


def test_errors_that_are_no_drivers_pass_through() -> None:
    with pytest.raises(KeyError), translated(MYSQL, lambda: "m"):
        raise KeyError("mine")
    with pytest.raises(FatalError, match="m: gone"), translated(MYSQL, lambda: "m"):
        raise MYSQLDB.ProgrammingError(1146, "gone")
