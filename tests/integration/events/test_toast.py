"""Values that PostgreSQL leaves out of an update because they are stored out of line (TOAST) and did not change.

With REPLICA IDENTITY DEFAULT the archive completes them from what it knows, exactly, or marks the row as incomplete.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from confluent_kafka import TopicPartition

from airflow_provider_chista.archive import positions
from airflow_provider_chista.archive.barrier import Barrier, ConnectorFailedError
from airflow_provider_chista.archive.drain import DrainLimits
from airflow_provider_chista.archive.preflight import ArchivePlan, preflight
from airflow_provider_chista.archive.sinks import DeletePolicy
from airflow_provider_chista.clickhouse import sql
from airflow_provider_chista.clickhouse.choices import Choice, Choices
from airflow_provider_chista.debezium.config import topic_name
from airflow_provider_chista.debezium.envelope import has_placeholder
from airflow_provider_chista.errors import FatalError, RefusedError
from airflow_provider_chista.findings import Severity
from airflow_provider_chista.model import TableId, Window
from tests.integration.archive.conftest import Store
from tests.integration.events.conftest import (
    Opened,
    barrier_of,
    dead_letters,
    drain_all,
    forget_positions,
    incomplete,
    require_same,
    transaction,
)
from tests.integration.support import services
from tests.integration.support.archives import Archive
from tests.integration.support.engines import Connector, connector, wait_for


@dataclass(frozen=True)
class Big:
    """A type whose values can be stored out of line.

    :param sql: a large value, different for each number ``{n}``; ``big(n)`` is a text of 320 characters.
    """

    name: str
    ddl: str
    sql: str


def _array(element: str, length: int = 9) -> str:
    return f"(SELECT array_agg({element}) FROM generate_series(1, {length}) i)"


BIG = (
    Big("text", "text", "big({n})"),
    Big("varchar", "varchar(9000)", "big({n})"),
    Big("chars", "char(4000)", "big({n})"),
    Big("citext", "public.citext", "upper(big({n}))"),
    Big("bytea", "bytea", "decode(big({n}) || big({n} + 1), 'hex')"),
    Big("json", "json", "json_build_object('k', big({n}))"),
    Big("jsonb", "jsonb", "jsonb_build_object('k', big({n}))"),
    Big("xml", "xml", "xmlparse(content '<a>' || big({n}) || '</a>')"),
    Big("digits", "numeric", "(translate(big({n}), 'abcdef', '123456') || '.50')::numeric"),
    Big("fixed", "numeric(1000, 500)", "(translate(big({n}), 'abcdef', '123456') || '.25')::numeric"),
    Big("vector", "tsvector", "(SELECT string_agg(md5(i::text || {n}), ' ') FROM generate_series(1, 9) i)::tsvector"),
    Big("hstore", "public.hstore", "public.hstore('k', big({n}))"),
    Big("comp", "{schema}.comp", "row({n}, big({n}))::{schema}.comp"),
    Big("spans", "int4multirange", "(SELECT range_agg(int4range(i * 9, i * 9 + 2 + {n} % 5)) FROM generate_series(1, 40) i)"),
    Big("span", "numrange", "numrange(0, translate(big({n}), 'abcdef', '123456')::numeric + 1)"),
    Big("path", "jsonpath", "('$.\"' || big({n}) || '\"')::jsonpath"),
    Big("tree", "public.ltree", "(SELECT string_agg(md5(i::text || {n}), '.') FROM generate_series(1, 9) i)::public.ltree"),
    Big("texts", "text[]", _array("md5(i::text || {n})")),
    Big("varchars", "varchar(40)[]", _array("md5(i::text || {n})")),
    Big("charss", "char(40)[]", _array("md5(i::text || {n})")),
    Big("jsons", "json[]", _array("to_json(md5(i::text || {n}))")),
    Big("jsonbs", "jsonb[]", _array("to_jsonb(md5(i::text || {n}))")),
    Big("ints", "int[]", _array("i * {n}", 80)),
    Big("bigints", "bigint[]", _array("i::bigint * {n}", 40)),
    Big("dates", "date[]", _array("date '2000-01-01' + i * {n}", 80)),
    Big("uuids", "uuid[]", _array("md5(i::text || {n})::uuid", 20)),
    Big("byteas", "bytea[]", _array("decode(md5(i::text || {n}), 'hex')", 20)),
)  # fmt: skip
WORK = ("text", "bytea", "jsonb", "xml", "digits", "hstore", "texts", "ints", "uuids")
"""Types of the table of the random workload."""

ROWS = "day DATE NOT NULL, n INT NOT NULL, t TEXT NULL, tn TEXT NOT NULL, b BYTEA NULL"


def wide(names: tuple[str, ...] | None = None) -> str:
    """A NULL and a NOT NULL column of each type."""
    chosen = [big for big in BIG if names is None or big.name in names]
    columns = ", ".join(f'"{big.name}" {big.ddl} NULL, "{big.name}_nn" {big.ddl} NOT NULL' for big in chosen)
    return f"(id INT PRIMARY KEY, n INT NOT NULL, {columns})"


TABLES = {
    "types": wide(),
    "types_full": wide(),
    "work": wide(WORK),
    "middle": f"(id INT PRIMARY KEY, {ROWS})",
    "split": f"(id INT PRIMARY KEY, {ROWS})",
    "lost": f"(id INT PRIMARY KEY, {ROWS})",
}


def external(schema: str, table: str, names: list[str]) -> str:
    """Of a row of more than 2,000 bytes, all values of these columns above 24 bytes are moved out of line."""
    columns = ", ".join(f'ALTER "{name}" SET STORAGE EXTERNAL' for name in names)
    return f"ALTER TABLE {schema}.{table} SET (toast_tuple_target = 128), {columns}"


@pytest.fixture(scope="module")
def toasted(store: Store) -> Iterator[Connector]:
    with connector("postgres", {}, captured=list(TABLES)) as made:
        schema = made.schema
        made.engine.execute(
            *(
                f"CREATE EXTENSION IF NOT EXISTS {name} SCHEMA public"
                for name in ("citext", "hstore", "ltree")
            ),
            f"CREATE FUNCTION {schema}.big(n INT, parts INT DEFAULT 10) RETURNS TEXT LANGUAGE sql IMMUTABLE AS"
            " 'SELECT string_agg(md5(n::text || i), '''') FROM generate_series(1, parts) i'",
            f"CREATE TYPE {schema}.comp AS (i INT, t TEXT)",
            *(
                f"CREATE TABLE {schema}.{name} {body}".replace("{schema}", schema)
                for name, body in TABLES.items()
            ),
            *(external(schema, name, ["t", "tn", "b"]) for name in ("middle", "split", "lost")),
            *(
                external(schema, name, [f"{big.name}{ending}" for big in BIG for ending in ("", "_nn")])
                for name in ("types", "types_full")
            ),
            external(schema, "work", [f"{name}{ending}" for name in WORK for ending in ("", "_nn")]),
            f"ALTER TABLE {schema}.types_full REPLICA IDENTITY FULL",
        )
        services.create_topic(topic_name(made.name, TableId(schema, "split")), partitions=2)
        made.register()
        yield made


def big(schema: str, name: str, number: int) -> str:
    """SQL of a large value of a type."""
    found = next(each for each in BIG if each.name == name)
    return found.sql.replace("{n}", str(number)).replace("big(", f"{schema}.big(").replace("{schema}", schema)


@dataclass(frozen=True)
class Seen:
    """One record with a placeholder: operation, columns that are left out, whether the row's key changed."""

    op: str
    columns: frozenset[str]
    moved: bool


