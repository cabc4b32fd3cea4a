"""Load and replication lag of MySQL and MariaDB. A primary does not know the lag: it is read on each replica."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

from airflow_provider_chista.errors import FatalError
from airflow_provider_chista.findings import Finding
from airflow_provider_chista.sources.gauges import Gauges, lacking, not_a_replica, slowest
from airflow_provider_chista.sources.mysqlchecks import Checks
from airflow_provider_chista.sources.mysqlgrants import current_user

_RUNNING = "SHOW GLOBAL STATUS LIKE 'Threads_running'"
_BEHIND = ("Seconds_Behind_Source", "Seconds_Behind_Master")
"""The column's name since MySQL 8.0.22, in ``SHOW REPLICA STATUS``, and its name everywhere else."""


class MySQLGauges(Gauges):
    """MySQL or MariaDB."""

    checks: ClassVar[Checks]
    replica_right: ClassVar[str]
    """Privilege that ``replica_status`` needs."""

    @property
    @abstractmethod
    def replica_status(self) -> str:
        """Statement that shows one row for each channel from which the server replicates."""

    def running(self) -> int:
        """As :meth:`Gauges.running`."""
        with self._transaction() as cursor:
            cursor.execute(_RUNNING, ())
            return max(0, int(cursor.fetchall()[0][1]) - 1)

    def standby_lags(self) -> None:
        """A primary cannot tell."""

    def behind(self) -> float | None:
        """As :meth:`Gauges.behind`; of several channels the slowest counts."""
        with self._transaction() as cursor:
            cursor.execute(self.replica_status, ())
            rows = cursor.fetchall()
            names = [column[0] for column in cursor.description or ()]
        if not rows:
            raise FatalError(not_a_replica(self.where))
        place = next(names.index(name) for name in _BEHIND if name in names)
        return slowest(None if row[place] is None else float(row[place]) for row in rows)

    def load_findings(self) -> list[Finding]:
        """Every user may see the status."""
        return []

    def standby_findings(self) -> list[Finding]:
        """Nothing is read."""
        return []

    def behind_findings(self) -> list[Finding]:
        """As :meth:`Gauges.behind_findings`, by SHOW GRANTS."""
        with self._transaction() as cursor:
            user = current_user(cursor, self.checks.roles_of_grants)
        if user.holds(self.replica_right):
            return []
        return [
            lacking(
                user.name,
                f"{self.where}: lacks {self.replica_right}, so it cannot see the replica's lag, which max_lag asks for",
                f"GRANT {self.replica_right} ON *.* TO {user.quoted};",
            )
        ]
