"""Values that PostgreSQL leaves out of an update because they are stored out of line (TOAST) and did not change.

With REPLICA IDENTITY DEFAULT the archive completes them from what it knows, exactly; for the rest see ``test_incomplete.py``.
"""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from airflow_provider_chista.archive import positions
from airflow_provider_chista.archive.barrier import Barrier, ConnectorFailedError
from airflow_provider_chista.archive.policies import DeletePolicy
from airflow_provider_chista.archive.report import DrainLimits
from airflow_provider_chista.clickhouse import sql
from airflow_provider_chista.clickhouse.choices import Choice, Choices
from airflow_provider_chista.findings import Severity
from airflow_provider_chista.model import TableId
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
    BIG,
    Workload,
    contents,
    insert_three,
    placeholders,
    write_every_kind_of_change,
)
from tests.integration.support.archives import Archive
from tests.integration.support.engines import Connector, connector, wait_for


def test_every_shape_of_the_placeholder_is_completed(toasted: Connector, opened: Opened) -> None:
    names = [each.name for each in BIG]
    archives = [
        opened(toasted, "types", policy, limits=limits)
        for policy, limits in (
            (DeletePolicy.ARCHIVE, DrainLimits()),
            (DeletePolicy.ARCHIVE, DrainLimits(batch_rows=1)),
            (DeletePolicy.MIRROR, DrainLimits(batch_rows=2)),
            (DeletePolicy.MIRROR, DrainLimits(batch_rows=3)),
        )
    ]
    chosen = Choices(
        types={"text": Choice("LowCardinality(String)"), "jsonb": Choice("JSON", provable=False)}
    )
    other_types = opened(
        toasted, "types", DeletePolicy.MIRROR, limits=DrainLimits(batch_rows=2), choices=chosen
    )
    insert_three(toasted, "types", names)
    drain_all(*archives, other_types)
    write_every_kind_of_change(toasted, "types", names)
    drain_all(*archives, other_types)
    for archive in (*archives, other_types):
        assert (incomplete(archive), dead_letters(archive.control, archive)) == ({}, [])
        assert require_same(archive).keys() == {"11", "2", "3", "44"}
    for archive in archives:
        assert archive.verify().rows == 4
    # Also in a type that need not be exact.
    found = other_types.client.query(
        f"SELECT id, toString(jsonb.k) FROM {sql.table(other_types.target)} FINAL"
    ).result_rows
    assert dict(found) == dict(toasted.engine.query(f"SELECT id, jsonb->>'k' FROM {other_types.id}"))

    seen = placeholders(archives[0])
    shapes: frozenset[str] = frozenset().union(*(record.columns for record in seen))
    assert shapes == {f"{name}{ending}" for name in names for ending in ("", "_nn")}
    moved = [record for record in seen if record.moved]
    assert {record.op for record in moved} == {"c"}
    assert len(moved) == 5


def test_with_replica_identity_full_nothing_is_left_out(toasted: Connector, opened: Opened) -> None:
    names = [each.name for each in BIG]
    archive = opened(toasted, "types_full", limits=DrainLimits(batch_rows=2))
    insert_three(toasted, "types_full", names)
    write_every_kind_of_change(toasted, "types_full", names)
    archive.drain()
    assert placeholders(archive) == []
    assert require_same(archive).keys() == {"11", "2", "3", "44"}
    assert (incomplete(archive), archive.verify().rows) == ({}, 4)


class KilledError(Exception):
    """Stands for a kill between the insert and the record of the position."""


def drain_with_kills(
    archive: Archive, stand: Barrier, chance: random.Random, patch: pytest.MonkeyPatch
) -> int:
    """Drain to a barrier, killed often; merges remove replaced rows before each new try. Return the number of kills."""
    record, kills = positions.record, 0

    def dying(*arguments: Any) -> None:
        if chance.random() < 0.35:
            raise KilledError
        record(*arguments)

    while True:
        archive.limits = DrainLimits(batch_rows=chance.choice((4, 9, 40)))
        patch.setattr(positions, "record", dying)
        try:
            archive.table_drain().run(stand)
            return kills
        except KilledError:
            kills += 1
            archive.client.command(f"OPTIMIZE TABLE {sql.table(archive.target)} FINAL")
        finally:
            patch.setattr(positions, "record", record)


