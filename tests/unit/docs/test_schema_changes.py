"""The tables of docs/schema-changes.md are those of the changes that the integration tests make."""

from __future__ import annotations

import pytest

from tests.integration.schema.cases import CHANGES
from tests.integration.schema.document import GROUPS, PAGE, table
from tests.unit.docs.generated import block


@pytest.mark.parametrize("name", GROUPS)
def test_the_table_is_what_the_tests_prove(name: str) -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert block(name, text)[1] == table(GROUPS[name]), "run: python -m tests.integration.schema.document"


def test_every_change_is_in_one_table() -> None:
    assert sorted(c.name for group in GROUPS.values() for c in group) == sorted(c.name for c in CHANGES)
