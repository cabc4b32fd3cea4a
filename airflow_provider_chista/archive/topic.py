"""Kafka topics as a drain sees them: identity, partitions, first and end offsets, and the records between.

Every blocking call lasts at most a second or two: a task that is killed must answer within five seconds, and librdkafka's
calls do not return on a signal.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

from confluent_kafka import (
    Consumer,
    IsolationLevel,
    KafkaError,
    KafkaException,
    Message,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin import OffsetSpec as _OffsetSpec  # type: ignore[attr-defined]

from airflow_provider_chista.errors import ChistaError, FatalError, TransientError

REQUEST_SECONDS = 10.0
"""Timeout of one administrative request to Kafka, in seconds."""

_EARLIEST, _LATEST = _OffsetSpec.earliest(), _OffsetSpec.latest()  # type: ignore[no-untyped-call]

_GONE = (KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE)
_FATAL = {
    KafkaError.TOPIC_AUTHORIZATION_FAILED: "grant READ and DESCRIBE on the topic to the connection's user",
    KafkaError.GROUP_AUTHORIZATION_FAILED: (
        "grant READ on the consumer group (the connection's group.id, else chista) to the connection's user"
    ),
    KafkaError.CLUSTER_AUTHORIZATION_FAILED: "grant DESCRIBE on the cluster to the connection's user",
    KafkaError._AUTHENTICATION: (
        "check security.protocol, sasl.mechanism, sasl.username and sasl.password of the Kafka connection"
    ),
    KafkaError._SSL: (
        "check ssl.ca.location of the Kafka connection: the file of the authority that signed the brokers' certificates"
    ),
}


class Record(NamedTuple):
    """One record: what is kept of librdkafka's message, whose memory is released early.

    :param headers: names and values, of the records that :meth:`Kafka.read` was asked to keep them of; else None.
    """

    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes]] | None = None


class TopicMissingError(FatalError):
    """The cluster has no such topic."""


@dataclass(frozen=True, slots=True)
class TopicState:
    """One look at a topic: cluster, identity, and per partition its first and end offset.

    :param ends: offset behind the last committed record (``read_committed``), per partition.
    """

    name: str
    cluster: str
    topic_id: str
    lows: Mapping[int, int]
    ends: Mapping[int, int]


@dataclass(frozen=True, slots=True)
class Kafka:
    """Access to one cluster; the factories come from the Airflow hook.

    :param consumer: makes a consumer that never commits or resets by itself and reports partition ends.
    :param admin: makes an admin client.
    :param trouble: the last error that the clients told of unasked; one that may not log in only times out otherwise.
    """

    consumer: Callable[[], Consumer]
    admin: Callable[[], AdminClient]
    trouble: Callable[[], KafkaError | None] = lambda: None

    def ping(self) -> str:
        """The cluster's id; :class:`TransientError` when it does not answer."""
        with kafka_errors("asking for the cluster's id", self.trouble):
            admin = self.admin()  # named, since a client without a reference ends before its answer
            return str(admin.describe_cluster(request_timeout=REQUEST_SECONDS).result().cluster_id)

    def describe(self, topic: str) -> TopicState:
        """Look at a topic.

        :raises TopicMissingError: the topic does not exist; :class:`FatalError`: it may not be read.
        :raises TransientError: the cluster did not answer.
        """
        state = self.describe_existing([topic]).get(topic)
        if state is None:
            raise TopicMissingError(
                f"topic {topic} does not exist on cluster {self.ping()}; check that the connector runs, captures the table, "
                "and that its topic.prefix is the first part of the name"
            )
        return state

    def describe_existing(self, topics: Sequence[str]) -> dict[str, TopicState]:
        """Look at those of several topics that exist, at once; errors as :meth:`describe`."""
        admin = self.admin()
        with kafka_errors(f"describing {', '.join(topics)}", self.trouble):
            cluster = admin.describe_cluster(request_timeout=REQUEST_SECONDS).result().cluster_id
            futures = admin.describe_topics(TopicCollection(list(topics)), request_timeout=REQUEST_SECONDS)
            described = {}
            for topic, future in futures.items():
                try:
                    described[topic] = future.result()
                except KafkaException as error:
                    if error.args[0].code() != KafkaError.UNKNOWN_TOPIC_OR_PART:
                        raise
            if not described:
                return {}
            partitions = [TopicPartition(t, p.id) for t, d in described.items() for p in d.partitions]
            lows = self._offsets(admin, partitions, _EARLIEST)
            ends = self._offsets(admin, partitions, _LATEST)
        return {
            topic: TopicState(topic, cluster, str(d.topic_id), lows.get(topic, {}), ends.get(topic, {}))
            for topic, d in described.items()
        }

    @staticmethod
    def _offsets(
        admin: AdminClient, partitions: list[TopicPartition], spec: Any
    ) -> dict[str, dict[int, int]]:
        futures = admin.list_offsets(
            dict.fromkeys(partitions, spec),
            isolation_level=IsolationLevel.READ_COMMITTED,
            request_timeout=REQUEST_SECONDS,
        )
        offsets: dict[str, dict[int, int]] = {}
        for partition, future in futures.items():
            offsets.setdefault(partition.topic, {})[partition.partition] = future.result().offset
        return offsets

    def read(
        self,
        topic: str,
        ranges: Mapping[int, tuple[int, int]],
        stopped: Callable[[], bool] = lambda: False,
        quiet_seconds: float = 30.0,
        most: int = 1000,
        keep_headers: Callable[[bytes], bool] = lambda value: False,
    ) -> Iterator[list[Record]]:
        """Records of the offset ranges ``[start, end)``, per partition in offset order, as lists of up to ``most``.

        An empty list is yielded when nothing arrived for half a second, so that the caller can look at the clock.
        The iterator ends when every partition has reached its end: compacted and transactional topics have holes,
        so an end is reached by position, not by a record.

        :param quiet_seconds: how long Kafka may send nothing while records are missing.
        :param keep_headers: whether the headers of a record with that value are wanted.
        :raises FatalError: an offset is no longer there (a gap), or the topic may not be read.
        :raises TransientError: Kafka sent nothing for ``quiet_seconds``.
        """
        open_ranges = {p: span for p, span in ranges.items() if span[0] < span[1]}
        if not open_ranges:
            return
        consumer = self.consumer()
        try:
            with kafka_errors(f"reading {topic}", self.trouble):
                consumer.assign([TopicPartition(topic, p, span[0]) for p, span in open_ranges.items()])
                last = time.monotonic()
                while open_ranges and not stopped():
                    messages = consumer.consume(most, timeout=0.5)
                    if messages:
                        last = time.monotonic()
                    elif time.monotonic() - last > quiet_seconds:
                        raise TransientError(
                            f"Kafka sent nothing from {topic} for {quiet_seconds:.0f} seconds while partitions "
                            f"{sorted(open_ranges)} have records left; check the broker"
                        )
                    yield self._wanted(topic, messages, open_ranges, keep_headers)
        finally:
            consumer.close()

    @staticmethod
    def _wanted(
        topic: str,
        messages: list[Message],
        open_ranges: dict[int, tuple[int, int]],
        keep_headers: Callable[[bytes], bool],
    ) -> list[Record]:
        wanted = []
        for message in messages:
            error: Any = message.error()
            partition, offset = cast(int, message.partition()), cast(int, message.offset())
            span = open_ranges.get(partition)
            if error is not None and error.code() in _GONE:
                raise FatalError(
                    f"gap in {topic}, partition {partition}: offset {offset} is no longer there; retention removed it or "
                    "the topic was created again. Nothing was skipped. Load the missing rows by a new snapshot of the table"
                )
            if error is not None and error.code() != KafkaError._PARTITION_EOF:
                raise _classified(error, f"reading {topic}")
            if span is None:
                continue
            if error is None and offset < span[1]:
                value = message.value()
                headers = _headers(message) if value is not None and keep_headers(value) else None
                wanted.append(Record(partition, offset, message.key(), value, headers))
            if offset >= span[1] - (error is None):
                del open_ranges[partition]
        return wanted


