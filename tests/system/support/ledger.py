"""What the provider's state tables say, by plain SQL."""

from __future__ import annotations

from typing import Any

from clickhouse_connect.driver.client import Client


def entries(client: Client, target: str, *, run_id: str | None = None) -> list[dict[str, Any]]:
    """Ledger entries of an archive table in order."""
    result = client.query(
        "SELECT stage, window, rows, digest, actor, batch_id, verify_id, run_id, detail FROM chista.ledger"
        " WHERE target = {target:String} AND ({run:String} = '' OR run_id = {run:String}) ORDER BY at",
        {"target": target, "run": run_id or ""},
    )
    return [dict(row) for row in result.named_results()]


def stages(client: Client, target: str, *, run_id: str | None = None) -> list[str]:
    return [entry["stage"] for entry in entries(client, target, run_id=run_id)]


def dead_letters(client: Client) -> int:
    return int(client.command("SELECT count() FROM chista.dead_letters FINAL"))
