"""What an outsider sees of a table of copies: the source by SQL, the archive by its view, against what was written.

Values are compared, not hashes; nothing that the provider wrote is read but the view.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

from tests.chaos.copies import BASE, DAYS, PERIOD, Copies
from tests.chaos.worker import Worker
from tests.integration.chaos.application import YOUNG
from tests.integration.fuzz.table import as_read
from tests.integration.fuzz.test_fuzz import alike
from tests.integration.support.archives import Archive
from tests.integration.types.cases import shown

_READ_AT_ONCE = 12
"""Columns of a query."""

_TOLD = 5


@dataclass
class Witness:
    archive: Archive
    copies: Copies
    worker: Worker

    @property
    def view(self) -> str:
        return f"{self.archive.database}.{self.archive.name}_current"

    @property
    def touched(self) -> str:
        return f"{self.archive.database}.touched"

    def in_archive(self) -> set[int]:
        """Ids that the view shows."""
        return {row_id for (row_id,) in self.archive.client.query(f"SELECT id FROM {self.view}").result_rows}

    def require_nothing_lost(self) -> tuple[int, int]:
        """Promise 1, at this moment, by ids, and by the values of the rows that the application has changed.

        Gives the number of rows at the source, and of those that only the archive has.
        """
        with self.worker.paused():
            source, archive, record = self.copies.ids(), self.in_archive(), self.worker.ids
            away = record - source
            _require_none("are nowhere", away - archive)
            _require_none("are at the source, and nobody wrote them", source - record)
            _require_none("were purged before their time", [i for i in away if self.worker.on(i) == YOUNG])
            self._require_unaltered(self.copies.altered_since())
            self._require_touched(away & self.worker.touched.keys())
        return len(source), len(away)

    def require_exact(self) -> None:
        """Everything is drained: source and archive have every value that was written, and the archive has every row."""
        self.require_nothing_lost()
        self._require_unaltered(self.copies.altered())
        archive, record = self.in_archive(), self.worker.ids
        _require_none("are missing from the archive", record - archive)
        _require_none("are in the archive, and were deleted", archive - record)
        self._require_touched(self.worker.touched)
        self._require_copies()

    def _require_unaltered(self, altered: list[int]) -> None:
        told = {i: self.copies.told(i, i not in self.worker.touched) for i in altered[:_TOLD]}
        assert not altered, f"{len(altered)} rows are at the source as nobody wrote them: {told}"

    def _require_touched(self, ids: Collection[int]) -> None:
        """The view shows these rows as the application wrote them last."""
        if not ids:
            return
        self._select(ids)
        for places in self._places():
            found = self.archive.client.query(
                f"SELECT id, {self._read(places)} FROM {self.view} WHERE id IN (SELECT id FROM {self.touched})"
            ).result_rows
            assert {row_id for row_id, *_ in found} == set(ids)
            for row_id, *values in found:
                self._require_alike(row_id, self.worker.touched[row_id], places, values)

    def _require_copies(self) -> None:
        """Copies that nobody has changed: alike among themselves, to the bit, and as Python wrote their base."""
        self._select(self.worker.touched)
        untouched = self.worker.ids - self.worker.touched.keys()
        others = f"FROM {self.view} WHERE id NOT IN (SELECT id FROM {self.touched})"
        day_place = len(self.copies.columns) - 1
        for places in self._places():
            grouped = ", ".join(f"v{place}" for place in places if place != day_place)
            read = self._read([place for place in places if place != day_place])
            if not read:
                continue
            found = self.archive.client.query(
                f"SELECT id % {BASE} AS base, {read}, count(), min(id) {others} GROUP BY base, {grouped}"
            ).result_rows
            assert sum(row[-2] for row in found) == len(untouched)
            for base, *values, _, example in found:
                self._require_alike(example, self.copies.base[base], places, values)
        days = self.archive.client.query(
            f"SELECT intDiv(id, {BASE}) % {PERIOD} AS place, toString(c{day_place}) AS on_day, count()"
            f" {others} GROUP BY place, on_day"
        ).result_rows
        assert {(place, on_day[:10]) for place, on_day, _ in days} <= {
            (place, str(on_day)) for place, on_day in enumerate(DAYS)
        }
        assert sum(rows for _, _, rows in days) == len(untouched)

    def _require_alike(self, row_id: int, row: list[Any], places: range, values: list[Any]) -> None:
        for place, found in zip(places, values, strict=False):
            column = self.copies.columns[place]
            expected = shown(column.kind, row[place])
            assert alike(found, expected), (
                f"row {row_id}, c{place} {column.ddl}: {found!r} in the archive, {expected!r} was written"
            )

    def _places(self) -> Iterator[range]:
        every = len(self.copies.columns)
        return (range(first, min(first + _READ_AT_ONCE, every)) for first in range(0, every, _READ_AT_ONCE))

    def _read(self, places: Collection[int]) -> str:
        return ", ".join(
            f"{as_read(self.copies.columns[place].kind, f'c{place}')} AS v{place}" for place in places
        )

    def _select(self, ids: Collection[int]) -> None:
        """Put ids into a table that queries can ask."""
        client = self.archive.client
        client.command(f"CREATE OR REPLACE TABLE {self.touched} (id Int32) ENGINE = Memory")
        if ids:
            client.insert(self.touched, [[row_id] for row_id in ids], column_names=["id"])


def _require_none(what: str, ids: Collection[int]) -> None:
    assert not ids, f"{len(ids)} rows {what}, such as {sorted(ids)[:_TOLD]}"
