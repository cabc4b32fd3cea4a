"""What the tests that kill tasks share: their table, and what must be true of it whatever was killed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from clickhouse_connect.driver.client import Client

from tests.system.support import ledger
from tests.system.support.airflow import Run
from tests.system.support.tables import KILLS as PAIR
from tests.system.support.tables import Hashes, Row

GROUP = "employees_kills"
PURGE_LOG = "systest_kills.chista.purge_log"
DRAIN, VERIFY, APPROVE, PURGE, SEAL = (
    f"{GROUP}.{stage}" for stage in ("drain", "verify", "approve", "purge", "seal")
)


def write(rows: Sequence[Row]) -> Hashes:
    """The table with rows of the application; returns its record of them."""
    PAIR.execute(
        "CREATE TABLE IF NOT EXISTS {table} (id INT NOT NULL PRIMARY KEY, day DATE NOT NULL, note VARCHAR(300))"
        " CHARACTER SET utf8mb4"
    )
    PAIR.insert(rows)
    return PAIR.hashes(rows)


def number(client: Client, query: str, **parameters: Any) -> int:
    return int(client.query(query, {"target": PAIR.target, **parameters}).result_rows[0][0])


def nothing_is_lost(client: Client, record: Hashes) -> None:
    """Every row is at the source, or visible in the archive, or both, and nowhere another one."""
    source, archive = PAIR.in_source(), PAIR.in_archive(client)
    assert source.items() <= record.items()
    assert archive.items() <= record.items()
    assert source.keys() | archive.keys() == record.keys()


def purged_once(client: Client, run: Run, rows: int) -> None:
    """Of the run's batch every row was deleted once, logged once, came back once, and is sealed."""
    entries = ledger.entries(client, PAIR.target, run_id=run.run_id)
    sealed = [entry for entry in entries if entry["stage"] == "sealed"]
    assert [entry["rows"] for entry in sealed] == [rows]
    assert run.xcom(VERIFY)["rows"] == rows
    purge, seal = run.xcom(PURGE), run.xcom(SEAL)
    assert (purge["proven"], purge["deleted"], purge["skipped"]) == (rows, rows, {})
    assert (seal["rows"], seal["rewritten"], seal["digest"]) == (rows, 0, sealed[0]["digest"])
    for table, chosen in (
        ("purged", "target = {target:String} AND state = 'deleted'"),
        ("deletes", "target = {target:String} AND state = 'purge'"),
        # Every connector of the server captures the log of all tables.
        ("purge_log", "topic = {log:String} AND table_name = {source:String}"),
    ):
        found = client.query(
            f"SELECT count(), uniqExact(row_key) FROM chista.{table} FINAL WHERE {chosen} AND batch_id = {{batch:String}}",
            {"target": PAIR.target, "source": PAIR.source, "log": PURGE_LOG, "batch": seal["batch_id"]},
        ).result_rows
        assert found == [(rows, rows)], table
    assert PAIR.engine.query(f"SELECT * FROM chista.purge_log WHERE batch_id = '{seal['batch_id']}'") == []
