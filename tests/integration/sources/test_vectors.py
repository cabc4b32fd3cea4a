"""The published vectors in SQL: ClickHouse and each engine compute the texts, hashes, orders and digests of the document."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
import pytest
from clickhouse_connect.driver.client import Client

from airflow_provider_chista.clickhouse import ddl, layout, rowhash, sql
from airflow_provider_chista.clickhouse.load import insert_block
from airflow_provider_chista.clickhouse.types import TypeMap, probe
from airflow_provider_chista.model import Column, Kind, Table, TableId
from airflow_provider_chista.temporal import date_text, timestamp_text
from tests.integration.support import services
from tests.unit.docs.vectors import DIGESTS, KEYS, ORDERS, ROWS, decoded, kinds, typed

Vector = dict[str, Any]
Forms = tuple[str, ...]


def grouped(vectors: Sequence[Vector]) -> dict[Forms, list[Vector]]:
    """Vectors by their kinds, so that each group fits into one table, whose first column is its key."""
    found: dict[Forms, list[Vector]] = defaultdict(list)
    for vector in vectors:
        found[tuple(vector["kinds"])].append(vector)
    return found


GROUPS = grouped(ROWS)


# ClickHouse


@dataclass
class Server:
    client: Client
    types: TypeMap
    database: str

    def holding(
        self, forms: Forms, rows: Sequence[Sequence[Any]], key: Sequence[str], ddls: Mapping[int, str]
    ) -> Holding:
        """A new archive table with these rows, given as the decoder of change events gives them.

        :param ddls: types other than the default, by place.
        """
        columns = [typed(form).column(f"c{i}", nullable=f"c{i}" not in key) for i, form in enumerate(forms)]
        columns = [replace(column, stored_as=ddls.get(i)) for i, column in enumerate(columns)]
        target = TableId(self.database, f"t_{services.token()}")
        table = Table(TableId("s", "t"), tuple(columns), tuple(key))
        self.client.command(ddl.create_statement(self.types, table, target))
        arrays: dict[str, pa.Array[Any]] = {
            column.name: self.types.stored(column).array([row[i] for row in rows])
            for i, column in enumerate(columns)
        }
        count = len(rows)
        arrays |= {
            layout.VERSION: pa.array([1] * count, pa.uint64()),
            layout.DELETED: pa.array([0] * count, pa.uint8()),
            layout.OPERATION: pa.array(["r"] * count),
            layout.SOURCE_TIME: pa.array([0] * count, pa.timestamp("ms", tz="UTC")),
            layout.INCOMPLETE: pa.array([[]] * count, pa.list_(pa.string())),
        }
        insert_block(self.client, target, pa.table(arrays), services.token())
        return Holding(self, table, target)

    def fits(self, column: Column, value: Any) -> bool:
        """Whether the column's type holds the decoded value."""
        guard = self.types.stored(column).guard
        try:
            if guard and value is not None:
                guard(value)
        except ValueError:
            return False
        return True


@dataclass
class Holding:
    server: Server
    table: Table
    target: TableId

    def texts(self) -> list[tuple[str, str]]:
        """Text and hash of each row."""
        types = self.server.types
        return [
            (str(text), str(row_hash))
            for text, row_hash in self.server.client.query(
                f"SELECT {rowhash.text(types, self.table.columns)}, {rowhash.row_hash(types, self.table)}"
                f" FROM {sql.table(self.target)} FINAL"
            ).result_rows
        ]

    def keys(self) -> list[str]:
        """Row keys in the order of their streaming."""
        types = self.server.types
        statement = (
            f"SELECT {rowhash.row_key(types, self.table)} FROM {sql.table(self.target)} FINAL"
            f" ORDER BY {rowhash.order_by(types, self.table)}"
        )
        return [str(row[0]) for row in self.server.client.query(statement).result_rows]


@pytest.fixture(scope="module")
def clickhouse(stack_env: dict[str, str]) -> Iterator[Server]:
    client = services.clickhouse()
    with services.databases(client) as (database, _):
        yield Server(client, probe(client), database)


def decoded_row(forms: Sequence[str], values: Sequence[Any]) -> list[Any]:
    return [decoded(form, given) for form, given in zip(forms, values, strict=True)]


def test_clickhouse_has_text_and_hash_of_every_vector_in_its_default_types(clickhouse: Server) -> None:
    """Values that the default type does not hold are in a String, as archive tables have them."""
    checked = 0
    for forms, vectors in GROUPS.items():
        by_types: dict[tuple[int, ...], list[Vector]] = defaultdict(list)
        for vector in vectors:
            row = decoded_row(forms, vector["values"])
            beyond = [
                i
                for i, form in enumerate(forms)
                if not clickhouse.fits(typed(form).column("c", nullable=True), row[i])
            ]
            by_types[tuple(beyond)].append(vector)
        for beyond, some in by_types.items():
            held = clickhouse.holding(
                forms,
                [decoded_row(v["kinds"], v["values"]) for v in some],
                ["c0"],
                dict.fromkeys(beyond, "String"),
            )
            assert sorted(held.texts()) == sorted((v["text"], v["hash"]) for v in some), forms
            checked += len(some)
    assert checked == len(ROWS)


