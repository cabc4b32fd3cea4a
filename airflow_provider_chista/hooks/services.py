"""Opens what a stage needs, from Airflow connection ids: one place for operators, sensors and triggers."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache, partial

from airflow_provider_chista.archive import barrier
from airflow_provider_chista.archive.barrier import Capture
from airflow_provider_chista.archive.catchup import TableDrain
from airflow_provider_chista.archive.check import Check, CheckOptions, check
from airflow_provider_chista.archive.connector import evidence
from airflow_provider_chista.archive.ledger import Author, Ledger
from airflow_provider_chista.archive.manifest import Manifests
from airflow_provider_chista.archive.policies import DeletePolicy
from airflow_provider_chista.archive.preflight import ArchivePlan, PreflightReport, preflight
from airflow_provider_chista.archive.progress import Progress
from airflow_provider_chista.archive.sinks import TableSink
from airflow_provider_chista.archive.topic import Kafka
from airflow_provider_chista.archive.verify import Proof, VerifyOptions, verify
from airflow_provider_chista.clickhouse.cancel import cancel, marked
from airflow_provider_chista.clickhouse.control import Control
from airflow_provider_chista.clickhouse.ddl import adopted, follow
from airflow_provider_chista.clickhouse.types import TypeMap, probe
from airflow_provider_chista.debezium.avro import AvroReader
from airflow_provider_chista.debezium.connect import KafkaConnectClient
from airflow_provider_chista.hooks import options
from airflow_provider_chista.hooks.clickhouse import ChistaClickHouseHook
from airflow_provider_chista.hooks.ending import cancelled_when_ended
from airflow_provider_chista.hooks.kafka import ChistaKafkaHook
from airflow_provider_chista.hooks.kafka_connect import KafkaConnectHook
from airflow_provider_chista.hooks.schema_registry import SchemaRegistryHook
from airflow_provider_chista.hooks.source import SourceHook
from airflow_provider_chista.model import Table, TableId, Window
from airflow_provider_chista.sources.base import Source


@dataclass(frozen=True, slots=True)
class Connections:
    """Airflow connection ids of one archive; names only, so it can be stored in a trigger.

    :param source: the source as the verify user; :param purge: as the purge user; :param restore: as the restore user.
    :param schema_registry: that of a connector that writes Avro; None: it writes JSON.
    """

    source: str
    purge: str | None = None
    kafka: str = "kafka_default"
    kafka_connect: str = "kafka_connect_default"
    clickhouse: str = "clickhouse_default"
    schema_registry: str | None = None
    restore: str | None = None

    @contextmanager
    def opened(self) -> Iterator[Services]:
        """The services, opened when first used and closed at the end of the block.

        What a server does for them when the task is told to end is cancelled (``hooks/ending.py``).
        """
        with ExitStack() as stack:
            services = Services(self, stack)
            with cancelled_when_ended(services.cancel):
                yield services


@dataclass(slots=True)
class Services:
    """Open clients of one task. Nothing is opened before it is asked for, and nothing outlives the task.

    :ivar table: the source table as its archive table held it when that was asked last.
    """

    ids: Connections
    _stack: ExitStack
    table: Table | None = field(default=None, init=False)
    _control: Control | None = field(default=None, init=False)
    _types: TypeMap | None = field(default=None, init=False)
    _sources: dict[str, Source] = field(default_factory=dict, init=False)
    _connect: KafkaConnectClient | None = field(default=None, init=False)
    _kafka: Kafka | None = field(default=None, init=False)
    _avro: AvroReader | None = field(default=None, init=False)

    @property
    def control(self) -> Control:
        """The state tables; created when they are missing."""
        if self._control is None:
            hook = ChistaClickHouseHook(self.ids.clickhouse)
            placement, client = hook.placement, marked(hook.get_client())
            self._stack.callback(client.close)
            control = Control(client, options.state_database(), placement)
            control.ensure()
            self._control = control
        return self._control

    @property
    def types(self) -> TypeMap:
        """Which types this ClickHouse can hold."""
        if self._types is None:
            self._types = probe(self.control.client)
        return self._types

    @property
    def source(self) -> Source:
        """The source as the verify user."""
        return self.opened_source(self.ids.source)

    @property
    def purge_source(self) -> Source:
        """The source as the purge user; the verify user when none was given."""
        return self.opened_source(self.ids.purge or self.ids.source)

    @property
    def restore_source(self) -> Source:
        """The source as the restore user; the verify user when none was given."""
        return self.opened_source(self.ids.restore or self.ids.source)

    @property
    def connect(self) -> KafkaConnectClient:
        """Kafka Connect's REST interface."""
        if self._connect is None:
            self._connect = KafkaConnectHook(self.ids.kafka_connect).get_client()
            self._stack.callback(self._connect.close)
        return self._connect

    @property
    def kafka(self) -> Kafka:
        """The Kafka cluster."""
        if self._kafka is None:
            hook = ChistaKafkaHook(self.ids.kafka)
            # One admin client for the whole task: each has threads and connections of its own.
            self._kafka = Kafka(consumer=hook.consumer, admin=cache(hook.admin), trouble=hook.trouble)
        return self._kafka

    @property
    def avro(self) -> AvroReader | None:
        """Reads the connector's records in Avro; None where they are JSON."""
        if self._avro is None and self.ids.schema_registry:
            client = SchemaRegistryHook(self.ids.schema_registry).get_client()
            self._stack.callback(client.close)
            self._avro = AvroReader(client.schema)
        return self._avro

    def cancel(self) -> None:
        """Make source and ClickHouse give up the statements that run for this task; from any thread."""
        for source in list(self._sources.values()):
            source.cancel()
        if self._control is not None:
            with suppress(Exception):
                cancel(self._control.client)

    def archived(self, name: TableId, target: TableId) -> Table:
        """The source table as its archive table holds it; :class:`FatalError` when the two do not fit."""
        self.table = adopted(self.control.client, self.types, self.source.catalogue(name), target)
        return self.table

    def followed(self, name: TableId, target: TableId, lacking: Collection[str] = ()) -> Table:
        """As :meth:`archived`, after the archive table has followed the source's columns (``clickhouse/ddl.py``)."""
        return self.follow(self.source.catalogue(name), target, lacking)

    def follow(self, source: Table, target: TableId, lacking: Collection[str] = ()) -> Table:
        """As :meth:`followed`, by a catalogue that was read already."""
        control = self.control
        change = follow(
            control.client, self.types, source, target, lacking=lacking, placement=control.placement
        )
        self.table = change.table
        return self.table

    def capture(self, connector: str, prefix: str) -> Capture:
        """A connector with the systems around it."""
        return Capture(self.source, self.connect, self.kafka, connector, prefix, self.avro)

    def catch_up(
        self,
        name: TableId,
        target: TableId,
        *,
        connector: str,
        topic_prefix: str,
        timeout: float,
        stopped: Callable[[], bool],
    ) -> None:
        """Bring an archive table to the source's present state: a barrier, then a drain to it.

        :param timeout: seconds that the connector may take for the barrier.
        """
        drain = TableDrain(
            self.kafka,
            self.control.client,
            self.control,
            self.types,
            self.followed(name, target),
            target,
            topic_prefix,
            DeletePolicy.ARCHIVE,
            refresh=lambda lacking: self.followed(name, target, lacking),
            stopped=stopped,
            avro=self.avro,
        )
        capture = self.capture(connector, topic_prefix)
        drain.run(barrier.wait(capture, drain.topics, timeout=timeout, stopped=stopped))

    def catching_up(
        self,
        name: TableId,
        target: TableId,
        *,
        connector: str | None,
        topic_prefix: str | None,
        timeout: float,
        stopped: Callable[[], bool],
    ) -> Callable[[], None] | None:
        """:meth:`catch_up` with these arguments; None where connector or topic prefix is not known."""
        if connector is None or topic_prefix is None:
            return None
        return partial(
            self.catch_up,
            name,
            target,
            connector=connector,
            topic_prefix=topic_prefix,
            timeout=timeout,
            stopped=stopped,
        )

    def compare(
        self,
        name: TableId,
        target: TableId,
        window: Window | None,
        options: VerifyOptions | CheckOptions,
        author: Author,
        *,
        connector: str | None,
        topic_prefix: str | None,
        timeout: float,
        stopped: Callable[[], bool],
        log: Callable[[str], None],
        progress: Callable[[Progress], None] = lambda progress: None,
    ) -> Proof | Check:
        """Prove a window, or check a part of it, after the archive has followed the source's columns.

        :param connector: by which the archive is caught up when rows differ, together with ``topic_prefix``; None: it is not
            caught up, and a proof does not name a connector.
        :param timeout: seconds that the connector may take to catch up.
        :raises MismatchError: rows differ.
        """
        manifests = self.manifests(self.followed(name, target), target)
        ledger = self.ledger(name, target, window, author)
        catching_up = self.catching_up(
            name, target, connector=connector, topic_prefix=topic_prefix, timeout=timeout, stopped=stopped
        )
        catch_up = catching_up or (lambda: None)
        if isinstance(options, CheckOptions):
            return check(
                self.source, manifests, ledger, window, options,
                catch_up=catch_up, stopped=stopped, log=log, progress=progress,
            )  # fmt: skip
        known = {} if connector is None else evidence(self.connect, connector, name)
        return verify(
            self.source, manifests, ledger, window,
            options=options, catch_up=catch_up, evidence=known, stopped=stopped, log=log, progress=progress,
        )  # fmt: skip

    def preflight(
        self,
        plan: ArchivePlan,
        *,
        capture_conn_id: str | None = None,
        lag_conn_ids: Sequence[str] = (),
        connector: str | None = None,
    ) -> PreflightReport:
        """Make all checks, each with connections of its own.

        :param capture_conn_id: the source as the capture user, whose grants are asked where the connection has a password.
        :param lag_conn_ids: replicas whose lag will hold the purge back.
        :param connector: a connector that is there already, and is checked too.
        """
        capture = SourceHook(capture_conn_id) if capture_conn_id else None
        registry = SchemaRegistryHook(self.ids.schema_registry) if self.ids.schema_registry else None
        return preflight(
            plan,
            verify=SourceHook(self.ids.source).open,
            purge=SourceHook(self.ids.purge).open if self.ids.purge else None,
            capture=capture.open if capture and capture.endpoint().password else None,
            kafka=self.kafka,
            connect=self.connect,
            control=lambda: self.control,
            registry=registry.get_client if registry else None,
            replicas={conn_id: SourceHook(conn_id).open for conn_id in lag_conn_ids},
            connector=connector,
        )

    def sink(
        self, name: TableId, target: TableId, policy: DeletePolicy, task: str, ignored: Collection[str] = ()
    ) -> TableSink:
        """Writes records of the table into the archive outside of a drain.

        :param task: who writes; :param ignored: columns that are dropped.
        """
        table = self.followed(name, target)
        return TableSink(
            self.control.client, self.control, self.types, table, target, policy, task=task, ignored=ignored, avro=self.avro
        )  # fmt: skip

    def manifests(self, table: Table, target: TableId) -> Manifests:
        """Manifests of an archive table."""
        return Manifests(self.control, self.types, table, target)

    def ledger(self, table: TableId, target: TableId, window: Window | None, author: Author) -> Ledger:
        """The ledger of an archive table's window."""
        return Ledger(self.control, f"{self.source.flavour}:{table}", target, window, author)

    def opened_source(self, conn_id: str) -> Source:
        """A source by its connection id, the same for every call."""
        if conn_id not in self._sources:
            source = SourceHook(conn_id).open()
            self._stack.callback(source.close)
            self._sources[conn_id] = source
        return self._sources[conn_id]
