"""The proof and the digest: beside the engine's own client that streams the same hashes to nowhere, and beside reladiff."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from airflow_provider_chista.archive.check import CheckOptions, Mode, check
from airflow_provider_chista.archive.ledger import Ledger
from airflow_provider_chista.archive.manifest import Manifests
from airflow_provider_chista.archive.verify import VerifyOptions, verify
from airflow_provider_chista.clickhouse import ddl
from airflow_provider_chista.clickhouse.control import Control
from airflow_provider_chista.clickhouse.types import probe
from airflow_provider_chista.errors import FatalError
from airflow_provider_chista.model import TableId
from airflow_provider_chista.sources import open_source
from airflow_provider_chista.sources.base import Source
from benchmarks.data import salaries
from benchmarks.purge import ENGINES
from benchmarks.services import clickhouse, source_connection, stack
from stack.settings import HOST

SALARIES = (
    "id BIGINT NOT NULL PRIMARY KEY, emp_no INT NOT NULL, salary INT NOT NULL, from_date DATE NOT NULL,"
    " to_date DATE NOT NULL"
)
"""With a key of its own: reladiff takes no date in a key."""
WIDE = (
    "id BIGINT NOT NULL PRIMARY KEY, "
    + ", ".join(f"n{i} INT NOT NULL" for i in range(6))
    + ", "
    + ", ".join(f"d{i} DECIMAL(12,2) NOT NULL" for i in range(3))
    + ", "
    + ", ".join(f"t{i} VARCHAR(60)" for i in range(6))
    + ", day0 DATE NOT NULL, day1 DATE NOT NULL, at0 TIMESTAMP(6) NULL, at1 TIMESTAMP(6) NULL"
)
_COMPARED = ("emp_no", "salary", "from_date", "to_date")
PARALLEL = 2
DIFFERENT = 0.01
_FIRST_DAY = "2020-01-"


def _wide(rows: int) -> Iterator[tuple[Any, ...]]:
    """20 columns, some 300 bytes of row text."""
    for n in range(rows):
        day = f"{_FIRST_DAY}{n % 28 + 1:02}"
        yield (
            n, *((n * (i + 3)) % 1_000_003 for i in range(6)), *(f"{n % 99_991}.{(n + i) % 100:02}" for i in range(3)),
            *(f"text {i} of row {n} | naïve" if (n + i) % 10 else None for i in range(6)), day, day,
            f"{day} 10:11:12.{n % 1_000_000:06}", None if n % 3 else f"{day} 01:02:03.000004",
        )  # fmt: skip


def _salaries(rows: int) -> Iterator[tuple[Any, ...]]:
    return ((number, *row) for number, row in enumerate(salaries(rows)))


TABLES: dict[str, tuple[str, Callable[[int], Iterator[tuple[Any, ...]]]]] = {
    "salaries": (SALARIES, _salaries),
    "wide": (WIDE, _wide),
}


@dataclass
class Place:
    """A table at a source and its archive, equal."""

    engine: str
    source: Source
    manifests: Manifests
    ledger: Ledger

    def prove(self, **options: Any) -> int:
        """Rows proven."""
        return verify(
            self.source,
            self.manifests,
            self.ledger,
            None,
            catch_up=lambda: None,
            options=VerifyOptions(**options),
        ).rows

    def digest(self) -> int:
        """Rows whose sums are equal."""
        options = CheckOptions(Mode.DIGEST, parallel=PARALLEL)
        return check(self.source, self.manifests, self.ledger, None, options, catch_up=lambda: None).rows

    def client(self) -> int:
        """The engine's own client (MySQL's: MariaDB's) streams the hashes to nowhere; rows are not counted by it."""
        statement = self.source.dialect.hashes(self.manifests.table, None)[0].replace("%%", "%")
        port, password = (
            stack().ports[self.engine],
            stack().secrets[f"CHISTA_{self.engine.upper()}_ROOT_PASSWORD"],
        )
        if self.engine == "postgres":
            command = [
                "psql", "-h", HOST, "-p", str(port), "-U", "postgres", "-d", "shipment_db", "-q",
                "-c", "SET TimeZone = 'UTC'",
                "-c", f"COPY ({statement}) TO STDOUT",
            ]  # fmt: skip
        else:
            command = [
                "mariadb",
                "-h",
                HOST,
                "-P",
                str(port),
                "-u",
                "root",
                "--quick",
                "-N",
                "-e",
                statement,
            ]
        environment = {**os.environ, "PGPASSWORD": password, "MYSQL_PWD": password}
        subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=True)
        return -1

    def reladiff(self, command: str) -> int:
        """Differences that reladiff finds in all columns."""
        port, password = (
            stack().ports[self.engine],
            stack().secrets[f"CHISTA_{self.engine.upper()}_ROOT_PASSWORD"],
        )
        table, target = self.manifests.table.id, self.manifests.target
        scheme, user, database = (
            ("postgresql", "postgres", "shipment_db")
            if self.engine == "postgres"
            else ("mysql", "root", table.schema)
        )
        name = str(table) if self.engine == "postgres" else table.name
        done = subprocess.run(
            [
                command, f"{scheme}://{user}:{password}@{HOST}:{port}/{database}", name,
                f"clickhouse://default:@{HOST}:{stack().ports['clickhouse_tcp']}/{target.schema}", target.name,
                "-k", "id", *(word for column in _COMPARED for word in ("-c", column)), "--json",
            ],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode or "ERROR" in done.stderr:
            raise SystemExit(f"reladiff failed: {done.stderr[-400:]}")
        return sum(line.startswith(('["-"', '["+"')) for line in done.stdout.splitlines())


@contextmanager
def place(engine: str, name: str, rows: int) -> Iterator[Place]:
    """Make source and archive of ``rows`` rows; both are dropped at the end."""
    columns, made = TABLES[name]
    schema = f"bench_{uuid.uuid4().hex[:12]}"
    connection, client = source_connection(engine), clickhouse()
    control = Control(client, f"state_{schema}")
    try:
        cursor = connection.cursor()
        cursor.execute(f"CREATE SCHEMA {schema}")
        cursor.execute(f"CREATE TABLE {schema}.{name} ({columns})")
        _fill(engine, cursor, f"{schema}.{name}", made(rows))
        connection.commit()
        cursor.execute(f"ANALYZE {'' if engine == 'postgres' else 'TABLE '}{schema}.{name}")
        if engine != "postgres":
            cursor.fetchall()
        connection.commit()
        control.ensure()
        with open_source(partial(source_connection, engine)) as source:
            types, target = probe(client), TableId(f"archive_{schema}", name)
            table = source.catalogue(TableId(schema, name))
            ddl.ensure_table(client, types, table, target)
            _archive(client, target, [column.name for column in table.columns], made(rows))
            yield Place(
                engine,
                source,
                Manifests(control, types, table, target),
                Ledger(control, f"{engine}:{table.id}", target, None),
            )
    finally:
        connection.rollback()
        # Every connector that is registered later would read them in its snapshot.
        connection.cursor().execute(f"DELETE FROM chista.purge_log WHERE table_name = '{schema}.{name}'")
        connection.cursor().execute(
            f"DROP SCHEMA IF EXISTS {schema}" + (" CASCADE" if engine == "postgres" else "")
        )
        connection.commit()
        connection.close()
        for database in (f"archive_{schema}", f"state_{schema}"):
            client.command(f"DROP DATABASE IF EXISTS {database} SYNC")
        client.close()


def _fill(engine: str, cursor: Any, table: str, rows: Iterator[tuple[Any, ...]]) -> None:
    if engine == "postgres":
        with cursor.copy(f"COPY {table} FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)
        return
    cursor.execute("SET time_zone = '+00:00'")
    while part := list(islice(rows, 10_000)):
        cursor.executemany(f"INSERT INTO {table} VALUES ({', '.join(['%s'] * len(part[0]))})", part)


def _archive(client: Any, target: TableId, columns: list[str], rows: Iterator[tuple[Any, ...]]) -> None:
    """Rows as texts, which ClickHouse parses."""
    while part := list(islice(rows, 100_000)):
        lines = "".join(
            "\t".join("\\N" if value is None else str(value) for value in (*row, 1)) + "\n" for row in part
        )
        client.raw_insert(str(target), [*columns, "_chista_version"], lines.encode(), fmt="TabSeparated")


def measure(rows: int) -> dict[str, float]:
    """Rates in rows/s, and ratios of runs of one round."""
    reladiff = os.environ.get("CHISTA_RELADIFF") or shutil.which("reladiff")
    if not reladiff:
        print(
            "  (reladiff is not installed: pip install 'reladiff[mysql,postgresql,clickhouse]', CHISTA_RELADIFF names it)"
        )
    figures: dict[str, float] = {}
    for engine in ENGINES:
        for name in TABLES:
            with place(engine, name, rows) as pair:
                label = f"{engine}, {name}"
                client, proof = _seconds(pair.client, -1), _seconds(pair.prove, rows)
                figures |= {
                    f"{label}: hashes by the engine's client": rows / client,
                    f"{label}: proof, one connection": rows / proof,
                    f"{label}: ratio of proof to client": client / proof,
                }
                # reladiff needs MD5(), which MySQL has not since 9.6, and finds equal dates of MariaDB different.
                if name == "salaries":
                    figures |= _beside_reladiff(label, pair, rows, reladiff if engine == "postgres" else None)
    return figures


def _beside_reladiff(label: str, pair: Place, rows: int, reladiff: str | None) -> dict[str, float]:
    digest = _seconds(pair.digest, rows)
    figures = {f"{label}: digest, {PARALLEL} connections": rows / digest}
    if reladiff:
        theirs = _seconds(partial(pair.reladiff, reladiff), 0)
        figures |= {
            f"{label}: reladiff, equal": rows / theirs,
            f"{label}: ratio of digest to reladiff": theirs / digest,
        }
    target = pair.manifests.target
    pair.manifests.control.client.command(
        f"INSERT INTO {target} SELECT * REPLACE (salary + 1 AS salary, 2 AS _chista_version) FROM {target}"
        f" WHERE id % {round(1 / DIFFERENT)} = 7"
    )
    # reladiff reads the table without FINAL.
    pair.manifests.control.client.command(f"OPTIMIZE TABLE {target} FINAL")
    wrong = int(
        pair.manifests.control.client.command(f"SELECT count() FROM {target} WHERE _chista_version = 2")
    )
    naming = _seconds(partial(_named, pair, wrong), wrong)
    figures[f"{label}: {DIFFERENT:.0%} differ, proof names all"] = rows / naming
    if reladiff:
        theirs = _seconds(partial(pair.reladiff, reladiff), 2 * wrong)
        figures |= {
            f"{label}: {DIFFERENT:.0%} differ, reladiff names all": rows / theirs,
            f"{label}: ratio, {DIFFERENT:.0%} differ": theirs / naming,
        }
    return figures


def _named(pair: Place, wrong: int) -> int:
    """Keys that a failing proof has named, after both of its comparisons."""
    try:
        pair.prove()
    except FatalError as error:
        found = re.search(r"(\d+) differing", str(error))
        return int(found[1]) if found else 0
    return 0


def _seconds(run: Callable[[], int], expected: int) -> float:
    started = time.perf_counter()
    found = run()
    seconds = time.perf_counter() - started
    if found != expected:
        raise SystemExit(f"{getattr(run, '__name__', run)}: {found} instead of {expected}")
    return seconds


def memory(rows: int) -> dict[str, float]:
    """Peak memory in MiB of a new process that proves ``rows`` rows of PostgreSQL, and of one with a tenth."""
    figures = {}
    for count in (rows // 10, rows):
        with place("postgres", "salaries", count) as pair:
            command = [
                sys.executable,
                "-m",
                "benchmarks.verify",
                str(pair.manifests.table.id),
                str(pair.manifests.target),
            ]
            done = subprocess.run(
                [*command, pair.manifests.control.database], stdout=subprocess.PIPE, text=True, check=True
            )
            proven, peak = map(int, done.stdout.split())
            if proven != count:
                raise SystemExit(f"{proven} of {count} rows were proven")
            figures[f"{count:,} rows: peak memory, MiB"] = float(peak)
    return figures


def _prove_in_process(table: str, target: str, state: str) -> None:
    client = clickhouse()
    with open_source(partial(source_connection, "postgres")) as source:
        types, archive = probe(client), TableId.parse(target)
        known = ddl.adopted(client, types, source.catalogue(TableId.parse(table)), archive)
        manifests = Manifests(Control(client, state), types, known, archive)
        ledger = Ledger(manifests.control, f"postgres:{table}", archive, None)
        rows = verify(source, manifests, ledger, None, catch_up=lambda: None).rows
    peak = int(re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())[0]) // 1024
    sys.stdout.write(f"{rows} {peak}\n")


if __name__ == "__main__":
    _prove_in_process(*sys.argv[1:])
