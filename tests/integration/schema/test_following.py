"""A drain whose records have other columns: it goes on once, counts everything once, and ends."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Any

import pytest

from airflow_provider_chista.archive.batches import SchemaChangedError
from airflow_provider_chista.archive.policies import DeletePolicy
from airflow_provider_chista.archive.report import DrainLimits
from airflow_provider_chista.clickhouse import ddl, sql
from airflow_provider_chista.errors import FatalError
from airflow_provider_chista.model import Column, Kind, Table, TableId
from tests.integration.archive.conftest import store, stream
from tests.integration.support import services
from tests.integration.support.streams import TABLE, WIDER, Stream, key, names, value

__all__ = ["store", "stream"]

Streams = Callable[..., Stream]
WIDEST = replace(WIDER, columns=(*WIDER.columns, Column("most", "int", Kind.INT32, nullable=False)))


class Catalogue:
    """A source's catalogue that the archive follows, and how often it was asked."""

    def __init__(self, made: Stream, *tables: Table) -> None:
        self.made, self.tables, self.asked = made, list(tables), 0

    def __call__(self, lacking: Collection[str]) -> Table:
        table = self.tables[min(self.asked, len(self.tables) - 1)]
        self.asked += 1
        made = self.made
        return ddl.follow(made.client, made.types, table, made.target, lacking=lacking).table


def sizes(values: list[bytes]) -> int:
    """Bytes of records with the key that ``Stream.send`` gives them."""
    return sum(len(text) + len(key(number)) for number, text in enumerate(values))


def column(made: Stream, name: str) -> dict[int, Any]:
    return dict(made.client.query(f"SELECT id, {name} FROM {sql.table(made.target)} FINAL").result_rows)


@pytest.mark.parametrize("batch_rows", [1, 4, 1000])
def test_the_summary_counts_every_record_once_across_the_change(stream: Streams, batch_rows: int) -> None:
    made = stream(table=WIDEST, limits=DrainLimits(batch_rows=batch_rows)).create()
    records = [*names(7), *(value("c", n, "new", more=n, most=n) for n in range(7, 12))]
    made.send(*records)
    catalogue = Catalogue(made, WIDEST)
    reports = []
    drain = made.drain_object(refresh=catalogue, progress=lambda report: reports.append(report.records))
    summary = drain.run()
    assert (summary["records"], summary["op_c"]) == (12, 12)
    assert summary["bytes"] == sizes(records)
    assert (summary["remaining"], summary["ended"]) == (0, "reached the end offsets")
    assert reports == sorted(reports)
    assert catalogue.asked == 2, "both columns are found at the first record that lacks them"
    assert column(made, "most") == dict.fromkeys(range(7)) | {n: n for n in range(7, 12)}
    assert drain.run()["records"] == 0


def test_limits_hold_for_the_parts_together(stream: Streams) -> None:
    made = stream(table=WIDER, limits=DrainLimits(rows=6, batch_rows=2)).create()
    made.send(value("c", 0, "new", more=1), value("c", 1, "new", more=1), *names(8, 2))
    summary = made.drain(refresh=Catalogue(made, WIDER))
    assert (summary["records"], summary["remaining"]) == (6, 4)
    assert summary["ended"].startswith("reached the limit of 6 rows")


def test_dead_letters_before_the_change_count_behind_it(stream: Streams) -> None:
    made = stream(table=WIDER, limits=DrainLimits(dead_letters=2, batch_rows=1)).create()
    keys = [key(n) for n in range(5)]
    made.send(b"{", value("c", 1, "new", more=1), *names(1, 2), b"[", b"no", keys=keys)
    with pytest.raises(FatalError, match=r"3 records of .* cannot be decoded, more than max_dead_letters=2"):
        made.drain(refresh=Catalogue(made, WIDER))


def test_partitions_stop_and_go_on_by_themselves(stream: Streams) -> None:
    made = stream(table=WIDER).create(partitions=2)
    made.send(*names(3), partition=0)
    made.send(value("c", 10, "new", more=1), *names(2, 11), partition=1)
    catalogue = Catalogue(made, WIDER)
    summary = made.drain(refresh=catalogue)
    assert (summary["records"], summary["remaining"], catalogue.asked) == (6, 0, 2)
    assert column(made, "more") == {**dict.fromkeys((0, 1, 2, 11, 12)), 10: 1}


