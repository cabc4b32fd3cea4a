"""Debezium's change event envelope, decoded strictly.

Shape (schemaless JSON, the settings of ``debezium/config.py``): ``op`` is ``r`` (snapshot), ``c``, ``u``, ``d`` or ``t``
(truncate); ``after`` is the row; ``source`` says which transaction made it. ``before`` is never read: PostgreSQL
invents values for its NOT NULL columns when the replica identity is not FULL. The key of a deleted row comes from the
record's key.

Strict means: an integer beyond the bounds of its kind, a wrong type, a missing or unknown column, a NULL where the source
has none, invalid UTF-8, a date outside 0001-01-01 to 9999-12-31, or PostgreSQL's placeholder of an unchanged TOAST value
raises :class:`DecodeError` for that record. Nothing is replaced by a default.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec

from airflow_provider_chista.canonical import FIRST_DAY, LAST_DAY, iso_date, row_text
from airflow_provider_chista.debezium.settings import UNAVAILABLE_VALUE
from airflow_provider_chista.model import INTEGER_BOUNDS, Column, Kind, Table

UPSERTS = frozenset("rcu")
_OTHERS = frozenset("dtm")
_SIGN = 2**63


class DecodeError(ValueError):
    """One record cannot be decoded exactly; the message says where in the record and why."""


class SchemaDriftError(DecodeError):
    """The record has a column that the table has not, or lacks one: the source's schema is not the catalogue's."""


class _Transaction(msgspec.Struct):
    id: str


class _Source(msgspec.Struct):
    connector: str
    ts_ms: int
    gtid: str | None = None
    tx_id: int | None = msgspec.field(default=None, name="txId")

    def transaction(self, block: _Transaction | None) -> str:
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
    :param row: one decoded value per column of the table for r, c and u (dates as days since 1970-01-01); else empty.
    :param transaction: identity of the source transaction; empty for snapshot rows.
    :param source_time_ms: commit time at the source, milliseconds since 1970 UTC.
    """

    op: str
    row: tuple[Any, ...]
    transaction: str
    source_time_ms: int


def _integer_type(kind: Kind) -> Any:
    low, high = INTEGER_BOUNDS[kind]
    if kind is Kind.UINT64:  # bigint.unsigned.handling.mode=long sends the upper half as negative numbers
        low, high = -_SIGN, _SIGN - 1
    return Annotated[int, msgspec.Meta(ge=low, le=high)]


_TYPES: dict[Kind, Any] = {
    **{kind: _integer_type(kind) for kind in INTEGER_BOUNDS},
    Kind.DATE: Annotated[int, msgspec.Meta(ge=FIRST_DAY, le=LAST_DAY)],
    Kind.TEXT: str,
}


def _unsigned(value: int | None) -> int | None:
    return value if value is None or value >= 0 else value + 2 * _SIGN


def _available(value: str | None) -> str | None:
    if value == UNAVAILABLE_VALUE:
        raise DecodeError(
            "an unchanged TOAST value was not sent by PostgreSQL; set REPLICA IDENTITY FULL on the table, then update the row"
        )
    return value


_CONVERSIONS: dict[Kind, Callable[[Any], Any]] = {Kind.UINT64: _unsigned, Kind.TEXT: _available}


def _row_struct(name: str, columns: Sequence[Column], *, strict: bool) -> type[msgspec.Struct]:
    fields: list[tuple[str, Any]] = []
    rename = {}
    for index, column in enumerate(columns):
        kind = _TYPES[column.archived_as]
        fields.append((f"f{index}", kind | None if column.nullable else kind))
        rename[f"f{index}"] = column.name
    return msgspec.defstruct(name, fields, rename=rename, forbid_unknown_fields=strict, array_like=False)


class EnvelopeDecoder:
    """Decodes the records of one table's topic.

    :param table: the source table; decides names, kinds and nullability.
    """

    def __init__(self, table: Table) -> None:
        table.require_archivable()
        self.table = table
        row = _row_struct("Row", table.columns, strict=True)
        envelope = msgspec.defstruct(
            "Envelope",
            [
                ("op", str),
                ("source", _Source),
                ("after", row | None, None),
                ("transaction", _Transaction | None, None),
            ],
        )
        self._value: msgspec.json.Decoder[Any] = msgspec.json.Decoder(envelope)
        self._key: msgspec.json.Decoder[Any] = msgspec.json.Decoder(
            _row_struct("Key", table.key_columns, strict=True)
        )
        self._key_kinds = table.key_kinds
        self._conversions = [
            (index, _CONVERSIONS[kind]) for index, kind in enumerate(table.kinds) if kind in _CONVERSIONS
        ]
        self._astuple = msgspec.structs.astuple

    def change(self, value: bytes) -> Change:
        """The change of one record's value; :class:`DecodeError` says what does not fit."""
        try:
            envelope = self._value.decode(value)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise _explained(error) from error
        row: tuple[Any, ...] = ()
        if envelope.op in UPSERTS:
            if envelope.after is None:
                raise DecodeError(f"an event with op {envelope.op!r} has no row in `after`")
            row = self._astuple(envelope.after)
            if self._conversions:
                converted = list(row)
                for index, convert in self._conversions:
                    converted[index] = convert(converted[index])
                row = tuple(converted)
        elif envelope.op not in _OTHERS:
            raise DecodeError(f"unknown operation {envelope.op!r}; expected r, c, u, d, t or m")
        source = envelope.source
        return Change(envelope.op, row, source.transaction(envelope.transaction), source.ts_ms)

    def key(self, key: bytes | None) -> str:
        """The canonical row key of a record's key."""
        if key is None:
            raise DecodeError("the record has no key, so its row cannot be found")
        try:
            values = self._astuple(self._key.decode(key))
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise _explained(error) from error
        canonical = []
        for kind, value in zip(self._key_kinds, values, strict=True):
            value = _CONVERSIONS.get(kind, lambda same: same)(value)
            canonical.append(iso_date(value) if kind is Kind.DATE else value)
        return row_text(self._key_kinds, canonical)


def _explained(error: Exception) -> DecodeError:
    text = str(error)
    drift = "`$.after`" in text and ("unknown field" in text or "missing required field" in text)
    return (SchemaDriftError if drift else DecodeError)(text)