def placeholders(archive: Archive) -> list[Seen]:
    """The records of the table's topic that leave values out."""
    kafka, topic = services.kafka(), archive.table_drain().topic
    state = kafka.describe(topic)
    decoder = msgspec.json.Decoder(dict[str, msgspec.Raw])
    found = []
    for records in kafka.read(
        topic, {p: (state.lows[p], end) for p, end in state.ends.items()}, keep_headers=lambda value: True
    ):
        for record in records:
            if record.value and has_placeholder(record.value):
                event = decoder.decode(record.value)
                after = decoder.decode(event["after"])
                names = frozenset(name for name, raw in after.items() if has_placeholder(bytes(raw)))
                moved = any(name == "__debezium.oldkey" for name, _ in record.headers or ())
                found.append(Seen(json.loads(bytes(event["op"])), names, moved))
    return found


def write_every_kind_of_change(made: Connector, table: str, names: list[str]) -> None:
    """Rows 1 to 3 are there before; the changes touch rows in every way that leaves values out."""
    schema, name = made.schema, f"{made.schema}.{table}"
    every = [f"{each}{ending}" for each in names for ending in ("", "_nn")]

    def row(number: int) -> str:
        return f"({number}, 0, {', '.join(big(schema, each, number) for each in names for _ in range(2))})"

    def move(old: int, new: int) -> str:
        return f"UPDATE {name} SET id = {new} WHERE id = {old}"

    to_null = ", ".join(f'"{each}" = NULL' for each in names)
    others = ", ".join(f'"{each}_nn" = {big(schema, each, 90)}' for each in names[::2])
    made.engine.execute(
        f"UPDATE {name} SET n = 1 WHERE id = 1",
        f"UPDATE {name} SET n = 2, {others} WHERE id = 2",  # some of the large values, others stay
        f"UPDATE {name} SET {to_null} WHERE id = 3",
        f"UPDATE {name} SET n = 3 WHERE id = 3",
        f"INSERT INTO {name} VALUES {row(4)}",
        f"UPDATE {name} SET n = 4 WHERE id = 4",  # right behind the insert
        f"UPDATE {name} SET n = 5 WHERE id = 4",
        move(1, 11),  # the new row lacks its values too
        f"UPDATE {name} SET n = 6 WHERE id = 11",
    )
    transaction(made, move(2, -1), move(4, 2), move(-1, 4))
    transaction(
        made,
        f"DELETE FROM {name} WHERE id = 3",
        f"INSERT INTO {name} VALUES {row(3).replace('(3, 0', '(3, 7')}",
        f"UPDATE {name} SET n = 8 WHERE id = 3",
    )
    made.engine.execute(
        f"DELETE FROM {name} WHERE id = 4", f"INSERT INTO {name} VALUES {row(4)}", move(4, 44)
    )
    assert len(every) == 2 * len(names)


