"""The control tables that the provider keeps at each source (``setup/*.sql``), and an engine's statements on them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from airflow_provider_chista.model import TableId

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


def signalled(table: TableId, quoted: str) -> str | None:
    """How a signal to a running connector names a table; None when none of its names would be understood.

    :param quoted: the name as the dialect quotes it.
    """
    if re.fullmatch(r"\w+\.\w+", str(table), re.ASCII):
        return str(table)
    # A connector that is restarted in the middle of the snapshot reads the name from its offset, without quotes.
    parsed_otherwise = re.search(r"[\s\"'`.]", table.schema + table.name)
    return None if parsed_otherwise or "{" in quoted or not _is_expression(quoted) else quoted


def _is_expression(text: str) -> bool:
    """Whether a text is a regular expression."""
    try:
        re.compile(text)
    except re.error:
        return False
    return True
