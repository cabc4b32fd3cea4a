"""The guarded delete beside a delete by key list without proof, over two connections, and beside pt-archiver on MariaDB."""

from __future__ import annotations

import shutil
import subprocess
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import islice
from typing import Any

from airflow_provider_chista.model import Table, TableId
from airflow_provider_chista.sources import open_source
from airflow_provider_chista.sources.base import Source
from benchmarks.data import salaries
from benchmarks.services import source_connection, stack
from stack.settings import HOST

TXN_SIZE = 1_000
CONNECTIONS = 2
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
                third = len(pairs) // 3
                plainly, singly, doubly = pairs[2 * third :], pairs[:third], pairs[third : 2 * third]
                started = time.perf_counter()
                _plain_delete(cursor, connection, schema, [key for key, _ in plainly])
                plain = len(plainly) / (time.perf_counter() - started)
                batch = str(uuid.uuid4())
                one = third / _guarded([source], table, batch, singly)
                with source.another() as second:
                    two = third / _guarded([source, second], table, batch, doubly)
                if source.count(table, None):
                    raise SystemExit(f"{engine}: {source.count(table, None)} rows were not deleted")
                while source.trim_log(batch):
                    pass
                figures |= (
                    _beside_pt_archiver(cursor, connection, schema, third, one) if engine == "mariadb" else {}
                )
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
            f"{engine}: guarded delete, {TXN_SIZE} a transaction": one,
            f"{engine}: ratio of guarded to plain": one / plain,
            f"{engine}: guarded delete over {CONNECTIONS} connections": two,
            f"{engine}: ratio of {CONNECTIONS} connections to one": two / one,
        }
    return figures


def _guarded(sources: list[Source], table: Table, batch: str, pairs: list[tuple[str, str]]) -> float:
    """Seconds that deleting all takes, each source with a connection of its own."""
    parts = [pairs[start : start + TXN_SIZE] for start in range(0, len(pairs), TXN_SIZE)]

    def work(number: int) -> int:
        mine = parts[number :: len(sources)]
        return sum(len(sources[number].guarded_delete(table, batch, part)) for part in mine)

    started = time.perf_counter()
    with ThreadPoolExecutor(len(sources)) as pool:
        deleted = sum(pool.map(work, range(len(sources))))
    seconds = time.perf_counter() - started
    if deleted != len(pairs):
        raise SystemExit(f"{deleted} of {len(pairs)} rows were deleted")
    return seconds


def _beside_pt_archiver(
    cursor: Any, connection: Any, schema: str, rows: int, ours: float
) -> dict[str, float]:
    """pt-archiver deletes as many rows of an equal table, in transactions of the same size."""
    if not shutil.which("pt-archiver"):
        print("  (pt-archiver is not installed: Debian's percona-toolkit has it)")
        return {}
    left = salaries(rows)
    while part := list(islice(left, 5_000)):
        values = [(*row, f"row {row[0]} | naïve ~ 'quoted'") for row in part]
        cursor.executemany(f"INSERT INTO {schema}.salaries VALUES (%s, %s, %s, %s, %s)", values)
    connection.commit()
    password = stack().secrets["CHISTA_MARIADB_ROOT_PASSWORD"]
    source = f"h={HOST},P={stack().ports['mariadb']},u=root,p={password},D={schema},t=salaries,A=utf8mb4"
    started = time.perf_counter()
    subprocess.run(
        [
            "pt-archiver",
            "--source",
            source,
            "--purge",
            "--where",
            "1=1",
            "--limit",
            str(TXN_SIZE),
            "--commit-each",
        ],
        check=True,
    )
    theirs = rows / (time.perf_counter() - started)
    cursor.execute(f"SELECT COUNT(*) FROM {schema}.salaries")
    # It keeps the row with the highest key of an AUTO_INCREMENT column; this table has none.
    if cursor.fetchall()[0][0]:
        raise SystemExit("pt-archiver left rows")
    return {"mariadb: pt-archiver --commit-each": theirs, "mariadb: ratio to pt-archiver": ours / theirs}


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
    cursor.execute(f"ANALYZE {'' if source.flavour == 'postgres' else 'TABLE '}{schema}.salaries")
    if source.flavour != "postgres":
        cursor.fetchall()
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