def insert_three(made: Connector, table: str, names: list[str]) -> None:
    rows = ", ".join(
        f"({n}, 0, {', '.join(big(made.schema, each, n) for each in names for _ in range(2))})"
        for n in (1, 2, 3)
    )
    made.engine.execute(f"INSERT INTO {made.schema}.{table} VALUES {rows}")


@pytest.mark.timeout(240)
def test_every_shape_of_the_placeholder_is_completed(toasted: Connector, opened: Opened) -> None:
    names = [each.name for each in BIG]
    archives = [
        opened(toasted, "types", policy, limits=limits)
        for policy, limits in (
            (DeletePolicy.ARCHIVE, DrainLimits()),
            (DeletePolicy.ARCHIVE, DrainLimits(batch_rows=1)),
            (DeletePolicy.MIRROR, DrainLimits(batch_rows=2)),
            (DeletePolicy.MIRROR, DrainLimits(batch_rows=3)),
        )
    ]
    chosen = Choices(
        types={"text": Choice("LowCardinality(String)"), "jsonb": Choice("JSON", provable=False)}
    )
    other_types = opened(
        toasted, "types", DeletePolicy.MIRROR, limits=DrainLimits(batch_rows=2), choices=chosen
    )
    insert_three(toasted, "types", names)
    drain_all(*archives, other_types)
    write_every_kind_of_change(toasted, "types", names)
    drain_all(*archives, other_types)
    for archive in (*archives, other_types):
        assert (incomplete(archive), dead_letters(archive.control, archive)) == ({}, [])
        assert require_same(archive).keys() == {"11", "2", "3", "44"}
    for archive in archives:
        assert archive.verify().rows == 4
    # Also in a type that need not be exact.
    found = other_types.client.query(
        f"SELECT id, toString(jsonb.k) FROM {sql.table(other_types.target)} FINAL"
    ).result_rows
    assert dict(found) == dict(toasted.engine.query(f"SELECT id, jsonb->>'k' FROM {other_types.id}"))

    seen = placeholders(archives[0])
    shapes: frozenset[str] = frozenset().union(*(record.columns for record in seen))
    assert shapes == {f"{name}{ending}" for name in names for ending in ("", "_nn")}
    moved = [record for record in seen if record.moved]
    assert {record.op for record in moved} == {"c"}
    assert len(moved) == 5


