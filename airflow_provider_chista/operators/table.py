"""Operator: create or extend archive tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airflow.sdk import Context

from airflow_provider_chista.clickhouse.ddl import ensure_table
from airflow_provider_chista.hooks.errors import airflow_errors
from airflow_provider_chista.model import TableId
from airflow_provider_chista.operators.base import ArchiveOperator


class CreateArchiveTableOperator(ArchiveOperator):
    """Creates archive tables from the source's catalogue, with their ``<table>_current`` views.

    A table that exists is compared: columns that the source has gained are added, anything else that does not fit is
    refused with the differences. Returns what was done per archive table. Other parameters: :class:`ArchiveOperator`.

    :param tables: source table to archive table.
    """

    template_fields: Sequence[str] = ("tables", "source_conn_id")

    def __init__(self, *, tables: dict[str, str], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.tables = tables

    def execute(self, context: Context) -> dict[str, str]:
        """Create, extend, or find the tables as they should be."""
        done = {}
        with airflow_errors(), self.connections.opened() as services:
            for name, target in self.tables.items():
                table = services.source.catalogue(TableId.parse(name))
                change = ensure_table(services.control.client, services.types, table, TableId.parse(target))
                added = f"added {', '.join(change.added)}" if change.added else "fits already"
                done[target] = "created" if change.created else added
                self.log.info("%s for %s: %s", target, name, done[target])
        return done
