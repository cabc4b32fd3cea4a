"""Hook of Kafka Connect: from the Airflow connection ``kafka_connect`` to a client."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from airflow.sdk import BaseHook, Connection

from airflow_provider_chista.debezium.connect import AsyncKafkaConnectClient, KafkaConnectClient, Policy
from airflow_provider_chista.errors import ChistaError
from airflow_provider_chista.hooks.rest import RestConnection

DEFAULT_PORT = 8083


class KafkaConnectHook(BaseHook):
    """Clients of a Kafka Connect worker's REST interface.

    The connection's host is a URL (``https://connect:8443``) or a host name, to which port and scheme of the connection
    are added (8083 and http by default). Login and password, when given, are sent by basic authentication. Extra fields:
    ``verify`` (verify the TLS certificate, default true), ``ca_file`` (PEM file to verify it with), ``timeout`` (seconds
    for one answer, default 30); for links of tasks ``connector_page`` (URL with ``{connector}``) and ``topic_page`` (URL with
    ``{topic}``).

    :param kafka_connect_conn_id: the Airflow connection.
    :param policy: timeouts and patience; None takes the defaults and the connection's ``timeout``.
    """

    conn_name_attr = "kafka_connect_conn_id"
    default_conn_name = "kafka_connect_default"
    conn_type = "kafka_connect"
    hook_name = "Kafka Connect"

    def __init__(
        self, kafka_connect_conn_id: str = default_conn_name, policy: Policy | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.kafka_connect_conn_id = kafka_connect_conn_id
        self.policy = policy

    def get_conn(self) -> KafkaConnectClient:
        """The blocking client, as :meth:`get_client`."""
        return self.get_client()

    def get_client(self) -> KafkaConnectClient:
        """A blocking client; the caller closes it, best by a ``with`` statement.

        :raises FatalError: the connection has no host or an unusable extra field.
        """
        return KafkaConnectClient(**self._arguments(self.get_connection(self.kafka_connect_conn_id)))

    async def get_async_client(self) -> AsyncKafkaConnectClient:
        """An asynchronous client for triggers; the caller closes it, best by ``async with``.

        :raises FatalError: the connection has no host or an unusable extra field.
        """
        return AsyncKafkaConnectClient(
            **self._arguments(await self.aget_connection(self.kafka_connect_conn_id))
        )

    def connector_page(self, connector: str) -> str:
        """Where people look at a connector: the connection's page of connectors, else its status by REST; empty for no name.

        :raises FatalError: the connection has no host or an unusable extra field.
        """
        if not connector:
            return ""
        rest = self._rest(self.get_connection(self.kafka_connect_conn_id))
        own = rest.page("connector_page", "connector", connector)
        return own or f"{rest.url()}/connectors/{quote(connector, safe='')}/status"

    def topic_page(self, topic: str) -> str:
        """Where people look at a topic: the connection's page of topics; empty where it has none.

        :raises FatalError: the extra field cannot be used.
        """
        return self._rest(self.get_connection(self.kafka_connect_conn_id)).page("topic_page", "topic", topic)

    def test_connection(self) -> tuple[bool, str]:
        """Ask the worker for its version and its connector plugins; for the Test button and the command line."""
        try:
            connection = self.get_connection(self.kafka_connect_conn_id)
            # Somebody waits in front of a form: one short try.
            policy = Policy(timeout=10, patience=0, startup=0)
            with KafkaConnectClient(**{**self._arguments(connection), "policy": policy}) as client:
                version, plugins = client.info()["version"], client.plugins()
        except ChistaError as error:
            return False, str(error)
        debezium = sorted(name.rsplit(".", 1)[-1] for name in plugins if name.startswith("io.debezium."))
        return True, f"Kafka Connect {version}; Debezium connectors: {', '.join(debezium) or 'none'}"

    def _rest(self, connection: Connection) -> RestConnection:
        return RestConnection(connection, self.kafka_connect_conn_id, DEFAULT_PORT, "worker")

    def _arguments(self, connection: Connection) -> dict[str, Any]:
        rest = self._rest(connection)
        policy = self.policy
        if policy is None and (timeout := rest.timeout()):
            policy = Policy(timeout=timeout)
        return {
            "url": rest.url(),
            "user": connection.login or None,
            "password": connection.password,
            "verify": rest.verification(),
            "policy": policy,
        }
