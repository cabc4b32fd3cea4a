"""Every small change of the SQL that deletes is noticed: other rows are deleted or logged than must be, or it is refused.

Each mutant runs once, in a transaction that is looked at right before its commit and then rolled back.
"""

from __future__ import annotations

import re
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import pytest

from airflow_provider_chista.errors import ChistaError
from airflow_provider_chista.model import Table
from airflow_provider_chista.sources import Source, mysqlfamily

COLUMNS = """a INT NOT NULL, b VARCHAR(20) NOT NULL, n INT NULL, t VARCHAR(20) NULL, u VARCHAR(20) NULL, d DATE NULL,
    PRIMARY KEY (a, b)"""
EQUAL = [
    (1, "é😀|~", 5, "naïve", "1:ö|2", "2020-01-31"),
    (1, "other", None, "~", None, None),
    (2, "é😀|~", 1, None, "", "1999-12-31"),
    (3, "", 0, "", "a|b", "2020-01-01"),
]
CHANGED = [(4, key, 7, "text", "Text", "2020-01-01") for key in ("n", "t", "u", "d", "null", "swapped")]
CHANGES = {
    "n": "n = 8",
    "t": "t = 'texu'",
    "u": "u = 'text'",
    "d": "d = '2020-01-02'",
    "null": "t = NULL",
    "swapped": "t = 'Text', u = 'text'",
}
GIVEN_ANOTHERS_HASH = [(5, "x", 1, "x", "y", None), (5, "y", 2, "x", "y", None), (7, "y", 3, "x", "y", None)]
NOT_GIVEN = [(1, "not given", 5, "naïve", "1:x|2", "2020-01-31"), (6, "other", None, "~", None, None)]

Statements = dict[str, str | None]
"""What is sent in place of a statement; None: nothing."""


@dataclass
class Bench:
    """A table, the rows a purge is given, and what must become of them."""

    source: Source
    table: Table
    given: list[tuple[str, str]]
    expected: dict[str, str]
    apart: Callable[[], Any]
    batch: str = field(default_factory=lambda: uuid.uuid4().hex)

    def outcome(self, mutant: Statements) -> object:
        """The rows left, the log, the keys returned and those that another session could lock before the delete."""
        seen: list[object] = []
        source: Any = self.source
        source._control()
        cursor, kept = source._cursor, source._connection
        source._cursor = lambda connection: Mutating(cursor(connection), mutant, self, seen)
        source._connection = Observed(kept, self, seen)
        try:
            returned = source.guarded_delete(self.table, self.batch, self.given)
        except ChistaError as error:
            return error
        finally:
            source._connection = kept
            del source._cursor
        return [*seen, sorted(returned)]

    def rows(self, cursor: Any, statement: str) -> list[tuple[Any, ...]]:
        cursor.execute(statement)
        return sorted(tuple(row) for row in cursor.fetchall())

    @property
    def name(self) -> str:
        return self.source.dialect.table(self.table.id) % ()


@dataclass
class Mutating:
    """A cursor that sends other statements than it is given."""

    cursor: Any
    mutant: Statements
    bench: Bench
    seen: list[object]

    def execute(self, statement: str, values: tuple[object, ...] = ()) -> None:
        if statement in statements(self.bench)[1:] and "DELETE" in statement:
            with closing(self.bench.apart()) as other:
                self.seen.append(
                    self.bench.rows(
                        other.cursor(), f"SELECT a, b FROM {self.bench.name} FOR UPDATE SKIP LOCKED"
                    )
                )
        text = self.mutant.get(statement, statement)
        if text is None:
            text, values = "SELECT 1 FROM chista.marker WHERE 1 = 0", ()
        # A mutant may have lost a placeholder; it must not fail for that alone.
        self.cursor.execute(text, values[-text.count("%s") :] if "%s" in text else ())

    def __getattr__(self, name: str) -> Any:
        return getattr(self.cursor, name)


@dataclass
class Observed:
    """A connection that is looked at instead of a commit, and rolled back."""

    connection: Any
    bench: Bench
    seen: list[object]

    def commit(self) -> None:
        cursor = self.connection.cursor()
        self.seen.append(self.bench.rows(cursor, f"SELECT a, b FROM {self.bench.name}"))
        log = f"FROM chista.purge_log WHERE batch_id = '{self.bench.batch}' OR table_name = '{self.bench.table.id}'"
        self.seen.append(self.bench.rows(cursor, f"SELECT batch_id, table_name, row_key, row_hash {log}"))
        self.connection.rollback()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.connection, name)


