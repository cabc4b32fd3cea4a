"""What people see of the archive: every table with its windows, how far each window is, and the entries behind it.

Only state tables and ClickHouse's own system tables are read, by statements that only select; each result has a limit, and a
client made with :data:`LIMITS` ends a query that runs too long. Entries belong to the DAG that wrote them: only those of the
DAGs that the reader may see are read, and a table is there for a reader who may see an entry of it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from airflow_provider_chista.clickhouse.control import Control
from airflow_provider_chista.clickhouse.errors import translated

LIMITS: dict[str, str | int] = {
    "max_execution_time": 10,
    "timeout_overflow_mode": "throw",
    "max_memory_usage": 1024 * 1024 * 1024,
}
"""ClickHouse settings of a reader's client: seconds and bytes of memory of one query."""

TABLES, WINDOWS, ENTRIES, DAGS = 1_000, 20_000, 500, 10_000
"""Lines that one query returns at most."""

_TEXT = 4_000
"""Characters of an entry's detail that are read; lists of parts and columns may be long, and are not shown."""


class State(StrEnum):
    """How far a window is, by its ledger entries; ``docs/page.md`` tells what each means."""

    READING = "reading"
    EMPTY = "empty"
    CHECKED = "checked"
    VERIFIED = "verified"
    APPROVED = "approved"
    REJECTED = "rejected"
    PURGING = "purging"
    PURGED_IN_PART = "purged_in_part"
    PURGED = "purged"
    SEALED_IN_PART = "sealed_in_part"
    SEALED = "sealed"
    DIFFERS = "differs"


_PROOFS = """
    SELECT target, window, verify_id, min(at) AS began, max(at) AS ended, argMax(l.source, at) AS source_table,
           argMaxIf(stage, at, stage IN ('begun', 'repaired', 'verified', 'mismatched', 'checked')) AS compared,
           argMaxIf(stage, at, stage IN ('approved', 'rejected')) AS verdict,
           countIf(stage = 'intent') > 0 AS begun, countIf(stage = 'deleted') > 0 AS done,
           countIf(stage = 'sealed') > 0 AS closed,
           toInt64(argMaxIf(l.rows, at, stage IN ('verified', 'mismatched', 'checked', 'intent'))) AS proven,
           toInt64(argMaxIf(l.rows, at, stage IN ('deleted', 'sealed'))) AS deleted,
           toInt64(sumIf(l.rows, stage = 'restored')) AS restored,
           argMax((dag_id, run_id), at) AS author,
           countIf(dag_id = {{dag_id:String}}) AS of_dag,
           countIf(dag_id = {{dag_id:String}} AND run_id = {{run_id:String}}) AS of_run,
           multiIf(closed, if(deleted < proven, 'sealed_in_part', 'sealed'),
                   done, if(deleted < proven, 'purged_in_part', 'purged'),
                   begun, 'purging',
                   compared = 'mismatched', 'differs',
                   compared = 'checked', 'checked',
                   compared IN ('begun', 'repaired'), 'reading',
                   proven = 0 AND compared = 'verified', 'empty',
                   verdict = 'rejected', 'rejected',
                   verdict = 'approved', 'approved',
                   compared = 'verified', 'verified', '') AS proof_state
    FROM {ledger} AS l
    WHERE stage != 'audited' AND dag_id IN {{dags:Array(String)}} AND ({{target:String}} = '' OR target = {{target:String}})
    GROUP BY target, window, verify_id"""
"""One line per proof, check or restore."""

