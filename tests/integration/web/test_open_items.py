"""What lies open around a table, by value, and what it takes up."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from airflow_provider_chista.archive.ledger import Author, Stage
from airflow_provider_chista.archive.openitems import SHOWN, OpenItems, fields
from airflow_provider_chista.archive.overview import Overview
from airflow_provider_chista.clickhouse.control import Control
from airflow_provider_chista.model import TableId
from tests.integration.support import services
from tests.integration.support.stories import Story, day

MOMENT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.fixture
def target() -> TableId:
    return TableId("archive", f"t_{services.token()}")


def items(control: Control, target: TableId, *, masked: bool = False) -> OpenItems:
    return OpenItems(Overview.readable(control, {"archive"}), str(target), masked)


def letter(target: TableId, offset: int, **more: Any) -> dict[str, Any]:
    return {
        "target": str(target), "topic": "shop.orders", "generation": 0, "partition": 0, "offset": offset,
        "key": b'{"id": 1}', "value": b'{"name": "\xff' + b"x" * 5_000, "error_class": "BadText", "error": "no UTF-8",
        "task": "archive.drain run", **more,
    }  # fmt: skip


def delete(target: TableId, offset: int, state: str) -> dict[str, Any]:
    return {
        "target": str(target), "topic": "shop.orders", "generation": 0, "partition": 0, "offset": offset,
        "version": offset, "row_key": f"key {offset}", "transaction": "t", "source_time": MOMENT, "state": state,
        "batch_id": "",
    }  # fmt: skip


def mismatch(target: TableId, verify_id: str, key: str, finding: str, **more: Any) -> dict[str, Any]:
    return {"verify_id": verify_id, "target": str(target), "row_key": key, "finding": finding, **more}


def test_open_letters_are_shown_with_the_beginning_of_their_bytes(control: Control, target: TableId) -> None:
    Story.of(control, target, day(0)).tell(Stage.VERIFIED)
    control.insert("dead_letters", [letter(target, n) for n in range(SHOWN + 3)])
    control.insert("dead_letters", [letter(target, 0, state="discarded", reason="test")])
    found = items(control, target).letters()
    assert (found["total"], len(found["rows"])) == (SHOWN + 2, SHOWN)
    first = found["rows"][0]
    assert (first["offset"], first["error_class"], first["why"]) == (1, "BadText", "no UTF-8")
    assert first["size"] == 5_011
    assert first["value_bytes"].startswith('{"name": "\ufffdxxx')
    assert len(first["value_bytes"]) == 300


def test_only_undecided_deletes_are_in_quarantine(control: Control, target: TableId) -> None:
    Story.of(control, target, day(0)).tell(Stage.VERIFIED)
    control.insert("deletes", [delete(target, n, "waiting") for n in range(3)])
    control.insert("deletes", [delete(target, 1, "purge"), delete(target, 7, "applied")])
    found = items(control, target).quarantine()
    assert (found["total"], [row["row_key"] for row in found["rows"]]) == (2, ["key 0", "key 2"])
    assert found["rows"][0]["source_time"] == MOMENT


def test_mismatches_are_those_of_the_newest_comparison_by_column(control: Control, target: TableId) -> None:
    columns = {"columns": ["id", "name", "note"]}
    healed = Story.of(control, target, day(0)).tell(Stage.MISMATCHED)
    healed.again().tell(Stage.VERIFIED, detail=columns)
    open_one = Story.of(control, target, day(1), run_id="broken").tell(Stage.MISMATCHED)
    control.insert(
        "mismatches",
        [
            mismatch(target, healed.verify_id, "9", "extra", columns=["x"], source_values=["1"], archive_values=["2"]),
            mismatch(
                target, open_one.verify_id, "1", "differing", columns=["name", "note"],
                source_values=["1", "ann", None], archive_values=["1", "bob", "2"],
            ),
        ],
    )  # fmt: skip
    lacking = mismatch(target, open_one.verify_id, "2", "missing", source_values=["2", "eve", "3"])
    control.insert("mismatches", [lacking])
    found = items(control, target).mismatches()
    assert found["total"] == 2
    differing, missing = found["rows"]
    assert (differing["row_key"], differing["run_id"], missing["finding"]) == ("1", "broken", "missing")
    assert differing["fields"] == [
        {"column": "name", "source": "ann", "archive": "bob"},
        {"column": "note", "source": None, "archive": "2"},
    ]
    assert [(f["column"], f["source"], f["archive"]) for f in missing["fields"]] == [
        ("id", "2", None), ("name", "eve", None), ("note", "3", None),
    ]  # fmt: skip


def test_mismatches_of_a_dag_that_one_may_not_read_are_not_shown(control: Control, target: TableId) -> None:
    Story.of(control, target, day(0)).tell(Stage.VERIFIED)
    secret = Story.of(control, target, day(1), "secret").tell(Stage.MISMATCHED)
    row = mismatch(target, secret.verify_id, "1", "missing", source_values=["1"])
    control.insert("mismatches", [row])
    assert items(control, target).mismatches()["total"] == 0


@pytest.mark.parametrize(
    ("names", "columns", "source", "archive", "unequal", "labels"),
    [
        (["a", "b"], ["b"], ["1", "2"], ["1", "3"], [0, 1], ["b"]),
        # The columns have changed since the proof that gave the names: the comparison's own names hold.
        (["a", "b", "c"], ["x"], ["1", "2"], ["1", "3"], [0, 1], ["x"]),
        (["a", "b"], ["x"], ["1", "2"], ["1", "3"], [0, 1], ["x"]),
        # A difference without a name, as of a row whose values were cut: no name is better than a wrong one.
        (["a"], [], ["1", "2"], ["1", "3"], [0, 1], [""]),
        (["a", "b", "c"], [], ["1", "2"], [], [], ["", ""]),
        (["a", "b"], [], [], ["1", "2"], [], ["a", "b"]),
    ],
)
def test_values_get_the_name_of_a_column_only_where_it_is_sure(
    names: list[str],
    columns: list[str],
    source: list[str],
    archive: list[str],
    unequal: list[int],
    labels: list[str],
) -> None:
    row = {"columns": columns, "source_values": source, "archive_values": archive, "unequal": unequal}
    assert [field["column"] for field in fields(row, names)] == labels


def test_space_and_positions_of_a_table(control: Control, target: TableId) -> None:
    name = TableId(control.database, target.name)
    story = Story.of(control, name, day(0))
    story.tell(Stage.VERIFIED)
    assert story.ledger.author == Author("archive", "run", "task", 1)
    control.client.command(
        f"CREATE TABLE {name.schema}.{name.name} (id UInt64) ENGINE = MergeTree ORDER BY id PARTITION BY id % 2"
    )
    control.client.command(f"INSERT INTO {name.schema}.{name.name} SELECT number FROM numbers(1000)")
    space = items(control, name).space()
    assert (space["versions"], space["parts"], len(space["partitions"])) == (1_000, 2, 2)
    assert space["raw"] == 8_000
    assert space["bytes"] > 0
    where = {
        "target": str(name),
        "cluster": "c",
        "topic": "t",
        "topic_id": "i",
        "generation": 1,
        "partition": 0,
    }
    for offset in (5, 9):
        control.insert("positions", [{**where, "next_offset": offset}])
    (position,) = items(control, name).positions()
    assert (position["topic"], position["next_offset"]) == ("t", 9)


def lease(
    target: TableId, owner: str, minutes: int, offsets: tuple[int, int, int], **more: Any
) -> dict[str, Any]:
    """:param offsets: first, next and end; the drain took ten seconds and ended so many minutes before this hour's begin."""
    ended = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(minutes=minutes)
    first, reached, end = offsets
    return {
        "target": str(target), "topic": "shop.orders", "partition": 0, "owner": owner, "task": "t", "epoch": 1,
        "released": 1, "acquired_at": ended - timedelta(seconds=10), "renewed_at": ended, "first": first,
        "next_offset": reached, "end_offset": end, **more,
    }  # fmt: skip


