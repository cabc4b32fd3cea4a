"""The row hash: streamed from each source beside a query written by hand, and computed by ClickHouse over what it stored."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import islice
from typing import Any

from clickhouse_connect.driver.client import Client

from airflow_provider_chista.clickhouse import ddl, rowhash, sql
from airflow_provider_chista.clickhouse.types import probe
from airflow_provider_chista.model import Table, TableId
from airflow_provider_chista.sources import open_source
from airflow_provider_chista.sources.base import Source
from benchmarks.purge import ENGINES
from benchmarks.services import clickhouse, source_connection

TURNS = 9
"""Times that each source is read in both ways, by turns. The best of each counts: whatever else runs can only add to it."""

FETCHED = 20_000
"""Rows that a cursor fetches at once, in both ways."""

_COLUMNS = (
    "id BIGINT NOT NULL PRIMARY KEY, customer INT NOT NULL, status VARCHAR(20) NOT NULL, amount DECIMAL(12,2) NOT NULL,"
    " note VARCHAR(255), created {timestamp} NOT NULL, updated {instant} NOT NULL, paid {flag} NOT NULL"
)
_MYSQL = _COLUMNS.format(timestamp="DATETIME(6)", instant="TIMESTAMP(6)", flag="TINYINT(1)")
DDL = {
    "mysql": _MYSQL,
    "mariadb": _MYSQL,
    "postgres": _COLUMNS.format(timestamp="TIMESTAMP(6)", instant="TIMESTAMPTZ(6)", flag="BOOLEAN"),
}

_MYSQL_BY_HAND = """
    SELECT CAST(t.id AS CHAR), SHA2(CONCAT(
        t.id, '|', customer, '|', LENGTH(status), ':', status, '|', amount, '|',
        IF(note IS NULL, '~', CONCAT(LENGTH(note), ':', note)), '|', created, '|', updated, '|', paid), 256)
    FROM {table} t ORDER BY t.id"""
BY_HAND = {
    "mysql": _MYSQL_BY_HAND,
    "mariadb": _MYSQL_BY_HAND,
    "postgres": """
    SELECT t.id::text, encode(sha256(convert_to(
        t.id || '|' || customer || '|' || octet_length(status) || ':' || status || '|' || amount || '|'
        || COALESCE(octet_length(note) || ':' || note, '~') || '|' || to_char(created, 'YYYY-MM-DD HH24:MI:SS.US')
        || '|' || to_char(updated, 'YYYY-MM-DD HH24:MI:SS.US') || '|' || paid::int, 'UTF8')), 'hex')
    FROM {table} t ORDER BY t.id""",
}
"""What a person would write who knows the table: no test for NULL, no conversion that these columns do not need."""

Row = tuple[int, int, str, str, str | None, datetime, datetime, bool]

_STATES = ("new", "paid", "sent", "delivered", "returned")
_WORDS = "and then as many more words as it takes to make the text of a row as long as that of an ordinary table of orders"
_FIRST = datetime(2020, 1, 1, tzinfo=UTC)


def measure(rows: int) -> dict[str, float]:
    """Rates in rows/s; on the sources also the ratio to the query written by hand."""
    figures: dict[str, float] = {}
    digests: dict[str, str] = {}
    described: Table | None = None
    for engine in ENGINES:
        schema = f"bench_{uuid.uuid4().hex[:12]}"
        connection = source_connection(engine)
        try:
            fill(engine, connection, schema, rows)
            with open_source(partial(source_connection, engine)) as source:
                table = source.catalogue(TableId(schema, "orders"))
                described = described or table
                digests[engine] = _digest(pair for chunk in source.hashes(table, None) for pair in chunk)
                figures |= _streamed(engine, source, table, rows)
        finally:
            connection.rollback()
            ending = " CASCADE" if engine == "postgres" else ""
            connection.cursor().execute(f"DROP SCHEMA IF EXISTS {schema}{ending}")
            connection.commit()
            connection.close()
    assert described is not None
    archived, digests["clickhouse"] = _archived(described, rows)
    if len(set(digests.values())) != 1:
        raise SystemExit(f"the row hashes are not the same everywhere: {digests}")
    return figures | archived


def _streamed(engine: str, source: Source, table: Table, rows: int) -> dict[str, float]:
    """Both ways to stream (key, hash), by turns and in changing order."""
    query = BY_HAND[engine].format(table=table.id)
    ways: dict[str, Callable[[], Iterator[Sequence[Any]]]] = {
        "hand": lambda: _by_hand(engine, source, query),
        "source": lambda: source.hashes(table, None, FETCHED),
    }
    seconds: dict[str, list[float]] = {"hand": [], "source": []}
    last: dict[str, Any] = {}
    for turn in range(TURNS):
        for way in sorted(ways, reverse=turn % 2 == 1):
            started, count = time.perf_counter(), 0
            for chunk in ways[way]():
                count += len(chunk)
                last[way] = tuple(chunk[-1])
            seconds[way].append(time.perf_counter() - started)
            if count != rows:
                raise SystemExit(f"{engine}: {count} of {rows} rows were streamed")
    if last["hand"] != last["source"]:
        raise SystemExit(f"{engine}: the query written by hand is of another hash: {last}")
    hand, own = min(seconds["hand"]), min(seconds["source"])
    return {
        f"{engine}: limit: query written by hand, streamed": rows / hand,
        f"{engine}: row hashes streamed": rows / own,
        f"{engine}: ratio to the query written by hand": hand / own,
    }


def _by_hand(engine: str, source: Source, query: str) -> Iterator[Sequence[Any]]:
    """The rows of a query on a connection of its own, whose session is set up as the source's is."""
    connection = source_connection(engine)
    try:
        source._prepare(connection)
        cursor: Any = source._streaming_cursor(connection)
        cursor.execute(query)
        while chunk := cursor.fetchmany(FETCHED):
            yield chunk
    finally:
        connection.close()