_WINDOWS = f"""
    SELECT target, window,
           argMaxIf((proof_state, proven, deleted, began), began, proof_state NOT IN ('', 'empty', 'checked')) AS newest,
           maxIf(began, proof_state = 'empty') AS emptied,
           multiIf(newest.1 = '' AND countIf(proof_state = 'empty') > 0, 'empty',
                   newest.1 = '' AND countIf(proof_state = 'checked') > 0, 'checked',
                   emptied <= newest.4, newest.1,
                   newest.1 IN ('sealed', 'sealed_in_part'), 'sealed',
                   newest.1 IN ('purged', 'purged_in_part'), 'purged',
                   newest.1 = 'purging', 'purging', 'empty') AS state,
           if(emptied > newest.4, 0, greatest(newest.2 - newest.3, 0)) AS remaining,
           sum(deleted) AS purged, sum(restored) AS brought_back,
           argMax(author, ended) AS last_author, argMax(source_table, ended) AS source, max(ended) AS last,
           sum(of_dag) > 0 AS is_of_dag, sum(of_run) > 0 AS is_of_run
    FROM ({_PROOFS})
    GROUP BY target, window
    HAVING state != '' AND ({{{{dag_id:String}}}} = '' OR is_of_dag) AND ({{{{only_run:Bool}}}} = 0 OR is_of_run)"""
"""One line per window. The newest proof tells its state, but a proof of no rows does not hide the purge before it, and a
check hides no proof."""


@dataclass(frozen=True, slots=True)
class Focus:
    """Whose windows are asked for; empty: everybody's.

    :param dag_id: only windows with an entry of this DAG; :param run_id: those with an entry of this run of it.
    """

    dag_id: str = ""
    run_id: str = ""


