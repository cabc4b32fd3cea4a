"""The part that all operators share: connections, the stop signal, and who writes to the ledger."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator, Context

from airflow_provider_chista.lineage import Traced
from airflow_provider_chista.links import Linked, OfWindow, QueryLink, ledger_query
from airflow_provider_chista.model import TableId

if TYPE_CHECKING:
    from airflow_provider_chista.archive.ledger import Author
    from airflow_provider_chista.hooks.services import Connections


def author(context: Context) -> Author:
    """The running try, for the ledger, with the param ``reason`` where the run has one."""
    from airflow_provider_chista.archive.ledger import Author

    ti, params = context["ti"], context.get("params") or {}
    return Author(ti.dag_id, ti.run_id, ti.task_id, ti.try_number, str(params.get("reason") or ""))


def task_name(context: Context) -> str:
    """The task instance, whichever try it is, for leases and dead letters."""
    ti = context["ti"]
    mapped = f" [{ti.map_index}]" if ti.map_index is not None and ti.map_index >= 0 else ""
    return f"{ti.dag_id}.{ti.task_id}{mapped} {ti.run_id}"


class ArchiveOperator(Linked, BaseOperator):
    """Base of the provider's operators.

    :param source_conn_id: Airflow connection of the source, as the verify user.
    :param purge_conn_id: the source as the purge user; only needed by stages that delete.
    :param kafka_conn_id: Airflow connection of Kafka.
    :param kafka_connect_conn_id: Airflow connection of Kafka Connect.
    :param clickhouse_conn_id: Airflow connection of ClickHouse.
    :param schema_registry_conn_id: Airflow connection of the schema registry, where the connector writes Avro; None: it
        writes JSON. The same for every task of a connector.
    """

    operator_extra_links: Any = ()
    ui_color = "#f3e9d8"

    def __init__(
        self,
        *,
        source_conn_id: str,
        purge_conn_id: str | None = None,
        kafka_conn_id: str = "kafka_default",
        kafka_connect_conn_id: str = "kafka_connect_default",
        clickhouse_conn_id: str = "clickhouse_default",
        schema_registry_conn_id: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.source_conn_id = source_conn_id
        self.purge_conn_id = purge_conn_id
        self.kafka_conn_id = kafka_conn_id
        self.kafka_connect_conn_id = kafka_connect_conn_id
        self.clickhouse_conn_id = clickhouse_conn_id
        self.schema_registry_conn_id = schema_registry_conn_id
        self._stop = threading.Event()

    @property
    def connections(self) -> Connections:
        """The connection ids."""
        from airflow_provider_chista.hooks.services import Connections

        return Connections(
            self.source_conn_id,
            self.purge_conn_id,
            self.kafka_conn_id,
            self.kafka_connect_conn_id,
            self.clickhouse_conn_id,
            self.schema_registry_conn_id,
        )

    def on_kill(self) -> None:
        """Ask the running stage to end; it looks between micro-batches and transactions."""
        self._stop.set()


class TableOperator(Traced, ArchiveOperator):
    """Base of the operators that work on one table.

    :param table: source table, ``schema.table`` (MySQL and MariaDB: ``database.table``).
    :param target: archive table in ClickHouse, ``database.table``.
    """

    operator_extra_links: Any = (QueryLink(),)
    template_fields: Sequence[str] = ("table", "target", "source_conn_id", "purge_conn_id")

    def __init__(self, *, table: str, target: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.table = table
        self.target = target

    @property
    def ids(self) -> tuple[TableId, TableId]:
        """Source table and archive table."""
        return TableId.parse(self.table), TableId.parse(self.target)

    def query_sql(self, context: Context) -> str:
        """The query that the task's link leads to: the ledger of the archive table."""
        return ledger_query(self.ids[1], None)


class WindowOperator(OfWindow, TableOperator):
    """Base of the operators that work on the run's window of one table.

    The window is, in this order: ``window_start`` and ``window_end`` here, the params of the same names (the trigger
    form), the run's data interval. A table without a time column is taken whole.

    :param time_column: a date, or a text that holds ISO-8601 dates.
    :param window_start: first day of the window, ISO-8601 UTC.
    :param window_end: its end, exclusive.
    """

    template_fields: Sequence[str] = (
        *TableOperator.template_fields, "time_column", "window_start", "window_end",
    )  # fmt: skip

    def __init__(
        self,
        *,
        time_column: str | None = None,
        window_start: str | None = None,
        window_end: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.time_column = time_column
        self.window_start = window_start
        self.window_end = window_end
