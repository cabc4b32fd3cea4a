"""Columns that come and go, keys, engines and choices: an archive table against the source's table as a whole."""

from __future__ import annotations

from dataclasses import replace

import pytest

from airflow_provider_chista.clickhouse import sql
from airflow_provider_chista.clickhouse.evolve import Existing, compare
from airflow_provider_chista.clickhouse.layout import META_COLUMNS, note_of
from airflow_provider_chista.errors import FatalError
from airflow_provider_chista.model import Column, Encoding, Kind, LeftOut, Table, TableId
from tests.unit.clickhouse.tables import ID, INT, TARGET, TEXT, TYPES, applied, created, source

# Columns that come and go.

NEW = Column("new", "int", Kind.INT32, nullable=False)


def test_a_column_that_the_source_gained_is_added_nullable_whatever_it_is_there() -> None:
    fit = compare(TYPES, source(INT, NEW), created(source(INT)))
    fit.require(TARGET)
    [added] = fit.missing
    assert (added.name, added.stored_as, added.added) == ("new", "Nullable(Int32)", True)
    assert [c.name for c in fit.adopted.columns] == ["id", "c", "new"]
    assert fit.alterations()[0].startswith("ADD COLUMN IF NOT EXISTS `new` Nullable(Int32) COMMENT '")
    # It stays an added one, whose values older records lack.
    again = compare(TYPES, source(INT, NEW), applied(created(source(INT)), fit))
    assert again.is_complete
    assert again.adopted.column("new").added


def test_a_column_that_the_source_dropped_stays_and_becomes_nullable() -> None:
    existing = created(source(INT, NEW))
    fit = compare(TYPES, source(INT), existing)
    fit.require(TARGET)
    assert [(c.name, ddl) for c, ddl in fit.freed] == [("new", "Nullable(Int32)")]
    [gone] = fit.adopted.gone
    assert (gone.name, gone.kind, gone.stored_as, gone.holds_null, gone.added) == (
        "new",
        Kind.INT32,
        "Nullable(Int32)",
        True,
        True,
    )
    again = compare(TYPES, source(INT), applied(existing, fit))
    assert again.is_complete
    assert [c.name for c in again.adopted.gone] == ["new"]


def test_a_column_that_comes_back_is_one_that_older_records_lack() -> None:
    existing = created(source(INT, NEW))
    dropped = applied(existing, compare(TYPES, source(INT), existing))
    fit = compare(TYPES, source(INT, NEW), dropped)
    fit.require(TARGET)
    assert (fit.missing, fit.adopted.gone) == ((), ())
    assert fit.adopted.column("new").added
    assert fit.adopted.column("new").stored_as == "Nullable(Int32)"


def test_a_renamed_column_is_one_that_is_gone_and_one_that_is_new() -> None:
    fit = compare(TYPES, source(replace(INT, name="renamed")), created(source(INT)))
    assert [c.name for c in fit.missing] == ["renamed"]
    assert [c.name for c in fit.adopted.gone] == ["c"]


def test_columns_of_the_users_own_are_left_alone() -> None:
    existing = created(source(INT))
    existing = replace(
        existing, columns=existing.columns | {"theirs": ("String", "a note"), "mine": ("UInt8", "")}
    )
    fit = compare(TYPES, source(INT), existing)
    assert fit.is_complete
    assert fit.adopted.gone == ()


# Excluded columns, and types that are not exact.


def test_an_excluded_column_is_known_from_the_tables_comment() -> None:
    table = source(INT, NEW).without({"new"})
    existing = created(table)
    assert existing.excluded == {"new"}
    assert "new" not in existing.columns
    fit = compare(TYPES, table, existing)
    assert fit.is_complete
    assert fit.adopted.excluded == {"new"}


def test_a_column_that_is_there_cannot_be_excluded_any_more() -> None:
    fit = compare(TYPES, source(INT, NEW).without({"new"}), created(source(INT, NEW)))
    assert fit.differences == ("column new is there already and cannot be excluded any more",)


def test_a_column_that_is_not_excluded_any_more_is_added() -> None:
    fit = compare(TYPES, source(INT, NEW), created(source(INT, NEW).without({"new"})))
    fit.require(TARGET)
    assert [c.name for c in fit.missing] == ["new"]
    assert applied(created(source(INT, NEW).without({"new"})), fit).excluded == set()


def test_a_generated_column_is_no_column_of_the_archive() -> None:
    table = source(INT, left_out=(LeftOut("sum", generated=True),))
    fit = compare(TYPES, table, created(table))
    assert fit.is_complete
    assert fit.adopted.left_out == table.left_out


@pytest.mark.parametrize(
    ("now", "found", "difference"),
    [
        (replace(TEXT, stored_as="JSON", provable=False), "Nullable(JSON)", None),
        (replace(TEXT, stored_as="JSON", provable=False, nullable=False), "JSON", None),
        (
            replace(TEXT, stored_as="JSON", provable=False),
            "JSON",
            "column c is JSON, it must be Nullable(JSON)",
        ),
        (replace(TEXT, stored_as="JSON", provable=False), "Nullable(String)", "it must be Nullable(JSON)"),
    ],
)
def test_a_type_that_is_not_exact_must_be_the_chosen_one(
    now: Column, found: str, difference: str | None
) -> None:
    existing = created(source(now))
    existing = replace(existing, columns=existing.columns | {"c": (found, note_of(now))})
    fit = compare(TYPES, source(now), existing)
    if difference is None:
        fit.require(TARGET)
        assert fit.adopted.unproven == ("c",)
    else:
        assert difference in fit.differences[0]


