"""An application at work on a table of copies (``copies.py``), and its own record of what it has committed."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from random import Random
from typing import Any

import MySQLdb
import psycopg

from tests.chaos.copies import BASE, DAYS, PERIOD, Copies
from tests.integration.chaos.application import YOUNG, in_thread
from tests.integration.fuzz.table import Row

_NEW = 1_000_000_000
"""Ids of rows that are no copies begin here."""

_KINDS = {"insert": 20, "update": 40, "delete": 15, "again": 15, "rekey": 10}
_CHANGED = 6
"""Most columns of an update."""

_HISTORY = 300
_YOUNG = 0.8
"""Share of the changes that are of young rows: a window whose rows change all the time is never proven."""


@dataclass
class Worker:
    """Inserts, updates, deletes, inserts again, also what the purge has taken, and changes keys.

    :param ids: of the rows that it has committed and not deleted; purged ones too, of which it knows nothing.
    :param touched: values of those that are no copies any more.
    :param reserved: days of rows that it leaves alone.
    :param done: committed changes by kind; ``refused`` are transactions that the source ended.
    """

    copies: Copies
    random: Random
    ids: set[int] = field(default_factory=set)
    touched: dict[int, Row] = field(default_factory=dict)
    reserved: set[date] = field(default_factory=set)
    done: Counter[str] = field(default_factory=Counter)
    _history: list[int] = field(default_factory=list)
    _new: int = _NEW
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def __post_init__(self) -> None:
        self.ids |= set(range(self.copies.rows))

    def row(self, row_id: int) -> Row:
        """Values of a row of the record."""
        return self.touched[row_id] if row_id in self.touched else self.copies.expected(row_id)

    def on(self, row_id: int) -> date:
        """Day of a row of the record."""
        return self.row(row_id)[-1]  # type: ignore[no-any-return]

    @contextmanager
    def paused(self) -> Iterator[None]:
        """No transaction of the application is open in here."""
        with self._lock:
            yield

    @contextmanager
    def at_work(self, pause: float) -> Iterator[None]:
        """It works in a thread, with so many seconds between two transactions."""

        def work() -> None:
            try:
                self.work()
            except (MySQLdb.OperationalError, psycopg.OperationalError):
                self.done["refused"] += 1

        with in_thread(work, pause):
            yield

    def work(self) -> None:
        """One transaction of one or a few changes; recorded when it is committed."""
        some = self.random
        with self._lock:
            made = _Transaction(self)
            with self.copies.writer.session() as cursor:
                for _ in range(some.choice((1, 1, 1, 2, 4))):
                    (kind,) = some.choices(list(_KINDS), list(_KINDS.values()))
                    getattr(made, kind)(cursor)
            self._keep(made)

    def _keep(self, made: _Transaction) -> None:
        for row_id, row in made.changes.items():
            if row is None:
                self.ids.discard(row_id)
                self.touched.pop(row_id, None)
            else:
                self.ids.add(row_id)
                self.touched[row_id] = row
        self._history = [*self._history, *made.changes][-_HISTORY:]
        self.done += made.kinds

    def new_id(self) -> int:
        self._new += 1
        return self._new

    def some_id(self) -> int:
        """Of any row, also of one that was there once."""
        if self._history and self.random.random() < 0.2:
            return self.random.choice(self._history)
        row_id = self.random.randrange(self.copies.rows)
        if self.random.random() < _YOUNG:
            block = row_id // BASE
            young = block - block % PERIOD + PERIOD - 1
            row_id = min(young * BASE + row_id % BASE, self.copies.rows - 1)
        return row_id

    def some_day(self) -> date:
        if self.random.random() < _YOUNG:
            return YOUNG
        return self.random.choice([on_day for on_day in DAYS if on_day not in self.reserved])


@dataclass
class _Transaction:
    """:param changes: new values by id, None where the row was deleted."""

    worker: Worker
    changes: dict[int, Row | None] = field(default_factory=dict)
    kinds: Counter[str] = field(default_factory=Counter)

    def insert(self, cursor: Any, row_id: int | None = None) -> None:
        worker, copies = self.worker, self.worker.copies
        row = [*copies.writer.values()[:-1], worker.some_day()]
        row_id = worker.new_id() if row_id is None else row_id
        _insert(copies, copies.table, row_id, row, cursor)
        self._note("insert", {row_id: row}, cursor)

    def again(self, cursor: Any) -> None:
        """A key that is not at the source, since it was deleted or purged."""
        row_id = self._id()
        if row_id is not None and not self._is_there(row_id, cursor):
            self.insert(cursor, row_id)
            self.kinds["again"] += 1

    def update(self, cursor: Any) -> None:
        copies, random = self.worker.copies, self.worker.random
        row_id = self._id()
        if row_id is None or not self._is_there(row_id, cursor):
            return
        row = list(self._row(row_id))
        changed = random.sample(range(len(row) - 1), random.randint(1, _CHANGED))
        for place in changed:
            row[place] = copies.columns[place].value(random, by_snapshot=False)
        if random.random() < 0.2:
            changed.append(len(row) - 1)
            row[-1] = self.worker.some_day()
        sets = ", ".join(f"c{place} = {copies.columns[place].mark}" for place in changed)
        bound = [copies.columns[place].parameter(row[place]) for place in changed]
        cursor.execute(f"UPDATE {copies.table} SET {sets} WHERE id = {row_id}", bound)
        self._note("update", {row_id: row}, cursor)

    def delete(self, cursor: Any) -> None:
        row_id = self._id()
        if row_id is not None and self._is_there(row_id, cursor):
            cursor.execute(f"DELETE FROM {self.worker.copies.table} WHERE id = {row_id}")
            self._note("delete", {row_id: None}, cursor)

    def rekey(self, cursor: Any) -> None:
        row_id = self._id()
        if row_id is not None and self._is_there(row_id, cursor):
            new = self.worker.new_id()
            cursor.execute(f"UPDATE {self.worker.copies.table} SET id = {new} WHERE id = {row_id}")
            self._note("rekey", {row_id: None, new: self._row(row_id)}, cursor)

    def _id(self) -> int | None:
        """One that is not reserved, neither by its day nor by the one that its copy had."""
        row_id, worker = self.worker.some_id(), self.worker
        days = {worker.copies.expected(row_id)[-1]} if row_id < worker.copies.rows else set()
        if row_id in self.changes or row_id in worker.ids:
            row = self.changes.get(row_id) if row_id in self.changes else worker.row(row_id)
            days |= {row[-1]} if row else set()
        return None if days & worker.reserved else row_id

    def _row(self, row_id: int) -> Row:
        row = self.changes.get(row_id) or self.worker.row(row_id)
        assert row is not None
        return row

    def _is_there(self, row_id: int, cursor: Any) -> bool:
        cursor.execute(f"SELECT 1 FROM {self.worker.copies.table} WHERE id = {row_id} FOR UPDATE")
        return cursor.fetchone() is not None

    def _note(self, kind: str, changes: dict[int, Row | None], cursor: Any) -> None:
        copies = self.worker.copies
        touched = f"{copies.known}.touched"
        for row_id, row in changes.items():
            cursor.execute(f"DELETE FROM {touched} WHERE id = {row_id}")
            if row is not None:
                _insert(copies, touched, row_id, row, cursor)
        self.changes |= changes
        self.kinds[kind] += 1


def _insert(copies: Copies, table: str, row_id: int, row: Row, cursor: Any) -> None:
    marks = ", ".join(["%s", *(column.mark for column in copies.columns)])
    cursor.execute(f"INSERT INTO {table} VALUES ({marks})", [row_id, *copies.writer.parameters(row)])
