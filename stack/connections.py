"""The Airflow connections of the stack, and the environment that describes it.

The services of Airflow, the tests and a developer's shell all take their connections from here, as
``AIRFLOW_CONN_*`` in JSON form.
"""

import json
import shlex
from typing import Any

from stack.settings import HOST, Stack

_SOURCES: dict[str, tuple[str, str | None]] = {
    # engine: (Airflow's connection type, schema). PostgreSQL's schema is the database; the others name tables database.table.
    "mysql": ("mysql", None),
    "mariadb": ("mysql", None),
    "postgres": ("postgres", "shipment_db"),
}


def connections(stack: Stack) -> dict[str, dict[str, Any]]:
    """Airflow connections by id, as the JSON form of ``AIRFLOW_CONN_*`` has them.

    The capture connections carry no password: the connector's configuration refers to the Connect worker's environment
    (``${env:CHISTA_MYSQL_CAPTURE_PASSWORD}``), so that Airflow never knows it.
    """
    table: dict[str, dict[str, Any]] = {}
    for engine, (conn_type, schema) in _SOURCES.items():
        for role in ("capture", "verify", "purge", "restore"):
            connection: dict[str, Any] = {
                "conn_type": conn_type,
                "host": HOST,
                "port": stack.ports[engine],
                "login": f"chista_{role}",
            }
            if role != "capture":
                connection["password"] = stack.secrets[f"CHISTA_{engine}_{role}_PASSWORD".upper()]
            if schema:
                connection["schema"] = schema
            table[f"{engine}_{role}"] = connection
    table["kafka_default"] = {"conn_type": "kafka", "extra": {"bootstrap.servers": stack.kafka_bootstrap}}
    table["clickhouse_default"] = {
        "conn_type": "clickhouse",
        "host": HOST,
        "port": stack.ports["clickhouse_http"],
        "login": "chista",
        "password": stack.secrets["CHISTA_CLICKHOUSE_PASSWORD"],
    }
    table["kafka_connect_default"] = {
        "conn_type": "kafka_connect",
        "host": f"http://{HOST}",
        "port": stack.ports["connect"],
    }
    table["schema_registry_default"] = {
        "conn_type": "schema_registry",
        "host": f"http://{HOST}",
        "port": stack.ports["registry"],
    }
    return table


def connection_environment(stack: Stack) -> dict[str, str]:
    """:func:`connections` as environment variables."""
    return {
        f"AIRFLOW_CONN_{name.upper()}": json.dumps(connection)
        for name, connection in connections(stack).items()
    }


def client_environment(stack: Stack) -> dict[str, str]:
    """Everything that a test, a script or a shell needs to reach the running stack."""
    places = {
        "CHISTA_BASE_PORT": str(stack.base_port),
        "CHISTA_DATA": str(stack.data),
        "CHISTA_CACHE": str(stack.cache),
        "CHISTA_HOST": HOST,
        "CHISTA_KAFKA_BOOTSTRAP": stack.kafka_bootstrap,
        "CHISTA_CONNECT_URL": stack.connect_url,
        "CHISTA_CLICKHOUSE_URL": stack.clickhouse_url,
        "CHISTA_CLICKHOUSE_USER": "chista",
        "CHISTA_AIRFLOW_URL": stack.airflow_url,
        "CHISTA_AIRFLOW_USER": "admin",
        "AIRFLOW_HOME": str(stack.airflow_home),
    }
    ports = {f"CHISTA_{name.upper()}_PORT": str(port) for name, port in stack.ports.items()}
    return places | ports | stack.secrets | connection_environment(stack)


def shell_exports(stack: Stack) -> str:
    """:func:`client_environment` as lines for ``eval "$(python -m stack env)"``."""
    return "".join(
        f"export {name}={shlex.quote(value)}\n" for name, value in client_environment(stack).items()
    )
