"""What Airflow asks of a provider: connection types, configuration, commands, integrations.

The function is called by every Airflow component and at every ``airflow`` command, so this module imports nothing.
The keys are those of Airflow's ``provider_info.schema.json``; the connection form is declared here, because Airflow
does not import a hook to draw a form.
"""

from __future__ import annotations

from typing import Any

DISTRIBUTION = "airflow-provider-chista"
"""Must equal the canonical name of the distribution: Airflow refuses to start any command when the two differ."""


def get_provider_info() -> dict[str, Any]:
    """Provider information for the entry point group ``apache_airflow_provider``."""
    return {
        "package-name": DISTRIBUTION,
        "name": "Chista",
        "description": (
            "Archives rows of MySQL, MariaDB and PostgreSQL into ClickHouse through Debezium and Kafka, "
            "proves them equal row by row, and deletes them at the source after that."
        ),
        "integrations": [
            {
                "integration-name": "Kafka Connect",
                "external-doc-url": "https://kafka.apache.org/documentation/#connect",
                "tags": ["software"],
            },
            {
                "integration-name": "Debezium",
                "external-doc-url": "https://debezium.io/documentation/reference/3.5/",
                "tags": ["software"],
            },
            {
                "integration-name": "Apicurio Registry",
                "external-doc-url": "https://www.apicur.io/registry/docs/apicurio-registry/2.6.x/",
                "tags": ["software"],
            },
        ],
        "hooks": [
            {
                "integration-name": "Kafka Connect",
                "python-modules": ["airflow_provider_chista.hooks.kafka_connect"],
            },
            {
                "integration-name": "Apicurio Registry",
                "python-modules": ["airflow_provider_chista.hooks.schema_registry"],
            },
        ],
        "operators": [
            _modules(
                "operators",
                "approve",
                "audit",
                "connector",
                "deadletters",
                "drain",
                "partitions",
                "preflight",
                "purge",
                "restore",
                "snapshot",
                "table",
                "verify",
            )
        ],
        "sensors": [_modules("sensors", "capture", "connector", "snapshot", "topic", "window")],
        "triggers": [_modules("triggers", "check")],
        "extra-links": [
            f"airflow_provider_chista.links.{name}" for name in ("ConnectorLink", "TopicLink", "QueryLink")
        ],
        "connection-types": [KAFKA_CONNECT, SCHEMA_REGISTRY],
        "config": {"chista": CONFIGURATION},
        "cli": ["airflow_provider_chista.cli.definition.get_cli_commands"],
    }


def _modules(kind: str, *names: str) -> dict[str, Any]:
    return {
        "integration-name": "Debezium",
        "python-modules": [f"airflow_provider_chista.{kind}.{name}" for name in names],
    }


def _rest_fields(service: str) -> dict[str, Any]:
    """Extra fields of every REST service's connection (``hooks/rest.py``)."""
    return {
        "verify": {
            "label": "Verify TLS certificate",
            "description": f"Check the {service}'s certificate and host name; switch off only for a test.",
            "schema": {"type": "boolean", "default": True},
        },
        "ca_file": {
            "label": "CA file",
            "description": f"Path on the Airflow workers of a PEM file that signs the {service}'s certificate.",
            "schema": {"type": ["string", "null"], "default": None},
        },
        "timeout": {
            "label": "Timeout, seconds",
            "description": f"Longest wait for one answer of the {service}.",
            "schema": {"type": "number", "default": 30, "minimum": 1, "maximum": 600},
        },
    }


KAFKA_CONNECT: dict[str, Any] = {
    "connection-type": "kafka_connect",
    "hook-class-name": "airflow_provider_chista.hooks.kafka_connect.KafkaConnectHook",
    "hook-name": "Kafka Connect",
    "ui-field-behaviour": {
        "hidden-fields": ["extra"],
        "relabeling": {"host": "URL or host", "login": "User", "schema": "Scheme"},
        "placeholders": {
            "host": "http://connect:8083",
            "port": "8083; Airflow's Test button refuses a connection without it",
            "schema": "http or https, unless the URL says it",
            "login": "only when the worker asks for basic authentication",
        },
    },
    "conn-fields": {
        **_rest_fields("worker"),
        "connector_page": {
            "label": "Page of a connector",
            "description": "URL with {connector} in it, for the link of tasks; without it, the worker's own status.",
            "schema": {"type": ["string", "null"], "default": None},
        },
        "topic_page": {
            "label": "Page of a topic",
            "description": "URL with {topic} in it, for the link of tasks, such as a page of a Kafka UI.",
            "schema": {"type": ["string", "null"], "default": None},
        },
    },
}

SCHEMA_REGISTRY: dict[str, Any] = {
    "connection-type": "schema_registry",
    "hook-class-name": "airflow_provider_chista.hooks.schema_registry.SchemaRegistryHook",
    "hook-name": "Schema Registry",
    "ui-field-behaviour": {
        "hidden-fields": ["extra"],
        "relabeling": {"host": "URL or host", "login": "User", "schema": "Scheme"},
        "placeholders": {
            "host": "http://registry:8080",
            "port": "8080; Airflow's Test button refuses a connection without it",
            "schema": "http or https, unless the URL says it",
            "login": "only when the registry asks for basic authentication",
        },
    },
    "conn-fields": {
        **_rest_fields("registry"),
        "worker_url": {
            "label": "URL for Kafka Connect",
            "description": "Address of the registry as the Connect worker reaches it, where it is another one.",
            "schema": {"type": ["string", "null"], "default": None},
        },
        "worker_password": {
            "label": "Password for Kafka Connect",
            "description": "Best a reference for a config provider of the worker, such as ${env:NAME}.",
            "schema": {"type": ["string", "null"], "default": None, "format": "password"},
        },
    },
}

CONFIGURATION: dict[str, Any] = {
    "description": "Settings of the archive provider airflow-provider-chista.",
    "options": {
        "state_database": {
            "description": (
                "ClickHouse database that holds the provider's own state: drained positions, dead letters, "
                "quarantined deletes, the ledger of windows and purges."
            ),
            "version_added": "0.1.0",
            "type": "string",
            "example": "archive_state",
            "default": "chista",
        },
        "page_connections": {
            "description": (
                "Ids of the ClickHouse connections that the page in Airflow's UI reads, separated by commas; the first one "
                "is shown first."
            ),
            "version_added": "0.1.0",
            "type": "string",
            "example": "clickhouse_default,clickhouse_eu",
            "default": "clickhouse_default",
        },
        "mask_values": {
            "description": (
                "Whether the page in Airflow's UI shows digests in the place of values of rows and of the bytes of dead "
                "letters, and neither it nor `airflow chista dead-letters list` the texts of the letters' errors."
            ),
            "version_added": "0.1.0",
            "type": "boolean",
            "example": "True",
            "default": "False",
        },
    },
}