def test_a_random_workload_is_archived_exactly_whatever_the_batches_and_kills(
    toasted: Connector, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance, workload = random.Random(11), Workload(toasted, "work", seed=4)
    archives = [opened(toasted, "work", policy) for policy in (DeletePolicy.ARCHIVE, DeletePolicy.MIRROR)]
    killed = opened(toasted, "work", DeletePolicy.MIRROR)
    kills = 0
    for _ in range(5):
        workload.run(50)
        for archive in archives:
            archive.limits = DrainLimits(batch_rows=chance.choice((3, 7, 50_000)))
        stand = barrier_of(*archives, killed)
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda archive: archive.table_drain().run(stand), archives))  # noqa: B023
        kills += drain_with_kills(killed, stand, chance, monkeypatch)
    assert kills >= 10
    seen = placeholders(killed)
    assert len(seen) > 100
    assert sum(record.moved for record in seen) > 20
    for archive in (*archives, killed):
        assert (incomplete(archive), dead_letters(archive.control, archive)) == ({}, [])
        assert len(require_same(archive)) == archive.verify().rows == len(workload.alive)
    expected = contents(archives[1])
    assert contents(killed) == expected

    # All of the topic once more, over an archive that has forgotten every row that was replaced.
    for archive in (*archives, killed):
        archive.client.command(f"OPTIMIZE TABLE {sql.table(archive.target)} FINAL")
        forget_positions(archive)
        archive.limits = DrainLimits(batch_rows=chance.choice((4, 17)))
    drain_all(*archives, killed)
    for archive in (*archives, killed):
        assert incomplete(archive) == {}
        assert contents(archive) == expected


UNSENDABLE = {
    "small": "smallint[]", "money": "numeric(9, 2)[]", "flags": "boolean[]", "reals": "real[]", "nets": "inet[]",
    "moments": "timestamp[]", "zoned": "timestamptz[]", "stores": "public.hstore[]", "cases": "public.citext[]",
    "bits": "bit(200)",
}  # fmt: skip
SENDABLE = {
    "few_bits": "bit(128)",
    "texts": "text[]",
    "ids": "uuid[]",
    "raw": "bytea[]",
    "vector": "tsvector",
}


def test_columns_that_would_stop_the_connector_are_errors_of_the_preflight(toasted: Connector) -> None:
    table = TableId(toasted.schema, "unsendable")
    columns = ", ".join(f"{name} {ddl}" for name, ddl in (UNSENDABLE | SENDABLE).items())
    toasted.engine.execute(f"CREATE TABLE {table} (id INT PRIMARY KEY, {columns})")

    def errors() -> list[str]:
        with toasted.engine.source() as source:
            found = source.table_findings(source.catalogue(table))
        return [finding.found for finding in found if finding.severity is Severity.ERROR]

    assert errors() == [
        f"without REPLICA IDENTITY FULL an update of {table} that leaves {', '.join(UNSENDABLE)} as it was stops the"
        " connector when the value is stored out of line (TOAST)"
    ]
    plain = ", ".join(f"ALTER {name} SET STORAGE PLAIN" for name in list(UNSENDABLE)[1:])
    toasted.engine.execute(f"ALTER TABLE {table} {plain}")
    assert "that leaves small as it was" in errors()[0]
    toasted.engine.execute(f"ALTER TABLE {table} REPLICA IDENTITY FULL")
    assert errors() == []
    toasted.engine.execute(f"DROP TABLE {table}")


def test_such_a_column_really_stops_the_connector(opened: Opened) -> None:
    definition = "CREATE TABLE {schema}.flags (id INT PRIMARY KEY, n INT, flags BOOLEAN[])"
    with connector("postgres", {"flags": definition}) as made:
        made.register()
        archive = opened(made, "flags")
        archive.snapshot()
        many = "(SELECT array_agg(i % 3 = 0) FROM generate_series(1, 9000) i)"
        made.engine.execute(
            f"ALTER TABLE {archive.id} ALTER flags SET STORAGE EXTERNAL",
            f"INSERT INTO {archive.id} VALUES (1, 0, {many})",
            f"UPDATE {archive.id} SET n = 1",
        )
        wait_for(lambda: made.connect.status(made.name).failed)
        with pytest.raises(
            ConnectorFailedError, match=rf"Failed to properly convert data value for '{archive.id}.flags'"
        ):
            archive.drain()
