"""The guarded delete beside a delete by key list without proof, on each source."""

from __future__ import annotations

import time
import uuid
from functools import partial
from itertools import islice
from typing import Any

from airflow_provider_chista.model import Table, TableId
from airflow_provider_chista.sources import open_source
from airflow_provider_chista.sources.base import Source
from benchmarks.data import salaries
from benchmarks.services import source_connection

TXN_SIZE = 1_000
ENGINES = ("mysql", "mariadb", "postgres")


def measure(rows: int) -> dict[str, float]:
    """Rates in rows/s per source, and guarded to plain as ratio."""
    figures: dict[str, float] = {}
    for engine in ENGINES:
        schema = f"bench_{uuid.uuid4().hex[:12]}"
        connect = partial(source_connection, engine)
        connection = connect()
        cursor = connection.cursor()
        with open_source(connect) as source:
            try:
                table = _fill(source, cursor, connection, schema, rows)
                started = time.perf_counter()
                pairs = [pair for chunk in source.hashes(table, None) for pair in chunk]
                hashing = rows / (time.perf_counter() - started)
                half = len(pairs) // 2
                started = time.perf_counter()
                _plain_delete(cursor, connection, schema, [key for key, _ in pairs[half:]])
                plain = (len(pairs) - half) / (time.perf_counter() - started)
                batch = str(uuid.uuid4())
                started = time.perf_counter()
                deleted = 0
                for start in range(0, half, TXN_SIZE):
                    deleted += len(
                        source.guarded_delete(table, batch, pairs[start : min(start + TXN_SIZE, half)])
                    )
                guarded = half / (time.perf_counter() - started)
                if deleted != half or source.count(table, None):
                    raise SystemExit(f"{engine}: {deleted} of {half} rows were deleted")
                while source.trim_log(batch):
                    pass
            finally:
                connection.rollback()
                cursor.execute(
                    f"DROP SCHEMA IF EXISTS {schema}" + (" CASCADE" if engine == "postgres" else "")
                )
                connection.commit()
                connection.close()
        figures |= {
            f"{engine}: row hashes streamed": hashing,
            f"{engine}: delete by key list, {TXN_SIZE} a transaction": plain,
            f"{engine}: guarded delete, {TXN_SIZE} a transaction": guarded,
            f"{engine}: ratio of guarded to plain": guarded / plain,
        }
    return figures


def _fill(source: Source, cursor: Any, connection: Any, schema: str, rows: int) -> Table:
    cursor.execute(f"CREATE SCHEMA {schema}")
    cursor.execute(
        f"CREATE TABLE {schema}.salaries (emp_no INT NOT NULL, salary INT NOT NULL, from_date DATE NOT NULL,"
        " to_date DATE NOT NULL, note VARCHAR(255), PRIMARY KEY (emp_no, from_date))"
    )
    left = salaries(rows)
    while part := list(islice(left, 5_000)):
        values = [(*row, f"row {row[0]} | naïve ~ 'quoted'") for row in part]
        places = ", ".join(["(%s, %s, %s, %s, %s)"] * len(values))
        cursor.execute(
            f"INSERT INTO {schema}.salaries VALUES {places}", [value for row in values for value in row]
        )
    connection.commit()
    return source.catalogue(TableId(schema, "salaries"))


def _plain_delete(cursor: Any, connection: Any, schema: str, keys: list[str]) -> None:
    for start in range(0, len(keys), TXN_SIZE):
        pairs = [key.split("|") for key in keys[start : start + TXN_SIZE]]
        places = ", ".join(["(%s, %s)"] * len(pairs))
        cursor.execute(
            f"DELETE FROM {schema}.salaries WHERE (emp_no, from_date) IN ({places})",
            [value for pair in pairs for value in (int(pair[0]), pair[1])],
        )
        connection.commit()
