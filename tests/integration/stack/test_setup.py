"""What the running stack's sources are set to, and what each of their users may do: least privilege, seen from outside."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest

from stack.connections import connections
from stack.settings import Stack

pytestmark = pytest.mark.integration

ENGINES = ("mysql", "mariadb", "postgres")
Execute = Callable[[str], list[tuple[Any, ...]]]


@pytest.fixture(scope="module")
def stack(stack_env: dict[str, str]) -> Stack:
    return Stack.from_environment(stack_env)


@pytest.fixture
def connect(stack: Stack) -> Iterator[Callable[[str, str], Execute]]:
    """Log in to an engine as a role and run statements in a transaction that is never committed."""
    opened = []

    def login(engine: str, role: str) -> Execute:
        place = connections(stack)[f"{engine}_{role}"]
        password = stack.secrets[f"CHISTA_{engine}_{role}_PASSWORD".upper()]
        if engine == "postgres":
            import psycopg2

            connection = psycopg2.connect(
                host=place["host"],
                port=place["port"],
                user=place["login"],
                password=password,
                dbname=place["schema"],
            )
        else:
            import MySQLdb

            connection = MySQLdb.connect(
                host=place["host"], port=place["port"], user=place["login"], password=password
            )
        opened.append(connection)

        def execute(sql: str) -> list[tuple[Any, ...]]:
            with closing(connection.cursor()) as cursor:
                cursor.execute(sql)
                return list(cursor.fetchall()) if cursor.description else []

        return execute

    yield login
    for connection in opened:
        connection.rollback()
        connection.close()


def demo_table(engine: str) -> str:
    return "public.shipments" if engine == "postgres" else "test.chista"


def insert(engine: str) -> str:
    return (
        "INSERT INTO public.shipments (shipment_id, order_id) VALUES (-1, -1)"
        if engine == "postgres"
        else "INSERT INTO test.chista (id) VALUES (-1)"
    )


SIGNAL = {engine: "chista.signal" if engine == "postgres" else "chista.`signal`" for engine in ENGINES}
ALLOWED = {
    "capture": (
        "SELECT * FROM {table}",
        "INSERT INTO chista.heartbeat (id, beats) VALUES ('test', 1)",
        "INSERT INTO {signal} (id, type) VALUES ('test', 'x')",
    ),
    "verify": (
        "SELECT * FROM {table}",
        "SELECT * FROM chista.purge_log",
        "INSERT INTO chista.marker (id, token, nudges) VALUES ('test', 't', 0)",
        "INSERT INTO {signal} (id, type) VALUES ('test', 'x')",
    ),
    "purge": (
        "SELECT * FROM {table}",
        "DELETE FROM {table} WHERE 1 = 0",
        "DELETE FROM employees.salaries WHERE 1 = 0",
        "INSERT INTO chista.purge_log (batch_id, table_name, row_key, row_hash) VALUES ('test', 't', 'k', 'h')",
        "DELETE FROM chista.purge_log WHERE batch_id = 'test'",
    ),
    "restore": ("SELECT * FROM {table}", "{insert}"),
}
REFUSED = {
    "capture": (
        "{insert}",
        "DELETE FROM {table} WHERE 1 = 0",
        "INSERT INTO chista.marker (id, token, nudges) VALUES ('t', 't', 0)",
    ),
    "verify": ("{insert}", "DELETE FROM {table} WHERE 1 = 0", "DELETE FROM chista.purge_log WHERE 1 = 0"),
    "purge": (
        "{insert}",
        "INSERT INTO chista.marker (id, token, nudges) VALUES ('t', 't', 0)",
        "UPDATE chista.purge_log SET row_hash = 'x'",
    ),
    "restore": ("DELETE FROM {table} WHERE 1 = 0", "SELECT * FROM chista.purge_log"),
}


def cases(table: dict[str, tuple[str, ...]]) -> list[Any]:
    return [
        pytest.param(
            engine,
            role,
            sql.format(table=demo_table(engine), signal=SIGNAL[engine], insert=insert(engine)),
            id=f"{engine}-{role}-{number}",
        )
        for engine in ENGINES
        for role, statements in table.items()
        for number, sql in enumerate(statements)
    ]


@pytest.mark.parametrize(("engine", "role", "sql"), cases(ALLOWED))
def test_each_user_may_do_its_work(connect, engine: str, role: str, sql: str):
    connect(engine, role)(sql)


@pytest.mark.parametrize(("engine", "role", "sql"), cases(REFUSED))
def test_and_nothing_else(connect, engine: str, role: str, sql: str):
    execute = connect(engine, role)
    with pytest.raises(Exception, match=r"denied|permission"):
        execute(sql)


@pytest.mark.parametrize("engine", ["mysql", "mariadb"])
def test_the_binary_log_carries_whole_rows(connect, engine: str):
    rows = connect(engine, "verify")(
        "SHOW GLOBAL VARIABLES WHERE Variable_name IN ('log_bin', 'binlog_format', 'binlog_row_image', 'time_zone')"
    )
    assert dict(rows) == {
        "log_bin": "ON",
        "binlog_format": "ROW",
        "binlog_row_image": "FULL",
        "time_zone": "+00:00",
    }


def test_mysql_has_transaction_identities(connect):
    assert connect("mysql", "verify")("SELECT @@gtid_mode, @@enforce_gtid_consistency") == [("ON", "ON")]


def test_sources_of_one_stack_have_server_ids_of_their_own(connect):
    ids = {connect(engine, "verify")("SELECT @@server_id")[0][0] for engine in ("mysql", "mariadb")}
    assert len(ids) == 2


def test_postgres_decodes_logically_and_has_slots_to_spare(connect):
    execute = connect("postgres", "verify")
    assert execute("SHOW wal_level") == [("logical",)]
    assert int(execute("SHOW max_replication_slots")[0][0]) >= 4


def test_the_publication_holds_the_demo_tables_and_the_control_tables(connect):
    rows = connect("postgres", "verify")(
        "SELECT schemaname || '.' || tablename FROM pg_publication_tables WHERE pubname = 'chista'"
    )
    names = {name for (name,) in rows}
    assert {
        "public.shipments",
        "employees.salaries",
        "chista.heartbeat",
        "chista.marker",
        "chista.signal",
    } <= names
    assert "chista.purge_log" in names


def test_mysql_verify_sees_triggers_and_the_foreign_keys_of_the_whole_server(connect):
    execute = connect("mysql", "verify")
    keys = execute(
        "SELECT FOR_NAME, REF_NAME FROM information_schema.INNODB_FOREIGN WHERE REF_NAME = 'employees/employees'"
    )
    assert ("employees/salaries", "employees/employees") in keys


def test_connect_offers_the_three_debezium_connectors(stack: Stack):
    with urllib.request.urlopen(f"{stack.connect_url}/connector-plugins", timeout=10) as response:
        plugins = {plugin["class"]: plugin["version"] for plugin in json.load(response)}
    version = stack.versions["DEBEZIUM_VERSION"]
    for name in ("mysql.MySqlConnector", "mariadb.MariaDbConnector", "postgresql.PostgresConnector"):
        assert plugins[f"io.debezium.connector.{name}"] == version


def test_a_client_cannot_make_a_topic_by_misspelling_it(stack: Stack):
    from confluent_kafka.admin import AdminClient

    admin = AdminClient({"bootstrap.servers": stack.kafka_bootstrap})
    admin.list_topics("no.such.topic", timeout=10)
    assert "no.such.topic" not in admin.list_topics(timeout=10).topics


def test_the_broker_takes_a_row_of_ten_megabytes(stack: Stack):
    from confluent_kafka.admin import AdminClient, ConfigResource

    resource = ConfigResource(ConfigResource.Type.BROKER, "1")
    admin = AdminClient({"bootstrap.servers": stack.kafka_bootstrap})
    settings = admin.describe_configs([resource])[resource].result(timeout=10)
    assert int(settings["message.max.bytes"].value) >= 10_000_000
