"""The published test vectors of docs/row-hash.md are those of canonical.py."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_chista.canonical import ROW_HASH_VERSION, parse_key, row_hash, row_text
from airflow_provider_chista.model import Kind

DOCUMENT = (Path(__file__).parents[3] / "docs" / "row-hash.md").read_text(encoding="utf-8")
ROWS, KEYS = (json.loads(block) for block in re.findall(r"```json\n(.*?)```", DOCUMENT, re.DOTALL))


def test_the_document_is_of_the_version_in_use() -> None:
    assert DOCUMENT.startswith(f"# The row hash, version {ROW_HASH_VERSION}\n")


@pytest.mark.parametrize("vector", ROWS, ids=lambda vector: vector["case"])
def test_row(vector: dict[str, Any]) -> None:
    kinds = [Kind(kind) for kind in vector["kinds"]]
    assert row_text(kinds, vector["values"]) == vector["text"]
    assert row_hash(kinds, vector["values"]) == vector["hash"]


@pytest.mark.parametrize("vector", KEYS, ids=lambda vector: vector["case"])
def test_key(vector: dict[str, Any]) -> None:
    kinds = [Kind(kind) for kind in vector["kinds"]]
    assert row_text(kinds, vector["values"]) == vector["key"]
    assert list(parse_key(kinds, vector["key"])) == vector["values"]


def test_no_two_vectors_share_a_hash_and_every_kind_is_covered() -> None:
    assert len({vector["hash"] for vector in ROWS}) == len(ROWS) > 10
    assert {kind for vector in ROWS for kind in vector["kinds"]} == {str(kind) for kind in Kind}
