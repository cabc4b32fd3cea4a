"""Hook of ClickHouse: the official hook's client with the settings that the drain relies on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseHook

from airflow_provider_chista.errors import FatalError

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

    from airflow_provider_chista.clickhouse.cluster import Placement

ANSWER_SECONDS = 60
"""Longest wait for an answer unless the connection says otherwise; the driver's own default is 300 s."""


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
        if isinstance(connection.extra_dejson.get("secure"), str):
            # The official hook takes every text as true; a connection given as a URI has only texts.
            raise FatalError(
                f"extra field 'secure' of connection {self.clickhouse_conn_id} is the text "
                f"{connection.extra_dejson['secure']!r}; give it as JSON true or false"
            )
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
