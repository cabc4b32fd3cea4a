"""MySQL 8.0 and later."""

from __future__ import annotations

import re

from airflow_provider_chista.model import Encoding, Kind
from airflow_provider_chista.sources.dialect import SourceType
from airflow_provider_chista.sources.mysqlchecks import AGAIN, Checks, Setting, common_settings, one_of
from airflow_provider_chista.sources.mysqlfamily import MySQLFamilySource
from airflow_provider_chista.sources.mysqlgrants import requirements
from airflow_provider_chista.sources.mysqltypes import (
    dialect,
    digits,
    floats,
    geometry,
    table_of,
    type_name,
)

_PERSIST = "SET PERSIST {assignment}"

# INNODB_FOREIGN spells its names as "database/name".
_FOREIGN_KEYS = """
    SELECT SUBSTRING(ID, CHAR_LENGTH(SUBSTRING_INDEX(ID, '/', 1)) + 2),
           SUBSTRING_INDEX(FOR_NAME, '/', 1),
           SUBSTRING(FOR_NAME, CHAR_LENGTH(SUBSTRING_INDEX(FOR_NAME, '/', 1)) + 2),
           TYPE
    FROM information_schema.INNODB_FOREIGN
    WHERE REF_NAME = CONCAT(%s, '/', %s) ORDER BY ID"""

# CONCAT of a FLOAT or an expression loses digits; JSON has them all, whole numbers with ".0".
_SHOWN = "CONCAT(CAST({c} AS JSON))"

_ZEROFILL = "decimal(p,s) zerofill"
_ZEROFILLED = re.compile(r"decimal\(\d+,[1-9]\d*\) unsigned zerofill")

TYPES = table_of(
    *floats(digits(_SHOWN, whole=f"SUBSTRING_INDEX({_SHOWN}, '.', 1)")),
    geometry("geomcollection"),
    SourceType(
        _ZEROFILL,
        None,
        refusal="a snapshot stops the connector at a value that has all of its digits (NegativeArraySizeException); exclude "
        "the column, or drop ZEROFILL",
    ),
    SourceType(
        "json",
        Kind.TEXT,
        "CONCAT(LENGTH(CAST({c} AS CHAR)), ':', CAST({c} AS CHAR))",
        encoding=Encoding.MYSQL_JSON,
        note="numbers get the spelling of MySQL back; doubles without a fraction from 1e7 on, and times and binary values "
        "inside JSON, cannot be told in the stream: the proof finds such rows",
    ),
    SourceType(
        "vector",
        Kind.BYTES,
        "LOWER(HEX({c}))",
        value="UNHEX({v})",
        encoding=Encoding.VECTOR,
        note="stored as the server holds it: 4-byte floats, little-endian",
    ),
)


def _type_name(declared: str) -> str:
    return _ZEROFILL if _ZEROFILLED.match(declared) else type_name(declared)


CHECKS = Checks(
    setup="sources/setup/mysql.sql",
    minimum=(8, 0),
    settings=(
        *common_settings(_PERSIST),
        Setting(
            "binlog_row_value_options",
            one_of(""),
            "JSON columns arrive as partial updates",
            _PERSIST.format(assignment="binlog_row_value_options = ''") + AGAIN,
        ),
    ),
    foreign_keys=_FOREIGN_KEYS,
    roles_of_grants="SHOW GRANTS FOR CURRENT_USER() USING {roles}",
    requirements=requirements(binlog_monitor="REPLICATION CLIENT"),
)


class MySQLSource(MySQLFamilySource):
    """MySQL; Percona Server too, which answers like it."""

    flavour = "mysql"
    dialect = dialect(TYPES, number="CAST({c} AS CHAR)", type_name=_type_name)
    checks = CHECKS
    # Only with GTIDs on has every transaction one; else an anonymous commit would be missed, and file and position decide.
    gtids = "SELECT IF(@@global.gtid_mode = 'ON', @@global.gtid_executed, '')"
    innodb_tables = "information_schema.INNODB_TABLES"
    # Without OF, MySQL refuses to lock rows of a JSON_TABLE (error 3569).
    lock_table = "FOR UPDATE OF t"
    isolation = "@@session.transaction_isolation"
    replica_right = "REPLICATION CLIENT"

    @classmethod
    def recognises(cls, version: str) -> bool:
        """A bare version, as in ``9.7.4``; MariaDB and TiDB add their names to it."""
        return re.match(r"\d+\.\d+\.\d+(-|$)", version) is not None and not re.search(
            "mariadb|tidb", version, re.I
        )

    @property
    def binlog_status(self) -> str:
        """The statement changed its name in 8.2."""
        return "SHOW BINARY LOG STATUS" if self._release >= (8, 2) else "SHOW MASTER STATUS"

    @property
    def replica_status(self) -> str:
        """The older statement is gone since 8.4, the newer one is not in the first releases of 8.0."""
        return "SHOW REPLICA STATUS" if self._release >= (8, 2) else "SHOW SLAVE STATUS"
