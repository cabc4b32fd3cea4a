"""Errors of clickhouse-connect, told apart by whether a retry can help.

The codes are ClickHouse's ``ErrorCodes.cpp``. Code 252 means two things: too many parts (a matter of time) and too
many partitions in one block (a matter of the data), so its text decides. Errors without a code come from the HTTP client:
the outcome of the request is unknown, and the deduplication token makes its repetition safe.
"""

from __future__ import annotations

import functools
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import ParamSpec, TypeVar

from clickhouse_connect.driver.exceptions import ClickHouseError, DatabaseError, OperationalError
from urllib3.exceptions import HTTPError

from airflow_provider_chista import tls
from airflow_provider_chista.errors import ChistaError, FatalError, TransientError

P = ParamSpec("P")
R = TypeVar("R")

TURN_SECONDS = 30.0
"""How long a write waits for its turn behind those of others (:func:`in_turn`)."""

_QUORUM_PENDING = 286

TRANSIENT_CODES: dict[int, str] = {
    3: "unexpected end of the request",
    107: "a file was not there, a part may be moving",
    159: "the query ran longer than max_execution_time",
    202: "too many simultaneous queries",
    203: "no free connection",
    209: "socket timeout",
    210: "network error",
    241: "memory limit",
    242: "the table is read-only, its Keeper session may be lost",
    252: "too many parts; merges are behind",
    285: "too few live replicas",
    286: "another insert into the table waits for its quorum",
    289: "this replica does not have the last insert yet",
    319: "unknown status of the insert",
    341: "not every replica has finished",
    425: "system error",
    999: "Keeper exception",
}

REMEDIES: dict[int, str] = {
    16: "create the table again with CreateArchiveTableOperator, which adds new columns",
    60: "create it with CreateArchiveTableOperator",
    81: "create the database, or let CreateArchiveTableOperator do it",
    139: "a replicated table needs the macros shard and replica in the server's configuration (docs/clusters.md)",
    164: "the connection's user must not be read-only",
    192: "check the login of the ClickHouse connection",
    194: "check login and password of the ClickHouse connection",
    225: "a replicated table needs ClickHouse Keeper in the server's configuration (docs/clusters.md)",
    392: "ON CLUSTER needs Keeper and distributed_ddl in the server's configuration; without them leave chista_cluster out",
    497: "grant what is missing to the connection's user (docs/grants.md)",
    516: "check login and password of the ClickHouse connection",
    701: "name a cluster of system.clusters",
}

TLS_ON = "set the connection's extra field 'secure' to true"
TLS_SETTINGS = {
    "ca": 'extra field \'client_kwargs\' of the connection, {"ca_cert": "/path/ca.pem"}',
    "on": TLS_ON,
    "off": "set the connection's extra field 'secure' to false",
}


class TooManyPartitionsError(FatalError):
    """One block has rows of more ClickHouse partitions than the server takes at once."""


def classified(error: Exception, doing: str) -> ChistaError:
    """The provider's error for one of clickhouse-connect's, saying what was being done and what to do."""
    code = getattr(error, "code", None)
    text = " ".join(str(error).split())[:1000]
    if code == 252 and "partitions" in text:
        return TooManyPartitionsError(
            f"ClickHouse refused {doing}: {text}; raise max_partitions_per_insert_block or partition coarser"
        )
    if isinstance(code, int) and code not in TRANSIENT_CODES:
        remedy = REMEDIES.get(code, "see the code in ClickHouse's documentation")
        return FatalError(f"ClickHouse refused {doing} with code {code}: {text}; {remedy}")
    if isinstance(code, int):
        return TransientError(
            f"ClickHouse could not finish {doing} ({TRANSIENT_CODES[code]}, code {code}): {text}"
        )
    unanswered = isinstance(error, (OperationalError, HTTPError, OSError)) or (
        isinstance(error, DatabaseError)
        and any(word in text for word in ("HTTPDriver", "Connection", "timed out"))
    )
    if not unanswered:
        return FatalError(f"ClickHouse refused {doing}: {text}")
    fault = tls.remedy(text, **TLS_SETTINGS)
    if fault:
        return FatalError(f"ClickHouse cannot be reached by TLS while {doing}: {text}; {fault}")
    hint = "" if "https://" in text else tls.hint(text, on=TLS_ON)
    return TransientError(
        f"ClickHouse did not answer while {doing}: {text}; check that the server is up{hint}"
    )


@contextmanager
def translated(doing: str) -> Iterator[None]:
    """Raise :class:`FatalError` or :class:`TransientError` for any error of the driver inside the block."""
    try:
        yield
    except (ClickHouseError, HTTPError, OSError) as error:
        raise classified(error, doing) from error


def in_turn(write: Callable[P, R]) -> Callable[P, R]:
    """A write that is repeated while another one into the same replicated table waits for its quorum.

    ClickHouse refuses it at once then (``insert_quorum_parallel`` 0). The write must be one whose repetition changes nothing.
    """

    @functools.wraps(write)
    def repeated(*args: P.args, **kwargs: P.kwargs) -> R:
        deadline = time.monotonic() + TURN_SECONDS
        while True:
            try:
                return write(*args, **kwargs)
            except TransientError as error:
                if getattr(error.__cause__, "code", None) != _QUORUM_PENDING or time.monotonic() > deadline:
                    raise
            time.sleep(random.uniform(0.01, 0.1))  # noqa: S311

    return repeated
