"""The manifest of a proof: the frozen list of (row key, row hash, version) that ClickHouse held when it was verified.

It is the positive list that a purge works on, and what remains as evidence; a restore works on a list of its own. ClickHouse
writes it by itself, in one statement over ``FINAL`` for each part, so that the hashes are those of what it stored.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from airflow_provider_chista.archive.archived import HASH, KEY, VERSION, Archived
from airflow_provider_chista.archive.positions import LAST_REPAIR
from airflow_provider_chista.clickhouse import rowhash
from airflow_provider_chista.clickhouse.errors import translated
from airflow_provider_chista.clickhouse.load import text_file
from airflow_provider_chista.errors import FatalError
from airflow_provider_chista.keyrange import EVERY_KEY, KeyRange
from airflow_provider_chista.model import Window

_PART = 2**40
"""Positions of a part begin at a multiple of this; no part has as many rows."""


@dataclass(frozen=True, slots=True)
class Row:
    """One manifest entry."""

    position: int
    row_key: str
    row_hash: str
    version: int


@dataclass(frozen=True, slots=True)
class Manifests(Archived):
    """Manifests of one archive table. A manifest is a list of parts, each of the keys of one range, in key order."""

    def freeze(
        self,
        verify_id: str,
        window: Window | None,
        keys: KeyRange = EVERY_KEY,
        part: int = 0,
        *,
        purged: bool = False,
    ) -> int:
        """Write a part of the manifest, of the rows visible now, in key order; return their number.

        Rows that a purge has deleted at the source are left out: the source cannot have them any more. A key that the
        application inserted again has a newer version and is in.

        :param part: number of the part, in the order of the keys.
        :param purged: True takes purged rows in too.
        """
        selected = self.selected(window, keys, purged=purged)
        statement = (
            f"INSERT INTO {self.control.name('manifest')} (verify_id, position, row_key, row_hash, version)"
            f" SELECT {{verify_id:String}}, {part * _PART} + rowNumberInAllBlocks(), {KEY}, {HASH}, {VERSION} FROM ("
            f"{selected.statement} ORDER BY {self._order}) SETTINGS max_insert_threads = 1, insert_deduplicate = 0"
        )
        parameters = {"verify_id": verify_id, **selected.parameters}
        self.control.execute(statement, parameters, f"freezing the manifest of {self.target}")
        found = self.control.rows(
            f"SELECT count() AS n, max(position) AS last FROM {self.control.name('manifest')}"
            f" WHERE verify_id = {{verify_id:String}} AND {_of_part(part)}",
            {"verify_id": verify_id},
        )[0]
        if found["n"] and found["n"] != found["last"] - part * _PART + 1:
            raise FatalError(
                f"the manifest of {self.target} has {found['n']} rows in {found['last'] - part * _PART + 1} places: another "
                f"process wrote to {verify_id}, or removed from it; verify again"
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

    def stream(self, verify_id: str, part: int = 0) -> Iterator[list[tuple[str, str]]]:
        """(row key, row hash) of a part in key order, in blocks."""
        with translated(f"reading the manifest of {self.target}"):
            blocks = self.control.client.query_row_block_stream(
                f"SELECT row_key, row_hash FROM {self.control.name('manifest')}"
                f" WHERE verify_id = {{verify_id:String}} AND {_of_part(part)} ORDER BY verify_id, position",
                parameters={"verify_id": verify_id},
                settings={"optimize_read_in_order": 1},
            )
            with blocks:
                for block in blocks:
                    yield list(block)

    def block_digests(self, verify_id: str, part: int, rows: int) -> list[tuple[int, str]]:
        """As :func:`airflow_provider_chista.archive.compare.block_digests`, of a part in blocks of ``rows`` rows."""
        found = self.control.rows(
            f"SELECT intDiv(place, {rows}) AS block, count() AS n, lower(hex(SHA256(arrayStringConcat(arrayMap(line ->"
            " line.2, arraySort(line -> line.1, groupArray((place, concat(row_hash, row_key, '\\n'))))))))) AS digest"
            f" FROM (SELECT position - {part * _PART} AS place, row_hash, row_key FROM {self.control.name('manifest')}"
            f" WHERE verify_id = {{verify_id:String}} AND {_of_part(part)}) GROUP BY block ORDER BY block",
            {"verify_id": verify_id},
        )
        return [(row["n"], row["digest"]) for row in found]

    def drop_part(self, verify_id: str, part: int) -> None:
        """Remove a part, so that it can be frozen again."""
        self.control.execute(
            f"DELETE FROM {self.control.name('manifest')} WHERE verify_id = {{verify_id:String}} AND {_of_part(part)}",
            {"verify_id": verify_id},
            "removing a part of a manifest",
        )

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
        while page := self.page(verify_id, after, limit):
            settled = self.control.rows(
                f"SELECT row_key FROM {self.control.name('purged')} WHERE target = {{target:String}}"
                " AND batch_id = {batch_id:String} AND row_key IN (SELECT k FROM wanted)",
                {"target": str(self.target), "batch_id": batch_id},
                text_file("wanted", "k", [row.row_key for row in page]),
            )
            keys = {row["row_key"] for row in settled}
            if rows := [row for row in page if row.row_key not in keys]:
                return rows
            after = page[-1].position
        return []

    def page(self, verify_id: str, after: int, limit: int) -> list[Row]:
        """The next entries behind position ``after`` (-1: the first)."""
        rows = self.control.rows(
            f"SELECT position, row_key, row_hash, version FROM {self.control.name('manifest')}"
            " WHERE verify_id = {verify_id:String} AND position > {after:Int64}"
            " ORDER BY verify_id, position LIMIT {limit:UInt32}",
            {"verify_id": verify_id, "after": after, "limit": limit},
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

    def drop(self, verify_ids: Sequence[str]) -> None:
        """Remove manifests that no purge refers to."""
        if verify_ids:
            self.control.execute(
                f"DELETE FROM {self.control.name('manifest')} WHERE verify_id IN {{ids:Array(String)}}",
                {"ids": list(verify_ids)},
                "removing superseded manifests",
            )


def _of_part(part: int) -> str:
    return f"position >= {part * _PART} AND position < {(part + 1) * _PART}"
