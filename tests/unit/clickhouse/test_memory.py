"""What the comments of an archive table remember of the source's past, so that older records can still be read."""

from __future__ import annotations

from dataclasses import replace

import pytest

from airflow_provider_chista.clickhouse.evolve import compare
from airflow_provider_chista.model import Column, Encoding, Kind, LeftOut
from tests.unit.clickhouse.tables import BIGINT, INT, TEXT, TYPES, applied, col, created, source


def enum(*labels: str) -> Column:
    return col(Kind.TEXT, "enum", encoding=Encoding.LABEL, labels=labels)


def test_a_column_that_became_narrower_still_decodes_what_it_held() -> None:
    assert compare(TYPES, source(INT), created(source(BIGINT))).adopted.column("c").kind is Kind.INT64


def test_labels_that_are_gone_are_remembered() -> None:
    existing = created(source(enum("x", "y")))
    fit = compare(TYPES, source(enum("y", "z")), existing)
    assert fit.adopted.column("c").labels == ("y", "z", "x")
    assert [column.name for column in fit.notes] == ["c"]
    assert fit.is_complete
    again = compare(TYPES, source(enum("z")), applied(existing, fit))
    assert again.adopted.column("c").labels == ("z", "y", "x")


def test_comments_follow_the_source_and_then_rest() -> None:
    longer, existing = replace(TEXT, declared="varchar(50)"), created(source(TEXT))
    fit = compare(TYPES, source(longer), existing)
    [comment] = fit.alterations()
    assert comment.startswith("COMMENT COLUMN `c` ")
    assert "varchar(50)" in comment
    assert fit.is_complete
    assert compare(TYPES, source(longer), applied(existing, fit)).alterations() == []


@pytest.mark.parametrize("nullable", [True, False])
def test_a_column_that_records_lack_becomes_nullable_and_says_so(nullable: bool) -> None:
    column = replace(INT, nullable=nullable)
    existing = created(source(column))
    fit = compare(TYPES, source(column), existing, lacking=["c"])
    assert fit.adopted.column("c").added
    assert fit.adopted.column("c").stored_as == "Nullable(Int32)"
    assert '"added": true' in fit.alterations()[0]
    again = compare(TYPES, source(column), applied(existing, fit))
    assert again.alterations() == []
    assert again.adopted.column("c").added


def test_a_column_of_the_key_stays_what_it_is_when_records_lack_it() -> None:
    fit = compare(TYPES, source(INT), created(source(INT)), lacking=["id"])
    assert fit.adopted.column("id").stored_as == "Int32"


@pytest.mark.parametrize("generated", [True, False])
def test_a_column_that_was_left_out_is_remembered_when_it_is_gone(generated: bool) -> None:
    existing = created(source(INT, left_out=(LeftOut("g", generated=generated),)))
    fit = compare(TYPES, source(INT), existing)
    assert fit.adopted.left_out == (LeftOut("g", generated=False, gone=True),)
    assert fit.is_complete
    assert fit.adopted.unproven == ()
    assert fit.adopted.fingerprint == source(INT).fingerprint
    existing = applied(existing, fit)
    again = compare(TYPES, source(INT), existing)
    assert again.adopted.left_out == fit.adopted.left_out
    assert again.alterations() == []
    back = compare(TYPES, source(INT, replace(TEXT, name="g")), existing)
    assert [column.name for column in back.missing] == ["g"]
    assert back.adopted.left_out == ()


def test_a_column_that_became_a_generated_one_stays_and_takes_null() -> None:
    existing = created(source(replace(INT, nullable=False)))
    fit = compare(TYPES, source(left_out=(LeftOut("c", generated=True),)), existing)
    assert [(column.name, ddl) for column, ddl in fit.freed] == [("c", "Nullable(Int32)")]
    assert [column.name for column in fit.adopted.gone] == ["c"]


def test_the_comment_of_a_users_own_table_is_left_alone() -> None:
    own = replace(created(source(INT)), comment="mine")
    assert compare(TYPES, source(INT, left_out=(LeftOut("g", generated=True),)), own).alterations() == []
