"""Hook of ClickHouse: the official hook's client with the settings that the drain relies on."""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from airflow.sdk import BaseHook, Connection

from airflow_provider_chista.errors import FatalError

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

    from airflow_provider_chista.clickhouse.cluster import Placement

ANSWER_SECONDS = 60
"""Longest wait for an answer unless the connection says otherwise; the driver's own default is 300 s."""


FLAGS = ("secure", "verify")
CLIENT_KWARGS = ("ca_cert", "client_cert", "client_cert_key", "server_host_name", "tls_mode")
"""The driver's TLS settings that the official hook reads from ``client_kwargs`` alone."""


class ChistaClickHouseHook(BaseHook):
    """Clients of ClickHouse over the official provider's hook and its connection type ``clickhouse``.

    Composition, so that the connection type, its form and its authentication stay the official provider's. Differences of
    the clients from that hook's: no session (one client may then be used by two threads), an answer is awaited for 60 s
    unless the connection sets ``send_receive_timeout``, times come back with their time zone, and replicated tables are
    written with a quorum and read consistently (``clickhouse/cluster.py``), whatever the connection's settings say.

    :param clickhouse_conn_id: the Airflow connection.
    :param database: database to use instead of the connection's schema.
    :param settings: ClickHouse settings for every statement, over those.
    """

    conn_name_attr = "clickhouse_conn_id"
    default_conn_name = "clickhouse_default"

    def __init__(
        self,
        clickhouse_conn_id: str = default_conn_name,
        *,
        database: str | None = None,
        settings: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.clickhouse_conn_id = clickhouse_conn_id
        self.database = database
        self.settings = settings or {}

    def get_conn(self) -> Client:
        """The client, as :meth:`get_client`."""
        return self.get_client()

    @property
    def placement(self) -> Placement:
        """Where tables are made: the connection's extra fields ``chista_cluster`` and ``chista_replicated``.

        :raises FatalError: a field has another type than text, or JSON true or false.
        """
        from airflow_provider_chista.clickhouse.cluster import Placement

        extra = self.get_connection(self.clickhouse_conn_id).extra_dejson
        cluster, replicated = extra.get("chista_cluster") or "", extra.get("chista_replicated", False)
        for name, value, kind, wanted in (
            ("chista_cluster", cluster, str, "a text"),
            ("chista_replicated", replicated, bool, "JSON true or false"),
        ):
            if not isinstance(value, kind):
                raise FatalError(
                    f"extra field {name!r} of connection {self.clickhouse_conn_id} is {value!r}; give {wanted}"
                )
        return Placement(cluster, replicated)

    def get_client(self) -> Client:
        """A new client, which connects at once; the caller closes it.

        :raises FatalError: the server refused, or the connection has an unusable extra field.
        :raises TransientError: the server did not answer.
        """
        from airflow.providers.clickhousedb.hooks.clickhouse import ClickHouseHook

        from airflow_provider_chista.clickhouse.cluster import CLIENT_SETTINGS
        from airflow_provider_chista.clickhouse.errors import translated

        connection = self.get_connection(self.clickhouse_conn_id)
        self._check(connection.extra_dejson)
        hook = ClickHouseHook(
            clickhouse_conn_id=self.clickhouse_conn_id,
            database=self.database,
            session_settings={**CLIENT_SETTINGS, **self.settings},
            client_kwargs={
                "autogenerate_session_id": False,
                "send_receive_timeout": ANSWER_SECONDS,
                "tz_mode": "aware",
            },
        )
        with translated(f"connecting to {connection.host or 'localhost'}"):
            return hook.get_client()

    @property
    def address(self) -> tuple[str, int]:
        """Host and HTTP port of the connection."""
        return _address(self.get_connection(self.clickhouse_conn_id))

    def query_page(self, query: str) -> str:
        """ClickHouse's own SQL page ``/play`` with a query written into it; who opens it runs that by a user of theirs.

        At the connection's extra field ``chista_url``, the server's address as browsers reach it, else at its host and port.

        :raises FatalError: the field is no address, or has a user or a password in it.
        """
        connection = self.get_connection(self.clickhouse_conn_id)
        extra, (host, port) = connection.extra_dejson, _address(connection)
        host = f"[{host}]" if ":" in host else host
        scheme = "https" if extra.get("secure") is True else "http"
        url = str(extra.get("chista_url") or f"{scheme}://{host}:{port}")
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc:
            raise FatalError(
                f"extra field 'chista_url' of connection {self.clickhouse_conn_id} must be the server's address as browsers "
                "reach it, http://name:port or https://name:port, without user and password"
            )
        # The page takes the text of the query from the fragment, which no server sees.
        written = b64encode(query.encode()).decode()
        return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}/play#{written}"

    def _check(self, extra: dict[str, Any]) -> None:
        for name in FLAGS:
            # The official hook takes every text as true; a connection given as a URI has only texts.
            if isinstance(extra.get(name), str):
                raise FatalError(
                    f"extra field {name!r} of connection {self.clickhouse_conn_id} is the text "
                    f"{extra[name]!r}; give it as JSON true or false"
                )
        ignored = [name for name in CLIENT_KWARGS if name in extra]
        if ignored:
            raise FatalError(
                f"extra field {ignored[0]!r} of connection {self.clickhouse_conn_id} would be ignored; "
                f'write it into the field \'client_kwargs\': {{"{ignored[0]}": "..."}}'
            )


def _address(connection: Connection) -> tuple[str, int]:
    return connection.host or "localhost", connection.port or 8123
