"""The rows that an archive table shows: keys, hashes, versions and values, computed by ClickHouse over what it stored."""

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
from airflow_provider_chista.keyrange import EVERY_KEY, KeyRange, condition
from airflow_provider_chista.model import Table, TableId, Window

# ClickHouse prefers an alias to a column of the same name; the user's columns cannot have this prefix.
KEY, HASH, VERSION = "_chista_key", "_chista_hash", "_chista_row_version"


@dataclass(frozen=True, slots=True)
class Selected:
    """A SELECT of :data:`KEY`, :data:`HASH` and :data:`VERSION` of some rows, with its bound parameters."""

    statement: str
    parameters: dict[str, str]


@dataclass(frozen=True, slots=True)
class Archived:
    """Rows of one archive table."""

    control: Control
    types: TypeMap
    table: Table
    target: TableId

    def selected(
        self, window: Window | None, keys: KeyRange = EVERY_KEY, *, purged: bool = False
    ) -> Selected:
        """The visible rows of a window with keys in a range.

        Rows that a purge has deleted at the source are left out: the source cannot have them any more. A key that the
        application inserted again has a newer version and is in.

        :param purged: True takes purged rows in too.
        """
        # None that the statement does not name: the client then formats it with %, which names of tables may have.
        parameters = self._bounds(window)
        rows = f"FROM {sql.table(self.target)} AS {sql.ROW}"
        where = f"WHERE {self._where(window, keys, parameters)}"
        version = f"{sql.ROW}.{layout.VERSION}"
        if not purged and self._has_purged():
            parameters["target"] = str(self.target)
            # Only purged rows with a key among these rows: those of the whole table may be more than fit into memory.
            kept = (
                f" AND ({KEY}, {VERSION}) NOT IN (SELECT row_key, version FROM {self.control.name('purged')} FINAL WHERE"
                f" target = {{target:String}} AND state = 'deleted' AND row_key IN (SELECT {self._row_key} {rows} {where}))"
            )
        else:
            kept = ""
        return Selected(
            f"SELECT {self._row_key} AS {KEY}, {self._row_hash} AS {HASH}, {version} AS {VERSION}"
            f" {rows} FINAL {where}{kept}",
            parameters,
        )

    def _has_purged(self) -> bool:
        statement = f"SELECT 1 FROM {self.control.name('purged')} WHERE target = {{target:String}} LIMIT 1"
        return bool(self.control.rows(statement, {"target": str(self.target)}))

    def hashes(self, window: Window | None, keys: KeyRange = EVERY_KEY) -> Iterator[list[tuple[str, str]]]:
        """(row key, row hash) of those rows in key order, in blocks."""
        selected = self.selected(window, keys)
        with translated(f"reading row hashes of {self.target}"):
            blocks = self.control.client.query_row_block_stream(
                f"SELECT {KEY}, {HASH} FROM ({selected.statement} ORDER BY {self._order})",
                parameters=selected.parameters,
                settings=sql.WIDE_SETTINGS,
            )
            with blocks:
                for block in blocks:
                    yield list(block)

    def digest_of(self, window: Window | None, keys: KeyRange = EVERY_KEY) -> str:
        """Digest of the row hashes of those rows (``clickhouse/rowhash.py``)."""
        selected = self.selected(window, keys)
        with translated(f"computing a digest of {self.target}"):
            result = self.control.client.query(
                f"SELECT {rowhash.DIGEST} FROM (SELECT {HASH} AS row_hash FROM ({selected.statement}))",
                parameters=selected.parameters,
                settings=sql.WIDE_SETTINGS,
            )
        return str(result.result_rows[0][0])

    def bounds(self, window: Window | None, rows: int) -> list[str]:
        """Row keys, in key order, that cut the window's rows into parts of about ``rows`` rows each."""
        parameters: dict[str, Any] = self._bounds(window)
        where = self._where(window, EVERY_KEY, parameters)
        # Without FINAL: where the parts end does not matter, as long as every key has one.
        table = f"{sql.table(self.target)} AS {sql.ROW} WHERE {where}"
        if self.control.rows(f"SELECT count() AS n FROM {table}", parameters)[0]["n"] <= rows:
            return []
        found = self.control.rows(
            f"SELECT DISTINCT {KEY} FROM (SELECT {KEY}, rowNumberInAllBlocks() AS n FROM (SELECT {self._row_key} AS {KEY}"
            f" FROM {table} ORDER BY {self._order})) WHERE n > 0 AND n % {{rows:UInt64}} = 0 ORDER BY n",
            {**parameters, "rows": rows},
        )
        return [row[KEY] for row in found]

    def visible(self, row_keys: Sequence[str]) -> dict[str, tuple[str, int]]:
        """(row hash, version) of the visible rows among these keys."""
        return {
            key: (row_hash, version)
            for key, row_hash, version in self._of_keys(
                row_keys, f"{self._row_hash}, {sql.ROW}.{layout.VERSION}"
            )
        }

    def unpurged(self, row_keys: Sequence[str]) -> dict[str, str]:
        """Row hash of the visible rows among these keys, but for those that a purge has deleted at the source."""
        visible = self.visible(row_keys)
        purged = self.control.rows(
            f"SELECT row_key, version FROM {self.control.name('purged')} FINAL WHERE target = {{target:String}}"
            " AND state = 'deleted' AND row_key IN (SELECT k FROM wanted)",
            {"target": str(self.target)},
            text_file("wanted", "k", list(visible)),
        )
        gone = {(row["row_key"], row["version"]) for row in purged}
        return {key: row_hash for key, (row_hash, version) in visible.items() if (key, version) not in gone}

    def overtaken(self, row_keys: Sequence[str]) -> set[str]:
        """Those of the keys whose visible row is older than a delete of a purge that came back.

        The row had got the proven content once more while the drain was behind, so that its version is not the proven one. A
        repaired row was at the source when it was read there, whatever its version.
        """
        visible = self.visible(row_keys)
        deleted = self.control.rows(
            f"SELECT row_key, max(version) AS version FROM {self.control.name('deletes')} FINAL"
            " WHERE target = {target:String} AND state = 'purge' AND row_key IN (SELECT k FROM wanted) GROUP BY row_key",
            {"target": str(self.target)},
            text_file("wanted", "k", list(visible)),
        )
        ends = {row["row_key"]: row["version"] for row in deleted}
        return {
            key
            for key, (_, version) in visible.items()
            if version < ends.get(key, 0) and version & LAST_REPAIR == 0
        }

    def newest_versions(self, row_keys: Sequence[str]) -> dict[str, int]:
        """The highest version that the archive has of each of these keys, deleted rows included."""
        rows = self._of_keys(
            row_keys, f"max({sql.ROW}.{layout.VERSION})", final="", ending=f" GROUP BY {KEY}"
        )
        return {row[0]: row[1] for row in rows}

    def fields(self, row_keys: Sequence[str]) -> dict[str, tuple[str | None, ...]]:
        """Canonical field texts (None: NULL) of the visible rows among these keys, by row key."""
        return {row[0]: _values(row[1:]) for row in self._of_keys(row_keys, self._texts)}

    def held_as(self, row_keys: Sequence[str], hashes: Sequence[str]) -> dict[str, tuple[str | None, ...]]:
        """As :meth:`fields`, of any version that the table still holds, hidden ones included, with one of these hashes."""
        if not hashes:
            return {}
        wanted = ", ".join(map(sql.literal, hashes))
        rows = self._of_keys(row_keys, self._texts, final="", ending=f" AND {self._row_hash} IN ({wanted})")
        return {row[0]: _values(row[1:]) for row in rows}

    def count(self, window: Window | None) -> int:
        """Visible rows of the window in the archive, purged ones included."""
        parameters = self._bounds(window)
        where = self._where(window, EVERY_KEY, parameters)
        statement = f"SELECT count() AS n FROM {sql.table(self.target)} AS {sql.ROW} FINAL WHERE {where}"
        return int(self.control.rows(statement, parameters)[0]["n"])

    def _of_keys(
        self, row_keys: Sequence[str], selected: str, *, final: str = " FINAL", ending: str = ""
    ) -> Sequence[Sequence[Any]]:
        """Row key and ``selected`` of the archive's rows of these keys."""
        if not row_keys:
            return []
        with translated(f"reading {len(row_keys)} rows of {self.target}"):
            return query_with(
                self.control.client,
                f"SELECT {self._row_key} AS {KEY}, {selected} FROM {sql.table(self.target)} AS {sql.ROW}{final}"
                f" WHERE {sql.key_among(self.table.primary_key, 'wanted')}{ending}",
                self._keys(row_keys),
            )

    @property
    def _order(self) -> str:
        return rowhash.order_by(self.types, self.table, f"{sql.ROW}.")

    @property
    def _row_key(self) -> str:
        return rowhash.row_key(self.types, self.table, f"{sql.ROW}.")

    @property
    def _texts(self) -> str:
        return ", ".join(rowhash.field(self.types, column, f"{sql.ROW}.") for column in self.table.hashed)

    @property
    def _row_hash(self) -> str:
        return rowhash.row_hash(self.types, self.table, f"{sql.ROW}.")

    def _where(self, window: Window | None, keys: KeyRange, parameters: dict[str, Any]) -> str:
        """Condition of a window's rows with keys in a range; the range's values are added to the parameters."""
        terms = [self._predicate(window)] if window else []
        columns = self.table.key_columns

        def bound(index: int, value: object) -> str:
            name = f"bound{len(parameters)}"
            parameters[name] = str(value)
            stored = self.types.stored(columns[index])
            return stored.order.format(c=f"CAST({{{name}:String}} AS {stored.ddl})")

        def column(index: int) -> str:
            name = f"{sql.ROW}.{sql.identifier(columns[index].name)}"
            return self.types.stored(columns[index]).order.format(c=name)

        if within := condition(self.table, keys, column, bound):
            terms.append(within)
        return " AND ".join(terms) or "1"

    def _predicate(self, window: Window) -> str:
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

    def _keys(self, row_keys: Sequence[str]) -> ExternalData:
        kinds = self.table.key_kinds
        return key_file("wanted", self.types, self.table, [parse_key(kinds, key) for key in row_keys])


def _values(texts: Sequence[str]) -> tuple[str | None, ...]:
    """Canonical field texts, None for NULL."""
    return tuple(None if text == "~" else text for text in texts)
