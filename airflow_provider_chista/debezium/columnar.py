"""Rows of many events, read from their JSON straight into Arrow columns: the fast way of ``debezium/rows.py``.

pyarrow's JSON reader makes a column for a fraction of what Python objects cost, and without the interpreter's lock. It is
not as strict as msgspec, so a table of rows is taken only when it surely is what msgspec makes of them, field by field:

* Each row is one JSON object: msgspec found it to be one JSON value, and it is longer than ``null``, which would read as
  a row of NULLs. Every other value that is not an object the reader refuses.
* No field is missing: a missing one reads as NULL, so there must be as many ``null`` in the text as there are NULLs in the
  columns. Fields that are unknown, or sent twice, the reader refuses itself.
* Types are what the column's encoding says: the reader refuses text for a number, a number for text, a fraction for a whole
  number, and what a type does not hold.
* Numbers keep their sign and are finite: the reader takes ``NaN`` and rounds beyond the largest number to infinity.
* Texts are UTF-8, which the reader does not look at by itself.

In any doubt nothing is taken, and msgspec decides record by record (``debezium/envelope.py``).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json

from airflow_provider_chista.arrays import Values, as_list, numbers_within, texts_matching
from airflow_provider_chista.debezium.encodings import LONGEST_TIME, UUID_FORM
from airflow_provider_chista.model import INTEGER_BOUNDS, Column, Encoding

Check = Callable[["pa.Array[Any]"], "Values | None"]
"""From a column as the reader makes it to the values that msgspec would make; None: in doubt."""

_MOST_BYTES = 8 * 1024 * 1024
"""Bytes of JSON that are read at once; more would be in memory once more."""

_LARGE_VALUE = 1024
"""Bytes of a column's name and value, on average, from where on msgspec is the faster reader."""

_NULL_MEMBER = b'":null'
"""How the JSON of a member that is NULL ends, from the end of its name on."""

_LIKE_NULL = ":null"
"""How a text or a name begins that looks like one behind its quotation mark."""

_LONGEST_REST = 64
"""Two calls more than decline at once, at most, behind rows that were declined."""

_AT_ROW = re.compile(r" in row (\d+)$")
"""How some of the reader's errors end."""

_NEGATIVE_ZERO = re.compile(rb":\s*-0\s*[,}]")


class Declined(NamedTuple):
    """Rows that are not surely what msgspec makes of them.

    :param row: the first one that the reader could not read, if that was the reason and it said so.
    """

    row: int | None = None


class ColumnReader:
    """Reads JSON objects of a table's columns.

    :param columns: those of the table; as :func:`reader` takes them.
    """

    def __init__(self, columns: Sequence[Column]) -> None:
        self._columns = columns
        sent = [_SENT[column.sent_as](column) for column in columns]
        self._checks = [check for _, check in sent]
        self._schema = pa.schema([(c.name, kind) for c, (kind, _) in zip(columns, sent, strict=True)])
        self._added = [b"%s:null" % msgspec.json.encode(column.name) for column in columns if column.added]
        self._floats = any(pa.types.is_floating(kind) for kind in self._schema.types)
        self._declined = self._resting = 0

    def read(self, rows: Sequence[msgspec.Raw], text: bytes) -> list[Values] | Declined:
        """The rows' values by column, as msgspec makes them of the same JSON, if that is sure.

        After rows that were declined, some calls decline at once: what is odd about a table is odd again.

        :param rows: JSON that msgspec found well-formed; :param text: the same, a row on a line.
        """
        if self._resting:
            self._resting -= 1
            return Declined()
        values = self._read(rows, text)
        self._declined = self._declined + 1 if values == Declined() else 0
        self._resting = max(0, min(_LONGEST_REST, 2**self._declined) - 2)
        return values

    def _read(self, rows: Sequence[msgspec.Raw], text: bytes) -> list[Values] | Declined:
        if min(map(len, rows)) <= len(b"null"):
            return Declined()
        most = min(_MOST_BYTES, len(rows) * len(self._columns) * _LARGE_VALUE)
        if len(text) > most or (self._floats and _NEGATIVE_ZERO.search(text)):
            return Declined()
        source: Any = pa.BufferReader(text)
        try:
            table = pyarrow.json.read_json(
                source,
                read_options=pyarrow.json.ReadOptions(use_threads=False, block_size=len(text) + 1),
                parse_options=pyarrow.json.ParseOptions(
                    explicit_schema=self._schema, unexpected_field_behavior="error"
                ),
            )
            table.validate(full=True)
        except pa.ArrowException as error:
            at = _AT_ROW.search(str(error))
            return Declined(int(at[1]) if at else None)
        if table.num_rows != len(rows) or not self._complete(table, text):
            return Declined()
        values = [
            check(column.combine_chunks()) for check, column in zip(self._checks, table.columns, strict=True)
        ]
        certain = [some for some in values if some is not None]
        return certain if len(certain) == len(values) else Declined()

    def _complete(self, table: pa.Table, text: bytes) -> bool:
        """Whether each NULL was sent as one, except for columns that a row may lack, and is in a column that holds it."""
        nulls = 0
        for column, values in zip(self._columns, table.columns, strict=True):
            if values.null_count and not column.added:
                if not column.holds_null:
                    return False
                nulls += values.null_count
        if not nulls:
            return True
        # Also a text that begins so looks like a member that is NULL. No column's name does, or ends in a backslash.
        texts = (values for values in table.columns if pa.types.is_string(values.type))
        if any(pc.any(pc.starts_with(values, _LIKE_NULL)).as_py() for values in texts):
            return False
        if self._added and b"\\u" in text:  # perhaps in a name
            return False
        sent = text.count(_NULL_MEMBER)
        if b"\\" in text:  # as in front of a quotation mark inside of a text
            sent -= text.count(b"\\" + _NULL_MEMBER)
        return nulls == sent - sum(map(text.count, self._added))


