"""The row hash in the source's SQL equals canonical.py, on values that break naive concatenation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from airflow_provider_chista.canonical import Value, field_text, parse_key, row_hash, row_text, sort_key
from airflow_provider_chista.errors import FatalError
from airflow_provider_chista.model import INTEGER_BOUNDS, Kind, Table, TableId
from airflow_provider_chista.sources import Source

HOSTILE = (
    "",
    "~",
    "|",
    "|~|",
    "1:a",
    "3:a|b",
    "null",
    "NULL",
    "a'b",
    'a"b',
    "a,b",
    "back\\slash",
    "\\N",
    "\\",
    "%s %% {0}",
    "line\nfeed",
    "carriage\r\nreturn",
    "\t tab",
    " leading",
    "trailing ",
    "trailing   ",
    "\u00a0nbsp",
    "ünïcödé",
    "e\u0301 combining",
    "日本語",
    "😀👩‍👩‍👧‍👦",
    "\u0001control\u001f",
    "\ufeffBOM",
    "x" * 5_000,
    "😀" * 1_000,
)
DATES = (
    "1000-01-01",
    "1582-10-04",
    "1582-10-10",
    "1582-10-15",
    "1969-12-31",
    "1970-01-01",
    "2024-02-29",
    "9999-12-31",
)


def only(*flavours: str) -> pytest.MarkDecorator:
    """For these engines, since the others do not have it."""
    return pytest.mark.parametrize("server", flavours, indirect=True)


def kinds_of(table: Table) -> list[Kind]:
    return [column.kind for column in table.columns if column.kind]


def streamed(schema: Any, name: str) -> list[tuple[str, str]]:
    with schema.source("verify") as source:
        return [
            row for chunk in source.hashes(source.catalogue(schema.id(name)), None, 1_000) for row in chunk
        ]


def assert_hashes(schema: Any, name: str, rows: Sequence[tuple[Value, ...]]) -> None:
    """Every row's key and hash as canonical.py computes them, in the order of its sort_key."""
    table = schema.catalogue(name)
    kinds, places = kinds_of(table), [table.columns.index(column) for column in table.key_columns]
    key_kinds = [kinds[place] for place in places]
    expected = sorted(
        ((row_text(key_kinds, [row[place] for place in places]), row_hash(kinds, row)) for row in rows),
        key=lambda pair: sort_key(parse_key(key_kinds, pair[0])),
    )
    assert streamed(schema, name) == expected


def test_hostile_texts(schema: Any) -> None:
    schema.create("hostile", "id INT PRIMARY KEY, a TEXT, b TEXT, c INT")
    texts: list[str | None] = [*HOSTILE, None]
    rows = [(i, a, texts[-1 - i], i if i % 3 else None) for i, a in enumerate(texts)]
    schema.insert("hostile", rows)
    assert_hashes(schema, "hostile", rows)


def test_no_two_neighbours_can_be_confused(schema: Any) -> None:
    """NULL beside '~', and a separator that moves from one column to the next."""
    schema.create("neighbours", "id INT PRIMARY KEY, a VARCHAR(20), b VARCHAR(20)")
    pairs = [
        (None, "~"),
        ("~", None),
        ("", None),
        (None, ""),
        ("a|1:b", ""),
        ("a", "b|0:"),
        ("1:a", ""),
        ("", "1:a"),
    ]
    schema.insert("neighbours", [(i, *pair) for i, pair in enumerate(pairs)])
    with schema.source("verify") as source:
        table = source.catalogue(schema.id("neighbours"))
        fields = [row[1:] for row in source.rows(table, [str(i) for i in range(len(pairs))]).values()]
    assert len({"|".join(text or "~" for text in row) for row in fields}) == len(pairs)
    assert_hashes(schema, "neighbours", [(i, *pair) for i, pair in enumerate(pairs)])


INTEGERS = {
    "mysql": {
        "TINYINT": Kind.INT8,
        "SMALLINT": Kind.INT16,
        "MEDIUMINT": Kind.INT32,
        "INT": Kind.INT32,
        "BIGINT": Kind.INT64,
        "TINYINT UNSIGNED": Kind.UINT8,
        "SMALLINT UNSIGNED": Kind.UINT16,
        "INT UNSIGNED": Kind.UINT32,
        "BIGINT UNSIGNED": Kind.UINT64,
        "BIGINT ZEROFILL": Kind.UINT64,
    },
    "postgres": {"SMALLINT": Kind.INT16, "INTEGER": Kind.INT32, "BIGINT": Kind.INT64},
}
INTEGERS["mariadb"] = INTEGERS["mysql"]


