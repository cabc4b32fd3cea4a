"""The tables of types as documentation: of each engine, of each kind, of ClickHouse, and long SQL texts under names."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from airflow_provider_chista.canonical import KEY_KINDS
from airflow_provider_chista.clickhouse import types as clickhouse
from airflow_provider_chista.clickhouse.types import FORMS, Form, TypeMap, integer_name
from airflow_provider_chista.debezium.encodings import DECODERS
from airflow_provider_chista.model import INTEGER_BOUNDS, Column, Kind
from airflow_provider_chista.sources import mariadb, mysql, postgrestypes
from airflow_provider_chista.sources.dialect import SourceType

Row = tuple[str, ...]

TYPES: dict[str, dict[str, SourceType]] = {
    "mysql": mysql.TYPES,
    "mariadb": mariadb.TYPES,
    "postgres": postgrestypes.TYPES,
}
"""Type table of each engine."""

# Digits, and digits behind the point, that stand for "any": numbers that no type and no text has.
_PRECISION, _SCALE = 71, 37
_ANY = {str(_PRECISION): "p", str(_SCALE): "s"}


@dataclass(frozen=True)
class Expression:
    """A SQL text that is too long for a table.

    :param sql: with ``{c}`` for the column.
    :param parts: shorter names for parts of it that occur often, the longest first.
    """

    sql: str
    parts: Sequence[tuple[str, str]] = ()


EXPRESSIONS: dict[str, Expression] = {
    "Digits of a float in MySQL": Expression(
        mysql.TYPES["double"].text,
        (("whole", f"SUBSTRING_INDEX({mysql._SHOWN}, '.', 1)"), ("shown", mysql._SHOWN)),
    ),
    "Digits of a float in MariaDB": Expression(mariadb.TYPES["double"].text, (("shown", mariadb._SHOWN),)),
    "Digits of a float in ClickHouse": Expression(
        clickhouse._DIGITS_TEXT,
        (("mantissa", clickhouse._MANTISSA), ("e_at", clickhouse._E_AT), ("shown", clickhouse._E)),
    ),
    "Bits of a float in PostgreSQL": Expression(postgrestypes.TYPES["real"].text),
    "Bits of a float in ClickHouse": Expression(clickhouse._BITS_TEXT),
    "Timestamp in PostgreSQL": Expression(postgrestypes.TYPES["timestamp without time zone"].text),
    "Point in PostgreSQL": Expression(postgrestypes.TYPES["point"].text),
}
"""Long SQL texts, by their headings in ``docs/row-hash.md``."""


def sql(text: str, page: str = "") -> str:
    """A SQL text as a table shows it: as code, or as a link to the expression."""
    for title, expression in EXPRESSIONS.items():
        if expression.sql == text:
            anchor = title.lower().replace(" ", "-")
            return f"[{title[0].lower()}{title[1:]}]({page}#{anchor})"
    return f"`{_general(text.format(c='c'))}`"


def expressions() -> str:
    """The long SQL texts."""
    parts = []
    for title, expression in EXPRESSIONS.items():
        text, known = expression.sql, []
        for name, part in expression.parts:
            text = text.replace(part, name)
            known.append((name, part))
        notes = [
            f"-- {name}: {_shortened(part, known[index + 1 :]).format(c='c')}"
            for index, (name, part) in enumerate(known)
        ]
        parts.append(
            "\n".join([f"### {title}", "", "```sql", *notes, *_lines(text.format(c="c")), "```", ""])
        )
    return "\n".join(["", *parts])


def _shortened(text: str, parts: Iterable[tuple[str, str]]) -> str:
    for name, part in parts:
        text = text.replace(part, name)
    return text


def _lines(text: str) -> list[str]:
    """A SQL text, a line for each branch of its CASE, or for each argument of its outermost function."""
    if "CASE " in text:
        return re.sub(r" (WHEN|ELSE|END)\b", r"\n    \1", text).replace("\n    END", "\nEND").split("\n")
    lines, depth, quoted = [""], 0, False
    for character in text:
        quoted ^= character == "'"
        depth += 0 if quoted else (character == "(") - (character == ")")
        lines[-1] += character
        if character == "," and depth == 1 and not quoted:
            lines.append("   ")
    return lines


def of_engine(flavour: str) -> tuple[Row, list[Row], str]:
    """Header and rows of an engine's types, equal ones together; and which of them a primary key can have."""
    table = TYPES[flavour]
    shared = groupby(table.values(), key=_cells)
    rows = [(", ".join(f"`{row.name}`" for row in same), *cells) for cells, same in shared]
    keys = [f"`{row.name}`" for row in table.values() if row.key and row.kind in KEY_KINDS]
    header = (
        "type at the source", "how Debezium sends it", "ClickHouse type", "kind", "text at the source", "text in ClickHouse",
        "fate", "to know",
    )  # fmt: skip
    return header, rows, textwrap.fill(f"A primary key can have columns of {', '.join(keys)}.", 120)


def _cells(row: SourceType) -> Row:
    if row.kind is None:
        return ("", "", "", "", "", str(row.fate), row.refusal)
    column = _column(row)
    stored = TypeMap().stored(column)
    return (
        DECODERS[column.sent_as].sent,
        f"`{_general(TypeMap().default(column))}`",
        f"`{row.kind}`",
        sql(row.text, "row-hash.md"),
        sql(stored.text, "row-hash.md"),
        str(row.fate),
        row.note,
    )


def _column(row: SourceType) -> Column:
    """A column of the type; a decimal has any precision and scale, money its own."""
    precision, scale = postgrestypes._digits(row.name)
    if not precision:
        precision, scale = _PRECISION, _SCALE
    return Column(
        "c", row.name, row.kind, nullable=False, encoding=row.encoding, precision=precision, scale=scale,
        element=row.name.removesuffix("[]"),
    )  # fmt: skip


