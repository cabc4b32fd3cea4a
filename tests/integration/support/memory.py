"""Memory of a drain: run as a process of its own, which drains one stream and tells its peak."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

from airflow_provider_chista.clickhouse.control import Control
from tests.integration.support import services
from tests.integration.support.streams import Stream


def main(database: str, control: str, prefix: str) -> None:
    client = services.clickhouse()
    stream = Stream(client, Control(client, control), database, prefix)
    records = stream.drain()["records"]
    # Not ru_maxrss, which counts the process that this one was started by.
    peak = int(re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())[0]) // 1024
    sys.stdout.write(json.dumps({"records": records, "megabytes": peak}))


if __name__ == "__main__":
    main(*sys.argv[1:])
