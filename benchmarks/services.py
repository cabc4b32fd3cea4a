"""Clients of the running stack, as its administrators and as the provider's hooks make them."""

from __future__ import annotations

from functools import cache
from typing import Any

import clickhouse_connect
from clickhouse_connect.driver.client import Client
from confluent_kafka import Consumer
from confluent_kafka.admin import AdminClient

from airflow_provider_chista.archive.topic import Kafka
from airflow_provider_chista.clickhouse.cluster import CLIENT_SETTINGS
from airflow_provider_chista.hooks.kafka import LOG_LEVEL, REQUIRED, TUNED
from airflow_provider_chista.sources import open_source
from airflow_provider_chista.sources.base import Source
from stack.connections import connections
from stack.settings import HOST, Stack


@cache
def stack() -> Stack:
    """The stack that the environment names (``python -m stack env``)."""
    return Stack.from_environment()


def clickhouse() -> Client:
    """As the user ``default``, who may make and drop databases."""
    return clickhouse_connect.get_client(
        host=HOST,
        port=stack().ports["clickhouse_http"],
        username="default",
        password="",
        autogenerate_session_id=False,
        tz_mode="aware",
        settings=dict(CLIENT_SETTINGS),
    )


def consumer() -> Consumer:
    """A consumer with the settings of the hook."""
    return Consumer({"bootstrap.servers": stack().kafka_bootstrap, **TUNED, **REQUIRED})


def admin() -> AdminClient:
    """An admin client of Kafka."""
    return AdminClient({"bootstrap.servers": stack().kafka_bootstrap, "log_level": LOG_LEVEL})


def kafka() -> Kafka:
    """Kafka as the drain takes it."""
    return Kafka(consumer=consumer, admin=admin)


def source_connection(engine: str) -> Any:
    """A new connection of a source's administrator."""
    port, password = stack().ports[engine], stack().secrets[f"CHISTA_{engine.upper()}_ROOT_PASSWORD"]
    if engine == "postgres":
        import psycopg

        return psycopg.connect(host=HOST, port=port, user="postgres", password=password, dbname="shipment_db")
    import MySQLdb

    return MySQLdb.connect(host=HOST, port=port, user="root", passwd=password, charset="utf8mb4")


def postgres_source() -> Source:
    """PostgreSQL as the provider's verify user."""
    import psycopg

    known = connections(stack())["postgres_verify"]
    return open_source(
        lambda: psycopg.connect(
            host=HOST,
            port=known["port"],
            user=known["login"],
            password=known["password"],
            dbname=known["schema"],
        )
    )
