"""Live copies: from the commit at the source until ClickHouse shows it, under 1,000 changes/s on each source at once."""

from __future__ import annotations

from tests.integration.support import live

CHANGES_PER_SECOND = 1_000


def measure(rows: int) -> dict[str, float]:
    """Milliseconds at p50 and p99, and the rate that was written, per source; ``rows`` changes of each.

    Commits are noted by the writer, ten a second; the copy is looked at about ten times a second, which the figures
    contain. The first fifth is left out: the followers and connectors are starting.
    """
    seconds = rows / CHANGES_PER_SECOND
    figures: dict[str, float] = {}
    with live.copies(seconds + 600) as (copies, _):
        with live.written(copies, CHANGES_PER_SECOND, seconds) as threads:
            live.watch(copies, threads)
        for copy in copies:
            latencies = copy.latencies()
            if len(latencies) < len(copy.commits):
                raise SystemExit(
                    f"{copy.flavour}: {len(copy.commits) - len(latencies)} commits were not seen"
                )
            steady = latencies[len(latencies) // 5 :]
            took = copy.commits[-1][1] - copy.commits[0][1]
            figures |= {
                f"{copy.flavour}: changes written a second": copy.changes / took,
                f"{copy.flavour}: commit to visible, p50, ms": 1000 * live.quantile(steady, 0.50),
                f"{copy.flavour}: commit to visible, p99, ms": 1000 * live.quantile(steady, 0.99),
            }
    return figures
