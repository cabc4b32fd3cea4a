"""Airflow provider that archives rows of MySQL, MariaDB and PostgreSQL into ClickHouse, proves them equal, then deletes them.

The version below is the only place where it is written; ``pyproject.toml`` and the provider information read it.
"""

__version__ = "0.1.0"
