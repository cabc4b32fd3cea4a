"""Columns that get other attributes: labels, NULL, defaults."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tests.integration.schema.changes import Change, Step, holds, new, older

LABELS = {
    "family": "a ENUM('x', 'c,d', 'y') NULL, b VARCHAR(10) NULL",
    "postgres": "a {s}.label NULL, b VARCHAR(10) NULL",
}


def labels(name: str) -> Mapping[str, Sequence[str]]:
    """The enumerated type of a table on PostgreSQL, which the table's own columns name."""
    return {"family": (), "postgres": (f"CREATE TYPE {{s}}.{name} AS ENUM ('x', 'c,d', 'y')",)}


def labelled(name: str) -> Mapping[str, str]:
    return {"family": LABELS["family"], "postgres": LABELS["postgres"].replace("label", name)}


OTHERS: tuple[Change, ...] = (
    Change(
        "enum_added",
        "add values to an enum",
        "events have the label",
        "nothing, the archive holds labels",
        {
            "family": ("ALTER TABLE {t} MODIFY a ENUM('x', 'c,d', 'y', 'new') NULL",),
            "postgres": ("ALTER TYPE {s}.label_added ADD VALUE 'new'",),
        },
        holds(r1="x", r2="c,d", r3="new", r4="y"),
        columns=labelled("label_added"),
        setup=labels("label_added"),
        values=("'x'", "'c,d'", "'y'"),
        after=new("id, a, b", "3, 'new', 'n'"),
    ),
    Change(
        "enum_removed",
        "remove and reorder values of an enum",
        "events have the label; older records may have labels that are gone",
        "nothing, the archive holds labels",
        {
            "family": (
                "UPDATE {t} SET a = 'x' WHERE a = 'c,d'",
                "ALTER TABLE {t} MODIFY a ENUM('y', 'x') NULL",
            ),
            "postgres": (
                "UPDATE {t} SET a = 'x' WHERE a = 'c,d'",
                "CREATE TYPE {s}.label_fewer AS ENUM ('y', 'x')",
                "ALTER TABLE {t} ALTER COLUMN a TYPE {s}.label_fewer USING a::text::{s}.label_fewer",
            ),
        },
        holds(r1="x", r2="x", r3="x", r4="y"),
        columns=labelled("label_removed"),
        setup=labels("label_removed"),
        values=("'x'", "'c,d'", "'y'"),
        after=new("id, a, b", "3, 'x', 'n'"),
    ),
    Change(
        "enum_renamed",
        "rename a value of an enum",
        "rows that have it are not sent again",
        "nothing; older rows keep the old label",
        ("ALTER TYPE {s}.label_renamed RENAME VALUE 'x' TO 'z'",),
        older(r1="x", r2="c,d", r3="z", r4="y"),
        columns=labelled("label_renamed"),
        setup=labels("label_renamed"),
        values=("'x'", "'c,d'", "'y'"),
        after=new("id, a, b", "3, 'z', 'n'"),
        way_out=(Step.AGAIN,),
        engines=("postgres",),
    ),
    Change(
        "enum_to_text",
        "an enum to a text",
        "events have the text",
        "nothing, as long as no label has a comma, a backslash or a line break; else the drain stops",
        {
            "family": ("ALTER TABLE {t} MODIFY a VARCHAR(10) NULL",),
            "postgres": ("ALTER TABLE {t} ALTER COLUMN a TYPE VARCHAR(10) USING a::text",),
        },
        holds(r1="x", r2="x", r3="free", r4="y"),
        columns={
            "family": "a ENUM('x', 'y') NULL, b VARCHAR(10) NULL",
            "postgres": LABELS["postgres"].replace("label", "label_text"),
        },
        setup=labels("label_text"),
        values=("'x'", "'x'", "'y'"),
        after=new("id, a, b", "3, 'free', 'n'"),
    ),
    Change(
        "not_null_dropped",
        "drop NOT NULL",
        "events may have NULL",
        "the archive's column becomes Nullable",
        {
            "family": ("ALTER TABLE {t} MODIFY a INT NULL",),
            "postgres": ("ALTER TABLE {t} ALTER COLUMN a DROP NOT NULL",),
        },
        holds(r1="10", r2="20", r3=None, r4="40"),
        columns="a INT NOT NULL, b VARCHAR(10) NULL",
        after=new("id, a, b", "3, NULL, 'n'"),
    ),
    Change(
        "not_null_added",
        "add NOT NULL",
        "older records may have NULL",
        "nothing; the archive's column stays Nullable",
        {
            "family": (
                "UPDATE {t} SET a = 21 WHERE a IS NULL",
                "ALTER TABLE {t} MODIFY a INT NOT NULL",
            ),
            "postgres": (
                "UPDATE {t} SET a = 21 WHERE a IS NULL",
                "ALTER TABLE {t} ALTER COLUMN a SET NOT NULL",
            ),
        },
        holds(r1="10", r2="21", r3="30", r4="40"),
        values=("10", "NULL", "40"),
    ),
    Change(
        "set_default",
        "set a default, add an index, write a comment",
        "values arrive as before; an explicit NULL stays NULL",
        "nothing",
        {
            "family": (
                "ALTER TABLE {t} ALTER COLUMN a SET DEFAULT 5",
                "CREATE INDEX set_default_a ON {t} (a)",
                "ALTER TABLE {t} COMMENT = 'orders'",
            ),
            "postgres": (
                "ALTER TABLE {t} ALTER COLUMN a SET DEFAULT 5",
                "CREATE INDEX set_default_a ON {t} (a)",
                "COMMENT ON TABLE {t} IS 'orders'",
            ),
        },
        holds(r1="10", r2="20", r3=None, r4="40"),
        after=new("id, a, b", "3, NULL, 'n'"),
    ),
)
