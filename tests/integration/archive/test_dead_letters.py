"""Dead letters on a real Kafka and a real ClickHouse: kept whole, replayed where they belong, discarded with a reason."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from airflow_provider_chista.archive.complete import OLD_KEY_HEADER
from airflow_provider_chista.archive.deadletters import Letters, dead_letter, discard, open_letters
from airflow_provider_chista.archive.ledger import Author
from airflow_provider_chista.archive.policies import DeletePolicy
from airflow_provider_chista.archive.positions import version
from airflow_provider_chista.archive.records import Record
from airflow_provider_chista.archive.replay import Replay, ReplayReport
from airflow_provider_chista.archive.sinks import TableSink
from airflow_provider_chista.clickhouse import ddl, sql
from airflow_provider_chista.debezium.settings import UNAVAILABLE_VALUE
from airflow_provider_chista.errors import FatalError
from airflow_provider_chista.model import Column, Kind, Table
from tests.integration.support import services
from tests.integration.support.streams import TABLE, Stream, key, names, value

Streams = Callable[..., Stream]

NARROW = Table(TABLE.id, (*TABLE.columns, Column("n", "int", Kind.INT32, nullable=True)), ("id",))
WIDE = Table(TABLE.id, (*TABLE.columns, Column("n", "bigint", Kind.INT64, nullable=True)), ("id",))
BIG = 2**40
AUTHOR = Author("mending", "run 1", "replay", 1)


def replayed(made: Stream, letters: Letters | None = None, **changed: Any) -> ReplayReport:
    sink = TableSink(
        made.client,
        made.control,
        made.types,
        made.table,
        made.target,
        made.policy,
        task="mending.replay run 1",
    )
    return Replay(replace(sink, **changed), letters or Letters(made.target), AUTHOR).run()


def widen(made: Stream) -> None:
    """The source's column became wider, and the archive followed."""
    made.table = ddl.ensure_table(made.client, made.types, WIDE, made.target).table


def lose(made: Stream, *records: Record, generation: int = 0, **more: Any) -> None:
    """Letters of an older version, which could not read the records."""
    letters = [
        dead_letter(
            target=made.target, topic=made.topic, generation=generation, record=record, error_class="Old", error="old",
            task=f"old {services.token()}",
        )
        for record in records
    ]  # fmt: skip
    made.control.insert("dead_letters", [letter | more for letter in letters])


def record(
    offset: int,
    key: bytes | None,
    value: bytes,
    headers: Sequence[tuple[str, bytes]] = (),
    partition: int = 0,
) -> Record:
    return Record(partition, offset, key, value, list(headers))


def keep_versions(made: Stream) -> None:
    """ClickHouse merges no older versions away."""
    settings = ("max_bytes_to_merge_at_max_space_in_pool", "max_bytes_to_merge_at_min_space_in_pool")
    made.client.command(
        f"ALTER TABLE {sql.table(made.target)} MODIFY SETTING {', '.join(f'{name} = 1' for name in settings)}"
    )


def stored(made: Stream) -> list[dict[str, Any]]:
    """The newest state of each letter, with its bytes."""
    kept = "offset, key, value, header_names, header_values"
    columns = f"{kept}, error_class, error, task, state, reason, dag_id, run_id, task_id"
    found = made.client.query(
        f"SELECT {columns} FROM {made.control.name('dead_letters')} FINAL WHERE target = {{t:String}} ORDER BY offset",
        parameters={"t": str(made.target)},
        column_formats=dict.fromkeys(("key", "value", "header_values"), "bytes"),
    )
    return [dict(zip(found.column_names, row, strict=True)) for row in found.result_rows]


def states(made: Stream) -> dict[int, str]:
    return {letter["offset"]: letter["state"] for letter in stored(made)}


def versions(made: Stream, number: int) -> list[tuple[Any, ...]]:
    """Every stored version of a row: version, name and the columns that are not known."""
    statement = (
        f"SELECT DISTINCT _chista_version AS v, name, _chista_incomplete FROM {sql.table(made.target)}"
    )
    return list(made.client.query(f"{statement} WHERE id = {number} ORDER BY v").result_rows)


