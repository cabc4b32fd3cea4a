"""TRUNCATE is never silent: the drain stops in front of it, or does what the table's policy says."""

from __future__ import annotations

import json

import pytest

from airflow_provider_chista.archive import positions
from airflow_provider_chista.archive.policies import DeletePolicy, TruncatePolicy
from airflow_provider_chista.archive.report import DrainLimits
from airflow_provider_chista.clickhouse import sql
from airflow_provider_chista.errors import FatalError
from tests.integration.events.conftest import Opened, barrier_of, drain_all, forget_positions, require_same
from tests.integration.support import services
from tests.integration.support.archives import Archive
from tests.integration.support.engines import Connector


def truncate_offset(archive: Archive) -> int:
    """Offset of the only TRUNCATE in the table's topic."""
    kafka = services.kafka()
    state = kafka.describe(archive.table_drain().topic)
    found = [
        (record.offset, record.key)
        for records in kafka.read(state.name, {p: (state.lows[p], end) for p, end in state.ends.items()})
        for record in records
        if record.value and json.loads(record.value)["op"] == "t"
    ]
    assert [key for _, key in found] == [None]
    return found[0][0]


def position(archive: Archive) -> int:
    state = services.kafka().describe(archive.table_drain().topic)
    return positions.load(archive.control, str(archive.target), state).next_offsets[0]


def rows_then_truncate(captured: Connector, name: str, *archives: Archive) -> None:
    """Rows 1 to 3 drained, row 4 in the topic in front of the TRUNCATE, row 5 and row 1 behind it."""
    table = f"{captured.schema}.{name}"
    captured.engine.execute(f"INSERT INTO {table} VALUES (1, 'a'), (2, 'b'), (3, 'c')")
    drain_all(*archives)
    captured.engine.execute(
        f"INSERT INTO {table} VALUES (4, 'd')",
        f"TRUNCATE TABLE {table}",
        f"INSERT INTO {table} VALUES (5, 'e'), (1, 'again')",
    )


def test_by_default_the_drain_stops_in_front_of_it_until_a_person_keeps_the_rows(
    captured: Connector, opened: Opened
) -> None:
    archive = opened(captured, "cut_archive")
    rows_then_truncate(captured, "cut_archive", archive)
    stand = barrier_of(archive)
    for _ in range(2):
        with pytest.raises(FatalError, match=r"was truncated at the source.*on_truncate='keep'") as caught:
            archive.table_drain().run(stand)
        at = truncate_offset(archive)
        assert f"offset {at}:" in str(caught.value)
        assert str(archive.id) in str(caught.value)
        assert position(archive) == at
        assert [row[0] for row in archive.shown()] == [1, 2, 3, 4]

    archive.truncates = TruncatePolicy.KEEP
    assert archive.table_drain().run(stand)["op_t"] == 1
    assert archive.shown() == [(1, "again"), (2, "b"), (3, "c"), (4, "d"), (5, "e")]
    # The source cannot prove the rows that it lost.
    with pytest.raises(FatalError, match="3 only in the archive, 0 differing"):
        archive.verify()

    archive.truncates = TruncatePolicy.APPLY
    with pytest.raises(FatalError, match=r"apply needs the delete policy mirror.*stop or keep"):
        archive.table_drain().run(stand)


def test_a_live_copy_can_apply_it(captured: Connector, opened: Opened) -> None:
    archives = [
        opened(captured, "cut_mirror", DeletePolicy.MIRROR, limits=limits)
        for limits in (DrainLimits(), DrainLimits(batch_rows=1))
    ]
    rows_then_truncate(captured, "cut_mirror", *archives)
    stand = barrier_of(*archives)
    for archive in archives:
        with pytest.raises(FatalError, match="was truncated"):
            archive.table_drain().run(stand)
        archive.truncates = TruncatePolicy.APPLY
        assert archive.table_drain().run(stand)["op_t"] == 1
        assert archive.shown() == [(1, "again"), (5, "e")]
        assert len(require_same(archive)) == archive.verify().rows == 2
        # The rows keep their last content, for a restore.
        gone = archive.client.query(
            f"SELECT id, name, toString(_chista_op) FROM {sql.table(archive.target)} WHERE _chista_deleted"
            " AND id IN (2, 3, 4) ORDER BY id"
        ).result_rows
        assert list(gone) == [(2, "b", "t"), (3, "c", "t"), (4, "d", "t")]


def test_applied_again_after_a_crash_it_leaves_the_rows_behind_it(
    captured: Connector, opened: Opened
) -> None:
    archive = opened(
        captured,
        "cut_batches",
        DeletePolicy.MIRROR,
        limits=DrainLimits(batch_rows=1),
        truncates=TruncatePolicy.APPLY,
    )
    rows_then_truncate(captured, "cut_batches", archive)
    stand = barrier_of(archive)
    archive.table_drain().run(stand)
    before = archive.shown()
    assert before == [(1, "again"), (5, "e")]
    forget_positions(archive)
    archive.limits = DrainLimits()
    assert archive.table_drain().run(stand)["op_t"] == 1
    assert archive.shown() == before
