"""Partitions that are removed whole: what was proven goes with its lines of the purge log, in one transaction, or nothing."""

from __future__ import annotations

import multiprocessing
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest

from airflow_provider_chista.archive.ledger import Stage
from airflow_provider_chista.archive.purgereport import PurgeMethod
from airflow_provider_chista.errors import FatalError, RefusedError, TransientError
from airflow_provider_chista.model import TableId, Window
from airflow_provider_chista.sources.partitions import PartitionAction
from tests.integration.archive.conftest import Store
from tests.integration.support import services
from tests.integration.support.archives import Archive, archives, dying, opened
from tests.integration.support.engines import ENGINES, Connector, connector

ROWS = 400
NAMES = ("parted", "refused", "killed")
PARTS = (
    "CREATE TABLE {schema}.{t} (id INT, day DATE NOT NULL, name TEXT, PRIMARY KEY (id, day)) PARTITION BY RANGE (day)",
    "CREATE TABLE {schema}.{t}_jan PARTITION OF {schema}.{t} FOR VALUES FROM ('2024-01-01') TO ('2024-02-01')",
    "CREATE TABLE {schema}.{t}_feb PARTITION OF {schema}.{t} FOR VALUES FROM ('2024-02-01') TO ('2024-03-01')"
    " PARTITION BY HASH (id)",
    "CREATE TABLE {schema}.{t}_feb_0 PARTITION OF {schema}.{t}_feb FOR VALUES WITH (MODULUS 2, REMAINDER 0)",
    "CREATE TABLE {schema}.{t}_feb_1 PARTITION OF {schema}.{t}_feb FOR VALUES WITH (MODULUS 2, REMAINDER 1)",
    # Its columns are in another order than the table's.
    "CREATE TABLE {schema}.{t}_mar (name TEXT, day DATE NOT NULL, id INT NOT NULL, PRIMARY KEY (id, day))",
    "ALTER TABLE {schema}.{t} ATTACH PARTITION {schema}.{t}_mar FOR VALUES FROM ('2024-03-01') TO ('2024-04-01')",
    "CREATE TABLE {schema}.{t}_rest PARTITION OF {schema}.{t} DEFAULT",
)
PARTITION = PurgeMethod.PARTITION


def days(first: str, end: str) -> Window:
    return Window("day", *(datetime.fromisoformat(day).replace(tzinfo=UTC) for day in (first, end)))


JANUARY, FEBRUARY = days("2024-01-01", "2024-02-01"), days("2024-02-01", "2024-03-01")
MARCH, APRIL = days("2024-03-01", "2024-04-01"), days("2024-04-01", "2024-05-01")


@contextmanager
def owner() -> Iterator[str]:
    """A role that owns partitioned tables; the purge user is a member of it."""
    name, engine = f"it_owner_{services.token()}", ENGINES["postgres"]
    engine.execute(f"CREATE ROLE {name}", f"GRANT {name} TO chista_purge")
    try:
        yield name
    finally:
        engine.execute(f"DROP ROLE {name}")


@pytest.fixture(scope="module")
def captured(store: Store) -> Iterator[Connector]:
    tables = {f"{t}{i}": ddl.replace("{t}", t) for t in NAMES for i, ddl in enumerate(PARTS)}
    with owner() as role, connector("postgres", tables, NAMES) as made:
        for t in NAMES:
            made.engine.execute(
                *(
                    f"ALTER TABLE {made.schema}.{t}{part} OWNER TO {role}"
                    for part in ("", "_jan", "_feb", "_mar")
                ),
                f"INSERT INTO {made.schema}.{t} VALUES (%s, %s, %s)",
                many=[(i, f"2024-0{i % 4 + 1}-{i // 4 % 28 + 1:02}", f"näme {i}") for i in range(ROWS)],
            )
        made.register()
        yield made


@pytest.fixture(scope="module")
def archive(captured: Connector, store: Store) -> Iterator[Callable[[str], Archive]]:
    with archives(captured, store.client, store.control, store.database) as made_of:

        def archived(name: str) -> Archive:
            made = made_of(name)
            made.snapshot()
            made.drain()
            return made

        yield archived


def relations(made: Archive) -> set[str]:
    """Partitions of the table, all levels."""
    rows = made.engine.query(f"SELECT relid::regclass::text FROM pg_partition_tree('{made.id}')")
    return {name.partition(".")[2] for (name,) in rows} - {made.name}