def test_a_choice_is_remembered_by_the_columns_comment() -> None:
    chosen = replace(TEXT, stored_as="JSON", provable=False)
    fit = compare(TYPES, source(TEXT), created(source(chosen)))
    assert fit.is_complete
    assert fit.adopted.unproven == ("c",)
    assert fit.adopted.column("c").stored_as == "Nullable(JSON)"


# Keys.


@pytest.mark.parametrize(
    ("before", "now"),
    [
        (ID, replace(ID, kind=Kind.INT64, declared="bigint")),
        (ID, replace(ID, kind=Kind.UINT32, declared="int unsigned")),
        (replace(ID, kind=Kind.TEXT), ID),
    ],
)  # fmt: skip
def test_a_key_column_is_never_changed(before: Column, now: Column) -> None:
    old, new = (replace(source(INT), columns=(key, INT)) for key in (before, now))
    fit = compare(TYPES, new, created(old))
    assert len(fit.differences) == 1
    assert fit.differences[0].startswith("column id is ")
    assert fit.changes == ()


def test_a_key_column_that_became_narrower_still_fits() -> None:
    wide = replace(source(INT), columns=(replace(ID, kind=Kind.INT64), INT))
    fit = compare(TYPES, source(INT), created(wide))
    fit.require(TARGET)
    assert (fit.changes, fit.adopted.column("id").stored_as) == ((), "Int64")


def test_another_primary_key_is_a_difference_even_when_its_columns_are_there() -> None:
    fit = compare(
        TYPES,
        replace(source(replace(INT, nullable=False)), primary_key=("id", "c")),
        created(source(replace(INT, nullable=False))),
    )
    assert fit.differences == ("it is ordered by (id), it must be ordered by the primary key (id, c)",)


def test_a_new_column_of_the_key_is_a_difference() -> None:
    fit = compare(TYPES, replace(source(NEW), primary_key=("id", "new")), created(source()))
    assert "column new of the primary key is missing" in fit.differences


SORTING_KEYS = [
    (("id",), "id", True),
    (("id",), "`id`", True),
    (("id",), "(id)", True),
    (("a b", "id"), "`a b`, id", True),
    (("a b", "id"), "id, `a b`", False),
    (("id",), "id, c", False),
    (("id",), "", False),
    (("id",), "identity", False),
    (("id",), "toString(id)", False),
    (("a.b",), "`a.b`", True),
    (("a.b",), "axb", False),
]


@pytest.mark.parametrize(("key", "sorting_key", "right"), SORTING_KEYS)
def test_the_table_must_be_ordered_by_exactly_the_primary_key(
    key: tuple[str, ...], sorting_key: str, right: bool
) -> None:
    columns = tuple(replace(ID, name=name) for name in dict.fromkeys((*key, "id")))
    table = Table(TableId("shop", "t"), columns, key)
    fit = compare(TYPES, table, created(table, sorting_key=sorting_key))
    assert bool(fit.differences) is not right


ENGINES = [
    ("ReplacingMergeTree(_chista_version, _chista_deleted) ORDER BY id", True),
    (
        "ReplicatedReplacingMergeTree('/clickhouse/{uuid}', '{replica}', _chista_version, _chista_deleted) ORDER BY id",
        True,
    ),
    (
        "SharedReplacingMergeTree('/a(b)', '{replica}', _chista_version, _chista_deleted) PARTITION BY c ORDER BY id",
        True,
    ),
    ("ReplacingMergeTree(_chista_version) ORDER BY id", False),
    ("ReplacingMergeTree(_chista_deleted, _chista_version) ORDER BY id", False),
    ("ReplacingMergeTree ORDER BY id", False),
    ("MergeTree ORDER BY id", False),
    ("ReplacingMergeTree(my_chista_version, _chista_deleted) ORDER BY id", False),
    ("Log", False),
]


@pytest.mark.parametrize(("engine", "right"), ENGINES)
def test_the_engine_must_replace_by_version_and_deletion(engine: str, right: bool) -> None:
    fit = compare(TYPES, source(INT), created(source(INT), engine_full=engine))
    assert bool(fit.differences) is not right


@pytest.mark.parametrize("name", META_COLUMNS)
def test_the_providers_own_columns_must_be_there_with_their_types(name: str) -> None:
    existing = created(source(INT))
    for columns in (
        {n: c for n, c in existing.columns.items() if n != name},
        existing.columns | {name: ("Nullable(UInt64)", "")},
    ):
        fit = compare(TYPES, source(INT), replace(existing, columns=columns))
        assert [d.startswith(f"column {name} is ") for d in fit.differences] == [True]


def test_all_differences_are_told_at_once() -> None:
    existing = Existing("MergeTree ORDER BY c", "c", {"id": ("Int16", ""), "c": ("String", "")})
    fit = compare(TYPES, source(INT), existing)
    assert len(fit.differences) == 4 + len(META_COLUMNS)
    with pytest.raises(FatalError, match=r"archive\.t cannot hold shop.t exactly") as caught:
        fit.require(TARGET)
    assert all(difference in str(caught.value) for difference in fit.differences)


def test_names_and_comments_in_alterations_are_quoted() -> None:
    hostile = Column(
        "a`b\\'c", "enum('it''s')", Kind.TEXT, nullable=True, encoding=Encoding.LABEL, labels=("it's", "b\\s")
    )
    fit = compare(TYPES, source(INT, hostile), created(source(INT)))
    [clause] = [c for c in fit.alterations() if c.startswith("ADD")]
    [added] = fit.missing
    assert clause == (
        f"ADD COLUMN IF NOT EXISTS {sql.identifier(hostile.name)} Nullable(String) COMMENT {sql.literal(note_of(added))}"
    )
