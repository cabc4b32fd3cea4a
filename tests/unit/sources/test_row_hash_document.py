"""The published test vectors are those of canonical.py, and hold by the specification alone."""

from __future__ import annotations

import hashlib
import itertools
import json
import re
from collections import defaultdict
from typing import Any

import pytest

from airflow_provider_chista.canonical import (
    ROW_HASH_VERSION,
    field_text,
    parse_key,
    row_hash,
    row_text,
    sort_key,
)
from airflow_provider_chista.model import Kind
from airflow_provider_chista.sources import mysqlfamily, postgres
from tests.unit.docs.pages import code, page, rows, sections
from tests.unit.docs.vectors import DIGESTS, KEYS, ORDERS, ROWS, VECTORS, kinds, typed, value, values

DOCUMENT = page("row-hash.md")

EVERY_ROW = pytest.mark.parametrize("vector", ROWS, ids=lambda vector: vector["case"])
EVERY_KEY = pytest.mark.parametrize("vector", KEYS, ids=lambda vector: vector["case"])

EQUAL = {"decimal(10,2): zero has no sign", "ieee64: a NaN with other bits", "ieee64: a NaN with a sign"}
"""Cases whose value is equal to another case's, in other bits or another spelling."""

GRAMMAR: dict[str, str] = {
    name: pattern.replace(r"\|", "|")
    for cells in rows(sections(DOCUMENT)["Fields"])
    for pattern in code(cells[1])
    for name in code(cells[0])
}
"""The document's regular expression of each kind; a text has none."""


def split(forms: list[str], text: str) -> list[str | None]:
    """The fields of a row text by the rules of the document, None for NULL: what a reader of another implementation does."""
    raw, fields = text.encode(), []
    for index, form in enumerate(forms):
        if index:
            assert raw[:1] == b"|", "fields are separated"
            raw = raw[1:]
        field: str | None
        if raw[:1] == b"~":
            field, raw = None, raw[1:]
        elif form == "text":
            length, _, rest = raw.partition(b":")
            assert re.fullmatch(rb"0|[1-9][0-9]*", length)
            raw = rest[int(length) :]
            field = rest[: int(length)].decode()
        else:
            bare, bar, rest = raw.partition(b"|")
            field, raw = bare.decode(), bar + rest
            assert re.fullmatch(GRAMMAR[typed(form).kind], field), (form, field)
        fields.append(field)
    assert raw == b"", "nothing stands behind the last field"
    return fields


def test_document_and_vectors_are_of_the_version_in_use() -> None:
    assert DOCUMENT.startswith(f"# The row hash, version {ROW_HASH_VERSION}\n")
    assert VECTORS["version"] == ROW_HASH_VERSION


@EVERY_ROW
def test_the_hash_is_the_sha_256_of_the_text(vector: dict[str, Any]) -> None:
    assert hashlib.sha256(vector["text"].encode("utf-8")).hexdigest() == vector["hash"]


@EVERY_ROW
def test_the_text_can_be_taken_apart_by_the_grammar(vector: dict[str, Any]) -> None:
    fields = split(vector["kinds"], vector["text"])
    for form, given, field in zip(vector["kinds"], vector["values"], fields, strict=True):
        assert (field is None) is (given is None)
        if form == "text":
            assert field == given


@EVERY_ROW
def test_canonical_py_has_text_and_hash_of_a_row(vector: dict[str, Any]) -> None:
    assert row_text(kinds(vector), values(vector)) == vector["text"]
    assert row_hash(kinds(vector), values(vector)) == vector["hash"]


@EVERY_KEY
def test_canonical_py_has_the_text_of_a_key_and_reads_it_back(vector: dict[str, Any]) -> None:
    assert row_text(kinds(vector), values(vector)) == vector["key"]
    assert None not in split(vector["kinds"], vector["key"])
    read = parse_key(kinds(vector), vector["key"])
    again = [
        given if kind is Kind.BYTES else field_text(kind, given)
        for kind, given in zip(kinds(vector), read, strict=True)
    ]
    assert "|".join(map(str, again)) == vector["key"]