def logged(made: Archive) -> int:
    return int(
        made.engine.query(f"SELECT count(*) FROM chista.purge_log WHERE table_name = '{made.id}'")[0][0]
    )


def proven(made: Archive, window: Window | None) -> str:
    proof = made.verify(window)
    made.approve(proof, window)
    return proof.verify_id


def test_a_proven_partition_is_dropped_or_detached_and_nothing_else(
    archive: Callable[[str], Archive],
) -> None:
    made = archive("parted")
    before, committed = made.in_source(), made.source_keys()
    january = proven(made, JANUARY)
    february = proven(made, FEBRUARY)
    dry = made.purge(JANUARY, method=PARTITION, dry_run=True)
    assert (dry.partitions, dry.proven, made.in_source()) == ([f"{made.id}_jan"], 100, before)

    report = made.purge(JANUARY, method=PARTITION)
    assert (report.ended, report.deleted, dict(report.skipped)) == ("finished", 100, {})
    assert report.partitions == [f"{made.id}_jan"]
    assert made.in_source() == [row for row in before if row[1].month != 1]
    assert relations(made) == {f"parted{p}" for p in ("_feb", "_feb_0", "_feb_1", "_mar", "_rest")}
    made.require_nothing_lost(committed)
    # With its own partitions; they stay beside.
    report = made.purge(FEBRUARY, method=PARTITION, partition_action=PartitionAction.DETACH)
    assert (report.deleted, report.partitions) == (100, [f"{made.id}_feb"])
    assert relations(made) == {"parted_mar", "parted_rest"}
    assert made.engine.query(f"SELECT count(*) FROM {made.id}_feb") == [(100,)]
    assert made.in_source() == [row for row in before if row[1].month > 2]

    summary = made.drain()
    assert (summary["purge_deletes"], summary["application_deletes"], summary["records"]) == (0, 0, 0)
    for window, verify_id in ((JANUARY, january), (FEBRUARY, february)):
        sealed = made.seal(window, verify_id)
        assert (sealed.rows, sealed.rewritten) == (100, 0)
        intent = made.ledger(window).last(Stage.INTENT, verify_id)
        assert intent is not None
        assert intent.detail["method"] == "partition"
        assert made.purge(window, method=PARTITION).ended == "sealed"
    assert logged(made) == 0
    assert made.shown() == before
    assert made.verify(None).rows == 200


def refused(made: Archive, window: Window | None, words: str, **options: Any) -> None:
    before, parts = made.in_source(), relations(made)
    error = options.pop("error", RefusedError)
    with pytest.raises(error, match=words):
        made.purge(window, method=PARTITION, **options)
    assert (made.in_source(), relations(made), logged(made)) == (before, parts, 0)