def _general(text: str) -> str:
    return re.sub(r"\b\d+\b", lambda match: _ANY.get(match[0], match[0]), text)


def in_sql() -> tuple[Row, list[Row]]:
    """Header and rows of the kinds: the SQL of each on every engine and in ClickHouse's default type."""
    rows = []
    for cells, same in groupby(Kind, key=_kind_cells):
        rows.append((", ".join(f"`{kind}`" for kind in same), *cells))
    return ("kind", "MySQL", "MariaDB", "PostgreSQL", "ClickHouse"), rows


def _kind_cells(kind: Kind) -> Row:
    texts = [
        list(dict.fromkeys(sql(row.text) for row in table.values() if row.kind is kind))
        for table in TYPES.values()
    ]
    column = Column("c", kind, kind, nullable=False, precision=_PRECISION, scale=_SCALE)
    return (*("<br>".join(each) for each in texts), sql(TypeMap().stored(column).text))


# Regular expressions of FORMS as a reader writes them, and a type that they match.
_FORM_TITLES: dict[str, tuple[str, str]] = {
    r"U?Int(8|16|32|64)": ("`Int8` … `Int64`, `UInt8` … `UInt64`", ""),
    r"Decimal\((\d+), (\d+)\)": ("`Decimal(p, s)`", f"Decimal({_PRECISION}, {_SCALE})"),
    "Float(32|64)": ("`Float32`, `Float64`", ""),
    r"DateTime64\(0, 'UTC'\)": ("`DateTime64(0, 'UTC')`", "DateTime64(0, 'UTC')"),
    r"DateTime64\(([0-6]), 'UTC'\)": (
        "`DateTime64(0, 'UTC')` … `DateTime64(6, 'UTC')`",
        "DateTime64(6, 'UTC')",
    ),
    r"Time64\(6\)": ("`Time64(6)`", "Time64(6)"),
}

_HOLDS: dict[tuple[Kind, str], str] = {
    (Kind.INT8, r"U?Int(8|16|32|64)"): "a range that includes that of the source's type",
    (Kind.BOOL, "Bool"): "",
    (Kind.BOOL, "UInt8"): "0 and 1",
    (Kind.DECIMAL, r"Decimal\((\d+), (\d+)\)"): "the same scale and no fewer digits; 76 digits at most; no NaN",
    (Kind.DECIMAL, "String"): "the canonical text: any number of digits, and NaN",
    (Kind.FLOAT32, "Float(32|64)"): "`Float32` only the 4-byte kinds",
    (Kind.DATE, r"DateTime64\(0, 'UTC'\)"): "the years 1 to 9999",
    (Kind.DATE, "Date32"): "1900-01-01 to 2299-12-31",
    (Kind.DATE, "String"): "the canonical text: every date, BC and infinite ones too",
    (Kind.DATETIME, r"DateTime64\(([0-6]), 'UTC'\)"): "the years 1 to 9999, with so many digits of a second",
    (Kind.DATETIME, "String"): "the canonical text: every timestamp, BC and infinite ones too",
    (Kind.TIME, r"Time64\(6\)"): "-838:59:59 to 838:59:59, and 24:00:00",
    (Kind.TIME, "String"): "the canonical text",
    (Kind.UUID, "UUID"): "",
    (Kind.UUID, "String"): "the canonical text",
    (Kind.BYTES, "String"): "the bytes themselves",
    (Kind.TEXT, "String"): "also as `LowCardinality(String)`",
    (Kind.TEXT, r"Decimal\((\d+), (\d+)\)"): "PostgreSQL's `numeric` without precision: values with exactly s digits behind "
    "the point",
}  # fmt: skip
"""What a ClickHouse type holds of a kind, by the first kind of its row."""


def of_clickhouse() -> tuple[Row, list[Row]]:
    """Header and rows of the ClickHouse types that hold each kind exactly."""
    order = list(Kind)
    rows = []
    for form in sorted(FORMS, key=lambda form: min(order.index(kind) for kind in form.kinds)):
        kinds = sorted(form.kinds, key=order.index)
        title, sample = _FORM_TITLES.get(form.ddl, (f"`{form.ddl}`", form.ddl))
        rows.append(
            (
                ", ".join(f"`{kind}`" for kind in kinds),
                title,
                _choice(form),
                _HOLDS[kinds[0], form.ddl],
                "<br>".join(dict.fromkeys(_form_text(form, kind, sample) for kind in kinds)),
            )
        )
    return ("kind", "ClickHouse type", "is used", "holds", "text in ClickHouse"), rows


def _choice(form: Form) -> str:
    if form.default is None:
        return "by choice"
    first = next(other for other in FORMS if other.kinds & form.kinds and other.default)
    return "by default" if form is first else "where the default cannot hold it, or by choice"


def _form_text(form: Form, kind: Kind, sample: str) -> str:
    if kind in INTEGER_BOUNDS:
        sample = integer_name(kind)
    elif not sample:
        sample = "Float64"
    # Of the forms of a text, only Decimal looks at the column: it must be a numeric.
    row = postgrestypes.TYPES["numeric"] if kind is Kind.TEXT else SourceType("c", kind)
    column = Column("c", kind, kind, False, encoding=row.encoding, precision=_PRECISION, scale=_SCALE)
    match = re.fullmatch(form.ddl, sample)
    assert match, f"{sample} is not of {form.ddl}"
    stored = form.make(column, match)
    assert stored, f"{sample} does not hold {kind}"
    return sql(stored.text, "row-hash.md")
