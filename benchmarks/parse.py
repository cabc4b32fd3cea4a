"""A file of archives: how long Airflow's Dag processor takes for it, YAML and checks alone, and with the Dag."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from airflow_provider_chista.config import load_dags
from airflow_provider_chista.config.reading import read_archives

ARCHIVE = """\
archives:
  orders:
    source_conn_id: v
    purge_conn_id: p
    capture_conn_id: c
    connector: orders
    topic_prefix: orders
    tables:
"""
TABLE = """\
      - source: shop.t{0}
        target: archive.t{0}
        time_column: day
"""


def measure(tables: int) -> dict[str, float]:
    """Milliseconds of one Dag with so many tables, of which all are purged."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "archives.yaml"
        file.write_text(ARCHIVE + "".join(TABLE.format(n) for n in range(tables)), encoding="utf-8")
        return {
            "YAML and checks, CPU, ms": _milliseconds(
                time.process_time, lambda: read_archives(file, os.environ)
            ),
            "the whole file, CPU, ms": _milliseconds(time.process_time, lambda: load_dags(file)),
            "the whole file, ms": _milliseconds(time.perf_counter, lambda: load_dags(file)),
        }


def _milliseconds(clock: Callable[[], float], what: Callable[[], object]) -> float:
    began = clock()
    what()
    return (clock() - began) * 1000