def _archived(table: Table, rows: int) -> tuple[dict[str, float], str]:
    """What one thread of ClickHouse computes over an archive table, and the digest of all hashes."""
    client, target = clickhouse(), TableId(f"archive_bench_{uuid.uuid4().hex[:12]}", "orders")
    try:
        types = probe(client)
        ddl.ensure_table(client, types, table, target)
        for part in parts(rows, 50_000):
            client.insert(str(target), part, column_names=[column.name for column in table.columns])
        row_hash, text = rowhash.row_hash(types, table), rowhash.text(types, table.hashed)
        figures = {
            f"clickhouse: {name}, one thread": rows / _seconds(client, f"SELECT {what} FROM {sql.table(target)}{final}")
            for name, what, final in (
                ("limit: row texts", text, ""),
                ("row hashes", row_hash, ""),
                ("row hashes of FINAL", row_hash, " FINAL"),
            )
        }  # fmt: skip
        hashes = f"(SELECT {row_hash} AS row_hash FROM {sql.table(target)} FINAL)"
        digest = client.query(f"SELECT {rowhash.DIGEST} FROM {hashes}").result_rows[0][0]
        length = client.query(f"SELECT avg(length({text})) FROM {sql.table(target)}").result_rows[0][0]
    finally:
        client.command(f"DROP DATABASE IF EXISTS {target.schema}")
        client.close()
    print(f"  (row text: {length:.0f} bytes)", flush=True)
    return figures, digest


def _seconds(client: Client, query: str) -> float:
    """The best of some runs whose result goes nowhere."""
    measured = []
    for _ in range(TURNS):
        started = time.perf_counter()
        client.raw_query(f"{query} FORMAT Null", settings={"max_threads": 1})
        measured.append(time.perf_counter() - started)
    return min(measured)


def _digest(pairs: Iterable[tuple[str, str]]) -> str:
    """As ``rowhash.DIGEST``: the count, and the sums of the first two 64-bit words of each hash."""
    count = first = second = 0
    for _, row_hash in pairs:
        count += 1
        first += int(row_hash[:16], 16)
        second += int(row_hash[16:32], 16)
    return f"{count}:{first % 2**64:016x}{second % 2**64:016x}"


def _orders(rows: int) -> Iterator[Row]:
    """The same rows each time, with a row text of about 220 bytes."""
    for number in range(rows):
        note = f"order {number * 31} | naïve ~ 'quoted', {_WORDS}"
        yield (
            number * 7 + 1,
            number % 9_973,
            _STATES[number % len(_STATES)],
            f"{number % 99_991}.{number % 100:02d}",
            note if number % 10 else None,
            _FIRST + timedelta(microseconds=number * 999_983),
            _FIRST + timedelta(microseconds=number * 1_999_993 + 123),
            number % 3 > 0,
        )


def parts(rows: int, size: int) -> Iterator[list[Row]]:
    left = _orders(rows)
    while part := list(islice(left, size)):
        yield part


def fill(engine: str, connection: Any, schema: str, rows: int) -> None:
    cursor = connection.cursor()
    cursor.execute(f"CREATE SCHEMA {schema}")
    cursor.execute(f"CREATE TABLE {schema}.orders ({DDL[engine]})")
    if engine == "postgres":
        with cursor.copy(f"COPY {schema}.orders FROM STDIN") as copy:
            for row in _orders(rows):
                copy.write_row(row)
    else:
        cursor.execute("SET time_zone = '+00:00'")
        for part in parts(rows, 10_000):
            cursor.executemany(f"INSERT INTO {schema}.orders VALUES (%s, %s, %s, %s, %s, %s, %s, %s)", part)
    connection.commit()
    cursor.execute(f"ANALYZE {'' if engine == 'postgres' else 'TABLE '}{schema}.orders")
    if engine != "postgres":
        cursor.fetchall()
    connection.commit()
