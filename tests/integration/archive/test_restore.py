"""Purged rows come back to the source, through the stream, and are purged again: both sides end as they began."""

from __future__ import annotations

import json
import multiprocessing
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from typing import Any

import pytest

from airflow_provider_chista.archive.ledger import Author
from airflow_provider_chista.archive.restore import Conflicts, RestoreReport
from airflow_provider_chista.clickhouse import sql
from airflow_provider_chista.errors import FatalError, RefusedError, TransientError
from airflow_provider_chista.model import Window
from tests.integration.archive.conftest import Store
from tests.integration.support.archives import Archive, archives, restore_in_process
from tests.integration.support.engines import Connector, connector

ROWS = "(id INT PRIMARY KEY, name VARCHAR(255) NULL, day DATE NOT NULL)"
TABLES = {name: f"CREATE TABLE {{schema}}.{name} {ROWS}" for name in ("whole", "killed", "chosen")}
JANUARY = Window("day", datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 2, 1, tzinfo=UTC))
TEXTS = ["", "~", "|1:x", "null", 'O\'Brien, "x"\\', "line\nbreak", "é 😀", None, " trailing "]
COUNT = 3_000


@pytest.fixture(scope="module", params=["mysql", "mariadb", "postgres"])
def captured(request: pytest.FixtureRequest, store: Store) -> Iterator[Connector]:
    with connector(request.param, TABLES) as made:
        for name in TABLES:
            made.engine.execute(
                f"INSERT INTO {made.schema}.{name} VALUES (%s, %s, %s)",
                many=[
                    (i, TEXTS[i % len(TEXTS)], "2024-01-31" if i % 3 else "9999-12-31") for i in range(COUNT)
                ],
            )
        made.register()
        yield made


@pytest.fixture
def archive(captured: Connector, store: Store) -> Iterator[Callable[[str], Archive]]:
    with archives(captured, store.client, store.control, store.database) as opened:

        def of(name: str) -> Archive:
            made = opened(name)
            made.snapshot()
            made.drain()
            return made

        yield of


def purged(made: Archive, window: Window | None = None) -> str:
    """Verify, approve and purge; the batch."""
    made.approve(made.verify(window), window)
    return made.purge(window).batch_id


def restored(made: Archive) -> list[dict[str, Any]]:
    """Entries of the ledger, oldest first."""
    return made.control.rows(
        f"SELECT rows, digest, actor, run_id, batch_id, detail FROM {made.control.name('ledger')}"
        " WHERE target = {t:String} AND stage = 'restored' ORDER BY at",
        {"t": str(made.target)},
    )


def lists_left(made: Archive, report: RestoreReport) -> int:
    return made.manifests().length(report.restore_id)


def test_restored_rows_return_through_the_stream_and_are_purged_again(
    archive: Callable[[str], Archive],
) -> None:
    made = archive("whole")
    before = made.in_source()
    batch = purged(made, JANUARY)
    kept = made.in_source()
    assert len(kept) == COUNT // 3
    made.drain()
    sealed = made.seal(JANUARY)

    report = made.restore(batch_id=batch)
    assert (report.selected, report.restored, report.already_there, report.conflicts) == (
        2 * COUNT // 3,
        2 * COUNT // 3,
        0,
        0,
    )
    assert report.digest == sealed.digest
    assert made.in_source() == before
    # Not drained yet: the seal says what is missing, the verification catches up.
    with pytest.raises(FatalError, match="Drain to a barrier and seal again"):
        made.seal(JANUARY)
    proof = made.verify(JANUARY)
    assert (proof.rows, proof.digest) == (sealed.rows, sealed.digest)
    assert made.shown() == before
    again = made.seal(JANUARY)
    assert (again.batch_id, again.rows, again.rewritten) == (batch, sealed.rows, sealed.rows)

    # The new proof has a batch of its own.
    assert made.purge(JANUARY, require_approval=False).batch_id != batch
    assert made.in_source() == kept
    summary = made.drain()
    assert (summary["purge_deletes"], summary["application_deletes"], summary["held_deletes"]) == (
        sealed.rows,
        0,
        0,
    )
    last = made.seal(JANUARY)
    assert (last.rows, last.digest, last.rewritten) == (sealed.rows, sealed.digest, 0)
    assert made.shown() == before
    assert made.verify(None).rows == len(kept)
    assert [(entry["rows"], entry["digest"], entry["batch_id"]) for entry in restored(made)] == [
        (sealed.rows, sealed.digest, batch)
    ]
    assert made.engine.query(f"SELECT count(*) FROM chista.purge_log WHERE table_name = '{made.id}'") == [
        (0,)
    ]