@dataclass(frozen=True, slots=True)
class Overview:
    """Reads the ledger for somebody who may see the entries of some DAGs.

    :param control: with a client that has the settings :data:`LIMITS`.
    :param dags: ids of the DAGs whose entries may be seen.
    """

    control: Control
    dags: frozenset[str]

    @classmethod
    def readable(cls, control: Control, dags: frozenset[str] | set[str]) -> Overview:
        """As a reader of these DAGs; of those only which the ledger knows are kept."""
        rows = control.rows(
            f"SELECT DISTINCT dag_id FROM {control.name('ledger')} LIMIT {{most:UInt32}}", {"most": DAGS}
        )
        return cls(control, frozenset(row["dag_id"] for row in rows) & frozenset(dags) - {""})

    def tables(self, focus: Focus = Focus()) -> list[dict[str, Any]]:
        """Each archive table with its source, the number of windows by state, and rows over all of them.

        ``remaining`` rows were proven and not deleted, ``purged`` deleted at the source; each at the time of its entry.
        """
        return self._rows(
            "SELECT target, argMax(w.source, w.last) AS source_table, count() AS windows, sumMap(map(state, 1)) AS states,"
            " sum(w.remaining) AS remaining, sum(w.purged) AS purged, sum(w.brought_back) AS restored,"
            " max(w.last) AS touched,"
            f" sum(is_of_run) AS of_run FROM ({self._windows}) AS w GROUP BY target ORDER BY target LIMIT {{most:UInt32}}",
            focus=focus,
            only_run=bool(focus.run_id),
            most=TABLES,
        )

    def windows(self, target: str, focus: Focus = Focus()) -> list[dict[str, Any]]:
        """The windows of an archive table, by name; at most :data:`WINDOWS`, those with the newest entries.

        ``of_run`` tells which windows the focus' run wrote to.
        """
        return self._rows(
            "SELECT * FROM (SELECT window, state, remaining, purged, brought_back AS restored, last_author.1 AS dag_id,"
            f" last_author.2 AS run_id, last, is_of_run AS of_run FROM ({self._windows})"
            " ORDER BY last DESC LIMIT {most:UInt32}) ORDER BY window",
            target=target,
            focus=focus,
            most=WINDOWS,
        )

    def entries(self, target: str, window: str) -> list[dict[str, Any]]:
        """The ledger entries of a window, newest first, with the short facts of their detail; at most :data:`ENTRIES`."""
        rows = self._rows(
            "SELECT at, stage, verify_id, batch_id, rows, digest, actor, dag_id, run_id, task_id, try_number,"
            " if(stage = 'begun', '{}', detail) AS facts"
            f" FROM {self.control.name('ledger')} WHERE target = {{target:String}} AND window = {{window:String}}"
            " AND dag_id IN {dags:Array(String)} AND stage != 'audited' ORDER BY at DESC LIMIT {most:UInt32}",
            target=target,
            window=window,
            most=ENTRIES,
        )
        return [{**row, "facts": facts(row["facts"])} for row in rows]

    def audits(self, target: str, most: int = 5) -> list[dict[str, Any]]:
        """The newest audits and restores of an archive table, as :meth:`entries`."""
        rows = self._rows(
            "SELECT at, stage, verify_id, batch_id, rows, digest, actor, dag_id, run_id, task_id, try_number, detail AS facts"
            f" FROM {self.control.name('ledger')} WHERE target = {{target:String}} AND stage IN ('audited', 'restored')"
            " AND dag_id IN {dags:Array(String)} ORDER BY at DESC LIMIT {most:UInt32}",
            target=target,
            most=most,
        )
        return [{**row, "facts": facts(row["facts"])} for row in rows]

    def activity(self, target: str, days: int) -> list[dict[str, Any]]:
        """Rows proven, deleted at the source and sealed on each of the last days, by the entries' times in UTC."""
        return self._rows(
            "SELECT toDate(ended, 'UTC') AS day, sumIf(counted, stage = 'verified') AS verified,"
            " sumIf(counted, stage = 'deleted') AS purged, sumIf(counted, stage = 'sealed') AS sealed,"
            " sumIf(counted, stage = 'restored') AS restored FROM"
            f" (SELECT stage, max(at) AS ended, argMax(l.rows, at) AS counted"
            f" FROM {self.control.name('ledger')} AS l WHERE target = {{target:String}} AND dag_id IN {{dags:Array(String)}}"
            " AND stage IN ('verified', 'deleted', 'sealed', 'restored')"
            " AND at >= now64(6, 'UTC') - toIntervalDay({days:UInt16})"
            " GROUP BY stage, verify_id) GROUP BY day ORDER BY day LIMIT 1000",
            target=target,
            days=days,
        )

    def may_see(self, target: str) -> bool:
        """Whether the reader may see what belongs to an archive table, not to a DAG: one of the DAGs has written an entry."""
        rows = self._rows(
            f"SELECT 1 FROM {self.control.name('ledger')} WHERE target = {{target:String}}"
            " AND dag_id IN {dags:Array(String)} LIMIT 1",
            target=target,
        )
        return bool(rows)

    @property
    def _windows(self) -> str:
        return _WINDOWS.format(ledger=self.control.name("ledger"))

    def _rows(
        self, statement: str, *, focus: Focus = Focus(), only_run: bool = False, **parameters: Any
    ) -> list[dict[str, Any]]:
        if not self.dags:
            return []
        known: dict[str, Any] = {
            "target": "",
            "dag_id": focus.dag_id,
            "run_id": focus.run_id,
            "only_run": only_run,
        }
        return self.control.rows(statement, {**known, "dags": sorted(self.dags), **parameters})


def has_state(control: Control) -> bool:
    """Whether the state database is there; it is made by the first run of an archive."""
    with translated("looking for the state tables"):
        found = control.client.query(
            "SELECT count() FROM system.tables WHERE database = {database:String} AND name = {table:String}",
            parameters={"database": control.database, "table": "ledger"},
        ).result_rows
    return bool(found[0][0])


_LONG = ("ranges", "circumstances", "columns")
"""Facts of an entry that are lists as long as the table."""


def facts(detail: str) -> dict[str, Any]:
    """An entry's detail without its long lists; of columns their number."""
    try:
        known: Mapping[str, Any] = json.loads(detail)
    except ValueError:
        return {"detail": detail[:_TEXT]}
    short = {name: value for name, value in known.items() if name not in _LONG}
    return short | ({"columns": len(known["columns"])} if "columns" in known else {})
