"""An archive of a connector that writes Avro: names, changed keys, values left out, added columns, purge, seal."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from airflow_provider_chista.archive.complete import OLD_KEY_HEADER
from airflow_provider_chista.archive.policies import DeletePolicy
from tests.integration.avro.conftest import TABLE, Opened, columns, quoted
from tests.integration.events.conftest import dead_letters, drain_all, incomplete, require_same
from tests.integration.events.toast import BIG, insert_three, toasted_connector, write_every_kind_of_change
from tests.integration.support.engines import Connector


def test_every_name_arrives_as_the_source_spells_it_and_a_key_can_change(
    captured: Connector, opened: Opened
) -> None:
    engine, names = captured.engine, columns(captured.engine)
    archive = opened(captured, TABLE, DeletePolicy.MIRROR)
    archive.snapshot()
    table, key = f"{captured.schema}.{quoted(engine, TABLE)}", quoted(engine, "key_u0041 é")
    rows = ", ".join(f"({i}, " + ", ".join(f"'{i} {n}'" for n in range(len(names))) + ")" for i in (1, 2, 3))
    engine.execute(
        f"INSERT INTO {table} VALUES {rows}",
        f"UPDATE {table} SET {quoted(engine, names[0])} = NULL WHERE {key} = 1",
        f"UPDATE {table} SET {key} = 20 WHERE {key} = 2",
        f"DELETE FROM {table} WHERE {key} = 3",
    )
    archive.drain()
    drain = archive.table_drain()
    ends = drain.kafka.describe(drain.topic).ends
    read = drain.kafka.read(drain.topic, {0: (0, ends[0])})
    (old,) = [
        value for part in read for each in part for name, value in each.headers if name == OLD_KEY_HEADER
    ]
    assert json.loads(old) == {"key_u005fu0041_u0020_u00e9": 2}
    assert require_same(archive).keys() == {"1", "20"}
    assert dead_letters(archive.control, archive) == []
    assert archive.verify().rows == 2


def test_the_whole_path_ends_sealed_and_the_applications_deletes_are_told_apart(
    captured: Connector, opened: Opened
) -> None:
    archive = opened(captured, "whole")
    assert archive.snapshot().rows() == {str(archive.id): 20}
    captured.engine.execute(f"DELETE FROM {archive.id} WHERE id = 3")
    assert archive.drain()["application_deletes"] == 1
    proof = archive.verify()
    assert proof.rows == 19
    archive.approve(proof)
    assert archive.purge().deleted == 19
    assert archive.in_source() == []
    summary = archive.drain()
    assert (summary["purge_deletes"], summary["application_deletes"], summary["held_deletes"]) == (19, 0, 0)
    sealed = archive.seal()
    assert (sealed.rows, sealed.digest) == (19, proof.digest)
    assert [row[0] for row in archive.shown()] == [i for i in range(20) if i != 3]


def test_a_column_that_is_added_while_the_stream_runs_is_followed(
    captured: Connector, opened: Opened
) -> None:
    archive = opened(captured, "widened")
    archive.snapshot()
    captured.engine.execute(
        f"INSERT INTO {archive.id} VALUES (100, 'before', '2024-02-01')",
        f"ALTER TABLE {archive.id} ADD COLUMN {quoted(captured.engine, 'more é')} INT",
        f"INSERT INTO {archive.id} VALUES (101, 'after', '2024-02-02', 5)",
        f"UPDATE {archive.id} SET {quoted(captured.engine, 'more é')} = 6 WHERE id = 1",
    )
    archive.drain()
    assert require_same(archive)["101"][-1] == "5"
    assert archive.verify().rows == 22


@pytest.fixture(scope="module")
def toasted(stack_env: dict[str, str]) -> Iterator[Connector]:
    with toasted_connector(avro=True) as made:
        yield made


def test_every_shape_of_a_value_that_postgresql_left_out_is_completed(
    toasted: Connector, opened: Opened
) -> None:
    archives = [opened(toasted, "types"), opened(toasted, "types", DeletePolicy.MIRROR)]
    names = [each.name for each in BIG]
    insert_three(toasted, "types", names)
    drain_all(*archives)
    write_every_kind_of_change(toasted, "types", names)
    drain_all(*archives)
    for archive in archives:
        assert (incomplete(archive), dead_letters(archive.control, archive)) == ({}, [])
        assert require_same(archive).keys() == {"11", "2", "3", "44"}
        assert archive.verify().rows == 4
