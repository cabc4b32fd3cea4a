"""Configuration of a Debezium connector, built from a typed specification.

:class:`ConnectorSpec` says what is captured from where; :meth:`ConnectorSpec.config` gives the properties. Settings
that keep the promises are fixed (``settings.py``) and an override of them is refused with the reason.
"""

from __future__ import annotations

import hashlib
import json
import re
import zlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Literal

from airflow_provider_chista.debezium.secrets import redact, secrets_of
from airflow_provider_chista.debezium.settings import (
    DEFAULTS,
    DERIVED,
    OWN,
    REFUSED,
    UNAVAILABLE_VALUE,
    Fixed,
    fixed,
)
from airflow_provider_chista.errors import FatalError, RefusedError
from airflow_provider_chista.model import TableId

if TYPE_CHECKING:
    from airflow_provider_chista.debezium.registry import Registry

__all__ = [
    "CONTROL_TABLES",
    "UNAVAILABLE_VALUE",
    "ConnectorSpec",
    "Flavour",
    "captures",
    "control_topic",
    "default_slot",
    "fingerprint",
    "is_connector_name",
    "is_topic_prefix",
    "notification_topic",
    "redact",
    "secrets_of",
    "topic_name",
]

Flavour = Literal["mysql", "mariadb", "postgres"]

CONNECTOR_CLASSES: dict[Flavour, str] = {
    "mysql": "io.debezium.connector.mysql.MySqlConnector",
    "mariadb": "io.debezium.connector.mariadb.MariaDbConnector",
    "postgres": "io.debezium.connector.postgresql.PostgresConnector",
}

CONTROL_TABLES = tuple(TableId("chista", name) for name in ("heartbeat", "marker", "purge_log", "signal"))
"""Tables of the provider at each source; the connector captures them with the user's own."""

PRODUCER_MEMORY = 32 * 1024 * 1024
"""Bytes that a Kafka producer buffers by default; it refuses a record that is larger."""

HEARTBEAT_QUERIES: dict[Flavour, str] = {
    "mysql": (
        "INSERT INTO chista.heartbeat (id, beats) VALUES ({id}, 1) ON DUPLICATE KEY UPDATE beats = beats + 1"
    ),
    "mariadb": (
        "INSERT INTO chista.heartbeat (id, beats) VALUES ({id}, 1) ON DUPLICATE KEY UPDATE beats = beats + 1"
    ),
    "postgres": (
        "INSERT INTO chista.heartbeat AS own (id, beats) VALUES ({id}, 1) "
        "ON CONFLICT (id) DO UPDATE SET beats = own.beats + 1"
    ),
}


