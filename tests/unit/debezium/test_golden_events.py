"""Every recorded event through the decoder: each row is decoded, or refused for a reason that is listed here."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from typing import Any

import pytest

from airflow_provider_chista.clickhouse.types import TypeMap
from airflow_provider_chista.debezium.changes import Change
from airflow_provider_chista.debezium.envelope import EnvelopeDecoder
from airflow_provider_chista.debezium.rows import DecodeError, SchemaDriftError
from airflow_provider_chista.errors import FatalError
from airflow_provider_chista.model import Column, Kind, Table
from airflow_provider_chista.temporal import INFINITY
from tests.unit.debezium.recorded import SOURCES, Record, records, table, topics

NO_DECODER = {
    **{(engine, name): "no primary key" for engine in ("mysql", "mariadb") for name in ("t_nokey", "t_uk", "t_uknull")},
    **{("postgres", name): "no primary key" for name in ("t_nokey", "t_nokey_default")},
    ("mariadb", "t_uuidpk"): "cannot be part of the primary key",
}  # fmt: skip
"""Tables that are refused as a whole, with the reason."""

EXCLUDED = {
    ("postgres", "t_array"): {"aiv", "aco", "atm"},
    ("postgres", "t_bool"): {"vb", "vbu"},
    ("postgres", "t_domain"): {"il"},
    ("postgres", "t_geo"): {"l", "ls", "b", "pa", "po", "ci"},
    ("postgres", "t_misc"): {"rc"},
    ("postgres", "t_time"): {"tz", "tz3"},
}
"""Columns whose type is refused; the user excludes them, and their values are skipped."""

_OTHER_SETTING = [
    "r AQ== one", "r IAAAAAAAAQ== 2^53+1", "r AIAAAAAAAAAA 2^63", "r AP////////// 2^64-1", "c AIAAAAAAAAAB 2^63+1 streamed",
    "u AP////////// updated",
]  # fmt: skip
_ALTERED = ["c 2 after alter", "u 1 old row touched", "c 3"]
REFUSED: dict[tuple[str, str], list[tuple[str, str]]] = {
    # Recorded with bigint.unsigned.handling.mode=precise, which the provider refuses: base64 is not taken for a number.
    **{(engine, "t_biguk"): [(label, "got `str`") for label in _OTHER_SETTING] for engine in ("mysql", "mariadb")},
    # After the ALTERs the columns are others.
    **{(engine, "t_trunc"): [(label, "added") for label in _ALTERED] for engine in ("mysql", "mariadb", "postgres")},
    # '-infinity' in an array of timestamptz arrives as a year that no source has.
    ("postgres", "t_array"): [(f"{copy} special elements", "+292269055-12-02") for copy in ("r 5", "c 1005")],
    # 294276-12-31 does not fit into microseconds.
    ("postgres", "t_time"): [(f"{copy} type maximum", "overflow") for copy in ("r 9", "c 1009")],
}  # fmt: skip
"""Records that the decoder refuses: label, and a part of the reason."""

_YEAR_0 = [("r 8 year 0000 (real month and day)", "0001-05-06 BC is outside")]
_BEYOND = [
    "r 4 infinity",
    "r 5 -infinity",
    "r 6 24:00 and BC",
    "r 8 after 9999",
    "r 9 type maximum",
    "r 10 type minimum",
]
_BEYOND_COPIES = [
    "c 1004 infinity", "c 1005 -infinity", "c 1006 24:00 and BC", "c 1008 after 9999", "c 1009 type maximum",
    "c 1010 type minimum", "c 1017 0001-01-01 and 0001-12-31 BC",
]  # fmt: skip
TOO_WIDE: dict[tuple[str, str], list[tuple[str, str]]] = {
    ("mysql", "t_time"): _YEAR_0,
    ("mariadb", "t_time"): _YEAR_0,
    ("postgres", "t_time"): [(label, "outside") for label in (*_BEYOND, *_BEYOND_COPIES)],
    ("postgres", "t_dec"): [(f"{copy} NaN", "not a number of 3 digits") for copy in ("r 5", "c 1005")],
}  # fmt: skip
"""Records that the default ClickHouse types cannot hold, so that their guards refuse them; a String holds them."""

_FLOATS = {row_id: {"f"} for row_id in (3, 4, 5, 7, 9, 10)}
_DATETIMES = {"dt0", "dt3", "dt6"}
_TIMESTAMPS = {"ts0", "ts3", "ts6", "tstz0", "tstz3", "tstz"}
DAMAGED: dict[tuple[str, str], dict[int, set[str]]] = {
    # FLOAT has six digits in snapshots.
    ("mysql", "t_float"): _FLOATS,
    ("mariadb", "t_float"): _FLOATS,
    # Doubles without a fraction, times and binary values inside JSON.
    ("mysql", "t_json"): {12: {"j"}, 23: {"j"}, 24: {"j"}},
    # Bytes that latin1 does not define become U+FFFD in the stream.
    ("mysql", "t_text"): {8: {"l1"}},
    ("mariadb", "t_text"): {8: {"l1"}},
    # The year 0000 is 2000 in snapshots and 1900 in the stream.
    ("mysql", "t_int"): {3: {"y"}},
    # The same; dates of the year 0000 are NULL in the stream; the ten days that Gregory left out are moved in snapshots.
    ("mysql", "t_time"): {6: {"y"}, 8: {"d", *_DATETIMES}, 13: _DATETIMES},
    ("mariadb", "t_time"): {8: {"d", *_DATETIMES}, 13: _DATETIMES},
    ("mysql", "t_zero"): {1: {"tsn", "y"}},
    ("mariadb", "t_zero"): {1: {"tsn"}},
    # A UUID that ends in zero bytes is shifted in the stream.
    ("mariadb", "t_maria"): {1: {"u"}, 5: {"u"}},
    # money passes through a floating-point number in snapshots.
    ("postgres", "t_money"): {1: {"m"}, 2: {"m"}},
    # Dates lose BC in snapshots, and the ten days are moved.
    ("postgres", "t_time"): {6: {"d"}, 10: {"d"}, 15: {"d", *_TIMESTAMPS}, 17: {"d"}},
}
"""What Debezium itself damages: columns that differ between a snapshot row and its streamed copy, by the row's id."""

