"""What lies open around an archive table, by value: dead letters, deletes in quarantine, rows that differ; and its space.

For people who look (``web/``); what a stage or an audit refuses by is in ``backlog.py`` and ``quarantine.py``. Each list has
the number of all and the first of them; long values are cut.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from airflow_provider_chista.archive.deadletters import told_error
from airflow_provider_chista.archive.mismatches import masked_sql
from airflow_provider_chista.archive.overview import Overview
from airflow_provider_chista.clickhouse.control import Control

SHOWN = 50
"""Lines of a list."""

_CUT = 300
"""Characters of a value that are shown."""

_COLUMNS = 30
"""Values of a row that are shown where every one of its columns is of interest."""

_PARTITIONS = 200


@dataclass(frozen=True, slots=True)
class OpenItems:
    """Open things of one archive table, ``database.table``, which the reader may see.

    :param masked: digests in the place of values and bytes, and no texts of dead letters' errors.
    """

    overview: Overview
    target: str
    masked: bool = False

    @property
    def _control(self) -> Control:
        return self.overview.control

    def letters(self) -> dict[str, Any]:
        """Open dead letters, oldest first: the record, why it could not be stored, and the beginning of its bytes."""
        error = told_error(self.masked)
        return self._list(
            f"SELECT topic, generation, partition, offset, error_class, left({error}, {{cut:UInt32}}) AS why,"
            f" task, recorded_at, {self._shown('key')} AS key_bytes, {self._shown('value')} AS value_bytes,"
            " length(value) AS size, count() OVER () AS n"
            f" FROM {self._control.name('dead_letters')} FINAL WHERE target = {{target:String}} AND state = 'open'"
            " ORDER BY recorded_at, partition, offset LIMIT {shown:UInt32}"
        )

    def quarantine(self) -> dict[str, Any]:
        """Deletes that wait for a decision, oldest first.

        Only records that were ever waiting are read with their newest version: decided ones are as many as purged rows.
        """
        deletes = self._control.name("deletes")
        return self._list(
            "SELECT row_key, topic, generation, partition, offset, transaction, source_time, recorded_at,"
            " count() OVER () AS n"
            f" FROM {deletes} FINAL WHERE target = {{target:String}} AND (topic, generation, partition, offset) IN"
            f" (SELECT topic, generation, partition, offset FROM {deletes}"
            " WHERE target = {target:String} AND state = 'waiting')"
            " AND state = 'waiting' ORDER BY recorded_at, partition, offset LIMIT {shown:UInt32}"
        )

    def mismatches(self) -> dict[str, Any]:
        """Rows that differed in the newest comparison of a window, while no proof followed, and what the newest audit found.

        ``fields`` are the columns with both values (or their digests, where they were masked): those that differ, or of a row
        that only one side has all; without names where nobody knows to which columns the values belong.
        """
        found = self._list(
            "SELECT l.window AS window, l.stage AS stage, l.dag_id AS dag_id, l.run_id AS run_id, l.at AS at,"
            " m.verify_id AS verify_id, m.row_key AS row_key, m.finding AS finding, m.columns AS columns,"
            f" arrayMap(v -> {self._shown('v')}, m.source_values) AS source_values,"
            f" arrayMap(v -> {self._shown('v')}, m.archive_values) AS archive_values,"
            " arrayMap(i -> ifNull(m.source_values[i] = m.archive_values[i], isNull(m.source_values[i]) !="
            " isNull(m.archive_values[i])) = isNull(m.source_values[i] = m.archive_values[i]),"
            " arrayEnumerate(m.source_values)) AS unequal, count() OVER () AS n"
            f" FROM {self._control.name('mismatches')} AS m FINAL"
            f" INNER JOIN ({self._refuted}) AS l ON l.verify_id = m.verify_id"
            " WHERE m.target = {target:String} ORDER BY at DESC, row_key LIMIT {shown:UInt32}"
        )
        names = self._columns() if found["rows"] else []
        for row in found["rows"]:
            row["fields"] = fields(row, names)
        return found

    def positions(self) -> list[dict[str, Any]]:
        """How far the drains of the table are, a line per partition of its topics; only the present position is recorded."""
        return self._rows(
            "SELECT topic, generation, partition, max(p.next_offset) AS next_offset, max(p.recorded_at) AS recorded_at"
            f" FROM {self._control.name('positions')} AS p WHERE target = {{target:String}}"
            " GROUP BY cluster, topic, generation, partition ORDER BY topic, generation DESC, partition LIMIT {most:UInt32}"
        )

    def drains(self, hours: int) -> list[dict[str, Any]]:
        """What drains of the table did in each of the last hours, in UTC; a drain is in the hour it was heard of last.

        ``drained``: offsets passed. ``waiting``: the most that a drain found before it, up to the ends it worked towards;
        ``left``: what the last one left of them; both over all partitions. ``fastest``: a drain's most offsets a second.
        """
        return self._rows(
            "SELECT hour, sum(done) AS drained, sum(waited) AS waiting, sum(remained) AS left, max(rate) AS fastest FROM"
            " (SELECT toStartOfHour(heard) AS hour, topic, partition, sum(moved) AS done,"
            " max(end_offset - first) AS waited, argMax(end_offset - next_offset, heard) AS remained,"
            " max(moved_by_owner / greatest(seconds, 0.001)) AS rate FROM"
            " (SELECT topic, partition, l.renewed_at AS heard, first, next_offset, end_offset, next_offset - first AS moved,"
            " sum(moved) OVER (PARTITION BY topic, owner) AS moved_by_owner,"
            " dateDiff('millisecond', l.acquired_at, heard) / 1000 AS seconds"
            f" FROM {self._control.name('leases')} AS l FINAL WHERE target = {{target:String}} AND end_offset > 0"
            " AND heard >= toStartOfHour(now('UTC')) - toIntervalHour({hours:UInt16} - 1))"
            " GROUP BY hour, topic, partition) GROUP BY hour ORDER BY hour LIMIT 1000",
            hours=hours,
        )

    def space(self) -> dict[str, Any]:
        """What the archive table takes up on the connected server: rows with all their versions, bytes, parts.

        ``versions`` counts stored rows, also those that a newer version hides.
        """
        rows = self._rows(
            "SELECT partition, sum(p.rows) AS versions, sum(bytes_on_disk) AS bytes, sum(data_uncompressed_bytes) AS raw,"
            " count() AS parts, max(modification_time) AS changed FROM system.parts AS p"
            " WHERE active AND concat(database, '.', table) = {target:String}"
            " GROUP BY partition ORDER BY bytes DESC LIMIT {most:UInt32}"
        )
        total = {name: sum(row[name] for row in rows) for name in ("versions", "bytes", "raw", "parts")}
        return {**total, "partitions": rows, "cut": len(rows) == _PARTITIONS}

    @property
    def _refuted(self) -> str:
        """SELECT of the comparisons whose differences are open: the newest of a window, and the newest audit."""
        return (
            "SELECT window, newest.1 AS verify_id, newest.2 AS stage, newest.3 AS dag_id, newest.4 AS run_id,"
            " newest.5 AS at FROM (SELECT window, argMax((e.verify_id, e.stage, e.dag_id, e.run_id, e.at), e.at) AS newest"
            f" FROM {self._control.name('ledger')} AS e WHERE e.target = {{target:String}} AND"
            " e.stage IN ('verified', 'mismatched', 'audited') GROUP BY window, e.stage = 'audited')"
            " WHERE newest.2 IN ('mismatched', 'audited') AND newest.3 IN {dags:Array(String)}"
        )

    def _shown(self, value: str) -> str:
        """SQL of a value, or of bytes, for people."""
        return masked_sql(value) if self.masked else f"toValidUTF8(left({value}, {{cut:UInt32}}))"

    def _columns(self) -> list[str]:
        """Names of the columns that row hashes covered in the newest proof of the table."""
        rows = self._rows(
            "SELECT argMax(JSONExtract(detail, 'columns', 'Array(String)'), at) AS columns"
            f" FROM {self._control.name('ledger')} WHERE target = {{target:String}} AND stage = 'verified'"
        )
        return list(rows[0]["columns"]) if rows else []

    def _list(self, statement: str) -> dict[str, Any]:
        rows = self._rows(statement)
        total = rows[0]["n"] if rows else 0
        return {
            "total": total,
            "rows": [{name: value for name, value in row.items() if name != "n"} for row in rows],
        }

    def _rows(self, statement: str, **more: int) -> list[dict[str, Any]]:
        parameters = {"target": self.target, "cut": _CUT, "shown": SHOWN, "most": _PARTITIONS, **more}
        if not self.overview.dags:
            return []
        return self._control.rows(statement, {**parameters, "dags": sorted(self.overview.dags)})


def fields(row: dict[str, Any], names: Sequence[str]) -> list[dict[str, Any]]:
    """Both sides' values by column, taken out of a row of ``mismatches``.

    :param names: columns as an earlier proof had them. They are believed when they fit the row: as many as its values, and
        where both sides have values, those that differ are those that the comparison named.
    """
    source, archive, unequal = (row.pop(name) for name in ("source_values", "archive_values", "unequal"))
    width = max(len(source), len(archive))
    both = bool(source) and bool(archive)
    changed = [number for number, differs in enumerate(unequal) if differs]
    known = len(names) == width and (not both or [names[number] for number in changed] == row["columns"])
    if both and not known and len(changed) == len(row["columns"]):
        # The comparison names the differing columns in the same order as it gives the values.
        labels = dict(zip(changed, row["columns"], strict=True))
    else:
        labels = dict(enumerate(names)) if known else {}
    shown = changed if both else list(range(width))[:_COLUMNS]
    return [
        {
            "column": labels.get(number, ""),
            "source": source[number] if source else None,
            "archive": archive[number] if archive else None,
        }
        for number in shown
    ]
