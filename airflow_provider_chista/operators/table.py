"""Operator: create or extend archive tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airflow.sdk import Context

from airflow_provider_chista.hooks.errors import airflow_errors
from airflow_provider_chista.model import TableId
from airflow_provider_chista.operators.base import ArchiveOperator


class CreateArchiveTableOperator(ArchiveOperator):
    """Creates archive tables from the source's catalogue, with their ``<table>_current`` views.

    A table that exists is compared: columns that the source has gained are added, types that became wider there become wider
    here, anything else that does not fit is refused with the differences. Returns what was done per archive table. Other
    parameters: :class:`ArchiveOperator`.

    :param tables: source table to archive table.
    :param exclude: columns to leave out, by source table; such a table is never purged.
    :param column_types: ClickHouse types other than the default, by source table and column: a type that holds the column
        exactly, or ``{"type": ..., "provable": False}``, which keeps the table from being purged.
    :param cluster: create and alter ``ON CLUSTER``; empty: on the connected server; None: as the connection says.
    :param replicated: whether new tables are ``ReplicatedReplacingMergeTree``; None: as the connection says.
    """

    template_fields: Sequence[str] = ("tables", "exclude", "column_types", "source_conn_id")

    def __init__(
        self,
        *,
        tables: dict[str, str],
        exclude: dict[str, list[str]] | None = None,
        column_types: dict[str, dict[str, Any]] | None = None,
        cluster: str | None = None,
        replicated: bool | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.tables = tables
        self.exclude = exclude
        self.column_types = column_types
        self.cluster = cluster
        self.replicated = replicated

    def execute(self, context: Context) -> dict[str, str]:
        """Create, extend, or find the tables as they should be."""
        from airflow_provider_chista.archive.create import create
        from airflow_provider_chista.clickhouse.choices import Choices
        from airflow_provider_chista.clickhouse.cluster import Placement

        done = {}
        with airflow_errors(), self.connections.opened() as services:
            given = services.control.placement
            placement = Placement(
                given.cluster if self.cluster is None else self.cluster,
                given.replicated if self.replicated is None else self.replicated,
            )
            for name, target in self.tables.items():
                change = create(
                    services.source,
                    services.control.client,
                    services.types,
                    TableId.parse(name),
                    TableId.parse(target),
                    Choices.parse((self.exclude or {}).get(name), (self.column_types or {}).get(name)),
                    self.log.info,
                    placement,
                )
                done[target] = str(change)
                self.log.info("%s for %s: %s", target, name, done[target])
        return done
