"""A table with every provable type of its engine: archived, proven, purged, sealed, restored in part, and proven and purged
once more, with kills at every stage. The record is that of the fuzz tests: the values that their application wrote.
"""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from tests.chaos.test_random import SEED
from tests.integration.chaos.victim import FATAL, WHOLE, Victims, perform, victims
from tests.integration.fuzz.conftest import Store, store
from tests.integration.fuzz.table import Application, Fuzz, archived
from tests.integration.fuzz.test_fuzz import alike
from tests.integration.support.nursery import KILLED
from tests.integration.types.cases import shown

__all__ = ["store"]

ROWS = 200
"""Of the snapshot; the stream brings as many."""

KILLS = 4
"""Of each stage."""

CHANGED = 20


def write(application: Application) -> None:
    with application.session() as cursor:
        application.insert(range(ROWS), cursor)


def follow(application: Application) -> None:
    with application.session() as cursor:
        application.insert(range(ROWS, 2 * ROWS), cursor)


def change(made: Fuzz, row_ids: list[int]) -> None:
    """Rows that are proven and not purged yet get other values in half of their columns."""
    application = made.application
    with application.session() as cursor:
        for row_id in row_ids:
            places = application.random.sample(range(len(made.columns)), len(made.columns) // 2)
            application.update(
                row_id,
                {place: made.columns[place].value(application.random, False) for place in places},
                cursor,
            )


def require_nothing_lost(made: Fuzz) -> None:
    source, archive = made.source_hashes(), made.archive_hashes()
    lost = [
        key
        for key, row_hash in made.expected_hashes().items()
        if row_hash not in (source.get(key), archive.get(key))
    ]
    assert made.texts(list(map(int, lost[:5]))) == []
    assert lost == []


def require_exact(made: Fuzz) -> None:
    """Every value, as a reader of the archive sees it."""
    for place, found in made.stored():
        column = made.columns[place]
        assert found.keys() == made.rows.keys()
        wrong = [i for i, row in made.rows.items() if not alike(found[i], shown(column.kind, row[place]))]
        assert wrong == [], column.ddl


def killed(made: Fuzz, forks: Victims, random: Random, stage: str, row_keys: tuple[str, ...] = ()) -> None:
    """The stage, after as many of it were killed somewhere."""
    for _ in range(KILLS):
        system = random.choice(("clickhouse", "source"))
        code = forks(stage, WHOLE, row_keys=row_keys, kills={system: forks.kill(stage, system, random)})
        assert code != FATAL, forks.failures
        if code == KILLED:
            require_nothing_lost(made)
    perform(made.archive, stage, WHOLE, row_keys)
    require_nothing_lost(made)


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("flavour", ["postgres", "mysql", "mariadb"])
def test_every_provable_type_goes_the_whole_way_and_back_with_kills(
    store: Store, tmp_path: Path, flavour: str
) -> None:
    random = Random(f"{SEED} {flavour}")
    with archived(flavour, store, random, write, follow) as made, victims(made.archive, tmp_path) as forks:
        chosen = random.sample(sorted(made.rows), CHANGED + len(made.rows) // 10)
        changed, restored = chosen[:CHANGED], tuple(map(str, chosen[CHANGED:]))
        killed(made, forks, random, "verify")
        killed(made, forks, random, "approve")
        change(made, changed)
        killed(made, forks, random, "purge")
        assert set(made.source_hashes()) == set(map(str, changed))
        killed(made, forks, random, "drain")
        require_exact(made)
        killed(made, forks, random, "seal")
        killed(made, forks, random, "restore", restored)
        assert set(made.source_hashes()) == {*restored, *map(str, changed)}
        killed(made, forks, random, "drain")
        for stage in ("verify", "approve", "purge", "drain", "seal"):
            killed(made, forks, random, stage)
        assert made.source_hashes() == {}
        require_exact(made)
