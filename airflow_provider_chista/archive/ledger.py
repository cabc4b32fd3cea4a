"""The ledger: what happened to each window of each table, who did it, and the proof; append-only, in ClickHouse.

Stages of a window: ``begun`` where a comparison has several parts, ``repaired`` where rows had to be mended, ``verified`` or
``mismatched``, ``approved`` or ``rejected``, ``intent``, ``deleted``, ``sealed``, ``restored``; of a table: ``audited``;
``checked`` is a comparison that is no proof. A proof is named by its ``verify_id``; approval and purge refer to that
proof and to no other.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from airflow_provider_chista.archive import window as windows
from airflow_provider_chista.clickhouse.control import Control
from airflow_provider_chista.model import TableId, Window

PROOF_LASTS = timedelta(days=30)
"""Age from which an unused proof's manifest is removed by the next verification of its window."""

_BATCHES = uuid.UUID("6f0c2a5e-0d3b-5f0e-9d55-6a0e5c3a9b11")


class Stage(StrEnum):
    """What a ledger entry records."""

    BEGUN = "begun"
    REPAIRED = "repaired"
    VERIFIED = "verified"
    MISMATCHED = "mismatched"
    CHECKED = "checked"
    APPROVED = "approved"
    REJECTED = "rejected"
    INTENT = "intent"
    DELETED = "deleted"
    SEALED = "sealed"
    RESTORED = "restored"
    AUDITED = "audited"


@dataclass(frozen=True, slots=True)
class Author:
    """Which run of which task writes; all empty outside Airflow.

    :param reason: why the run was started, as whoever started it said.
    """

    dag_id: str = ""
    run_id: str = ""
    task_id: str = ""
    try_number: int = 0
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """One ledger entry; ``at`` by ClickHouse's clock."""

    at: datetime
    stage: Stage
    verify_id: str
    batch_id: str
    rows: int
    digest: str
    actor: str
    detail: Mapping[str, Any]


def batch_of(verify_id: str) -> str:
    """The purge batch of a proof: always the same, so that a retried purge goes on with its own batch."""
    return str(uuid.uuid5(_BATCHES, verify_id))


