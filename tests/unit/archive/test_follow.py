"""When ClickHouse is asked about the archive table, and when the source's catalogue alone."""

from __future__ import annotations

from collections.abc import Collection

from airflow_provider_chista.archive.follow import FollowedTable
from airflow_provider_chista.model import Table
from tests.integration.support.streams import TABLE, WIDER


class Sides:
    """A source whose catalogue can change, and the columns that the archive was asked to follow."""

    def __init__(self) -> None:
        self.source, self.read, self.asked = TABLE, 0, list[tuple[Table, Collection[str]]]()

    def catalogue(self) -> Table:
        self.read += 1
        return self.source

    def follow(self, table: Table, lacking: Collection[str]) -> Table:
        self.asked.append((table, lacking))
        return table


def test_the_catalogue_is_read_each_time_and_the_archive_follows_only_changes() -> None:
    sides = Sides()
    table = FollowedTable(sides.catalogue, sides.follow)
    assert [table() for _ in range(5)] == [TABLE] * 5
    assert (sides.read, sides.asked) == (5, [(TABLE, ())])
    sides.source = WIDER
    assert [table(), table()] == [WIDER, WIDER]
    assert sides.asked[1:] == [(WIDER, ())]
    assert table({"more"}) == WIDER
    assert sides.asked[2:] == [(WIDER, {"more"})]


def test_the_archive_is_asked_again_after_a_while() -> None:
    sides = Sides()
    table = FollowedTable(sides.catalogue, sides.follow, every=0.0)
    table()
    table()
    assert len(sides.asked) == 2
