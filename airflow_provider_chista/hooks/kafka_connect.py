"""Hook of Kafka Connect: from the Airflow connection ``kafka_connect`` to a client."""

from __future__ import annotations

import ssl
from typing import Any
from urllib.parse import urlsplit

from airflow.sdk import BaseHook, Connection

from airflow_provider_chista.debezium.connect import AsyncKafkaConnectClient, KafkaConnectClient, Policy
from airflow_provider_chista.errors import ChistaError, FatalError

DEFAULT_PORT = 8083


class KafkaConnectHook(BaseHook):
    """Clients of a Kafka Connect worker's REST interface.

    The connection's host is a URL (``https://connect:8443``) or a host name, to which port and scheme of the connection
    are added (8083 and http by default). Login and password, when given, are sent by basic authentication. Extra fields:
    ``verify`` (verify the TLS certificate, default true), ``ca_file`` (PEM file to verify it with), ``timeout`` (seconds
    for one answer, default 30).

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

    def _arguments(self, connection: Connection) -> dict[str, Any]:
        extra = connection.extra_dejson
        policy = self.policy
        if policy is None and extra.get("timeout"):
            policy = Policy(timeout=self._seconds(extra["timeout"]))
        return {
            "url": self._url(connection),
            "user": connection.login or None,
            "password": connection.password,
            "verify": self._verification(extra),
            "policy": policy,
        }

    def _url(self, connection: Connection) -> str:
        host = (connection.host or "").strip()
        if not host:
            raise FatalError(f"connection {self.kafka_connect_conn_id} has no host; give the URL of a worker")
        if "://" not in host:
            host = f"{connection.schema or 'http'}://{host}"
        parts = urlsplit(host)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username:
            raise FatalError(
                f"connection {self.kafka_connect_conn_id} does not name a worker: its host must be http://name:port, "
                "https://name:port or a host name; user and password have their own fields"
            )
        if parts.port is None:
            parts = parts._replace(netloc=f"{parts.netloc}:{connection.port or DEFAULT_PORT}")
        return parts.geturl().rstrip("/")

    def _verification(self, extra: dict[str, Any]) -> bool | ssl.SSLContext:
        if str(extra.get("verify", True)).lower() == "false":
            return False
        ca_file = extra.get("ca_file")
        if not ca_file:
            return True
        try:
            return ssl.create_default_context(cafile=ca_file)
        except OSError as error:
            raise FatalError(
                f"CA file {ca_file} of connection {self.kafka_connect_conn_id} cannot be read: {error}"
            ) from error

    def _seconds(self, value: object) -> float:
        try:
            return float(str(value))
        except ValueError:
            raise FatalError(
                f"timeout {value!r} of connection {self.kafka_connect_conn_id} is not a number of seconds"
            ) from None