@dataclass(frozen=True)
class ConnectorSpec:
    """What one connector captures, from where, into which topics.

    :param name: name of the connector; at most 200 characters, the size of its row in ``chista.heartbeat``.
    :param flavour: the source: ``mysql``, ``mariadb`` or ``postgres``.
    :param hostname: the source's host as the Connect worker reaches it.
    :param port: its port.
    :param user: the capture user.
    :param password: its password, or a reference for a config provider of the worker, such as ``${env:NAME}``.
    :param topic_prefix: first part of every topic's name.
    :param tables: the tables to capture; the control tables are added.
    :param exclude: columns that the archive leaves out, by table; the connector then does not read them, so that a value in
        them cannot stop it.
    :param database: the database to connect to; PostgreSQL only, and needed there.
    :param kafka_bootstrap_servers: brokers as the worker reaches them; needed for the schema history of MySQL, MariaDB.
    :param slot: replication slot, PostgreSQL only; by default ``chista_`` and the topic prefix.
    :param publication: publication made by the administrator, PostgreSQL only.
    :param server_id: the connector's own replica id, MySQL and MariaDB only; by default computed from the name.
    :param heartbeat_ms: milliseconds between two heartbeats.
    :param partitions: partitions of a new data topic.
    :param replication_factor: copies of a new topic; -1 takes the broker's default.
    :param retention: how long a new topic keeps records; None takes the broker's default.
    :param max_record_bytes: largest record; an update holds the biggest row twice, and bytes are a third longer in it.
        A topic that exists keeps its own ``max.message.bytes``.
    :param registry: the schema registry, for a connector that writes Avro; None: it writes JSON.
    :param overrides: further properties, which win over the defaults.
    """

    name: str
    flavour: Flavour
    hostname: str
    port: int
    user: str
    password: str = field(repr=False)
    topic_prefix: str
    tables: Sequence[TableId]
    exclude: Mapping[TableId, Collection[str]] = field(default_factory=dict)
    database: str | None = None
    kafka_bootstrap_servers: str | None = None
    slot: str | None = None
    publication: str = "chista"
    server_id: int | None = None
    heartbeat_ms: int = 2000
    partitions: int = 1
    replication_factor: int = -1
    retention: timedelta | None = timedelta(days=7)
    max_record_bytes: int = 8 * 1024 * 1024
    registry: Registry | None = None
    overrides: Mapping[str, object] = field(default_factory=dict, repr=False)

    @property
    def connector_class(self) -> str:
        """The connector's Java class."""
        return CONNECTOR_CLASSES[self.flavour]

    def config(self) -> dict[str, str]:
        """All properties, for validation and for ``PUT``.

        :raises FatalError: an argument is missing or cannot be used.
        :raises RefusedError: an override would break a promise.
        """
        self._check()
        return {
            **{key: value for key, value, flavours in DEFAULTS if self.flavour in flavours},
            **self._derived(),
            **{key: setting.value for key, setting in self._fixed().items()},
            **self._checked_overrides(),
        }

    def _check(self) -> None:
        if self.flavour not in CONNECTOR_CLASSES:
            raise FatalError(f"flavour {self.flavour!r} is none of {', '.join(CONNECTOR_CLASSES)}")
        if not is_connector_name(self.name):
            raise FatalError(
                f"connector name {self.name!r} cannot be used; "
                "give 1 to 200 printable characters without backslash and without ${"
            )
        if not is_topic_prefix(self.topic_prefix):
            raise FatalError(
                f"topic prefix {self.topic_prefix!r} cannot be part of a topic's name; use letters, digits, '.', '_', '-'"
            )
        if not self.tables:
            raise FatalError(f"connector {self.name} captures no table; name at least one")
        if self.flavour == "postgres" and not self.database:
            raise FatalError(f"connector {self.name} needs the name of the PostgreSQL database")
        if self.flavour != "postgres" and not self.kafka_bootstrap_servers:
            raise FatalError(
                f"connector {self.name} needs the Kafka brokers' addresses as the Connect worker reaches them, "
                "for its schema history"
            )
        mark = '"' if self.flavour == "postgres" else "`"
        for table in self.tables:
            if any(part[:1] == mark or part[-1:] == mark for part in (table.schema, table.name)):
                raise FatalError(
                    f"table {table} cannot be captured: Debezium does not quote a name that begins or ends with {mark}; "
                    "rename it"
                )
        topics: dict[str, TableId] = {}
        for table in sorted({*self.tables, *CONTROL_TABLES}):
            topic = topic_name(self.topic_prefix, table)
            # Kafka refuses a topic whose name differs from another's in nothing but dots and underscores.
            other = topics.setdefault(topic.replace(".", "_"), table)
            if other == table:
                continue
            first = topic_name(self.topic_prefix, other)
            shared = (
                f"share the topic {topic}"
                if first == topic
                else f"have the topics {first} and {topic}, which differ only in '.' and '_', so that Kafka refuses one"
            )
            raise FatalError(
                f"tables {other} and {table} would {shared}; capture them by connectors with different topic prefixes"
            )

    def _derived(self) -> dict[str, str]:
        captured = sorted({*self.tables, *CONTROL_TABLES})
        prefix = re.escape(self.topic_prefix)
        control = (rf"{prefix}\.chista\..*", rf"{prefix}\.transaction", rf"__debezium-heartbeat\.{prefix}")
        derived = {
            "name": self.name,
            "connector.class": self.connector_class,
            "topic.prefix": self.topic_prefix,
            "database.hostname": self.hostname,
            "database.port": str(self.port),
            "database.user": self.user,
            "database.password": self.password,
            "table.include.list": _regex_list(f"{table}" for table in captured),
            "signal.data.collection": "chista.signal",
            "notification.sink.topic.name": notification_topic(self.topic_prefix),
            "heartbeat.interval.ms": str(self.heartbeat_ms),
            "heartbeat.action.query": HEARTBEAT_QUERIES[self.flavour].format(id=_literal(self.name)),
            "producer.override.max.request.size": str(self.max_record_bytes),
            "topic.creation.default.partitions": str(self.partitions),
            "topic.creation.default.replication.factor": str(self.replication_factor),
            "topic.creation.default.max.message.bytes": str(self.max_record_bytes),
            "topic.creation.groups": "chista",
            "topic.creation.chista.include": ",".join(control),
            "topic.creation.chista.partitions": "1",
        }
        if 2 * self.max_record_bytes > PRODUCER_MEMORY:
            derived["producer.override.buffer.memory"] = str(2 * self.max_record_bytes)
        if self.registry:
            derived |= self.registry.settings()
        excluded = sorted(
            f"{table}.{column}" for table, columns in self.exclude.items() for column in columns
        )
        if excluded:
            derived["column.exclude.list"] = _regex_list(excluded)
        if self.retention is not None:
            derived["topic.creation.default.retention.ms"] = str(self.retention // timedelta(milliseconds=1))
        return derived | (self._postgres() if self.flavour == "postgres" else self._mysql(captured))

    def _postgres(self) -> dict[str, str]:
        return {
            "database.dbname": self.database or "",
            "slot.name": self.slot or default_slot(self.topic_prefix),
            "publication.name": self.publication,
        }

    def _mysql(self, captured: Sequence[TableId]) -> dict[str, str]:
        # A replica id must be unique among the replicas of a server; high numbers are rarely given by hand.
        server_id = self.server_id or 0x40000000 | zlib.crc32(self.name.encode()) & 0x3FFFFFFF
        return {
            "database.server.id": str(server_id),
            "database.include.list": _regex_list(sorted({table.schema for table in captured})),
            "schema.history.internal.kafka.bootstrap.servers": self.kafka_bootstrap_servers or "",
            "schema.history.internal.kafka.topic": f"{self.topic_prefix}.schema-history",
        }

    def _fixed(self) -> dict[str, Fixed]:
        return fixed(self.flavour, avro=self.registry is not None)

    def _checked_overrides(self) -> dict[str, str]:
        fixed_here = self._fixed()
        derived = self._derived()
        checked = {}
        for key, given in self.overrides.items():
            value = str(given).lower() if isinstance(given, bool) else str(given)
            if key in fixed_here:
                setting = fixed_here[key]
                if value != setting.value and not (setting.accepts and setting.accepts(value)):
                    raise _refused(key, value, f"it is fixed to {setting.value!r} because {setting.reason}")
            elif key in DERIVED and derived.get(key) != value:
                raise _refused(key, value, f"it follows from {DERIVED[key]}; give that instead")
            elif key in OWN and derived.get(key) != value:
                raise _refused(key, value, f"it is not free because {OWN[key]}")
            else:
                for refused in REFUSED:
                    if refused.pattern.fullmatch(key):
                        raise _refused(key, value, f"it is not allowed because {refused.reason}")
            checked[key] = value
        return checked


def _refused(key: str, value: str, why: str) -> RefusedError:
    shown = redact({key: value})[key]
    return RefusedError(f"connector property {key} cannot be set to {shown!r}: {why}")


def is_connector_name(name: str) -> bool:
    """Whether a connector may be named so."""
    # It becomes a literal in the heartbeat's SQL; without backslash and control characters, doubled quotes are right in
    # every SQL mode. Connect would resolve "${".
    return 0 < len(name) <= 200 and name.isprintable() and not re.search(r"\\|\$\{", name)


def is_topic_prefix(text: str) -> bool:
    """Whether topics' names may begin so."""
    return re.fullmatch(r"[A-Za-z0-9._-]{1,120}", text) is not None


def default_slot(topic_prefix: str) -> str:
    """Replication slot of a connector that names none: ``chista_`` and the topic prefix."""
    return "chista_" + re.sub(r"[^a-z0-9_]", "_", topic_prefix.lower())


def topic_name(topic_prefix: str, table: TableId) -> str:
    """Topic of a table's change events; characters that Kafka does not allow become ``_`` as in Debezium."""
    return _sanitized(f"{topic_prefix}.{table}")


def _sanitized(name: str) -> str:
    # Java counts a character beyond the basic plane as two.
    return re.sub(r"[^A-Za-z0-9._-]", lambda found: "_" if found[0] <= "\uffff" else "__", name)


def captures(config: Mapping[str, str], topic: str) -> bool:
    """Whether a stored configuration captures the table of a topic.

    ``table.include.list`` is a list of Java expressions; those that this module writes name one table each.
    """
    prefix = config.get("topic.prefix", "")
    name = topic.removeprefix(f"{prefix}.")
    for pattern in re.split(r"(?<!\\),", config.get("table.include.list", "")):
        literal = re.sub(r"\\(.)", r"\1", pattern)
        if _sanitized(f"{prefix}.{literal}") == topic:
            return True
        try:
            if re.fullmatch(pattern, name, re.IGNORECASE):
                return True
        except re.error:
            continue
    return False


_LISTS = ("table.include.list", "column.exclude.list", "database.include.list")


def fingerprint(config: Mapping[str, str], table: TableId) -> str:
    """SHA-256, in hex, of the part of a stored configuration that decides how a table and the purge log are captured.

    Secrets count as one and the same, and what lists say of other tables does not count.
    """
    tables = (table, TableId("chista", "purge_log"))
    lists = {key: _concerning(config[key], tables) for key in _LISTS if key in config}
    return hashlib.sha256(json.dumps(redact(config) | lists, sort_keys=True).encode()).hexdigest()


def _concerning(listed: str, tables: Sequence[TableId]) -> str:
    """The entries of a list of expressions that name one of the tables, its schema or its columns, and those that may."""
    kept = []
    for pattern in re.split(r"(?<!\\),", listed):
        name = re.sub(r"\\(.)", r"\1", pattern)
        named = any(name in (table.schema, str(table)) or name.startswith(f"{table}.") for table in tables)
        if named or _regex_list([name]) != pattern:
            kept.append(pattern)
    return ",".join(kept)


def control_topic(topic_prefix: str, name: str) -> str:
    """Topic of one of the provider's control tables at the source, such as ``marker`` or ``purge_log``."""
    return topic_name(topic_prefix, TableId("chista", name))


def notification_topic(topic_prefix: str) -> str:
    """Topic of the connector's notifications, which tell how snapshots go."""
    return f"{topic_prefix}.chista.notifications"


def _regex_list(names: Iterable[str]) -> str:
    """Debezium's comma-separated list of anchored Java expressions, each matching one name literally."""
    return ",".join(re.sub(r"([^A-Za-z0-9_])", r"\\\1", name) for name in names)


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
