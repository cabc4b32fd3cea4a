"""MariaDB 10.6 and later (JSON_TABLE)."""

from __future__ import annotations

from airflow_provider_chista.model import Kind
from airflow_provider_chista.sources.dialect import SourceType
from airflow_provider_chista.sources.mysqlchecks import Checks, common_settings
from airflow_provider_chista.sources.mysqlfamily import MySQLFamilySource
from airflow_provider_chista.sources.mysqlgrants import requirements
from airflow_provider_chista.sources.mysqltypes import dialect, digits, floats, geometry, stopping, table_of

_COMPRESSED = (
    "varchar", "varbinary", "tinytext", "text", "mediumtext", "longtext", "tinyblob", "blob", "mediumblob", "longblob",
)  # fmt: skip

# INNODB_SYS_FOREIGN spells its names as "database/name" in the encoding of file names; ID holds the child's database.
_NAME = "CONVERT(CONVERT(CAST({text} AS BINARY) USING filename) USING utf8mb4)"
_FOREIGN_KEYS = f"""
    SELECT SUBSTRING(ID, CHAR_LENGTH(SUBSTRING_INDEX(ID, '/', 1)) + 2),
           {_NAME.format(text="SUBSTRING_INDEX(FOR_NAME, '/', 1)")},
           {_NAME.format(text="SUBSTRING_INDEX(FOR_NAME, '/', -1)")},
           TYPE
    FROM information_schema.INNODB_SYS_FOREIGN
    WHERE {_NAME.format(text="SUBSTRING_INDEX(REF_NAME, '/', 1)")} = %s
      AND {_NAME.format(text="SUBSTRING_INDEX(REF_NAME, '/', -1)")} = %s
    ORDER BY ID"""

# An expression is shown with all digits, a FLOAT column with six.
_SHOWN = "CONCAT({c} + 0e0)"
_NO_DDL = "Debezium cannot parse its DDL, so the connector fails once its table is captured"
TYPES = table_of(
    *floats(digits(_SHOWN, whole=_SHOWN)),
    SourceType(
        "uuid",
        Kind.UUID,
        "CONCAT({c})",
        note="a value that ends in zero bytes arrives shifted in the stream (about one in 256): the proof finds such rows; "
        "refused as a primary key, whose row would be under another key",
    ),
    geometry("geometrycollection"),
    stopping("inet4", _NO_DDL),
    stopping("inet6", _NO_DDL),
    *(stopping(f"{name} /*M!100301 COMPRESSED*/", _NO_DDL) for name in _COMPRESSED),
)

CHECKS = Checks(
    setup="sources/setup/mariadb.sql",
    minimum=(10, 6),
    settings=common_settings(
        "SET GLOBAL {assignment}; and write {assignment} into the [mysqld] section of the server's configuration"
    ),
    foreign_keys=_FOREIGN_KEYS,
    # SHOW GRANTS of MariaDB expands the active role by itself.
    roles_of_grants=None,
    requirements=requirements(binlog_monitor="BINLOG MONITOR"),
)


class MariaDBSource(MySQLFamilySource):
    """MariaDB."""

    flavour = "mariadb"
    dialect = dialect(TYPES, number="CONCAT({c})")
    checks = CHECKS
    gtids = "SELECT @@global.gtid_binlog_pos"
    innodb_tables = "information_schema.INNODB_SYS_TABLES"
    lock_table = "FOR UPDATE"
    isolation = "@@session.tx_isolation"
    binlog_status = "SHOW MASTER STATUS"
    replica_status = "SHOW ALL SLAVES STATUS"
    replica_right = "SLAVE MONITOR"

    @classmethod
    def recognises(cls, version: str) -> bool:
        """The version holds the name, as in ``10.11.19-MariaDB-log``."""
        return "mariadb" in version.lower()
