"""Creation of an archive table: from the source's catalogue, the user's choices, and the values that the source has."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from clickhouse_connect.driver.client import Client

from airflow_provider_chista.clickhouse import ddl
from airflow_provider_chista.clickhouse.choices import Choice, Choices
from airflow_provider_chista.clickhouse.cluster import HERE, Placement
from airflow_provider_chista.clickhouse.types import TypeMap
from airflow_provider_chista.model import TableId
from airflow_provider_chista.sources.base import Source


def create(
    source: Source,
    client: Client,
    types: TypeMap,
    table_id: TableId,
    target: TableId,
    choices: Choices,
    log: Callable[[str], None] = lambda text: None,
    placement: Placement = HERE,
) -> ddl.TableChange:
    """Create an archive table, or let it follow the source's columns.

    A new table holds dates and timestamps of the years 1 to 9999 as such. Where the source has others at this moment
    (PostgreSQL: BC, after 9999, infinite), the column becomes a String with the canonical text, and the log says so.

    :raises FatalError: see :func:`airflow_provider_chista.clickhouse.ddl.ensure_table`.
    """
    table = source.catalogue(table_id)
    if not ddl.exists(client, target):
        wide = (
            source.beyond_years(table.without(choices.exclude))
            - choices.types.keys()
            - set(table.primary_key)
        )
        for name in sorted(wide):
            log(
                f"column {name} of {table_id} has values outside of the years 1 to 9999, so {target} holds it as String"
            )
        choices = replace(choices, types={**choices.types, **{name: Choice("String") for name in wide}})
    return ddl.ensure_table(client, types, table, target, choices, placement)
