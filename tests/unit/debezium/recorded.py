"""Recorded change events (``tests/data/recorded``), and their tables as the source's catalogue describes them."""

from __future__ import annotations

import base64
import functools
import gzip
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from airflow_provider_chista.debezium.settings import UNAVAILABLE_VALUE
from airflow_provider_chista.model import Column, Table, TableId
from airflow_provider_chista.sources.base import Source
from airflow_provider_chista.sources.catalogue import table_of_columns
from airflow_provider_chista.sources.mariadb import MariaDBSource
from airflow_provider_chista.sources.mysql import MySQLSource
from airflow_provider_chista.sources.mysqlfamily import MySQLFamilySource
from airflow_provider_chista.sources.postgres import PostgresSource
from airflow_provider_chista.sources.postgrestypes import CatalogueColumn, described

DATA = Path(__file__).parents[2] / "data" / "recorded"


def _no_connection() -> None:
    raise AssertionError("nothing here connects")


SOURCES: dict[str, Source] = {
    "mysql": MySQLSource(_no_connection),
    "mariadb": MariaDBSource(_no_connection),
    "postgres": PostgresSource(_no_connection),
}

MILLISECONDS = {("mysql", "t_defaults"): "dt", ("mariadb", "t_defaults"): "dt", ("postgres", "t_domain"): "s"}
"""Columns recorded in milliseconds, which the provider's ``time.precision.mode`` does not send."""

_RECORDED_VALUE = "__debezium_unavailable_value"


def _shapes(text: str) -> tuple[str, ...]:
    """The placeholder of an unchanged TOAST value in each shape that was recorded."""
    return text, base64.b64encode(text.encode()).decode(), ",".join(str(byte) for byte in text.encode())


PLACEHOLDERS = dict(zip(_shapes(_RECORDED_VALUE), _shapes(UNAVAILABLE_VALUE), strict=True))


@dataclass(frozen=True)
class Record:
    """One record of a table's topic."""

    topic: str
    key: bytes | None
    value: bytes | None

    @property
    def label(self) -> str:
        """The operation, the row's identity and what the row is about, such as ``c 1005 emoji``."""
        event = json.loads(self.value) if self.value else {"op": "tombstone"}
        row = event.get("after") or {}
        named = {name.lower(): value for name, value in row.items()}
        identity = named.get("id", named.get("a", ""))
        return " ".join(str(part) for part in (event["op"], identity, named.get("label", "")) if part != "")


