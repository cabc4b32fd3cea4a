"""A row leaves the source only when its hash, recomputed in the deleting transaction, equals the archive's."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import pytest

from airflow_provider_chista.errors import FatalError, RefusedError, TransientError
from airflow_provider_chista.sources import open_source
from tests.integration.sources.guarded import Hashes, Purge

SEQUENCE = (
    "JSON_TABLE(CONCAT('[1', REPEAT(',1', 5000), ']'), '$[*]' COLUMNS (a FOR ORDINALITY)) g WHERE a > 100"
)
COLUMNS = "id INT PRIMARY KEY, name VARCHAR(255), d DATE"


@pytest.fixture
def purge(schema: Any) -> Iterator[Purge]:
    made = Purge(schema, COLUMNS, [(i, f"näme|{i}", "2020-01-01") for i in range(1, 11)])
    yield made
    made.close()


def test_equal_rows_are_deleted_and_logged(purge: Purge) -> None:
    some = purge.hashes[:4]
    assert sorted(purge.delete(some)) == sorted(key for key, _ in some)
    assert sorted(purge.logged()) == sorted(some)
    assert purge.left() == [5, 6, 7, 8, 9, 10]


def test_the_log_names_the_table(purge: Purge) -> None:
    purge.delete(purge.hashes[:1])
    rows = purge.execute(
        f"SELECT table_name, row_key, row_hash FROM chista.purge_log WHERE batch_id = '{purge.batch}'"
    )
    assert list(rows) == [(str(purge.table.id), *purge.hashes[0])]


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE {t} SET name = 'other' WHERE id = 3",
        "UPDATE {t} SET name = NULL WHERE id = 3",
        "UPDATE {t} SET name = 'Näme|3' WHERE id = 3",
        "UPDATE {t} SET name = 'näme|3 ' WHERE id = 3",
        "UPDATE {t} SET d = '2020-01-02' WHERE id = 3",
    ],
)
def test_a_changed_row_stays(purge: Purge, change: str) -> None:
    purge.execute(change)
    deleted = purge.delete()
    assert "3" not in deleted
    assert len(deleted) == 9
    assert purge.left() == [3]
    assert "3" not in dict(purge.logged())


def test_rows_that_are_gone_are_left_out(purge: Purge) -> None:
    purge.execute("DELETE FROM {t} WHERE id IN (2, 4)")
    assert sorted(purge.delete(), key=int) == ["1", "3", "5", "6", "7", "8", "9", "10"]
    assert len(purge.logged()) == 8


def test_a_row_that_moved_to_another_key_stays(purge: Purge) -> None:
    purge.execute("UPDATE {t} SET id = 100 WHERE id = 1")
    assert "1" not in purge.delete()
    assert purge.left() == [100]


def test_the_hash_of_another_row_deletes_nothing(purge: Purge) -> None:
    (first, first_hash), (second, second_hash) = purge.hashes[:2]
    assert purge.delete([(first, second_hash), (second, first_hash), ("3", ""), ("4", "0" * 64)]) == []
    assert purge.logged() == []


def test_the_same_call_again_deletes_nothing_more(purge: Purge) -> None:
    assert len(purge.delete()) == 10
    assert purge.delete() == []
    assert len(purge.logged()) == 10


def test_a_row_given_twice_is_deleted_and_logged_once(purge: Purge) -> None:
    assert purge.delete([purge.hashes[0]] * 3 + [(purge.hashes[0][0], "f" * 64)]) == ["1"]
    assert purge.logged() == [purge.hashes[0]]


def test_an_inserted_row_with_a_deleted_key_stays(purge: Purge) -> None:
    purge.delete(purge.hashes[:1])
    purge.execute("INSERT INTO {t} VALUES (1, 'new life', NULL)")
    assert purge.delete(purge.hashes[:1]) == []
    assert 1 in purge.left()


def test_no_rows_is_no_transaction(purge: Purge) -> None:
    assert purge.delete([]) == []


def test_an_update_committed_while_the_delete_waits_keeps_its_row(purge: Purge) -> None:
    """The application holds the row's lock, the delete waits for it, the application commits: only that row stays."""
    with closing(purge.schema.server.connect()) as application, ThreadPoolExecutor(1) as pool:
        set_autocommit(application, on=False)
        application.cursor().execute(
            f"UPDATE {purge.schema.named(purge.name)} SET name = 'live' WHERE id = 5"
        )
        running = pool.submit(purge.delete)
        time.sleep(1)
        assert not running.done(), "the delete did not wait for the lock"
        application.commit()
        deleted = running.result(20)
    assert "5" not in deleted
    assert len(deleted) == 9
    assert purge.left() == [5]
    assert "5" not in dict(purge.logged())


