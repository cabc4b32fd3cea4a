"""Changes that Debezium's events tell of: one by one, and many of a topic by column."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import msgspec

from airflow_provider_chista.arrays import Values
from airflow_provider_chista.debezium.rows import DecodeError, SchemaDriftError

UPSERTS = frozenset("rcu")
"""Operations that have a row."""


class Transaction(msgspec.Struct):
    """An event's transaction block."""

    id: str


class Source(msgspec.Struct):
    """An event's source block, as far as it is read."""

    connector: str
    ts_ms: int
    gtid: str | None = None
    tx_id: int | None = msgspec.field(default=None, name="txId")

    def transaction(self, block: Transaction | None) -> str:
        """Identity of the transaction: GTID on MySQL and MariaDB, xid on PostgreSQL, else the transaction block's id.

        PostgreSQL's ``transaction.id`` differs from event to event of one transaction, so it is not used there.
        """
        if self.tx_id is not None:
            return str(self.tx_id)
        if self.gtid is not None:
            return self.gtid
        return block.id if block else ""


@dataclass(frozen=True, slots=True)
class Change:
    """A decoded change event.

    :param op: ``r``, ``c``, ``u``, ``d`` or ``t``.
    :param row: for r, c and u one decoded value per column of the table, then of its columns that are gone at the source
        (``debezium/encodings.py`` says how each kind is decoded); else empty. A value may be :data:`UNCHANGED`.
    :param transaction: identity of the source transaction; empty for snapshot rows.
    :param source_time_ms: commit time at the source, milliseconds since 1970 UTC.
    :param partial: whether a value of the row may be :data:`UNCHANGED`.
    """

    op: str
    row: tuple[Any, ...]
    transaction: str
    source_time_ms: int
    partial: bool = False


@dataclass(slots=True)
class Changes:
    """What many records of one topic are; all places count from the first of them.

    :param places: place of each row's record, ascending.
    :param columns: decoded values of these rows, for each column as in :attr:`Change.row`.
    :param ops: ``r``, ``c`` or ``u`` of each row, and :param times: commit times, milliseconds since 1970 UTC.
    :param others: by place, changes without a row; None for a tombstone.
    :param errors: by place, why a record cannot be decoded.
    :param drift: why the record at ``upto`` has other columns than the table.
    :param upto: place of the first record that was not decoded.
    :param partial: a row may lack values: nothing was decoded, the records are to be decoded one by one.
    """

    places: list[int] = field(default_factory=list)
    columns: list[Values] = field(default_factory=list)
    ops: list[str] = field(default_factory=list)
    times: list[int] = field(default_factory=list)
    others: dict[int, Change | None] = field(default_factory=dict)
    errors: dict[int, DecodeError] = field(default_factory=dict)
    drift: SchemaDriftError | None = None
    upto: int = 0
    partial: bool = False
