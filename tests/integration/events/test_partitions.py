"""PostgreSQL's partitioned and inherited tables: one topic for all partitions, one archive, one proof."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from airflow_provider_chista.archive.policies import DeletePolicy, TruncatePolicy
from airflow_provider_chista.errors import FatalError
from airflow_provider_chista.findings import Severity
from airflow_provider_chista.model import TableId, Window
from airflow_provider_chista.sources.base import Source
from tests.integration.events.conftest import Opened, drain_all, require_same
from tests.integration.support import services
from tests.integration.support.engines import Connector

pytestmark = pytest.mark.parametrize("captured", ["postgres"], indirect=True)

JANUARY = Window("day", datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 2, 1, tzinfo=UTC))


def test_rows_of_all_partitions_are_archived_moved_proven_and_purged(
    captured: Connector, opened: Opened
) -> None:
    schema = captured.schema
    table = f"{schema}.parted"
    archives = [opened(captured, "parted", policy) for policy in (DeletePolicy.ARCHIVE, DeletePolicy.MIRROR)]
    archive = archives[0]
    assert archive.snapshot().rows() == {table: 2}
    captured.engine.execute(
        f"INSERT INTO {table} VALUES (3, 'north', '2024-01-03', 'c'), (4, 'west', '2024-01-04', 'd'),"
        " (5, 'south', '2024-02-05', 'e')",
        f"INSERT INTO {schema}.parted_north VALUES (6, 'north', '2024-01-06', 'written to the partition')",
        f"UPDATE {table} SET region = 'south', v = 'moved' WHERE id = 3",  # to another partition
        f"UPDATE {schema}.parted_rest SET region = 'east' WHERE id = 4",  # within its partition
        f"UPDATE {table} SET region = 'north' WHERE id = 2",
        f"DELETE FROM {schema}.parted_north WHERE id = 1",
    )
    drain_all(*archives)
    for each in archives:
        assert {row[0]: (row[1], row[3]) for row in each.shown()} == {
            2: ("north", "snapshot"),
            3: ("south", "moved"),
            4: ("east", "d"),
            5: ("south", "e"),
            6: ("north", "written to the partition"),
        }
        assert len(require_same(each)) == each.verify().rows == 5
    topics = services.kafka().admin().list_topics(timeout=10).topics
    assert [name for name in topics if name.startswith(f"{captured.name}.{table}")] == [
        f"{captured.name}.{table}"
    ]

    # Values stored out of line are sent when a row moves to another partition, which has a place of its own for them.
    captured.engine.execute(
        f"ALTER TABLE {schema}.parted_north ALTER v SET STORAGE EXTERNAL",
        f"ALTER TABLE {schema}.parted_rest ALTER v SET STORAGE EXTERNAL",
        f"UPDATE {table} SET v = repeat('long', 1000) WHERE id = 6",
        f"UPDATE {table} SET region = 'west' WHERE id = 6",
        f"UPDATE {table} SET day = '2024-01-07' WHERE id = 6",
    )
    drain_all(*archives)
    for each in archives:
        assert require_same(each)["6|4:west"][3] == "4000:" + "long" * 1000

    proof = archive.verify(JANUARY)
    assert proof.rows == 4
    archive.approve(proof, JANUARY)
    assert archive.purge(JANUARY).deleted == 4
    assert captured.engine.query(f"SELECT id FROM ONLY {schema}.parted_rest") == [(5,)]
    summary = archive.drain()
    assert (summary["purge_deletes"], summary["application_deletes"]) == (4, 0)
    assert archive.seal(JANUARY).rows == 4
    assert len(archive.shown()) == 5

    # PostgreSQL does not publish the TRUNCATE of a partition: the proof finds the rows that went.
    captured.engine.execute(f"TRUNCATE {schema}.parted_rest")
    archive.drain()
    with pytest.raises(FatalError, match="1 only in the archive"):
        archive.verify()
    captured.engine.execute(f"TRUNCATE {table}")
    with pytest.raises(FatalError, match=f"{table} was truncated"):
        archive.drain()
    archive.truncates = TruncatePolicy.KEEP
    assert archive.drain()["op_t"] == 1


def errors(source: Source, table: TableId) -> list[str]:
    found = source.table_findings(source.catalogue(table))
    return [f"{finding.check}: {finding.found}" for finding in found if finding.severity is Severity.ERROR]


def test_a_partition_is_refused_with_the_name_of_its_parent(captured: Connector, opened: Opened) -> None:
    with pytest.raises(FatalError, match=rf"is a partition.*as those of {captured.schema}\.parted; archive"):
        opened(captured, "parted_north")


def test_the_identity_of_every_partition_counts(captured: Connector) -> None:
    schema = captured.schema
    north = f"{schema}.parted_north"
    with captured.engine.source() as source:
        table = TableId(schema, "parted")
        assert errors(source, table) == []
        captured.engine.execute(f"ALTER TABLE {north} REPLICA IDENTITY NOTHING")
        assert errors(source, table) == [
            f"replica identity: {north} has REPLICA IDENTITY NOTHING: updates and deletes fail"
        ]
        captured.engine.execute(f"ALTER TABLE {north} REPLICA IDENTITY DEFAULT")


def test_an_inheriting_table_is_archived_by_itself_and_its_parent_is_refused(
    captured: Connector, opened: Opened
) -> None:
    schema = captured.schema
    with captured.engine.source() as source:
        assert [text.partition(":")[0] for text in errors(source, TableId(schema, "ancestor"))] == [
            "inheritance"
        ]
        assert errors(source, TableId(schema, "heir")) == []
    archive = opened(captured, "heir")
    archive.snapshot()
    captured.engine.execute(
        f"INSERT INTO {schema}.ancestor VALUES (1, 'of the parent')",
        f"INSERT INTO {schema}.heir VALUES (2, 'own'), (3, 'gone')",
        f"UPDATE {schema}.ancestor SET name = 'through the parent' WHERE id = 2",
        f"DELETE FROM {schema}.ancestor WHERE id = 3",
    )
    archive.drain()
    assert archive.shown() == [(2, "through the parent")]
    archive.approve(archive.verify())
    assert archive.purge().deleted == 1
    assert captured.engine.query(f"SELECT id FROM {schema}.ancestor") == [(1,)]
