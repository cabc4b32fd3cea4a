"""What the state tables know of sealed batches: the ledger's digest, each purged row's key, hash and version, and a second
witness of them.

``purged`` is what an audit holds the archive against. It is believed as long as its hashes give the digest that the ledger
was sealed with; else the rows are taken from the batch's manifest and the purge log that the source wrote and the connector
captured, which the seal had found to say the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from airflow_provider_chista.archive import window as windows
from airflow_provider_chista.archive.ledger import Stage
from airflow_provider_chista.clickhouse import rowhash, sql
from airflow_provider_chista.clickhouse.control import Control
from airflow_provider_chista.clickhouse.errors import translated
from airflow_provider_chista.errors import FatalError
from airflow_provider_chista.model import TableId, Window

AT_ONCE = 10_000
"""Batches that one query names; their ids go into its URL, which is at most 1 MiB."""

_SETTINGS: dict[str, str | int] = {
    **sql.WIDE_SETTINGS,
    "join_algorithm": "grace_hash",
    "max_bytes_in_join": 512 * 1024 * 1024,
    "max_bytes_before_external_sort": 512 * 1024 * 1024,
    "max_bytes_before_external_group_by": 512 * 1024 * 1024,
}
"""Settings of queries over whole tables: what does not fit goes to ClickHouse's disk."""


@dataclass(frozen=True, slots=True)
class Digest:
    """A digest (:data:`airflow_provider_chista.clickhouse.rowhash.DIGEST`) as numbers, so that digests can be added up."""

    rows: int = 0
    first: int = 0
    second: int = 0

    @classmethod
    def parse(cls, text: str) -> Digest:
        """From its text; :class:`FatalError` when it is none."""
        rows, _, words = text.partition(":")
        try:
            return cls(int(rows), int(words[:16], 16), int(words[16:], 16))
        except ValueError as error:
            raise FatalError(f"{text!r} is no digest; was the ledger changed by hand?") from error

    def __add__(self, other: Digest) -> Digest:
        return Digest(
            self.rows + other.rows, (self.first + other.first) % 2**64, (self.second + other.second) % 2**64
        )

    def __str__(self) -> str:
        return f"{self.rows}:{self.first:016x}{self.second:016x}"


NOTHING = str(Digest())
"""The digest of no rows."""