def test_integers_at_their_bounds(schema: Any) -> None:
    types = INTEGERS[schema.flavour]
    schema.create("integers", ", ".join(["id INT PRIMARY KEY", *[f"c{i} {t}" for i, t in enumerate(types)]]))
    bounds = [
        (-(2**23), 2**23 - 1) if t == "MEDIUMINT" else INTEGER_BOUNDS[kind] for t, kind in types.items()
    ]
    rows: list[tuple[Value, ...]] = [
        (1, *[low for low, _ in bounds]),
        (2, *[high for _, high in bounds]),
        (3, *[0 for _ in bounds]),
        (4, *[None for _ in bounds]),
        (5, *[max(low, -7) for low, _ in bounds]),
    ]
    schema.insert("integers", rows)
    assert_hashes(schema, "integers", rows)


def test_integer_keys_at_their_bounds(schema: Any) -> None:
    declared, kind = (
        ("BIGINT", Kind.INT64) if schema.flavour == "postgres" else ("BIGINT UNSIGNED", Kind.UINT64)
    )
    low, high = INTEGER_BOUNDS[kind]
    schema.create("bound_keys", f"id {declared} PRIMARY KEY, a INT")
    rows = [(value, 1) for value in (high, low, 5, 1_000_000_007)]
    schema.insert("bound_keys", rows)
    assert_hashes(schema, "bound_keys", rows)
    with schema.source("verify") as source:
        table = source.catalogue(schema.id("bound_keys"))
        assert source.present(table, [str(high), str(low), "6"]) == {str(high), str(low)}


def test_dates(schema: Any) -> None:
    days = DATES if schema.flavour == "mysql" else ("0001-01-01", *DATES)
    schema.create("dates", "d DATE PRIMARY KEY, e DATE")
    rows = [(day, other) for day, other in zip(days, [*days[1:], None], strict=True)]
    schema.insert("dates", rows)
    assert_hashes(schema, "dates", rows)
    with schema.source("verify") as source:
        assert source.present(source.catalogue(schema.id("dates")), [*days, "2001-01-01"]) == set(days)


@only("mysql", "mariadb")
def test_dates_that_no_calendar_has_look_like_no_other(schema: Any, throw_away: Any) -> None:
    """On a server of its own: an invalid date stops every connector that reads it."""
    server, odd = throw_away.shared(schema.flavour), ("0000-00-00", "2020-05-00", "2020-02-30")
    server.execute(
        "CREATE DATABASE odd_dates",
        "CREATE TABLE odd_dates.t (id INT PRIMARY KEY, d DATE)",
        "SET sql_mode = 'ALLOW_INVALID_DATES'",
        *[f"INSERT INTO odd_dates.t VALUES ({i}, '{day}')" for i, day in enumerate(odd)],
    )
    with server.source() as source:
        assert_look_like_no_other(source, TableId("odd_dates", "t"), odd)


@only("postgres")
def test_dates_beyond_the_years_1_to_9999_look_like_no_other(schema: Any) -> None:
    odd = ("0044-03-15 BC", "0044-03-15", "10000-01-01", "infinity", "-infinity")
    schema.create("odd_dates", "id INT PRIMARY KEY, d DATE")
    schema.insert("odd_dates", list(enumerate(odd)))
    with schema.source("verify") as source:
        assert_look_like_no_other(source, schema.id("odd_dates"), odd)


def assert_look_like_no_other(source: Source, table_id: TableId, odd: Sequence[str]) -> None:
    """Each day has its own text, and its row another hash than with NULL or the days that Debezium sends in its place."""
    table = source.catalogue(table_id)
    texts = source.rows(table, [str(i) for i in range(len(odd))])
    assert [texts[str(i)][1] for i in range(len(odd))] == list(odd)
    hashes = {key: row_hash for chunk in source.hashes(table, None) for key, row_hash in chunk}
    for i, day in enumerate(odd):
        replaced = {
            row_hash(kinds_of(table), (i, other))
            for other in (None, "1970-01-01", "2020-03-01")
            if other != day
        }
        assert hashes[str(i)] == row_hash(kinds_of(table), (i, day))
        assert hashes[str(i)] not in replaced


