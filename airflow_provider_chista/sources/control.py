"""The control tables that the provider keeps at each source (``setup/*.sql``), and an engine's statements on them."""

from __future__ import annotations

from dataclasses import dataclass

CONTROL_SCHEMA = "chista"
CONTROL_TABLES = ("heartbeat", "marker", "signal", "purge_log")


@dataclass(frozen=True, slots=True)
class Marker:
    """A row of ``chista.marker``: the token of a barrier, the source position taken for it, and its changes since."""

    token: str
    position: str | None
    nudges: int


@dataclass(frozen=True, slots=True)
class ControlSql:
    """An engine's statements on the control tables; their parameters are those of the methods of the same name."""

    write_marker: str
    read_marker: str
    mark_position: str
    nudge: str
    delete_marker: str
    request_snapshot: str
    logged: str
    trim_log: str
