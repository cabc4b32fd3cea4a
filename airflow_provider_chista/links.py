"""Extra links of tasks: to the connector, to the topic, and to a query in ClickHouse's own SQL page.

Airflow's UI shows a link that a task has left in an XCom. Airflow itself leaves it when the task has ended; here it is left
before the work begins, so that it can be followed while the task runs. Airflow's components import this module for the
names of the links: what makes addresses is imported by the task that makes them.
"""

from __future__ import annotations

import logging
from abc import abstractmethod
from collections.abc import Iterable
from typing import Any

from airflow.sdk import BaseOperator, BaseOperatorLink, Context
from airflow.sdk.types import TaskInstanceKey

from airflow_provider_chista.clickhouse import sql
from airflow_provider_chista.model import TableId, Window

log = logging.getLogger(__name__)


class Link(BaseOperatorLink):
    """A link that :class:`Linked` leaves; an empty address is a link that the UI does not offer."""

    @abstractmethod
    def url(self, task: Any, context: Context) -> str:
        """The address, from the running task and its connections."""

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """What was left before the work began; Airflow leaves it again at the task's end."""
        addresses: dict[str, str] = getattr(operator, "link_addresses", {})
        return addresses.get(self.xcom_key, "")


class ConnectorLink(Link):
    """The connector: the page that the Kafka Connect connection names, else its status by the REST interface."""

    name = "Connector"

    def url(self, task: Any, context: Context) -> str:
        """The address; empty for a task that was given no connector."""
        from airflow_provider_chista.hooks.kafka_connect import KafkaConnectHook

        return KafkaConnectHook(task.kafka_connect_conn_id).connector_page(task.connector or "")


class TopicLink(Link):
    """The table's topic, where the Kafka Connect connection names a page of topics."""

    name = "Topic"

    def url(self, task: Any, context: Context) -> str:
        """The address; empty without such a page."""
        from airflow_provider_chista.debezium.config import topic_name
        from airflow_provider_chista.hooks.kafka_connect import KafkaConnectHook

        topic = topic_name(task.topic_prefix, TableId.parse(task.table))
        return KafkaConnectHook(task.kafka_connect_conn_id).topic_page(topic)


class QueryLink(Link):
    """The task's query (``query_sql``) in ClickHouse's SQL page ``/play``, to be run there by whoever may."""

    name = "ClickHouse query"

    def url(self, task: Any, context: Context) -> str:
        """The address, with the query and nothing else of the connection but its host."""
        from airflow_provider_chista.hooks.clickhouse import ChistaClickHouseHook

        return ChistaClickHouseHook(task.clickhouse_conn_id).query_page(task.query_sql(context))


LINKS = (ConnectorLink, TopicLink, QueryLink)
"""Every link of the provider."""


class Linked:
    """Of operators and sensors that have extra links. A link that cannot be made is left out, and costs nothing else."""

    operator_extra_links: Any

    def pre_execute(self, context: Any) -> None:
        """Leave the links."""
        super().pre_execute(context)  # type: ignore[misc]  # BaseOperator's
        self.link_addresses: dict[str, str] = {}
        for link in self.operator_extra_links:
            try:
                if address := link.url(self, context):
                    self.link_addresses[link.xcom_key] = address
                    context["ti"].xcom_push(key=link.xcom_key, value=address)
            except Exception as error:  # noqa: BLE001  the task itself says what is wrong with a connection
                log.info("no link %r: %s", link.name, error)


class OfWindow:
    """Of operators and sensors that are about the run's window of one table, whose entries of the ledger their link shows."""

    target: str
    time_column: str | None
    window_start: str | None
    window_end: str | None

    def window(self, context: Context) -> Window | None:
        """The rows that this run owns."""
        from airflow_provider_chista.hooks.window import run_window

        return run_window(context, self.time_column, self.window_start, self.window_end)

    def query_sql(self, context: Context) -> str:
        """The ledger of the run's window."""
        from airflow_provider_chista.archive.window import name

        return ledger_query(TableId.parse(self.target), name(self.window(context)))


def ledger_query(target: TableId, window: str | None) -> str:
    """SQL of the ledger's newest entries of an archive table; ``window``: of that one, by its name in the ledger."""
    of_window = f"\n  AND window = {sql.literal(window)}" if window else ""
    return (
        f"SELECT at, stage, window, rows, digest, actor, verify_id, batch_id, detail\nFROM {_state('ledger')}\n"
        f"WHERE target = {sql.literal(str(target))}{of_window}\nORDER BY at DESC LIMIT 1000"
    )


def audits_query(targets: Iterable[TableId]) -> str:
    """SQL of the ledger's newest audits of archive tables; of every one where none is named."""
    named = ", ".join(sql.literal(str(target)) for target in targets)
    of_tables = f"\n  AND target IN ({named})" if named else ""
    return (
        f"SELECT at, target, rows, digest, actor, detail\nFROM {_state('ledger')}\n"
        f"WHERE stage = 'audited'{of_tables}\nORDER BY at DESC LIMIT 1000"
    )


def letters_query(target: TableId) -> str:
    """SQL of the dead letters of an archive table, the open ones first."""
    return (
        f"SELECT state, topic, partition, offset, error, key, value, recorded_at\nFROM {_state('dead_letters')} FINAL\n"
        f"WHERE target = {sql.literal(str(target))}\nORDER BY state = 'open' DESC, recorded_at DESC LIMIT 1000"
    )


def _state(table: str) -> str:
    from airflow_provider_chista.hooks.options import state_database

    return sql.table(TableId(state_database(), table))
