"""An application that works on its table beside the archive, and its own record of every row that it has committed.

Nothing of the provider is used here: SQL with bound values, what the driver says a statement changed, and a journal in the
same transaction, which tells after a lost connection whether a commit was made.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any

import MySQLdb
import psycopg

from tests.integration.support.engines import MYSQL_FAMILY, Engine

NAME = "orders"
JOURNAL = "journal"
COLUMNS = ("shop", "id", "n", "day", "amount", "note", "at", "raw", "doc", "ratio", "small", "flag")

_MYSQL = """
    CREATE TABLE {schema}.orders (
        shop VARCHAR(20) NOT NULL, id INT NOT NULL, n BIGINT NOT NULL, day DATE NOT NULL, amount DECIMAL(20, 6) NULL,
        note VARCHAR(255) NULL, at DATETIME(6) NULL, raw VARBINARY(40) NULL, doc JSON NULL, ratio DOUBLE NULL,
        small SMALLINT NOT NULL, flag TINYINT(1) NOT NULL, PRIMARY KEY (shop, id))"""
_POSTGRES = """
    CREATE TABLE {schema}.orders (
        shop varchar(20) NOT NULL, id int NOT NULL, n bigint NOT NULL, day date NOT NULL, amount numeric(20, 6),
        note text, at timestamp(6), raw bytea, doc jsonb, ratio double precision,
        small smallint NOT NULL, flag boolean NOT NULL, PRIMARY KEY (shop, id))"""
_JOURNAL = "CREATE TABLE {schema}.journal (number BIGINT PRIMARY KEY)"
TABLES = {
    "mysql": {NAME: _MYSQL, JOURNAL: _JOURNAL},
    "mariadb": {NAME: _MYSQL, JOURNAL: _JOURNAL},
    "postgres": {NAME: _POSTGRES, JOURNAL: _JOURNAL},
}

FIRST_DAY = date(2020, 1, 1)
YOUNG = datetime.now(UTC).date()
"""Day of rows that are younger than the retention."""

_SHOPS = ("north", "süd", "a|b", "5:Paris", "")
_NOTES = ("", "~", "|1:x", "null", 'O\'Brien, "x"\\', "line\nbreak", "é 😀", None, " trailing ")
_DOCS = (None, {}, [], {"a": [1, None, "x|y"], "é": {"b": False}}, "text", 7, [[], {"": ""}])
_RECONNECT_SECONDS = 90
_ELSEWHERE = 0.05
"""Share of the changes that are of any day."""

Key = tuple[str, int]
Row = tuple[Any, ...]
"""Values of :data:`COLUMNS`, as :meth:`Application.plain` has them."""


@contextmanager
def in_thread(work: Callable[[], object], pause: float) -> Iterator[None]:
    """Call ``work`` again and again in a thread, with so many seconds in between; an error of it fails in the end."""
    ended, failures = threading.Event(), list[BaseException]()

    def run() -> None:
        while not ended.wait(pause):
            try:
                work()
            except BaseException as error:
                failures.append(error)
                raise

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
    assert failures == []


def day(number: int) -> date:
    """Day of a window."""
    return FIRST_DAY + timedelta(days=number)


@dataclass
class Application:
    """The application of one table.

    :param days: of the rows that it writes.
    :param record: every row that it has committed and not deleted, by key; purged ones too, of which it knows nothing.
    :param busy: days on which it works at the moment; it leaves most others alone.
    :param reserved: keys that it leaves alone.
    :param done: number of its committed changes by kind.
    """

    engine: Engine
    schema: str
    random: Random
    days: Sequence[date]
    record: dict[Key, Row] = field(default_factory=dict)
    busy: set[date] = field(default_factory=set)
    reserved: set[Key] = field(default_factory=set)
    done: dict[str, int] = field(default_factory=dict)
    lost_replies: int = 0
    _history: list[Key] = field(default_factory=list)
    _number: int = 0
    _following: int = 0
    _connection: Any = None
    _lock: threading.RLock = field(default_factory=threading.RLock)

    @property
    def table(self) -> str:
        return f"{self.schema}.{NAME}"

    def values(self, key: Key, on: date) -> Row:
        """A new row's values."""
        self._following += 1
        some = self.random
        return (
            *key,
            self._following,
            on,
            None if some.random() < 0.1 else Decimal(some.randrange(-(10**19), 10**19)).scaleb(-6),
            some.choice(_NOTES),
            None
            if some.random() < 0.1
            else datetime(1990, 1, 1) + timedelta(microseconds=some.randrange(10**15)),  # noqa: DTZ001
            None if some.random() < 0.1 else some.randbytes(some.randrange(20)),
            some.choice(_DOCS),
            None if some.random() < 0.1 else some.uniform(-1e9, 1e9),
            some.randrange(-(2**15), 2**15),
            some.random() < 0.5,
        )

    def parameters(self, row: Row) -> list[Any]:
        """Values as both drivers bind them."""
        bound = [value.isoformat(" ") if isinstance(value, datetime) else value for value in row]
        bound[8] = None if row[8] is None else json.dumps(row[8])
        return bound

    @staticmethod
    def plain(row: Sequence[Any]) -> Row:
        """Values as they are recorded, from those that a driver gives."""
        values = list(row)
        values[3] = values[3].date() if isinstance(values[3], datetime) else values[3]
        values[7] = None if values[7] is None else bytes(values[7])
        values[8] = json.loads(values[8]) if isinstance(values[8], (str, bytes)) else values[8]
        values[11] = bool(values[11])
        return tuple(values)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """No transaction of the application is open in here."""
        with self._lock:
            yield

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """Changes that are committed, and recorded, together; or not at all, when the database refuses one of them.

        :raises MySQLdb.Error, psycopg.Error: the database cannot be reached.
        """
        with self._lock:
            self._number += 1
            number, made = self._number, None
            try:
                cursor = self._cursor()
                made = Transaction(self, cursor)
                yield made
                if made.changes:
                    cursor.execute(f"INSERT INTO {self.schema}.{JOURNAL} VALUES ({number})")
                self._connection.commit()
            except (MySQLdb.Error, psycopg.Error):
                with suppress(Exception):
                    self._connection.close()
                self._connection = None
                if made is None:
                    raise
                if not made.changes or not self._was_committed(number):
                    return
                self.lost_replies += 1
            self._keep(made)

    def _keep(self, made: Transaction) -> None:
        for key, row in made.changes.items():
            if row is None:
                self.record.pop(key, None)
            else:
                self.record[key] = row
            self._history.append(key)
        for kind in made.kinds:
            self.done[kind] = self.done.get(kind, 0) + 1

    def _cursor(self) -> Any:
        if self._connection is None:
            self._connection = self.engine.admin()
            if self.engine.flavour in MYSQL_FAMILY:
                self._connection.autocommit(False)
            else:
                self._connection.autocommit = False
        return self._connection.cursor()

    def _was_committed(self, number: int) -> bool:
        deadline = time.monotonic() + _RECONNECT_SECONDS
        while True:
            try:
                return bool(
                    self.engine.query(f"SELECT 1 FROM {self.schema}.{JOURNAL} WHERE number = {number}")
                )
            except (MySQLdb.Error, psycopg.Error):
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.3)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()

    # The application at random.

    def new_key(self) -> Key:
        self._following += 1
        return self.random.choice(_SHOPS), self._following

    def work(self) -> None:
        """One transaction of one or a few random changes, often of one row, also of rows that the purge has taken."""
        some = self.random
        days = sorted(self.busy or self.days)
        with self.transaction() as made:
            key = self._busy_key()
            for _ in range(some.choice((1, 1, 1, 2, 4))):
                key = key if some.random() < 0.4 else self._busy_key()
                on = some.choice(days)
                kind = some.choices(("insert", "again", "update", "delete", "rekey"), (25, 20, 25, 15, 15))[0]
                if kind == "insert" or key is None:
                    made.insert(self.new_key(), on)
                elif kind == "again":
                    made.insert(self._some_key(self._history[-200:]) or key, on)
                elif kind == "update":
                    made.update(key, on if some.random() < 0.2 else None)
                elif kind == "delete":
                    made.delete(key)
                else:
                    old = self._some_key(self._history[-200:]) if some.random() < 0.3 else None
                    made.rekey(key, old or self.new_key())

    def _busy_key(self) -> Key | None:
        anywhere = not self.busy or self.random.random() < _ELSEWHERE
        return self._some_key([key for key, row in self.record.items() if anywhere or row[3] in self.busy])

    def _some_key(self, keys: Sequence[Key]) -> Key | None:
        for _ in range(10):
            if keys and (key := self.random.choice(keys)) not in self.reserved:
                return key
        return None

    @contextmanager
    def at_work(self, pause: float) -> Iterator[None]:
        """The application works in a thread, with so many seconds between two transactions."""

        def work() -> None:
            with suppress(MySQLdb.Error, psycopg.Error):
                self.work()

        with in_thread(work, pause):
            yield