@dataclass(frozen=True, slots=True)
class Ledger:
    """Reads and appends entries of one archive table and one window.

    :param source: the source table's name with its engine, for readers of the ledger.
    """

    control: Control
    source: str
    target: TableId
    window: Window | None
    author: Author = Author()

    def record(
        self,
        stage: Stage,
        *,
        verify_id: str,
        batch_id: str = "",
        rows: int = 0,
        digest: str = "",
        actor: str = "",
        detail: Mapping[str, Any] | None = None,
    ) -> None:
        """Append an entry and wait for the acknowledgement; the run's reason goes with it where ``detail`` has none."""
        reason = {"reason": self.author.reason} if self.author.reason else {}
        self.control.insert(
            "ledger",
            [
                {
                    "source": self.source,
                    "target": str(self.target),
                    "window": windows.name(self.window),
                    "stage": str(stage),
                    "verify_id": verify_id,
                    "batch_id": batch_id,
                    "rows": rows,
                    "digest": digest,
                    "actor": actor,
                    "dag_id": self.author.dag_id,
                    "run_id": self.author.run_id,
                    "task_id": self.author.task_id,
                    "try_number": self.author.try_number,
                    "detail": json.dumps({**reason, **(detail or {})}, sort_keys=True),
                }
            ],
        )

    def proof(self, verify_id: str | None = None) -> Entry | None:
        """A proof of the window that no later comparison contradicts.

        :param verify_id: that proof; None: the newest. Several runs may hold proofs of one window beside each other.
        :returns: None when there is no such proof, or the window's newest comparison found differences.
        """
        entries = self._entries((Stage.VERIFIED, Stage.MISMATCHED))
        if not entries or entries[-1].stage is not Stage.VERIFIED:
            return None
        wanted = [entry for entry in entries if verify_id in (None, entry.verify_id)]
        return wanted[-1] if wanted and wanted[-1].stage is Stage.VERIFIED else None

    def interrupted(self, within: timedelta) -> Entry | None:
        """The comparison in parts that this Airflow run began last and did not end, not longer ago than ``within``."""
        if not self.author.run_id:
            return None
        stages = (Stage.BEGUN, Stage.REPAIRED, Stage.VERIFIED, Stage.MISMATCHED)
        last = self._entries(stages, own_run=True)[-1:]
        recent = bool(last) and last[0].stage is Stage.BEGUN and self.age(last[0]) < within
        return last[0] if recent else None

    def age(self, entry: Entry) -> timedelta:
        """How long ago an entry was recorded, by ClickHouse's clock, which also dated it."""
        now: datetime = self.control.rows("SELECT now64(6, 'UTC') AS now", {})[0]["now"]
        return now - entry.at

    def verdict(self, verify_id: str) -> Entry | None:
        """The newest approval or rejection of a proof."""
        entries = self._entries((Stage.APPROVED, Stage.REJECTED), verify_id)
        return entries[-1] if entries else None

    def last(self, stage: Stage, verify_id: str) -> Entry | None:
        """The newest entry of a stage for a proof; an empty ``verify_id``: of the window."""
        entries = self._entries((stage,), verify_id)
        return entries[-1] if entries else None

    def finished(self, batch_id: str) -> bool:
        """Whether a purge batch of the table, of any window, came to its end."""
        entries = self._entries((Stage.DELETED, Stage.SEALED), every_window=True)
        return any(entry.batch_id == batch_id for entry in entries)

    def unsealed(self, *, every_window: bool = False, own_run: bool = False) -> list[str]:
        """Proofs, oldest first, whose purge was begun and not sealed: of this window, or of every window of the table.

        :param own_run: only those whose purge this run began.
        """
        intents = self._entries((Stage.INTENT,), every_window=every_window, own_run=own_run)
        begun = [e.verify_id for e in intents]
        sealed = {e.verify_id for e in self._entries((Stage.SEALED,), every_window=every_window)}
        return [verify_id for verify_id in dict.fromkeys(begun) if verify_id not in sealed]

    def superseded(self, verify_id: str) -> list[str]:
        """Older proofs of this window that nobody can purge by any more.

        No purge was begun for them, and they are of the same run, or older than :data:`PROOF_LASTS`: another run beside
        this one may still be waiting for the approval of its own.
        """
        stages = (Stage.BEGUN, Stage.VERIFIED, Stage.MISMATCHED)
        proofs = {e.verify_id for e in self._entries(stages, older=PROOF_LASTS)}
        proofs |= {e.verify_id for e in self._entries(stages, own_run=True)}
        used = {entry.verify_id for entry in self._entries((Stage.INTENT,))}
        return sorted(proofs - used - {verify_id})

    def _entries(
        self,
        stages: tuple[Stage, ...],
        verify_id: str = "",
        *,
        every_window: bool = False,
        own_run: bool = False,
        older: timedelta = timedelta(0),
    ) -> list[Entry]:
        rows = self.control.rows(
            f"SELECT at, stage, verify_id, batch_id, rows, digest, actor, detail FROM {self.control.name('ledger')}"
            " WHERE target = {target:String} AND ({every_window:Bool} OR window = {window:String})"
            " AND stage IN {stages:Array(String)}"
            " AND ({verify_id:String} = '' OR verify_id = {verify_id:String})"
            " AND (NOT {own_run:Bool} OR (dag_id = {dag_id:String} AND run_id = {run_id:String}))"
            " AND at <= now64(6, 'UTC') - toIntervalSecond({older:UInt32}) ORDER BY at",
            {
                "target": str(self.target),
                "window": windows.name(self.window),
                "every_window": every_window,
                "stages": [str(stage) for stage in stages],
                "verify_id": verify_id,
                "own_run": own_run,
                "dag_id": self.author.dag_id,
                "run_id": self.author.run_id,
                "older": int(older.total_seconds()),
            },
        )
        return [
            Entry(**{**row, "stage": Stage(row["stage"]), "detail": json.loads(row["detail"])})
            for row in rows
        ]
