"""A purge over several connections, and purges of one table that keep out of each other's way."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from airflow_provider_chista.errors import FatalError, TransientError
from airflow_provider_chista.model import TableId
from airflow_provider_chista.sources.base import Source
from airflow_provider_chista.sources.locks import PurgeLock
from tests.integration.archive.conftest import Store
from tests.integration.support import services
from tests.integration.support.engines import ENGINES, wait_for
from tests.integration.support.pairs import Pair

ROWS = 1_000


@pytest.fixture(params=ENGINES)
def pair(request: pytest.FixtureRequest, store: Store) -> Iterator[Pair]:
    engine, schema = ENGINES[request.param], f"it_{services.token()}"
    engine.create_schema(schema, [f"CREATE TABLE {schema}.t (id INT PRIMARY KEY, name VARCHAR(40))"])
    engine.execute(f"INSERT INTO {schema}.t VALUES (%s, %s)", many=[(n, f"n{n}") for n in range(ROWS)])
    with engine.source() as source:
        pair = Pair(engine, source, store.client, store.control, store.database, TableId(schema, "t"))
        pair.verify()
        yield pair
    engine.drop_schema(schema)


def logged(source: Source, batch_id: str) -> list[str]:
    return [key for page in source.logged(batch_id) for key, _ in page]


def left(pair: Pair) -> int:
    return int(pair.engine.query(f"SELECT COUNT(*) FROM {pair.table}")[0][0])


def test_each_row_is_deleted_and_logged_once_whichever_connection_has_it(pair: Pair) -> None:
    pair.engine.execute(
        f"UPDATE {pair.table} SET name = 'changed' WHERE id IN (5, 500)",
        f"DELETE FROM {pair.table} WHERE id = 7",
    )
    with pair.engine.source("purge") as source:
        counts: Counter[int] = Counter()
        another = source.another

        def counting() -> Source:
            made = another()
            delete = made.guarded_delete

            def counted(*arguments: Any) -> list[str]:
                counts[threading.get_ident()] += 1
                return delete(*arguments)

            made.guarded_delete = counted  # type: ignore[method-assign]
            return made

        source.another = counting  # type: ignore[method-assign]
        report = pair.purging(source, parallel=3, txn_size=50).run()
        assert (report.deleted, dict(report.skipped)) == (
            ROWS - 3, {"changed at the source": 2, "gone from the source": 1},
        )  # fmt: skip
        assert sum(counts.values()) == 13  # two of three of the twenty transactions
        assert sorted(logged(source, report.batch_id), key=int) == [
            str(n) for n in range(ROWS) if n not in (5, 7, 500)
        ]
    assert left(pair) == 2


def test_a_transaction_that_fails_leaves_the_others_done_and_the_next_run_goes_on(pair: Pair) -> None:
    with pair.engine.source("purge") as source:
        purging = pair.purging(source, parallel=2, txn_size=50)
        blocker = pair.engine.admin()
        cursor = blocker.cursor()
        cursor.execute("START TRANSACTION")
        cursor.execute(f"SELECT id FROM {pair.table} WHERE id = 120 FOR UPDATE")
        cursor.fetchall()
        with pytest.raises(TransientError, match="holds the row locks"):
            purging.run()
        cursor.execute("ROLLBACK")
        blocker.close()
        # 0 to 99, and of the group that failed the transaction that did not meet the lock.
        assert left(pair) == ROWS - 150
        assert pair.purging(source, parallel=2, txn_size=50).run().deleted == ROWS
    assert left(pair) == 0


def test_a_limit_and_a_pace_count_all_connections(pair: Pair) -> None:
    from airflow_provider_chista.archive.throttle import ThrottleOptions

    with pair.engine.source("purge") as source:
        report = pair.purging(source, parallel=3, txn_size=50, throttle=ThrottleOptions(limit=130)).run()
    assert (report.deleted, report.ended) == (130, "limit")
    assert left(pair) == ROWS - 130


def test_a_second_purge_of_the_table_waits_for_the_first(pair: Pair) -> None:
    with (
        pair.engine.source("purge") as source,
        pair.engine.source("purge") as other,
        ThreadPoolExecutor(1) as pool,
    ):
        with PurgeLock(other, pair.table) as held:
            assert held.acquire()
            waiting = pool.submit(pair.purging(source).run)
            wait_for(lambda: pair.told)
            time.sleep(1.5)
            assert not waiting.done()
            assert left(pair) == ROWS
        assert waiting.result(20).deleted == ROWS
    assert pair.told == [f"another purge of {pair.table} runs; waiting for its end"]


def test_one_that_waits_can_be_stopped(pair: Pair) -> None:
    with (
        pair.engine.source("purge") as source,
        pair.engine.source("purge") as other,
        PurgeLock(other, pair.table) as held,
    ):
        assert held.acquire()
        purging = pair.purging(source)
        purging.stopped = lambda: bool(pair.told)
        with pytest.raises(TransientError, match="was stopped while it waited for another one"):
            purging.run()
    assert left(pair) == ROWS


@pytest.mark.parametrize("options", [{"parallel": 0}, {"txn_size": 0}])
def test_less_than_one_is_refused(pair: Pair, options: dict[str, int]) -> None:
    with (
        pair.engine.source("purge") as source,
        pytest.raises(FatalError, match="a purge needs at least one of each"),
    ):
        pair.purging(source, **options)
