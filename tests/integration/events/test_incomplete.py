"""Rows with values that PostgreSQL left out and that nobody knows: marked, visible, never guessed and never purged."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from confluent_kafka import TopicPartition

from airflow_provider_chista.archive.policies import DeletePolicy
from airflow_provider_chista.archive.preflight import ArchivePlan, preflight
from airflow_provider_chista.archive.report import DrainLimits
from airflow_provider_chista.clickhouse import sql
from airflow_provider_chista.errors import FatalError, RefusedError
from airflow_provider_chista.findings import Severity
from airflow_provider_chista.model import Window
from tests.integration.events.conftest import (
    Opened,
    barrier_of,
    dead_letters,
    drain_all,
    forget_positions,
    incomplete,
    require_same,
)
from tests.integration.events.toast import (
    contents,
    insert_rows,
)
from tests.integration.support import services
from tests.integration.support.archives import Archive
from tests.integration.support.engines import Connector

JANUARY = Window("day", datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 2, 1, tzinfo=UTC))


def test_a_row_whose_values_are_unknown_is_incomplete_visible_and_never_purged(
    toasted: Connector, opened: Opened
) -> None:
    table, schema = f"{toasted.schema}.middle", toasted.schema
    archive = opened(toasted, "middle", limits=DrainLimits(batch_rows=1))
    insert_rows(toasted, "middle", 1, day="2024-03-01")
    insert_rows(toasted, "middle", 2, 3)
    # The inserts are gone from the topic before the archive begins.
    [ends] = [
        ends for topic, ends in barrier_of(archive).ends.items() if topic == archive.table_drain().topic
    ]
    admin = services.kafka().admin()
    for future in admin.delete_records([TopicPartition(archive.table_drain().topic, 0, ends[0])]).values():
        future.result()
    whole = f"t = {schema}.big(7, 90), tn = {schema}.big(8, 90), b = decode({schema}.big(9, 180), 'hex')"
    toasted.engine.execute(
        f"UPDATE {table} SET n = 1 WHERE id = 1", f"UPDATE {table} SET {whole} WHERE id IN (2, 3)"
    )
    drain = archive.table_drain()
    drain.accept_gap = True
    drain.run(barrier_of(archive))
    assert incomplete(archive) == {"1": ["t", "tn", "b"]}
    toasted.engine.execute(
        f"UPDATE {table} SET n = 2 WHERE id = 1",
        f"UPDATE {table} SET id = 10 WHERE id = 1",
        f"UPDATE {table} SET t = 'known again' WHERE id = 10",
    )
    archive.drain()
    assert incomplete(archive) == {"10": ["tn", "b"]}
    shown = {row[0]: row[2:] for row in archive.shown()}
    assert shown[10] == (2, "known again", "", None)
    archive.manifests().freeze("hashes", None)
    hashes = {key: row_hash for block in archive.manifests().stream("hashes") for key, row_hash in block}
    assert {key: bool(row_hash) for key, row_hash in hashes.items()} == {"2": True, "3": True, "10": False}

    with pytest.raises(FatalError, match=r"0 missing .*1 differing.*key 10 is differing in tn, b"):
        archive.verify()
    archive.approve(archive.verify(JANUARY), JANUARY)
    refusal = rf"1 rows of {archive.target} are incomplete.*ALTER TABLE {table} REPLICA IDENTITY FULL"
    with pytest.raises(RefusedError, match=refusal):
        archive.purge(JANUARY)
    found = findings(archive)
    assert [severity for check, severity, _ in found if check == "incomplete rows"] == [Severity.PURGE]
    assert [
        text for check, severity, text in found if (check, severity) == ("replica identity", Severity.WARNING)
    ]

    # The remedy that the finding names.
    toasted.engine.execute(
        f"ALTER TABLE {table} REPLICA IDENTITY FULL", f"UPDATE {table} SET n = n WHERE id = 10"
    )
    archive.drain()
    assert incomplete(archive) == {}
    assert {check for check, _, _ in findings(archive)} & {"incomplete rows", "replica identity"} == set()
    archive.approve(archive.verify())
    assert archive.purge().deleted == 3


def findings(archive: Archive) -> list[tuple[str, Severity, str]]:
    """What the preflight finds about the table."""
    report = preflight(
        ArchivePlan(
            {archive.id: archive.target}, {}, publication=archive.connector.name, slot=archive.connector.name
        ),
        verify=archive.engine.source,
        purge=None,
        kafka=archive.capture.kafka,
        connect=archive.connector.connect,
        control=lambda: archive.control,
    )
    return [(finding.check, finding.severity, finding.found) for finding in report.findings]


def test_a_key_change_across_partitions_is_not_completed_from_another_row(
    toasted: Connector, opened: Opened
) -> None:
    """The old key's last values may be in a partition that is not drained yet, and the new key may have had a row before."""
    table = f"{toasted.schema}.split"
    archives = [
        opened(toasted, "split", policy, limits=DrainLimits(batch_rows=rows))
        for policy, rows in ((DeletePolicy.ARCHIVE, 50_000), (DeletePolicy.MIRROR, 2))
    ]
    insert_rows(toasted, "split", *range(1, 21))
    toasted.engine.execute(f"DELETE FROM {table} WHERE id BETWEEN 11 AND 20")
    drain_all(*archives)
    moves = [f"UPDATE {table} SET id = id + 10 WHERE id = {n}" for n in range(1, 6)]
    toasted.engine.execute(*moves, f"UPDATE {table} SET n = 1 WHERE id > 5")
    drain_all(*archives)
    for archive in archives:
        state = services.kafka().describe(archive.table_drain().topic)
        assert len(state.ends) == 2
        assert min(state.ends.values()) > 5
        assert incomplete(archive) == {str(n): ["t", "tn", "b"] for n in range(11, 16)}
        with pytest.raises(
            FatalError, match="0 missing from the archive, 0 only in the archive, 5 differing"
        ):
            archive.verify()
    assert archives[0].verify(repairs=5).rows == 10
    assert incomplete(archives[0]) == {}
    require_same(archives[0])
    toasted.engine.execute(f"UPDATE {table} SET t = 'a', tn = 'b', b = NULL WHERE id > 10")
    drain_all(*archives)
    for archive in archives:
        assert incomplete(archive) == {}
        assert len(require_same(archive)) == 10


