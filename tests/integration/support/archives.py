"""One archived table with all of its stages, and the invariant that holds between any two of them."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from clickhouse_connect.driver.client import Client

from airflow_provider_chista.archive import barrier, snapshot
from airflow_provider_chista.archive.audit import Audit, TableReport
from airflow_provider_chista.archive.catchup import TableDrain
from airflow_provider_chista.archive.connector import configured, evidence
from airflow_provider_chista.archive.create import create
from airflow_provider_chista.archive.ledger import Author, Ledger, Stage
from airflow_provider_chista.archive.manifest import Manifests
from airflow_provider_chista.archive.policies import DeletePolicy, TruncatePolicy
from airflow_provider_chista.archive.purge import Purge
from airflow_provider_chista.archive.purgereport import PurgeOptions, PurgeReport
from airflow_provider_chista.archive.report import DrainLimits
from airflow_provider_chista.archive.restore import Restore, RestoreOptions, RestoreReport, Selection
from airflow_provider_chista.archive.seal import Seal, SealReport
from airflow_provider_chista.archive.verify import Proof, VerifyOptions, verify
from airflow_provider_chista.clickhouse import ddl, rowhash, sql
from airflow_provider_chista.clickhouse.choices import Choices
from airflow_provider_chista.clickhouse.control import Control
from airflow_provider_chista.clickhouse.types import TypeMap, probe
from airflow_provider_chista.model import Table, TableId, Window
from tests.integration.support import services
from tests.integration.support.engines import ENGINES, Connector, Engine

Keys = set[str]
NOBODY = Author()


@dataclass
class Archive:
    """A captured table, its archive table and every stage between them."""

    connector: Connector
    client: Client
    control: Control
    database: str
    name: str
    policy: DeletePolicy = DeletePolicy.ARCHIVE
    limits: DrainLimits = field(default_factory=DrainLimits)
    choices: Choices = field(default_factory=Choices)
    truncates: TruncatePolicy = TruncatePolicy.STOP
    barrier_seconds: float = 60.0
    table: Table = field(init=False)
    types: TypeMap = field(init=False)

    def __post_init__(self) -> None:
        self.capture = self.connector.capture()
        self.types = probe(self.client)
        self.target = TableId(self.database, self.name)
        self.refresh()

    @property
    def engine(self) -> Engine:
        return self.connector.engine

    @property
    def id(self) -> TableId:
        return TableId(self.connector.schema, self.name)

    def refresh(self) -> ddl.TableChange:
        """Read the catalogue again and bring the archive table up to it."""
        change = create(self.capture.source, self.client, self.types, self.id, self.target, self.choices)
        self.table = change.table
        return change

    def followed(self, lacking: Collection[str] = ()) -> Table:
        """The table after the archive has followed the source's columns, as the operators get it."""
        self.table = ddl.follow(
            self.client, self.types, self.capture.source.catalogue(self.id), self.target, lacking=lacking
        ).table
        return self.table

    def snapshot(self, seconds: float = 60.0) -> snapshot.SnapshotStatus:
        deadline = time.monotonic() + seconds
        while not (status := snapshot.advance(self.capture, self.control, [self.id])).completed:
            assert time.monotonic() < deadline, str(status)
            time.sleep(0.2)
        return status

    def table_drain(self) -> TableDrain:
        return TableDrain(
            self.capture.kafka, self.client, self.control, self.types, self.table, self.target,
            self.connector.name, self.policy, self.limits, truncates=self.truncates, refresh=self.followed, task="tests",
            avro=self.capture.avro,
        )  # fmt: skip

    def drain(self) -> dict[str, Any]:
        """Wait for the barrier, then drain to it."""
        drain = self.table_drain()
        return drain.run(
            barrier.wait(self.capture, drain.topics, timeout=self.barrier_seconds, poll_seconds=0.1)
        )

    def manifests(self) -> Manifests:
        return Manifests(self.control, self.types, self.table, self.target)

    def ledger(self, window: Window | None = None) -> Ledger:
        return Ledger(self.control, f"{self.engine.flavour}:{self.id}", self.target, window)

    def verify(self, window: Window | None = None, repairs: int = 0, **options: Any) -> Proof:
        def catch_up() -> None:
            self.drain()

        return verify(
            self.capture.source,
            self.manifests(),
            self.ledger(window),
            window,
            catch_up=catch_up,
            options=VerifyOptions(repairs=repairs, **options),
            evidence=evidence(self.connector.connect, self.connector.name, self.id),
        )

    def approve(
        self,
        proof: Proof,
        window: Window | None = None,
        stage: Stage = Stage.APPROVED,
        actor: str = "a.user",
    ) -> None:
        self.ledger(window).record(stage, verify_id=proof.verify_id, actor=actor)

    def purging(self, window: Window | None = None, author: Author = NOBODY, **options: Any) -> Purge:
        ledger = replace(self.ledger(window), author=author)
        chosen = PurgeOptions(**{"retention": timedelta(0), "txn_size": 500, **options})
        return Purge(
            self.engine.source("purge"), self.capture.source, self.manifests(), ledger, chosen,
            configured=lambda name: configured(self.connector.connect, name, self.id),
        )  # fmt: skip

    def purge(self, window: Window | None = None, **options: Any) -> PurgeReport:
        purging = self.purging(window, **options)
        try:
            return purging.run()
        finally:
            purging.source.close()

    def restoring(
        self,
        stopped: Callable[[], bool] = lambda: False,
        author: Author | None = None,
        window: Window | None = None,
        row_keys: tuple[str, ...] = (),
        batch_id: str = "",
        **options: Any,
    ) -> Restore:
        ledger = replace(self.ledger(window), author=author or NOBODY)
        return Restore(
            self.engine.source("restore"), self.manifests(), ledger, Selection(window, row_keys, batch_id),
            RestoreOptions(**options), stopped,
        )  # fmt: skip

    def restore(self, **chosen: Any) -> RestoreReport:
        restoring = self.restoring(**chosen)
        try:
            return restoring.run()
        finally:
            restoring.source.close()

    def seal(
        self,
        window: Window | None = None,
        verify_id: str | None = None,
        author: Author = NOBODY,
        catch_up: Callable[[], object] | None = None,
    ) -> SealReport:
        drain, ledger = self.table_drain(), replace(self.ledger(window), author=author)
        with self.engine.source("purge") as source:
            return Seal(
                source,
                self.manifests(),
                ledger,
                drain.topic,
                drain.purge_log_topic,
                verify_id,
                catch_up=catch_up,
            ).run()

    def audit(self, caught_up: bool = True, **options: Any) -> TableReport:
        def catch_up() -> None:
            self.drain()

        return Audit(
            self.capture.source, self.manifests(), self.ledger(), catch_up=catch_up if caught_up else None, **options
        ).run()  # fmt: skip

    def in_source(self) -> list[tuple[Any, ...]]:
        columns = ", ".join(column.name for column in self.table.columns)
        key = ", ".join(self.table.primary_key)
        return self.engine.query(f"SELECT {columns} FROM {self.id} ORDER BY {key}")

    def shown(self) -> list[tuple[Any, ...]]:
        """What a user sees: the view, in key order; dates as a source's driver gives them."""
        columns = sql.columns(column.name for column in self.table.columns)
        key = sql.columns(self.table.primary_key)
        rows = self.client.query(
            f"SELECT {columns} FROM {sql.table(ddl.view_of(self.target))} ORDER BY {key}"
        ).result_rows
        return [
            tuple(value.date() if isinstance(value, datetime) else value for value in row) for row in rows
        ]

    def source_keys(self) -> Keys:
        return {key for chunk in self.capture.source.hashes(self.table, None) for key, _ in chunk}

    def archive_keys(self) -> Keys:
        row_key = rowhash.row_key(self.types, self.table)
        return {
            row["k"]
            for row in self.control.rows(f"SELECT {row_key} AS k FROM {sql.table(self.target)} FINAL", {})
        }

    def require_nothing_lost(self, committed: Keys) -> None:
        """Promise 1: what was committed and not deleted by the application is at the source, in the archive, or both."""
        lost = committed - self.source_keys() - self.archive_keys()
        assert not lost, f"{len(lost)} rows are nowhere, such as {sorted(lost)[:3]}"