SAID: list[tuple[str, str, str, dict[str, Any]]] = [
    ("mysql", "t_dec", "c 1006 neg tiny", {"d5_2u": "0.00", "d18_6": "-0.000001", "d65_30": "-0." + "0" * 29 + "1"}),
    ("mysql", "t_bit", "r 4 asymmetric bytes", {"b1": 0, "b8": 0x81, "b10": 0x202, "b64": 0x0102030405060708}),
    ("mysql", "t_bin", "c 1003 trailing zeros", {"b8": b"\1\2\0\0\0\0\0\0", "vb": b"\1\2\0\0", "lb": b"\1\2\0\0"}),
    ("mysql", "t_text", "r 10 unavailable marker text", {"vc": "__debezium_unavailable_value"}),
    ("mysql", "t_enum", "c 1002 comma, quote, accent", {"e": "c,d", "el": "weiß", "s": "x,z"}),
    ("mysql", "t_time", "c 1004 documented min", {"t6": "-838:59:59.000000", "d": -354285, "ts3": 1_000_000}),
    ("mysql", "t_json", "c 1021 literal 21", {"j": "[1, 2, 3.0, 1e20]"}),
    ("mysql", "t_defaults", "r 1 explicit NULLs", dict.fromkeys(("i", "v", "de", "dt", "ts", "b", "e", "bl", "j"))),
    ("mysql", "t_defaults", "c 1002 defaults taken", {"de": "1.50", "dt": 981173106 * 10**6, "b": 1, "e": "b", "bl": b"ab"}),
    ("mariadb", "t_json", "c 1006 literal 6", {"j": '{"a":1,"a":2}'}),
    ("postgres", "t_dec", "r 2 trailing zeros", {"n": "1.500", "n5_2": "1.50", "nneg": "100"}),
    ("postgres", "t_dec", "c 1003 max", {"n": "9" * 200, "n76_38": "9" * 38 + "." + "9" * 38, "nneg": "9999900"}),
    ("postgres", "t_bool", "c 1001 true", {"bo": True, "b1": "1", "b10": "1000000010", "b70": "1" + "0" * 68 + "1"}),
    ("postgres", "t_bytea", "r 4 all bytes", {"b": bytes(range(256))}),
    ("postgres", "t_text", "c 1002 trailing spaces", {"c10": "ab" + " " * 8, "vc": "ab   ", "ci": "ab   "}),
    ("postgres", "t_time", "r 4 infinity", {"d": INFINITY, "ts6": INFINITY, "tstz": INFINITY, "t6": "23:59:59.999999"}),
    ("postgres", "t_time", "c 1006 24:00 and BC", {"d": -735160, "t0": "24:00:00.000000", "ts6": -63517780799876544}),
    ("postgres", "t_array", "r 3 null elements", {"ai": "{1,NULL}", "at": '{NULL,"NULL",""}', "ajb": '{NULL,"null"}'}),
    ("postgres", "t_comp", "c 1001 plain", {"a": '("Main St, ""1""",12345,2024-01-01)'}),
    ("postgres", "t_interval", "r 4 negative mixed", {"iv": "P-10M-3DT4H5M6.000001S", "ivym": "P-1Y-2M", "iv3": "PT-0.001S"}),
]  # fmt: skip
"""Values as the recorded INSERT statements say, by hand."""