def reader(columns: Sequence[Column]) -> ColumnReader | None:
    """What reads rows of the columns; None when it cannot be sure of one of them."""
    # NULL of a column that rows may lack cannot be told from its lack, which only one that holds NULL allows.
    sure = all(c.sent_as in _SENT and (c.holds_null or not c.added) for c in columns)
    named = any(c.name.startswith(_LIKE_NULL) for c in columns)
    return ColumnReader(columns) if sure and not named else None


def _as_read(array: pa.Array[Any]) -> Values | None:
    return array


def _between(first: int, last: int) -> Check:
    return lambda array: array if numbers_within(array, first, last) else None


def _bounded(column: Column) -> tuple[pa.DataType, Check]:
    low, high = INTEGER_BOUNDS[column.archived_as]
    return pa.int64(), _between(low, high)


def _finite(array: pa.Array[Any]) -> Values | None:
    return None if pc.all(pc.is_finite(array)).as_py() is False else array


def _uuids(array: pa.Array[Any]) -> Values | None:
    return array if texts_matching(array, f"^{UUID_FORM}$") else None


_BYTES = msgspec.json.Decoder(list[bytes | None])


def _base64(array: pa.Array[Any]) -> Values | None:
    try:
        return _BYTES.decode(msgspec.json.encode(as_list(array)))
    except msgspec.DecodeError:
        return None


def _bits(column: Column) -> tuple[pa.DataType, Check]:
    return (pa.bool_() if column.precision == 1 else pa.string()), _as_read


def _always(kind: pa.DataType, check: Check = _as_read) -> Callable[[Column], tuple[pa.DataType, Check]]:
    return lambda column: (kind, check)


_NUMBER, _TEXT = _always(pa.int64()), _always(pa.string())
_SENT: dict[Encoding, Callable[[Column], tuple[pa.DataType, Check]]] = {
    Encoding.NUMBER: _bounded,
    Encoding.UNSIGNED_LONG: _NUMBER,
    Encoding.BOOLEAN: _always(pa.bool_()),
    Encoding.BIT_NUMBER: _bits,
    Encoding.BIT_STRING: _bits,
    Encoding.FLOAT: _always(pa.float64(), _finite),
    Encoding.DECIMAL: _TEXT,
    Encoding.NUMERIC: _TEXT,
    Encoding.DAYS: _NUMBER,
    Encoding.MICROSECONDS: _NUMBER,
    Encoding.ZONED: _TEXT,
    Encoding.TIME: _always(pa.int64(), _between(-LONGEST_TIME, LONGEST_TIME)),
    Encoding.TIME_OF_DAY: _NUMBER,
    Encoding.UUID: _always(pa.string(), _uuids),
    Encoding.BASE64: _always(pa.string(), _base64),
    Encoding.BASE64_TEXT: _always(pa.string(), _base64),
    Encoding.TEXT: _TEXT,
    Encoding.LABEL: _TEXT,
    Encoding.LABELS: _TEXT,
    Encoding.MYSQL_JSON: _TEXT,
    Encoding.INTERVAL: _TEXT,
    Encoding.HSTORE: _TEXT,
}
"""How the JSON of an encoding is read; those that are not here are objects, or lists."""
