"""The manifest of a proof: the frozen list of (row key, row hash, version) that ClickHouse held when it was verified.

It is the positive list that a purge works on, and what remains as evidence; a restore works on a list of its own. ClickHouse
writes it by itself, in one statement over ``FINAL``, so that the hashes are those of what it stored.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from clickhouse_connect.driver.external import ExternalData

from airflow_provider_chista.archive.positions import LAST_REPAIR
from airflow_provider_chista.canonical import parse_key
from airflow_provider_chista.clickhouse import layout, rowhash, sql
from airflow_provider_chista.clickhouse.control import Control
from airflow_provider_chista.clickhouse.errors import translated
from airflow_provider_chista.clickhouse.load import key_file, query_with, text_file
from airflow_provider_chista.clickhouse.types import TypeMap
from airflow_provider_chista.errors import FatalError
from airflow_provider_chista.model import Table, TableId, Window

# ClickHouse prefers an alias to a column of the same name; the user's columns cannot have this prefix.
_KEY, _HASH, _VERSION = "_chista_key", "_chista_hash", "_chista_row_version"


@dataclass(frozen=True, slots=True)
class Row:
    """One manifest entry."""

    position: int
    row_key: str
    row_hash: str
    version: int


@dataclass(frozen=True, slots=True)
class Manifests:
    """Manifests of one archive table."""

    control: Control
    types: TypeMap
    table: Table
    target: TableId

    def freeze(self, verify_id: str, window: Window | None, *, purged: bool = False) -> int:
        """Write the manifest of the rows visible now, in key order; return their number.

        Rows that a purge has deleted at the source are left out: the source cannot have them any more. A key that the
        application inserted again has a newer version and is in.

        :param purged: True takes purged rows in too.
        """
        kept = (
            f" AND ({_KEY}, {_VERSION}) NOT IN (SELECT row_key, version FROM {self.control.name('purged')} FINAL"
            " WHERE target = {target:String} AND state = 'deleted')"
        )
        statement = (
            f"INSERT INTO {self.control.name('manifest')} (verify_id, position, row_key, row_hash, version)"
            f" SELECT {{verify_id:String}}, rowNumberInAllBlocks(), {_KEY}, {_HASH}, {_VERSION} FROM ("
            f"SELECT {self._row_key} AS {_KEY}, {self._row_hash} AS {_HASH}, {sql.ROW}.{layout.VERSION} AS {_VERSION}"
            f" FROM {sql.table(self.target)} AS {sql.ROW} FINAL WHERE {self._predicate(window)}{'' if purged else kept}"
            f" ORDER BY {rowhash.order_by(self.types, self.table, f'{sql.ROW}.')}"
            ") SETTINGS max_insert_threads = 1, insert_deduplicate = 0"
        )
        parameters = {"verify_id": verify_id, "target": str(self.target), **self._bounds(window)}
        self.control.execute(statement, parameters, f"freezing the manifest of {self.target}")
        found = self.control.rows(
            f"SELECT count() AS n, uniqExact(position) AS positions, uniqExact(row_key) AS keys"
            f" FROM {self.control.name('manifest')} WHERE verify_id = {{verify_id:String}}",
            parameters,
        )[0]
        if not found["n"] == found["positions"] == found["keys"]:
            raise FatalError(
                f"the manifest of {self.target} has {found['n']} rows but {found['positions']} positions and "
                f"{found['keys']} keys; the table's sorting key is not the primary key of {self.table.id}"
            )
        return int(found["n"])

    def write(self, verify_id: str, rows: Sequence[Row]) -> None:
        """Add entries to a manifest."""
        self.control.insert(
            "manifest",
            [
                {
                    "verify_id": verify_id,
                    "position": row.position,
                    "row_key": row.row_key,
                    "row_hash": row.row_hash,
                    "version": row.version,
                }
                for row in rows
            ],
        )

    def stream(self, verify_id: str) -> Iterator[list[tuple[str, str]]]:
        """(row key, row hash) of a manifest in key order, in blocks."""
        with translated(f"reading the manifest of {self.target}"):
            blocks = self.control.client.query_row_block_stream(
                f"SELECT row_key, row_hash FROM {self.control.name('manifest')}"
                " WHERE verify_id = {verify_id:String} ORDER BY verify_id, position",
                parameters={"verify_id": verify_id},
                settings={"optimize_read_in_order": 1},
            )
            with blocks:
                for block in blocks:
                    yield list(block)

    def strike_purged(self, verify_id: str) -> set[str]:
        """Take rows off a manifest that are known to be purged at the source; return their keys.

        Those that were purged since it was frozen; and those whose version is older than a delete of the purge that came
        back, whatever version was proven: the row had got the proven content once more while the drain was behind. A
        repaired row was at the source when it was read there, whatever its version.
        """
        purged = (
            f"((row_key, version) IN (SELECT row_key, version FROM {self.control.name('purged')} FINAL"
            " WHERE target = {target:String} AND state = 'deleted') OR (row_key, version) IN (SELECT m.row_key, m.version"
            f" FROM {self.control.name('manifest')} AS m INNER JOIN (SELECT row_key, max(version) AS deleted"
            f" FROM {self.control.name('deletes')} FINAL WHERE target = {{target:String}} AND state = 'purge'"
            " GROUP BY row_key) AS d ON d.row_key = m.row_key"
            f" WHERE m.verify_id = {{verify_id:String}} AND m.version < d.deleted AND bitAnd(m.version, {LAST_REPAIR}) = 0))"
        )
        parameters = {"verify_id": verify_id, "target": str(self.target)}
        struck = self.control.rows(
            f"SELECT row_key FROM {self.control.name('manifest')} WHERE verify_id = {{verify_id:String}} AND {purged}",
            parameters,
        )
        if struck:
            self.control.execute(
                f"DELETE FROM {self.control.name('manifest')} WHERE verify_id = {{verify_id:String}} AND {purged}",
                parameters,
                "striking purged rows off a manifest",
            )
        return {row["row_key"] for row in struck}

    def length(self, verify_id: str) -> int:
        """Rows of a manifest."""
        return self._entries(verify_id)

    def unhashed(self, verify_id: str) -> int:
        """Entries without a hash: rows whose values the archive does not know whole."""
        return self._entries(verify_id, " AND row_hash = ''")

    def _entries(self, verify_id: str, condition: str = "") -> int:
        statement = (
            f"SELECT count() AS n FROM {self.control.name('manifest')}"
            f" WHERE verify_id = {{verify_id:String}}{condition}"
        )
        return int(self.control.rows(statement, {"verify_id": verify_id})[0]["n"])

    def digest(self, verify_id: str) -> str:
        """Digest of a manifest: count and sums of its hashes."""
        return str(
            self.control.rows(
                f"SELECT {rowhash.DIGEST} AS digest FROM {self.control.name('manifest')}"
                " WHERE verify_id = {verify_id:String}",
                {"verify_id": verify_id},
            )[0]["digest"]
        )

    def unsettled(self, verify_id: str, batch_id: str, after: int, limit: int) -> list[Row]:
        """The next rows of a batch behind position ``after`` (-1: the first) that are neither deleted nor skipped yet."""
        settled = (
            f" AND row_key NOT IN (SELECT row_key FROM {self.control.name('purged')}"
            " WHERE target = {target:String} AND batch_id = {batch_id:String})"
        )
        batch = {"target": str(self.target), "batch_id": batch_id}
        return self._page(verify_id, after, limit, settled, batch)

    def page(self, verify_id: str, after: int, limit: int) -> list[Row]:
        """The next entries behind position ``after`` (-1: the first)."""
        return self._page(verify_id, after, limit, "", {})

    def _page(
        self, verify_id: str, after: int, limit: int, condition: str, parameters: dict[str, str]
    ) -> list[Row]:
        rows = self.control.rows(
            f"SELECT position, row_key, row_hash, version FROM {self.control.name('manifest')}"
            f" WHERE verify_id = {{verify_id:String}} AND position > {{after:Int64}}{condition}"
            " ORDER BY verify_id, position LIMIT {limit:UInt32}",
            {"verify_id": verify_id, "after": after, "limit": limit, **parameters},
        )
        return [Row(**row) for row in rows]

    def rows(self, verify_id: str, row_keys: Sequence[str]) -> list[Row]:
        """The entries of those keys."""
        rows = self.control.rows(
            f"SELECT position, row_key, row_hash, version FROM {self.control.name('manifest')}"
            " WHERE verify_id = {verify_id:String} AND row_key IN (SELECT k FROM wanted)",
            {"verify_id": verify_id},
            text_file("wanted", "k", row_keys),
        )
        return [Row(**row) for row in rows]

    def still_archived(self, rows: Sequence[Row]) -> set[str]:
        """Keys of those rows that the archive shows with the same hash and version at this moment."""
        keys = self.visible([row.row_key for row in rows])
        return {row.row_key for row in rows if keys.get(row.row_key) == (row.row_hash, row.version)}

    def visible(self, row_keys: Sequence[str]) -> dict[str, tuple[str, int]]:
        """(row hash, version) of the visible rows among these keys."""
        return {
            key: (row_hash, version)
            for key, row_hash, version in self._of_keys(
                row_keys, f"{self._row_hash}, {sql.ROW}.{layout.VERSION}"
            )
        }

    def newest_versions(self, row_keys: Sequence[str]) -> dict[str, int]:
        """The highest version that the archive has of each of these keys, deleted rows included."""
        rows = self._of_keys(
            row_keys, f"max({sql.ROW}.{layout.VERSION})", final="", ending=f" GROUP BY {_KEY}"
        )
        return {row[0]: row[1] for row in rows}

    def fields(self, row_keys: Sequence[str]) -> dict[str, tuple[str | None, ...]]:
        """Canonical field texts (None: NULL) of the visible rows among these keys, by row key."""
        texts = ", ".join(rowhash.field(self.types, column, f"{sql.ROW}.") for column in self.table.hashed)
        return {
            row[0]: tuple(None if text == "~" else text for text in row[1:])
            for row in self._of_keys(row_keys, texts)
        }

    def _of_keys(
        self, row_keys: Sequence[str], selected: str, *, final: str = " FINAL", ending: str = ""
    ) -> Sequence[Sequence[Any]]:
        """Row key and ``selected`` of the archive's rows of these keys."""
        if not row_keys:
            return []
        with translated(f"reading {len(row_keys)} rows of {self.target}"):
            return query_with(
                self.control.client,
                f"SELECT {self._row_key} AS {_KEY}, {selected} FROM {sql.table(self.target)} AS {sql.ROW}{final}"
                f" WHERE {self._among()}{ending}",
                self._keys(row_keys),
            )

    def drop(self, verify_ids: Sequence[str]) -> None:
        """Remove manifests that no purge refers to."""
        if verify_ids:
            self.control.execute(
                f"DELETE FROM {self.control.name('manifest')} WHERE verify_id IN {{ids:Array(String)}}",
                {"ids": list(verify_ids)},
                "removing superseded manifests",
            )

    def count(self, window: Window | None) -> int:
        """Visible rows of the window in the archive, purged ones included."""
        statement = f"SELECT count() AS n FROM {sql.table(self.target)} AS {sql.ROW} FINAL WHERE {self._predicate(window)}"
        return int(self.control.rows(statement, self._bounds(window))[0]["n"])

    @property
    def _row_key(self) -> str:
        return rowhash.row_key(self.types, self.table, f"{sql.ROW}.")

    @property
    def _row_hash(self) -> str:
        return rowhash.row_hash(self.types, self.table, f"{sql.ROW}.")

    def _predicate(self, window: Window | None) -> str:
        if window is None:
            return "1"
        column = self.table.column(window.column)
        template = self.types.stored(column).window
        if not template:
            raise FatalError(
                f"column {column.name} of {self.table.id} is {column.declared}; a time column must be a timestamp, a date, "
                "or a text that holds ISO-8601 dates"
            )
        return template.format(c=f"{sql.ROW}.{sql.identifier(column.name)}")

    def _bounds(self, window: Window | None) -> dict[str, str]:
        if window is None:
            return {}
        start, end = window.bounds(self.table.column(window.column).archived_as)
        return {"start": start, "end": end}

    def _among(self) -> str:
        return sql.key_among(self.table.primary_key, "wanted")

    def _keys(self, row_keys: Sequence[str]) -> ExternalData:
        kinds = self.table.key_kinds
        return key_file("wanted", self.types, self.table, [parse_key(kinds, key) for key in row_keys])
