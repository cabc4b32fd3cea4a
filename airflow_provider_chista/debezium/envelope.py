"""Debezium's change event envelope, decoded strictly.

Shape (schemaless JSON, the settings of ``debezium/config.py``): ``op`` is ``r`` (snapshot), ``c``, ``u``, ``d`` or ``t``
(truncate); ``after`` is the row; ``source`` says which transaction made it. ``before`` is never read: PostgreSQL
invents values for its NOT NULL columns when the replica identity is not FULL. The key of a deleted row comes from the
record's key.

Strict means: a number beyond the bounds of its kind or of the archive's column, a wrong type, a missing or unknown column, a
NULL where the archive holds none, or invalid UTF-8 raises :class:`DecodeError` for that record. Nothing is replaced by a
default. PostgreSQL's placeholder of an unchanged TOAST value is recognised in every shape and becomes :data:`UNCHANGED`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from itertools import compress
from typing import Any, Literal

import msgspec

from airflow_provider_chista.arrays import Values
from airflow_provider_chista.canonical import SEPARATOR
from airflow_provider_chista.debezium.changes import UPSERTS, Change, Changes, Source, Transaction
from airflow_provider_chista.debezium.columnar import Declined, reader
from airflow_provider_chista.debezium.encodings import canonical_text
from airflow_provider_chista.debezium.rows import NULL, DecodeError, Guard, RowDecoder, SchemaDriftError
from airflow_provider_chista.debezium.toast import has_placeholder, shapes
from airflow_provider_chista.model import Table

_MALFORMED = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What decoding raises for a text that is not JSON of the expected shape, or is nested too deeply."""

_TOGETHER = 250
"""Records that are decoded by one call, as long as all are usual; a bad one costs the work for so many."""

_SUSPECTS = 8
"""Rows of a chunk that are looked at because the fast reader named them; with more, all are decoded strictly."""

_OTHERS = frozenset("dtm")

_JDBC = "postgresql"
"""The connector whose snapshots read rows through JDBC in a way that moves old timestamps."""


class _After(msgspec.Struct):
    after: dict[str, msgspec.Raw]


_AFTER = msgspec.json.Decoder(_After)


class _Time(msgspec.Struct, gc=False):
    ts_ms: int


class _Reader(msgspec.Struct, gc=False):
    connector: str
    ts_ms: int