OTHERS: dict[str, Sequence[str]] = {
    "int8": ("Int16", "Int64"),
    "uint8": ("UInt64", "Int16"),
    "int64": ("Int64",),
    "bool": ("UInt8",),
    "decimal(10,2)": ("String", "Decimal(76, 2)"),
    "float32": ("Float64",),
    "ieee32": ("Float64",),
    "date": ("String", "Date32"),
    "time": ("String",),
    "datetime": ("String", "DateTime64(3, 'UTC')", "DateTime64(0, 'UTC')"),
    "uuid": ("String",),
    "text": ("LowCardinality(String)",),
}
"""Exact types that a user may choose."""


@pytest.mark.parametrize(
    ("form", "chosen"), [(form, chosen) for form, all_of in OTHERS.items() for chosen in all_of]
)
def test_clickhouse_has_the_same_texts_in_every_other_exact_type(
    clickhouse: Server, form: str, chosen: str
) -> None:
    column = replace(typed(form).column("c", nullable=True), stored_as=chosen)
    some = [v for v in GROUPS["int32", form] if clickhouse.fits(column, decoded(form, v["values"][1]))]
    assert len(some) >= 2
    held = clickhouse.holding(
        ("int32", form), [decoded_row(v["kinds"], v["values"]) for v in some], ["c0"], {1: chosen}
    )
    assert sorted(held.texts()) == sorted((v["text"], v["hash"]) for v in some)


@pytest.mark.parametrize("vector", KEYS, ids=lambda vector: vector["case"])
def test_clickhouse_has_the_text_of_a_key(clickhouse: Server, vector: Vector) -> None:
    names = [f"c{i}" for i in range(len(vector["kinds"]))]
    held = clickhouse.holding(
        tuple(vector["kinds"]), [decoded_row(vector["kinds"], vector["values"])], names, {}
    )
    assert held.keys() == [vector["key"]]


@pytest.mark.parametrize("vector", ORDERS, ids=lambda vector: vector["case"])
def test_clickhouse_has_the_order_of_keys(clickhouse: Server, vector: Vector) -> None:
    forms = tuple(vector["kinds"])
    rows = [decoded_row(forms, given) for given in vector["values"]]
    held = clickhouse.holding(forms, rows[::-1], [f"c{i}" for i in range(len(forms))], {})
    assert held.keys() == vector["keys"]


@pytest.mark.parametrize("vector", DIGESTS, ids=lambda vector: vector["case"])
def test_clickhouse_has_the_digest(clickhouse: Server, vector: Vector) -> None:
    found = clickhouse.client.query(
        f"SELECT {rowhash.DIGEST} FROM (SELECT arrayJoin({{hashes:Array(String)}}) AS row_hash)",
        parameters={"hashes": vector["hashes"]},
    ).result_rows
    assert found == [(vector["digest"],)]


# The engines

_MYSQL = {
    "int8": "TINYINT", "int16": "SMALLINT", "int32": "INT", "int64": "BIGINT", "uint8": "TINYINT UNSIGNED",
    "uint16": "SMALLINT UNSIGNED", "uint32": "INT UNSIGNED", "uint64": "BIGINT UNSIGNED", "float32": "FLOAT",
    "float64": "DOUBLE", "date": "DATE", "time": "TIME(6)", "datetime": "DATETIME(6)", "bytes": "VARBINARY({length})",
    "text": "VARCHAR({length}) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin",
}  # fmt: skip
TYPES: dict[str, dict[str, str]] = {
    "mysql": _MYSQL,
    "mariadb": {
        **_MYSQL, "uuid": "UUID", "text": "VARCHAR({length}) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin",
    },
    "postgres": {
        "int16": "smallint", "int32": "integer", "int64": "bigint", "uint32": "oid", "bool": "boolean", "ieee32": "real",
        "ieee64": "double precision", "date": "date", "time": "time", "datetime": "timestamp", "uuid": "uuid",
        "bytes": "bytea", "text": 'text COLLATE "en-x-icu"',
    },
}  # fmt: skip
"""The engine's type of each kind that it has; decimals besides."""

UNORDERED = {"mariadb": {"uuid"}}
"""Kinds that no primary key of the engine can have in an archived table."""

_ORDERED = {"int32", "int64", "uint64", "decimal(10,2)", "date", "datetime", "bytes", "text"}
ORDERED = {
    "mysql": _ORDERED,
    "mariadb": _ORDERED,
    "postgres": _ORDERED - {"uint64"} | {"bool", "uuid"},
}
"""Types whose order must have been seen."""