@dataclass
class Transaction:
    """An open transaction: each change is noted only when the database says that it changed a row.

    :param changes: new row by key, None where it was deleted.
    """

    application: Application
    cursor: Any
    changes: dict[Key, Row | None] = field(default_factory=dict)
    kinds: list[str] = field(default_factory=list)

    def known(self, key: Key) -> Row | None:
        """The row as this transaction sees it, unless a purge has taken it."""
        return self.changes[key] if key in self.changes else self.application.record.get(key)

    def insert(self, key: Key, on: date) -> bool:
        """Nothing happens when the source has the key."""
        made, row = self.application, self.application.values(key, on)
        marks = ", ".join(["%s"] * len(row))
        mysql = made.engine.flavour in MYSQL_FAMILY
        self.cursor.execute(
            f"INSERT {'IGNORE ' if mysql else ''}INTO {made.table} VALUES ({marks})"
            + ("" if mysql else " ON CONFLICT DO NOTHING"),
            made.parameters(row),
        )
        return self._changed("insert", {key: row})

    def update(self, key: Key, on: date | None = None) -> bool:
        """New values in every column but the key's, and the day unless it is given."""
        if (old := self.known(key)) is None:
            return False
        made, row = self.application, self.application.values(key, on or old[3])
        sets = ", ".join(f"{name} = %s" for name in COLUMNS[2:])
        self.cursor.execute(
            f"UPDATE {made.table} SET {sets} WHERE shop = %s AND id = %s", [*made.parameters(row)[2:], *key]
        )
        return self._changed("update", {key: row})

    def delete(self, key: Key) -> bool:
        self.cursor.execute(f"DELETE FROM {self.application.table} WHERE shop = %s AND id = %s", key)
        return self._changed("delete", {key: None})

    def rekey(self, key: Key, new: Key) -> bool:
        """The row gets another key; the database refuses one that is taken."""
        if (old := self.known(key)) is None or new == key:
            return False
        self.cursor.execute(
            f"UPDATE {self.application.table} SET shop = %s, id = %s WHERE shop = %s AND id = %s",
            [*new, *key],
        )
        return self._changed("rekey", {key: None, new: (*new, *old[2:])})

    def _changed(self, kind: str, changes: dict[Key, Row | None]) -> bool:
        if not self.cursor.rowcount:
            return False
        self.changes |= changes
        self.kinds.append(kind)
        return True


Change = Callable[[Transaction], object]
