"""Live copies of all three sources for a long time: nothing grows, and they are equal to their sources in the end.

``CHISTA_SOAK_SECONDS`` (1200) and ``CHISTA_SOAK_RATE`` (300 changes a second on each source) choose others.
"""

from __future__ import annotations

import os
import sys
import time
from collections import defaultdict

import pytest

from tests.integration.support import live
from tests.integration.support.engines import wait_for

SECONDS = float(os.environ.get("CHISTA_SOAK_SECONDS") or 1200)
RATE = int(os.environ.get("CHISTA_SOAK_RATE") or 300)

WARM = 0.25
"""Part of the time after which a follower has what it needs: pools, caches, buffers."""

GROWTH_MIB = 40
"""Most that the median of a follower's memory may grow from the second quarter to the last one, in MiB."""

MOST_PARTS = 60
"""Active parts of a live copy; ClickHouse slows inserts down at 1000."""


@pytest.mark.timeout(SECONDS + 900)
def test_memory_parts_and_handles_stay_where_they_are(
    stack_env: dict[str, str], capfd: pytest.CaptureFixture[str]
) -> None:
    taken: dict[str, list[dict[str, int]]] = defaultdict(list)
    last = 0.0
    with live.copies(SECONDS + 900) as (copies, control):

        def sample() -> None:
            nonlocal last
            if time.monotonic() - last < 2:
                return
            last = time.monotonic()
            for copy in copies:
                taken[copy.flavour].append(copy.resources() | {"parts": copy.parts()})

        with live.written(copies, RATE, SECONDS) as threads:
            live.watch(copies, threads, sample)
        for copy in copies:
            wait_for(copy.same, 60, 0.5)

        report = [f"{SECONDS:.0f} seconds, {RATE} changes/s on each source"]
        grown: list[str] = []
        for copy in copies:
            samples, latencies = taken[copy.flavour], copy.latencies()
            early = samples[int(len(samples) * WARM) : int(len(samples) * 2 * WARM)]
            late = samples[-int(len(samples) * WARM) :]
            middle = {
                name: (
                    live.quantile([s[name] for s in early], 0.5),
                    live.quantile([s[name] for s in late], 0.5),
                )
                for name in samples[0]
            }
            most = max(sample["parts"] for sample in samples)
            report.append(
                f"{copy.flavour}: {copy.changes} changes, commit to visible p50 {live.quantile(latencies, 0.5):.1f} s, "
                f"p99 {live.quantile(latencies, 0.99):.1f} s; second quarter to last quarter: "
                + ", ".join(f"{name} {a:.0f} to {b:.0f}" for name, (a, b) in middle.items())
                + f"; parts at most {most}"
            )
            for name, most_growth in (("MiB", GROWTH_MIB), ("descriptors", 2), ("threads", 2)):
                before, after = middle[name]
                if after - before > most_growth:
                    grown.append(f"{copy.flavour}: {name} grew from {before} to {after}")
            if most > MOST_PARTS:
                grown.append(f"{copy.flavour}: {most} active parts")
            assert copy.process.is_alive(), copy.flavour
        state = control.rows(
            "SELECT table, count() AS parts FROM system.parts WHERE active AND database = {d:String} GROUP BY table",
            {"d": control.database},
        )
        report.append("parts of the state tables: " + ", ".join(f"{r['table']} {r['parts']}" for r in state))
        with capfd.disabled():
            sys.stdout.write("\n" + "\n".join(report) + "\n")
        assert grown == []
        assert max(row["parts"] for row in state) <= MOST_PARTS
