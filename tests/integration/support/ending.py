"""A task in a process of its own, as Airflow's task runner runs it: ``python -m`` this, with the task as JSON in argv.

SIGTERM calls ``on_kill`` and returns, ``execution_timeout`` raises from a timer's signal. Says how ``execute`` ended.
"""

from __future__ import annotations

import json
import signal
import sys
from contextlib import nullcontext

from airflow.sdk.execution_time.timeout import TimeoutPosix

from airflow_provider_chista.operators.verify import VerifyArchiveOperator
from tests.integration.support.tasks import context


def main() -> None:
    given = json.loads(sys.argv[1])
    timeout = given.pop("timeout")
    task = VerifyArchiveOperator(task_id="verify", **given)
    signal.signal(signal.SIGTERM, lambda number, frame: task.on_kill())
    try:
        with TimeoutPosix(timeout) if timeout else nullcontext():
            task.execute(context())
    except BaseException as error:  # noqa: BLE001  whatever it is, the test wants to know
        sys.stdout.write(f"\nended by {type(error).__name__}: {error}\n")
    else:
        sys.stdout.write("succeeded\n")


if __name__ == "__main__":
    main()
