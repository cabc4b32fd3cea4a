"""What a source does with the control tables of the provider: purge log, marker, signal."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import ClassVar

from airflow_provider_chista.errors import FatalError
from airflow_provider_chista.model import TableId
from airflow_provider_chista.sources.control import ControlSql, Marker, signalled
from airflow_provider_chista.sources.dialect import Dialect
from airflow_provider_chista.sources.session import Session

_LOG_PAGE_ROWS = 5_000


class ControlTables(Session):
    """Reads and writes the tables of the schema ``chista``."""

    dialect: ClassVar[Dialect]
    control_sql: ClassVar[ControlSql]

    def logged(self, batch_id: str) -> Iterator[list[tuple[str, str]]]:
        """(row key, row hash) of the batch's deleted rows from the purge log, in the order of their deletion."""
        last = 0
        while page := self._read(self.control_sql.logged, (batch_id, last, _LOG_PAGE_ROWS)):
            last = page[-1][0]
            yield [(str(key), str(row_hash)) for _, key, row_hash in page]

    def trim_log(self, batch_id: str, limit: int = 10_000) -> int:
        """Remove at most ``limit`` rows of a settled batch from the purge log; return how many, 0 when none are left."""
        return self._write(self.control_sql.trim_log, (batch_id, limit))

    def write_marker(self, marker_id: str, token: str) -> None:
        """Write the marker in a transaction of its own; always an event in the stream, even when the token is the same."""
        self._write(self.control_sql.write_marker, (marker_id, token, token))

    def read_marker(self, marker_id: str) -> Marker | None:
        """The marker, or None."""
        found = self._read(self.control_sql.read_marker, (marker_id,))
        return Marker(*found[0]) if found else None

    def mark_position(self, marker_id: str, position: str) -> None:
        """Note the position taken for a marker, in a transaction of its own."""
        self._touch_marker(marker_id, self.control_sql.mark_position, (position, marker_id))

    def nudge(self, marker_id: str) -> None:
        """Change the marker once more, so that the connector's committed offset moves past what came before."""
        self._touch_marker(marker_id, self.control_sql.nudge, (marker_id,))

    def delete_marker(self, marker_id: str) -> None:
        """Remove a marker that has served; none may be there."""
        self._write(self.control_sql.delete_marker, (marker_id,))

    def request_snapshot(
        self, signal_id: str, tables: Sequence[TableId], condition: str | None = None
    ) -> None:
        """Ask the connector for an incremental snapshot of tables; the same ``signal_id`` twice asks once.

        :param condition: of the rows that are read, in the source's SQL (:meth:`Dialect.window_filter`); None: all of them.
        :raises FatalError: the connector cannot be told the name of a table; it takes each for a regular expression as well.
        """
        names = [self._signalled(table) for table in tables]
        request: dict[str, object] = {"type": "incremental", "data-collections": names}
        if condition is not None:
            request["additional-conditions"] = [
                {"data-collection": name, "filter": condition} for name in names
            ]
        data = json.dumps(request)
        self._write(self.control_sql.request_snapshot, (signal_id, "execute-snapshot", data))

    def _signalled(self, table: TableId) -> str:
        name = signalled(table, self.dialect.table(table) % ())
        if name is None:
            raise FatalError(
                f"{self.where}: a running connector cannot be asked for a snapshot of {table}, because of its name; register "
                "another connector, which has the table from its beginning"
            )
        return name

    def _touch_marker(self, marker_id: str, sql: str, values: Sequence[object]) -> None:
        if not self._write(sql, values):
            raise FatalError(f"{self.where}: chista.marker has no row {marker_id!r}; write the marker first")
