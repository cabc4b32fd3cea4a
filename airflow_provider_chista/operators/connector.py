"""Operator: register the Debezium connector of a source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

from airflow.sdk import Context
from airflow.sdk.log import mask_secret

from airflow_provider_chista.debezium.config import ConnectorSpec, Flavour, secrets_of
from airflow_provider_chista.hooks.errors import airflow_errors
from airflow_provider_chista.hooks.source import SourceHook
from airflow_provider_chista.links import ConnectorLink
from airflow_provider_chista.model import TableId
from airflow_provider_chista.operators.base import ArchiveOperator

if TYPE_CHECKING:
    from airflow_provider_chista.debezium.registry import Registry


class RegisterConnectorOperator(ArchiveOperator):
    """Validates and stores a Debezium connector; running it again changes nothing, and restarts failed tasks.

    The configuration is built from the capture connection and the table list. Settings that the promises need are fixed;
    an override of one of them is refused with the reason (``docs/connections.md``). Returns what was done. Other
    parameters: :class:`ArchiveOperator`.

    :param connector: the connector's name.
    :param topic_prefix: first part of every topic's name.
    :param tables: source tables to capture, ``schema.table``; the provider's control tables are added.
    :param exclude: columns that the archive leaves out, by source table; the connector does not read them, so that a value in
        them cannot stop it. Give the same to :class:`CreateArchiveTableOperator`.
    :param capture_conn_id: Airflow connection of the source as the capture user, as the Connect worker reaches it.
    :param password: reference for a config provider of the Connect worker, such as ``${env:NAME}``, so that Connect's REST
        interface never shows a password; None sends the connection's password.
    :param slot: replication slot; PostgreSQL only.
    :param publication: publication; PostgreSQL only.
    :param kafka_bootstrap_servers: brokers as the Connect worker reaches them; default: those of the Kafka connection.
    :param partitions: partitions of a new data topic.
    :param replication_factor: copies of a new topic; -1 takes the broker's default.
    :param topic_retention: how long a new topic keeps records; None takes the broker's default.
    :param max_record_bytes: largest record in bytes; must exceed twice the biggest row, which an update holds twice.
    :param heartbeat_ms: milliseconds between two heartbeats.
    :param server_id: the connector's own replica id; MySQL and MariaDB only; by default computed from its name.
    :param overrides: further connector properties.
    """

    operator_extra_links = (ConnectorLink(),)
    template_fields: Sequence[str] = (
        "connector", "topic_prefix", "tables", "exclude", "capture_conn_id", "source_conn_id", "slot", "publication",
    )  # fmt: skip

    def __init__(
        self,
        *,
        connector: str,
        topic_prefix: str,
        tables: list[str],
        capture_conn_id: str,
        exclude: dict[str, list[str]] | None = None,
        password: str | None = None,
        slot: str | None = None,
        publication: str = "chista",
        kafka_bootstrap_servers: str | None = None,
        partitions: int = 1,
        replication_factor: int = -1,
        topic_retention: timedelta | None = timedelta(days=7),
        max_record_bytes: int = 8 * 1024 * 1024,
        heartbeat_ms: int = 2000,
        server_id: int | None = None,
        overrides: Mapping[str, object] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.connector = connector
        self.topic_prefix = topic_prefix
        self.tables = tables
        self.capture_conn_id = capture_conn_id
        self.exclude = exclude
        self.password = password
        self.slot = slot
        self.publication = publication
        self.kafka_bootstrap_servers = kafka_bootstrap_servers
        self.partitions = partitions
        self.replication_factor = replication_factor
        self.topic_retention = topic_retention
        self.max_record_bytes = max_record_bytes
        self.heartbeat_ms = heartbeat_ms
        self.server_id = server_id
        self.overrides = overrides

    def execute(self, context: Context) -> dict[str, Any]:
        """Validate and store."""
        from airflow_provider_chista.archive.connector import register
        from airflow_provider_chista.hooks.kafka import ChistaKafkaHook

        with airflow_errors(), self.connections.opened() as services:
            endpoint = SourceHook(self.capture_conn_id).endpoint()
            brokers = self.kafka_bootstrap_servers or ChistaKafkaHook(self.kafka_conn_id).bootstrap_servers()
            spec = ConnectorSpec(
                name=self.connector,
                flavour=cast(Flavour, services.source.flavour),
                hostname=endpoint.host,
                port=endpoint.port,
                user=endpoint.user,
                password=self.password or endpoint.password or "",
                topic_prefix=self.topic_prefix,
                tables=[TableId.parse(table) for table in self.tables],
                exclude={TableId.parse(table): columns for table, columns in (self.exclude or {}).items()},
                database=endpoint.database,
                kafka_bootstrap_servers=brokers,
                slot=self.slot,
                publication=self.publication,
                partitions=self.partitions,
                replication_factor=self.replication_factor,
                retention=self.topic_retention,
                max_record_bytes=self.max_record_bytes,
                heartbeat_ms=self.heartbeat_ms,
                server_id=self.server_id,
                registry=self._registry(),
                overrides=self.overrides or {},
            )
            for secret in secrets_of(spec.config()):
                mask_secret(secret)
            registration = register(services.connect, spec)
        self.log.info("connector %s %s: %s", self.connector, registration.action, registration.config)
        return registration.summary()

    def _registry(self) -> Registry | None:
        """The schema registry as the Connect worker reaches it."""
        from airflow_provider_chista.hooks.schema_registry import SchemaRegistryHook

        return (
            SchemaRegistryHook(self.schema_registry_conn_id).registry()
            if self.schema_registry_conn_id
            else None
        )
