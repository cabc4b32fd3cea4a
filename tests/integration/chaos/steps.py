"""The steps of the protocol at which a process can die, in their order (``docs/crashes.md``)."""

from __future__ import annotations

from tests.integration.chaos.victim import Step

STEPS = (
    Step("recover before a proof", "verify", "archive.verify:recover_all"),
    Step("freeze the manifest", "verify", "archive.manifest:Manifests.freeze"),
    Step("compare", "verify", "archive.manifest:Manifests.block_digests"),
    Step("record the proof", "verify", "archive.ledger:Ledger.record", only="verified"),
    Step("approve", "approve", "archive.ledger:Ledger.record"),
    Step("intent", "purge", "archive.purge:Purge._begin", request=1),
    Step("recover the batch", "purge", "archive.purge:recover", "source"),
    Step("look into the archive", "purge", "archive.manifest:Manifests.still_archived"),
    Step("log and delete", "purge", "sources.base:Source._require_unchanged", "source", occurrence=2),
    Step("commit", "purge", "sources.base:Source.guarded_delete", "commit", occurrence=2),
    Step("record the outcomes", "purge", "archive.purge:settle"),
    Step("record the end", "purge", "archive.ledger:Ledger.record", only="deleted"),
    Step("drain the purge log", "drain", "archive.purgelog:PurgeLogSink.write"),
    Step("plan a micro-batch", "drain", "archive.positions:plan", only=".orders"),
    Step("store a micro-batch", "drain", "archive.sinks:TableSink.write"),
    Step("record the position", "drain", "archive.positions:record", only=".orders"),
    Step(
        "drop the purge's deletes", "drain", "clickhouse.control:Control.execute", only="dropping the purge"
    ),
    Step("apply the application's deletes", "drain", "archive.deletes:apply_rows"),
    Step("settle the application's deletes", "drain", "archive.deletes:_settle"),
    Step("recover before the seal", "seal", "archive.seal:recover", "source"),
    Step("match the events", "seal", "archive.seal:Seal._require_matched"),
    Step("look at every purged row", "seal", "archive.seal:Seal._require_visible"),
    Step("record the seal", "seal", "archive.ledger:Ledger.record"),
    Step("trim the log", "seal", "sources.base:Source.trim_log", "commit"),
    Step("choose the rows to restore", "restore", "archive.restore:Restore._select"),
    Step("insert and prove", "restore", "sources.base:Source._require_restored", "source"),
    Step("commit the restored rows", "restore", "sources.base:Source.restore", "commit", occurrence=2),
    Step("record the restore", "restore", "archive.restore:Restore._record"),
)
"""``_require_unchanged`` and ``_require_restored`` are the last looks before a COMMIT: only that is left to do."""

PLACES = ("before", "inside", "after")