@functools.cache
def _lines(engine: str) -> list[dict[str, str | None]]:
    with gzip.open(DATA / f"{engine}.jsonl.gz", "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def topics(engine: str) -> dict[str, str]:
    """Topic by table, for every table that was recorded."""
    return {str(line["topic"]).split(".", 2)[2]: str(line["topic"]) for line in _lines(engine)}


def records(engine: str, table: str) -> Iterator[Record]:
    """The records of a table, as they would have arrived under the provider's settings."""
    topic = topics(engine)[table]
    for line in _lines(engine):
        if line["topic"] == topic:
            key, value = (
                None if text is None else text.encode()
                for text in (line["key"], _adapted(engine, table, line["value"]))
            )
            yield Record(topic, key, value)


def _adapted(engine: str, table: str, value: str | None) -> str | None:
    if value is None:
        return None
    if (engine, table) in MILLISECONDS:
        value = re.sub(rf'("{MILLISECONDS[engine, table]}":\d+)', r"\g<1>000", value)
    if table == "t_toast":
        for recorded, ours in PLACEHOLDERS.items():
            value = value.replace(recorded, ours)
    return value


# Definitions, and what the catalogue prints for a type that is spelled otherwise in them.

_MYSQL_SPELLINGS = {
    "bool": "tinyint(1)",
    "decimal(10)": "decimal(10,0)",
    "int(10) zerofill": "int(10) unsigned zerofill",
}
_MARIADB_SPELLINGS = {"json": "longtext"}
_POSTGRES_SPELLINGS = {
    "int": "integer", "serial": "integer", "bigserial": "bigint", "smallserial": "smallint", "bool": "boolean",
    "varchar": "character varying", "char": "character", "varbit": "bit varying", "float8": "double precision",
}  # fmt: skip
_POSTGRES_TIMES = {
    "time": "time{} without time zone", "timetz": "time{} with time zone",
    "timestamp": "timestamp{} without time zone", "timestamptz": "timestamp{} with time zone",
}  # fmt: skip
_DOMAINS = {
    "posint": "int", "email": "varchar(60)", "price": "numeric(12,4)", "stamp": "timestamp(3)", "intlist": "int[]",
}  # fmt: skip
_CATEGORIES = {"mood": "e", "addr": "c"}
_EXTENSIONS = ("citext", "hstore", "ltree")

_COLUMN = re.compile(
    r'("[^"]+"|\w+) ("char"|[\w ]*?\w(?:\([^)]*\))?(?:\[\])?(?: UNSIGNED)?(?: ZEROFILL)?)(?= [A-Z]|$)(.*)'
)
_KEY = re.compile(r"PRIMARY KEY \(([^)]*)\)")


def _definition(engine: str, table: str) -> str:
    text = (DATA / f"{engine}.sql").read_text(encoding="utf-8")
    name = re.escape("T Mixed.Case" if table == "T_Mixed.Case" else table)
    found = re.search(rf'^CREATE TABLE "?{name}"? \((.*)\)[^()]*(?:\([^()]*\))?;$', text, re.MULTILINE)
    assert found, f"{table} of {engine} is not defined"
    return found[1]


def _parts(definition: str) -> list[str]:
    """A definition cut at the commas that are in no parentheses."""
    parts, depth = [""], 0
    for character in definition:
        depth += {"(": 1, ")": -1}.get(character, 0)
        if character == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return [part.strip() for part in parts]


def table(engine: str, name: str) -> Table:
    """The table as the catalogue described it, refused columns included."""
    definition = _definition(engine, "t_toast" if name == "t_toast_full" else name)
    columns: list[Column] = []
    key: list[str] = []
    generated = set()
    for part in _parts(definition):
        if listed := _KEY.match(part):
            key = [column.strip() for column in listed[1].split(",")]
            continue
        if part.startswith(("CONSTRAINT ", "UNIQUE KEY ")):
            continue
        found = _COLUMN.fullmatch(part)
        assert found, part
        column, options = found[1].strip('"'), found[3]
        if "PRIMARY KEY" in options:
            key = [column]
        if "GENERATED ALWAYS AS (" in options:
            generated.add(column)
        not_null = "NOT NULL" in options or "PRIMARY KEY" in options
        make = _postgres if engine == "postgres" else _mysql
        columns.append(make(engine, column, found[2], not_null))
    columns = [replace(column, nullable=column.nullable and column.name not in key) for column in columns]
    return table_of_columns(SOURCES[engine].dialect, TableId("s", name), columns, tuple(key), generated)


def _mysql(engine: str, name: str, spelled: str, not_null: bool) -> Column:
    head, bracket, rest = spelled.partition("(")
    declared = head.lower() + bracket + (rest if head in ("ENUM", "SET") else rest.lower())
    declared = re.sub(r"^numeric", "decimal", declared)
    declared = _MYSQL_SPELLINGS.get(declared, declared)
    if engine == "mariadb":
        declared = _MARIADB_SPELLINGS.get(declared, declared)
    source = SOURCES[engine]
    assert isinstance(source, MySQLFamilySource)
    return source._column(name, declared, "NO" if not_null else "YES", None)


def _postgres(engine: str, name: str, spelled: str, not_null: bool) -> Column:
    is_domain = spelled in _DOMAINS
    base = _printed(_DOMAINS.get(spelled, spelled))
    is_array = base.endswith("[]")
    element = base.removesuffix("[]") if is_array else None
    return described(
        CatalogueColumn(
            name,
            declared=spelled if is_domain else base,
            base=base,
            category="b" if is_array else _category(base),
            schema="s",
            type_name=f"_{element}" if is_array else base,
            extension=_extension(base),
            element=element,
            element_category=_category(element) if element else None,
            element_name=element,
            element_extension=_extension(element) if element else None,
            dimensions=int(is_array),
            not_null=not_null,
            generated=False,
            is_domain=is_domain,
        )
    )


def _printed(spelled: str) -> str:
    if spelled.endswith("[]"):
        return _printed(spelled.removesuffix("[]")) + "[]"
    head, bracket, rest = spelled.partition("(")
    if head in _POSTGRES_TIMES:
        return _POSTGRES_TIMES[head].format(bracket + rest)
    return _POSTGRES_SPELLINGS.get(head, head) + bracket + rest


def _category(base: str) -> str:
    return _CATEGORIES.get(
        base, "m" if base.endswith("multirange") else "r" if base.endswith("range") else "b"
    )


def _extension(base: str) -> str | None:
    return base if base in _EXTENSIONS else None
