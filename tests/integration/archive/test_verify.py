"""Verification in parts: cut, shared out, gone on with, checked by sums and samples, on each engine.

The archive is filled by hand, so that it can be damaged where and when a test wants.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from airflow_provider_chista.archive.check import Mode
from airflow_provider_chista.archive.create import create
from airflow_provider_chista.archive.ledger import Author, Ledger, Stage
from airflow_provider_chista.archive.manifest import Manifests
from airflow_provider_chista.archive.parts import cut
from airflow_provider_chista.archive.settle import DELETED, settle
from airflow_provider_chista.canonical import parse_key, sort_key
from airflow_provider_chista.clickhouse.choices import Choices
from airflow_provider_chista.clickhouse.types import probe
from airflow_provider_chista.errors import FatalError, TransientError
from airflow_provider_chista.keyrange import EVERY_KEY, KeyRange
from airflow_provider_chista.model import TableId
from tests.integration.archive.conftest import Store
from tests.integration.support import services
from tests.integration.support.engines import ENGINES, Engine
from tests.integration.support.pairs import Pair

ROWS = 1_000
TABLES = {
    "numbers": "id BIGINT PRIMARY KEY, name VARCHAR(40)",
    "composite": "tenant INT, day DATE, number DECIMAL(10,2), name VARCHAR(40), PRIMARY KEY (tenant, day, number)",
    "moments": "at TIMESTAMP(6) PRIMARY KEY, name VARCHAR(40)",
    "texts": "code VARCHAR(20) PRIMARY KEY, name VARCHAR(40)",
}
RUN = Author("archive", "a run", "verify", 1)


def keys_of(name: str) -> list[tuple[Any, ...]]:
    """Keys with negative numbers, few different first values, fractions, and letters that collations order in their way."""
    if name == "numbers":
        return [(n * 3 - ROWS,) for n in range(ROWS)]
    if name == "composite":
        return [(n % 3 - 1, f"2024-01-{n // 3 % 25 + 1:02}", f"{n // 75}.{n % 100:02}") for n in range(ROWS)]
    if name == "moments":
        return [(f"2024-01-01 {n // 60 % 24:02}:{n % 60:02}:00.{n:06}",) for n in range(ROWS)]
    return [(f"{'aAäzZ'[n % 5]}{n:05}",) for n in range(ROWS)]


@pytest.fixture(scope="module", params=ENGINES)
def schema(request: pytest.FixtureRequest, stack_env: dict[str, str]) -> Iterator[tuple[Engine, str]]:
    engine, name = ENGINES[request.param], f"it_{services.token()}"
    engine.create_schema(
        name, [f"CREATE TABLE {name}.{table} ({columns})" for table, columns in TABLES.items()]
    )
    for table in TABLES:
        rows = [(*key, f"n{n}") for n, key in enumerate(keys_of(table))]
        places = ", ".join(["%s"] * len(rows[0]))
        engine.execute(f"INSERT INTO {name}.{table} VALUES ({places})", many=rows)
    yield engine, name
    engine.drop_schema(name)


@pytest.fixture
def pairs(schema: tuple[Engine, str], store: Store) -> Iterator[Callable[..., Pair]]:
    engine, name = schema
    with engine.source() as source:
        yield lambda table, **more: Pair(
            engine, source, store.client, store.control, store.database, TableId(name, table), **more
        )
    store.client.command(f"DROP DATABASE IF EXISTS {store.database}_{engine.flavour}")


@pytest.mark.parametrize("name", TABLES)
def test_parts_are_every_key_once_and_the_proof_is_that_of_the_whole(
    pairs: Callable[..., Pair], name: str
) -> None:
    pair = pairs(name)
    keys = pair.row_keys()
    assert len(keys) == ROWS
    parts = cut(pair.source, pair.manifests, None, 130)
    assert len(parts) == (1 if name == "texts" else 8)
    found = [
        [key for chunk in pair.source.hashes(pair.manifests.table, None, keys=part) for key, _ in chunk]
        for part in parts
    ]
    assert [key for part in found for key in part] == keys
    assert [len(part) for part in found] == ([ROWS] if name == "texts" else [130] * 7 + [90])
    archived = [[key for chunk in pair.manifests.hashes(None, part) for key, _ in chunk] for part in parts]
    assert archived == found

    whole = pair.verify(part_rows=0)
    proof = pair.verify(part_rows=130, parallel=3)
    assert (proof.rows, proof.digest) == (ROWS, whole.digest)
    assert [row.row_key for row in pair.manifests.page(proof.verify_id, -1, 2 * ROWS)] == keys
    assert proof.digest == pair.source.digest(pair.manifests.table, None) == pair.manifests.digest_of(None)
    sums = [pair.source.digest(pair.manifests.table, None, part) for part in parts]
    assert sums == [pair.manifests.digest_of(None, part) for part in parts]
    assert pair.check(mode=Mode.DIGEST, part_rows=130, parallel=2).digest == proof.digest
    begun = [] if name == "texts" else [Stage.BEGUN]
    assert pair.stages() == [Stage.VERIFIED, *begun, Stage.VERIFIED, Stage.CHECKED]
    assert pair.caught_up == 0


def test_a_key_that_ends_a_part_may_be_gone(pairs: Callable[..., Pair]) -> None:
    table = pairs("composite")
    keys = table.row_keys()
    between = KeyRange(keys[100].replace(".", "0."), keys[200])  # a key that no row has
    here = [
        key for chunk in table.source.hashes(table.manifests.table, None, keys=between) for key, _ in chunk
    ]
    there = [key for chunk in table.manifests.hashes(None, between) for key, _ in chunk]
    kinds = table.manifests.table.key_kinds
    first, end = (sort_key(parse_key(kinds, key)) for key in (str(between.first), str(between.end)))
    assert here == there == [key for key in keys if first <= sort_key(parse_key(kinds, key)) < end]


def test_only_the_part_that_differs_is_compared_again(pairs: Callable[..., Pair]) -> None:
    pair = pairs("numbers")
    pair.damage(
        "INSERT INTO {t} (id, name, _chista_version) VALUES (2, 'changed', 2), (5000, 'extra', 1)",
        "DELETE FROM {t} WHERE id = 5",
    )
    read = _read_ranges(pair)
    with pytest.raises(
        FatalError, match="1 missing from the archive, 1 only in the archive, 1 differing"
    ) as caught:
        pair.verify(part_rows=100)
    assert "key 5000 is extra (only the archive has it, and no purge in the ledger explains that" in str(
        caught.value
    )
    assert pair.caught_up == 2
    assert len(read) == 11 + 2  # the parts of 2 and 5, and of 5000
    assert pair.stages() == [Stage.BEGUN, Stage.MISMATCHED]

    read.clear()
    mended = "INSERT INTO {t} (id, name, _chista_version, _chista_deleted) VALUES (5000, '', 9, 1)"
    pair.damage(mended)
    proof = pair.verify(part_rows=100, repairs=10)
    assert proof.rows == ROWS
    assert len(read) == 11 + 1 + 1  # again after catching up, and behind the repair
    assert proof.digest == pair.source.digest(pair.manifests.table, None)


def _read_ranges(pair: Pair) -> list[KeyRange]:
    """Ranges that are read from the source from now on."""
    read: list[KeyRange] = []
    hashes = pair.source.hashes

    def noted(*arguments: Any, keys: KeyRange = EVERY_KEY, **more: Any) -> Any:
        read.append(keys)
        return hashes(*arguments, keys=keys, **more)

    pair.source.hashes = noted  # type: ignore[method-assign]
    return read


def test_a_run_that_was_stopped_goes_on_behind_the_parts_that_are_proven(pairs: Callable[..., Pair]) -> None:
    pair = pairs("composite", author=RUN)
    asked = iter(range(100))
    pair.stopped = lambda: next(asked) >= 4
    with pytest.raises(TransientError, match="was stopped; run the task again to go on"):
        pair.verify(part_rows=100)

    pair.stopped = lambda: False
    read = _read_ranges(pair)
    proof = pair.verify(part_rows=100)
    assert f"going on with {proof.verify_id}: 4 of 10 parts are proven" in pair.told
    assert len(read) == 6
    assert (proof.rows, proof.digest) == (ROWS, pair.source.digest(pair.manifests.table, None))
    assert pair.manifests.length(proof.verify_id) == ROWS
    # Behind a proof, a run of the same name begins anew.
    assert pair.verify(part_rows=100).verify_id != proof.verify_id


@pytest.mark.parametrize("other", ["another run", "no run", "changed columns"])
def test_nobody_goes_on_with_what_is_not_theirs(pairs: Callable[..., Pair], other: str) -> None:
    pair = pairs("numbers", author=Author() if other == "no run" else RUN)
    asked = iter(range(100))
    pair.stopped = lambda: next(asked) >= 4
    with pytest.raises(TransientError, match="was stopped"):
        pair.verify(part_rows=100)
    pair.stopped = lambda: False
    if other == "another run":
        pair.ledger = Ledger(
            pair.control, "", pair.target, None, Author("archive", "another run", "verify", 1)
        )
    if other == "changed columns":
        pair.engine.execute(f"ALTER TABLE {pair.table} ADD COLUMN more{services.token()} INT")
        types = probe(pair.client)
        table = create(pair.source, pair.client, types, pair.table, pair.target, Choices()).table
        pair.manifests = Manifests(pair.control, types, table, pair.target)
    read = _read_ranges(pair)
    assert pair.verify(part_rows=100).rows == ROWS
    assert len(read) == 10


def test_sums_lead_to_the_rows_that_differ(pairs: Callable[..., Pair]) -> None:
    pair = pairs("numbers")
    pair.damage("INSERT INTO {t} (id, name, _chista_version) VALUES (2, 'changed', 2)")
    read = _read_ranges(pair)
    with pytest.raises(FatalError, match=r"1 differing .*key 2 is differing in name"):
        pair.check(mode=Mode.DIGEST, part_rows=100, masked=True)
    assert len(read) == 2  # one part, twice
    assert pair.stages() == [Stage.MISMATCHED]
    shown = pair.control.rows(
        f"SELECT source_values, archive_values FROM {pair.control.name('mismatches')} WHERE target = {{t:String}}",
        {"t": str(pair.target)},
    )[0]
    assert all(value.startswith("sha256:") for value in shown["archive_values"][:2])
    assert shown["source_values"][0] == shown["archive_values"][0]
    assert shown["source_values"][1] != shown["archive_values"][1]
    # Neither sums nor samples are a proof.
    assert pair.ledger.proof() is None


def test_a_sample_is_the_same_for_the_same_seed_and_finds_what_is_in_it(pairs: Callable[..., Pair]) -> None:
    pair = pairs("moments")
    read = _read_ranges(pair)
    checks = [pair.check(mode=Mode.SAMPLE, part_rows=50, share=0.2, seed=seed) for seed in (5, 5, 6)]
    assert [(c.parts, c.of, c.rows, c.seed) for c in checks] == [
        (4, 20, 200, 5),
        (4, 20, 200, 5),
        (4, 20, 200, 6),
    ]
    assert read[0:4] == read[4:8] != read[8:12]
    assert pair.check(mode=Mode.SAMPLE, part_rows=50, share=0.2).seed is not None
    chosen = random.Random(5).sample(range(20), 4)
    key = pair.row_keys()[50 * chosen[0] + 10]
    pair.damage("DELETE FROM {t} WHERE toString(at) = '" + key + "'")
    with pytest.raises(FatalError, match=f"1 missing.*key {key} is missing"):
        pair.check(mode=Mode.SAMPLE, part_rows=50, share=0.2, seed=5)
    assert pair.ledger.proof() is None


def test_given_keys_and_ranges_are_compared_alone(pairs: Callable[..., Pair]) -> None:
    pair = pairs("numbers")
    keys = pair.row_keys()
    pair.damage("INSERT INTO {t} (id, name, _chista_version) VALUES (" + keys[10] + ", 'changed', 2)")
    assert pair.check(row_keys=(*keys[11:20], "123456789")).rows == 9
    assert pair.check(keys=KeyRange(keys[11], keys[20])).rows == 9
    assert pair.check(keys=KeyRange(None, keys[10])).rows == 10
    for options in ({"row_keys": (keys[10],)}, {"keys": KeyRange(keys[9], None)}):
        with pytest.raises(FatalError, match=f"key {keys[10]} is differing in name"):
            pair.check(**options)
    with pytest.raises(FatalError, match="is not a row key"):
        pair.check(row_keys=("abc",))


def test_rows_that_a_purge_deleted_are_no_difference(pairs: Callable[..., Pair]) -> None:
    pair = pairs("numbers")
    pair.damage(
        "INSERT INTO {t} (id, name, _chista_version) VALUES (700000, 'purged', 7), (700001, 'gone', 7)"
    )
    frozen = services.token()
    assert pair.manifests.freeze(frozen, None, KeyRange("700000", "700001"))
    settle(pair.manifests, "a batch", pair.manifests.page(frozen, -1, 10), {"700000": DELETED})
    for options in (
        {"mode": Mode.DIGEST, "part_rows": 100},
        {"row_keys": ("700000", "700001")},
        {"keys": EVERY_KEY},
    ):
        with pytest.raises(
            FatalError, match=r"0 missing from the archive, 1 only in the archive.*key 700001 is extra"
        ):
            pair.check(**options)
    pair.damage("INSERT INTO {t} (id, name, _chista_version, _chista_deleted) VALUES (700001, '', 9, 1)")
    assert pair.check(mode=Mode.DIGEST, part_rows=100).rows == ROWS
    assert pair.verify(part_rows=100).rows == ROWS


def test_a_key_of_texts_has_no_range(pairs: Callable[..., Pair]) -> None:
    pair = pairs("texts")
    with pytest.raises(FatalError, match=r"keys of .* cannot be given as a range: code"):
        pair.check(keys=KeyRange("6:a00000", None))
    assert pair.check(row_keys=("6:a00000",)).rows == 1


def test_the_index_finds_a_range(pairs: Callable[..., Pair]) -> None:
    pair = pairs("composite")
    keys = pair.row_keys()
    statement, values = pair.source.dialect.hashes(pair.manifests.table, None, KeyRange(keys[10], keys[20]))
    plan = str(pair.source._read(f"EXPLAIN {statement}", values))
    assert "range" in plan or "Index Scan" in plan or "Bitmap" in plan, plan
