"""Hook of the schema registry: from the Airflow connection ``schema_registry`` to a client and the worker's settings."""

from __future__ import annotations

import ssl
from typing import Any

from airflow.sdk import BaseHook

from airflow_provider_chista.debezium.registry import Registry, SchemaRegistryClient
from airflow_provider_chista.errors import ChistaError, FatalError

DEFAULT_PORT = 8080


class SchemaRegistryHook(BaseHook):
    """Clients of Apicurio's registry, for connectors that write Avro.

    The connection's host is a URL (``https://registry:8443``) or a host name, to which port and scheme of the connection
    are added (8080 and http by default). Login and password, when given, are sent by basic authentication. Extra fields:
    ``verify`` (verify the TLS certificate, default true), ``ca_file`` (PEM file to verify it with), ``timeout`` (seconds for
    one answer, default 30), ``worker_url`` and ``worker_password`` (address and password as the Connect worker has them,
    where they are others; the password best as a reference such as ``${env:NAME}``).

    :param schema_registry_conn_id: the Airflow connection.
    """

    conn_name_attr = "schema_registry_conn_id"
    default_conn_name = "schema_registry_default"
    conn_type = "schema_registry"
    hook_name = "Schema Registry"

    def __init__(self, schema_registry_conn_id: str = default_conn_name, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.schema_registry_conn_id = schema_registry_conn_id

    def get_conn(self) -> SchemaRegistryClient:
        """The client, as :meth:`get_client`."""
        return self.get_client()

    def get_client(self, **options: Any) -> SchemaRegistryClient:
        """A client; the caller closes it, best by a ``with`` statement.

        :param options: further arguments of the client.
        :raises FatalError: the connection has no usable host, or an unusable extra field.
        """
        connection = self.get_connection(self.schema_registry_conn_id)
        extra = connection.extra_dejson
        return SchemaRegistryClient(
            self._url(connection),
            connection.login or None,
            connection.password,
            **{"verify": self._verification(extra), "timeout": self._seconds(extra), **options},
        )

    def registry(self) -> Registry:
        """The registry as the Connect worker reaches it."""
        connection = self.get_connection(self.schema_registry_conn_id)
        extra = connection.extra_dejson
        return Registry(
            str(extra.get("worker_url") or self._url(connection)),
            connection.login or None,
            extra.get("worker_password") or connection.password,
        )

    def test_connection(self) -> tuple[bool, str]:
        """Ask the registry for its subjects; for the Test button and the command line."""
        try:
            with self.get_client(timeout=10.0, patience=0.0) as client:
                subjects = client.subjects()
        except ChistaError as error:
            return False, str(error)
        return True, f"the registry has {len(subjects)} subjects"

    def _url(self, connection: Any) -> str:
        host = (connection.host or "").strip()
        if not host:
            raise FatalError(
                f"connection {self.schema_registry_conn_id} has no host; give the URL of the registry"
            )
        if "://" not in host:
            host = f"{connection.schema or 'http'}://{host}"
        if ":" not in host.split("://", 1)[1]:
            host = f"{host}:{connection.port or DEFAULT_PORT}"
        return host

    def _verification(self, extra: dict[str, Any]) -> bool | ssl.SSLContext:
        if str(extra.get("verify", True)).lower() == "false":
            return False
        if not extra.get("ca_file"):
            return True
        try:
            return ssl.create_default_context(cafile=extra["ca_file"])
        except OSError as error:
            raise FatalError(
                f"CA file {extra['ca_file']} of connection {self.schema_registry_conn_id} cannot be read: {error}"
            ) from error

    def _seconds(self, extra: dict[str, Any]) -> float:
        try:
            return float(str(extra.get("timeout") or 30))
        except ValueError:
            raise FatalError(
                f"timeout {extra['timeout']!r} of connection {self.schema_registry_conn_id} is not a number of seconds"
            ) from None
