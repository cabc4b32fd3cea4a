"""Connector settings as data: those that keep the promises and cannot be changed, and defaults that can.

What each value was seen to do is recorded with Debezium 3.5; the reason beside it is shown to a user who asks for
another one.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

MYSQL_FAMILY = frozenset({"mysql", "mariadb"})
POSTGRES = frozenset({"postgres"})
ALL = MYSQL_FAMILY | POSTGRES

UNAVAILABLE_VALUE = "__chista_unchanged_toast_5f1c9d0b7ae24c3f8e6a41d2b09c7e35"
"""What PostgreSQL's connector sends for an unchanged TOAST value: long and random, so that no real text equals it."""

JSON_CONVERTER = "org.apache.kafka.connect.json.JsonConverter"
AVRO_CONVERTER = "io.apicurio.registry.utils.converter.AvroConverter"
KEEP_NULLS = "chista.KeepNulls"
"""The same converter without columns' defaults, in place of which it keeps NULL (``converter/KeepNulls.java``)."""


@dataclass(frozen=True, slots=True)
class Fixed:
    """A setting that keeps a promise.

    :param key: the property.
    :param value: what it is set to.
    :param reason: what another value would break, as a clause that follows "because".
    :param flavours: the sources it exists for.
    :param accepts: whether another value keeps the promise too; None accepts only ``value``.
    """

    key: str
    value: str
    reason: str
    flavours: frozenset[str] = ALL
    accepts: Callable[[str], bool] | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """Properties that no override may set: a pattern of the whole key, and what they would break."""

    pattern: re.Pattern[str]
    reason: str


_SHAPE = "the drain decodes schemaless JSON and nothing else"
_NULLS = "otherwise an explicit NULL arrives as the column's default"
_SWALLOW = "otherwise an event that cannot be converted or sent is dropped or nulled silently"
_RETRIES = "without a bound a deterministic failure is tried for ever while the task reports RUNNING"

FIXED: tuple[Fixed, ...] = (
    Fixed("tasks.max", "1", "one task keeps the order of the source's log"),
    Fixed("key.converter", JSON_CONVERTER, _SHAPE),
    Fixed("value.converter", JSON_CONVERTER, _SHAPE),
    Fixed("key.converter.schemas.enable", "false", _SHAPE),
    Fixed("value.converter.schemas.enable", "false", _SHAPE),
    Fixed("key.converter.replace.null.with.default", "false", _NULLS),
    Fixed("value.converter.replace.null.with.default", "false", _NULLS),
    Fixed(
        "decimal.handling.mode",
        "string",
        "precise loses the scale, NaN and infinity in schemaless JSON, and double rounds",
    ),
    Fixed(
        "bigint.unsigned.handling.mode",
        "long",
        "the drain reads the upper half of BIGINT UNSIGNED as negative numbers, and keys stay readable",
        MYSQL_FAMILY,
    ),
    Fixed(
        "time.precision.mode",
        "microseconds",
        "isostring nulls TIME values silently, nanoseconds overflows silently, connect drops microseconds, "
        "and the adaptive modes change their unit with the column's precision",
    ),
    Fixed("enable.time.adjuster", "false", "otherwise years 0 to 99 are moved to 1970 to 2069", MYSQL_FAMILY),
    Fixed(
        "binary.handling.mode",
        "bytes",
        "it arrives as base64, which the drain decodes; with base64 an unchanged TOAST value of bytea stops the connector",
    ),
    Fixed("interval.handling.mode", "string", "numeric averages months and saturates", POSTGRES),
    Fixed("hstore.handling.mode", "json", "the drain decodes one shape", POSTGRES),
    Fixed(
        "include.unknown.datatypes",
        "true",
        "otherwise columns of some types are left out of events silently",
        POSTGRES,
    ),
    Fixed(
        "unavailable.value.placeholder",
        UNAVAILABLE_VALUE,
        "the drain recognises an unchanged TOAST value by this text",
        POSTGRES,
    ),
    Fixed("event.converting.failure.handling.mode", "fail", "its default makes a value NULL silently"),
    Fixed("event.processing.failure.handling.mode", "fail", _SWALLOW),
    Fixed("inconsistent.schema.handling.mode", "fail", _SWALLOW, MYSQL_FAMILY),
    Fixed("errors.tolerance", "none", _SWALLOW),
    Fixed("errors.max.retries", "10", _RETRIES, accepts=lambda value: value.isdecimal()),
    Fixed("producer.override.acks", "all", "a record that only one broker holds is lost with that broker"),
    Fixed(
        "provide.transaction.metadata",
        "true",
        "the seal matches purge deletes by transaction, and PostgreSQL's offset moves to the COMMIT",
    ),
    Fixed("skipped.operations", "none", "truncations and deletes must arrive to be told apart and refused"),
    Fixed("tombstones.on.delete", "true", "a compacted topic needs them to forget a deleted key"),
    Fixed("topic.delimiter", ".", "the drain finds a table's topic by its name"),
    Fixed("schema.name.adjustment.mode", "none", "names must arrive as the source spells them"),
    Fixed("field.name.adjustment.mode", "none", "names must arrive as the source spells them"),
    Fixed("notification.enabled.channels", "sink", "the snapshot sensor reads the notification topic"),
    Fixed(
        "signal.enabled.channels", "source", "only the signal table's notifications carry the request's id"
    ),
    Fixed("plugin.name", "pgoutput", "the settings and positions used here were proven with it", POSTGRES),
    Fixed(
        "publication.autocreate.mode",
        "disabled",
        "the database's administrator decides what is published, and 'filtered' misses tables made later",
        POSTGRES,
    ),
    Fixed("publish.via.partition.root", "true", "all partitions of a table belong in one topic", POSTGRES),
    Fixed(
        "slot.drop.on.stop", "false", "changes made while the connector is stopped would be lost", POSTGRES
    ),
    Fixed(
        "schema.history.internal.store.only.captured.tables.ddl",
        "false",
        "a table captured later needs its definition from the schema history",
        MYSQL_FAMILY,
    ),
    Fixed(
        "schema.history.internal.store.only.captured.databases.ddl",
        "false",
        "a table of another database captured later needs its definition from the schema history; without it the "
        "connector fails with 'schema isn't known'",
        MYSQL_FAMILY,
    ),
    Fixed(
        "schema.history.internal.skip.unparseable.ddl",
        "true",
        "INET4, INET6 or COMPRESSED columns of any table of the server would stop the connector",
        frozenset({"mariadb"}),
    ),
)