def test_whatever_is_not_whole_and_proven_stays(archive: Callable[[str], Archive]) -> None:
    made = archive("refused")
    name = str(made.id)
    part_of_two = days("2024-01-15", "2024-02-15")
    for window in (JANUARY, MARCH):
        proven(made, window)
    bounds = r"\(FOR VALUES FROM \('2024-01-01'\) TO \('2024-02-01'\)\)"
    hashed = r"\(FOR VALUES WITH \(modulus 2, remainder 0\)\)"
    refused(
        made, part_of_two, rf"covers only a part of .*{name}_feb_0 {hashed}.*{name}_jan {bounds}, by their"
    )
    refused(made, APRIL, rf"covers only a part of {name}_rest \(DEFAULT\)")
    refused(made, None, "only a window over a date or a timestamp can tell")
    # A row after the proof, one that changed since, one that is not in the archive any more.
    made.engine.execute(f"INSERT INTO {name} VALUES (1000, '2024-01-07', 'late')")
    refused(
        made,
        JANUARY,
        rf"partition {name}_jan .* has 1 rows that the proof does not have as they are, such as 1000\|",
    )
    made.engine.execute(
        f"DELETE FROM {name} WHERE id = 1000", f"UPDATE {name} SET name = 'changed' WHERE id = 4"
    )
    refused(made, JANUARY, r"1 rows that the proof does not have as they are, such as 4\|")
    made.engine.execute(f"UPDATE {name} SET name = 'näme 4' WHERE id = 4")
    made.client.command(f"DELETE FROM {made.database}.{made.name} WHERE id = 8")
    refused(made, JANUARY, r"1 rows that are no longer in the archive as proven, such as 8\|")

    # A writer that holds the partition for long, and one whose row slips in while the purge waits for its lock.
    with closing(made.engine.admin()) as application, closing(application.cursor()) as cursor:
        application.autocommit = False
        cursor.execute(f"INSERT INTO {name} VALUES (2000, '2024-03-07', 'slow')")
        refused(made, MARCH, "55P03", error=TransientError)
        slipping = threading.Timer(0.5, application.commit)
        slipping.start()
        with pytest.raises(RefusedError, match=rf"partition {name}_mar .* such as 2000\|"):
            made.purge(MARCH, method=PARTITION)
        slipping.join()
    # What other objects are bound to.
    made.engine.execute(
        f"DELETE FROM {name} WHERE id = 2000",
        f"CREATE TABLE {name}_child (id INT, day DATE, FOREIGN KEY (id, day) REFERENCES {name})",
    )
    refused(made, MARCH, "Foreign keys or views are bound to the partition", error=FatalError)
    made.engine.execute(f"DROP TABLE {name}_child")

    # The batch was begun, and its seal will not look for delete events.
    with pytest.raises(RefusedError, match=r"was begun with method='partition', and its seal looks for that"):
        made.purge(MARCH)
    made.engine.execute(f"ALTER TABLE {name}_mar OWNER TO postgres")
    refused(made, MARCH, rf'user chista_purge does not own {name}_mar.*GRANT "postgres" TO "chista_purge"')
    refused(made, APRIL, "covers only a part", partition_action=PartitionAction.DETACH)


def remove_in_process(place: tuple[str, ...], where: str, die_after: int) -> None:
    """Body of a process that removes a partition and kills itself behind a call of its source."""
    purging = opened(*place).purging(days("2024-01-01", "2024-04-01"), method=PARTITION)
    setattr(purging.source, where, dying(getattr(purging.source, where), die_after))
    purging.run()


def test_a_removal_that_is_killed_anywhere_goes_on_where_it_was(archive: Callable[[str], Archive]) -> None:
    made, window = archive("killed"), days("2024-01-01", "2024-04-01")
    before, committed = made.in_source(), made.source_keys()
    proven(made, window)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.integration.support.archives", "pandas"])
    place = (made.engine.flavour, made.connector.name, made.database, made.control.database, made.name)
    left = {f"killed{p}" for p in ("_jan", "_feb", "_feb_0", "_feb_1", "_mar", "_rest")}
    for where, die_after, gone in (
        ("_log_proven", 1, set()),  # rows logged, not committed
        ("_require_unchanged", 1, set()),  # dropped, not committed
        (
            "remove_partition",
            1,
            {"killed_feb", "killed_feb_0", "killed_feb_1"},
        ),  # committed, nobody heard of it
        ("_require_unchanged", 1, set()),
        ("remove_partition", 2, {"killed_jan", "killed_mar"}),
    ):
        process = context.Process(target=remove_in_process, args=(place, where, die_after))
        process.start()
        process.join(60)
        assert process.exitcode == -9
        made.require_nothing_lost(committed)
        left -= gone
        # The server notices the death of its client when it has something to say.
        deadline = time.monotonic() + 10
        while relations(made) != left and time.monotonic() < deadline:
            time.sleep(0.1)
        assert relations(made) == left
        assert logged(made) == ROWS - len(made.in_source())
    report = made.purge(window, method=PARTITION)
    assert (report.ended, report.deleted, report.partitions) == ("finished", 300, [])
    assert made.in_source() == [row for row in before if row[1].month == 4]
    made.drain()
    assert made.seal(window).rows == 300
    assert made.shown() == before


@pytest.mark.parametrize("flavour", ["mysql", "mariadb"])
def test_engines_whose_statements_commit_by_themselves_refuse(flavour: str) -> None:
    with ENGINES[flavour].source("purge") as source:
        table = ENGINES[flavour].source().catalogue(TableId("test", "chista"))
        [reason] = source.partitions(table, None, PartitionAction.DROP).reasons
    assert "commits by itself there" in reason
    assert "use method='rows'" in reason