def test_with_replica_identity_full_nothing_is_left_out(toasted: Connector, opened: Opened) -> None:
    names = [each.name for each in BIG]
    archive = opened(toasted, "types_full", limits=DrainLimits(batch_rows=2))
    insert_three(toasted, "types_full", names)
    write_every_kind_of_change(toasted, "types_full", names)
    archive.drain()
    assert placeholders(archive) == []
    assert require_same(archive).keys() == {"11", "2", "3", "44"}
    assert (incomplete(archive), archive.verify().rows) == ({}, 4)


class Workload:
    """Random statements over a table of large values, in transactions; the same for the same seed."""

    def __init__(self, made: Connector, table: str, seed: int) -> None:
        self.made, self.name, self.chance = made, f"{made.schema}.{table}", random.Random(seed)
        self.alive: set[int] = set()
        self.number = 100

    def run(self, statements: int) -> None:
        written = 0
        while written < statements:
            block = [self.statement() for _ in range(self.chance.choice((1, 1, 2, 3)))]
            flat = [part for parts in block for part in parts]
            transaction(self.made, *flat)
            written += len(flat)

    def statement(self) -> list[str]:
        makers = (
            self.insert,
            self.update,
            self.update,
            self.update,
            self.move,
            self.swap,
            self.delete,
            self.again,
        )
        return self.chance.choice(makers if len(self.alive) > 4 else (self.insert,))()

    def value(self, name: str) -> str:
        self.number += 1
        kind = self.chance.random()
        if kind < 0.75:
            return big(self.made.schema, name, self.number)
        small = {
            "text": "'short'", "bytea": r"'\x00ff'", "jsonb": "'[1.50]'", "texts": "ARRAY[NULL, 'a,b']", "ints": "'{}'",
            "uuids": "ARRAY[]::uuid[]", "hstore": "'\"a\"=>NULL'", "digits": "-0.000", "xml": "'<b/>'",
        }  # fmt: skip
        return small[name]

    def nullable(self, name: str) -> str:
        return "NULL" if self.chance.random() < 0.15 else self.value(name)

    def free(self) -> int:
        return self.chance.choice([n for n in range(1, 40) if n not in self.alive])

    def living(self) -> int:
        return self.chance.choice(sorted(self.alive))

    def insert(self, key: int | None = None) -> list[str]:
        key = key if key is not None else self.free()
        self.alive.add(key)
        values = ", ".join(f"{self.nullable(name)}, {self.value(name)}" for name in WORK)
        return [f"INSERT INTO {self.name} VALUES ({key}, 0, {values})"]

    def update(self) -> list[str]:
        changed = self.chance.sample(WORK, self.chance.choice((0, 0, 1, 2, 5)))
        parts = ["n = n + 1"]
        for name in changed:
            column, value = self.chance.choice(((name, self.nullable), (f"{name}_nn", self.value)))
            parts.append(f'"{column}" = {value(name)}')
        return [f"UPDATE {self.name} SET {', '.join(parts)} WHERE id = {self.living()}"]

    def move(self) -> list[str]:
        old, new = self.living(), self.free()
        self.alive ^= {old, new}
        more = f", text = {self.value('text')}" if self.chance.random() < 0.3 else ""
        return [f"UPDATE {self.name} SET id = {new}{more} WHERE id = {old}"]

    def swap(self) -> list[str]:
        first, second = self.chance.sample(sorted(self.alive), 2)
        pairs = ((first, -1), (second, first), (-1, second))
        return [f"UPDATE {self.name} SET id = {new} WHERE id = {old}" for old, new in pairs]

    def delete(self) -> list[str]:
        key = self.living()
        self.alive.remove(key)
        return [f"DELETE FROM {self.name} WHERE id = {key}"]

    def again(self) -> list[str]:
        key = self.living()
        return [f"DELETE FROM {self.name} WHERE id = {key}", *self.insert(key)]


class KilledError(Exception):
    """Stands for a kill between the insert and the record of the position."""