@pytest.fixture(scope="module")
def bench(schema: Any) -> Iterator[Bench]:
    schema.create("mutated", COLUMNS)
    schema.insert("mutated", EQUAL + CHANGED + GIVEN_ANOTHERS_HASH + NOT_GIVEN)
    with schema.source("purge") as source:
        table = source.catalogue(schema.id("mutated"))
        hashes = dict(row for chunk in source.hashes(table, None) for row in chunk)
        named = {(int(key.partition("|")[0]), key.split(":", 1)[1]): key for key in hashes}
        equal = {named[row[:2]]: hashes[named[row[:2]]] for row in EQUAL}
        changed = {named[row[:2]]: hashes[named[row[:2]]] for row in CHANGED}
        x, y, z = (named[row[:2]] for row in GIVEN_ANOTHERS_HASH)
        name = schema.named("mutated")
        schema.server.execute(
            *[f"UPDATE {name} SET {change} WHERE a = 4 AND b = '{key}'" for key, change in CHANGES.items()]
        )
        given = list((equal | changed | {x: hashes[y], y: hashes[z], z: hashes[x]}).items())
        yield Bench(source, table, given, equal, schema.server.connect)


def statements(bench: Bench) -> list[str]:
    """Those of the guarded delete, in their order."""
    source: Any = bench.source
    if source.flavour == "postgres":
        return [source._delete_sql(bench.table)]
    return [source._log_sql(bench.table), mysqlfamily._LOGGED, source._delete_sql(bench.table)]


def guard(bench: Bench) -> str:
    """The comparison of the two hashes."""
    source: Any = bench.source
    return (
        f"{source.dialect.hash_of_row(bench.table)} = v.h"
        if source.flavour == "postgres"
        else source._guard(bench.table)
    )


def everywhere(bench: Bench, old: str, new: str) -> Statements:
    """The same change in every statement that has the text: where one of two changed, the counts would tell."""
    return {text: text.replace(old, new) for text in statements(bench) if old in text}


def flips(bench: Bench) -> Iterator[tuple[str, Statements]]:
    """Each letter, digit and quoted sign of the guard made another one, one at a time."""
    whole = guard(bench)
    quoted = {
        place
        for literal in re.finditer(r"'[^']*'", whole)
        for place in range(literal.start() + 1, literal.end() - 1)
    }
    for place, sign in enumerate(whole):
        if sign.isalnum() and sign.isascii():
            other = {"z": "a", "Z": "A", "9": "0"}.get(sign, chr(ord(sign) + 1))
        elif place in quoted and sign != "%":
            other = "!"
        else:
            continue
        yield (
            f"{sign} at {place} is {other}",
            everywhere(bench, whole, whole[:place] + other + whole[place + 1 :]),
        )


def of_the_hash(bench: Bench) -> Iterator[tuple[str, Statements]]:
    """Columns left out of the hash, in another order, without NULL mark or length; another hash; none."""
    dialect, whole = bench.source.dialect, guard(bench)
    texts = {column.name: dialect.field_text(column) for column in bench.table.hashed}
    for name, text in texts.items():
        yield f"without {name}", everywhere(bench, whole, whole.replace(text, "''", 1))
        yield f"{name} is its NULL mark", everywhere(bench, whole, whole.replace(text, "'~'", 1))
        for other, swapped in texts.items():
            if name < other:
                order = whole.replace(text, "\0", 1).replace(swapped, text, 1).replace("\0", swapped, 1)
                yield f"{name} and {other} swapped", everywhere(bench, whole, order)
    for old, new in {
        " = ": " <> ",
        "'|'": "''",
        "'~'": "''",
        "':'": "''",
        "LENGTH": "CHAR_LENGTH",
        "octet_length": "length",
        "IS NULL": "IS NOT NULL",
        "256": "224",
    }.items():
        for found in re.finditer(rf"(?<![A-Za-z_]){re.escape(old)}", whole):
            change = whole[: found.start()] + new + whole[found.end() :]
            yield f"{old} at {found.start()} is {new}", everywhere(bench, whole, change)
    yield "no guard", everywhere(bench, whole, "TRUE")
    yield "a guard or nothing", everywhere(bench, whole, f"({whole} OR TRUE)")
    yield "nothing passes", everywhere(bench, whole, f"({whole} AND FALSE)")
    for text in statements(bench):
        if whole in text:
            yield f"no guard in {text[:12].strip()!r} alone", {text: text.replace(whole, "TRUE")}


