"""Tables whose values PostgreSQL stores out of line (TOAST), and what is done to them: data and statements, no tests."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import msgspec

from airflow_provider_chista.debezium.config import topic_name
from airflow_provider_chista.debezium.toast import has_placeholder
from airflow_provider_chista.model import TableId
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


@contextmanager
def toasted_connector(*, avro: bool = False) -> Iterator[Connector]:
    """A connector on the tables, whose values are stored out of line. :param avro: whether it writes Avro."""
    with connector("postgres", {}, captured=list(TABLES), avro=avro) as made:
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
        # What happens before it streams is in the snapshot, where nothing is left out.
        streams = f"SELECT 1 FROM pg_replication_slots WHERE slot_name = '{made.name}' AND active"
        wait_for(lambda: made.engine.query(streams))
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
    for records in kafka.read(topic, {p: (state.lows[p], end) for p, end in state.ends.items()}):
        for record in records:
            if record.value and has_placeholder(record.value):
                event = decoder.decode(record.value)
                after = decoder.decode(event["after"])
                names = frozenset(name for name, raw in after.items() if has_placeholder(bytes(raw)))
                moved = any(name == "__debezium.oldkey" for name, _ in record.headers)
                found.append(Seen(json.loads(bytes(event["op"])), names, moved))
    return found


def contents(archive: Archive) -> dict[str, tuple[Any, ...]]:
    """Version and canonical texts of each visible row, by key."""
    keys = sorted(archive.archive_keys())
    fields, visible = archive.manifests().fields(keys), archive.manifests().visible(keys)
    return {key: (visible[key], fields[key]) for key in keys}


def insert_rows(made: Connector, table: str, *ids: int, day: str = "2024-01-05") -> None:
    large = f"{made.schema}.big"
    made.engine.execute(
        *(
            f"INSERT INTO {made.schema}.{table} VALUES ({n}, '{day}', 0, {large}({n}, 90), {large}({n} + 1000, 90),"
            f" decode({large}({n}, 180), 'hex'))"
            for n in ids
        )
    )


def write_every_kind_of_change(made: Connector, table: str, names: list[str]) -> None:
    """Rows 1 to 3 are there before; the changes touch rows in every way that leaves values out."""
    schema, name = made.schema, f"{made.schema}.{table}"

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
    made.engine.execute("START TRANSACTION", move(2, -1), move(4, 2), move(-1, 4), "COMMIT")
    made.engine.execute(
        "START TRANSACTION",
        f"DELETE FROM {name} WHERE id = 3",
        f"INSERT INTO {name} VALUES {row(3).replace('(3, 0', '(3, 7')}",
        f"UPDATE {name} SET n = 8 WHERE id = 3",
        "COMMIT",
    )
    made.engine.execute(
        f"DELETE FROM {name} WHERE id = 4", f"INSERT INTO {name} VALUES {row(4)}", move(4, 44)
    )


def insert_three(made: Connector, table: str, names: list[str]) -> None:
    rows = ", ".join(
        f"({n}, 0, {', '.join(big(made.schema, each, n) for each in names for _ in range(2))})"
        for n in (1, 2, 3)
    )
    made.engine.execute(f"INSERT INTO {made.schema}.{table} VALUES {rows}")


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
            self.made.engine.execute("START TRANSACTION", *flat, "COMMIT")
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