ALL = [(engine, name) for engine in SOURCES for name in topics(engine)]
DECODED = [pair for pair in ALL if pair not in NO_DECODER]


@cache
def archived(engine: str, name: str) -> Table:
    return table(engine, name).without(EXCLUDED.get((engine, name), set()))


def replayed(
    decoder: EnvelopeDecoder, replayed: Iterator[Record]
) -> Iterator[tuple[Record, Change | DecodeError]]:
    for record in replayed:
        if record.value is not None:
            try:
                yield record, decoder.change(record.value)
            except DecodeError as error:
                yield record, error


def refusals(decoder: EnvelopeDecoder, engine: str, name: str) -> list[tuple[str, DecodeError]]:
    return [
        (record.label, found)
        for record, found in replayed(decoder, records(engine, name))
        if isinstance(found, DecodeError)
    ]


def matching(found: list[tuple[str, DecodeError]], wanted: list[tuple[str, str]]) -> None:
    assert [label for label, _ in found] == [label for label, _ in wanted]
    for (label, error), (_, part) in zip(found, wanted, strict=True):
        assert part in str(error), (label, error)


@pytest.mark.parametrize(("engine", "name"), NO_DECODER)
def test_tables_that_cannot_be_archived_have_no_decoder(engine: str, name: str) -> None:
    with pytest.raises(FatalError) as caught:
        EnvelopeDecoder(table(engine, name))
    assert NO_DECODER[engine, name] in str(caught.value)


@pytest.mark.parametrize(("engine", "name"), DECODED)
def test_the_columns_that_are_excluded_are_those_whose_type_is_refused(engine: str, name: str) -> None:
    assert {column.name for column in table(engine, name).refused} == EXCLUDED.get((engine, name), set())


@pytest.mark.parametrize(("engine", "name"), DECODED)
def test_every_record_is_decoded_or_refused_for_a_listed_reason(engine: str, name: str) -> None:
    found = refusals(EnvelopeDecoder(archived(engine, name)), engine, name)
    matching(found, REFUSED.get((engine, name), []))
    drifted = {label for label, error in found if isinstance(error, SchemaDriftError)}
    assert drifted == (set(_ALTERED) if name == "t_trunc" else set())


