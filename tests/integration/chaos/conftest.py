"""An archived table with an application; every test here needs the stack."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random

from tests.integration.archive.conftest import Store, store
from tests.integration.chaos.application import NAME, TABLES, YOUNG, Application, day
from tests.integration.chaos.observer import Observer
from tests.integration.chaos.victim import Victims, victims
from tests.integration.support.archives import Archive
from tests.integration.support.engines import connector

__all__ = ["Store", "store"]


@dataclass
class Scene:
    archive: Archive
    application: Application
    observer: Observer
    victims: Victims


@contextmanager
def scene(
    flavour: str, store: Store, folder: Path, random: Random, *, days: int, rows: int
) -> Iterator[Scene]:
    """The table, snapshotted and drained.

    :param days: of windows that are older than the retention; :param rows: of each of them, and of the young day.
    """
    with connector(flavour, TABLES[flavour], captured=[NAME]) as made:
        dates = [*map(day, range(days)), YOUNG]
        application = Application(made.engine, made.schema, random, dates)
        for on in dates:
            with application.transaction() as insert:
                for _ in range(rows):
                    assert insert.insert(application.new_key(), on)
        made.register()
        archive = Archive(made, store.client, store.control, f"{store.database}_{made.name}", NAME)
        try:
            archive.snapshot(120)
            archive.drain()
            with victims(archive, folder) as forks:
                yield Scene(archive, application, Observer(archive, application), forks)
        finally:
            application.close()
            archive.capture.source.close()
            archive.client.command(f"DROP DATABASE IF EXISTS {archive.database}")