def test_an_update_rolled_back_while_the_delete_waits_does_not_keep_it(purge: Purge) -> None:
    with closing(purge.schema.server.connect()) as application, ThreadPoolExecutor(1) as pool:
        set_autocommit(application, on=False)
        application.cursor().execute(
            f"UPDATE {purge.schema.named(purge.name)} SET name = 'live' WHERE id = 5"
        )
        running = pool.submit(purge.delete)
        time.sleep(1)
        application.rollback()
        assert len(running.result(20)) == 10


def test_a_lock_that_stays_is_transient_and_nothing_is_deleted(purge: Purge) -> None:
    with closing(purge.schema.server.connect()) as application:
        set_autocommit(application, on=False)
        application.cursor().execute(
            f"UPDATE {purge.schema.named(purge.name)} SET name = 'live' WHERE id = 5"
        )
        begun = time.monotonic()
        with pytest.raises(TransientError, match="holds the row locks"):
            purge.delete()
        assert time.monotonic() - begun < 10
        application.rollback()
    assert len(purge.left()) == 10
    assert purge.logged() == []
    assert len(purge.delete()) == 10, "the source is of no use after a lock timeout"


def test_two_deleters_at_once_share_the_rows(schema: Any) -> None:
    purge = Purge(schema, COLUMNS, [(i, f"n{i}", None) for i in range(600)])
    start = threading.Barrier(2)

    def run(rows: Hashes) -> list[str]:
        deleted: list[str] = []
        with schema.source("purge") as source:
            start.wait()
            for first in range(0, len(rows), 50):
                for _ in range(10):
                    try:
                        deleted += purge.delete(rows[first : first + 50], source)
                        break
                    except TransientError:
                        continue
        return deleted

    with ThreadPoolExecutor(2) as pool:
        one, other = pool.map(run, [purge.hashes, purge.hashes[::-1]])
    assert sorted(one + other) == sorted(key for key, _ in purge.hashes)
    assert sorted(purge.logged()) == sorted(purge.hashes)
    assert purge.left() == []
    purge.close()


def test_a_batch_of_five_thousand_rows(schema: Any) -> None:
    purge = Purge(schema, COLUMNS, [(i, f"n{i}" * 5, "2020-01-01") for i in range(6_000)])
    assert len(purge.delete(purge.hashes[:5_000])) == 5_000
    assert [len(page) for page in purge.source.logged(purge.batch)] == [5_000]
    assert purge.left() == list(range(5_000, 6_000))
    assert purge.source.trim_log(purge.batch, 3_000) == 3_000
    assert purge.source.trim_log(purge.batch, 3_000) == 2_000
    assert purge.source.trim_log(purge.batch, 3_000) == 0
    purge.close()


@pytest.mark.parametrize(
    ("columns", "rows"),
    [
        (
            "k VARCHAR(60) PRIMARY KEY, n INT",
            [("a", 1), ("B", 2), ("it's", 3), ('q"|,\\n', 4), ("é😀\n", 5), ("", 6)],
        ),
        (
            "a INT, b VARCHAR(20), d DATE, n INT, PRIMARY KEY (a, b, d)",
            [(1, "x", "1000-01-01", 1), (1, "y|1:z", "9999-12-31", None), (-5, "", "2020-02-29", 3)],
        ),
        ("d DATE, k CHAR(4), PRIMARY KEY (k, d)", [("2020-01-01", "d001"), ("2020-01-02", "x")]),
        ("k BIGINT PRIMARY KEY", [(2**63 - 1,), (-(2**63),), (0,)]),
    ],
    ids=["text", "composite", "char", "bigint"],
)
def test_keys_of_every_kind(schema: Any, columns: str, rows: list[tuple[Any, ...]]) -> None:
    purge = Purge(schema, columns, rows)
    assert sorted(purge.delete()) == sorted(key for key, _ in purge.hashes)
    assert len(purge.hashes) == len(rows)
    assert purge.execute("SELECT COUNT(*) FROM {t}") in ([(0,)], ((0,),))
    purge.close()


