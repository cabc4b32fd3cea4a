"""A row of an event, and rows of many events, decoded strictly into the values of the table's columns."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from operator import attrgetter
from typing import Any, NamedTuple, Protocol

import msgspec

from airflow_provider_chista.arrays import Values, as_list, joined, kept
from airflow_provider_chista.debezium.encodings import DECODERS
from airflow_provider_chista.debezium.toast import UNCHANGED, is_unchanged
from airflow_provider_chista.debezium.vectors import Vector, vector
from airflow_provider_chista.model import Column


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


class Guard(Protocol):
    """What refuses a decoded value that the archive's column cannot hold."""

    def __call__(self, value: Any, /) -> object:
        """Raise :class:`ValueError` for a value that it cannot hold."""

    def holds(self, values: Values, /) -> bool:
        """Whether the column surely holds all of the values, of which some may be None."""


NULL = msgspec.Raw(b"null")

_PARTS, _FEW = 16, 64
"""Parts of a column of which some values are not usual, and the fewest values of one: more parts would be more calls, each
of which may wait for Python's lock."""


class RowDecoder:
    """Decodes JSON objects into tuples of decoded values, in the order of the columns."""

    def __init__(
        self, columns: Sequence[Column], guards: Sequence[Guard | None], ignored: Sequence[str] = ()
    ) -> None:
        self.columns = columns
        self._ignores = bool(ignored)
        self._fields = [
            _field(index, column, guard)
            for index, (column, guard) in enumerate(zip(columns, guards, strict=True))
        ]
        self._steps, self._steps_of_reads = (
            [field for field in self._fields if field.step(read)] for read in (False, True)
        )
        self.tells_reads = any(field.convert_reads is not field.convert for field in self._fields)
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
            fields.append((f"x{index}", msgspec.Raw, NULL))
            rename[f"x{index}"] = left_out
        # Without the garbage collector: the values are trees.
        return msgspec.defstruct(
            name, fields, rename=rename, forbid_unknown_fields=True, kw_only=True, gc=False
        )

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
        for field in steps:
            converted[field.place] = field.one(converted[field.place], read=read)
        return tuple(converted)

    def sent(self, structs: Sequence[Any]) -> Iterable[Values]:
        """Values of decoded structs by column, not decoded yet."""
        return (list(map(field.get, structs)) for field in self._fields)

    def columns_of(
        self, sent: Iterable[Values], count: int, reads: Sequence[bool]
    ) -> tuple[list[Values], dict[int, DecodeError]]:
        """Decoded values of many rows by column, as :meth:`values` gives them by row, and the rows that fail.

        :param sent: values as sent, by column; :param count: rows.
        :param reads: by row, whether PostgreSQL's connector read it through JDBC; empty: none was.
        :returns: values for each column, without the rows that fail; and these by their place.
        """
        wrong: dict[int, DecodeError] = {}
        read = any(reads)
        columns = [
            self._decoded(field, values, reads, read, wrong)
            for field, values in zip(self._fields, sent, strict=True)
        ]
        if wrong:
            right = [place not in wrong for place in range(count)]
            columns = [kept(values, right) for values in columns]
        return columns, wrong

    def _decoded(
        self,
        field: _Field,
        sent: Values,
        reads: Sequence[bool],
        read: bool,
        wrong: dict[int, DecodeError],
    ) -> Values:
        """Decoded values of one column: at once where all are of the usual shape, else by parts, else one by one.

        :param read: whether any row was read through JDBC.
        """
        convert = field.convert_reads if read else field.convert
        if convert is None:
            return _one_by_one(field, as_list(sent), reads, 0, wrong)
        values = _together(field, convert, sent)
        if values is not None:
            return values
        size = max(_FEW, -(-len(sent) // _PARTS))
        parts = []
        for first in range(0, len(sent), size):
            part = sent[first : first + size]
            values = _together(field, convert, part)
            parts.append(_one_by_one(field, as_list(part), reads, first, wrong) if values is None else values)
        return joined(parts)

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
            if column.name in fields and is_unchanged(column, bytes(fields[column.name]))
        }
        struct = self._lenient.decode(
            msgspec.json.encode({name: NULL if name in missing else raw for name, raw in fields.items()})
        )
        row = list(self.values(struct))
        for index, column in enumerate(self.columns):
            if column.name in missing:
                row[index] = UNCHANGED
            elif row[index] is None and not column.holds_null:
                raise DecodeError(f"column {column.name} is NULL, and the archive's column holds none")
        return tuple(row)


class _Field(NamedTuple):
    """How one column's values are taken from structs.

    :param place: of the column, and :param name: its name.
    :param convert: from the values sent to the decoded ones, at once; None: only one by one.
    :param alone: from a value sent to the decoded one; None: it is that. The other one of each pair is for rows that
        PostgreSQL's connector read through JDBC.
    """

    place: int
    name: str
    get: Callable[[Any], Any]
    guard: Guard | None
    convert: Vector | None
    convert_reads: Vector | None
    alone: Callable[[Any], Any] | None
    alone_reads: Callable[[Any], Any] | None

    def step(self, read: bool) -> Callable[[Any], Any] | None:
        """What decodes one value."""
        return self.alone_reads if read else self.alone

    def one(self, value: Any, *, read: bool) -> Any:
        """One decoded value; :class:`DecodeError` names the column."""
        step = self.step(read)
        if value is None or step is None:
            return value
        try:
            return step(value)
        except (ValueError, TypeError, msgspec.DecodeError) as error:
            raise DecodeError(f"column {self.name}: {error}") from error


def _together(field: _Field, convert: Vector, sent: Values) -> Values | None:
    """Decoded values, if all are of the usual shape and the archive's column holds them."""
    values = convert(sent)
    return values if values is not None and (field.guard is None or field.guard.holds(values)) else None


def _one_by_one(
    field: _Field, sent: Sequence[Any], reads: Sequence[bool], first: int, wrong: dict[int, DecodeError]
) -> list[Any]:
    values = []
    for place, value in enumerate(sent, first):
        try:
            values.append(field.one(value, read=bool(reads) and reads[place]))
        except DecodeError as error:
            wrong.setdefault(place, error)
            values.append(None)
    return values


def _field(index: int, column: Column, guard: Guard | None) -> _Field:
    decoder = DECODERS[column.sent_as]
    plain: Vector | None = _as_sent
    of_reads = plain
    if decoder.convert:
        convert = decoder.convert(column)
        plain = of_reads = vector(column, convert, read=False)
        if decoder.unread:
            of_reads = vector(column, convert, read=True)
    alone, alone_reads = (_step(column, guard, read=read) for read in (False, True))
    return _Field(index, column.name, attrgetter(f"f{index}"), guard, plain, of_reads, alone, alone_reads)


def _as_sent(values: Values) -> Values:
    return values


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

    return guarded