def test_a_letter_is_the_whole_record_with_its_error(stream: Streams) -> None:
    made = stream().create()
    headers = [(OLD_KEY_HEADER, b"\xfe\x00 no key"), ("again", b""), ("again", b"2")]
    # A value that PostgreSQL left out: the headers of such a record are kept.
    raw = value("c", 7, UNAVAILABLE_VALUE).replace(b'"op": "c"', b'"op": "c", "more": "\xff\x00"')
    made.send(*names(2))
    producer = services.producer()
    producer.produce(made.topic, key=b"\xff\xfe", value=raw, headers=headers, partition=0)
    producer.produce(made.topic, key=None, value=b"", partition=0)
    assert producer.flush(30) == 0
    made.send(*names(2, 50))
    summary = made.drain(task="a_dag.drain run 7")
    assert sorted(made.shown()) == [0, 1, 50, 51]
    assert (summary["op_dead"], summary["records"]) == (2, 6)
    first, second = stored(made)
    assert first == {
        "offset": 2, "key": b"\xff\xfe", "value": raw,
        "header_names": [OLD_KEY_HEADER, "again", "again"], "header_values": [b"\xfe\x00 no key", b"", b"2"],
        "error_class": "DecodeError", "error": "JSON is malformed: invalid character (byte 228)",
        "task": "a_dag.drain run 7", "state": "open",
        "reason": "", "dag_id": "", "run_id": "", "task_id": "",
    }  # fmt: skip
    assert (second["key"], second["value"], second["error"]) == (b"", b"", "Input data was truncated")
    told = open_letters(made.control, made.target)
    assert told is not None
    assert (told.count, told.offset, told.error) == (2, 2, first["error"])


def test_a_letter_is_replayed_after_its_column_became_wide_enough(stream: Streams) -> None:
    made = stream(table=NARROW).create()
    numbers = (1, BIG, 3, -BIG)
    made.send(*(value("c", i, name, n=n) for i, (name, n) in enumerate(zip("abcd", numbers, strict=True), 1)))
    assert made.drain()["op_dead"] == 2
    widen(made)
    assert replayed(made) == ReplayReport(replayed=2)
    rows = made.client.query(
        f"SELECT id, name, n, _chista_version FROM {sql.table(made.target)} FINAL ORDER BY id"
    )
    assert list(rows.result_rows) == [
        (1, "a", 1, version(0, 0)), (2, "b", BIG, version(0, 1)), (3, "c", 3, version(0, 2)), (4, "d", -BIG, version(0, 3)),
    ]  # fmt: skip
    assert open_letters(made.control, made.target) is None
    for letter in stored(made):
        assert (letter["state"], letter["dag_id"], letter["run_id"], letter["task_id"]) == (
            "replayed", "mending", "run 1", "replay",
        )  # fmt: skip
        assert b'"n": ' in letter["value"]
    assert replayed(made) == ReplayReport()


def test_an_event_that_came_later_stays_the_newer_one(stream: Streams) -> None:
    made = stream(table=NARROW).create()
    made.send(
        value("c", 1, "first", n=1), value("u", 1, "lost", n=BIG), value("u", 1, "last", n=2),
        value("c", 2, "lost", n=BIG), value("d", 2),
    )  # fmt: skip
    made.drain()
    widen(made)
    assert replayed(made).replayed == 2
    # The delete of row 2 came when the archive did not have it.
    assert made.shown() == {1: "last"}
    made.client.command(f"OPTIMIZE TABLE {sql.table(made.target)} FINAL")
    assert made.shown() == {1: "last"}
    assert [(row[0], row[1][:1], row[2]) for row in made.everything()] == [
        (1, ("last",), version(0, 2)),
        (2, ("lost",), version(0, 4)),
    ]