def test_psycopg2_deletes_like_psycopg(schema: Any) -> None:
    if schema.flavour != "postgres":
        pytest.skip("of PostgreSQL")
    psycopg2 = pytest.importorskip("psycopg2")
    rows = [
        (1, "it's", "2020-01-01", "ab", None),
        (-5, 'é😀"\\', "0001-01-01", "", 7),
        (2, "", "9999-12-31", "abcd", 0),
    ]
    purge = Purge(schema, "a INT, b TEXT, d DATE, c CHAR(4), n BIGINT, PRIMARY KEY (a, b, d, c)", rows)
    server, login = schema.server, schema.roles["purge"]

    def connect() -> Any:
        return psycopg2.connect(
            host=server.host,
            port=server.port,
            user=login["login"],
            password=login["password"],
            dbname=server.database,
        )

    with open_source(connect) as source:
        assert [row for chunk in source.hashes(purge.table, None, 2) for row in chunk] == purge.hashes
        assert source.present(purge.table, [key for key, _ in purge.hashes]) == {
            key for key, _ in purge.hashes
        }
        changed, *equal = purge.hashes
        assert sorted(purge.delete([(changed[0], "0" * 64), *equal], source)) == sorted(
            key for key, _ in equal
        )
    purge.close()


def test_a_key_that_only_the_collation_finds_equal_deletes_nothing(schema: Any) -> None:
    purge = Purge(schema, "k VARCHAR(20) PRIMARY KEY, n INT", [("Abc", 1)])
    other = purge.hashes[0][0].replace("Abc", "aBC")
    if schema.flavour == "postgres":
        assert purge.delete([(other, purge.hashes[0][1])]) == []
    else:  # found by the collation; the archive cannot have this hash for that key
        with pytest.raises(RefusedError, match=r"took 1 rows of .* and shows 0 of the given keys"):
            purge.delete([(other, purge.hashes[0][1])])
        assert purge.logged() == []
        assert purge.source.count(purge.table, None) == 1
    assert purge.source.present(purge.table, [other]) == set()
    assert purge.source.rows(purge.table, [other]) == {}
    purge.close()


def test_a_column_added_since_the_proof_stops_the_delete(purge: Purge) -> None:
    purge.execute("ALTER TABLE {t} ADD COLUMN extra INT DEFAULT 7")
    with pytest.raises(RefusedError, match=r"columns or the key of .* changed"):
        purge.delete()
    assert len(purge.left()) == 10
    assert purge.logged() == []


def test_a_delete_that_deletes_less_than_it_logged_is_rolled_back(purge: Purge) -> None:
    """A trigger that swallows a delete (PostgreSQL), or a log that swallows a row, must not pass unseen."""
    if purge.schema.flavour != "postgres":
        pytest.skip("triggers of MySQL and MariaDB cannot swallow a row")
    function = purge.schema.named("swallow")
    purge.execute(
        f"CREATE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'"
    )
    server = purge.schema.server
    server.execute(
        f"CREATE TRIGGER swallow_{purge.name} BEFORE INSERT ON chista.purge_log FOR EACH ROW "
        f"WHEN (NEW.batch_id = '{purge.batch}' AND NEW.row_key = '4') EXECUTE FUNCTION {function}()"
    )
    try:
        with pytest.raises(RefusedError, match=r"logged 9 rows .* but deleted 10"):
            purge.delete()
    finally:
        server.execute(f"DROP TRIGGER swallow_{purge.name} ON chista.purge_log")
    assert len(purge.left()) == 10
    assert purge.logged() == []


