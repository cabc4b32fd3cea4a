"""Rows read straight into columns are what msgspec makes of the same JSON, whatever is damaged in them, or are declined."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from airflow_provider_chista.arrays import Values, as_list
from airflow_provider_chista.debezium import columnar
from airflow_provider_chista.debezium.columnar import ColumnReader, Declined, reader
from airflow_provider_chista.debezium.envelope import EnvelopeDecoder
from airflow_provider_chista.debezium.rows import RowDecoder
from airflow_provider_chista.model import Column, Kind, Table, TableId
from tests.unit.debezium.test_changes import event, require_same
from tests.unit.debezium.test_encodings import ACCEPTED, COLUMNS, REFUSED

ID = Column("id", "int", Kind.INT32, nullable=False)
NOTE = Column("note", "text", Kind.TEXT, nullable=True)
SIZE = Column("size", "double", Kind.IEEE64, nullable=True)
READ = [name for name, column in COLUMNS.items() if reader([column])]


def made(*columns: Column) -> ColumnReader:
    found = reader(columns)
    assert found
    return found


def raws(rows: Sequence[bytes]) -> list[msgspec.Raw]:
    """As msgspec gives them: each found well-formed, without blanks around it."""
    return [
        msgspec.json.decode(b'{"after": %s }' % row, type=dict[str, msgspec.Raw])["after"] for row in rows
    ]


def tried(by: ColumnReader, rows: Sequence[msgspec.Raw]) -> list[Values] | None:
    found = by.read(rows, b"\n".join(rows))
    return None if isinstance(found, Declined) else found


def read(columns: Sequence[Column], rows: Sequence[bytes]) -> list[Sequence[Any]] | None:
    values = tried(made(*columns), raws(rows))
    return values and [as_list(column) for column in values]


def strictly(columns: Sequence[Column], rows: Sequence[bytes]) -> list[tuple[Any, ...]] | None:
    """Values as sent, by column; None when a row is refused."""
    struct = RowDecoder(columns, [None] * len(columns)).struct
    try:
        decoded = [msgspec.json.decode(row, type=struct) for row in rows]
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return list(zip(*map(msgspec.structs.astuple, decoded), strict=True))


def require_read_or_declined(columns: Sequence[Column], rows: Sequence[bytes]) -> bool:
    """Whether the rows were read; then they are what msgspec reads."""
    found, wanted = read(columns, rows), strictly(columns, [bytes(row) for row in raws(rows)])
    assert found is None or repr([tuple(values) for values in found]) == repr(wanted)
    return found is not None


def test_every_encoding_but_objects_and_lists_is_read() -> None:
    assert {COLUMNS[name].sent_as for name in COLUMNS.keys() - set(READ)} == {
        encoding for encoding in {c.sent_as for c in COLUMNS.values()} if encoding not in columnar._SENT
    }
    assert len(READ) > 25


@pytest.mark.parametrize("name", READ)
def test_good_values_are_read_as_msgspec_reads_them(name: str) -> None:
    columns = (ID, COLUMNS[name])
    taken = [
        sent
        for sent, _ in [*ACCEPTED[name], ("null", None)]
        if require_read_or_declined(columns, [b'{"id":1,"c":%s}' % sent.encode()])
    ]
    assert "null" in taken
    assert len(taken) > 1  # of 1 bit, or NaN of a float: some shapes are left to msgspec
    assert require_read_or_declined(
        columns, [b'{"id":%d,"c":%s}' % (i, s.encode()) for i, s in enumerate(taken)]
    )


@pytest.mark.parametrize("name", sorted(REFUSED.keys() & set(READ)))
def test_bad_values_are_never_read_as_others(name: str) -> None:
    for sent, _ in REFUSED[name]:
        require_read_or_declined(
            (ID, COLUMNS[name]), [b'{"id":1,"c":null}', b'{"id":1,"c":%s}' % sent.encode()]
        )


ODD = {
    "not a row": b"null",
    "true": b"true",
    "a list": b"[1]",
    "no field": b"{}",
    "a field is missing": b'{"id":1,"note":"x"}',
    "a field is missing, and a text speaks of null": b'{"id":1,"note":"\\":null"}',
    "a field is missing, and a text begins like NULL": b'{"id":1,"note":":null"}',
    "twice, NULL": b'{"id":1,"note":null,"note":null}',
    "twice": b'{"id":1,"note":"x","size":1,"size":2}',
    "unknown": b'{"id":1,"note":"x","size":1,"more":null}',
    "NULL that the column does not hold": b'{"id":null,"note":"x","size":1}',
    "negative zero as a whole number": b'{"id":1,"note":"x","size":-0}',
    "negative zero before a blank": b'{"id":1,"note":"x","size": -0 }',
    "rounded to infinity": b'{"id":1,"note":"x","size":1.7976931348623159e308}',
    "too large": b'{"id":1,"note":"x","size":1e400}',
    "not UTF-8": b'{"id":1,"note":"\xff","size":1}',
    "half of a surrogate in UTF-8": b'{"id":1,"note":"\xed\xa0\x80","size":1}',
    "an object": b'{"id":1,"note":{"note":null},"size":1}',
    "a fraction": b'{"id":1.0,"note":"x","size":1}',
    "a text for a number": b'{"id":"1","note":"x","size":1}',
    "beyond 32 bits": b'{"id":2147483648,"note":"x","size":1}',
}


@pytest.mark.parametrize("name", ODD)
def test_an_odd_row_is_declined(name: str) -> None:
    usual = b'{"id":1,"note":null,"size":0.5}'
    for rows in ([ODD[name]], [usual, ODD[name], usual]):
        assert read((ID, NOTE, SIZE), rows) is None


def test_texts_of_any_kind_are_read() -> None:
    texts = ["", '"', "\\", '\\"', '":null', '\\":null', "a\nb", "\x00\x7f", "{", "naïve \U0001f600", "null"]
    rows = [msgspec.json.encode({"id": 1, "note": text, "size": None}) for text in texts]
    assert require_read_or_declined((ID, NOTE, SIZE), rows)
    for row in (
        b'{ "id" : 1 ,\r\n"note":"\\ud83d\\ude00","size":1E2}',
        b'{"id":1,"n\\u006fte":null,"size":1}',
    ):
        assert require_read_or_declined((ID, NOTE, SIZE), [row])
    assert (
        read((ID, NOTE, SIZE), [*rows, b'{"id":1,"note": null,"size":1}']) is None
    )  # a NULL too few, it seems


def test_rows_may_lack_columns_that_the_archive_got_later() -> None:
    columns = (ID, NOTE, replace(SIZE, added=True))
    assert require_read_or_declined(columns, [b'{"id":1,"note":null}', b'{"id":1,"note":null,"size":null}'])
    for lacking in (b'{"id":1}', b'{"id":1,"si\\u007ae":null}'):
        assert read(columns, [lacking, b'{"id":1,"note":"x","size":null}']) is None
    assert reader([replace(SIZE, added=True, nullable=False)]) is None


def test_a_name_that_looks_like_null_is_left_to_msgspec() -> None:
    assert reader([replace(NOTE, name=":null")]) is None
    named = (ID, replace(NOTE, name=":nul"))
    assert require_read_or_declined(named, [b'{"id":1,":nul":null}', b'{"id":1,":nul":"x"}'])


def test_large_rows_are_left_to_msgspec(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = raws([b'{"id":1}', b'{"id":2}'])
    assert tried(made(ID), rows)
    monkeypatch.setattr(columnar, "_MOST_BYTES", 16)
    assert tried(made(ID), rows) is None


def test_large_values_are_left_to_msgspec() -> None:
    small, large = (raws([b'{"id":1,"note":"%s"}' % (b"x" * size)]) for size in (2000, 2048))
    assert tried(made(ID, NOTE), small)
    assert tried(made(ID, NOTE), large) is None


def test_after_rows_that_were_declined_it_rests_a_while_and_tries_again() -> None:
    column_reader, good, odd = made(ID), raws([b'{"id":1}']), raws([b"null"])
    declined = [tried(column_reader, odd)]
    assert tried(column_reader, good)
    for _ in range(2):
        declined.append(tried(column_reader, odd))
    rests = 0
    while tried(column_reader, good) is None:
        rests += 1
    assert (declined, rests) == ([None] * 3, 2)
    assert tried(column_reader, good)


def test_it_names_a_row_that_it_cannot_read_and_does_not_rest_for_it() -> None:
    column_reader = made(ID)
    rows = raws([b'{"id":1}', b'{"id":2}', b'{"id":"3"}', b'{"id":4}'])
    for _ in range(3):
        assert column_reader.read(rows, b"\n".join(rows)) == Declined(2)
    assert tried(column_reader, rows[:2])


TOKENS = [
    *(b"null", b'"', b":", b",", b"{", b"}", b"[", b"-0", b"1e400", b"NaN"),
    *(b'":null', b":null", b'\\"', b"\\u006"),
    *(b"\\", b"\\u0000", b"\n", b" ", b"\xff", b"\x00"),
]


def damaged(row: bytes, chance: random.Random) -> bytes:
    """The row without a part, with one twice, with something put in or in place of it, or with its fields mixed up."""
    at, upto = sorted(chance.choices(range(len(row) + 1), k=2))
    put = chance.choice([b"", row[at:upto] * 2, chance.choice(TOKENS), chance.choice(TOKENS) + row[at:upto]])
    pieces = re.split(rb"(,)", row)
    chance.shuffle(pieces)
    return chance.choice([row[:at] + put + row[upto:]] * 4 + [b"".join(pieces)])


@pytest.mark.parametrize("seed", range(20))
def test_damaged_rows_are_read_as_msgspec_reads_them_or_declined(seed: int) -> None:
    chance = random.Random(seed)
    names = chance.sample(READ, 6)
    columns = (ID, *(replace(COLUMNS[name], name=f"c{i}") for i, name in enumerate(names)))
    good = [
        [
            sent.encode()
            for sent, _ in ACCEPTED[name]
            if read([column], [b'{"%s":%s}' % (column.name.encode(), sent.encode())])
        ]
        for name, column in zip(names, columns[1:], strict=True)
    ]
    was_read = 0
    for _ in range(300):
        fields = [b'"c%d":%s' % (i, chance.choice([*sent, b"null"])) for i, sent in enumerate(good)]
        row = damaged(b'{"id":1,%s}' % b",".join(fields), chance)
        try:
            raws([row])
        except (msgspec.DecodeError, KeyError):
            continue  # msgspec finds that the event is no JSON
        was_read += require_read_or_declined(columns, [row])
    assert was_read


@pytest.mark.parametrize("seed", range(5))
def test_damaged_events_among_good_ones_are_what_they_are_alone(seed: int) -> None:
    chance = random.Random(seed)
    decoder = EnvelopeDecoder(Table(TableId("s", "t"), (ID, replace(SIZE, name="c")), ("id",)))
    values: list[bytes | None] = [event(f"{i}.5", "c", "mysql") for i in range(600)]
    for place in chance.sample(range(600), chance.choice((1, 5, 40))):
        values[place] = damaged(values[place] or b"", chance)
    while values:
        changes = require_same(decoder, values)
        values = values[changes.upto + 1 :]
