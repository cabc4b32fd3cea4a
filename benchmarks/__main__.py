"""Measure drain, proof and purge: ``make bench``, or ``python -m benchmarks [--rows N] [--rounds N] [drain|purge|rowhash]``.

Machines are noisy, so every figure stands beside a limit that was measured in the same round, and the ratio is what counts:

* ``drain``: records/s of consuming alone, of inserting prepared Arrow blocks alone, and of the drain, which does both and
  decodes strictly in between;
* ``purge``: per source, rows/s of streaming row hashes, of a delete by key list without proof, and of the guarded delete
  with its purge log;
* ``rowhash``: per source, rows/s of streaming row hashes, and of a query with the same functions written by hand; rows/s of
  one thread of ClickHouse over what it stored.

Rows are salaries of the employees data set when ``CHISTA_EMPLOYEES`` names its folder, else made. Takes the stack from
the environment (``python -m stack env``), makes what it needs and removes it again.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
from collections.abc import Callable

from benchmarks import drain, live, purge, rowhash

SUITES: dict[str, Callable[[int], dict[str, float]]] = {
    "drain": drain.measure,
    "live": live.measure,
    "purge": purge.measure,
    "rowhash": rowhash.measure,
}


def main() -> None:
    """Run the suites round after round, print each figure's median, minimum and maximum."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.splitlines()[0])
    parser.add_argument("suites", nargs="*", help="what to measure; all of it by default")
    parser.add_argument("--rows", type=int, default=200_000, help="rows or records of each measurement")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    print(
        f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}, Python {platform.python_version()}"
    )
    for name in arguments.suites or SUITES:
        rounds = [SUITES[name](arguments.rows) for _ in range(arguments.rounds)]
        print(f"\n{name}: {arguments.rows} rows, {arguments.rounds} rounds; median (minimum to maximum)")
        for figure in rounds[0]:
            values = [result[figure] for result in rounds]
            unit = "" if "ratio" in figure or figure.endswith(", ms") else " rows/s"
            text = ".2f" if "ratio" in figure else ",.0f"
            low, middle, high = min(values), statistics.median(values), max(values)
            print(f"  {figure:<48} {middle:>12{text}}{unit} ({low:{text}} to {high:{text}})")


if __name__ == "__main__":
    main()
