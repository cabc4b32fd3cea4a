"""Kafka topics as a drain sees them: identity, partitions, first and end offsets, and the records between.

Every blocking call lasts at most a second or two: a task that is killed must answer within five seconds, and librdkafka's
calls do not return on a signal.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

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

from airflow_provider_chista.archive.records import Records
from airflow_provider_chista.errors import ChistaError, FatalError, TransientError

REQUEST_SECONDS = 10.0
"""Timeout of one administrative request to Kafka, in seconds."""

_ASK_SECONDS = 2.0

_REST_SECONDS = 0.05
"""How long a list of records is collected behind its first one."""

_LIST_BYTES = 8 * 2**20
"""Bytes of records that are taken over at once, if they are as large as those before: librdkafka counts records only."""

_EARLIEST, _LATEST = _OffsetSpec.earliest(), _OffsetSpec.latest()  # type: ignore[no-untyped-call]

_ELECTION_SECONDS = 2.0
_ELECTING = {
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.UNKNOWN_LEADER_EPOCH,
    KafkaError.UNKNOWN_TOPIC_OR_PART,
}
"""What a broker answers about a partition that was created a moment ago; asked again for so many seconds."""

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

    def same_topic(self, state: TopicState) -> Callable[[], None]:
        """A question, cheap enough for each micro-batch, whether the topic is still the one that was described.

        An id never comes back: when it is the same, everything that was read before the question is of that topic. A consumer
        goes on with the records of a topic that was created again, and nothing in them tells.

        :returns: raises :class:`FatalError` when the topic was created again, :class:`TransientError` when there is none.
        """
        admin = self.admin()

        def ask() -> None:
            with kafka_errors(f"describing {state.name}", self.trouble):
                futures = admin.describe_topics(TopicCollection([state.name]), request_timeout=_ASK_SECONDS)
                try:
                    topic_id = str(futures[state.name].result().topic_id)
                except KafkaException as error:
                    if error.args[0].code() != KafkaError.UNKNOWN_TOPIC_OR_PART:
                        raise
                    raise TransientError(f"topic {state.name} does not exist any more") from error
            if topic_id != state.topic_id:
                raise FatalError(
                    f"topic {state.name} was deleted and created again while it was drained: its id is {topic_id}, it was "
                    f"{state.topic_id}. Nothing was written since. Load the table by a new snapshot, then run the drain once "
                    "with accept_gap=True"
                )

        return ask

    @staticmethod
    def _offsets(
        admin: AdminClient, partitions: list[TopicPartition], spec: Any
    ) -> dict[str, dict[int, int]]:
        deadline = time.monotonic() + _ELECTION_SECONDS
        while True:
            futures = admin.list_offsets(
                dict.fromkeys(partitions, spec),
                isolation_level=IsolationLevel.READ_COMMITTED,
                request_timeout=REQUEST_SECONDS,
            )
            offsets: dict[str, dict[int, int]] = {}
            try:
                for partition, future in futures.items():
                    offsets.setdefault(partition.topic, {})[partition.partition] = future.result().offset
                return offsets
            except KafkaException as error:
                if error.args[0].code() not in _ELECTING or time.monotonic() > deadline:
                    raise
            time.sleep(0.05)

    def read(
        self,
        topic: str,
        ranges: Mapping[int, tuple[int, int]],
        stopped: Callable[[], bool] = lambda: False,
        quiet_seconds: float = 30.0,
        most: int = 1000,
    ) -> Iterator[Records]:
        """Records of the offset ranges ``[start, end)``, per partition in offset order, up to ``most`` at a time.

        Without records when nothing arrived for half a second, so that the caller can look at the clock. The iterator ends
        when every partition has reached its end: compacted and transactional topics have holes, so an end is reached by
        position, not by a record.

        :param quiet_seconds: how long Kafka may send nothing while records are missing.
        :raises FatalError: an offset is no longer there (a gap), or the topic may not be read.
        :raises TransientError: Kafka sent nothing for ``quiet_seconds``.
        """
        open_ranges = {p: span for p, span in ranges.items() if span[0] < span[1]}
        if not open_ranges:
            return
        nothing = Records(min(open_ranges))
        consumer = self.consumer()
        try:
            with kafka_errors(f"reading {topic}", self.trouble):
                consumer.assign([TopicPartition(topic, p, span[0]) for p, span in open_ranges.items()])
                last, largest = time.monotonic(), 0
                while open_ranges and not stopped():
                    messages = _taken(consumer, most, largest)
                    if messages:
                        last = time.monotonic()
                    elif time.monotonic() - last > quiet_seconds:
                        raise TransientError(
                            f"Kafka sent nothing from {topic} for {quiet_seconds:.0f} seconds while partitions "
                            f"{sorted(open_ranges)} have records left; check the broker"
                        )
                    found = [records for records in _sorted(topic, messages, open_ranges) if records]
                    largest = max((len(message) for message in messages), default=0)
                    del messages  # or their bytes would be there twice while the records are worked on
                    yield from found or [nothing]
        finally:
            consumer.close()


def _taken(consumer: Consumer, most: int, largest: int) -> list[Message]:
    """Up to ``most`` messages, of about :data:`_LIST_BYTES` if they are no larger than ``largest``; what is there, soon.

    The first one is waited for, and tells the size where none is known.
    """
    messages = consumer.consume(1, timeout=0.5)
    if messages:
        fitting = _LIST_BYTES // max(1, largest, len(messages[0]))
        more = min(most, fitting) - 1
        if more > 0:
            messages += consumer.consume(more, timeout=_REST_SECONDS)
    return messages


def _sorted(topic: str, messages: list[Message], open_ranges: dict[int, tuple[int, int]]) -> list[Records]:
    """Messages as records by partition; partitions that reached their ends are taken out of ``open_ranges``."""
    troubled = [message for message in messages if message.error() is not None]
    ended = {cast(int, message.partition()) for message in troubled if _is_end(topic, message, open_ranges)}
    if troubled:
        messages = [message for message in messages if message.error() is None]
    by_partition: dict[int, list[Message]] = {}
    if len(open_ranges) == 1:
        by_partition = {partition: messages for partition in open_ranges if messages}
    else:
        for message in messages:
            by_partition.setdefault(cast(int, message.partition()), []).append(message)
    found = []
    for partition in by_partition.keys() & open_ranges.keys():
        records, end = _records(partition, by_partition[partition]), open_ranges[partition][1]
        if records.offsets[-1] >= end - 1:
            ended.add(partition)
            records = records.before(end)
        found.append(records)
    for partition in ended:
        open_ranges.pop(partition, None)
    return found


def _is_end(topic: str, message: Message, open_ranges: Mapping[int, tuple[int, int]]) -> bool:
    """Whether a message without a record says that a range ends; raises what else it says."""
    error: Any = message.error()
    partition = cast(int, message.partition())
    if error.code() in _GONE:
        raise FatalError(
            f"gap in {topic}, partition {partition}: offset {message.offset()} is no longer there; retention removed it or "
            "the topic was created again. Nothing was skipped. Load the missing rows by a new snapshot of the table"
        )
    if error.code() != KafkaError._PARTITION_EOF:
        raise _classified(error, f"reading {topic}")
    return partition in open_ranges and cast(int, message.offset()) >= open_ranges[partition][1]


def _records(partition: int, messages: Sequence[Any]) -> Records:
    headers = [message.headers() for message in messages]
    records = Records(
        partition,
        [message.offset() for message in messages],
        [message.key() for message in messages],
        [message.value() for message in messages],
    )
    if any(headers):
        records.headers = {
            offset: some for offset, some in zip(records.offsets, headers, strict=True) if some
        }
    return records


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
