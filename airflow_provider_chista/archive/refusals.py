"""The reasons not to purge: every promise that could not be kept, all at once, each with the way out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from airflow_provider_chista.archive import window as windows
from airflow_provider_chista.archive.complete import incomplete, incomplete_remedy
from airflow_provider_chista.archive.deadletters import REMEDY as LETTERS_REMEDY
from airflow_provider_chista.archive.deadletters import open_letters
from airflow_provider_chista.archive.factors import SourceFactors
from airflow_provider_chista.archive.ledger import Entry, Ledger, Stage
from airflow_provider_chista.archive.manifest import Manifests
from airflow_provider_chista.archive.policies import DeletePolicy
from airflow_provider_chista.archive.purgereport import PurgeOptions
from airflow_provider_chista.archive.quarantine import QUARANTINE_REMEDY, open_quarantine
from airflow_provider_chista.archive.removal import Removal
from airflow_provider_chista.archive.unsealed import unsealed_batches
from airflow_provider_chista.clickhouse import durability
from airflow_provider_chista.errors import RefusedError
from airflow_provider_chista.findings import Severity
from airflow_provider_chista.model import describe
from airflow_provider_chista.sources.base import Source


@dataclass(frozen=True, slots=True)
class Reason:
    """A reason not to purge.

    :param passes: whether another run that is at work may take it away, so that a retry helps.
    """

    text: str
    passes: bool = False

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Refusals:
    """What is looked at before a purge, and again after a long pause.

    :param inspector: the source as the verify user, who sees foreign keys, triggers, sessions and standbys.
    :param factors: what the throttle measures.
    :param configured: fingerprint of a connector's configuration, by the connector's name; it gives None when there is no
        such connector. None: nobody is asked.
    :param removal: what removes partitions; None: rows are deleted.
    """

    inspector: Source
    manifests: Manifests
    ledger: Ledger
    options: PurgeOptions
    factors: SourceFactors
    configured: Callable[[str], str | None] | None = None
    removal: Removal | None = None

    def of(self, proof: Entry | None) -> list[Reason]:
        """Every reason not to purge by a proof; empty when there is none."""
        return [
            *map(Reason, self._of_window(proof)),
            *(self._of_proof(proof) if proof is not None else ()),
            *self._of_state(proof),
            *map(Reason, self._of_archive(proof)),
            *map(Reason, self._of_source()),
            *map(Reason, self.removal.reasons() if self.removal else ()),
        ]

    def _of_window(self, proof: Entry | None) -> Iterator[str]:
        window, target = self.ledger.window, self.manifests.target
        if self.options.policy is not DeletePolicy.ARCHIVE:
            yield (
                f"the delete policy of {target} is {self.options.policy}: the purge's own deletes would be applied or "
                "lost; use the policy archive"
            )
        try:
            windows.require_older(window, self.options.retention, datetime.now(UTC))
        except RefusedError as error:
            yield str(error)
        if proof is None:
            yield f"{describe(window)} of {target} has no proof; run VerifyArchiveOperator for exactly this window"

    def _of_proof(self, proof: Entry) -> Iterator[Reason]:
        table = self.manifests.table
        if proof.detail.get("schema") != table.fingerprint:
            yield Reason(f"the columns of {table.id} changed since the proof; verify again")
        if self.manifests.length(proof.verify_id) != proof.rows:
            yield Reason(
                f"the manifest of the proof {proof.verify_id} is not complete any more; verify again"
            )
        if self.options.require_approval and not self.options.dry_run:
            yield from map(Reason, self._of_approval(proof.verify_id))
        if self.configured is not None:
            yield from map(Reason, self._of_connector(proof, self.configured))

    def _of_approval(self, verify_id: str) -> Iterator[str]:
        verdict = self.ledger.verdict(verify_id)
        if verdict is None:
            yield f"nobody approved the proof {verify_id}"
        elif verdict.stage is Stage.REJECTED:
            yield f"{verdict.actor or 'the timeout'} rejected the proof {verify_id}"
        elif not verdict.actor:
            yield f"the approval of the proof {verify_id} names no user"

    def _of_connector(self, proof: Entry, configured: Callable[[str], str | None]) -> Iterator[str]:
        connector = proof.detail.get("connector")
        if connector is None:
            yield "the proof does not say by which connector's configuration it was made; verify again"
            return
        now = configured(connector)
        if now is None:
            yield (
                f"the connector {connector} of the proof does not exist any more, so deletes would not come back; register "
                "it, drain to a barrier, verify again"
            )
        elif now != proof.detail.get("connector_config"):
            yield (
                f"the configuration of the connector {connector} changed since the proof, so that it may capture the table "
                "or the purge log otherwise than before; drain to a barrier and verify again, or give it back the "
                "configuration that it had"
            )

    def _of_state(self, proof: Entry | None) -> Iterator[Reason]:
        """What is unfinished in the state tables."""
        control, target, table = self.manifests.control, self.manifests.target, self.manifests.table
        if table.unproven:
            yield Reason(
                f"columns {', '.join(table.unproven)} of {table.id} are excluded, or stored in a type that need not be "
                "exact, so no row is proven whole"
            )
        if letters := open_letters(control, target):
            yield Reason(f"{letters}; {LETTERS_REMEDY}")
        waiting = open_quarantine(control, table.id, target, proof.verify_id if proof else "")
        if waiting:
            yield Reason(f"{waiting}; {QUARANTINE_REMEDY}", passes=True)
        for batch in unsealed_batches(control, target):
            if reason := batch.reason(self.ledger.window, self.options.listed):
                yield Reason(reason, passes=not batch.forgotten)

    def _of_archive(self, proof: Entry | None) -> Iterator[str]:
        """What could drop the archived rows."""
        client, target = self.manifests.control.client, self.manifests.target
        if found := incomplete(client, self.manifests.table, target):
            yield f"{found}; {incomplete_remedy(self.manifests.table)}"
        threats = durability.threats(client, target)
        if self.options.min_replicas > 1 and proof is not None:
            cluster, age = self.manifests.control.placement.cluster, self.ledger.age(proof)
            threats += durability.lacking_copies(client, target, self.options.min_replicas, cluster, age)
        yield from map(str, threats)

    def _of_source(self) -> Iterator[str]:
        table = self.manifests.table
        findings = [
            *self.inspector.settings_findings(slot=self.options.slot),
            *self.inspector.table_findings(
                table, listed=self.options.listed, publication=self.options.publication
            ),
            *self.factors.findings(self.options.throttle),
        ]
        yield from (
            str(finding) for finding in findings if finding.severity in (Severity.ERROR, Severity.PURGE)
        )
