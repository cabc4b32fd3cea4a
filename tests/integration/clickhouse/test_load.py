"""Loading, deleting, hashing: what ClickHouse holds is what was sent, to the byte."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_provider_chista.archive.manifest import Manifests
from airflow_provider_chista.canonical import row_hash, row_text
from airflow_provider_chista.clickhouse import ddl, layout, rowhash, sql
from airflow_provider_chista.clickhouse.load import DeletedKey, apply_deletes, insert_block
from airflow_provider_chista.clickhouse.types import TypeMap
from airflow_provider_chista.errors import FatalError
from airflow_provider_chista.model import INTEGER_BOUNDS, Column, Kind, Table, TableId, Window
from airflow_provider_chista.temporal import (
    FIRST_DAY,
    FIRST_MICROSECOND,
    LAST_DAY,
    LAST_MICROSECOND,
    date_text,
    iso_date,
    time_text,
    timestamp_text,
)
from tests.integration.clickhouse.conftest import Server

KINDS = tuple(Kind)
# Names that collide with aliases and temporary tables of our own statements.
NAMES = (
    "row_key", "row_hash", "version", "position", "k0", "wanted", "deleted", "t", "d", "deleted_version", "v", "w", "target",
    "finding", "columns", "batch_id", "at", "key", "k", "n",
)  # fmt: skip
ALL = Table(
    TableId("s", "t"),
    (
        Column("id", "int", Kind.INT32, nullable=False),
        *(
            Column(name, str(kind), kind, nullable=True, precision=20, scale=3)
            for name, kind in zip(NAMES, KINDS, strict=True)
        ),
        Column("start", "text", Kind.TEXT, nullable=False),
    ),
    ("id", "start"),
)
HOSTILE = [
    "", "~", "|", "1:a", "NULL", "null", "\\N", "\x00", "a\x00b", "\n", "\r\n", "\t", "'", '"', "`", "\\", "\\'", ",", "'),(",
    "é", "e\u0301", "\u00df", "😀", "👩‍👩‍👧", "\ufeff", "\u200b", "\u202e", "\U0010ffff", " ", "trailing  ", "x" * 5000,
]  # fmt: skip

TEXTS = st.text(st.characters(codec="utf-8"), max_size=20) | st.sampled_from(HOSTILE)
# Decoded values (debezium/encodings.py) of each kind.
DECODED: dict[Kind, st.SearchStrategy[Any]] = {
    **{kind: st.integers(*bounds) | st.sampled_from(bounds) for kind, bounds in INTEGER_BOUNDS.items()},
    Kind.BOOL: st.booleans(),
    Kind.DECIMAL: st.decimals(1 - 10**17, 10**17 - 1, places=3, allow_nan=False).map(
        lambda d: format(d + 0, "f")
    ),
    Kind.FLOAT32: st.floats(allow_nan=False, allow_infinity=False, width=32),
    Kind.FLOAT64: st.floats(allow_nan=False, allow_infinity=False),
    Kind.IEEE32: st.floats(width=32),
    Kind.IEEE64: st.floats(),
    Kind.DATE: st.integers(FIRST_DAY, LAST_DAY)
    | st.sampled_from([FIRST_DAY, LAST_DAY, 0, -1, 120_529, 120_530, -25_567]),
    Kind.TIME: (
        st.integers(-3_020_399_000_000, 3_020_399_000_000) | st.sampled_from([0, -1, 86_400_000_000])
    ).map(time_text),
    Kind.DATETIME: st.integers(FIRST_MICROSECOND, LAST_MICROSECOND)
    | st.sampled_from([FIRST_MICROSECOND, LAST_MICROSECOND, 0, -1]),
    Kind.UUID: st.uuids().map(str),
    Kind.BYTES: st.binary(max_size=20),
    Kind.TEXT: TEXTS,
}
# From a decoded value to what canonical.py takes.
REFERENCE: dict[Kind, Any] = {Kind.DATE: date_text, Kind.DATETIME: timestamp_text}

values = st.tuples(
    *(st.none() | DECODED[kind] for kind in KINDS),
    st.text(st.characters(codec="utf-8"), max_size=5) | st.sampled_from(HOSTILE),
)


def block(types: TypeMap, table: Table, rows: list[tuple[Any, ...]], versions: list[int]) -> pa.Table:
    columns = dict(zip([c.name for c in table.columns], zip(*rows, strict=True), strict=True))
    arrays = {c.name: types.stored(c).array(columns[c.name]) for c in table.columns}
    return pa.table(
        arrays
        | {
            layout.VERSION: pa.array(versions, pa.uint64()),
            layout.DELETED: pa.array([0] * len(rows), pa.uint8()),
            layout.OPERATION: pa.array(["c"] * len(rows)),
            layout.SOURCE_TIME: pa.array([0] * len(rows), pa.timestamp("ms", tz="UTC")),
            layout.INCOMPLETE: pa.array([[]] * len(rows), pa.list_(pa.string())),
        }
    )


def canonical(table: Table, row: tuple[Any, ...]) -> list[Any]:
    return [
        value if value is None else REFERENCE.get(column.archived_as, lambda same: same)(value)
        for column, value in zip(table.columns, row, strict=True)
    ]


@pytest.mark.parametrize("young", [True, False], ids=["every type", "an older server's types"])
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(drawn=st.lists(values, min_size=1, max_size=60))
def test_the_row_hash_of_what_clickhouse_stored_is_that_of_the_reference(
    server: Server, young: bool, drawn: list[tuple[Any, ...]]
) -> None:
    types = server.types if young else TypeMap(wide_datetime64=False, time64=False)
    target = server.new()
    ddl.ensure_table(server.client, types, ALL, target)
    rows = [(index, *row) for index, row in enumerate(drawn)]
    insert_block(server.client, target, block(types, ALL, rows, [1] * len(rows)), "t")
    manifests = Manifests(server.control, types, ALL, target)
    kinds = [column.archived_as for column in ALL.columns]
    wanted = {
        row_text([Kind.INT32, Kind.TEXT], [row[0], row[-1]]): row_hash(kinds, canonical(ALL, row))
        for row in rows
    }
    assert {key: found for key, (found, _) in manifests.visible(list(wanted)).items()} == wanted
    manifests.freeze(target.name, None)
    streamed = [pair for chunk in manifests.stream(target.name) for pair in chunk]
    assert streamed == list(wanted.items())  # in key order, since ids ascend
    fields = manifests.fields(list(wanted))
    assert all((text is None) == (value is None) for row in rows for text, value in zip(
        fields[row_text([Kind.INT32, Kind.TEXT], [row[0], row[-1]])], row, strict=True
    ))  # fmt: skip
    server.client.command(f"DROP TABLE {sql.table(target)}")


def test_a_manifest_of_many_parts_is_in_key_order_with_every_position_once(server: Server) -> None:
    table = Table(
        TableId("s", "t"),
        (Column("id", "int", Kind.INT64, False), Column("x", "text", Kind.TEXT, True)),
        ("id",),
    )
    target = server.new()
    ddl.ensure_table(server.client, server.types, table, target)
    for part in range(5):
        server.client.command(
            f"INSERT INTO {sql.table(target)} SELECT number * 5 + {part} - 100000, toString(number), 1, 0, 'c', now64(3), []"
            " FROM numbers(40000)"
        )
    manifests = Manifests(server.control, server.types, table, target)
    assert manifests.freeze("many", None) == 200_000
    keys = [int(key) for chunk in manifests.stream("many") for key, _ in chunk]
    assert keys == list(range(-100_000, 100_000))
    first, second = manifests.digest("many"), manifests.digest("many")
    assert first == second
    assert first.startswith("200000:")


SMALL = Table(
    TableId("s", "t"),
    (
        Column("id", "int", Kind.INT32, False),
        Column("day", "date", Kind.DATE, False),
        Column("name", "text", Kind.TEXT, True),
    ),
    ("id", "day"),
)


def small(server: Server, rows: list[tuple[Any, ...]], version: int = 10, token: str = "t") -> TableId:
    target = server.new()
    ddl.ensure_table(server.client, server.types, SMALL, target)
    insert_block(server.client, target, block(server.types, SMALL, rows, [version] * len(rows)), token)
    return target


def final(server: Server, target: TableId) -> dict[int, tuple[str, int]]:
    rows = server.client.query(
        f"SELECT id, name, _chista_version FROM {sql.table(target)} FINAL ORDER BY id"
    ).result_rows
    return {row[0]: (row[1], row[2]) for row in rows}


def test_a_delete_marks_rows_older_than_it_and_twice_changes_nothing(server: Server) -> None:
    target = small(server, [(1, 0, "old"), (2, LAST_DAY, "far"), (3, 0, "kept")])
    delete = [
        DeletedKey((1, "1970-01-01"), 11, 5), DeletedKey((2, "9999-12-31"), 11, 5), DeletedKey((3, "1970-01-01"), 9, 5),
        DeletedKey((4, "1970-01-01"), 11, 5), DeletedKey((1, "2000-01-01"), 11, 5),
    ]  # fmt: skip
    for _ in range(2):
        apply_deletes(server.client, server.types, SMALL, target, delete)
        assert final(server, target) == {3: ("kept", 10)}
    rows = server.client.query(
        f"SELECT id, name, _chista_version, _chista_op, _chista_source_time FROM {sql.table(target)} WHERE _chista_deleted"
        " ORDER BY id"
    ).result_rows
    at = datetime(1970, 1, 1, 0, 0, 0, 5000, tzinfo=UTC)
    assert list(rows) == [(1, "old", 11, "d", at), (2, "far", 11, "d", at)]


def test_a_row_inserted_again_after_its_delete_stays_visible(server: Server) -> None:
    target = small(server, [(1, 0, "old")])
    insert_block(server.client, target, block(server.types, SMALL, [(1, 0, "new")], [12]), "u")
    apply_deletes(server.client, server.types, SMALL, target, [DeletedKey((1, "1970-01-01"), 11, 5)])
    assert final(server, target) == {1: ("new", 12)}
    apply_deletes(
        server.client, server.types, SMALL, target,
        [DeletedKey((1, "1970-01-01"), 11, 5), DeletedKey((1, "1970-01-01"), 14, 5), DeletedKey((1, "1970-01-01"), 13, 5)],
    )  # fmt: skip
    assert final(server, target) == {}
    insert_block(server.client, target, block(server.types, SMALL, [(1, 0, "late")], [13]), "v")
    assert final(server, target) == {}


def test_null_is_refused_where_the_table_has_none_and_nothing_is_stored(server: Server) -> None:
    target = small(server, [(1, 0, "x")])
    wrong = block(server.types, SMALL, [(2, 0, "y")], [1]).set_column(0, "id", pa.array([None], pa.int32()))
    with pytest.raises(FatalError, match="inserting 1 rows"):
        insert_block(server.client, target, wrong, "n")
    assert list(final(server, target)) == [1]


def test_a_token_is_stored_once_and_another_token_again(server: Server) -> None:
    target = small(server, [(1, 0, "x")], token="a")
    one = block(server.types, SMALL, [(1, 0, "x")], [10])
    for token, physical in (("a", 1), ("b", 2), ("a", 2), ("b", 2)):
        insert_block(server.client, target, one, token)
        assert server.client.command(f"SELECT count() FROM {sql.table(target)}") == physical


@pytest.mark.parametrize("column", ["day", "name"])
def test_a_window_is_half_open_over_dates_and_texts(server: Server, column: str) -> None:
    days = {1: 19_722, 2: 19_723, 3: 19_724, 4: FIRST_DAY, 5: LAST_DAY}
    target = small(
        server,
        [(number, day, iso_date(day) + ("T10:00" if number == 3 else "")) for number, day in days.items()],
    )
    manifests = Manifests(server.control, server.types, SMALL, target)

    def count(start: datetime, end: datetime) -> int:
        return manifests.count(Window(column, start, end))

    assert count(datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 1, 2, tzinfo=UTC)) == 1
    assert count(datetime(2023, 12, 31, tzinfo=UTC), datetime(2024, 1, 3, tzinfo=UTC)) == 3
    assert count(datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)) == 4


def test_a_window_over_a_number_is_refused(server: Server) -> None:
    manifests = Manifests(server.control, server.types, SMALL, small(server, [(1, 0, "x")]))
    with pytest.raises(FatalError, match="must be a timestamp, a date"):
        manifests.count(Window("id", datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 1, 2, tzinfo=UTC)))


def test_many_long_keys_are_looked_up(server: Server) -> None:
    table = Table(TableId("s", "t"), (Column("id", "text", Kind.TEXT, False),), ("id",))
    target = server.new()
    ddl.ensure_table(server.client, server.types, table, target)
    keys = [f"{number:05d}" + "é" * 120 for number in range(20_000)]
    insert_block(
        server.client, target, block(server.types, table, [(key,) for key in keys], [1] * len(keys)), "k"
    )
    manifests = Manifests(server.control, server.types, table, target)
    row_keys = [row_text([Kind.TEXT], [key]) for key in keys]
    assert len(manifests.visible(row_keys)) == 20_000
    manifests.freeze("long", None)
    assert len(manifests.rows("long", row_keys)) == 20_000


def test_the_digest_depends_on_every_row_and_on_no_order(server: Server) -> None:
    def digest(hashes: list[str]) -> str:
        rows = ", ".join(f"('{text}')" for text in hashes)
        return str(server.client.command(f"SELECT {rowhash.DIGEST} FROM values('row_hash String', {rows})"))

    a, b, c = (row_hash([Kind.INT32], [number]) for number in (1, 2, 3))
    assert digest([a, b, c]) == digest([c, a, b])
    assert len({digest([a, b]), digest([a, c]), digest([b, c]), digest([a, a]), digest([a])}) == 5
    words = [sum(int(text[start : start + 16], 16) for text in (a, b)) % 2**64 for start in (0, 16)]
    assert digest([a, b]) == f"2:{words[0]:016x}{words[1]:016x}"