def test_a_value_that_went_to_the_dead_letters_is_not_guessed_from_the_one_before(
    toasted: Connector, opened: Opened
) -> None:
    table, schema = f"{toasted.schema}.lost", toasted.schema
    archives = [
        opened(toasted, "lost", policy, limits=DrainLimits(batch_rows=rows))
        for policy, rows in (
            (DeletePolicy.ARCHIVE, 1),
            (DeletePolicy.ARCHIVE, 50_000),
            # The delete of the old key writes its row once more, with the content from before the dead letter.
            (DeletePolicy.MIRROR, 1),
        )
    ]
    insert_rows(toasted, "lost", 1, 2, 3, 4)
    toasted.engine.execute(
        # A day that the archive cannot hold, together with a new text.
        f"UPDATE {table} SET t = {schema}.big(5, 90), day = 'infinity' WHERE id IN (1, 2, 4)",
        f"UPDATE {table} SET day = '2024-01-06' WHERE id IN (1, 2, 3)",
        f"UPDATE {table} SET id = 20 WHERE id = 2",
        f"UPDATE {table} SET id = 40, day = '2024-01-07' WHERE id = 4",
    )
    drain_all(*archives)
    for archive in archives:
        assert len(dead_letters(archive.control, archive)) == 3
        assert incomplete(archive) == {key: ["t", "tn", "b"] for key in ("1", "20", "40")}
        before = contents(archive)
        archive.client.command(f"OPTIMIZE TABLE {sql.table(archive.target)} FINAL")
        forget_positions(archive)
        archive.limits = DrainLimits(batch_rows=2)
        archive.drain()
        assert contents(archive) == before
    toasted.engine.execute(f"UPDATE {table} SET t = 'c', tn = 'd', b = NULL WHERE id <> 3")
    drain_all(*archives)
    for archive in archives:
        assert incomplete(archive) == {}
        assert len(require_same(archive)) == 4
