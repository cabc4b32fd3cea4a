"""Which engine answers behind a connection."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from airflow_provider_chista.errors import FatalError
from airflow_provider_chista.model import names
from airflow_provider_chista.sources.base import Source
from airflow_provider_chista.sources.dbapi import Connection
from airflow_provider_chista.sources.failures import translated
from airflow_provider_chista.sources.mariadb import MariaDBSource
from airflow_provider_chista.sources.mysql import MySQLSource
from airflow_provider_chista.sources.postgres import PostgresSource

SOURCES: tuple[type[Source], ...] = (MySQLSource, MariaDBSource, PostgresSource)
"""Every engine; a new one is one row here and one module."""


def engine(flavour: str) -> type[Source]:
    """The class of an engine, without a server.

    :raises FatalError: there is no such engine.
    """
    for source in SOURCES:
        if source.flavour == flavour:
            return source
    raise FatalError(f"{flavour!r} is no engine; known are {names([source.flavour for source in SOURCES])}")


def open_source(connect: Callable[[], Connection], *, label: str = "") -> Source:
    """Ask the server what it is and return its :class:`Source`, which keeps the connection for its first use.

    :param connect: returns a new connection of mysqlclient, psycopg 3 or psycopg2.
    :param label: how messages call the source until it has told its address, such as an Airflow connection id.
    :raises FatalError: wrong user, password or database, or an engine that is not supported.
    :raises TransientError: the server cannot be reached.
    """
    where = label or "source"
    # Before the engine is known every table of errors is tried: numbers and SQLSTATEs cannot be mistaken for each other.
    with translated([failure for source in SOURCES for failure in source.failures], lambda: where):
        connection = connect()
        try:
            version = _version(connection)
        except BaseException:
            with suppress(Exception):
                connection.close()
            raise
    for source in SOURCES:
        if source.recognises(version):
            return source(connect, label=label, connection=connection)
    connection.close()
    flavours = names([source.flavour for source in SOURCES])
    raise FatalError(f"{where}: server {version!r} is not supported; supported are {flavours}")


def _version(connection: Any) -> str:
    cursor = connection.cursor()
    cursor.execute("SELECT VERSION()")
    row = cursor.fetchone()
    connection.rollback()
    # Whatever kind of row the connection's own cursors give.
    return str(next(iter(row.values() if hasattr(row, "values") else row)))