def of_the_rest(bench: Bench) -> Iterator[tuple[str, Statements]]:
    """The join with the keys, the lock and the log."""
    dialect, texts = bench.source.dialect, statements(bench)
    join = dialect.matches(bench.table, "v.k{}".format)
    for match in join.split(" AND "):
        yield f"joined without {match}", everywhere(bench, match, "TRUE")
    yield "another row's keys", everywhere(bench, join, join.replace(" = ", " <> ", 1))
    yield "any key", everywhere(bench, join, f"({join} OR TRUE)".replace(" AND ", " OR "))
    if bench.source.flavour == "postgres":
        (delete,) = texts
        changes = {
            "v.h AS row_hash": "v.k1::text AS row_hash",
            "SELECT %s, %s, row_key, row_hash FROM deleted": "SELECT %s, %s, row_key, row_hash FROM deleted WHERE FALSE",
            "SELECT %s, %s, row_key": "SELECT 'other', %s, row_key",
            "SELECT %s, %s,": "SELECT %s, 'other',",
            "RETURNING row_key\n": "RETURNING row_hash AS row_key\n",
            "(batch_id, table_name,": "(table_name, batch_id,",
            "table_name, row_key, row_hash)": "table_name, row_hash, row_key)",
            "DELETE FROM": "SELECT * FROM",
        }
        for old, new in changes.items():
            yield new, {delete: delete.replace(old, new)}
        return
    log, logged, delete = texts
    hashed = f"v.k{len(bench.table.primary_key)}"
    locking = bench.source.lock_table  # type: ignore[attr-defined]
    yield "nothing is locked", {log: log.replace(locking, "")}
    yield "nothing is logged", {log: None}
    yield "nothing is deleted", {delete: None}
    yield "one row is logged", {log: log.replace(locking, f"LIMIT 1 {locking}")}
    yield "another batch is logged", {log: log.replace("SELECT %s, %s", "SELECT CONCAT(%s, 'x'), %s")}
    yield "another table is logged", {log: log.replace("SELECT %s, %s", "SELECT %s, CONCAT(%s, 'x')")}
    yield (
        "hash and key are swapped in the log",
        {log: log.replace("row_key, row_hash)", "row_hash, row_key)")},
    )
    yield (
        "one key's hash is logged for all",
        {log: log.replace(f", {hashed}\n", f", {dialect.row_key(bench.table)}\n")},
    )
    yield "another batch's log is read", {logged: logged.replace("=", "<>", 1)}
    yield "no log is read", {logged: None}
    yield "one row is deleted", {delete: delete.replace(join, f"{join} AND t.a = 1")}
    for match in join.split(" AND "):
        yield f"deleted without {match}", {delete: delete.replace(match, "TRUE")}


def test_the_scenario_holds_for_the_sql_as_it_is(bench: Bench) -> None:
    outcome = bench.outcome({})
    assert isinstance(outcome, list)
    *lockable, left, log, returned = outcome
    gone = {row[:2] for row in EQUAL}
    assert left == sorted(row[:2] for row in CHANGED + GIVEN_ANOTHERS_HASH + NOT_GIVEN)
    assert log == sorted((bench.batch, str(bench.table.id), *pair) for pair in bench.expected.items())
    assert returned == sorted(bench.expected)
    assert all(gone.isdisjoint(keys) for keys in lockable)
    assert len(lockable) == (bench.source.flavour != "postgres")
    assert bench.outcome({}) == outcome


@pytest.mark.parametrize("mutations", [flips, of_the_hash, of_the_rest], ids=lambda found: found.__name__)
def test_every_mutant_is_noticed(
    bench: Bench, mutations: Callable[[Bench], Iterator[tuple[str, Statements]]]
) -> None:
    right, survivors, kinds = bench.outcome({}), [], Counter[str]()
    for name, mutant in mutations(bench):
        assert mutant, name
        assert all(new != old for old, new in mutant.items()), name
        found = bench.outcome(mutant)
        kinds[type(found).__name__] += 1
        if found == right:
            survivors.append(name)
    assert survivors == []
    # Not all of them for being no SQL at all.
    assert kinds["list"] + kinds["RefusedError"] > 5, kinds
    assert bench.outcome({}) == right
