"""A table at a source and an equal archive table, made without a connector, so that it can be damaged at will."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from clickhouse_connect.driver.client import Client

from airflow_provider_chista.archive.check import Check, CheckOptions, check
from airflow_provider_chista.archive.create import create
from airflow_provider_chista.archive.ledger import Author, Ledger
from airflow_provider_chista.archive.manifest import Manifests
from airflow_provider_chista.archive.purge import Purge
from airflow_provider_chista.archive.purgereport import PurgeOptions
from airflow_provider_chista.archive.verify import Proof, VerifyOptions, verify
from airflow_provider_chista.canonical import parse_key, sort_key
from airflow_provider_chista.clickhouse import sql
from airflow_provider_chista.clickhouse.choices import Choices
from airflow_provider_chista.clickhouse.control import Control
from airflow_provider_chista.clickhouse.types import probe
from airflow_provider_chista.model import TableId
from airflow_provider_chista.sources.base import Source
from tests.integration.support import services
from tests.integration.support.engines import Engine


def stored(value: Any) -> Any:
    """A value of a source's driver as ClickHouse's takes it: moments in UTC."""
    if isinstance(value, date):
        return datetime.combine(value, value.time() if isinstance(value, datetime) else time.min, UTC)
    return value


@dataclass
class Pair:
    """A table at the source and an equal one in ClickHouse.

    :param capture: what a catch-up does.
    """

    engine: Engine
    source: Source
    client: Client
    control: Control
    database: str
    table: TableId
    author: Author = field(default_factory=Author)
    caught_up: int = 0
    capture: Callable[[], None] = lambda: None
    stopped: Callable[[], bool] = lambda: False
    told: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        types = probe(self.client)
        self.target = TableId(
            f"{self.database}_{self.engine.flavour}", f"{self.table.name}_{services.token()}"
        )
        made = create(self.source, self.client, types, self.table, self.target, Choices())
        self.manifests = Manifests(self.control, types, made.table, self.target)
        self.ledger = Ledger(
            self.control, f"{self.engine.flavour}:{self.table}", self.target, None, self.author
        )
        columns = [column.name for column in made.table.columns]
        rows = [
            [*map(stored, row), 1]
            for row in self.engine.query(f"SELECT {', '.join(columns)} FROM {self.table}")
        ]
        self.client.insert(str(self.target), rows, column_names=[*columns, "_chista_version"])

    def damage(self, *statements: str) -> None:
        for statement in statements:
            self.client.command(statement.format(t=sql.table(self.target)))

    def _catch_up(self) -> None:
        self.caught_up += 1
        self.capture()

    def verify(self, **options: Any) -> Proof:
        return verify(
            self.source, self.manifests, self.ledger, None, catch_up=self._catch_up, stopped=self.stopped,
            options=VerifyOptions(**options), log=self.told.append,
        )  # fmt: skip

    def check(self, **options: Any) -> Check:
        return check(
            self.source, self.manifests, self.ledger, None, CheckOptions(**options), catch_up=self._catch_up,
            stopped=self.stopped, log=self.told.append,
        )  # fmt: skip

    def stages(self) -> list[str]:
        rows = self.control.rows(
            f"SELECT stage FROM {self.control.name('ledger')} WHERE target = {{target:String}} ORDER BY at",
            {"target": str(self.target)},
        )
        return [row["stage"] for row in rows]

    def row_keys(self) -> list[str]:
        keys = [key for chunk in self.source.hashes(self.manifests.table, None) for key, _ in chunk]
        kinds = self.manifests.table.key_kinds
        assert keys == sorted(keys, key=lambda key: sort_key(parse_key(kinds, key)))
        return keys

    def purging(self, source: Source, **options: Any) -> Purge:
        """A purge by the window's newest proof; ``source`` is the purge user's."""
        chosen = PurgeOptions(**{"retention": timedelta(0), "require_approval": False, **options})
        return Purge(source, self.source, self.manifests, self.ledger, chosen, told=self.told.append)
