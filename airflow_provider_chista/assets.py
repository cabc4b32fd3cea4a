"""Airflow assets of archive tables, and the events that stages give to them.

An asset's URI is ``clickhouse://CONNECTION/DATABASE/TABLE``: a Dag file is parsed without connections, so the id of the
Airflow connection stands where the host would. What else than the proof of a window happens to a table is an asset of its
own, the same with ``?event=`` behind it, so that a Dag scheduled by one is not started by the others.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any
from urllib.parse import quote

from airflow.sdk import Asset, BaseOperator, Context

from airflow_provider_chista.model import TableId, Window


class Event(StrEnum):
    """What happened to rows of an archive table."""

    VERIFIED = "verified"
    """They were proven equal: the archive has them."""
    CHECKED = "checked"
    """They were compared by a check, which is no proof."""
    PURGED = "purged"
    """They were deleted at the source."""
    SEALED = "sealed"
    """Their deletes came back and were matched, and the archive still has them."""
    RESTORED = "restored"
    """They were inserted at the source again."""


def archive_asset(
    target: str, event: str = Event.VERIFIED, clickhouse_conn_id: str = "clickhouse_default"
) -> Asset:
    """The asset of an archive table: as an outlet of the task that makes the event, and as the schedule of a Dag behind it.

    :param target: archive table, ``database.table``.
    :param event: ``verified``, ``purged``, ``sealed`` or ``restored``.
    :param clickhouse_conn_id: the Airflow connection that the archive's tasks have.
    :raises FatalError: ``target`` is no name of a table; :raises ValueError: there is no such event.
    """
    table, kind = TableId.parse(target), Event(event)
    parts = (quote(part, safe="") for part in (clickhouse_conn_id, table.schema, table.name))
    uri = f"clickhouse://{'/'.join(parts)}" + ("" if kind is Event.VERIFIED else f"?event={kind}")
    return Asset(name=uri, uri=uri)


def emit(
    context: Context,
    task: BaseOperator,
    event: Event,
    pair: tuple[TableId, TableId],
    window: Window | None,
    facts: Mapping[str, Any],
) -> None:
    """Give every asset among the task's outlets an event, which Airflow records when the task has succeeded.

    :param pair: source table and archive table; :param window: None for a whole table, or rows by their keys.
    :param facts: what else the event says, as JSON values.
    """
    start, end = window.days if window else (None, None)
    said = {
        "event": str(event),
        "source": str(pair[0]),
        "target": str(pair[1]),
        "time_column": window.column if window else None,
        "window_start": start,
        "window_end": end,
        **facts,
    }
    for outlet in task.outlets:
        if isinstance(outlet, Asset):
            context["outlet_events"][outlet].extra = dict(said)