def test_a_replayed_block_is_never_taken_for_one_of_a_drain(stream: Streams) -> None:
    """The drain stored two rows of the same range of offsets, of the same table."""
    made = stream().create()
    made.send(b"broken", value("c", 2, "drained"), value("c", 3, "drained"), b"broken")
    made.drain()
    lose(made, record(0, key(1), value("c", 1, "kept")), record(3, key(4), value("c", 4, "kept")))
    assert replayed(made).replayed == 2
    assert made.shown() == {1: "kept", 2: "drained", 3: "drained", 4: "kept"}


def test_a_replay_killed_between_rows_and_states_is_repeated_to_no_effect(stream: Streams) -> None:
    made = stream(table=NARROW).create()
    made.send(value("c", 1, "a", n=BIG), value("c", 2, "b", n=BIG), value("u", 1, "c", n=BIG))
    made.drain()
    widen(made)
    replayed(made)
    once, letters = made.everything(), stored(made)
    # As a kill leaves it: the rows are there, the letters are open.
    made.client.command(
        f"ALTER TABLE {made.control.name('dead_letters')} DELETE WHERE state = 'replayed'",
        settings={"mutations_sync": 1},
    )
    for letter in letters:
        lose(made, record(letter["offset"], letter["key"], letter["value"]))
    assert set(states(made).values()) == {"open"}
    assert replayed(made) == ReplayReport(replayed=3)
    assert made.everything() == once
    assert made.shown() == {1: "c", 2: "b"}
    assert set(states(made).values()) == {"replayed"}


def test_what_fails_again_stays_open_with_its_new_error_and_its_own_bytes(stream: Streams) -> None:
    made = stream(table=NARROW).create()
    headers = [("other", b"\xff"), ("more", b"x")]
    left_out = value("c", 1, UNAVAILABLE_VALUE, n=BIG)
    lose(
        made,
        record(0, key(1), left_out, headers),
        record(1, key(2), value("c", 2, "whole", n=2)),
        record(2, b"\xff", b"\xff\xfe", headers),
        record(3, key(3), value("c", 3, "drifted", n=3, unknown=1)),
        record(5, key(4), value("c", 4, "whole too", n=4)),
        record(6, None, value("c", 6, "no key", n=6)),
        record(8, None, value("d", 5).replace(b'"op": "d"', b'"op": "t"')),
        record(9, key(9), b""),
    )
    report = replayed(made)
    assert (report.replayed, report.still_open) == (2, 6)
    assert report.first_error.startswith("partition 0, offset 0: Expected `int` <= 2147483647")
    assert made.shown() == {2: "whole", 4: "whole too"}
    letters = {letter["offset"]: letter for letter in stored(made)}
    assert {offset: letter["state"] for offset, letter in letters.items()} == {
        0: "open", 1: "replayed", 2: "open", 3: "open", 5: "replayed", 6: "open", 8: "open", 9: "open",
    }  # fmt: skip
    assert (letters[0]["header_names"], letters[0]["header_values"]) == (["other", "more"], [b"\xff", b"x"])
    assert (letters[0]["key"], letters[0]["value"]) == (key(1), left_out)
    assert (letters[2]["key"], letters[2]["value"]) == (b"\xff", b"\xff\xfe")
    assert letters[2]["header_values"] == [b"\xff", b"x"]
    assert {offset: letters[offset]["error_class"] for offset in (0, 2, 3, 6, 8)} == {
        0: "DecodeError", 2: "DecodeError", 3: "SchemaDriftError", 6: "DecodeError", 8: "RefusedError",
    }  # fmt: skip
    assert "ignore_columns=['unknown']" in letters[3]["error"]
    assert letters[6]["error"] == "the record's key: the record has no key, so its row cannot be found"
    assert "a TRUNCATE is not replayed" in letters[8]["error"]
    assert {letters[offset]["task"] for offset in (0, 2, 3, 6, 8)} == {"mending.replay run 1"}
    # What the error names helps.
    assert replayed(made, ignored=("unknown",)).replayed == 1
    assert made.shown()[3] == "drifted"


