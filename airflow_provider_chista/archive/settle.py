"""What became of each row of a purge batch, in the state table ``purged``; after a crash the source's purge log tells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain, islice
from typing import Any

from airflow_provider_chista.archive.ledger import Ledger, batch_of
from airflow_provider_chista.archive.manifest import Manifests, Row
from airflow_provider_chista.sources.base import Source

DELETED = ("deleted", "")

_PAGES = 10
"""Pages of the source's purge log that are looked up and recorded at a time."""


def settle(
    manifests: Manifests, batch_id: str, rows: Sequence[Row], outcomes: Mapping[str, tuple[str, str]]
) -> None:
    """Record the outcome (state, reason) of each row, by row key; ``deleted`` wins over ``skipped``."""
    manifests.control.insert(
        "purged",
        [
            {
                "target": str(manifests.target),
                "row_key": row.row_key,
                "batch_id": batch_id,
                "row_hash": row.row_hash,
                "version": row.version,
                "state": outcomes[row.row_key][0],
                "reason": outcomes[row.row_key][1],
            }
            for row in rows
        ],
    )


def deleted_page(manifests: Manifests, batch_id: str, after: str, limit: int) -> list[dict[str, Any]]:
    """Row key, hash and version of the next rows that a batch has deleted, in the order of their row keys' text."""
    control = manifests.control
    return control.rows(
        f"SELECT row_key, row_hash, version FROM {control.name('purged')} FINAL WHERE target = {{target:String}}"
        " AND batch_id = {batch_id:String} AND state = 'deleted' AND row_key > {after:String}"
        " ORDER BY row_key LIMIT {limit:UInt32}",
        {"target": str(manifests.target), "batch_id": batch_id, "after": after, "limit": limit},
    )


def recover(source: Source, manifests: Manifests, verify_id: str) -> None:
    """Record what the batch of a proof has deleted at the source, by the source's own purge log.

    The log is written in the deleting transaction, so it is the truth after any crash. Doing it twice changes nothing.
    """
    batch_id = batch_of(verify_id)
    pages = source.logged(batch_id)
    # A look-up reads the whole manifest, so that many keys at once are cheaper.
    while entries := list(chain.from_iterable(islice(pages, _PAGES))):
        rows = manifests.rows(verify_id, [row_key for row_key, _ in entries])
        settle(manifests, batch_id, rows, {row.row_key: DELETED for row in rows})


def recover_all(source: Source, manifests: Manifests, ledger: Ledger) -> None:
    """:func:`recover` every batch of the archive table that was begun and is not sealed, of all windows."""
    for verify_id in ledger.unsealed(every_window=True):
        recover(source, manifests, verify_id)