@pytest.mark.parametrize(("engine", "name"), DECODED)
def test_what_the_default_types_of_clickhouse_cannot_hold_is_refused_and_nothing_else(
    engine: str, name: str
) -> None:
    made, types = archived(engine, name), TypeMap()
    decoder = EnvelopeDecoder(made, [types.stored(column).guard for column in made.columns])
    # A value that is beyond both the event's and the archive's range is in both lists.
    wanted = TOO_WIDE.get((engine, name), REFUSED.get((engine, name), []))
    matching(refusals(decoder, engine, name), wanted)


@pytest.mark.parametrize(("engine", "name"), TOO_WIDE)
def test_as_texts_they_are_held(engine: str, name: str) -> None:
    """As the provider chooses for dates that a table holds when it is created, and the user for NaN."""
    types, wide = TypeMap(), (Kind.DATE, Kind.DATETIME, Kind.DECIMAL)
    made = archived(engine, name)
    columns = (replace(c, stored_as="String") if c.kind in wide else c for c in made.columns)
    texts = replace(made, columns=tuple(columns))
    decoder = EnvelopeDecoder(texts, [types.stored(column).guard for column in texts.columns])
    matching(refusals(decoder, engine, name), REFUSED.get((engine, name), []))


@pytest.mark.parametrize(("engine", "name"), DECODED)
def test_keys_are_those_of_the_rows(engine: str, name: str) -> None:
    decoder = EnvelopeDecoder(archived(engine, name))
    places = [decoder.table.columns.index(column) for column in decoder.table.key_columns]
    for record, found in replayed(decoder, records(engine, name)):
        if name == "t_biguk":
            with pytest.raises(DecodeError, match="got `str`"):
                decoder.key(record.key)
        elif isinstance(found, Change) and found.op != "t":
            key = decoder.key(record.key)
            assert not found.row or key == decoder.key_of([found.row[place] for place in places])


def rows_of(engine: str, name: str) -> Iterator[tuple[str, int, tuple[Any, ...]]]:
    """Operation, id and the other values of each decoded row with an integer for an id."""
    decoder = EnvelopeDecoder(archived(engine, name))
    names = [column.name for column in decoder.table.columns]
    for _, found in replayed(decoder, records(engine, name)):
        if isinstance(found, Change) and found.row and names[0] == "id" and isinstance(found.row[0], int):
            yield found.op, found.row[0], found.row[1:]


def copied(engine: str, name: str) -> tuple[dict[int, tuple[Any, ...]], dict[int, tuple[Any, ...]]]:
    """Snapshot rows with an id below 1000, and their streamed copies, by that id."""
    found = list(rows_of(engine, name))
    return (
        {row_id: row for op, row_id, row in found if op == "r" and row_id < 1000},
        {row_id - 1000: row for op, row_id, row in found if op == "c" and 1000 <= row_id < 2000},
    )


COPIED = [(engine, name) for engine, name in DECODED if name != "t_biguk" and copied(engine, name)[1]]


@pytest.mark.parametrize(("engine", "name"), COPIED)
def test_a_snapshot_row_and_its_streamed_copy_are_equal_but_for_what_debezium_damages(
    engine: str, name: str
) -> None:
    snapshot, stream = copied(engine, name)
    assert snapshot.keys() == stream.keys()
    columns = [column.name for column in archived(engine, name).columns[1:]]
    differing = {
        row_id: different
        for row_id, row in snapshot.items()
        if (
            different := {
                c for c, a, b in zip(columns, row, stream[row_id], strict=True) if repr(a) != repr(b)
            }
        )
    }
    assert differing == DAMAGED.get((engine, name), {})