def test_a_replayed_delete_waits_in_quarantine_and_is_decided_at_the_next_barrier(stream: Streams) -> None:
    made = stream(policy=DeletePolicy.ARCHIVE).create()
    services.create_topic(made.log_topic)
    made.send(*names(3), b"broken")
    made.drain()
    lose(made, record(3, key(1), value("d", 1)))
    assert replayed(made).replayed == 1
    assert made.deletes() == {3: "waiting"}
    assert sorted(made.shown()) == [0, 1, 2]
    made.send_log(("g:9", "batch", "5"))
    assert made.drain(made.barrier())["application_deletes"] == 1
    assert sorted(made.shown()) == [0, 2]
    # Replayed once more, a decided delete stays decided.
    lose(made, record(3, key(1), value("d", 1)))
    assert replayed(made).replayed == 1
    assert made.deletes() == {3: "applied"}


def test_a_replayed_delete_of_a_live_copy_leaves_a_row_that_came_later(stream: Streams) -> None:
    made = stream(policy=DeletePolicy.MIRROR).create()
    made.send(*names(2), b"broken", b"broken", value("c", 1, "again"))
    made.drain()
    lose(made, record(2, key(0), value("d", 0)))
    lose(made, record(3, key(1), value("d", 1)))
    assert replayed(made).replayed == 2
    assert made.shown() == {1: "again"}


def test_a_value_left_out_is_completed_only_from_the_row_before(stream: Streams) -> None:
    made = stream().create()
    keep_versions(made)
    made.send(value("c", 1, "one"), value("c", 2, "old"), value("c", 4, "four"))
    made.drain()
    made.send(
        value("u", 2, "middle"), *[b"broken"] * 4, value("u", 2, "newer"),
        keys=[key(number) for number in (2, 1, 2, 3, 4, 2)],
    )  # fmt: skip
    made.drain()
    # As a merge of the block would do: of its two versions of a row, it keeps the newer one.
    merged = f"ALTER TABLE {sql.table(made.target)} DELETE WHERE name = 'middle'"
    made.client.command(merged, settings={"mutations_sync": 2})
    assert versions(made, 2) == [(version(0, 1), "old", []), (version(0, 8), "newer", [])]
    lose(
        made,
        record(4, key(1), value("u", 1, UNAVAILABLE_VALUE)),
        record(5, key(2), value("u", 2, UNAVAILABLE_VALUE)),  # "middle" is not there any more
        record(6, key(3), value("c", 3, UNAVAILABLE_VALUE), [(OLD_KEY_HEADER, key(1))]),
        record(
            7, key(4), value("c", 4, UNAVAILABLE_VALUE)
        ),  # another row's key changed to this one; the header was not kept
    )
    assert replayed(made).replayed == 4
    assert versions(made, 1) == [(version(0, 0), "one", []), (version(0, 4), "one", [])]
    assert versions(made, 2)[1:] == [(version(0, 5), None, ["name"]), (version(0, 8), "newer", [])]
    assert versions(made, 3) == [(version(0, 6), "one", [])]
    assert versions(made, 4) == [(version(0, 2), "four", []), (version(0, 7), None, ["name"])]


def test_without_positions_a_moved_row_is_not_completed(stream: Streams) -> None:
    """How many partitions the topic has is not known then."""
    made = stream().create()
    made.send(value("c", 1, "one"), b"broken")
    made.drain()
    made.client.command(f"TRUNCATE TABLE {made.control.name('positions')}")
    lose(made, record(1, key(2), value("c", 2, UNAVAILABLE_VALUE), [(OLD_KEY_HEADER, key(1))]))
    assert replayed(made).replayed == 1
    assert versions(made, 2) == [(version(0, 1), None, ["name"])]


