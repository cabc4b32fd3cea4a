"""Hook of a source database: from any ``mysql`` or ``postgres`` connection to a :class:`Source`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseHook
from airflow.sdk.exceptions import AirflowOptionalProviderFeatureException

from airflow_provider_chista.errors import FatalError

if TYPE_CHECKING:
    from airflow_provider_chista.sources import Source
    from airflow_provider_chista.sources.dbapi import Connection

DEFAULT_PORTS = {"mysql": 3306, "postgres": 5432}

MYSQL_DRIVER_MISSING = (
    "the MySQL driver mysqlclient cannot be imported ({reason}). It is compiled at installation: on Debian and Ubuntu run "
    "`apt-get install default-libmysqlclient-dev pkg-config gcc`, then `pip install --force-reinstall --no-cache-dir "
    "mysqlclient`; where only the library is missing, `apt-get install libmariadb3` is enough"
)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a connection points to, for the connector's configuration; the password is not part of its ``repr``."""

    conn_type: str
    host: str
    port: int
    user: str
    password: str | None = field(repr=False)
    database: str | None


class SourceHook(BaseHook):
    """Opens the source database behind an Airflow connection and asks it whether it is MySQL, MariaDB or PostgreSQL.

    The database connections come from the hook that Airflow has for the connection's type, so its TLS and IAM settings
    work here too.

    :param source_conn_id: an Airflow connection of type ``mysql`` (MySQL and MariaDB) or ``postgres``.
    """

    conn_name_attr = "source_conn_id"

    def __init__(self, source_conn_id: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.source_conn_id = source_conn_id

    def get_conn(self) -> Source:
        """The source, as :meth:`open`."""
        return self.open()

    def open(self) -> Source:
        """The source; nothing is kept open by the hook, the caller closes the source.

        :raises FatalError: refused by the server, or not a connection to a database.
        :raises TransientError: the server did not answer.
        :raises AirflowOptionalProviderFeatureException: the driver or its provider is not installed.
        """
        from airflow_provider_chista.sources import open_source

        connection = self.get_connection(self.source_conn_id)
        if connection.conn_type not in DEFAULT_PORTS:
            raise FatalError(
                f"connection {self.source_conn_id} has type {connection.conn_type!r}; "
                f"a source needs one of {', '.join(DEFAULT_PORTS)}"
            )
        if (
            connection.conn_type == "mysql"
            and connection.extra_dejson.get("client", "mysqlclient") != "mysqlclient"
        ):
            raise FatalError(
                f"connection {self.source_conn_id} asks for the driver {connection.extra_dejson['client']!r}; "
                "sources are read with mysqlclient, remove 'client' from its extra fields"
            )
        try:
            hook = connection.get_hook()  # type: ignore[no-untyped-call]
        except ImportError as error:
            raise AirflowOptionalProviderFeatureException(
                f"the provider package of connection type {connection.conn_type} cannot be imported: {error}"
            ) from error

        def connect() -> Connection:
            if connection.conn_type == "mysql":
                _require_mysql_driver()
            made: Connection = hook.get_conn()
            return made

        port = connection.port or DEFAULT_PORTS[connection.conn_type]
        label = f"connection {self.source_conn_id} (user {connection.login} at {connection.host}:{port})"
        return open_source(connect, label=label)

    def endpoint(self) -> Endpoint:
        """Host, port, user, password and database of the connection, without connecting.

        :raises FatalError: the connection has no host or no login.
        """
        connection = self.get_connection(self.source_conn_id)
        if not connection.host or not connection.login:
            raise FatalError(f"connection {self.source_conn_id} needs a host and a login")
        return Endpoint(
            conn_type=connection.conn_type or "",
            host=connection.host,
            port=connection.port or DEFAULT_PORTS.get(connection.conn_type or "", 0),
            user=connection.login,
            password=connection.password or None,
            database=connection.schema or None,
        )


def _require_mysql_driver() -> None:
    try:
        import MySQLdb  # noqa: F401
    except ImportError as error:
        raise AirflowOptionalProviderFeatureException(MYSQL_DRIVER_MISSING.format(reason=error)) from error