_YEARS = range(1, 10_000)


def _in_mysql(form: str, given: Any) -> bool:
    kind = typed(form)
    match kind.kind:
        case Kind.DECIMAL:
            return kind.precision <= 65 and kind.scale <= 30 and given != "NaN"
        case Kind.DATE | Kind.DATETIME:
            return isinstance(given, list) and given[0] in _YEARS
        case Kind.TIME:
            return abs(given) <= 3_020_399_000_000
    return True


def _in_mariadb(form: str, given: Any) -> bool:
    """MariaDB stores 0 for a negative zero."""
    return _in_mysql(form, given) and not (form.startswith("float") and int(given, 16) << 1 in (2**32, 2**64))


def _in_postgres(form: str, given: Any) -> bool:
    match typed(form).kind:
        case Kind.TIME:
            return 0 <= given <= 86_400_000_000
        case Kind.TEXT:
            return "\0" not in given
    return True


HOLDS: dict[str, Callable[[str, Any], bool]] = {
    "mysql": _in_mysql,
    "mariadb": _in_mariadb,
    "postgres": _in_postgres,
}
"""Whether an engine's type holds a value that is not NULL."""


def declared(flavour: str, form: str, length: int = 0) -> str | None:
    kind = typed(form)
    if kind.kind is Kind.DECIMAL:
        return f"DECIMAL({kind.precision}, {kind.scale})"
    known = TYPES[flavour].get(form)
    return known.format(length=length) if known else None


def is_held(flavour: str, forms: Sequence[str], values: Sequence[Any]) -> bool:
    pairs = list(zip(forms, values, strict=True))
    return all(declared(flavour, form) for form, _ in pairs) and all(
        given is None or HOLDS[flavour](form, given) for form, given in pairs
    )


def sent(form: str, given: Any) -> Any:
    """A typed value as the application's driver takes it."""
    value = decoded(form, given)
    if value is None:
        return None
    match typed(form).kind:
        case Kind.DATE:
            return date_text(value)
        case Kind.DATETIME:
            return timestamp_text(value)
    return value


def fill(schema: Any, forms: Forms, rows: Sequence[Sequence[Any]], key: Sequence[str], length: int) -> str:
    """A table of the engine with these rows of typed values; returns its name.

    :param length: of its texts and bytes.
    """
    name = f"v_{services.token()}"
    columns = [f"c{i} {declared(schema.flavour, form, length)}" for i, form in enumerate(forms)]
    schema.create(name, ", ".join([*columns, f"PRIMARY KEY ({', '.join(key)})"]))
    schema.insert(
        name, [tuple(sent(form, given) for form, given in zip(forms, row, strict=True)) for row in rows]
    )
    return name


def test_the_engine_has_text_and_hash_of_every_vector_that_it_can_hold(schema: Any) -> None:
    checked: set[Kind] = set()
    with schema.source("verify") as source:
        for forms, vectors in GROUPS.items():
            some = [vector for vector in vectors if is_held(schema.flavour, forms, vector["values"])]
            if not some:
                continue
            name = fill(schema, forms, [v["values"] for v in some], ["c0"], length=1_000)
            table = source.catalogue(schema.id(name))
            assert list(table.kinds) == kinds(some[0])
            hashes = [row_hash for chunk in source.hashes(table, None) for _, row_hash in chunk]
            assert sorted(hashes) == sorted(v["hash"] for v in some), forms
            keys = [v["text"].partition("|")[0] for v in some]
            found = source.rows(table, keys)
            texts = ["|".join("~" if text is None else text for text in found[key]) for key in keys]
            assert texts == [v["text"] for v in some]
            checked |= set(kinds(some[0]))
    assert checked == {*(Kind(form) for form in TYPES[schema.flavour]), Kind.DECIMAL}


def test_the_engine_has_text_and_order_of_keys(schema: Any) -> None:
    checked: set[str] = set()
    orders = [*ORDERS, *({**v, "values": [v["values"]], "keys": [v["key"]]} for v in KEYS)]
    with schema.source("verify") as source:
        for vector in orders:
            forms, rows = tuple(vector["kinds"]), vector["values"]
            if UNORDERED.get(schema.flavour, set()) & set(forms):
                continue
            if all(is_held(schema.flavour, forms, row) for row in rows):
                name = fill(schema, forms, rows[::-1], [f"c{i}" for i in range(len(forms))], length=60)
                table = source.catalogue(schema.id(name))
                found = [key for chunk in source.hashes(table, None) for key, _ in chunk]
                assert found == vector["keys"], vector["case"]
                checked |= set(forms)
    assert checked >= ORDERED[schema.flavour]
