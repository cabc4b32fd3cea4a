"""What the state tables tell of archive tables and their windows, and how far their drains are behind Kafka."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow_provider_chista.archive import positions
from airflow_provider_chista.archive.deadletters import open_letters
from airflow_provider_chista.archive.deletes import waiting_deletes
from airflow_provider_chista.archive.topic import Kafka, TopicState
from airflow_provider_chista.archive.unsealed import unsealed_batches
from airflow_provider_chista.clickhouse.control import Control
from airflow_provider_chista.errors import FatalError
from airflow_provider_chista.model import TableId

_STAGES = """
    SELECT target, window, verify_id, stage, max(l.at) AS at, argMax(l.rows, l.at) AS rows, argMax(l.source, l.at) AS source,
           argMax(l.batch_id, l.at) AS batch_id, argMax((dag_id, run_id), l.at) AS run
    FROM {ledger} AS l WHERE {{target:String}} = '' OR target = {{target:String}}
    GROUP BY target, window, verify_id, stage"""
"""The last entry of each stage of each comparison, so that what two tries have written counts once."""

_WINDOWS = """
    SELECT target, window, argMax(s.source, s.at) AS source, max(s.at) AS last,
           argMaxIf(s.stage, s.at, s.stage NOT IN ('checked', 'audited')) AS state,
           argMaxIf(s.stage, s.at, s.stage IN ('verified', 'mismatched')) AS proof,
           maxIf(s.at, s.stage = 'verified') AS proven_at, argMaxIf(s.rows, s.at, s.stage = 'verified') AS proven,
           sumIf(s.rows, s.stage = 'deleted') AS purged, sumIf(s.rows, s.stage = 'sealed') AS sealed,
           argMaxIf(s.verify_id, s.at, s.stage NOT IN ('checked', 'audited')) AS verify_id,
           argMaxIf(s.batch_id, s.at, s.batch_id != '') AS batch_id,
           argMax(s.run, s.at).1 AS dag_id, argMax(s.run, s.at).2 AS run_id
    FROM ({stages}) AS s GROUP BY target, window"""

_TABLES = """
    SELECT target, argMax(w.source, w.last) AS source, countIf(w.state != '') AS windows, max(w.proven_at) AS proven_at,
           sum(w.purged) AS purged, sum(w.sealed) AS sealed, countIf(w.proof = 'mismatched') AS mismatched,
           now64(6, 'UTC') AS now
    FROM ({windows}) AS w GROUP BY target ORDER BY target"""

_DRAINED = """
    SELECT target, argMax(cluster, (generation, recorded_at)) AS cluster, argMax(topic, (generation, recorded_at)) AS topic,
           max(recorded_at) AS drained_at
    FROM {positions}
    WHERE NOT startsWith(target, 'purge_log:') AND ({{target:String}} = '' OR target = {{target:String}})
    GROUP BY target"""


@dataclass(frozen=True, slots=True)
class WindowState:
    """One window of an archive table, as the ledger has it.

    :param state: the stage that it has reached: of its newest entry, checks and audits left aside.
    :param proven: rows of its newest proof; :param purged: rows of purges that came to their end; :param sealed: of those
        that are sealed.
    :param dag_id: the run that wrote last; empty outside of Airflow's runs.
    """

    window: str
    state: str
    last: datetime
    proven: int
    purged: int
    sealed: int
    verify_id: str
    batch_id: str
    dag_id: str
    run_id: str


@dataclass(frozen=True, slots=True)
class TableStatus:
    """One archive table, by the state tables.

    :param source: engine and source table, as in ``mysql:app.orders``; empty of a table that is only drained.
    :param proof_age: of the newest proof; None: there is none.
    :param purged: rows of purges that came to their end; :param sealed: of those that are sealed.
    :param mismatched: windows whose newest comparison found differences.
    :param unsealed: purges that were begun and are not sealed; :param letters: open dead letters; :param waiting: deletes in
        quarantine.
    :param drained_at: when a position was recorded last.
    """

    target: str
    source: str
    windows: int
    proven_at: datetime | None
    proof_age: timedelta | None
    purged: int
    sealed: int
    mismatched: int
    unsealed: int
    letters: int
    waiting: int
    drained_at: datetime | None


@dataclass(frozen=True, slots=True)
class Lag:
    """How far a drain is behind the end of its topic.

    :param records: offsets between position and end, all partitions together; None: it cannot go on.
    :param problem: why it cannot go on: a gap, or another topic.
    """

    records: int | None
    problem: str = ""


def windows(control: Control, target: TableId, *, state: str = "", limit: int = 100) -> list[WindowState]:
    """The windows of an archive table, the one that something happened to last first.

    :param state: only those in this state; empty: all. :param limit: most of them.
    """
    columns = ", ".join(WindowState.__dataclass_fields__)
    rows = control.rows(
        f"SELECT {columns} FROM ({_windows(control)}) WHERE state != ''"
        " AND ({state:String} = '' OR state = {state:String}) ORDER BY last DESC, window LIMIT {limit:UInt32}",
        {"target": str(target), "state": state, "limit": limit},
    )
    return [WindowState(**row) for row in rows]


def tables(control: Control, target: TableId | None = None) -> list[TableStatus]:
    """Every archive table that the ledger or a position knows, by name; or one of them.

    :raises FatalError: the one that was asked for is not known.
    """
    wanted = {"target": str(target or "")}
    known = {row["target"]: row for row in control.rows(_TABLES.format(windows=_windows(control)), wanted)}
    drained = _drained(control, wanted)
    if target is not None and not known and not drained:
        raise FatalError(
            f"the state database {control.database} does not know {target}; give the archive table as database.table, and "
            "see that [chista] state_database and the ClickHouse connection are those of the DAG"
        )
    return [_status(control, name, known.get(name), drained.get(name)) for name in sorted({*known, *drained})]


def lags(control: Control, kafka: Kafka, target: TableId | None = None) -> dict[str, Lag]:
    """Lag by archive table; tables of other clusters are left out.

    :raises TransientError: Kafka did not answer within some ten seconds; :class:`FatalError`: it refused.
    """
    drained = _drained(control, {"target": str(target or "")})
    cluster = kafka.ping()
    here = {name: row["topic"] for name, row in drained.items() if row["cluster"] == cluster}
    states = kafka.describe_existing(sorted(set(here.values()))) if here else {}
    return {name: _lag(control, name, topic, states.get(topic)) for name, topic in here.items()}


def _lag(control: Control, target: str, topic: str, state: TopicState | None) -> Lag:
    if state is None:
        return Lag(None, f"topic {topic} does not exist any more")
    try:
        found = positions.load(control, target, state)
    except FatalError as error:
        return Lag(None, str(error))
    return Lag(sum(max(0, end - found.next_offsets[partition]) for partition, end in state.ends.items()))


def _windows(control: Control) -> str:
    return _WINDOWS.format(stages=_STAGES.format(ledger=control.name("ledger")))


def _drained(control: Control, wanted: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    rows: Iterable[dict[str, Any]] = control.rows(
        _DRAINED.format(positions=control.name("positions")), wanted
    )
    return {row["target"]: row for row in rows}


def _status(
    control: Control, name: str, known: Mapping[str, Any] | None, drained: Mapping[str, Any] | None
) -> TableStatus:
    target = TableId.parse(name)
    row = known or {}
    proven_at = row.get("proven_at")
    if proven_at is not None and proven_at <= datetime.fromtimestamp(0, UTC):
        proven_at = None
    letters = open_letters(control, target)
    return TableStatus(
        target=name,
        source=row.get("source", ""),
        windows=row.get("windows", 0),
        proven_at=proven_at,
        proof_age=row["now"] - proven_at if proven_at else None,
        purged=row.get("purged", 0),
        sealed=row.get("sealed", 0),
        mismatched=row.get("mismatched", 0),
        unsealed=len(unsealed_batches(control, target)),
        letters=letters.count if letters else 0,
        waiting=waiting_deletes(control, target),
        drained_at=drained["drained_at"] if drained else None,
    )