@pytest.mark.parametrize("vector", ORDERS, ids=lambda vector: vector["case"])
def test_canonical_py_has_the_order_of_keys(vector: dict[str, Any]) -> None:
    texts = [
        row_text(kinds(vector), [value(k, v) for k, v in zip(vector["kinds"], given, strict=True)])
        for given in vector["values"]
    ]
    assert texts == vector["keys"]
    order = [sort_key(parse_key(kinds(vector), text)) for text in texts]
    assert all(before < after for before, after in itertools.pairwise(order))


@pytest.mark.parametrize("vector", DIGESTS, ids=lambda vector: vector["case"])
def test_a_digest_is_the_count_and_two_sums(vector: dict[str, Any]) -> None:
    hashes = [bytes.fromhex(row_hash) for row_hash in vector["hashes"]]
    sums = [sum(int.from_bytes(each[at : at + 8], "big") for each in hashes) % 2**64 for at in (0, 8)]
    assert vector["digest"] == f"{len(hashes)}:{sums[0]:016x}{sums[1]:016x}"


def test_there_are_at_least_200_rows_and_every_case_has_a_name_of_its_own() -> None:
    assert len(ROWS) >= 200
    names = [vector["case"] for vector in (*ROWS, *KEYS, *ORDERS, *DIGESTS)]
    assert len(set(names)) == len(names)


def test_no_two_rows_share_a_hash() -> None:
    assert len({vector["hash"] for vector in ROWS}) == len(ROWS)


def test_different_values_of_a_kind_have_different_texts() -> None:
    """The rows' numbers keep their hashes apart; here only the values count."""
    seen: dict[str, dict[str, list[Any]]] = defaultdict(dict)
    for vector in ROWS:
        if vector["kinds"][0] == "int32" and len(vector["kinds"]) > 1 and vector["case"] not in EQUAL:
            text = vector["text"].partition("|")[2]
            given = seen["|".join(vector["kinds"][1:])].setdefault(text, vector["values"][1:])
            assert given == vector["values"][1:], vector["case"]
    assert len(seen) > len(Kind)


def test_every_kind_has_values_and_a_null() -> None:
    present = {
        (typed(form).kind, given is None)
        for v in ROWS
        for form, given in zip(v["kinds"], v["values"], strict=True)
    }
    assert present == {(kind, is_null) for kind in Kind for is_null in (True, False)}


WITHOUT_EFFECT = {
    "net_write_timeout", "innodb_lock_wait_timeout", "lock_wait_timeout", "lock_timeout", "default_transaction_isolation",
}  # fmt: skip
"""Settings of the sessions on which no text and no order depends."""


@pytest.mark.parametrize(
    ("engine", "session", "more"),
    [
        (
            "MySQL, MariaDB",
            mysqlfamily.SESSION,
            ("character_set_client", "character_set_connection", "character_set_results"),
        ),
        ("PostgreSQL", postgres.SESSION, ()),
    ],
)
def test_every_setting_of_a_session_is_in_the_document(
    engine: str, session: dict[str, Any], more: tuple[str, ...]
) -> None:
    documented = {
        name: code(cells[2])[0]
        for cells in rows(sections(DOCUMENT)["Sessions"])
        if cells[0] == engine
        for name in code(cells[1])
    }
    wanted = {name: str(value) for name, value in session.items() if name not in WITHOUT_EFFECT}
    assert documented == wanted | dict.fromkeys(more, mysqlfamily.CHARACTER_SET)


def test_the_document_has_a_grammar_for_every_kind_but_texts() -> None:
    assert GRAMMAR.keys() == {kind.value for kind in Kind} - {"text"}


def test_the_examples_of_the_document_are_vectors() -> None:
    published = {(json.dumps(v["values"]), v["text"]) for v in ROWS}
    examples = re.findall(r"^(\[.*\])\n(\S.*)$", DOCUMENT, re.MULTILINE)
    assert len(examples) >= 3
    assert [each for each in examples if (json.dumps(json.loads(each[0])), each[1]) not in published] == []
