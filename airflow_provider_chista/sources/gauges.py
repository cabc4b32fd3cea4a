"""What a server says about itself while rows are deleted there: sessions at work, and how far replicas are behind."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable

from airflow_provider_chista.findings import Finding, Severity
from airflow_provider_chista.sources.session import Session

CHECK = "throttle"
"""Name of the check whose findings say that a server cannot tell what a throttle asks."""


class Gauges(Session):
    """The part of a source that measures its server. Each method is one short query on the control connection."""

    @abstractmethod
    def running(self) -> int:
        """Sessions that run a statement at this moment, without the one that asks.

        MySQL and MariaDB: the status ``Threads_running`` less one, in which the server counts some threads of its own.
        PostgreSQL: client backends in state ``active``, so neither walsenders nor background processes.
        """

    @abstractmethod
    def standby_lags(self) -> dict[str, float] | None:
        """Seconds by which each replica that streams from this server is behind, by its name; None: only replicas know.

        PostgreSQL alone knows it here. Logical streams, such as Debezium's, are not replicas.
        """

    @abstractmethod
    def behind(self) -> float | None:
        """Seconds by which this server, a replica, is behind its primary; None: unknown, since its replication stands still.

        :raises FatalError: the server is no replica.
        """

    @abstractmethod
    def load_findings(self) -> list[Finding]:
        """Rights that the user lacks for :meth:`running`."""

    @abstractmethod
    def standby_findings(self) -> list[Finding]:
        """Rights that the user lacks for :meth:`standby_lags`."""

    @abstractmethod
    def behind_findings(self) -> list[Finding]:
        """Rights that the user lacks for :meth:`behind`."""


def not_a_replica(where: str) -> str:
    """The reason why a server has no lag."""
    return f"{where}: the server is no replica and has no lag; lag_conn_ids must name connections to replicas of the source"


def slowest(lags: Iterable[float | None]) -> float | None:
    """The greatest of a replica's lags, one for each of its channels; None when one of them is unknown."""
    known = list(lags)
    return None if None in known else max((lag for lag in known if lag is not None), default=None)


def lacking(user: str, found: str, remedy: str) -> Finding:
    """The user may not see what a throttle asks for."""
    return Finding(CHECK, Severity.PURGE, f"user {user}", found, remedy)
