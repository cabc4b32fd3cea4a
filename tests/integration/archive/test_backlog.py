"""What lies open around an archive table is a finding from a certain age on; only the state tables are asked."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from airflow_provider_chista.archive.backlog import AuditLimits, Backlog
from airflow_provider_chista.archive.positions import version
from airflow_provider_chista.findings import Finding
from airflow_provider_chista.model import TableId
from tests.integration.archive.conftest import Store
from tests.integration.support import services

NOW = datetime.now(UTC)
OLD, YOUNG = NOW - timedelta(hours=25), NOW - timedelta(hours=23)
NEVER = AuditLimits(None, None, None, None)

Write = Callable[..., None]


@pytest.fixture
def target() -> TableId:
    return TableId("archive", f"t_{services.token()}")


@pytest.fixture
def write(store: Store, target: TableId) -> Write:
    def insert(table: str, **columns: Any) -> None:
        store.control.insert(table, [{"target": str(target), **columns}])

    return insert


def backlog(store: Store, target: TableId, limits: AuditLimits | None = None) -> Backlog:
    return Backlog.of(store.control, target, limits or AuditLimits())


def told(findings: list[Finding]) -> dict[str, str]:
    return {finding.check: finding.found for finding in findings}


def delete(generation: int, at: datetime, state: str = "waiting") -> dict[str, Any]:
    known = {"topic": "t", "partition": 0, "offset": generation, "version": 1, "row_key": f"k{generation}"}
    return {**known, "generation": generation, "state": state, "recorded_at": at}


def test_deletes_in_quarantine(store: Store, target: TableId, write: Write) -> None:
    write("deletes", **delete(0, OLD, "purge"))
    assert backlog(store, target).deletes() == (0, [])
    write("deletes", **delete(1, YOUNG))
    write("positions", generation=1)
    assert backlog(store, target).deletes() == (1, [])
    assert backlog(store, target, AuditLimits(waiting=timedelta(hours=1))).deletes()[1]
    write("deletes", **delete(2, OLD))
    count, findings = backlog(store, target).deletes()
    assert count == 2
    assert "2 deletes wait in quarantine" in told(findings)["waiting deletes"]
    assert f"since {OLD:%Y-%m-%d %H:%M:%S}+00:00, of the key k2" in told(findings)["waiting deletes"]
    assert backlog(store, target, NEVER).deletes() == (2, [])


def test_deletes_of_a_topic_that_is_gone_are_a_gap_whatever_their_age(
    store: Store, target: TableId, write: Write
) -> None:
    write("deletes", **delete(1, NOW))
    write("deletes", **delete(2, NOW))
    write("positions", generation=2)
    count, findings = backlog(store, target, NEVER).deletes()
    assert count == 2
    assert "1 deletes in quarantine are of an earlier generation of the topic than 2" in told(findings)["gap"]


def test_open_dead_letters(store: Store, target: TableId, write: Write) -> None:
    letter = {"topic": "t", "error_class": "DecodeError", "error": "a year of 10 digits"}
    write("dead_letters", **letter, offset=1, state="discarded", recorded_at=OLD)
    assert backlog(store, target).letters() == (0, [])
    write("dead_letters", **letter, offset=2, recorded_at=YOUNG)
    assert backlog(store, target).letters() == (1, [])
    write("dead_letters", **letter, offset=3, recorded_at=OLD)
    count, findings = backlog(store, target).letters()
    assert (count, list(told(findings))) == (2, ["dead letters"])
    assert "offset 2: DecodeError: a year of 10 digits" in told(findings)["dead letters"]
    assert backlog(store, target, NEVER).letters() == (2, [])


def test_batches_that_are_not_sealed(store: Store, target: TableId, write: Write) -> None:
    def entry(stage: str, proof: str, at: datetime) -> None:
        write("ledger", stage=stage, verify_id=proof, batch_id=f"batch of {proof}", window="all", at=at)

    entry("intent", "sealed", OLD)
    entry("sealed", "sealed", OLD)
    entry("verified", "only proven", OLD)
    assert backlog(store, target).batches() == (0, [])
    entry("intent", "young", YOUNG)
    assert backlog(store, target).batches() == (1, [])
    entry("intent", "old", OLD)
    count, findings = backlog(store, target).batches()
    assert count == 2
    found = told(findings)["unsealed batches"]
    assert "1 purges were begun and not sealed; the oldest is batch batch of old of the window all" in found
    assert found.endswith("the purge did not come to its end")
    entry("deleted", "old", OLD)
    write("purged", row_key="1", batch_id="batch of old", version=version(1, 7), state="deleted")
    write("positions", generation=2)
    found = told(backlog(store, target).batches()[1])["unsealed batches"]
    assert (
        "every row has its outcome. 1 of their rows were purged before the topic was created again" in found
    )
    assert backlog(store, target, NEVER).batches() == (2, [])


def test_the_newest_proof(store: Store, target: TableId, write: Write) -> None:
    week = timedelta(days=7)
    assert told(backlog(store, target).proofs()) == {"old proof": "there is no proof"}
    assert backlog(store, target, NEVER).proofs() == []
    write("ledger", stage="verified", window="a", at=NOW - week - timedelta(hours=1))
    assert "the newest proof is of" in told(backlog(store, target).proofs())["old proof"]
    write("ledger", stage="verified", window="b", at=NOW - week + timedelta(hours=1))
    assert backlog(store, target).proofs() == []
    write("ledger", stage="mismatched", window="b", at=NOW - timedelta(hours=1))
    assert told(backlog(store, target).proofs()) == {
        "refuted proof": "the newest comparison of 1 windows, such as b, found differences"
    }
    write("ledger", stage="verified", window="b", at=NOW)
    assert backlog(store, target).proofs() == []
