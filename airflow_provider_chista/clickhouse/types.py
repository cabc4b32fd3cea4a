"""Which ClickHouse type holds a kind exactly, how its values travel, and their canonical text in SQL.

ClickHouse is asked, not assumed: ``Date32`` clamps 9999-12-31 to 2299-12-31 without a word, and ``DateTime64`` holds all of
0001-01-01 to 9999-12-31 only on recent servers, so :func:`probe` writes both ends and reads them back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from clickhouse_connect.driver.client import Client

from airflow_provider_chista.canonical import iso_date
from airflow_provider_chista.clickhouse.errors import translated
from airflow_provider_chista.model import Kind

_SECONDS_PER_DAY = 86_400


@dataclass(frozen=True, slots=True)
class StoredType:
    """How a kind is stored.

    :param ddl: the ClickHouse type, without Nullable.
    :param arrow: the Arrow type that an insert sends.
    :param text: SQL of the canonical field text, ``{c}`` being the quoted column (never NULL there).
    """

    ddl: str
    arrow: pa.DataType
    text: str


_INTEGERS: dict[Kind, StoredType] = {
    kind: StoredType(ddl, arrow, "toString({c})")
    for kind, ddl, arrow in (
        (Kind.INT8, "Int8", pa.int8()),
        (Kind.INT16, "Int16", pa.int16()),
        (Kind.INT32, "Int32", pa.int32()),
        (Kind.INT64, "Int64", pa.int64()),
        (Kind.UINT8, "UInt8", pa.uint8()),
        (Kind.UINT16, "UInt16", pa.uint16()),
        (Kind.UINT32, "UInt32", pa.uint32()),
        (Kind.UINT64, "UInt64", pa.uint64()),
    )
}
_TEXT = StoredType("String", pa.string(), "concat(toString(length({c})), ':', {c})")
_DATE_AS_DATETIME64 = StoredType(
    "DateTime64(0, 'UTC')", pa.timestamp("s", tz="UTC"), "substring(toString({c}), 1, 10)"
)
_DATE_AS_TEXT = StoredType("String", pa.string(), "{c}")


@dataclass(frozen=True, slots=True)
class TypeMap:
    """The stored type of every kind on one server."""

    date: StoredType

    def stored(self, kind: Kind) -> StoredType:
        """The type that holds every value of the kind exactly on this server."""
        if kind is Kind.DATE:
            return self.date
        return _TEXT if kind is Kind.TEXT else _INTEGERS[kind]

    def arrow(self, kind: Kind, values: Sequence[int | str | None]) -> pa.Array[Any]:
        """Decoded values of a column (dates as days since 1970-01-01) as the Arrow array that an insert sends."""
        if kind is not Kind.DATE:
            return pa.array(values, self.stored(kind).arrow)
        if self.date is _DATE_AS_TEXT:
            texts = [None if day is None else iso_date(int(day)) for day in values]
            return pa.array(texts, _DATE_AS_TEXT.arrow)
        seconds = [None if day is None else int(day) * _SECONDS_PER_DAY for day in values]
        return pa.array(seconds, pa.int64()).cast(_DATE_AS_DATETIME64.arrow)


def probe(client: Client) -> TypeMap:
    """Ask the server which date type keeps 0001-01-01 and 9999-12-31; the text form is the fallback."""
    with translated("probing the range of DateTime64"):
        rows = client.query(
            "SELECT toString(toDateTime64('0001-01-01 00:00:00', 0, 'UTC')),"
            " toString(toDateTime64('9999-12-31 00:00:00', 0, 'UTC'))"
        ).result_rows
    holds = rows[0] == ("0001-01-01 00:00:00", "9999-12-31 00:00:00")
    return TypeMap(date=_DATE_AS_DATETIME64 if holds else _DATE_AS_TEXT)