def test_a_row_with_children_fails_with_the_reason(schema: Any) -> None:
    purge = Purge(schema, COLUMNS, [(1, "parent", None)])
    schema.create(
        f"child_{purge.name}",
        f"id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES {schema.named(purge.name)} (id)",
    )
    schema.insert(f"child_{purge.name}", [(1, 1)])
    with pytest.raises(FatalError, match="purge the referring rows first"):
        purge.delete()
    assert purge.logged() == []
    schema.server.execute(f"DROP TABLE {schema.named(f'child_{purge.name}')}")
    purge.close()


def test_a_lost_reply_is_settled_by_the_log(purge: Purge) -> None:
    """The server ends the connection right after the commit: the next call works, and the log tells what happened."""
    purge.delete(purge.hashes[:3])
    kill_session(purge)
    with pytest.raises(TransientError):
        purge.delete(purge.hashes[3:6])
    assert len(purge.logged()) == 3
    assert purge.delete(purge.hashes[3:6]) == ["4", "5", "6"]
    assert len(purge.logged()) == 6


def kill_session(purge: Purge) -> None:
    """End the purge source's control connection on the server's side."""
    connection = purge.source._connection
    assert connection is not None
    cursor = connection.cursor()  # type: ignore[attr-defined]
    ask = "pg_backend_pid()" if purge.schema.flavour == "postgres" else "CONNECTION_ID()"
    cursor.execute(f"SELECT {ask}")
    (number,) = cursor.fetchone()
    connection.rollback()
    kill = "SELECT pg_terminate_backend({})" if purge.schema.flavour == "postgres" else "KILL {}"
    purge.schema.server.execute(kill.format(number))
    time.sleep(0.3)


def test_the_key_index_serves_the_delete(schema: Any) -> None:
    """EXPLAIN shows the primary key's index on the table, with a text key in another collation too."""
    charset = "" if schema.flavour == "postgres" else " CHARACTER SET latin1 COLLATE latin1_german1_ci"
    purge = Purge(
        schema,
        f"a BIGINT, b VARCHAR(20){charset}, n INT, PRIMARY KEY (a, b)",
        [(i, f"k{i}", i) for i in range(20)],
    )
    fill = "generate_series(100, 50000) AS g (a)" if schema.flavour == "postgres" else SEQUENCE
    purge.execute(f"INSERT INTO {{t}} SELECT a, CONCAT('k', a), a FROM {fill}")
    source: Any = purge.source
    keys = [(*source._key_values(purge.table, [key])[0], row_hash) for key, row_hash in purge.hashes[:20]]
    if schema.flavour == "postgres":
        from airflow_provider_chista.sources.postgres import _BY_INDEX, _arrays

        purge.execute("ANALYZE {t}")
        # As many keys as a transaction has: left alone, the planner would hash all rows of a table of this size.
        keys = [(number, f"k{number}", "f" * 64) for number in range(100, 1100)]
        sql, values = source._delete_sql(purge.table), (*_arrays(keys), "b", "t")
        with source._transaction() as cursor:
            cursor.execute(_BY_INDEX, ())
            cursor.execute("EXPLAIN " + sql, values)
            plan = "\n".join(row[0] for row in cursor.fetchall())
        assert "Seq Scan" not in plan
        assert f"Index Scan using {purge.name}_pkey" in plan
    else:
        from airflow_provider_chista.sources.mysqlfamily import _json

        purge.execute("ANALYZE TABLE {t}")
        for sql, values in (
            (source._log_sql(purge.table), ("b", "t", _json(keys))),
            (source._delete_sql(purge.table), (_json([key[:-1] for key in keys]),)),
        ):
            with source._transaction() as cursor:
                cursor.execute(f"USE {schema.server.quote(schema.name)}", ())
                cursor.execute("EXPLAIN FORMAT=JSON " + sql, values)
                plan = cursor.fetchall()[0][0]
            assert '"eq_ref"' in plan or "Single-row index lookup" in plan, plan
    purge.close()


def test_the_statements_can_be_shown_without_running_them(purge: Purge) -> None:
    text = purge.source.guarded_delete_sql(purge.table)
    assert "DELETE" in text
    assert "chista.purge_log" in text
    assert ":batch_id" in text
    assert "%s" not in text
    assert len(purge.left()) == 10


def set_autocommit(connection: Any, *, on: bool) -> None:
    if callable(connection.autocommit):
        connection.autocommit(on)
    else:
        connection.autocommit = on