_AVRO_SHAPE = "the drain decodes what this converter writes and nothing else"
_NAMES = "Avro allows letters, digits and _ only, and no other adjustment can be taken back exactly"

AVRO_FIXED: tuple[Fixed, ...] = (
    *(
        Fixed(f"{side}.converter{name}", value, reason, accepts=accepts)
        for name, value, reason, accepts in (
            ("", AVRO_CONVERTER, _AVRO_SHAPE, (KEEP_NULLS,).__contains__),
            (
                ".apicurio.registry.auto-register",
                "true",
                "a schema must be in the registry before the records that name it",
                None,
            ),
            (
                ".apicurio.registry.as-confluent",
                "true",
                "the drain reads the schema's id from four bytes",
                None,
            ),
            (
                ".apicurio.registry.use-id",
                "contentId",
                "the interface that the drain asks knows this id",
                None,
            ),
            (
                ".apicurio.registry.headers.enabled",
                "false",
                "the id must be in the record, of which dead letters keep every byte",
                None,
            ),
        )
        for side in ("key", "value")
    ),
    Fixed("schema.name.adjustment.mode", "avro_unicode", _NAMES),
    Fixed("field.name.adjustment.mode", "avro_unicode", _NAMES),
)
"""Settings of a connector that writes Avro, in place of those of the JSON converter."""

_JSON_ONLY = re.compile(r"(key|value)\.converter.*")


def fixed(flavour: str, avro: bool) -> dict[str, Fixed]:
    """The settings that keep the promises, by property.

    :param avro: whether the connector writes Avro.
    """
    shared = [setting for setting in FIXED if not (avro and _JSON_ONLY.fullmatch(setting.key))]
    return {
        setting.key: setting
        for setting in (*shared, *(AVRO_FIXED if avro else ()))
        if flavour in setting.flavours
    }


