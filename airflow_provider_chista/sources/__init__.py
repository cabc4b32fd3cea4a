"""What a source database can do: catalogue, positions, row hashes, the guarded delete; MySQL, MariaDB and PostgreSQL."""

from airflow_provider_chista.sources.base import Role, Source
from airflow_provider_chista.sources.control import Marker
from airflow_provider_chista.sources.detect import engine, open_source

__all__ = ["Marker", "Role", "Source", "engine", "open_source"]