def _headers(message: Message) -> list[tuple[str, bytes]]:
    return [(name, bytes(value or b"")) for name, value in cast(Any, message.headers()) or ()]


def _classified(error: Any, doing: str, trouble: KafkaError | None = None) -> ChistaError:
    if trouble is not None and trouble.code() in _FATAL and error.code() not in _FATAL:
        error = trouble
    remedy = _FATAL.get(error.code())
    if remedy:
        return FatalError(f"Kafka refused {doing}: {error.str()}; {remedy}")
    return TransientError(
        f"Kafka could not finish {doing}: {error.str()} ({error.name()}){_because(trouble)}; check that the brokers are up "
        "and security.protocol is theirs"
    )


def _because(trouble: KafkaError | None) -> str:
    return f"; the client's last error: {trouble.str()} ({trouble.name()})" if trouble else ""


@contextmanager
def kafka_errors(doing: str, trouble: Callable[[], KafkaError | None] = lambda: None) -> Iterator[None]:
    """Raise :class:`FatalError` or :class:`TransientError` for any KafkaException inside the block.

    :param trouble: as of :class:`Kafka`; it also decides about a :class:`TransientError` of the block.
    """
    try:
        yield
    except KafkaException as error:
        raise _classified(error.args[0], doing, trouble()) from error
    except TransientError as error:
        cause = trouble()
        if cause is not None and cause.code() in _FATAL:
            raise _classified(cause, doing) from error
        if cause is not None:
            raise TransientError(f"{error}{_because(cause)}") from error
        raise