def drain_with_kills(
    archive: Archive, stand: Barrier, chance: random.Random, patch: pytest.MonkeyPatch
) -> int:
    """Drain to a barrier, killed often; merges remove replaced rows before each new try. Return the number of kills."""
    record, kills = positions.record, 0

    def dying(*arguments: Any) -> None:
        if chance.random() < 0.15:
            raise KilledError
        record(*arguments)

    while True:
        archive.limits = DrainLimits(batch_rows=chance.choice((2, 5, 9, 40)))
        patch.setattr(positions, "record", dying)
        try:
            archive.table_drain().run(stand)
            return kills
        except KilledError:
            kills += 1
            archive.client.command(f"OPTIMIZE TABLE {sql.table(archive.target)} FINAL")
        finally:
            patch.setattr(positions, "record", record)


def contents(archive: Archive) -> dict[str, tuple[Any, ...]]:
    """Version and canonical texts of each visible row, by key."""
    keys = sorted(archive.archive_keys())
    fields, visible = archive.manifests().fields(keys), archive.manifests().visible(keys)
    return {key: (visible[key], fields[key]) for key in keys}


@pytest.mark.timeout(280)
def test_a_random_workload_is_archived_exactly_whatever_the_batches_and_kills(
    toasted: Connector, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance, workload = random.Random(11), Workload(toasted, "work", seed=4)
    archives = [opened(toasted, "work", policy) for policy in (DeletePolicy.ARCHIVE, DeletePolicy.MIRROR)]
    killed = opened(toasted, "work", DeletePolicy.MIRROR)
    kills = 0
    for _ in range(5):
        workload.run(60)
        for archive in archives:
            archive.limits = DrainLimits(batch_rows=chance.choice((3, 7, 50_000)))
        stand = barrier_of(*archives, killed)
        for archive in archives:
            archive.table_drain().run(stand)
        kills += drain_with_kills(killed, stand, chance, monkeypatch)
    assert kills >= 10
    seen = placeholders(killed)
    assert len(seen) > 100
    assert sum(record.moved for record in seen) > 20
    for archive in (*archives, killed):
        assert (incomplete(archive), dead_letters(archive.control, archive)) == ({}, [])
        assert len(require_same(archive)) == archive.verify().rows == len(workload.alive)
    expected = contents(archives[1])
    assert contents(killed) == expected

    # All of the topic once more, over an archive that has forgotten every row that was replaced.
    for archive in (*archives, killed):
        archive.client.command(f"OPTIMIZE TABLE {sql.table(archive.target)} FINAL")
        forget_positions(archive)
        archive.limits = DrainLimits(batch_rows=chance.choice((4, 17)))
    drain_all(*archives, killed)
    for archive in (*archives, killed):
        assert incomplete(archive) == {}
        assert contents(archive) == expected


JANUARY = Window("day", datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 2, 1, tzinfo=UTC))


def insert_rows(made: Connector, table: str, *ids: int, day: str = "2024-01-05") -> None:
    large = f"{made.schema}.big"
    made.engine.execute(
        *(
            f"INSERT INTO {made.schema}.{table} VALUES ({n}, '{day}', 0, {large}({n}, 90), {large}({n} + 1000, 90),"
            f" decode({large}({n}, 180), 'hex'))"
            for n in ids
        )
    )


