"""The factors of a throttle that are measured at the source, on its replicas, and by the pause switch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from airflow_provider_chista.archive.throttle import Factor, ThrottleOptions
from airflow_provider_chista.clickhouse.control import Control
from airflow_provider_chista.errors import FatalError, TransientError
from airflow_provider_chista.findings import Finding, Severity
from airflow_provider_chista.model import TableId
from airflow_provider_chista.sources.base import Source
from airflow_provider_chista.sources.gauges import CHECK


@dataclass(slots=True)
class SourceFactors:
    """What is measured of the source and its replicas.

    :param source: the source as a user who may see sessions and standbys.
    :param replicas: replicas whose lag counts, by the names of their connections. Without any, those that the source knows
        count: the ones that streamed from it when the run began, too, when they are gone later.
    """

    source: Source
    replicas: Mapping[str, Source] = field(default_factory=dict)
    _standbys: set[str] = field(default_factory=set)

    def findings(self, options: ThrottleOptions) -> Iterator[Finding]:
        """Why the source or a replica cannot tell what the options ask for, each with its remedy.

        :raises TransientError: a server did not answer.
        """
        if options.max_load is not None:
            yield from self.source.load_findings()
        if options.max_lag is not None and self.replicas:
            for name, replica in self.replicas.items():
                yield from _replica_findings(name, replica)
        elif options.max_lag is not None:
            yield from self._standby_findings()
        elif self.replicas:
            yield _finding(
                f"connections {', '.join(self.replicas)}",
                "lag_conn_ids names replicas, but max_lag is not given, so that their lag would not count",
                "give max_lag in seconds, or leave lag_conn_ids out",
            )

    def factors(self, options: ThrottleOptions) -> Iterator[Factor]:
        """What is measured of the source for the options."""
        if (most := options.max_load) is not None:
            yield Factor("max_load", lambda: self._overloaded(most))
        if (seconds := options.max_lag) is not None:
            yield Factor("max_lag", lambda: self._behind(seconds))

    def _overloaded(self, most: int) -> str | None:
        running = self.source.running()
        return f"{running} sessions run statements, more than {most}" if running > most else None

    def _behind(self, most: float) -> str | None:
        late = [
            f"{name} is {lag:.1f} s behind, more than {most:g} s"
            if lag is not None
            else f"the lag of {name} is unknown"
            for name, lag in self._lags().items()
            if lag is None or lag > most
        ]
        return ", ".join(late) or None

    def _lags(self) -> Mapping[str, float | None]:
        if self.replicas:
            return {name: _lag(replica) for name, replica in self.replicas.items()}
        found = self.source.standby_lags() or {}
        self._standbys |= found.keys()
        return {name: found.get(name) for name in sorted(self._standbys)}

    def _standby_findings(self) -> Iterator[Finding]:
        lacking = self.source.standby_findings()
        yield from lacking
        if lacking:
            return
        found = self.source.standby_lags()
        self._standbys |= (found or {}).keys()
        if not found:
            yield _finding(
                self.source.where,
                "max_lag is given, but a primary of this kind does not know the lag of its replicas"
                if found is None
                else "max_lag is given, but no standby streams from the server",
                "name connections to the replicas in lag_conn_ids, or leave max_lag out",
            )


def pause_switch(
    control: Control, target: TableId, sentinel: Callable[[], str | None] = lambda: None
) -> Factor:
    """Pauses while the newest row of the state table ``pauses`` for the target, or for all (empty target), says so.

    :param sentinel: another switch, which gives the reason to pause, or None.
    """

    def check() -> str | None:
        found = control.rows(
            f"SELECT target, reason, actor FROM {control.name('pauses')} FINAL"
            " WHERE target IN ('', {target:String}) AND paused = 1 ORDER BY target",
            {"target": str(target)},
        )
        reasons = [
            f"{control.database}.pauses has a pause of {row['target'] or 'all targets'}"
            f" by {row['actor'] or 'somebody'} ({row['reason'] or 'no reason given'})"
            for row in found
        ]
        return ", ".join(reasons + [reason for reason in (sentinel(),) if reason]) or None

    return Factor("sentinel", check)


def _lag(replica: Source) -> float | None:
    """A replica that does not answer may be any time behind."""
    try:
        return replica.behind()
    except TransientError:
        return None


def _replica_findings(name: str, replica: Source) -> Iterator[Finding]:
    lacking = replica.behind_findings()
    yield from lacking
    if not lacking:
        try:
            replica.behind()
        except FatalError as error:
            yield _finding(f"connection {name}", str(error), "correct lag_conn_ids")


def _finding(subject: str, found: str, remedy: str) -> Finding:
    return Finding(CHECK, Severity.PURGE, subject, found, remedy)
