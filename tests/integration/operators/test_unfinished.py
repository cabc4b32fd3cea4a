"""What the preflight says beforehand of the things by which a purge would refuse."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from airflow_provider_chista.operators.preflight import PreflightOperator
from airflow_provider_chista.operators.table import CreateArchiveTableOperator
from tests.integration.operators.conftest import Place
from tests.integration.support.tasks import context


def test_the_preflight_names_what_is_unfinished(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    table, target = f"{place.schema}.items", f"{place.database}.items"
    CreateArchiveTableOperator(task_id="create", tables={table: target}, **place.systems).execute(context())

    def found(**more: Any) -> tuple[int, int, list[str]]:
        task = PreflightOperator(task_id="preflight", tables={table: target}, **place.systems, **more)
        summary = task.execute(context())
        return summary["purge"], summary["warning"], summary["purge_refused"]

    assert found() == (0, 0, [])
    cleanup = "allow_experimental_replacing_merge_with_cleanup"
    place.client.command(f"ALTER TABLE {target} MODIFY SETTING {cleanup} = 1")
    place.control.insert("deletes", [{"target": target, "topic": "t", "row_key": "1", "state": "waiting"}])
    now = datetime.now(UTC)
    place.control.insert(
        "ledger",
        [
            {"target": target, "window": f"w{days}", "stage": "intent", "verify_id": f"v{days}", "at": now - age}
            for days, age in ((0, timedelta(0)), (3, timedelta(days=3)))
        ],
    )  # fmt: skip
    assert found(min_replicas=2) == (2, 2, [target])
    said = capsys.readouterr().out
    for line in (
        f"[purge] archive table: {target}: {target} has {cleanup} = 1",
        f"[purge] archive table: {target}: min_replicas is 2, but {target} is not replicated",
        f"[warning] quarantine: {target}: 1 deletes of {target} wait in quarantine",
        "of the window w3 was begun and is not sealed; purges of other windows will refuse.",
    ):
        assert line in said, line
    assert "window w0" not in said