def test_a_row_whose_values_are_unknown_is_incomplete_visible_and_never_purged(
    toasted: Connector, opened: Opened
) -> None:
    table, schema = f"{toasted.schema}.middle", toasted.schema
    archive = opened(toasted, "middle", limits=DrainLimits(batch_rows=1))
    insert_rows(toasted, "middle", 1, day="2024-03-01")
    insert_rows(toasted, "middle", 2, 3)
    # The inserts are gone from the topic before the archive begins.
    [ends] = [
        ends for topic, ends in barrier_of(archive).ends.items() if topic == archive.table_drain().topic
    ]
    admin = services.kafka().admin()
    for future in admin.delete_records([TopicPartition(archive.table_drain().topic, 0, ends[0])]).values():
        future.result()
    whole = f"t = {schema}.big(7, 90), tn = {schema}.big(8, 90), b = decode({schema}.big(9, 180), 'hex')"
    toasted.engine.execute(
        f"UPDATE {table} SET n = 1 WHERE id = 1", f"UPDATE {table} SET {whole} WHERE id IN (2, 3)"
    )
    drain = archive.table_drain()
    drain.accept_gap = True
    drain.run(barrier_of(archive))
    assert incomplete(archive) == {"1": ["t", "tn", "b"]}
    toasted.engine.execute(
        f"UPDATE {table} SET n = 2 WHERE id = 1",
        f"UPDATE {table} SET id = 10 WHERE id = 1",
        f"UPDATE {table} SET t = 'known again' WHERE id = 10",
    )
    archive.drain()
    assert incomplete(archive) == {"10": ["tn", "b"]}
    shown = {row[0]: row[2:] for row in archive.shown()}
    assert shown[10] == (2, "known again", "", None)
    archive.manifests().freeze("hashes", None)
    hashes = {key: row_hash for block in archive.manifests().stream("hashes") for key, row_hash in block}
    assert {key: bool(row_hash) for key, row_hash in hashes.items()} == {"2": True, "3": True, "10": False}

    with pytest.raises(FatalError, match=r"0 missing .*1 differing.*key 10 is differing in tn, b"):
        archive.verify()
    archive.approve(archive.verify(JANUARY), JANUARY)
    refusal = rf"1 rows of {archive.target} are incomplete.*ALTER TABLE {table} REPLICA IDENTITY FULL"
    with pytest.raises(RefusedError, match=refusal):
        archive.purge(JANUARY)
    found = findings(archive)
    assert [severity for check, severity, _ in found if check == "incomplete rows"] == [Severity.PURGE]
    assert [
        text for check, severity, text in found if (check, severity) == ("replica identity", Severity.WARNING)
    ]

    # The remedy that the finding names.
    toasted.engine.execute(
        f"ALTER TABLE {table} REPLICA IDENTITY FULL", f"UPDATE {table} SET n = n WHERE id = 10"
    )
    archive.drain()
    assert incomplete(archive) == {}
    assert {check for check, _, _ in findings(archive)} & {"incomplete rows", "replica identity"} == set()
    archive.approve(archive.verify())
    assert archive.purge().deleted == 3


def findings(archive: Archive) -> list[tuple[str, Severity, str]]:
    """What the preflight finds about the table."""
    report = preflight(
        ArchivePlan(
            {archive.id: archive.target}, {}, publication=archive.connector.name, slot=archive.connector.name
        ),
        verify=archive.engine.source,
        purge=None,
        kafka=archive.capture.kafka,
        connect=archive.connector.connect,
        control=lambda: archive.control,
    )
    return [(finding.check, finding.severity, finding.found) for finding in report.findings]


def test_a_key_change_across_partitions_is_not_completed_from_another_row(
    toasted: Connector, opened: Opened
) -> None:
    """The old key's last values may be in a partition that is not drained yet, and the new key may have had a row before."""
    table = f"{toasted.schema}.split"
    archives = [
        opened(toasted, "split", policy, limits=DrainLimits(batch_rows=rows))
        for policy, rows in ((DeletePolicy.ARCHIVE, 50_000), (DeletePolicy.MIRROR, 2))
    ]
    insert_rows(toasted, "split", *range(1, 21))
    toasted.engine.execute(f"DELETE FROM {table} WHERE id BETWEEN 11 AND 20")
    drain_all(*archives)
    moves = [f"UPDATE {table} SET id = id + 10 WHERE id = {n}" for n in range(1, 6)]
    toasted.engine.execute(*moves, f"UPDATE {table} SET n = 1 WHERE id > 5")
    drain_all(*archives)
    for archive in archives:
        state = services.kafka().describe(archive.table_drain().topic)
        assert len(state.ends) == 2
        assert min(state.ends.values()) > 5
        assert incomplete(archive) == {str(n): ["t", "tn", "b"] for n in range(11, 16)}
        with pytest.raises(
            FatalError, match="0 missing from the archive, 0 only in the archive, 5 differing"
        ):
            archive.verify()
    toasted.engine.execute(f"UPDATE {table} SET t = 'a', tn = 'b', b = NULL WHERE id > 10")
    drain_all(*archives)
    for archive in archives:
        assert incomplete(archive) == {}
        assert len(require_same(archive)) == 10


