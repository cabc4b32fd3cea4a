"""Hook of the schema registry: from the Airflow connection ``schema_registry`` to a client and the worker's settings."""

from __future__ import annotations

from typing import Any

from airflow.sdk import BaseHook

from airflow_provider_chista.debezium.registry import Registry, SchemaRegistryClient
from airflow_provider_chista.errors import ChistaError
from airflow_provider_chista.hooks.rest import RestConnection

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
        rest = self._rest()
        defaults = {"verify": rest.verification(), "timeout": rest.timeout() or 30.0}
        connection = rest.connection
        return SchemaRegistryClient(
            rest.url(), connection.login or None, connection.password, **(defaults | options)
        )

    def registry(self) -> Registry:
        """The registry as the Connect worker reaches it."""
        rest = self._rest()
        connection, extra = rest.connection, rest.connection.extra_dejson
        return Registry(
            str(extra.get("worker_url") or rest.url()),
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

    def _rest(self) -> RestConnection:
        connection = self.get_connection(self.schema_registry_conn_id)
        return RestConnection(connection, self.schema_registry_conn_id, DEFAULT_PORT, "registry")
