"""The shape of a change of a captured table's schema: what the user runs, what arrives, what the provider does.

Every table has a column ``id``, and by default ``a`` and ``b``. Row 1 is there before the connector (it comes by snapshot),
rows 2 and 4 are streamed before the change; behind the change row 3 is inserted and row 4 is updated in ``b``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import TypeVar

MYSQL_FAMILY = ("mysql", "mariadb")
ENGINES = (*MYSQL_FAMILY, "postgres")

Value = TypeVar("Value")
Spoken = Value | Mapping[str, Value]
"""A value for all engines, or by engine; ``family`` stands for MySQL and MariaDB."""

Rows = Mapping[int, str | None]


class Proof(Enum):
    """What the proof says behind the drain."""

    HOLDS = "the proof holds at once"
    OLDER = "the proof refuses the rows that are older, until they are read again"
    EXTRA = "the proof refuses the rows that are only in the archive"


class Step(Enum):
    """A step of a way out."""

    UNDO = "the change is undone at the source"
    EXCLUDE = "the column is excluded"
    IGNORE = "the drain is run once with `ignore_columns`"
    KEEP = "the drain is run once with `on_truncate='keep'`"
    RENAME = "the archive table is renamed, and created anew"
    DRAIN = "the drain is run"
    EMPTY = "the new archive table is emptied"
    AGAIN = "the table is read again"


@dataclass(frozen=True)
class Target:
    """What one archive table must hold behind the drain of the change.

    :param archived: text of the watched column in ClickHouse by id; None: NULL. Empty: there is no such column.
    :param proof: what the proof says; None: the drain stopped.
    :param letters: dead letters in the end, after the way out.
    """

    archived: Rows
    proof: Proof | None
    letters: int = 0


@dataclass(frozen=True)
class Change:
    """One row of the table.

    :param name: the source table's name.
    :param change: what the user does, for the documentation.
    :param arrives: what the connector sends from then on.
    :param does: what the provider does.
    :param ddl: the statements of the change; ``{t}`` stands for the table, ``{s}`` for the schema.
    :param columns: columns of the table behind ``id``; :param key: definition of ``id``; :param setup: statements before.
    :param values: value of ``a`` in the rows 1, 2 and 4.
    :param before: more statements before the change; :param after: the statements behind it.
    :param watch: the column whose content in the archive is looked at.
    :param drained: the archive table that had drained everything before the change, and drains on with what it knew.
    :param waiting: the archive table that had drained nothing, and is altered (CreateArchiveTableOperator) before it drains
        rows from before and behind the change in one go; None: as ``drained``.
    :param says: regular expression of the refusal, when the drain stops.
    :param way_out: what is done about a refusal, of the drain or of the proof; afterwards the proof holds.
    :param undo: the statements of ``Step.UNDO``.
    :param exclude: columns that the archive leaves out from the beginning.
    :param late: the archive tables are created only behind the change.
    :param refused_before: regular expression of the refusal to archive the table before the change.
    :param purgeable: whether the table may be purged in the end.
    """

    name: str
    change: str
    arrives: str
    does: str
    ddl: Spoken[Sequence[str]]
    drained: Spoken[Target]
    waiting: Spoken[Target] | None = None
    columns: Spoken[str] = "a INT NULL, b VARCHAR(10) NULL"
    key: str = "INT PRIMARY KEY"
    setup: Spoken[Sequence[str]] = ()
    values: tuple[str, str, str] = ("10", "20", "40")
    before: Spoken[Sequence[str]] = ()
    after: Spoken[Sequence[str]] = (
        "INSERT INTO {t} (id, a, b) VALUES (3, 30, 'n')",
        "UPDATE {t} SET b = 'n' WHERE id = 4",
    )
    watch: str = "a"
    says: Spoken[str] = ""
    way_out: Sequence[Step] = ()
    undo: Spoken[Sequence[str]] = ()
    exclude: frozenset[str] = frozenset()
    late: bool = False
    refused_before: str = ""
    purgeable: bool = True
    engines: Sequence[str] = field(default=ENGINES)


def spoken(value: Spoken[Value] | None, flavour: str) -> Value:
    """The value for an engine."""
    if not isinstance(value, Mapping):
        return value  # type: ignore[return-value]
    return value.get(flavour, value.get("family"))  # type: ignore[return-value]


def add(column: str, place: str = "") -> tuple[str]:
    return (f"ALTER TABLE {{t}} ADD COLUMN {column}{place}",)


def retype(family: str, postgres: str, using: str = "") -> Mapping[str, Sequence[str]]:
    """Statements that change the type of ``a``."""
    return {
        "family": (f"ALTER TABLE {{t}} MODIFY a {family}",),
        "postgres": (f"ALTER TABLE {{t}} ALTER COLUMN a TYPE {postgres}{using}",),
    }


def new(columns: str, values: str, touch: bool = True) -> tuple[str, ...]:
    """The statements behind a change."""
    touched = ("UPDATE {t} SET b = 'n' WHERE id = 4",) if touch else ()
    return (f"INSERT INTO {{t}} ({columns}) VALUES ({values})", *touched)


def holds(**archived: str | None) -> Target:
    return Target(_rows(archived), Proof.HOLDS)


def older(**archived: str | None) -> Target:
    return Target(_rows(archived), Proof.OLDER)


def extra(**archived: str | None) -> Target:
    return Target(_rows(archived), Proof.EXTRA)


def stops(letters: int = 0) -> Target:
    return Target({}, None, letters)


def _rows(archived: Mapping[str, str | None]) -> Rows:
    """``r1='x'`` -> ``{1: 'x'}``."""
    return {int(name[1:]): text for name, text in archived.items()}


C7 = new("id, a, b, c", "3, 30, 'n', 7")
TENS = holds(r1="10", r2="20", r3="30", r4="40")
REPLACE = (Step.RENAME, Step.DRAIN, Step.EMPTY, Step.AGAIN)
REPLACED = "the drain stops before it reads anything"
NO_EVENT = "nothing; the values that the server computes are in no event"