def test_every_table_of_types_was_copied_and_every_damage_is_of_one() -> None:
    per_engine = {engine: sum(1 for pair in COPIED if pair[0] == engine) for engine in SOURCES}
    assert per_engine == {"mysql": 14, "mariadb": 14, "postgres": 24}
    assert DAMAGED.keys() <= set(COPIED)
    assert EXCLUDED.keys() | REFUSED.keys() | TOO_WIDE.keys() <= set(DECODED)


@pytest.mark.parametrize(
    ("engine", "name"), [pair for pair in COPIED if pair[1] not in ("t_toast", "t_toast_full")]
)
def test_an_update_repeats_the_values_that_it_did_not_change(engine: str, name: str) -> None:
    """Every update of a copy changed its label, and one of ``t_json`` its document."""
    before = {row_id: row for op, row_id, row in rows_of(engine, name) if op == "c"}
    for op, row_id, row in rows_of(engine, name):
        if op == "u" and 1000 <= row_id < 2000 and (name, row_id) != ("t_json", 1005):
            assert row[0] == "updated"
            assert repr(row[1:]) == repr(before[row_id][1:])


@pytest.mark.parametrize(
    ("engine", "name", "label", "values"), SAID, ids=[f"{e} {n} {label}" for e, n, label, _ in SAID]
)
def test_decoded_values_are_those_of_the_insert(
    engine: str, name: str, label: str, values: dict[str, Any]
) -> None:
    decoder = EnvelopeDecoder(archived(engine, name))
    [row] = [
        found.row
        for record, found in replayed(decoder, records(engine, name))
        if record.label == label and isinstance(found, Change)
    ]
    decoded = dict(zip((column.name for column in decoder.table.columns), row, strict=True))
    assert {column: decoded[column] for column in values} == values


ADDED = (
    Column("added", "int", Kind.INT32, nullable=False, added=True),
    Column("added2", "varchar(10)", Kind.TEXT, nullable=True, added=True),
)


@pytest.mark.parametrize("engine", SOURCES)
def test_records_from_before_and_after_an_alter_are_decoded_by_the_columns_that_follow_it(
    engine: str,
) -> None:
    made = archived(engine, "t_trunc")
    altered = replace(
        made, columns=(*made.columns, *(replace(c, stored_as="Nullable(Int32)") for c in ADDED[:1]), ADDED[1])
    )
    renamed = replace(
        altered,
        columns=(
            made.columns[0],
            Column("label2", "varchar(40)", Kind.TEXT, nullable=True, added=True),
            *altered.columns[2:],
        ),
        gone=(replace(made.columns[1], added=True),),
    )
    found = {r.label: f for r, f in replayed(EnvelopeDecoder(altered), records(engine, "t_trunc"))}
    assert found["r 1 one"].row == (1, "one", None, None)
    assert found["u 1 old row touched"].row == (1, "old row touched", 42, "dflt")
    assert isinstance(found["c 3"], SchemaDriftError)
    found = {r.label: f for r, f in replayed(EnvelopeDecoder(renamed), records(engine, "t_trunc"))}
    assert found["r 1 one"].row == (1, None, None, None, "one")
    assert found["c 3"].row == (3, "after rename", 42, "dflt", None)


@pytest.mark.parametrize("engine", SOURCES)
def test_operations_have_rows_or_none_and_the_stream_names_its_transactions(engine: str) -> None:
    seen = set()
    for name in topics(engine):
        if (engine, name) in DECODED:
            for record, found in replayed(EnvelopeDecoder(archived(engine, name)), records(engine, name)):
                if isinstance(found, Change):
                    event = json.loads(record.value or b"")
                    assert (found.op, found.source_time_ms) == (event["op"], event["source"]["ts_ms"])
                    assert bool(found.row) == (found.op in "rcu")
                    # A TRUNCATE of MySQL has no transaction.
                    assert found.transaction or found.op in "rt"
                    seen.add(found.op)
    assert seen == set("rcudt")
