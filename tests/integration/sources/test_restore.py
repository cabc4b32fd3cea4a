"""Archived rows are inserted as they were, or nothing of their transaction is; a row at the source is never written."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest

from airflow_provider_chista.errors import FatalError, RefusedError, TransientError
from airflow_provider_chista.model import Table
from airflow_provider_chista.sources import Source, open_source
from airflow_provider_chista.sources.restoring import ArchivedRow, Restored

COLUMNS = "id INT PRIMARY KEY, name VARCHAR(255), d DATE"
HOSTILE = [
    "",
    "~",
    "|1:x",
    "null",
    "NULL",
    'O\'Brien, "x"\\',
    "line\nbreak\t",
    "é 😀",
    None,
    " trailing ",
    "%s {v}",
    "\\N",
]


class Emptied:
    """A table whose rows were read as the archive holds them, and then deleted by the application."""

    def __init__(self, schema: Any, columns: str, inserts: list[str], name: str = "") -> None:
        self.schema, self.name = schema, name or f"r_{uuid.uuid4().hex[:8]}"
        schema.create(self.name, columns)
        self.execute(*inserts)
        self.source: Source = schema.source("restore")
        self.table: Table = self.source.catalogue(schema.id(self.name))
        with schema.source("verify") as verify:
            hashes = dict(pair for chunk in verify.hashes(self.table, None) for pair in chunk)
            values = verify.rows(self.table, list(hashes))
        self.rows = [ArchivedRow(key, row_hash, values[key]) for key, row_hash in hashes.items()]
        self.before = self.shown()
        self.execute("DELETE FROM {t}")

    def execute(self, *statements: str) -> list[tuple[Any, ...]]:
        named = self.schema.named(self.name)
        found: list[tuple[Any, ...]] = self.schema.server.execute(
            *(s.replace("{t}", named) for s in statements)
        )
        return found

    def shown(self) -> list[tuple[Any, ...]]:
        return sorted(self.execute("SELECT * FROM {t}"), key=lambda row: row[0])

    def restore(self, rows: list[ArchivedRow] | None = None, **options: Any) -> Restored:
        return self.source.restore(self.table, self.rows if rows is None else rows, **options)

    def counts(self, found: Restored) -> tuple[int, int, int]:
        return len(found.missing), len(found.equal), len(found.conflicts)


@pytest.fixture
def plain(schema: Any) -> Iterator[Emptied]:
    made = Emptied(
        schema, COLUMNS, [f"INSERT INTO {{t}} VALUES ({i}, 'name {i}', '2020-01-0{i}')" for i in range(1, 6)]
    )
    yield made
    made.source.close()


def test_hostile_values_and_names_come_back_exactly(schema: Any) -> None:
    quote = schema.server.quote
    name = f"r%s {{c}} \"`' {uuid.uuid4().hex[:4]}"
    odd = quote("a %s \"`' {v}")
    made = Emptied(schema, f"{quote('id')} INT PRIMARY KEY, {odd} VARCHAR(255)", [], name)
    schema.server.insert(schema.named(name).replace("%", "%%"), list(enumerate(HOSTILE)))
    with closing(made.source):
        hashes = made.source.hashes_of(made.table, [str(i) for i in range(len(HOSTILE))])
        values = made.source.rows(made.table, list(hashes))
        rows = [ArchivedRow(key, row_hash, values[key]) for key, row_hash in hashes.items()]
        made.execute("DELETE FROM {t}")
        assert made.counts(made.restore(rows)) == (len(HOSTILE), 0, 0)
        assert [row[1] for row in made.shown()] == HOSTILE
        assert quote(name) in made.source.restore_sql(made.table)


def test_generated_identity_and_invisible_columns_come_back(schema: Any) -> None:
    if schema.flavour == "postgres":
        columns = (
            "id INT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, n INT, s SERIAL,"
            " doubled INT GENERATED ALWAYS AS (n * 2) STORED"
        )
        inserts = ["INSERT INTO {t} (id, n, s) OVERRIDING SYSTEM VALUE VALUES (0, 1, 7), (5, 2, 8)"]
    else:
        columns = (
            "id INT AUTO_INCREMENT PRIMARY KEY, n INT, doubled INT GENERATED ALWAYS AS (n * 2) STORED,"
            " tripled INT GENERATED ALWAYS AS (n * 3) VIRTUAL, hidden INT INVISIBLE"
        )
        inserts = [
            "SET SESSION sql_mode = 'NO_AUTO_VALUE_ON_ZERO'",
            "INSERT INTO {t} (id, n, hidden) VALUES (0, 1, 7), (5, 2, 8)",
        ]
    made = Emptied(schema, columns, inserts)
    with closing(made.source):
        assert made.counts(made.restore()) == (2, 0, 0)
        assert made.shown() == made.before
        assert [row[0] for row in made.shown()] == [0, 5]
        if schema.flavour != "postgres":
            assert sorted(made.execute("SELECT hidden FROM {t}")) == [(7,), (8,)]


def test_a_wide_table_comes_back(schema: Any) -> None:
    columns = ", ".join(f"c{i} INT" for i in range(300))
    values = ", ".join(str(i) for i in range(300))
    made = Emptied(schema, f"id INT PRIMARY KEY, {columns}", [f"INSERT INTO {{t}} VALUES (1, {values})"])
    with closing(made.source):
        made.restore()
        assert made.shown() == made.before


def test_a_call_can_be_repeated(plain: Emptied) -> None:
    assert plain.counts(plain.restore(plain.rows[:2])) == (2, 0, 0)
    assert plain.counts(plain.restore()) == (3, 2, 0)
    assert plain.counts(plain.restore()) == (0, 5, 0)
    assert plain.shown() == plain.before


def test_a_conflict_is_refused_before_anything_is_written(plain: Emptied) -> None:
    plain.execute(
        "INSERT INTO {t} VALUES (3, 'newer', '2021-01-01')",
        "INSERT INTO {t} VALUES (4, 'name 4', '2020-01-04')",
    )
    there = plain.shown()
    with pytest.raises(RefusedError, match=r"1 rows of .* another content .* keys 3\."):
        plain.restore()
    assert plain.shown() == there


def test_a_conflict_is_skipped_and_the_sources_row_stays(plain: Emptied) -> None:
    plain.execute("INSERT INTO {t} VALUES (3, 'newer', '2021-01-01')")
    found = plain.restore(skip=True)
    assert (plain.counts(found), found.conflicts) == ((4, 0, 1), ["3"])
    assert {row[0]: row[1] for row in plain.shown()}[3] == "newer"
    assert len(plain.shown()) == 5


def test_a_row_that_comes_back_changed_rolls_everything_back(plain: Emptied) -> None:
    function = f"{plain.schema.server.quote(plain.schema.name)}.changed_{plain.name}"
    if plain.schema.flavour == "postgres":
        plain.execute(
            f"CREATE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN IF NEW.id = 4 THEN NEW.name := 'changed'; END IF; RETURN NEW; END $$",
            f"CREATE TRIGGER changed BEFORE INSERT ON {{t}} FOR EACH ROW EXECUTE FUNCTION {function}()",
        )
    else:
        plain.execute(
            f"CREATE TRIGGER {function} BEFORE INSERT ON {{t}} FOR EACH ROW"
            " SET NEW.name = IF(NEW.id = 4, 'changed', NEW.name)"
        )
    with pytest.raises(RefusedError, match=r"rolled back: key 4 differs in name\. Look"):
        plain.restore()
    assert plain.shown() == []


def test_a_row_that_differs_from_its_hash_is_not_committed(plain: Emptied) -> None:
    rows = [*plain.rows[:4], replace(plain.rows[4], row_hash="0" * 64)]
    with pytest.raises(RefusedError, match="key 5 differs in its hash"):
        plain.restore(rows)
    assert plain.shown() == []


def test_a_missing_parent_is_named(schema: Any) -> None:
    parent = f"p_{uuid.uuid4().hex[:8]}"
    schema.create(parent, "id INT PRIMARY KEY")
    schema.insert(parent, [(1,)])
    made = Emptied(
        schema,
        f"id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES {schema.named(parent)} (id)",
        ["INSERT INTO {t} VALUES (1, 1)"],
    )
    with closing(made.source):
        schema.server.execute(f"DELETE FROM {schema.named(parent)}")
        with pytest.raises(FatalError, match="restore the parent tables first"):
            made.restore()
        schema.insert(parent, [(1,)])
        assert made.counts(made.restore()) == (1, 0, 0)


def test_a_taken_unique_value_is_named(schema: Any) -> None:
    made = Emptied(
        schema,
        "id INT PRIMARY KEY, u INT UNIQUE",
        ["INSERT INTO {t} VALUES (1, 10)", "INSERT INTO {t} VALUES (2, 20)"],
    )
    with closing(made.source):
        made.execute("INSERT INTO {t} VALUES (3, 20)")
        with pytest.raises(FatalError, match="Another row at the source has this value in a unique key"):
            made.restore(skip=True)
        assert made.shown() == [(3, 20)]


def test_a_null_for_a_column_that_is_not_null_now_is_named(plain: Emptied) -> None:
    plain.execute("ALTER TABLE {t} ADD COLUMN later INT DEFAULT 5 NOT NULL")
    plain.table = plain.source.catalogue(plain.table.id)
    rows = [replace(row, values=(*row.values, None)) for row in plain.rows]
    with pytest.raises(FatalError, match="let the column be NULL at the source"):
        plain.restore(rows)
    assert plain.shown() == []


def test_a_value_that_the_table_does_not_take_any_more_is_named(plain: Emptied) -> None:
    plain.execute("ALTER TABLE {t} ADD CONSTRAINT " + f"ck_{plain.name}" + " CHECK (id < 5)")
    with pytest.raises(FatalError, match="The table does not take a value that the row had"):
        plain.restore()
    assert plain.shown() == []


def test_a_user_without_insert_is_told_the_grant(plain: Emptied) -> None:
    with plain.schema.source("purge") as source:
        findings = source.grant_findings("restore", [plain.table.id])
        assert len(findings) == 1
        assert "GRANT INSERT ON" in findings[0].remedy
        with pytest.raises(FatalError, match=r"docs/grants\.md"):
            source.restore(plain.table, plain.rows)
    assert plain.shown() == []


def test_a_table_that_was_altered_is_refused(plain: Emptied) -> None:
    plain.execute("ALTER TABLE {t} ADD COLUMN more INT NULL")
    with pytest.raises(RefusedError, match=r"columns or the key of .* changed"):
        plain.restore()
    assert plain.shown() == []


def test_a_key_that_the_application_holds_is_waited_for_and_then_left(plain: Emptied) -> None:
    named = plain.schema.named(plain.name)
    with closing(plain.schema.server.connect()) as other:
        if plain.schema.flavour != "postgres":
            other.autocommit(False)
        other.cursor().execute(f"INSERT INTO {named} VALUES (2, 'open', '2020-01-01')")
        with pytest.raises(TransientError, match="The application holds the row locks"):
            plain.restore()
        other.rollback()
    assert plain.counts(plain.restore()) == (5, 0, 0)


@pytest.mark.parametrize("name", ["name 2", "newer"])
def test_a_key_that_the_application_commits_meanwhile_is_seen(plain: Emptied, name: str) -> None:
    named = plain.schema.named(plain.name)
    with closing(plain.schema.server.connect()) as other:
        if plain.schema.flavour != "postgres":
            other.autocommit(False)
        other.cursor().execute(f"INSERT INTO {named} VALUES (2, '{name}', '2020-01-02')")
        commit = threading.Timer(1.0, other.commit)
        commit.start()
        found = plain.restore(skip=True)
        commit.join()
    assert plain.counts(found) == ((4, 1, 0) if name == "name 2" else (4, 0, 1))
    assert {row[0]: row[1] for row in plain.shown()}[2] == name


def test_psycopg2_restores_like_psycopg(schema: Any) -> None:
    if schema.flavour != "postgres":
        pytest.skip("of PostgreSQL")
    psycopg2 = pytest.importorskip("psycopg2")
    made = Emptied(
        schema,
        "a INT, b TEXT, d DATE, f REAL, n BIGINT, PRIMARY KEY (a, b, d)",
        [
            r"""INSERT INTO {t} VALUES (1, 'it''s', '2020-01-01', 0.1, NULL), (-5, 'é😀"\', '0001-01-01', '-inf', 7),
                (2, '{NULL,"}', '9999-12-31', 'nan', 0)"""
        ],
    )
    server, login = schema.server, schema.roles["restore"]

    def connect() -> Any:
        return psycopg2.connect(
            host=server.host,
            port=server.port,
            user=login["login"],
            password=login["password"],
            dbname=server.database,
        )

    with closing(made.source), open_source(connect) as source:
        assert made.counts(source.restore(made.table, made.rows)) == (3, 0, 0)
        assert made.counts(source.restore(made.table, made.rows)) == (0, 3, 0)
    assert list(map(str, made.shown())) == list(map(str, made.before))
