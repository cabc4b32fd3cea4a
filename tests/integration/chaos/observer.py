"""What an outsider sees: the source by SQL, the archive by its view, both against the application's own record."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tests.integration.chaos.application import COLUMNS, YOUNG, Application, Key, Row
from tests.integration.support.archives import Archive

_SHOWN = 3


@dataclass
class Observer:
    """Compares values, not hashes, and uses nothing that the provider wrote but the view."""

    archive: Archive
    application: Application

    def in_source(self) -> dict[Key, Row]:
        application = self.application
        document = "doc::text" if application.engine.flavour == "postgres" else "doc"
        named = ", ".join(document if name == "doc" else name for name in COLUMNS)
        rows = application.engine.query(f"SELECT {named} FROM {application.table}")
        return _by_key([application.plain(row) for row in rows])

    def in_archive(self) -> dict[Key, Row]:
        """What the view shows. Bytes come as hexadecimal digits: the driver takes a String for a text."""
        named = ", ".join("hex(raw)" if name == "raw" else name for name in COLUMNS)
        view = f"{self.archive.database}.{self.archive.name}_current"
        rows = []
        for found in self.archive.client.query(f"SELECT {named} FROM {view}").result_rows:
            row: list[Any] = list(found)
            row[6] = None if row[6] is None else row[6].replace(tzinfo=None)
            row[7] = None if row[7] is None else bytes.fromhex(row[7])
            rows.append(self.application.plain(row))
        return _by_key(rows)

    def require_nothing_lost(self) -> None:
        """Promise 1, at this moment: every row that was committed and not deleted by the application is at the source, or
        visible in the archive, or both, with exactly its values; and no row at the source is another one.
        """
        with self.application.paused():
            source, archive = self.in_source(), self.in_archive()
            record = dict(self.application.record)
        lost = [key for key, row in record.items() if row not in (source.get(key), archive.get(key))]
        assert not lost, self._told("are nowhere as they were committed", lost, source, archive, record)
        altered = [key for key, row in source.items() if record.get(key) != row]
        assert not altered, self._told(
            "are at the source as nobody wrote them", altered, source, archive, record
        )
        purged = [key for key, row in record.items() if row[3] == YOUNG and key not in source]
        assert not purged, self._told("were purged before their time", purged, source, archive, record)

    def require_at_rest(self) -> None:
        """Everything is drained: the archive shows each row that was not deleted by the application, and no other."""
        self.require_nothing_lost()
        source, archive, record = self.in_source(), self.in_archive(), self.application.record
        wrong = [key for key in record.keys() | archive.keys() if record.get(key) != archive.get(key)]
        assert not wrong, self._told(
            "are not in the archive as they should be", wrong, source, archive, record
        )

    def require_settled(self) -> None:
        require_settled(self.archive)

    def purged(self) -> list[Key]:
        """Keys of the record that the source does not have."""
        return sorted(self.application.record.keys() - self.in_source().keys())

    def _told(self, what: str, keys: list[Key], *states: dict[Key, Row]) -> str:
        shown = "; ".join(
            f"{key}: " + ", ".join(
                f"{name} {state.get(key)}"
                for name, state in zip(("source", "archive", "record"), states, strict=True)
            )
            for key in keys[:_SHOWN]
        )  # fmt: skip
        return f"{len(keys)} rows {what}: {shown}"


def _by_key(rows: list[Row]) -> dict[Key, Row]:
    found = {(row[0], row[1]): row for row in rows}
    assert len(found) == len(rows)
    return found


def require_settled(archive: Archive) -> None:
    """Every purge is sealed: nothing waits, no log is left, and each purged row has its one entry and its one event."""
    control, of = archive.control, {"t": str(archive.target)}
    waiting = control.rows(
        f"SELECT count() AS n FROM {control.name('deletes')} FINAL"
        " WHERE target = {t:String} AND state = 'waiting'",
        of,
    )
    assert waiting == [{"n": 0}]
    left = f"SELECT count(*) FROM chista.purge_log WHERE table_name = '{archive.id}'"
    assert archive.engine.query(left) == [(0,)]
    deleted, sealed = (
        control.rows(statement, of)[0]["n"]
        for statement in (
            f"SELECT count() AS n FROM {control.name('purged')} FINAL"
            " WHERE target = {t:String} AND state = 'deleted'",
            f"SELECT sum(rows) AS n FROM {control.name('ledger')}"
            " WHERE target = {t:String} AND stage = 'sealed'",
        )
    )
    assert deleted == sealed