def test_a_value_that_went_to_the_dead_letters_is_not_guessed_from_the_one_before(
    toasted: Connector, opened: Opened
) -> None:
    table, schema = f"{toasted.schema}.lost", toasted.schema
    archives = [
        opened(toasted, "lost", policy, limits=DrainLimits(batch_rows=rows))
        for policy, rows in (
            (DeletePolicy.ARCHIVE, 1),
            (DeletePolicy.ARCHIVE, 50_000),
            # The delete of the old key writes its row once more, with the content from before the dead letter.
            (DeletePolicy.MIRROR, 1),
        )
    ]
    insert_rows(toasted, "lost", 1, 2, 3, 4)
    toasted.engine.execute(
        # A day that the archive cannot hold, together with a new text.
        f"UPDATE {table} SET t = {schema}.big(5, 90), day = 'infinity' WHERE id IN (1, 2, 4)",
        f"UPDATE {table} SET day = '2024-01-06' WHERE id IN (1, 2, 3)",
        f"UPDATE {table} SET id = 20 WHERE id = 2",
        f"UPDATE {table} SET id = 40, day = '2024-01-07' WHERE id = 4",
    )
    drain_all(*archives)
    for archive in archives:
        assert len(dead_letters(archive.control, archive)) == 3
        assert incomplete(archive) == {key: ["t", "tn", "b"] for key in ("1", "20", "40")}
        before = contents(archive)
        archive.client.command(f"OPTIMIZE TABLE {sql.table(archive.target)} FINAL")
        forget_positions(archive)
        archive.limits = DrainLimits(batch_rows=2)
        archive.drain()
        assert contents(archive) == before
    toasted.engine.execute(f"UPDATE {table} SET t = 'c', tn = 'd', b = NULL WHERE id <> 3")
    drain_all(*archives)
    for archive in archives:
        assert incomplete(archive) == {}
        assert len(require_same(archive)) == 4


UNSENDABLE = {
    "small": "smallint[]", "money": "numeric(9, 2)[]", "flags": "boolean[]", "reals": "real[]", "nets": "inet[]",
    "moments": "timestamp[]", "zoned": "timestamptz[]", "stores": "public.hstore[]", "cases": "public.citext[]",
    "bits": "bit(200)",
}  # fmt: skip
SENDABLE = {
    "few_bits": "bit(128)",
    "texts": "text[]",
    "ids": "uuid[]",
    "raw": "bytea[]",
    "vector": "tsvector",
}


def test_columns_that_would_stop_the_connector_are_errors_of_the_preflight(toasted: Connector) -> None:
    table = TableId(toasted.schema, "unsendable")
    columns = ", ".join(f"{name} {ddl}" for name, ddl in (UNSENDABLE | SENDABLE).items())
    toasted.engine.execute(f"CREATE TABLE {table} (id INT PRIMARY KEY, {columns})")

    def errors() -> list[str]:
        with toasted.engine.source() as source:
            found = source.table_findings(source.catalogue(table))
        return [finding.found for finding in found if finding.severity is Severity.ERROR]

    assert errors() == [
        f"without REPLICA IDENTITY FULL an update of {table} that leaves {', '.join(UNSENDABLE)} as it was stops the"
        " connector when the value is stored out of line (TOAST)"
    ]
    plain = ", ".join(f"ALTER {name} SET STORAGE PLAIN" for name in list(UNSENDABLE)[1:])
    toasted.engine.execute(f"ALTER TABLE {table} {plain}")
    assert "that leaves small as it was" in errors()[0]
    toasted.engine.execute(f"ALTER TABLE {table} REPLICA IDENTITY FULL")
    assert errors() == []
    toasted.engine.execute(f"DROP TABLE {table}")


def test_such_a_column_really_stops_the_connector(opened: Opened) -> None:
    definition = "CREATE TABLE {schema}.flags (id INT PRIMARY KEY, n INT, flags BOOLEAN[])"
    with connector("postgres", {"flags": definition}) as made:
        made.register()
        archive = opened(made, "flags")
        archive.snapshot()
        many = "(SELECT array_agg(i % 3 = 0) FROM generate_series(1, 9000) i)"
        made.engine.execute(
            f"ALTER TABLE {archive.id} ALTER flags SET STORAGE EXTERNAL",
            f"INSERT INTO {archive.id} VALUES (1, 0, {many})",
            f"UPDATE {archive.id} SET n = 1",
        )
        wait_for(lambda: made.connect.status(made.name).failed)
        with pytest.raises(
            ConnectorFailedError, match=rf"Failed to properly convert data value for '{archive.id}.flags'"
        ):
            archive.drain()