def test_a_column_that_nothing_knows_stops_the_drain_at_its_first_record(stream: Streams) -> None:
    made = stream(table=WIDER).create()
    gone = value("c", 2, "x", more=1, gone=1)
    made.send(value("c", 0, "x", more=1), value("c", 1, "x", more=1), gone, value("c", 3, "x", more=1))
    catalogue = Catalogue(made, WIDER)
    with pytest.raises(
        SchemaChangedError, match=r"offset 2.*it has besides gone\..*ignore_columns=\['gone'\]"
    ):
        made.drain(refresh=catalogue)
    assert catalogue.asked == 1
    assert made.positions() == {0: 2}
    assert sorted(made.shown()) == [0, 1]
    assert made.drain(refresh=catalogue, ignored=["gone"])["records"] == 2
    assert sorted(made.shown()) == [0, 1, 2, 3]


def test_a_catalogue_that_does_not_help_stops_the_drain(stream: Streams) -> None:
    made = stream(table=WIDER).create()
    made.send(*names(3))
    adopted = ddl.adopted(made.client, made.types, WIDER, made.target)
    asked: list[Collection[str]] = []

    def useless(lacking: Collection[str]) -> Table:
        asked.append(lacking)
        return adopted

    with pytest.raises(SchemaChangedError, match=r"offset 0.*it lacks more"):
        made.drain(refresh=useless)
    assert asked == [(), frozenset({"more"})]


def test_without_a_catalogue_the_drain_stops_at_the_record(stream: Streams) -> None:
    made = stream(table=TABLE).create()
    made.send(*names(2), value("c", 2, "new", more=1))
    with pytest.raises(SchemaChangedError, match=r"offset 2.*it has besides more"):
        made.drain()
    assert made.positions() == {0: 2}


def test_a_users_own_table_takes_older_records_where_its_column_is_nullable(stream: Streams) -> None:
    made = stream(table=WIDER)
    made.client.command(f"ALTER TABLE {sql.table(made.target)} MODIFY COLUMN more REMOVE COMMENT")
    made.create()
    made.send(*names(2), value("c", 2, "new", more=5))
    assert made.drain(refresh=Catalogue(made, WIDER))["records"] == 3
    assert column(made, "more") == {0: None, 1: None, 2: 5}
    made.client.command(f"TRUNCATE TABLE {sql.table(made.target)}")
    made.client.command(f"ALTER TABLE {sql.table(made.target)} DROP COLUMN more, ADD COLUMN more Int32")
    strict = replace(WIDER, columns=(*TABLE.columns, replace(WIDER.column("more"), nullable=False)))
    made.send(*names(1, 3))
    with pytest.raises(FatalError, match=r"column more is Int32, it must be Nullable\(Int32\)"):
        made.drain(refresh=Catalogue(made, strict))


def test_a_delete_that_waited_while_the_key_changed_is_named(stream: Streams) -> None:
    made = stream(policy=DeletePolicy.ARCHIVE).create()
    services.create_topic(made.log_topic)
    made.send(value("c", 0, "x"), value("c", 1, "x"), value("d", 0), None)
    made.drain()
    assert made.deletes() == {2: "waiting"}
    made.table = replace(
        TABLE,
        columns=(TABLE.column("id"), replace(TABLE.column("name"), nullable=False), TABLE.column("day")),
        primary_key=("id", "name"),
    )
    made.client.command(f"DROP TABLE {sql.table(made.target)}")
    ddl.ensure_table(made.client, made.types, made.table, made.target)
    with pytest.raises(
        FatalError, match=r"a delete with the key '0'.*primary key \(id, name\).*state table deletes"
    ):
        made.drain(made.barrier())
    made.client.command(
        f"DELETE FROM {made.control.name('deletes')} WHERE target = '{made.target}' AND state = 'waiting'"
    )
    assert made.drain(made.barrier())["application_deletes"] == 0


def test_the_target_of_another_key_gets_a_dead_letter_for_a_delete_with_the_old_one(stream: Streams) -> None:
    renamed = Table(TableId("s", "t"), (replace(TABLE.column("id"), name="no"), *TABLE.columns[1:]), ("no",))
    made = stream(table=renamed).create()
    made.send(value("d", 0), None)
    assert made.drain(refresh=Catalogue(made, renamed))["op_dead"] == 1
    [letter] = made.dead_letters()
    assert "the record's key is not the primary key (no)" in letter["error"]
