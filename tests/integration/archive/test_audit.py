"""The audit of real purges: an honest archive is sound whatever the application does, and each kind of damage is named."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from airflow_provider_chista.archive.audit import Audit, TableReport
from airflow_provider_chista.clickhouse import sql
from airflow_provider_chista.clickhouse.ddl import view_of
from airflow_provider_chista.model import Window
from airflow_provider_chista.operators.audit import AuditArchiveOperator
from tests.integration.archive.conftest import Store
from tests.integration.support.archives import Archive, archives
from tests.integration.support.engines import connector
from tests.integration.support.tasks import context
from tests.unit.docs.pages import blocks, page

TABLES = {
    "orders": "CREATE TABLE {schema}.orders (id INT PRIMARY KEY, name VARCHAR(40) NULL, day DATE NOT NULL)"
}
JANUARY = Window("day", datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 2, 1, tzinfo=UTC))
FEBRUARY = Window("day", datetime(2024, 2, 1, tzinfo=UTC), datetime(2024, 3, 1, tzinfo=UTC))
COUNT = 400


@pytest.fixture(scope="module", params=["mysql", "mariadb", "postgres"])
def made(request: pytest.FixtureRequest, store: Store) -> Iterator[Archive]:
    """Two sealed windows of 200 rows, and 100 rows of later days that are only at the source."""
    with connector(request.param, TABLES) as captured:
        days = ("2024-01-31", "2024-02-01")
        captured.engine.execute(
            f"INSERT INTO {captured.schema}.orders VALUES (%s, %s, %s)",
            many=[(i, f"n{i}" if i % 7 else None, days[i % 2]) for i in range(COUNT)]
            + [(i, "later", "2024-06-01") for i in range(COUNT, COUNT + 100)],
        )
        captured.register()
        with archives(captured, store.client, store.control, store.database) as opened:
            archive = opened("orders")
            archive.snapshot()
            archive.drain()
            for window in (JANUARY, FEBRUARY):
                archive.approve(archive.verify(window), window)
                archive.purge(window)
            archive.drain()
            for window in (JANUARY, FEBRUARY):
                archive.seal(window)
            yield archive


Task = Callable[..., tuple[AuditArchiveOperator, Any]]


@pytest.fixture
def task(made: Archive, monkeypatch: pytest.MonkeyPatch) -> Task:
    """The audit as a task that may catch up, and its context."""
    monkeypatch.setenv("AIRFLOW__CHISTA__STATE_DATABASE", made.control.database)
    given = {
        "task_id": "audit", "source_conn_id": f"{made.engine.flavour}_verify", "tables": {str(made.id): str(made.target)},
        "connector": made.connector.name, "topic_prefix": made.connector.name, "window_start": "", "window_end": "",
    }  # fmt: skip
    return lambda **more: (AuditArchiveOperator(**{**given, **more}), context())


def counts(report: TableReport) -> dict[str, int]:
    """What is not as it was proven."""
    names = ("rewritten", "deleted", "living", "missing", "differing", "extra", "evidence")
    return {name: getattr(report, name) for name in names if getattr(report, name)}


def audits(made: Archive) -> list[dict[str, Any]]:
    """Entries of the ledger, oldest first."""
    return made.control.rows(
        f"SELECT verify_id, rows, digest, detail FROM {made.control.name('ledger')}"
        " WHERE target = {t:String} AND stage = 'audited' ORDER BY at",
        {"t": str(made.target)},
    )


def mismatches(made: Archive, report: TableReport) -> dict[str, tuple[Any, ...]]:
    rows = made.control.rows(
        f"SELECT * FROM {made.control.name('mismatches')} FINAL WHERE verify_id = {{id:String}}",
        {"id": report.audit_id},
    )
    return {
        row["row_key"]: (row["finding"], row["columns"], row["source_values"], row["archive_values"])
        for row in rows
    }


def write(made: Archive, key: int, name: str, day: str = "2024-01-31", **meta: int) -> None:
    """Somebody writes into the archive."""
    known = {"_chista_version": 2**40, "_chista_deleted": 0} | meta
    made.client.command(
        f"INSERT INTO {sql.table(made.target)} (id, name, day, {', '.join(known)})"
        f" VALUES ({key}, '{name}', '{day}', {', '.join(map(str, known.values()))})"
    )


def test_an_honest_archive_is_sound_and_the_ledger_says_so(made: Archive) -> None:
    report = made.audit()
    assert report.findings == []
    assert (report.batches, report.rows, report.proven) == (2, COUNT, COUNT)
    assert counts(report) == {}
    (entry,) = audits(made)
    assert (entry["verify_id"], entry["rows"], entry["digest"]) == (report.audit_id, COUNT, report.digest)
    sealed = made.control.rows(
        f"SELECT digest FROM {made.control.name('ledger')} WHERE stage = 'sealed' AND target = {{t:String}}",
        {"t": str(made.target)},
    )
    words = [entry["digest"].split(":")[1] for entry in sealed]
    total = [sum(int(word[at : at + 16], 16) for word in words) % 2**64 for at in (0, 16)]
    assert report.digest == f"{COUNT}:{total[0]:016x}{total[1]:016x}"
    assert json.loads(entry["detail"])["findings"] == []


def test_the_task_audits_what_the_ledger_knows_of_the_engine(made: Archive, task: Task) -> None:
    operator, ran = task(tables=None)
    summary = operator.execute(ran)
    assert (summary["findings"], list(summary["tables"])) == (0, [str(made.target)])
    assert summary["tables"][str(made.target)]["proven"] == COUNT
    assert json.loads(json.dumps(summary)) == summary == ran["ti"].pushed["audit"]
    entry = made.control.rows(
        f"SELECT run_id, source FROM {made.control.name('ledger')} WHERE verify_id = {{id:String}}",
        {"id": summary["tables"][str(made.target)]["audit_id"]},
    )
    assert entry == [{"run_id": ran["ti"].run_id, "source": f"{made.engine.flavour}:{made.id}"}]

    known = {f"{made.connector.schema}.gone": "archive.gone", str(made.id): str(made.target)}
    operator, ran = task(tables=known)
    with pytest.raises(
        AirflowFailException, match=r"the audit of archive.gone found: .* not audited: archive.gone"
    ):
        operator.execute(ran)
    assert ran["ti"].pushed["audit"]["tables"][str(made.target)]["findings"] == []


def test_a_range_of_windows_is_audited_alone(made: Archive) -> None:
    report = made.audit(start=datetime(2024, 2, 1, tzinfo=UTC))
    assert (report.batches, report.rows, report.findings) == (1, COUNT // 2, [])
    report = made.audit(end=datetime(2024, 1, 1, tzinfo=UTC))
    assert (report.batches, report.rows, report.findings) == (0, 0, [])


def test_what_the_application_and_a_restore_do_is_no_damage(made: Archive) -> None:
    table = made.id
    made.engine.execute(
        f"INSERT INTO {table} VALUES (20, 'again', '2024-06-01'), (22, 'again', '2024-01-02'), (24, 'again', '2024-01-02'),"
        " (26, 'again', '2024-06-01'), (9000, 'late', '2024-01-15')",
        f"DELETE FROM {table} WHERE id = 24",
    )
    assert made.restore(row_keys=("30", "32")).restored == 2
    assert counts(made.audit()) == {}
    made.drain()
    report = made.audit()
    assert counts(report) == {"rewritten": 5, "deleted": 1, "living": 6}
    assert (report.proven, report.findings) == (COUNT - 6, [])
    # Deleted behind the last drain: the archive still shows rows that the source does not have.
    made.engine.execute(f"DELETE FROM {table} WHERE id IN (26, 30, 9000)")
    behind = made.audit(caught_up=False)
    assert {key: found[0] for key, found in mismatches(made, behind).items()} == {
        "26": "differing", "30": "differing", "9000": "extra",
    }  # fmt: skip
    # Unless a delete that waits in quarantine may be their end.
    waiting = {
        "target": str(made.target), "topic": "t", "generation": 0, "partition": 0, "offset": 0, "version": 2**62,
        "row_key": "9000", "transaction": "x", "source_time": JANUARY.start, "batch_id": "",
    }  # fmt: skip
    made.control.insert("deletes", [{**waiting, "state": "waiting"}])
    behind = made.audit(caught_up=False)
    assert (set(mismatches(made, behind)), behind.waiting_deletes) == ({"26", "30"}, 1)
    made.control.insert("deletes", [{**waiting, "state": "purge"}])
    report = made.audit()
    assert (counts(report), report.findings) == ({"rewritten": 3, "deleted": 3, "living": 3}, [])

    # Purged again, in a batch of their own, by a purge that dies before it has recorded anything.
    made.engine.execute(f"INSERT INTO {table} VALUES (9002, 'late', '2024-01-15')")
    made.drain()
    made.approve(made.verify(JANUARY), JANUARY)
    dying = made.purging(JANUARY)
    delete = dying.source.guarded_delete
    dying.source.guarded_delete = lambda *rows: delete(*rows) and 1 / 0  # type: ignore[method-assign]
    with pytest.raises(ZeroDivisionError):
        dying.run()
    dying.source.close()
    report = made.audit(caught_up=False)
    assert (counts(report), report.findings) == ({"rewritten": 3, "deleted": 3, "living": 1}, [])
    assert (report.batches, report.unsealed_batches) == (2, 1)
    assert made.purge(JANUARY).deleted == 3
    made.drain()
    assert made.seal(JANUARY).rows == 3
    report = made.audit()
    assert (report.batches, report.rows, report.proven, report.findings) == (3, COUNT + 3, COUNT - 3, [])
    assert counts(report) == {"rewritten": 3, "deleted": 3, "living": 1}

    # A column that came later is no part of what was proven.
    made.engine.execute(f"ALTER TABLE {table} ADD COLUMN note VARCHAR(20) NULL")
    made.refresh()
    assert made.audit().findings == []


def test_the_question_of_the_documentation_is_answered(made: Archive) -> None:
    (question,) = blocks(page("audit.md"), "sql")

    def ask(key: str) -> list[dict[str, Any]]:
        return made.control.rows(
            question,
            {
                "state": made.control.database,
                "archive": made.target.schema,
                "table": made.target.name,
                "row_key": key,
            },
        )

    ledger = made.control.rows(
        f"SELECT stage, verify_id, batch_id, at FROM {made.control.name('ledger')} WHERE target = {{t:String}}"
        " AND startsWith(window, 'day:2024-01') ORDER BY at",
        {"t": str(made.target)},
    )
    entries = {entry["stage"]: entry for entry in reversed(ledger)}
    logged = made.control.rows(
        f"SELECT row_hash, transaction FROM {made.control.name('purge_log')} FINAL WHERE table_name = {{t:String}}"
        " AND row_key = '2'",
        {"t": str(made.id)},
    )[0]
    (answer,) = ask("2")
    assert answer == answer | {
        "deleted_by": "purge",
        "source_table": f"{made.engine.flavour}:{made.id}",
        "source_transaction": logged["transaction"],
        "window": "day:2024-01-01T00:00:00+00:00/2024-02-01T00:00:00+00:00",
        "batch_id": entries["sealed"]["batch_id"],
        "approved_by": "a.user",
        "approved_at": entries["approved"]["at"],
        "proof": entries["verified"]["verify_id"],
        "proven_at": entries["verified"]["at"],
        "proven_hash": logged["row_hash"],
        "sealed_at": entries["sealed"]["at"],
        "place": "in the archive",
        "same_hash": True,
    }
    assert entries["intent"]["at"].timestamp() - 5 < answer["deleted_at"].timestamp()
    assert answer["deleted_at"].timestamp() < entries["sealed"]["at"].timestamp() + 5
    assert ask("100000") == []
    (again,) = ask("20")
    assert (again["place"], again["same_hash"]) == ("in the archive, written again since", False)
    purged, deleted = ask("24")
    assert [row["deleted_by"] for row in (purged, deleted)] == ["purge", "application"]
    assert purged["batch_id"] == entries["sealed"]["batch_id"]
    assert [row["place"] for row in (purged, deleted)] == ["not in the archive"] * 2
    once, twice = ask("32")
    assert (once["place"], twice["place"]) == ("in the archive, written again since", "in the archive")
    assert once["batch_id"] == entries["sealed"]["batch_id"] != twice["batch_id"]
    assert (once["proven_hash"], once["same_hash"]) == (twice["proven_hash"], True)


def test_each_kind_of_damage_is_found_and_named(made: Archive, task: Task) -> None:
    """All of it in the second window."""
    target, control = sql.table(made.target), made.control
    for statement in (
        f"ALTER TABLE {target} UPDATE name = 'forged' WHERE id = 1 SETTINGS mutations_sync = 2",
        f"DELETE FROM {target} WHERE id = 9",
        f"ALTER TABLE {target} DELETE WHERE id = 3 SETTINGS mutations_sync = 2",
        f"ALTER TABLE {control.name('purged')} UPDATE row_hash = upper(row_hash) WHERE target = '{made.target}'"
        " AND row_key = '101' SETTINGS mutations_sync = 2",
        f"DELETE FROM {control.name('purged')} WHERE target = '{made.target}' AND row_key = '103'",
        # No merges: the versions below what is written next stay.
        f"ALTER TABLE {target} MODIFY SETTING max_bytes_to_merge_at_max_space_in_pool = 1,"
        " max_bytes_to_merge_at_min_space_in_pool = 1",
    ):
        made.client.command(statement)
    write(made, 5, "newer")
    write(made, 7, "n7", _chista_deleted=1)
    write(made, 5000, "forged", "2024-02-29")
    write(made, 5001, "outside", "2024-03-01")
    report = made.audit(caught_up=False)
    found = mismatches(made, report)
    assert {key: finding for key, (finding, *_) in found.items()} == {
        "1": "differing", "9": "missing", "3": "missing", "5": "differing", "7": "missing", "5000": "extra",
        "101": "evidence", "103": "evidence",
    }  # fmt: skip
    assert counts(report) == counts(report) | {"missing": 3, "differing": 2, "extra": 1, "evidence": 2}
    # The columns are known where the table still holds the proven row.
    assert found["5"][1:] == (["name", "day"], ["5", "2:n5", "2024-02-01"], ["5", "5:newer", "2024-01-31"])
    assert found["9"][1:] == ([], [], [])
    checks = {finding.check: str(finding) for finding in report.findings}
    assert set(checks) == {"altered evidence", "missing rows", "differing rows", "extra rows"}
    assert "keys 101, 103" in checks["altered evidence"]
    assert "key 1; key 5 (in name, day)" in checks["differing rows"]
    assert "3 purged rows" in checks["missing rows"]
    assert "key 3; key 7; key 9" in checks["missing rows"]
    assert "key 5000" in checks["extra rows"]
    assert json.loads(audits(made)[-1]["detail"])["findings"] == sorted(checks)
    assert made.audit(end=FEBRUARY.start).findings == []

    # What appears between the first look and the second may have lost its row at the source meanwhile.
    def appear() -> None:
        write(made, 5002, "late", "2024-02-29")

    raced = Audit(made.capture.source, made.manifests(), made.ledger(), catch_up=appear).run()
    assert (raced.extra, "5002" in mismatches(made, raced)) == (1, False)
    assert made.audit(caught_up=False).extra == 2

    failing, ran = task()
    with pytest.raises(
        AirflowFailException, match=r"\(1\) \[error\] altered evidence: .* \(4\) \[error\] extra rows"
    ):
        failing.execute(ran)
    assert ran["ti"].pushed["audit"]["tables"][str(made.target)]["missing"] == 3


def test_a_column_that_is_gone_from_the_source_is_still_proven(made: Archive) -> None:
    made.engine.execute(f"ALTER TABLE {made.id} DROP COLUMN name")
    made.followed()
    report = made.audit(end=FEBRUARY.start)
    assert report.findings == []
    assert report.proven == COUNT // 2 - 6 + 3
    # Gone from the archive too, it cannot be proven any more.
    made.client.command(f"DROP VIEW {sql.table(view_of(made.target))}")
    made.client.command(f"ALTER TABLE {sql.table(made.target)} DROP COLUMN name")
    made.followed()
    (finding,) = made.audit(end=FEBRUARY.start).findings
    assert finding.check == "lost columns"
    assert "has no columns name any more, which the proofs of 2 batches cover" in finding.found


def test_a_digest_in_the_ledger_that_was_changed_is_found(made: Archive) -> None:
    made.client.command(
        f"ALTER TABLE {made.control.name('ledger')} UPDATE digest = replaceOne(digest, ':', ':f') WHERE stage = 'sealed'"
        f" AND target = '{made.target}' AND startsWith(window, 'day:2024-01') SETTINGS mutations_sync = 2"
    )
    found = {finding.check: finding.found for finding in made.audit(end=FEBRUARY.start).findings}
    assert "it is the ledger's entry that is not as it was sealed" in found["altered evidence"]