@only("mysql", "mariadb")
def test_columns_in_other_character_sets(schema: Any) -> None:
    sets = ("latin1", "utf8mb3", "utf16", "ucs2", "cp1251", "sjis")
    columns = [f"c{i} VARCHAR(40) CHARACTER SET {name}" for i, name in enumerate(sets)]
    schema.create("charsets", ", ".join(["k VARCHAR(20) CHARACTER SET latin1 PRIMARY KEY", *columns]))
    samples = ("é€ÿ|~", "é日本ω", "é日本😀", "日本ωé", "Жук", "日本語")
    rows: list[tuple[Value, ...]] = [
        ("clé", *samples),
        ("Zoë", *["" for _ in samples]),
        ("ab", *[None for _ in samples]),
    ]
    schema.insert("charsets", rows)
    assert_hashes(schema, "charsets", rows)
    with schema.source("verify") as source:
        assert source.present(source.catalogue(schema.id("charsets")), ["4:clé", "3:cle", "4:Zoë"]) == {
            "4:clé",
            "4:Zoë",
        }


def test_fixed_length_texts(schema: Any) -> None:
    """PostgreSQL pads CHAR, as its stream does; MySQL and MariaDB strip the trailing blanks."""
    schema.create("chars", "k CHAR(4) PRIMARY KEY, c CHAR(6)")
    rows = [("ab", "x"), ("é", ""), ("abcd", None), (" b", "日本")]
    schema.insert("chars", rows)
    if schema.flavour == "postgres":
        rows = [(k.ljust(4), c if c is None else c.ljust(6)) for k, c in rows]
    assert_hashes(schema, "chars", rows)
    keys = [field_text(Kind.TEXT, k) for k, _ in rows]
    with schema.source("verify") as source:
        assert source.present(source.catalogue(schema.id("chars")), [*keys, "1:a"]) == set(keys)


def test_enums(schema: Any) -> None:
    declared = "ENUM('M','F','é (x)')"
    if schema.flavour == "postgres":
        declared = schema.named("letter")
        schema.server.execute(f"CREATE TYPE {declared} AS ENUM ('M', 'F', 'é (x)')")
    schema.create("enums", f"g {declared}, n INT, h {declared}, PRIMARY KEY (g, n)")
    rows = [("M", 2, "F"), ("F", 1, None), ("é (x)", 1, "é (x)"), ("M", 1, "M")]
    schema.insert("enums", rows)
    assert_hashes(schema, "enums", rows)
    with schema.source("verify") as source:
        assert source.present(source.catalogue(schema.id("enums")), ["1:M|2", "1:F|2"]) == {"1:M|2"}


def test_text_keys_stream_in_the_order_of_their_bytes(schema: Any) -> None:
    schema.create("text_keys", "k VARCHAR(300) PRIMARY KEY, n INT")
    keys = [
        "b", "B2", "a1", "A3", "é", "e1", "z", "Z1", "ä5", "1", "-", "_", "日", "😀", "a b", "a-b", "ab",
        "a" * 200 + "b", "a" * 250,
    ]  # fmt: skip
    rows = [(key, i) for i, key in enumerate(keys)]
    schema.insert("text_keys", rows)
    assert_hashes(schema, "text_keys", rows)


def test_text_keys_that_differ_behind_a_long_common_beginning(schema: Any) -> None:
    """MySQL sorts by max_sort_length bytes only (1024 unless the session says otherwise)."""
    schema.create("long_keys", "k VARCHAR(700) PRIMARY KEY, n INT")
    rows = [("😀" * 400 + tail, i) for i, tail in enumerate(["z", "b", "Äq", "a", "c" * 100, "c" * 99])]
    schema.insert("long_keys", rows)
    assert_hashes(schema, "long_keys", rows)


def test_composite_keys_stream_in_order(schema: Any) -> None:
    schema.create(
        "composite", "v INT, t VARCHAR(9) NOT NULL, d DATE NOT NULL, i INT NOT NULL, PRIMARY KEY (i, t, d)"
    )
    rows = [
        (i * 7 + j, text, day, i)
        for i in (-1, 0, 2, 10)
        for j, (text, day) in enumerate(
            [("b", "2020-01-01"), ("B", "2020-01-02"), ("a|1", "1999-12-31"), ("c", "2020-01-01")]
        )
    ]
    schema.insert("composite", rows)
    assert_hashes(schema, "composite", rows)


def test_chunks_are_bounded_and_never_empty(schema: Any) -> None:
    schema.create("chunks", "id INT PRIMARY KEY")
    schema.insert("chunks", [(i,) for i in range(25)])
    with schema.source("verify") as source:
        table = source.catalogue(schema.id("chunks"))
        assert [len(chunk) for chunk in source.hashes(table, None, 10)] == [10, 10, 5]
        stream = source.hashes(table, None, 10)
        next(stream)
        stream.close()
        assert source.count(table, None) == 25


