"""Hook of Kafka: the official base hook's connection, with the settings that exact draining needs."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from typing import Any
from weakref import WeakSet

from airflow.providers.apache.kafka.hooks.base import KafkaBaseHook
from confluent_kafka import Consumer, KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from airflow_provider_chista.errors import FatalError

log = logging.getLogger(__name__)

REQUIRED: dict[str, object] = {
    # A position is recorded only after ClickHouse acknowledged the rows, by us.
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    # The end of a partition is known by an event, because transactions and compaction leave holes before it.
    "enable.partition.eof": True,
    "isolation.level": "read_committed",
    # A position that is no longer there must stop the drain, not jump to another.
    "auto.offset.reset": "error",
}
"""Consumer settings that neither the connection nor a caller can change."""

LOG_LEVEL = 2
"""Only what is critical: librdkafka writes each failed connection to standard error, twenty a second, and
:class:`ErrorLog` gets them all."""

TUNED: dict[str, object] = {
    "group.id": "chista",
    # librdkafka sleeps a second by default when its queue is full: measured 0.3 instead of 1.2 million messages a second.
    "fetch.queue.backoff.ms": 5,
    "fetch.wait.max.ms": 100,
    # Compressed bytes, of which memory holds several answers unpacked: 16 MiB took 650 MB of it and read no faster. A larger
    # record comes all the same.
    "max.partition.fetch.bytes": 1024 * 1024,
    "fetch.max.bytes": 16 * 1024 * 1024,
    "queued.min.messages": 25_000,
    "queued.max.messages.kbytes": 32 * 1024,
    "log.connection.close": False,
    "log_level": LOG_LEVEL,
}
"""Consumer settings that the connection's extra may change."""

ADMIN_ONLY_PREFIXES = (
    "bootstrap.",
    "security.",
    "sasl.",
    "ssl.",
    "enable.ssl.",
    "enable.sasl.",
    "https.",
    "client.",
    "socket.",
    "broker.",
    "metadata.",
    "reconnect.",
)
ADMIN_TOO = ("error_cb", "oauth_cb", "log_level")


SECURITY = (KafkaError._AUTHENTICATION, KafkaError._SSL)
INTERRUPTED = ("Disconnected", "closed by peer", "transport error", "reset by peer", "timed out")
"""What the text of a refusal says when in truth the line broke during the handshake."""


class ErrorLog:
    """librdkafka's ``error_cb``: keeps the last errors for messages, logs each kind of error at most every 10 seconds.

    With a wrong password or an unknown certificate authority every call only times out; the reason comes here alone. While
    a broker is down the same error comes twenty times a second.
    """

    EVERY_SECONDS = 10.0
    RECENT_SECONDS = 30.0

    def __init__(self) -> None:
        self._logged: dict[int, float] = {}
        self._refusal: tuple[float, KafkaError] | None = None
        self._other: tuple[float, KafkaError] | None = None

    def __call__(self, error: KafkaError) -> None:
        """Take one error from librdkafka."""
        if error.code() in SECURITY and any(word in error.str() for word in INTERRUPTED):
            error = KafkaError(KafkaError._TRANSPORT, error.str())
        code, now = error.code(), time.monotonic()
        if code in SECURITY:
            self._refusal = now, error
        elif code != KafkaError._ALL_BROKERS_DOWN or self.last() is None:
            # That all brokers are down follows from errors that say more, where there are any.
            self._other = now, error
        if now - self._logged.get(code, -self.EVERY_SECONDS) >= self.EVERY_SECONDS:
            self._logged[code] = now
            log.warning("Kafka client: %s: %s", error.name(), error.str())

    def last(self) -> KafkaError | None:
        """The last error of the last 30 seconds; a refusal (authentication, certificates) before any other."""
        for kept in (self._refusal, self._other):
            if kept and time.monotonic() - kept[0] < self.RECENT_SECONDS:
                return kept[1]
        return None


class ChistaKafkaHook(KafkaBaseHook):
    """Kafka clients for a drain, from the official connection type ``kafka``.

    Authentication, including managed ones (Amazon MSK, Google), is that of the official hook. A client must be made in the
    process that uses it, inside ``execute`` or a trigger's ``run``: librdkafka does not survive a fork.

    :param kafka_config_id: the Airflow connection; its extra holds librdkafka's properties.
    """

    def __init__(self, kafka_config_id: str = KafkaBaseHook.default_conn_name, **kwargs: Any) -> None:
        super().__init__(kafka_config_id=kafka_config_id, **kwargs)  # type: ignore[no-untyped-call]
        self.errors = ErrorLog()
        self._admins: WeakSet[AdminClient] = WeakSet()

    def consumer(self, overrides: Mapping[str, object] | None = None) -> Consumer:
        """A new consumer, to be given partitions by ``assign``; the caller closes it.

        :param overrides: further librdkafka properties, such as ``group.id``; they win over the connection's.
        :raises FatalError: a property is wrong, or is one of those that keep a drain exact.
        """
        for key in REQUIRED.keys() & (overrides or {}).keys():
            raise FatalError(
                f"Kafka property {key} is fixed to {REQUIRED[key]!r}; a drain is not exact otherwise"
            )
        consumer: Consumer = self._made(
            Consumer, {**TUNED, **self._config(), **(overrides or {}), **REQUIRED}
        )
        return consumer

    def admin(self) -> AdminClient:
        """A new admin client; it needs no closing.

        :raises FatalError: a property of the connection is wrong.
        """
        config = self._config()
        kept = {
            key: value
            for key, value in config.items()
            if key.startswith(ADMIN_ONLY_PREFIXES) or key in ADMIN_TOO
        }
        admin: AdminClient = self._made(AdminClient, {"log_level": LOG_LEVEL, **kept})
        self._admins.add(admin)
        return admin

    def trouble(self) -> KafkaError | None:
        """What the hook's clients last told of unasked: refused, broken or missing connections to the brokers."""
        for admin in list(self._admins):
            admin.poll(0)  # only then does an admin client tell
        return self.errors.last()

    def bootstrap_servers(self) -> str:
        """The brokers' addresses as the connection has them, for the connector's schema history."""
        return str(self._config()["bootstrap.servers"])

    def _get_client(self, config: dict[str, Any]) -> dict[str, Any]:
        """The resolved properties: one connection serves consumers and admin clients."""
        return config

    def _config(self) -> dict[str, Any]:
        try:
            config = dict(self.get_conn)
        except ValueError as error:
            raise FatalError(f"connection {self.kafka_config_id}: {error}") from error
        configured = config.get("error_cb")

        def error_cb(error: KafkaError) -> None:
            self.errors(error)
            if callable(configured):
                configured(error)

        return {**config, "error_cb": error_cb}

    def _made(self, client: Any, config: dict[str, Any]) -> Any:
        try:
            return client(config)
        except (KafkaException, TypeError, ValueError) as error:
            # librdkafka names the property, and of its value only what is no secret.
            raise FatalError(f"connection {self.kafka_config_id} has unusable properties: {error}") from error
