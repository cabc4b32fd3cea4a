"""Opens ClickHouse for one answer of the page."""

from __future__ import annotations

from collections.abc import Iterator, Set
from contextlib import contextmanager

from airflow.sdk.configuration import conf
from airflow.sdk.exceptions import AirflowNotFoundException

from airflow_provider_chista.archive.overview import LIMITS, Overview, has_state
from airflow_provider_chista.clickhouse.control import Control
from airflow_provider_chista.errors import FatalError
from airflow_provider_chista.hooks import options
from airflow_provider_chista.hooks.clickhouse import ChistaClickHouseHook

OPTION = "page_connections"


class NothingYetError(FatalError):
    """The state database is not there; no archive has run yet, or another database is configured."""


def connections() -> list[str]:
    """ClickHouse connection ids that the page reads, by ``[chista] page_connections``; the first is shown first."""
    listed: str = conf.get("chista", OPTION, fallback=ChistaClickHouseHook.default_conn_name)
    return [name.strip() for name in listed.split(",") if name.strip()]


@contextmanager
def opened(connection: str, dags: Set[str]) -> Iterator[Overview]:
    """The archive in ClickHouse, as somebody sees it who may read these DAGs; nothing is created there.

    :param connection: one of :func:`connections`; empty: the first.
    :raises FatalError: the connection is not one of the page, or ClickHouse refused.
    :raises TransientError: ClickHouse did not answer, or not in time.
    """
    known = connections()
    if not known:
        raise FatalError(
            f"[chista] {OPTION} names no connection; name one of ClickHouse, or remove the option"
        )
    if connection and connection not in known:
        raise FatalError(
            f"connection {connection!r} is not one of the page; add it to [chista] {OPTION} in Airflow's configuration"
        )
    name = connection or known[0]
    try:
        client = ChistaClickHouseHook(name, settings=LIMITS).get_client()
    except AirflowNotFoundException as error:
        raise FatalError(
            f"Airflow has no connection {name!r}; make it, or name another one in [chista] {OPTION}"
        ) from error
    try:
        control = Control(client, options.state_database())
        if not has_state(control):
            raise NothingYetError(
                f"ClickHouse (connection {name}) has no state tables in the database {control.database}, or its user may not "
                "see them. The first run of an archive makes them; see [chista] state_database and docs/grants.md"
            )
        yield Overview.readable(control, frozenset(dags))
    finally:
        client.close()
