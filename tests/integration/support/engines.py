"""The three source databases: schemas, users and connectors of a test's own, removed behind it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import Any

import MySQLdb
import psycopg

from airflow_provider_chista.archive.barrier import Capture
from airflow_provider_chista.debezium.config import ConnectorSpec, Flavour
from airflow_provider_chista.debezium.connect import KafkaConnectClient
from airflow_provider_chista.debezium.registry import Registry
from airflow_provider_chista.errors import ChistaError
from airflow_provider_chista.model import TableId
from airflow_provider_chista.sources import Source, open_source
from tests.integration.support import services
from tests.integration.support.avro import reader, require_registry

MYSQL_FAMILY = ("mysql", "mariadb")
CONTROL_TABLES = "chista.heartbeat, chista.marker, chista.signal, chista.purge_log"


@dataclass(frozen=True)
class Engine:
    flavour: Flavour

    @property
    def port(self) -> int:
        return services.stack().ports[self.flavour]

    def connect(self, user: str, password: str) -> Any:
        if self.flavour in MYSQL_FAMILY:
            return MySQLdb.connect(
                host="127.0.0.1", port=self.port, user=user, passwd=password, charset="utf8mb4"
            )
        return psycopg.connect(
            host="127.0.0.1", port=self.port, user=user, password=password, dbname="shipment_db"
        )

    def admin(self) -> Any:
        user = "root" if self.flavour in MYSQL_FAMILY else "postgres"
        connection = self.connect(
            user, services.stack().secrets[f"CHISTA_{self.flavour.upper()}_ROOT_PASSWORD"]
        )
        connection.autocommit(True) if self.flavour in MYSQL_FAMILY else setattr(
            connection, "autocommit", True
        )
        return connection

    def execute(self, *statements: str, many: Sequence[Sequence[object]] | None = None) -> None:
        """Statements of the application, each its own transaction; the last one for each of ``many``, in one."""
        with closing(self.admin()) as connection, closing(connection.cursor()) as cursor:
            for statement in statements[: -1 if many is not None else None]:
                cursor.execute(statement)
            if many is not None:
                connection.autocommit(False) if self.flavour in MYSQL_FAMILY else setattr(
                    connection, "autocommit", False
                )
                cursor.executemany(statements[-1], many)
                connection.commit()

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        with closing(self.admin()) as connection, closing(connection.cursor()) as cursor:
            cursor.execute(statement)
            return [tuple(row) for row in cursor.fetchall()]

    def source(self, role: str = "verify") -> Source:
        known = services.connection(f"{self.flavour}_{role}")
        return open_source(lambda: self.connect(known["login"], known["password"]))

    def create_schema(self, schema: str, tables: Sequence[str]) -> None:
        """A schema with tables, granted to the provider's users as the stack's own are; on PostgreSQL also published."""
        if self.flavour in MYSQL_FAMILY:
            self.execute(
                f"CREATE DATABASE {schema} CHARACTER SET utf8mb4",
                *(ddl.format(schema=schema) for ddl in tables),
                f"GRANT LOCK TABLES ON {schema}.* TO 'chista_capture'@'%'",
                f"GRANT SELECT, TRIGGER ON {schema}.* TO 'chista_verify'@'%'",
                f"GRANT SELECT, DELETE ON {schema}.* TO 'chista_purge'@'%'",
                f"GRANT SELECT, INSERT ON {schema}.* TO 'chista_restore'@'%'",
            )
        else:
            users = "chista_capture, chista_verify, chista_purge, chista_restore"
            self.execute(
                f"CREATE SCHEMA {schema}",
                f"GRANT USAGE ON SCHEMA {schema} TO {users}",
                f"ALTER DEFAULT PRIVILEGES IN SCHEMA {schema} GRANT SELECT ON TABLES TO {users}",
                f"ALTER DEFAULT PRIVILEGES IN SCHEMA {schema} GRANT DELETE ON TABLES TO chista_purge",
                f"ALTER DEFAULT PRIVILEGES IN SCHEMA {schema} GRANT INSERT ON TABLES TO chista_restore",
                *(ddl.format(schema=schema) for ddl in tables),
                f"CREATE PUBLICATION {schema} WITH (publish_via_partition_root = true)",
                f"ALTER PUBLICATION {schema} SET TABLES IN SCHEMA {schema}, TABLE {CONTROL_TABLES}",
            )

    def drop_schema(self, schema: str) -> None:
        if self.flavour in MYSQL_FAMILY:
            self.execute(
                f"DROP DATABASE IF EXISTS {schema}",
                f"REVOKE LOCK TABLES ON {schema}.* FROM 'chista_capture'@'%'",
                f"REVOKE SELECT, TRIGGER ON {schema}.* FROM 'chista_verify'@'%'",
                f"REVOKE SELECT, DELETE ON {schema}.* FROM 'chista_purge'@'%'",
                f"REVOKE SELECT, INSERT ON {schema}.* FROM 'chista_restore'@'%'",
            )
        else:
            self.execute(f"DROP PUBLICATION IF EXISTS {schema}", f"DROP SCHEMA IF EXISTS {schema} CASCADE")
        # The next connector's snapshot would have them, and a drain of single records would never end.
        self.execute(f"DELETE FROM chista.purge_log WHERE table_name LIKE '{schema}.%'")


ENGINES = {flavour: Engine(flavour) for flavour in ("mysql", "mariadb", "postgres")}


@dataclass
class Connector:
    """A real connector on a schema of its own.

    :param avro: whether it writes Avro.
    """

    engine: Engine
    name: str
    tables: list[TableId]
    avro: bool = False
    connect: KafkaConnectClient = field(
        default_factory=lambda: KafkaConnectClient(services.stack().connect_url)
    )

    @property
    def schema(self) -> str:
        """Schema, topic prefix, publication and connector are all called alike."""
        return self.name

    def spec(self, **overrides: Any) -> ConnectorSpec:
        known = services.connection(f"{self.engine.flavour}_capture")
        postgres = self.engine.flavour == "postgres"
        return ConnectorSpec(
            **{
                "name": self.name,
                "flavour": self.engine.flavour,
                "hostname": "127.0.0.1",
                "port": self.engine.port,
                "user": known["login"],
                "password": f"${{env:CHISTA_{self.engine.flavour.upper()}_CAPTURE_PASSWORD}}",
                "topic_prefix": self.name,
                "tables": self.tables,
                "database": "shipment_db" if postgres else None,
                "kafka_bootstrap_servers": None if postgres else services.stack().kafka_bootstrap,
                "slot": self.name if postgres else None,
                "publication": self.name,
                "heartbeat_ms": 500,
                "registry": Registry(services.stack().registry_url) if self.avro else None,
                **overrides,
            }
        )

    def register(self, **overrides: Any) -> None:
        spec = self.spec(**overrides)
        config = spec.config()
        errors = self.connect.validate(spec.connector_class, config)
        assert errors == []
        self.connect.put_config(self.name, config)

    def capture(self) -> Capture:
        records = reader() if self.avro else None
        return Capture(self.engine.source(), self.connect, services.kafka(), self.name, self.name, records)

    def remove(self) -> None:
        try:
            self.connect.stop(self.name)
            wait_for(
                lambda: (
                    self.connect.status(self.name).state == "STOPPED"
                    and not self.connect.status(self.name).tasks
                )
            )
            self.connect.delete_offsets(self.name)
        except ChistaError:
            pass
        self.connect.delete(self.name)
        self.connect.close()
        if self.engine.flavour == "postgres":
            slots = f"FROM pg_replication_slots WHERE slot_name = '{self.name}'"
            wait_for(lambda: not self.engine.query(f"SELECT 1 {slots} AND active"))
            self.engine.execute(f"SELECT pg_drop_replication_slot(slot_name) {slots}")
        self.engine.execute(f"DELETE FROM chista.heartbeat WHERE id = '{self.name}'")
        self.engine.drop_schema(self.schema)
        services.delete_topics(f"{self.name}.")
        services.delete_topics(f"__debezium-heartbeat.{self.name}")


@contextmanager
def connector(
    flavour: str, tables: dict[str, str], captured: Sequence[str] | None = None, *, avro: bool = False
) -> Iterator[Connector]:
    """A schema with tables (DDL by name, ``{schema}`` in it), and a connector object that is not registered yet.

    :param captured: tables that the connector captures; by default all. :param avro: whether it writes Avro.
    """
    if avro:
        require_registry()
    engine, name = ENGINES[flavour], f"it_{flavour[:2]}_{services.token()}"
    engine.create_schema(name, list(tables.values()))
    made = Connector(engine, name, [TableId(name, table) for table in captured or tables], avro)
    try:
        yield made
    finally:
        made.remove()


def wait_for(condition: Callable[[], Any], seconds: float = 30.0, pause: float = 0.1) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"not true within {seconds} seconds"
        time.sleep(pause)
    return found


@contextmanager
def locked(engine: Engine, table: TableId) -> Iterator[None]:
    """Another session holds the table, so that nobody can read it."""
    with closing(engine.admin()) as holder:
        if engine.flavour in MYSQL_FAMILY:
            holder.cursor().execute(f"LOCK TABLES {table} WRITE")
        else:
            holder.autocommit = False
            holder.cursor().execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
        yield


def waiting_for(engine: Engine, table: TableId) -> int:
    """Statements of other sessions that wait for a table that is :func:`locked`."""
    statement = (
        "SELECT count(*) FROM information_schema.processlist"
        f" WHERE state LIKE 'Waiting for table metadata lock' AND info LIKE '%{table.schema}%'"
        if engine.flavour in MYSQL_FAMILY
        else f"SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = '{table}'::regclass"
    )
    return int(engine.query(statement)[0][0])
