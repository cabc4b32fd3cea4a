"""The port of each listener, as a fixed distance from the stack's base port.

Two stacks with base ports at least 100 apart can run side by side. The same numbers, with the default base port, are what
``docker-compose.yaml`` publishes on loopback (``tests/unit/stack/test_compose_drift.py`` holds the two together).
"""

DEFAULT_BASE_PORT = 20000
_LOWEST = 1024
_HIGHEST = 32767

OFFSETS: dict[str, int] = {
    "clickhouse_http": 23,
    "postgres": 32,
    "mysql": 33,
    "mariadb": 34,
    "airflow_scheduler_health": 74,
    "airflow_triggerer_logs": 75,
    "airflow_worker_logs": 76,
    "redis": 79,
    "airflow": 80,
    "registry": 81,
    "connect": 83,
    "clickhouse_tcp": 90,
    "kafka": 92,
    "kafka_controller": 93,
}


def port_table(base_port: int) -> dict[str, int]:
    """The port of every listener of a stack with this base port.

    :raises ValueError: when a port would be below 1024, or among those that Linux gives to outgoing connections: there
        a service would find its port taken now and then.
    """
    table = {name: base_port + offset for name, offset in OFFSETS.items()}
    if any(not _LOWEST <= port <= _HIGHEST for port in table.values()):
        raise ValueError(
            f"base port {base_port} gives ports outside {_LOWEST}..{_HIGHEST} (above are those of outgoing connections); "
            f"choose CHISTA_BASE_PORT between {_LOWEST} and {_HIGHEST - max(OFFSETS.values())}"
        )
    return table