class EnvelopeDecoder:
    """Decodes the records of one table's topic.

    :param table: the source table; decides names, encodings and nullability.
    :param guards: for each column, then for each that is gone, what refuses a value that the archive's column cannot hold.
    :param ignored: more columns whose values are dropped, besides those that the table leaves out.
    """

    def __init__(
        self, table: Table, guards: Sequence[Guard | None] = (), ignored: Collection[str] = ()
    ) -> None:
        table.require_archivable()
        self.table = table
        # A column that became a generated one is still in the archive.
        known = {column.name for column in table.stored}
        left_out = [*(column.name for column in table.left_out), *ignored]
        self._aliases = _aliases([*known, *left_out])
        columns, keys = (
            [replace(column, name=self._aliases.get(column.name, column.name)) for column in some]
            for some in (table.stored, table.key_columns)
        )
        given = dict(zip((column.name for column in columns), guards or [None] * len(columns), strict=True))
        self._row = RowDecoder(
            columns,
            list(given.values()),
            [self._aliases.get(name, name) for name in dict.fromkeys(left_out) if name not in known],
        )
        self._shapes = shapes(columns)
        self._key_row = RowDecoder(keys, [given[column.name] for column in keys])
        fields: list[Any] = [("op", str), ("source", Source), ("transaction", Transaction | None, None)]
        whole, partial = (
            msgspec.defstruct("Envelope", [*fields, ("after", after, None)])
            for after in (self._row.struct | None, msgspec.Raw)
        )
        self._reader = None if ignored or self._aliases else reader(columns)
        upsert = msgspec.defstruct(
            "Upsert",
            [
                ("op", Literal["r", "c", "u"]),
                ("source", _Reader if self._row.tells_reads else _Time),
                ("after", msgspec.Raw if self._reader else self._row.struct),
            ],
            gc=False,
        )
        self._upsert: msgspec.json.Decoder[Any] = msgspec.json.Decoder(upsert)
        self._after: msgspec.json.Decoder[Any] = msgspec.json.Decoder(self._row.struct)
        self._whole: msgspec.json.Decoder[Any] = msgspec.json.Decoder(whole)
        self._partial: msgspec.json.Decoder[Any] = msgspec.json.Decoder(partial)
        self._key: msgspec.json.Decoder[Any] = msgspec.json.Decoder(self._key_row.struct)

    def changes(self, values: Sequence[bytes | None]) -> Changes:
        """The changes of many records' values, each as :meth:`change` decodes it, up to a record with other columns."""
        if self._reader is None and self._shapes and self._lacks_values(b"\n".join(filter(None, values))):
            return Changes(partial=True)
        found = Changes(upto=len(values))
        events: list[Any] = []
        for first in range(0, len(values), _TOGETHER):
            part = values[first : first + _TOGETHER]
            upserts = self._upserts(part)
            if upserts:
                events += upserts
                found.places += range(first, first + len(part))
            elif not self._take_each(found, events, first, part):
                break
        rows = [event.after for event in events]
        text = b"\n".join(rows) if self._reader else b""
        if self._lacks_values(text):
            return Changes(partial=True)
        self._add_rows(found, events, self._sent(found, events, rows, text, values))
        return found

    def _lacks_values(self, text: bytes) -> bool:
        """Whether PostgreSQL may have left out values of one of the rows in a text."""
        return any(shape in text for shape in self._shapes)

    def _upserts(self, values: Sequence[Any]) -> list[Any] | None:
        """Envelopes of records that all have rows; None when one has none, or cannot be decoded."""
        if self._aliases:
            return None
        try:
            return list(map(self._upsert.decode, values))
        except (*_MALFORMED, TypeError):  # TypeError: a tombstone
            return None

    def _take_each(
        self, found: Changes, events: list[Any], first: int, values: Sequence[bytes | None]
    ) -> bool:
        """Take records one by one; False when one has other columns than the table."""
        for place, value in enumerate(values, first):
            if value is None:
                found.others[place] = None
                continue
            try:
                event = self._upsert.decode(self._renamed(value, "after") if self._aliases else value)
            except _MALFORMED:
                if not self._take_other(found, place, value):
                    return False
            else:
                events.append(event)
                found.places.append(place)
        return True

    def _take_other(self, found: Changes, place: int, value: bytes) -> bool:
        """Take a record that is not a usual one with a row; False when it has other columns than the table."""
        try:
            found.others[place] = self.change(value)
        except SchemaDriftError as error:
            found.drift, found.upto = error, place
            return False
        except DecodeError as error:
            found.errors[place] = error
        return True

    def _sent(
        self,
        found: Changes,
        events: list[Any],
        rows: list[Any],
        text: bytes,
        values: Sequence[bytes | None],
    ) -> Iterable[Values]:
        """Values of the events' rows by column, as they were sent; events with wrong rows are taken out."""
        if self._reader is None or not rows:
            return self._row.sent(rows)
        for _ in range(_SUSPECTS):
            sent = self._reader.read(rows, text)
            if not isinstance(sent, Declined):
                return sent
            if sent.row is None or not self._take_out(found, events, rows, sent.row, values):
                break
            text = b"\n".join(rows)
        return self._row.sent(self._structs(found, events, values))

    def _take_out(
        self,
        found: Changes,
        events: list[Any],
        rows: list[Any],
        at: int,
        values: Sequence[bytes | None],
    ) -> bool:
        """Take a row out that cannot be decoded; False when it can, or has other columns, or is the only one."""
        place = found.places[at]
        try:
            self._after.decode(rows[at])
        except _MALFORMED:
            if len(rows) == 1 or not self._take_other(found, place, values[place] or b""):
                return False
        else:
            return False
        del found.places[at], events[at], rows[at]
        return True

    def _structs(self, found: Changes, events: list[Any], values: Sequence[bytes | None]) -> list[Any]:
        """Rows decoded strictly; events with wrong ones are taken out, and all behind one with other columns."""
        structs: list[Any] = []
        right: list[int] = []
        for first in range(0, len(events), _TOGETHER):
            part = events[first : first + _TOGETHER]
            try:
                structs += [self._after.decode(event.after) for event in part]
            except _MALFORMED:
                if not self._take_structs(found, structs, right, first, part, values):
                    break
            else:
                right += range(first, first + len(part))
        if len(right) < len(events):
            found.places = [found.places[at] for at in right]
            events[:] = [events[at] for at in right]
            for taken in (found.others, found.errors):
                for place in [place for place in taken if place >= found.upto]:
                    del taken[place]
        return structs

    def _take_structs(
        self,
        found: Changes,
        structs: list[Any],
        right: list[int],
        first: int,
        events: Sequence[Any],
        values: Sequence[bytes | None],
    ) -> bool:
        """Take rows one by one; False when one has other columns than the table."""
        for at, event in enumerate(events, first):
            try:
                structs.append(self._after.decode(event.after))
            except _MALFORMED:
                if not self._take_other(found, found.places[at], values[found.places[at]] or b""):
                    return False
            else:
                right.append(at)
        return True

    def _add_rows(self, found: Changes, events: list[Any], sent: Iterable[Values]) -> None:
        ops = [event.op for event in events]
        reads: Sequence[bool] = ()
        if self._row.tells_reads:
            reads = [event.op == "r" and event.source.connector == _JDBC for event in events]
        found.columns, wrong = self._row.columns_of(sent, len(events), reads)
        times = [event.source.ts_ms for event in events]
        if wrong:
            found.errors |= {found.places[at]: error for at, error in wrong.items()}
            right = [at not in wrong for at in range(len(events))]
            found.places = list(compress(found.places, right))
            ops, times = list(compress(ops, right)), list(compress(times, right))
        found.ops, found.times = ops, times

    def change(self, value: bytes) -> Change:
        """The change of one record's value; :class:`DecodeError` says what does not fit."""
        partial = bool(self._shapes) and has_placeholder(value)
        row: tuple[Any, ...] = ()
        try:
            if self._aliases:
                value = self._renamed(value, "after")
            envelope = (self._partial if partial else self._whole).decode(value)
        except _MALFORMED as error:
            raise self._told(_explained(error, row="$.after"), value) from error
        try:
            if envelope.op in UPSERTS:
                if envelope.after is None or envelope.after == NULL:
                    raise DecodeError(f"an event with op {envelope.op!r} has no row in `after`")
                read = envelope.op == "r" and envelope.source.connector == _JDBC
                row = (
                    self._row.partial(envelope.after)
                    if partial
                    else self._row.values(envelope.after, read=read)
                )
        except _MALFORMED as error:
            raise self._told(_explained(error), value) from error
        if envelope.op not in UPSERTS and envelope.op not in _OTHERS:
            raise DecodeError(f"unknown operation {envelope.op!r}; expected r, c, u, d, t or m")
        source = envelope.source
        return Change(envelope.op, row, source.transaction(envelope.transaction), source.ts_ms, partial)

    def _told(self, error: DecodeError, value: bytes) -> DecodeError:
        """A drift with every column that is too many or missing; msgspec names the first one."""
        if not isinstance(error, SchemaDriftError):
            return error
        names = {alias: name for name, alias in self._aliases.items()}
        lacking, unknown = (
            {names.get(name, name) for name in some} for some in self._row.misfit(_AFTER.decode(value).after)
        )
        keys = lacking.intersection(self.table.primary_key)
        if keys:
            return DecodeError(
                f"the record has no {', '.join(sorted(keys))}, which is of the primary key now"
            )
        told = [
            f"{word} {', '.join(sorted(columns))}"
            for word, columns in (("it has besides", unknown), ("it lacks", lacking))
            if columns
        ]
        return SchemaDriftError("; ".join(told), unknown, lacking)

    def _renamed(self, value: bytes, inside: str = "") -> bytes:
        """A record with the names that its decoder knows the columns by."""
        record = _OBJECT.decode(value)
        if not inside:
            return msgspec.json.encode({self._aliases.get(name, name): raw for name, raw in record.items()})
        if record.get(inside, NULL) != NULL:
            record[inside] = msgspec.Raw(self._renamed(bytes(record[inside])))
        return msgspec.json.encode(record)

    def text(self, value: bytes) -> bytes:
        """A record's value as JSON, which it is."""
        return value

    def key(self, key: bytes | None) -> str:
        """The canonical row key of a record's key."""
        if key is None:
            raise DecodeError("the record has no key, so its row cannot be found")
        try:
            values = self._key_row.values(self._key.decode(self._renamed(key) if self._aliases else key))
        except _MALFORMED as error:
            raise _explained(error) from error
        return self.key_of(values)

    def key_of(self, values: Sequence[Any]) -> str:
        """The canonical row key of decoded key values."""
        return SEPARATOR.join(
            canonical_text(column.archived_as, value)
            for column, value in zip(self._key_row.columns, values, strict=True)
        )


_OBJECT: msgspec.json.Decoder[dict[str, msgspec.Raw]] = msgspec.json.Decoder(dict[str, msgspec.Raw])
_UNNAMEABLE = re.compile(r'["\\\x00-\x1f]')


def _aliases(names: Collection[str]) -> dict[str, str]:
    """Other names for those with characters that msgspec takes in no field's name."""
    aliases: dict[str, str] = {}
    for name in names:
        if _UNNAMEABLE.search(name):
            alias = _UNNAMEABLE.sub("\N{REPLACEMENT CHARACTER}", name)
            while alias in names or alias in aliases.values():
                alias += "\N{REPLACEMENT CHARACTER}"
            aliases[name] = alias
    return aliases


def _explained(error: Exception, row: str = "$") -> DecodeError:
    """The error with its class.

    :param row: where in what was decoded the row is, as msgspec writes paths; it leaves the path of the root out.
    """
    text = str(error)
    at_row = " - at `$" not in text if row == "$" else text.endswith(f" - at `{row}`")
    drift = at_row and ("unknown field" in text or "missing required field" in text)
    return (SchemaDriftError if drift else DecodeError)(text)
