"""Options of the section ``[chista]`` of Airflow's configuration that hold everywhere."""

from __future__ import annotations

from airflow.sdk.configuration import conf

from airflow_provider_chista.clickhouse.control import DEFAULT_DATABASE


def state_database() -> str:
    """ClickHouse's database of the state tables."""
    return str(conf.get("chista", "state_database", fallback=DEFAULT_DATABASE))


def masked() -> bool:
    """Whether page and command line show no values (``mask_values``)."""
    return bool(conf.getboolean("chista", "mask_values", fallback=False))
