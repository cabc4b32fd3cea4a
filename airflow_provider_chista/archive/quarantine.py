"""Deletes that wait in quarantine although nothing at work is about to decide them: nobody knows yet whose they are."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from airflow_provider_chista.archive.lease import EXPIRES_SECONDS
from airflow_provider_chista.clickhouse.control import Control
from airflow_provider_chista.model import TableId

QUARANTINE_REMEDY = "drain the table to a barrier, which decides them, then verify again"
"""What to do about deletes that wait."""


@dataclass(frozen=True, slots=True)
class OpenQuarantine:
    """Waiting deletes of an archive table.

    :param count: how many; :param since: when the oldest was captured, UTC; :param age: how long ago.
    """

    target: str
    count: int
    since: datetime
    age: timedelta

    def __str__(self) -> str:
        return (
            f"{self.count} deletes of {self.target} wait in quarantine (state table deletes), the oldest for {self.age}, "
            f"since {self.since:%Y-%m-%d %H:%M:%S} UTC: nobody knows yet whether they are a purge's or the application's"
        )


def open_quarantine(
    control: Control, table: TableId, target: TableId, verify_id: str = ""
) -> OpenQuarantine | None:
    """The waiting deletes of an archive table that nothing explains; None when there are none.

    Left out are those that come and go while several runs work on one table: a purge's own, which the captured purge log or
    the outcome of a batch that is not sealed names; those that a drain at work has captured, which it decides at its end;
    and those that were captured after the proof, whose rows the proof does not rely on: the purge finds them gone.

    :param table: the source table.
    :param verify_id: the proof; empty: every delete counts, whenever it was captured.
    """
    waiting = (
        f"SELECT row_key, transaction, recorded_at FROM {control.name('deletes')} FINAL"
        " WHERE target = {target:String} AND state = 'waiting'"
    )
    logged = (
        f"SELECT transaction, row_key FROM {control.name('purge_log')}"
        " WHERE table_name = {table:String} AND transaction != ''"
    )
    sealed = (
        f"SELECT batch_id FROM {control.name('ledger')} WHERE target = {{target:String}} AND stage = 'sealed'"
    )
    purged = (
        f"SELECT row_key FROM {control.name('purged')} FINAL"
        f" WHERE target = {{target:String}} AND state = 'deleted' AND batch_id NOT IN ({sealed})"
    )
    proven = (
        f"SELECT maxOrNull(at) FROM {control.name('ledger')}"
        " WHERE target = {target:String} AND stage = 'verified' AND verify_id = {verify_id:String}"
    )
    drained = (
        f"SELECT minOrNull(acquired_at) FROM {control.name('leases')} FINAL WHERE target = {{target:String}}"
        " AND released = 0 AND renewed_at >= now64(3) - {expires:Float64}"
    )
    found = control.rows(
        "SELECT count() AS n, min(recorded_at) AS since, dateDiff('second', since, now64(3, 'UTC')) AS age"
        f" FROM ({waiting}) WHERE (transaction, row_key) NOT IN ({logged}) AND row_key NOT IN ({purged})"
        f" AND recorded_at < ifNull(({proven}), now64(3)) AND recorded_at < ifNull(({drained}), now64(3))",
        {
            "target": str(target),
            "table": str(table),
            "verify_id": verify_id,
            "expires": EXPIRES_SECONDS,
        },
    )[0]
    if not found["n"]:
        return None
    return OpenQuarantine(str(target), found["n"], found["since"], timedelta(seconds=found["age"]))
