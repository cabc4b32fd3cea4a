"""Measure drain, proof and purge: ``make bench``, or
``python -m benchmarks [--rows N] [--rounds N] [--part PART]
[avro|drain|imports|live|parse|purge|restore|rowhash|slowdown|verify|verify-memory]``.

Machines are noisy, so every figure stands beside others that were measured in the same round, and the ratio is what counts:

* ``drain``: the drain beside its limit (consuming alone), beside two of it, ClickHouse's own Kafka engine, one INSERT per
  message; narrow and wide rows; bad events; the first copy; a drain with nothing to do; memory. ``--part`` chooses some of
  these. Its events are made by Debezium once and kept;
* ``avro``: records a second that are decoded from JSON and from Avro; only by name, since it needs the stack's registry;
* ``imports``: milliseconds to import parts of the provider, in ``rows`` new processes each; needs no stack;
* ``live``: per source, the time from a commit to the row in ClickHouse, with ``rows`` changes at 1,000 a second on each;
* ``parse``: milliseconds that Airflow takes to parse a file of archives (docs/yaml.md) with ``rows`` tables; needs no stack;
* ``purge``: per source, rows/s of streaming row hashes, of a delete by key list without proof, and of the guarded delete
  with its purge log, over one connection and over two; on MariaDB of pt-archiver;
* ``restore``: per source, rows/s from ClickHouse back to the source, compared before each commit;
* ``slowdown``: per source, milliseconds of an application's short transactions alone and beside a purge of ``rows`` rows;
* ``verify``: per source, rows/s of a proof beside the engine's own client that streams the same hashes to nowhere; of a
  digest, and of a proof that fails with 1 % of the rows named, on PostgreSQL beside reladiff;
* ``verify-memory``: peak memory of a new process that proves ``rows`` rows, and of one with a tenth; only by name;
* ``rowhash``: per source, rows/s of streaming row hashes, and of a query with the same functions written by hand; rows/s of
  one thread of ClickHouse over what it stored.

Rows of ``purge`` and of the first copy are of the employees data set when ``CHISTA_EMPLOYEES`` names its folder. Takes the
stack from the environment (``python -m stack env``). Ends with an error when a result is not equal to the source.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable

from benchmarks import avro, imports, live, parse, purge, restore, rowhash, slowdown, verify
from benchmarks.drain.parts import PARTS
from benchmarks.drain.report import hardware, machine, table

SUITES: dict[str, Callable[[int], dict[str, float]]] = {
    "avro": avro.measure,
    "imports": imports.measure,
    "live": live.measure,
    "parse": parse.measure,
    "purge": purge.measure,
    "restore": restore.measure,
    "rowhash": rowhash.measure,
    "slowdown": slowdown.measure,
    "verify": verify.measure,
    "verify-memory": verify.memory,
}
BY_NAME = frozenset({"avro", "verify-memory"})
"""Suites that run only when they are named."""
WITHOUT_STACK = frozenset({"imports", "parse"})
"""Suites that need no service."""
ROWS = {
    "avro": 100_000,
    "drain": 1_000_000,
    "imports": 5,
    "live": 60_000,
    "parse": 100,
    "purge": 200_000,
    "restore": 100_000,
    "rowhash": 200_000,
    "slowdown": 60_000,
    "verify": 300_000,
    "verify-memory": 10_000_000,
}


def main() -> None:
    """Run the suites round after round, print each figure's median, minimum and maximum."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="Measure drain, proof and purge."
    )
    parser.add_argument(
        "suites",
        nargs="*",
        help=f"what to measure, of {', '.join(ROWS)}; by default all but {', '.join(sorted(BY_NAME))}",
    )
    parser.add_argument(
        "--rows", type=int, help="rows or records of each measurement; by default a million of the drain"
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--part", action="append", choices=PARTS, help="part of the drain's; all by default")
    arguments = parser.parse_args()
    for name in arguments.suites or [name for name in ROWS if name not in BY_NAME]:
        rows = arguments.rows or ROWS[name]
        where = hardware() if name in WITHOUT_STACK else machine()
        print(f"\n{name}: {rows:,} rows, {arguments.rounds} rounds\n{where}", flush=True)
        if name == "drain":
            _drain(arguments.part or list(PARTS), rows, arguments.rounds)
        else:
            _suite(name, rows, arguments.rounds)


def _drain(parts: list[str], rows: int, rounds: int) -> None:
    for part in parts:
        print(f"\n{part}:", flush=True)
        print(f"\n{table(PARTS[part](rows, rounds))}", flush=True)


def _suite(name: str, rows: int, count: int) -> None:
    rounds = [SUITES[name](rows) for _ in range(count)]
    print("median (minimum to maximum)")
    for figure in rounds[0]:
        values = [result[figure] for result in rounds]
        unit = "" if "ratio" in figure or figure.endswith((", ms", ", MiB")) else " rows/s"
        text = ".2f" if "ratio" in figure or figure.endswith(", ms") else ",.0f"
        low, middle, high = min(values), statistics.median(values), max(values)
        print(f"  {figure:<48} {middle:>12{text}}{unit} ({low:{text}} to {high:{text}})")


if __name__ == "__main__":
    main()
