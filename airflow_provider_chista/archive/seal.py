"""The seal: the purge's own deletes came back through the change stream, all of them and nothing else, and the rows are
still in the archive.

Checked for a batch after the archive was drained to a barrier behind its last transaction: every deleted row has a captured
purge-log entry, for each entry a delete event was matched by the identity of the source transaction, the
archive still shows the row with the proven hash (or a newer version that the application wrote since), and the source
does not have the purged version any more. Then the ledger is sealed with the batch's digest and the source's purge log
is trimmed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from airflow_provider_chista.archive.confirm import LOOKS
from airflow_provider_chista.archive.ledger import Ledger, Stage, batch_of
from airflow_provider_chista.archive.manifest import Manifests
from airflow_provider_chista.archive.purgereport import PurgeMethod
from airflow_provider_chista.archive.settle import deleted_page, recover
from airflow_provider_chista.clickhouse import rowhash
from airflow_provider_chista.clickhouse.load import text_file
from airflow_provider_chista.errors import FatalError, TransientError
from airflow_provider_chista.model import describe
from airflow_provider_chista.sources.base import Source

_CHUNK = 20_000


@dataclass(frozen=True, slots=True)
class SealReport:
    """A sealed batch.

    :param rows: rows purged at the source and visible in the archive; :param digest: of their hashes.
    :param rewritten: rows of them that the application has inserted again since, in a newer version.
    """

    batch_id: str
    rows: int
    digest: str
    rewritten: int

    def summary(self) -> dict[str, Any]:
        """The report as JSON values."""
        return {
            "batch_id": self.batch_id,
            "rows": self.rows,
            "digest": self.digest,
            "rewritten": self.rewritten,
        }


class _PresentError(FatalError):
    """A purged row is at the source, and the archive does not know why."""

    def __init__(self, batch_id: str, row_key: str) -> None:
        super().__init__(
            f"batch {batch_id} is not sealed: row {row_key} was purged, but is at the source again and no change event says "
            "so. Was it restored since the last drain? Drain to a barrier and seal again. Was the source itself restored or "
            "failed over? Verify the window again"
        )
        self.row_key = row_key


@dataclass(slots=True)
class Seal:
    """Seals the batch of a proof.

    :param topic: the table's topic; :param purge_log_topic: topic of the purge log.
    :param verify_id: the proof; batches that the same run began by an earlier proof, before it was cleared, are sealed with
        it. None: every batch of the window that was begun.
    :param catch_up: drains the archive to a new barrier, for rows that the application wrote again behind the last one;
        None: such rows refuse the seal.
    """

    source: Source
    manifests: Manifests
    ledger: Ledger
    topic: str
    purge_log_topic: str
    verify_id: str | None = None
    stopped: Callable[[], bool] = lambda: False
    catch_up: Callable[[], object] | None = None

    def run(self) -> SealReport:
        """Check everything, record ``sealed``, trim the source's purge log.

        :raises FatalError: a check failed; the message says which, with counts. The rows stay in the archive either way.
        :raises TransientError: the application writes purged rows again all the time, or the task was stopped.
        """
        own = self.ledger.unsealed(own_run=True)
        begun = [i for i in self.ledger.unsealed() if self.verify_id in (None, i) or i in own]
        proof = self.ledger.proof(self.verify_id)
        current = proof.verify_id if proof else ""
        if current in begun and self.ledger.last(Stage.DELETED, current) is None:
            raise FatalError(f"the purge of {self._window} is not finished; run PurgeSourceOperator again")
        if not begun:
            last = self.ledger.last(Stage.SEALED, self.verify_id or "")
            if last is None:
                raise FatalError(
                    f"{self._window} has no finished purge to seal; run PurgeSourceOperator for exactly this window"
                )
            self._trim(last.batch_id)
            return SealReport(last.batch_id, last.rows, last.digest, self._rewritten(last.batch_id))
        if before := self.ledger.last(Stage.SEALED, ""):
            # A seal that was killed behind its record has left its batch's log at the source.
            self._trim(before.batch_id)
        # A purge that was killed and followed by a new proof leaves a batch of its own behind.
        return [self._seal(verify_id) for verify_id in begun][-1]

    @property
    def _window(self) -> str:
        return f"{describe(self.ledger.window)} of {self.manifests.target}"

    def _seal(self, verify_id: str) -> SealReport:
        batch_id = batch_of(verify_id)
        recover(self.source, self.manifests, verify_id)
        deleted = self._deleted(batch_id)
        intent = self.ledger.last(Stage.INTENT, verify_id)
        by_partition = intent is not None and intent.detail.get("method") == PurgeMethod.PARTITION
        self._require_matched(batch_id, deleted, by_partition=by_partition)
        report = SealReport(batch_id, deleted, self._digest(batch_id), self._rewritten(batch_id))
        self.ledger.record(
            Stage.SEALED,
            verify_id=verify_id,
            batch_id=batch_id,
            rows=deleted,
            digest=report.digest,
            detail={"rewritten": report.rewritten},
        )
        self._trim(batch_id)
        return report

    def _trim(self, batch_id: str) -> None:
        while not self.stopped() and self.source.trim_log(batch_id):
            pass

    def _require_matched(self, batch_id: str, deleted: int, *, by_partition: bool) -> None:
        control = self.manifests.control
        parameters = {
            "target": str(self.manifests.target),
            "topic": self.topic,
            "log": self.purge_log_topic,
            "table": str(self.manifests.table.id),
            "batch_id": batch_id,
        }
        logged = control.rows(
            f"SELECT uniqExact(row_key, transaction) AS n, uniqExact(row_key) AS keys FROM {control.name('purge_log')} FINAL"
            " WHERE topic = {log:String} AND table_name = {table:String} AND batch_id = {batch_id:String}",
            parameters,
        )[0]
        matched = control.rows(
            f"SELECT uniqExact(row_key, transaction) AS n, uniqExact(row_key) AS keys FROM {control.name('deletes')} FINAL"
            " WHERE target = {target:String} AND topic = {topic:String} AND state = 'purge'"
            " AND batch_id = {batch_id:String}",
            parameters,
        )[0]
        # More entries than keys: two tasks purged the batch at once, and the application wrote a row again in between. A
        # partition that is removed has no delete events; an event that was matched all the same is not the purge's.
        expected = {"n": 0, "keys": 0} if by_partition else logged
        if deleted != logged["keys"] or matched != expected:
            raise FatalError(
                f"batch {batch_id} of {self.manifests.target} is not sealed: {deleted} rows were deleted, {logged['n']} "
                f"purge-log entries and {matched['n']} matching delete events ({matched['keys']} keys; {expected['n']} "
                "expected) came back through the change stream. Drain to a barrier behind the purge, then seal again"
            )

    def _rewritten(self, batch_id: str) -> int:
        """As :meth:`_require_visible`, caught up with what the application has written meanwhile.

        A row that is at the source behind a new barrier, and of which the stream still says nothing, was brought back by
        something that the stream does not have: there is nothing to wait for.
        """
        looked_for: set[str] = set()
        for _ in range(LOOKS):
            try:
                return self._require_visible(batch_id)
            except _PresentError as found:
                if self.catch_up is None or found.row_key in looked_for:
                    raise
                looked_for.add(found.row_key)
                self.catch_up()
        raise TransientError(
            f"batch {batch_id} is not sealed: the application writes purged rows of {self.manifests.target} again while they "
            f"are looked at, {LOOKS} times, row {max(looked_for)} among them; try again"
        )

    def _require_visible(self, batch_id: str) -> int:
        """Look at every purged row in the archive and at the source; return how many the application wrote again."""
        rewritten, after = 0, ""
        while not self.stopped():
            rows = deleted_page(self.manifests, batch_id, after, _CHUNK)
            if not rows:
                return rewritten
            after = rows[-1]["row_key"]
            keys = [row["row_key"] for row in rows]
            visible = self.manifests.visible(keys)
            newer = self._deleted_by_application(keys)
            present = self.source.present(self.manifests.table, keys)
            for row in rows:
                key = row["row_key"]
                row_hash, version = visible.get(key, ("", newer.get(key, 0)))
                if version > row["version"]:
                    rewritten += 1
                elif row_hash != row["row_hash"]:
                    raise FatalError(
                        f"batch {batch_id} is not sealed: row {key} was purged, but the archive {self.manifests.target} does "
                        "not show it as proven. Its last content is in the table's older versions (read it without FINAL)"
                    )
                elif key in present:
                    raise _PresentError(batch_id, key)
        raise TransientError("the seal was stopped; run the task again")

    def _deleted_by_application(self, keys: list[str]) -> dict[str, int]:
        """Newest version of application deletes of these keys."""
        control = self.manifests.control
        rows = control.rows(
            f"SELECT row_key, max(version) AS version FROM {control.name('deletes')} FINAL WHERE target = {{target:String}}"
            " AND state = 'applied' AND row_key IN (SELECT k FROM wanted) GROUP BY row_key",
            {"target": str(self.manifests.target)},
            text_file("wanted", "k", keys),
        )
        return {row["row_key"]: row["version"] for row in rows}

    def _deleted(self, batch_id: str) -> int:
        return int(self._over_deleted("count()", batch_id))

    def _digest(self, batch_id: str) -> str:
        return str(self._over_deleted(rowhash.DIGEST, batch_id))

    def _over_deleted(self, expression: str, batch_id: str) -> Any:
        control = self.manifests.control
        return control.rows(
            f"SELECT {expression} AS value FROM {control.name('purged')} FINAL WHERE target = {{target:String}}"
            " AND batch_id = {batch_id:String} AND state = 'deleted'",
            {"target": str(self.manifests.target), "batch_id": batch_id},
        )[0]["value"]