def test_a_restore_killed_between_transactions_and_repeated_ends_the_same(
    archive: Callable[[str], Archive],
) -> None:
    made = archive("killed")
    before = made.in_source()
    batch = purged(made)
    assert made.in_source() == []
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.integration.support.archives", "pandas"])
    place = (made.engine.flavour, made.connector.name, made.database, made.control.database, made.name, batch)
    for die_after in (1, 3):
        process = context.Process(target=restore_in_process, args=(*place, 100, die_after))
        process.start()
        process.join(60)
        assert process.exitcode == -9
    assert len(made.in_source()) == 300
    stops = iter([False, False, False, False, True])
    with pytest.raises(TransientError, match="stopped after 100 rows; run the task again"):
        made.restore(batch_id=batch, txn_size=100, stopped=lambda: next(stops))
    report = made.restore(batch_id=batch, actor="a.user", author=Author("d", "r", "t", 2, "a mistake"))
    assert (report.restored, report.already_there, report.selected) == (COUNT - 400, 400, COUNT)
    assert made.in_source() == before
    assert lists_left(made, report) == 0
    entries = [
        (e["rows"], e["actor"], e["run_id"], json.loads(e["detail"]).get("reason")) for e in restored(made)
    ]
    assert entries == [(100, "", "", None), (COUNT - 400, "a.user", "r", "a mistake")]
    # The purge task, cleared, goes on with its own batch, which is done with these rows.
    assert made.purge().batch_id == batch
    assert made.in_source() == before
    # The purge's own deletes and the inserts arrive in the order of their commits; the batch can still be sealed.
    summary = made.drain()
    assert (summary["purge_deletes"], summary["application_deletes"]) == (COUNT, 0)
    assert made.seal().rewritten == COUNT
    assert made.shown() == before
    assert made.restore(batch_id=batch).already_there == COUNT


def test_rows_are_chosen_by_window_and_by_key_and_conflicts_stay(archive: Callable[[str], Archive]) -> None:
    made = archive("chosen")
    before = {row[0]: row for row in made.in_source()}
    batch = purged(made)
    made.engine.execute(f"INSERT INTO {made.id} VALUES (1, 'newer', '2024-01-05')")

    dry = made.restore(window=JANUARY, dry_run=True)
    assert (dry.selected, dry.restored, dry.conflicts) == (2 * COUNT // 3, 2 * COUNT // 3 - 1, 1)
    assert len(made.in_source()) == 1
    with pytest.raises(RefusedError, match=r"another content .* keys 1\."):
        made.restore(window=JANUARY)
    assert len(made.in_source()) == 1
    report = made.restore(row_keys=("3", "0", "3"))
    assert (report.selected, report.restored) == (2, 2)
    with pytest.raises(RefusedError, match="does not show 1 of the keys: 999999"):
        made.restore(row_keys=("5", "999999"))
    report = made.restore(window=JANUARY, conflicts=Conflicts.SKIP)
    assert (report.restored, report.already_there, report.conflicts) == (2 * COUNT // 3 - 1, 0, 1)
    expected = {key: row for key, row in before.items() if row[2].year != 9999} | {0: before[0], 3: before[3]}
    expected[1] = (1, "newer", date(2024, 1, 5))
    assert {row[0]: row for row in made.in_source()} == expected
    with pytest.raises(RefusedError, match="no finished purge batch unknown"):
        made.restore(batch_id="unknown")

    # A row that came back and was deleted by the application is not part of its batch any more.
    made.engine.execute(f"DELETE FROM {made.id} WHERE id = 3")
    made.drain()
    report = made.restore(batch_id=batch, conflicts=Conflicts.SKIP)
    assert (report.not_archived, report.restored, report.conflicts) == (1, COUNT // 3 - 2, 0)
    assert 3 not in {row[0] for row in made.in_source()}

    waiting = {
        "target": str(made.target), "topic": "t", "generation": 0, "partition": 0, "offset": 0, "version": 1, "row_key": "9",
        "transaction": "x", "source_time": datetime(2024, 1, 5, tzinfo=UTC), "batch_id": "",
    }  # fmt: skip
    made.control.insert("deletes", [{**waiting, "state": "waiting"}])
    with pytest.raises(RefusedError, match=r"1 deletes of .* wait in quarantine"):
        made.restore(batch_id=batch)
    made.control.insert("deletes", [{**waiting, "state": "purge"}])

    # A row that is incomplete in the archive has no hash.
    made.client.command(
        f"INSERT INTO {sql.table(made.target)} (id, name, day, _chista_version, _chista_incomplete)"
        " VALUES (7, NULL, '2024-01-31', 18000000000000000000, ['name'])"
    )
    with pytest.raises(RefusedError, match="1 of the rows are incomplete"):
        made.restore(row_keys=("7",))