DERIVED: dict[str, str] = {
    "name": "name",
    "connector.class": "flavour",
    "topic.prefix": "topic_prefix",
    "table.include.list": "tables",
    "column.exclude.list": "exclude",
    "database.include.list": "tables",
    "schema.include.list": "tables",
    "database.dbname": "database",
    "database.hostname": "hostname",
    "database.port": "port",
    "database.user": "user",
    "database.password": "password",
    "database.server.id": "server_id",
    "slot.name": "slot",
    "publication.name": "publication",
    "heartbeat.interval.ms": "heartbeat_ms",
    "schema.history.internal.kafka.bootstrap.servers": "kafka_bootstrap_servers",
    "topic.creation.default.partitions": "partitions",
    "topic.creation.default.replication.factor": "replication_factor",
    "topic.creation.default.retention.ms": "retention",
    "producer.override.max.request.size": "max_record_bytes",
    **{
        f"{side}.converter.apicurio.{name}": "registry"
        for side in ("key", "value")
        for name in ("registry.url", "auth.username", "auth.password")
    },
}
"""Properties that are an argument of the specification, and that argument: an override of them would contradict it."""

OWN: dict[str, str] = {
    "signal.data.collection": "the signal table is the control table chista.signal",
    "notification.sink.topic.name": "the snapshot sensor finds the notifications by this name",
    "heartbeat.action.query": "it moves the connector's offset on an idle source, which the barrier waits for",
    "schema.history.internal.kafka.topic": "two connectors that share a schema history destroy it",
    "topic.creation.groups": "control topics must have exactly one partition",
    "topic.creation.chista.include": "control topics must have exactly one partition",
    "topic.creation.chista.partitions": "control topics must have exactly one partition",
}
"""Properties whose value follows from the specification and cannot be chosen, with the reason."""

REFUSED: tuple[Refused, ...] = tuple(
    Refused(re.compile(pattern), reason)
    for pattern, reason in (
        (
            r"transforms(\..*)?|predicates(\..*)?",
            "a transformation changes what the drain stores and verifies",
        ),
        (r"post\.processors(\..*)?", "a post processor changes what the drain stores and verifies"),
        (r"converters", "a custom converter changes values before they can be proved equal"),
        (r"column\.include\.list", "a column left out could not be proved equal before the purge"),
        (r"column\.(mask|truncate)\..*", "a masked or truncated value differs from the source"),
        (r"(table|database|schema)\.exclude\.list", "the tables are listed one by one"),
        (r"message\.key\.columns", "the record key must be the primary key"),
        (r"snapshot\.select\.statement\.overrides(\..*)?", "rows left out of the snapshot never arrive"),
        (r"snapshot\.include\.collection\.list", "rows left out of the snapshot never arrive"),
        (r"gtid\.source\..*", "transactions of the servers left out never arrive"),
        (r"topic\.naming\.strategy|topic\.cache\.size", "the drain finds a table's topic by its name"),
        (r"read\.only", "a read-only connector has no signal table and no heartbeat that moves its offset"),
        (r"event\.deserialization\.failure\.handling\.mode", _SWALLOW),
        (r"errors\.deadletterqueue\..*", _SWALLOW),
        (r"slot\.stream\.params", "filtered changes never arrive"),
    )
)

DEFAULTS: tuple[tuple[str, str, frozenset[str]], ...] = (
    ("snapshot.mode", "initial", ALL),
    ("snapshot.max.threads", "1", ALL),
    ("snapshot.locking.mode", "minimal", MYSQL_FAMILY),
    ("incremental.snapshot.chunk.size", "8192", ALL),
    ("poll.interval.ms", "100", ALL),
    ("include.schema.changes", "false", MYSQL_FAMILY),
    # Small, so that on an idle server the heartbeat's event is made within seconds.
    ("connect.keep.alive.interval.ms", "3000", MYSQL_FAMILY),
    # Measured: 90,000 events a second of a snapshot instead of 34,600 with the producer's own defaults.
    ("producer.override.compression.type", "lz4", ALL),
    ("producer.override.linger.ms", "50", ALL),
    ("producer.override.batch.size", str(1024 * 1024), ALL),
    # Four headers of 250 bytes on every record say which connector and run made it; nothing here reads them, and each
    # costs the drain as much as a column.
    ("extended.headers.enabled", "false", ALL),
    ("topic.creation.default.cleanup.policy", "delete", ALL),
    ("topic.creation.default.compression.type", "producer", ALL),
)
"""Properties that a user may override freely: key, value and the sources they exist for."""
