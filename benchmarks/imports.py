"""What importing the provider costs a process that has Airflow imported: each part in new processes."""

from __future__ import annotations

import statistics
import subprocess
import sys

PARTS = {
    "provider information": (
        "from airflow_provider_chista.provider_info import get_provider_info\nget_provider_info()"
    ),
    "plugin": "import airflow_provider_chista.plugin",
    "what Dag files import": "import airflow_provider_chista.dag, airflow_provider_chista.config",
    "what a drain imports": "import airflow_provider_chista.hooks.services, airflow_provider_chista.archive.follow",
}
MEASURE = """
import time
import airflow.plugins_manager, airflow.timetables.interval
from airflow.sdk import DAG, BaseHook, BaseNotifier, BaseOperator, BaseSensorOperator, Param, TaskGroup
began, worked = time.perf_counter(), time.process_time()
{code}
print((time.perf_counter() - began) * 1000, (time.process_time() - worked) * 1000)
"""


def measure(processes: int) -> dict[str, float]:
    """Milliseconds of each part: the median of so many processes."""
    figures = {}
    for part, code in PARTS.items():
        times = [_once(MEASURE.format(code=code)) for _ in range(processes)]
        elapsed, worked = zip(*times, strict=True)
        figures[f"{part}, ms"] = statistics.median(elapsed)
        figures[f"{part}, CPU, ms"] = statistics.median(worked)
    return figures


def _once(code: str) -> tuple[float, float]:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    elapsed, worked = done.stdout.splitlines()[-1].split()
    return float(elapsed), float(worked)