def test_many_letters_of_several_partitions_are_replayed(stream: Streams) -> None:
    made = stream()
    for generation in range(3):
        lose(
            made,
            *(
                record(number // 2 * 3, key(number), value("c", number, f"n{number}"), partition=number % 2)
                for number in range(generation, 1_803, 3)
            ),
            generation=generation,
        )
    assert replayed(made) == ReplayReport(replayed=1_803)
    assert made.shown() == {number: f"n{number}" for number in range(1_803)}
    assert made.everything()[4][2] == version(1, 6)


@pytest.fixture
def lost(stream: Streams) -> Stream:
    """Three open letters at the offsets 2 to 4."""
    made = stream().create()
    made.send(*names(2), b"x", b"y", b"z")
    made.drain()
    return made


def test_letters_are_discarded_with_a_reason_and_the_name_of_who_did_it(lost: Stream) -> None:
    reason = "not \"ours\": a\\b\ttab\nline 'é' {x:String}"
    before = stored(lost)
    assert discard(lost.control, Letters(lost.target, {0: [2, 4]}), f" {reason}\n", AUTHOR) == 2
    assert states(lost) == {2: "discarded", 3: "open", 4: "discarded"}
    first = stored(lost)[0]
    assert first == before[0] | {
        "state": "discarded", "reason": reason, "dag_id": "mending", "run_id": "run 1", "task_id": "replay",
    }  # fmt: skip
    told = open_letters(lost.control, lost.target)
    assert told is not None
    assert (told.count, told.offset) == (1, 3)
    # Repeated, and all: what is settled keeps its reason.
    assert discard(lost.control, Letters(lost.target, {0: [2, 4]}), "again", AUTHOR) == 0
    assert discard(lost.control, Letters(lost.target), "the last one", AUTHOR) == 1
    assert [letter["reason"] for letter in stored(lost)] == [reason, "the last one", reason]
    assert open_letters(lost.control, lost.target) is None


def test_a_letter_is_settled_also_when_the_servers_clock_went_back(lost: Stream) -> None:
    lose(lost, record(2, None, b"x"), recorded_at=datetime(2100, 1, 1, tzinfo=UTC))
    assert discard(lost.control, Letters(lost.target, {0: [2]}), "known", AUTHOR) == 1
    assert states(lost) == {2: "discarded", 3: "open", 4: "open"}


@pytest.mark.parametrize("reason", ["", " \n"])
def test_a_discard_without_a_reason_is_refused(lost: Stream, reason: str) -> None:
    with pytest.raises(FatalError, match="are not discarded without a reason"):
        discard(lost.control, Letters(lost.target), reason, AUTHOR)
    assert set(states(lost).values()) == {"open"}


def test_only_the_chosen_letters_are_settled(lost: Stream) -> None:
    other = replace(lost, name=f"{lost.prefix}_other")
    lose(other, record(2, None, b"x"))
    with pytest.raises(FatalError, match="no dead letters of partition 0 offset 9, partition 1 offset 2"):
        discard(lost.control, Letters(lost.target, {0: [2, 9], 1: [2]}), "a typing error", AUTHOR)
    with pytest.raises(FatalError, match="no dead letters of partition 0 offset 9"):
        replayed(lost, Letters(lost.target, {0: [9]}))
    assert discard(lost.control, Letters(lost.target, {}), "nothing", AUTHOR) == 0
    assert discard(lost.control, Letters(lost.target, generation=1), "another topic's", AUTHOR) == 0
    assert set(states(lost).values()) == {"open"}
    assert discard(lost.control, Letters(lost.target), "all of this table", AUTHOR) == 3
    assert states(other) == {2: "open"}


def test_a_discarded_letter_is_not_replayed(lost: Stream) -> None:
    for offset in (2, 3):
        lose(lost, record(offset, key(offset), value("c", offset, "whole")))
    discard(lost.control, Letters(lost.target, {0: [2]}), "known", AUTHOR)
    assert replayed(lost, Letters(lost.target, {0: [2, 3]})).replayed == 1
    assert states(lost) == {2: "discarded", 3: "replayed", 4: "open"}
    assert sorted(lost.shown()) == [0, 1, 3]


def test_a_letter_settled_by_hand_is_not_open(lost: Stream) -> None:
    for offset in (2, 3, 4):
        lose(lost, record(offset, None, b"x"), state="resolved")
    assert open_letters(lost.control, lost.target) is None
    assert replayed(lost) == ReplayReport()
