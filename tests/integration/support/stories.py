"""Windows with ledger entries as the stages write them, without rows behind them: what the page is drawn from."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow_provider_chista.archive.ledger import Author, Ledger, Stage, batch_of
from airflow_provider_chista.clickhouse.control import Control
from airflow_provider_chista.model import TableId, Window

FIRST = datetime(2012, 1, 1, tzinfo=UTC)
SOURCE = "postgres:public.shipments"


def day(number: int, column: str = "date_created") -> Window:
    """The window of a day, counted from the first of 2012."""
    start = FIRST + timedelta(days=number)
    return Window(column, start, start + timedelta(days=1))


@dataclass(frozen=True)
class Story:
    """One proof of a window, as its stages record it one after the other."""

    ledger: Ledger
    verify_id: str = field(default_factory=lambda: str(uuid.uuid4()))

    @classmethod
    def of(
        cls,
        control: Control,
        target: TableId,
        window: Window | None,
        dag_id: str = "archive",
        run_id: str = "run",
    ) -> Story:
        return cls(Ledger(control, SOURCE, target, window, Author(dag_id, run_id, "task", 1)))

    def again(self, run_id: str = "again") -> Story:
        """Another proof of the same window."""
        author = replace(self.ledger.author, run_id=run_id)
        return Story(replace(self.ledger, author=author))

    def tell(self, *stages: Stage, rows: int = 100, deleted: int | None = None, **more: Any) -> Story:
        """:param deleted: rows that the purge deletes of the proven ones; None: all."""
        for stage in stages:
            done = stage in (Stage.DELETED, Stage.SEALED) and deleted is not None
            self.ledger.record(
                stage,
                verify_id=self.verify_id,
                batch_id=batch_of(self.verify_id),
                rows=deleted if done and deleted is not None else rows,
                digest=f"{rows}:{'ab' * 16}",
                **more,
            )
        return self


def many(control: Control, target: TableId, days: Iterable[int], dag_id: str = "archive") -> int:
    """Sealed windows by the day, some of them with another end; written as the ledger writes, in one block."""
    entries: list[dict[str, Any]] = []
    stages = (Stage.VERIFIED, Stage.APPROVED, Stage.INTENT, Stage.DELETED, Stage.SEALED)
    for number in days:
        told = Collected()
        Story(Ledger(told, SOURCE, target, day(number), Author(dag_id, f"run {number}", "task", 1))).tell(  # type: ignore[arg-type]
            *(stages[:1] if number % 29 == 0 else stages[:2] if number % 31 == 0 else stages),
            rows=number % 1000 + 1,
            deleted=number % 1000 if number % 37 == 0 else None,
        )
        entries += told.rows
    control.insert("ledger", entries)
    return len(entries)


class Collected:
    """In the place of the state tables: keeps what would be written, for one insert in the end."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []

    def insert(self, table: str, rows: list[dict[str, Any]]) -> None:
        assert table == "ledger"
        self.rows += rows
