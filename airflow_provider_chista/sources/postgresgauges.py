"""Load and replication lag of PostgreSQL: the primary knows its standbys' lag, and each standby its own."""

from __future__ import annotations

from airflow_provider_chista.errors import FatalError
from airflow_provider_chista.findings import Finding
from airflow_provider_chista.sources.gauges import Gauges, lacking, not_a_replica
from airflow_provider_chista.sources.postgresgrants import quoted

_STATISTICS = "pg_read_all_stats"
"""Role without which other users' sessions and walsenders are shown without their states."""

_RUNNING = """
    SELECT count(*) FROM pg_stat_activity
    WHERE state = 'active' AND backend_type = 'client backend' AND pid <> pg_backend_pid()"""

# A logical walsender (Debezium's, a subscription's) holds a logical slot. A backup and pg_receivewal replay nothing. The
# server shows no replay_lag of a standby that has caught up, nor of one that was idle and has not answered yet.
_STANDBYS = """
    SELECT concat_ws('@', application_name, host(client_addr)),
           greatest(0, max(CASE
               WHEN replay_lag IS NOT NULL THEN extract(epoch FROM replay_lag)
               WHEN replay_lsn >= sent_lsn THEN 0
               ELSE extract(epoch FROM clock_timestamp() - reply_time) END))::float8
    FROM pg_stat_replication r
    WHERE replay_lsn IS NOT NULL
      AND NOT EXISTS (SELECT FROM pg_replication_slots s WHERE s.active_pid = r.pid AND s.slot_type = 'logical')
    GROUP BY 1"""

# Everything received is replayed: up to date, as long as something receives. Else the age of the last replayed commit.
_BEHIND = """
    SELECT pg_is_in_recovery(),
           (CASE
               WHEN EXISTS (SELECT FROM pg_stat_wal_receiver)
                    AND pg_last_wal_receive_lsn() <= pg_last_wal_replay_lsn() THEN 0
               ELSE extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp()) END)::float8"""

_MAY_SEE = "SELECT current_user, pg_has_role(current_user, %s, 'USAGE')"


class PostgresGauges(Gauges):
    """PostgreSQL."""

    def running(self) -> int:
        """As :meth:`Gauges.running`."""
        with self._transaction() as cursor:
            cursor.execute(_RUNNING, ())
            return int(cursor.fetchall()[0][0])

    def standby_lags(self) -> dict[str, float]:
        """As :meth:`Gauges.standby_lags`, by application name and address; of standbys of one name the slowest counts."""
        with self._transaction() as cursor:
            cursor.execute(_STANDBYS, ())
            return {str(name): float(lag) for name, lag in cursor.fetchall()}

    def behind(self) -> float | None:
        """As :meth:`Gauges.behind`; while the primary writes nothing, a standby without a stream seems to fall behind."""
        with self._transaction() as cursor:
            cursor.execute(_BEHIND, ())
            standby, lag = cursor.fetchall()[0]
        if not standby:
            raise FatalError(not_a_replica(self.where))
        return None if lag is None else float(lag)

    def load_findings(self) -> list[Finding]:
        """As :meth:`Gauges.load_findings`."""
        return self._statistics_findings("the states of other users' sessions, which max_load asks for")

    def standby_findings(self) -> list[Finding]:
        """As :meth:`Gauges.standby_findings`."""
        return self._statistics_findings("the lag of the standbys, which max_lag asks for")

    def behind_findings(self) -> list[Finding]:
        """Every user may see it."""
        return []

    def _statistics_findings(self, what: str) -> list[Finding]:
        with self._transaction() as cursor:
            cursor.execute(_MAY_SEE, (_STATISTICS,))
            user, may_see = cursor.fetchall()[0]
        if may_see:
            return []
        return [
            lacking(
                user,
                f"{self.where}: is no member of {_STATISTICS}, so it cannot see {what}",
                f"GRANT {_STATISTICS} TO {quoted(user)};",
            )
        ]