@dataclass(frozen=True, slots=True)
class Batch:
    """A sealed purge batch, as the ledger has it.

    :param window: of its rows; None: the whole table.
    :param columns: names of the columns that its row hashes cover, and :param schema: their fingerprint; empty when the
        ledger lacks the proof's entry.
    """

    batch_id: str
    window: Window | None
    rows: int
    digest: str
    columns: tuple[str, ...]
    schema: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """The records of one archive table's purges.

    :param table: its source table, as the purge log names it.
    :param distrusted: ids of batches whose rows in ``purged`` are not believed.
    """

    control: Control
    table: TableId
    target: TableId
    distrusted: frozenset[str] = frozenset()

    def sealed(self, start: datetime | None = None, end: datetime | None = None) -> list[Batch]:
        """The sealed batches, oldest first.

        :param start: only those whose window reaches beyond it; :param end: and begins before it (None: no bound). A batch of
            the whole table is in every range.
        """
        rows = self.rows(
            "SELECT batch_id, window, rows, digest, columns, schema FROM"
            " (SELECT batch_id, min(at) AS since, argMin(window, at) AS window, argMin(rows, at) AS rows,"
            f" argMin(digest, at) AS digest, argMin(verify_id, at) AS verify_id FROM {self.control.name('ledger')}"
            " WHERE target = {target:String} AND stage = {sealed:String} GROUP BY batch_id) AS s LEFT JOIN"
            " (SELECT verify_id, argMax(JSONExtract(detail, 'columns', 'Array(String)'), at) AS columns,"
            " argMax(JSONExtractString(detail, 'schema'), at) AS schema"
            f" FROM {self.control.name('ledger')} WHERE target = {{target:String}} AND stage = {{verified:String}}"
            " GROUP BY verify_id) AS v USING (verify_id) ORDER BY since, batch_id",
            {"sealed": str(Stage.SEALED), "verified": str(Stage.VERIFIED)},
        )
        batches = [
            Batch(batch_id, windows.named(window), count, digest, tuple(columns), schema)
            for batch_id, window, count, digest, columns, schema in rows
        ]
        first, last = start or datetime.min.replace(tzinfo=UTC), end or datetime.max.replace(tzinfo=UTC)
        return [b for b in batches if b.window is None or (b.window.end > first and b.window.start < last)]

    def broken(self, batches: Sequence[Batch]) -> list[Batch]:
        """The batches whose rows in ``purged`` do not give the sealed digest any more."""
        found: dict[str, str] = {}
        for ids in chunks([batch.batch_id for batch in batches]):
            statement = f"SELECT batch_id, {rowhash.DIGEST} FROM ({self.recorded}) GROUP BY batch_id"
            found |= {row[0]: row[1] for row in self.rows(statement, {"batches": ids})}
        return [batch for batch in batches if found.get(batch.batch_id, NOTHING) != batch.digest]

    def altered(self, batches: Sequence[Batch], limit: int) -> tuple[int, list[str]]:
        """Rows that ``purged`` and the second witness do not both have alike: how many, and the keys of the first ones."""
        total, keys = 0, list[str]()
        for ids in chunks([batch.batch_id for batch in batches]):
            rows = self.rows(
                f"SELECT row_key, count() OVER () AS n FROM ({self.recorded} UNION ALL {self.rebuilt()})"
                " GROUP BY batch_id, row_key HAVING count() != 2 OR uniqExact(row_hash, version) != 1"
                " ORDER BY row_key LIMIT {limit:UInt32}",
                {"batches": ids, "limit": limit},
            )
            total += rows[0][1] if rows else 0
            keys += [row[0] for row in rows]
        return total, keys[:limit]

    @property
    def recorded(self) -> str:
        """SELECT of the rows that ``{batches:Array(String)}`` have deleted, by ``purged``."""
        return (
            f"SELECT batch_id, row_key, row_hash, version FROM {self.control.name('purged')} FINAL"
            " WHERE target = {target:String} AND batch_id IN {batches:Array(String)} AND state = 'deleted'"
        )

    def rebuilt(self, batches: str = "batches") -> str:
        """As :attr:`recorded`, by the batches' manifests and the captured purge log.

        :param batches: name of the parameter with the batches.
        """
        proofs = (
            f"SELECT DISTINCT batch_id, verify_id FROM {self.control.name('ledger')}"
            f" WHERE target = {{target:String}} AND stage = 'sealed' AND batch_id IN {{{batches}:Array(String)}}"
        )
        logged = (
            f"SELECT DISTINCT batch_id, row_key, row_hash FROM {self.control.name('purge_log')} FINAL"
            f" WHERE table_name = {{table:String}} AND batch_id IN {{{batches}:Array(String)}}"
        )
        return (
            "SELECT p.batch_id AS batch_id, m.row_key AS row_key, m.row_hash AS row_hash, m.version AS version"
            f" FROM {self.control.name('manifest')} AS m FINAL INNER JOIN ({proofs}) AS p ON p.verify_id = m.verify_id"
            f" INNER JOIN ({logged}) AS l"
            " ON l.batch_id = p.batch_id AND l.row_key = m.row_key AND l.row_hash = m.row_hash"
        )

    @property
    def versions(self) -> str:
        """SELECT of every purged key of the table, with the versions in which purges have deleted it."""
        purged = (
            f"SELECT row_key, version FROM {self.control.name('purged')} FINAL"
            " WHERE target = {target:String} AND state = 'deleted'"
        )
        if self.distrusted:
            purged += f" UNION ALL SELECT row_key, version FROM ({self.rebuilt('distrusted')})"
        return f"SELECT row_key, groupArray(version) AS versions FROM ({purged}) GROUP BY row_key"

    @property
    def deletes(self) -> str:
        """SELECT of the keys that the application has deleted, with the newest version of these deletes."""
        return (
            f"SELECT row_key, max(version) AS deleted FROM {self.control.name('deletes')} FINAL"
            " WHERE target = {target:String} AND state = 'applied' GROUP BY row_key"
        )

    def rows(self, statement: str, parameters: Mapping[str, Any]) -> Sequence[Sequence[Any]]:
        """Rows of a SELECT over the state tables and the archive."""
        with translated(f"auditing {self.target}"):
            return self.control.client.query(
                statement, parameters=self._bound(parameters), settings=_SETTINGS
            ).result_rows

    def stream(self, statement: str, parameters: Mapping[str, Any]) -> Iterator[list[Sequence[Any]]]:
        """As :meth:`rows`, block by block."""
        with translated(f"auditing {self.target}"):
            blocks = self.control.client.query_row_block_stream(
                statement, parameters=self._bound(parameters), settings=_SETTINGS
            )
            with blocks:
                for block in blocks:
                    yield list(block)

    def _bound(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        known = {"target": str(self.target), "table": str(self.table)}
        return {**known, "distrusted": sorted(self.distrusted)[:AT_ONCE], **parameters}


def chunks(ids: Sequence[str]) -> Iterator[list[str]]:
    """Lists of at most :data:`AT_ONCE`."""
    for start in range(0, len(ids), AT_ONCE):
        yield list(ids[start : start + AT_ONCE])
