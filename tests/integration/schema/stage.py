"""Makes every change of the table on real Debezium, and writes down what happened; the tests then compare.

All tables of an engine are in one connector. Each source table has two archive tables: ``drained`` had drained everything
before its change and goes on with what it knew, as a live copy does; ``waiting`` had drained nothing, is altered behind the
change (CreateArchiveTableOperator), and drains records from before and behind it in one go.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_chista.archive import barrier, snapshot
from airflow_provider_chista.archive.barrier import Barrier, Capture
from airflow_provider_chista.archive.catchup import TableDrain
from airflow_provider_chista.archive.policies import TruncatePolicy
from airflow_provider_chista.archive.verify import verify
from airflow_provider_chista.clickhouse import sql
from airflow_provider_chista.clickhouse.choices import Choices
from airflow_provider_chista.debezium.config import control_topic, topic_name
from airflow_provider_chista.errors import ChistaError
from airflow_provider_chista.model import TableId
from tests.integration.archive.conftest import Store
from tests.integration.schema.cases import CHANGES
from tests.integration.schema.changes import Change, Rows, Spoken, Step, Target, spoken
from tests.integration.support.archives import Archive
from tests.integration.support.engines import Connector, connector, wait_for

LABEL = "after the changes"


@dataclass
class Course:
    """What happened to one archive table of a change.

    :param archive: None while it could not be created; :param drain: made before the change.
    :param refused: why it could not be created.
    :param summary: of the drain behind the change; :param stopped: why it stopped.
    :param shown: the watched column's text by id then; :param unproven: what the proof said then; empty: it held.
    :param proven: rows proven in the end; :param failed: why there was no proof in the end.
    :param letters: dead letters in the end.
    """

    change: Change
    kind: str
    expected: Target
    archive: Archive | None = None
    drain: TableDrain | None = None
    refused: str = ""
    summary: dict[str, Any] = field(default_factory=dict)
    stopped: str = ""
    shown: Rows = field(default_factory=dict)
    unproven: str = ""
    proven: int = -1
    failed: str = ""
    letters: int = -1

    @property
    def made(self) -> Archive:
        """The archive, where there must be one."""
        assert self.archive, self.refused
        return self.archive


@dataclass
class Stage:
    """One engine with all of its courses, by change and archive table (``drained``, ``waiting``)."""

    connector: Connector
    store: Store
    pool: ThreadPoolExecutor
    courses: dict[tuple[str, str], Course] = field(default_factory=dict)

    @property
    def flavour(self) -> str:
        return self.connector.engine.flavour

    @property
    def changes(self) -> list[Change]:
        return [change for change in CHANGES if self.flavour in change.engines]

    def told(self, statements: Spoken[Sequence[str]], change: Change) -> list[str]:
        names = {"t": f"{self.connector.schema}.{change.name}", "s": self.connector.schema}
        return [
            statement.replace("{t}", names["t"]).replace("{s}", names["s"])
            for statement in spoken(statements, self.flavour)
        ]

    def execute(self, pick: Callable[[Change], Spoken[Sequence[str]]]) -> None:
        """Statements of every change, in the order of the table."""
        self.connector.engine.execute(
            *(s for change in self.changes for s in self.told(pick(change), change))
        )

    def tables(self) -> list[TableId]:
        return [TableId(self.connector.schema, change.name) for change in self.changes]

    def barrier(self) -> Barrier:
        """One barrier for all tables."""
        prefix = self.connector.name
        topics = [topic_name(prefix, table) for table in self.tables()]
        capture = self.connector.capture()
        return barrier.wait(
            capture, [*topics, control_topic(prefix, "purge_log")], timeout=60, poll_seconds=0.2
        )

    def snapshots(self, tables: Sequence[TableId], again: str | None = None) -> None:
        capture = self.connector.capture()
        wait_for(lambda: snapshot.advance(capture, self.store.control, tables, again).completed, 90, 0.3)

    def each(self, work: Callable[[Course], None]) -> None:
        """Do something with every course, some at a time: a drain waits for Kafka most of its time."""

        def do(course: Course) -> None:
            if course.archive:
                course.archive.capture = self.connector.capture()
            work(course)

        list(self.pool.map(do, self.courses.values()))

    def create(self, course: Course) -> None:
        try:
            choices = Choices(exclude=course.change.exclude)
            course.archive = Archive(
                self.connector,
                self.store.client,
                self.store.control,
                f"{self.store.database}_{self.flavour}_{course.kind}",
                course.change.name,
                choices=choices,
            )
        except ChistaError as error:
            course.refused = str(error)
        else:
            course.drain = course.archive.table_drain()

    def drained(self, course: Course, to: Barrier) -> None:
        """The drain behind the change."""
        try:
            if course.archive is None:
                self.create(course)
            elif course.kind == "waiting":
                course.archive.choices = Choices()
                course.archive.refresh()
                course.drain = course.archive.table_drain()
            assert course.drain, course.refused
            course.summary = course.drain.run(to)
        except ChistaError as error:
            course.stopped = str(error)
            return
        course.made.table = course.drain.table
        course.shown = self.shown(course)
        course.unproven = self.verify(course)[1]

    def shown(self, course: Course) -> Rows:
        """Text of the watched column, by id."""
        archive, name = course.made, sql.identifier(course.change.watch)
        columns = archive.client.query(f"DESCRIBE TABLE {sql.table(archive.target)}").result_rows
        if course.change.watch not in [column[0] for column in columns]:
            return {}
        rows = archive.client.query(
            f"SELECT id, toString({name}) FROM {sql.table(archive.target)} FINAL"
        ).result_rows
        return dict(rows)

    def verify(self, course: Course) -> tuple[int, str]:
        """Rows proven, or what the proof said."""
        archive = course.made
        try:
            proof = verify(
                archive.capture.source, archive.manifests(), archive.ledger(), None, catch_up=lambda: None
            )
        except ChistaError as error:
            return -1, str(error)
        return proof.rows, ""

    def letters(self, course: Course) -> int:
        control = self.store.control
        return int(
            control.rows(
                f"SELECT count() AS n FROM {control.name('dead_letters')} FINAL WHERE target = {{t:String}}",
                {"t": str(course.made.target)},
            )[0]["n"]
        )

    def step(self, step: Step, course: Course, to: Barrier) -> None:
        """A step of a way out that is a matter of one archive table."""
        archive = course.made
        if step is Step.EXCLUDE:
            archive.choices = Choices(exclude=frozenset({"_chista_c"}))
            archive.refresh()
        elif step is Step.RENAME:
            before = TableId(archive.target.schema, f"{archive.target.name}_before")
            self.store.client.command(f"RENAME TABLE {sql.table(archive.target)} TO {sql.table(before)}")
            archive.refresh()
        elif step is Step.KEEP:
            archive.truncates = TruncatePolicy.KEEP
        elif step is Step.DRAIN:
            archive.table_drain().run(to)
        elif step is Step.EMPTY:
            self.store.client.command(f"TRUNCATE TABLE {sql.table(archive.target)}")


@contextmanager
def stage(flavour: str, store: Store) -> Iterator[Stage]:
    """An engine behind its changes and their ways out."""
    names = [change.name for change in CHANGES if flavour in change.engines]
    with connector(flavour, {}, captured=names) as made, ThreadPoolExecutor(8) as pool:
        # A source is not safe for use by several threads at once.
        captures: dict[int, Capture] = {}
        capture = made.capture
        made.capture = lambda: captures.setdefault(threading.get_ident(), capture())  # type: ignore[method-assign]
        staged = Stage(made, store, pool)
        try:
            play(staged)
            yield staged
        finally:
            for each in captures.values():
                each.source.close()
            for kind in ("drained", "waiting"):
                store.client.command(f"DROP DATABASE IF EXISTS {store.database}_{flavour}_{kind}")


def play(staged: Stage) -> None:
    """Make every change, then take every way out."""
    engine, schema = staged.connector.engine, staged.connector.schema

    def create(course: Course) -> None:
        if not course.change.late or course.change.refused_before:
            staged.create(course)

    def drain(course: Course) -> None:
        if course.kind == "drained" and course.drain:
            course.drain.run(to)

    staged.execute(lambda change: change.setup)
    for change in staged.changes:
        [columns] = staged.told([spoken(change.columns, staged.flavour)], change)
        engine.execute(f"CREATE TABLE {schema}.{change.name} (id {change.key}, {columns})")
    staged.execute(lambda change: [insert(change, 1, 0)])
    staged.connector.register()
    for change in staged.changes:
        for kind, expected in (("drained", change.drained), ("waiting", change.waiting or change.drained)):
            staged.courses[change.name, kind] = Course(change, kind, spoken(expected, staged.flavour))
    staged.each(create)
    staged.snapshots(staged.tables())
    staged.execute(lambda change: [insert(change, 2, 1), insert(change, 4, 2)])
    staged.execute(lambda change: change.before)
    to = staged.barrier()
    staged.each(drain)
    staged.execute(
        lambda change: (*spoken(change.ddl, staged.flavour), *spoken(change.after, staged.flavour))
    )
    to = staged.barrier()
    staged.each(lambda course: staged.drained(course, to))
    ways_out(staged, to)


def ways_out(staged: Stage, to: Barrier) -> None:
    """Take the ways out, and prove every table."""

    def step(course: Course) -> None:
        for step in course.change.way_out:
            staged.step(step, course, to)

    def prove(course: Course) -> None:
        drain = course.made.table_drain()
        drain.ignored = ["c"] if Step.IGNORE in course.change.way_out else ()
        try:
            drain.run(behind)
        except ChistaError as error:
            course.failed = str(error)
        else:
            course.made.table = drain.table
            course.proven, course.failed = staged.verify(course)
        course.letters = staged.letters(course)

    staged.execute(lambda change: change.undo)
    staged.each(step)
    again = [
        table
        for table, change in zip(staged.tables(), staged.changes, strict=True)
        if Step.AGAIN in change.way_out
    ]
    staged.snapshots(again, LABEL)
    behind = staged.barrier()
    staged.each(prove)


def insert(change: Change, row_id: int, place: int) -> str:
    """An insert of a row with a value in ``a``; a generated column has its own."""
    if "a INT GENERATED" in str(change.columns):
        return f"INSERT INTO {{t}} (id, b) VALUES ({row_id}, 'o')"
    return f"INSERT INTO {{t}} (id, a, b) VALUES ({row_id}, {change.values[place]}, 'o')"
