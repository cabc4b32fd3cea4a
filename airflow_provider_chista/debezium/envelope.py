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

import base64
import hashlib
import re
import uuid
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import msgspec

from airflow_provider_chista.canonical import SEPARATOR
from airflow_provider_chista.debezium.encodings import DECODERS, canonical_text
from airflow_provider_chista.debezium.settings import UNAVAILABLE_VALUE
from airflow_provider_chista.model import Column, Encoding, Table

_MALFORMED = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What decoding raises for a text that is not JSON of the expected shape, or is nested too deeply."""

UPSERTS = frozenset("rcu")
_OTHERS = frozenset("dtm")


class _Unchanged:
    """The type of :data:`UNCHANGED`."""

    def __repr__(self) -> str:
        return "UNCHANGED"


UNCHANGED: Final = _Unchanged()
"""Stands for a value that PostgreSQL did not send, because it is stored out of line and did not change."""

# Java's UUID.nameUUIDFromBytes.
_UUID = uuid.UUID(bytes=hashlib.md5(UNAVAILABLE_VALUE.encode(), usedforsecurity=False).digest(), version=3)
_PLACEHOLDERS = (
    UNAVAILABLE_VALUE.encode(),
    base64.b64encode(UNAVAILABLE_VALUE.encode()).rstrip(b"="),
    ",".join(str(byte) for byte in UNAVAILABLE_VALUE.encode()).encode(),
    str(_UUID).encode(),
)
"""The placeholder in its shapes: text (also in arrays and hstore), base64 of it, an array of its bytes, in uuid[] a UUID."""


def has_placeholder(value: bytes) -> bool:
    """Whether a record holds the placeholder of an unchanged TOAST value anywhere."""
    text, encoded, numbers, uuid_ = _PLACEHOLDERS  # spelled out: this is asked of every record
    return text in value or encoded in value or numbers in value or uuid_ in value


def _is_unchanged(column: Column, raw: bytes) -> bool:
    # A text is the placeholder or a value; a value may well speak of the placeholder.
    whole = _WHOLE.get(column.sent_as)
    return raw == whole if whole else has_placeholder(raw)


_BASE64 = b'"%s"' % base64.b64encode(UNAVAILABLE_VALUE.encode())
_WHOLE = {
    Encoding.TEXT: f'"{UNAVAILABLE_VALUE}"'.encode(),
    Encoding.BASE64: _BASE64,
    Encoding.BASE64_TEXT: _BASE64,
}
"""The placeholder where it is the whole value, by encoding."""


class DecodeError(ValueError):
    """One record cannot be decoded exactly; the message says where in the record and why."""


class SchemaDriftError(DecodeError):
    """The record has a column that the table has not, or lacks one: the source's schema is not the catalogue's.

    :param unknown: columns that the table has not; :param lacking: columns that the record lacks, when it has no others.
    """

    def __init__(self, message: str, unknown: Collection[str] = (), lacking: Collection[str] = ()) -> None:
        super().__init__(message)
        self.unknown = tuple(sorted(unknown))
        self.lacking = frozenset() if unknown else frozenset(lacking)


class _After(msgspec.Struct):
    after: dict[str, msgspec.Raw]


_AFTER = msgspec.json.Decoder(_After)


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


Guard = Callable[[Any], object]

_NULL = msgspec.Raw(b"null")


class _RowDecoder:
    """Decodes JSON objects into tuples of decoded values, in the order of the columns."""

    def __init__(
        self, columns: Sequence[Column], guards: Sequence[Guard | None], ignored: Sequence[str] = ()
    ) -> None:
        self.columns = columns
        self._ignores = bool(ignored)
        self._steps, self._steps_of_reads = (
            [
                (index, column.name, step)
                for index, (column, guard) in enumerate(zip(columns, guards, strict=True))
                if (step := _step(column, guard, read=read))
            ]
            for read in (False, True)
        )
        self.struct = self._struct("Row", ignored, lenient=False)
        self._lenient: msgspec.json.Decoder[Any] = msgspec.json.Decoder(
            self._struct("Partial", ignored, lenient=True)
        )
        self._raw: msgspec.json.Decoder[dict[str, msgspec.Raw]] = msgspec.json.Decoder(dict[str, msgspec.Raw])

    def _struct(self, name: str, ignored: Sequence[str], *, lenient: bool) -> type[msgspec.Struct]:
        fields: list[Any] = []
        rename = {}
        for index, column in enumerate(self.columns):
            schema = DECODERS[column.sent_as].schema(column)
            optional = (None,) if column.added else ()
            fields.append((f"f{index}", schema | None if lenient or column.holds_null else schema, *optional))
            rename[f"f{index}"] = column.name
        for index, left_out in enumerate(ignored):
            # Raw alone takes every JSON value; as one of a union it takes none.
            fields.append((f"x{index}", msgspec.Raw, _NULL))
            rename[f"x{index}"] = left_out
        return msgspec.defstruct(name, fields, rename=rename, forbid_unknown_fields=True, kw_only=True)

    def values(self, struct: Any, *, read: bool = False) -> tuple[Any, ...]:
        """Decoded values of a decoded struct.

        :param read: whether PostgreSQL's connector read the row through JDBC.
        """
        row: tuple[Any, ...] = msgspec.structs.astuple(struct)
        if self._ignores:
            row = row[: len(self.columns)]
        steps = self._steps_of_reads if read else self._steps
        if not steps:
            return row
        converted = list(row)
        for index, name, step in steps:
            value = converted[index]
            if value is not None:
                try:
                    converted[index] = step(value)
                except (ValueError, TypeError, msgspec.DecodeError) as error:
                    raise DecodeError(f"column {name}: {error}") from error
        return tuple(converted)

    def misfit(self, names: Collection[str]) -> tuple[set[str], set[str]]:
        """Columns that a row of these names lacks, and those that are not known."""
        known = set(self.struct.__struct_encode_fields__)
        return {c.name for c in self.columns if not c.added} - set(names), set(names) - known

    def partial(self, after: msgspec.Raw) -> tuple[Any, ...]:
        """As :meth:`values` of a row in which PostgreSQL left values out; those are :data:`UNCHANGED`."""
        fields = self._raw.decode(after)
        missing = {
            column.name
            for column in self.columns
            if column.name in fields and _is_unchanged(column, bytes(fields[column.name]))
        }
        struct = self._lenient.decode(
            msgspec.json.encode({name: _NULL if name in missing else raw for name, raw in fields.items()})
        )
        row = list(self.values(struct))
        for index, column in enumerate(self.columns):
            if column.name in missing:
                row[index] = UNCHANGED
            elif row[index] is None and not column.holds_null:
                raise DecodeError(f"column {column.name} is NULL, and the archive's column holds none")
        return tuple(row)


def _step(column: Column, guard: Guard | None, *, read: bool) -> Callable[[Any], Any] | None:
    decoder = DECODERS[column.sent_as]
    convert = decoder.convert(column) if decoder.convert else None
    if read and convert and decoder.unread:
        sent, unread = convert, decoder.unread

        def convert(value: Any) -> Any:
            return unread(sent(value))

    if guard is None:
        return convert

    def guarded(value: Any) -> Any:
        decoded = convert(value) if convert else value
        guard(decoded)
        return decoded

    first, last = getattr(guard, "first", None), getattr(guard, "last", None)
    if first is None or last is None or column.sent_as not in _AS_SENT or (read and decoder.unread):
        return guarded

    def ranged(value: int) -> Any:
        """Most values lie in the range and are as they were sent: no call is needed."""
        return value if first <= value <= last else guarded(value)

    return ranged


_AS_SENT = (Encoding.DAYS, Encoding.MICROSECONDS)
"""Encodings of whole numbers whose decoded value is the one sent, but for infinities, which no range holds."""


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
        self._row = _RowDecoder(
            columns,
            list(given.values()),
            [self._aliases.get(name, name) for name in dict.fromkeys(left_out) if name not in known],
        )
        self.may_lack = any(not column.whole for column in columns)
        self._key_row = _RowDecoder(keys, [given[column.name] for column in keys])
        fields: list[Any] = [("op", str), ("source", _Source), ("transaction", _Transaction | None, None)]
        whole, partial = (
            msgspec.defstruct("Envelope", [*fields, ("after", after, None)])
            for after in (self._row.struct | None, msgspec.Raw)
        )
        self._whole: msgspec.json.Decoder[Any] = msgspec.json.Decoder(whole)
        self._partial: msgspec.json.Decoder[Any] = msgspec.json.Decoder(partial)
        self._key: msgspec.json.Decoder[Any] = msgspec.json.Decoder(self._key_row.struct)

    def change(self, value: bytes) -> Change:
        """The change of one record's value; :class:`DecodeError` says what does not fit."""
        partial = self.may_lack and has_placeholder(value)
        row: tuple[Any, ...] = ()
        try:
            if self._aliases:
                value = self._renamed(value, "after")
            envelope = (self._partial if partial else self._whole).decode(value)
        except _MALFORMED as error:
            raise self._told(_explained(error, row="$.after"), value) from error
        try:
            if envelope.op in UPSERTS:
                if envelope.after is None or envelope.after == _NULL:
                    raise DecodeError(f"an event with op {envelope.op!r} has no row in `after`")
                read = envelope.op == "r" and envelope.source.connector == "postgresql"
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
        if record.get(inside, _NULL) != _NULL:
            record[inside] = msgspec.Raw(self._renamed(bytes(record[inside])))
        return msgspec.json.encode(record)

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