def test_an_empty_table_streams_nothing(schema: Any) -> None:
    schema.create("empty", "id INT PRIMARY KEY")
    assert streamed(schema, "empty") == []


@only("mysql", "mariadb")
def test_a_row_too_long_to_hash_is_an_error_and_never_a_hash(schema: Any, throw_away: Any) -> None:
    """Above max_allowed_packet CONCAT gives NULL; neither the row nor a single field may then pass for NULL."""
    server = throw_away.start(schema.flavour, "--max-allowed-packet=8M")
    server.execute(
        "CREATE DATABASE d CHARACTER SET utf8mb4",
        "CREATE TABLE d.t (id INT PRIMARY KEY, a LONGTEXT, b LONGTEXT)",
        "INSERT INTO d.t VALUES (1, REPEAT('x', 7000000), NULL), (2, NULL, NULL)",
        "SET GLOBAL max_allowed_packet = 1048576",
    )
    with server.source() as source:
        table = source.catalogue(TableId("d", "t"))
        with pytest.raises(FatalError, match=r"'1' of d\.t has no hash.*max_allowed_packet"):
            list(source.hashes(table, None))
        null_row = row_hash([Kind.INT32, Kind.TEXT, Kind.TEXT], [1, None, None])
        server.execute(
            "CREATE DATABASE chista",
            "CREATE TABLE chista.purge_log (id BIGINT PRIMARY KEY AUTO_INCREMENT, "
            "batch_id VARCHAR(64), table_name VARCHAR(200), row_key TEXT, row_hash CHAR(64))",
        )
        with pytest.raises(FatalError, match="Raise max_allowed_packet"):
            source.guarded_delete(table, "b", [("1", null_row)])
        assert source.present(table, ["1"]) == {"1"}


def test_a_null_in_a_column_that_was_not_nullable_is_an_error_and_never_a_hash(schema: Any) -> None:
    """The column became nullable after its catalogue was read: its text is not the mark of NULL, and neither is the row's."""
    schema.create("loosened", "id INT PRIMARY KEY, a INT NOT NULL, b INT NOT NULL")
    name, modify = schema.named("loosened"), "MODIFY a INT NULL"
    with schema.source("verify") as source:
        table = source.catalogue(schema.id("loosened"))
        schema.server.execute(
            f"ALTER TABLE {name} {'ALTER a DROP NOT NULL' if schema.flavour == 'postgres' else modify}",
            f"INSERT INTO {name} VALUES (1, NULL, 2)",
        )
        with pytest.raises(FatalError, match=r"'1' of .* has no hash"):
            list(source.hashes(table, None))
        now = source.catalogue(schema.id("loosened"))
        assert list(source.hashes(now, None)) == [[("1", row_hash(kinds_of(now), (1, None, 2)))]]


def test_a_session_sets_what_its_server_has_wrong(throw_away: Any, schema: Any) -> None:
    """Server defaults that would change the texts: padded CHAR, another time zone, another date style, another charset."""
    options = {
        "mysql": (
            "--sql-mode=PAD_CHAR_TO_FULL_LENGTH,ANSI_QUOTES",
            "--default-time-zone=+05:00",
            "--max-sort-length=64",
        ),
        "mariadb": (
            "--sql-mode=PAD_CHAR_TO_FULL_LENGTH,ANSI_QUOTES,NO_BACKSLASH_ESCAPES",
            "--default-time-zone=+05:00",
            "--character-set-server=latin1",
            "--max-sort-length=64",
        ),
        "postgres": (
            "-c",
            "datestyle=SQL,DMY",
            "-c",
            "timezone=Asia/Tehran",
            "-c",
            "standard_conforming_strings=off",
        ),
    }
    server = throw_away.start(schema.flavour, *options[schema.flavour])
    kind, place = ("DATABASE", "s") if schema.flavour != "postgres" else ("SCHEMA", "s")
    server.execute(
        f"CREATE {kind} {place}",
        "CREATE TABLE s.t (k CHAR(4) PRIMARY KEY, d DATE, v VARCHAR(20))",
        "INSERT INTO s.t VALUES ('ab', '2020-05-06', 'it')",
    )
    with server.source() as source:
        table = source.catalogue(TableId("s", "t"))
        key = "ab" if schema.flavour != "postgres" else "ab  "
        expected = row_hash([Kind.TEXT, Kind.DATE, Kind.TEXT], [key, "2020-05-06", "it"])
        assert [row for chunk in source.hashes(table, None) for row in chunk] == [
            (field_text(Kind.TEXT, key), expected)
        ]