def test_drains_are_counted_by_the_hour_over_all_partitions(control: Control, target: TableId) -> None:
    Story.of(control, target, day(0)).tell(Stage.VERIFIED)
    control.insert(
        "leases",
        [
            lease(target, "a", 110, (0, 300, 1_000)),
            lease(target, "a", 110, (0, 200, 200), partition=1),
            lease(target, "b", 70, (300, 900, 1_100)),
            lease(target, "not begun", 65, (0, 0, 0)),
            lease(target, "c", 30, (900, 1_100, 1_100)),
            lease(TableId("archive", "other"), "d", 30, (0, 9_999, 9_999)),
        ],
    )
    renewed = lease(target, "b", 75, (300, 600, 1_000), released=0)
    long_ago = lease(target, "e", 8 * 24 * 60, (0, 5, 5))
    control.insert("leases", [renewed, long_ago])
    earlier, later = items(control, target).drains(7 * 24)
    assert later["hour"] - earlier["hour"] == timedelta(hours=1)
    assert later["hour"].utcoffset() == timedelta(0)
    counts = ("drained", "waiting", "left", "fastest")
    assert [earlier[name] for name in counts] == [1_100, 1_200, 200, 60.0]
    assert [later[name] for name in counts] == [200, 200, 0, 20.0]


def test_masked_items_have_the_digests_of_the_state_table_and_no_value(
    control: Control, target: TableId
) -> None:
    told = Story.of(control, target, day(0)).tell(Stage.MISMATCHED)
    control.insert("dead_letters", [letter(target, 1, error="'hidden\xe4' is no number")])
    digest = f"sha256:{hashlib.sha256(b'ann').hexdigest()[:16]}"
    row = mismatch(
        target, told.verify_id, "key", "differing", columns=["name", "note"],
        source_values=["1", "ann", None], archive_values=["1", digest, "h\xe4"],
    )  # fmt: skip
    control.insert("mismatches", [row])
    masked = items(control, target, masked=True)
    (record,) = masked.letters()["rows"]
    assert (record["error_class"], record["why"], record["size"]) == (
        "BadText",
        "hidden by [chista] mask_values",
        5_011,
    )
    raw = letter(target, 1)
    for name in ("key", "value"):
        assert record[f"{name}_bytes"] == f"sha256:{hashlib.sha256(raw[name]).hexdigest()[:16]}"
    (differing,) = masked.mismatches()["rows"]
    umlaut = hashlib.sha256("h\xe4".encode()).hexdigest()[:16]
    assert [(f["column"], f["source"], f["archive"]) for f in differing["fields"]] == [
        ("name", digest, digest),
        ("note", None, f"sha256:{umlaut}"),
    ]
    assert items(control, target).letters()["rows"][0]["why"].startswith("'hidden\xe4'")
