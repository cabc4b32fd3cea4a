"""Errors of MySQL and MariaDB: which of them waiting helps against, and what to do about the others."""

from __future__ import annotations

from airflow_provider_chista.errors import FatalError, TransientError
from airflow_provider_chista.sources.failures import Failure, insert_failures

# Error numbers: MySQL "Server Error Message Reference" and "Client Error Message Reference"; MariaDB keeps the same numbers.
FAILURES = (
    Failure(
        frozenset({1045, 1698, 2059, 1251, 3118, 4151, 1820, 1862}),
        FatalError,
        "Check user and password of the Airflow connection, and from which hosts the server lets that user in",
    ),
    Failure(
        frozenset({1044, 1142, 1143, 1227, 1370, 3118}), FatalError, "Grant what is missing (docs/grants.md)"
    ),
    Failure(
        frozenset({1049}), FatalError, "Check the database name of the Airflow connection or of the table"
    ),
    Failure(
        frozenset({1146, 1051, 1054}),
        FatalError,
        "Check the names; if a table of chista is missing, run the set-up SQL of sources/setup as an administrator",
    ),
    Failure(frozenset({1205, 3572}), TransientError, "The application holds the row locks; try again later"),
    Failure(frozenset({1213}), TransientError, "A deadlock was broken; try again"),
    Failure(frozenset({1290, 1836}), FatalError, "The server is read-only; connect to the primary"),
    Failure(
        frozenset({1153, 1301}),
        FatalError,
        "Raise max_allowed_packet (SET GLOBAL max_allowed_packet = 1073741824) or use smaller batches",
    ),
    Failure(
        frozenset({1451, 1217}),
        FatalError,
        "Other tables refer to these rows by foreign key; purge the referring rows first",
    ),
    Failure(
        frozenset(
            {
                2002,
                2003,
                2005,
                2006,
                2013,
                2055,
                1040,
                1053,
                1152,
                1158,
                1159,
                1160,
                1161,
                1317,
                1927,
                3024,
                1203,
                1226,
            }
        ),
        TransientError,
        "The server is unreachable, busy or going down; if host and port of the Airflow connection are right, try again",
    ),
)

INSERT_FAILURES = insert_failures(
    foreign={1216, 1452}, unique={1062, 1586}, null={1048}, value={1264, 1265, 1292, 1366, 1406, 3819, 4025}
)