def opened(flavour: str, connector: str, database: str, control: str, table: str) -> Archive:
    """An archive that another process has made."""
    client = services.clickhouse()
    known = Connector(ENGINES[flavour], connector, [TableId(connector, table)])
    return Archive(known, client, Control(client, control), database, table)


def dying(call: Callable[..., Any], die_after: int) -> Callable[..., Any]:
    """The call, after which the process kills itself the ``die_after``-th time (0: never)."""
    calls = iter(range(1, 1_000_000))

    def call_then_die(*arguments: Any, **named: Any) -> Any:
        done = call(*arguments, **named)
        if next(calls) == die_after:
            os.kill(os.getpid(), signal.SIGKILL)
        return done

    return call_then_die


@contextmanager
def archives(
    made_of: Connector, client: Client, control: Control, database: str
) -> Iterator[Callable[[str], Archive]]:
    """Opens archives of a connector's tables in a database of its engine, which is dropped at the end."""
    made: list[Archive] = []

    def opened(name: str) -> Archive:
        made.append(Archive(made_of, client, control, f"{database}_{made_of.engine.flavour}", name))
        return made[-1]

    yield opened
    for each in made:
        each.capture.source.close()
        each.client.command(f"DROP DATABASE IF EXISTS {each.database}")


def purge_in_process(
    flavour: str, connector: str, database: str, control: str, table: str, txn_size: int, die_after: int
) -> None:
    """Body of a process that purges and is killed: by the test, or by itself right after a commit at the source."""
    purging = opened(flavour, connector, database, control, table).purging(txn_size=txn_size)
    purging.source.guarded_delete = dying(purging.source.guarded_delete, die_after)  # type: ignore[method-assign]
    purging.run()


def restore_in_process(
    flavour: str,
    connector: str,
    database: str,
    control: str,
    table: str,
    batch_id: str,
    txn_size: int,
    die_after: int,
) -> None:
    """Body of a process that restores a batch and kills itself right after a commit at the source."""
    restoring = opened(flavour, connector, database, control, table).restoring(
        batch_id=batch_id, txn_size=txn_size
    )
    restoring.source.restore = dying(restoring.source.restore, die_after)  # type: ignore[method-assign]
    restoring.run()
