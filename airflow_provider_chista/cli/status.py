"""``airflow chista status`` and ``windows``: what the state tables know."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import asdict

from airflow.sdk.exceptions import AirflowException

from airflow_provider_chista.archive import status as states
from airflow_provider_chista.cli.command import EQUAL, age, command, connections, note, show
from airflow_provider_chista.errors import ChistaError
from airflow_provider_chista.hooks.services import Services
from airflow_provider_chista.model import TableId


@command
def status(args: Namespace) -> int:
    """One line per archive table."""
    target = TableId.parse(args.target) if args.target else None
    with connections(args).opened() as services:
        found = states.tables(services.control, target)
        lags = _lags(services, target) if any(table.drained_at for table in found) else {}
    rows = []
    for table in found:
        lag = lags.get(table.target)
        rows.append(
            {
                "target": table.target,
                "source": table.source,
                "windows": table.windows,
                "proven_at": table.proven_at,
                "age": age(table.proof_age),
                "purged": table.purged,
                "sealed": table.sealed,
                "mismatched": table.mismatched,
                "unsealed": table.unsealed,
                "dead_letters": table.letters,
                "quarantine": table.waiting,
                "drained_at": table.drained_at,
                "lag": lag.records if lag else None,
            }
        )
    show(args, rows)
    for name, lag in lags.items():
        if lag.problem:
            note(f"{name} cannot be drained further: {lag.problem}")
    return EQUAL


@command
def windows(args: Namespace) -> int:
    """One line per window."""
    target = TableId.parse(args.target)
    with connections(args).opened() as services:
        states.tables(services.control, target)  # an unknown table is an error, not a table without windows
        found = states.windows(services.control, target, state=args.state, limit=args.limit)
    show(args, [asdict(each) for each in found], wide=("verify_id", "batch_id"))
    if len(found) == args.limit:
        note(f"the newest {args.limit} windows; --limit shows more")
    return EQUAL


def _lags(services: Services, target: TableId | None) -> dict[str, states.Lag]:
    """Lags, or nothing and a note when Kafka does not tell them."""
    try:
        return states.lags(services.control, services.kafka, target)
    except (ChistaError, AirflowException) as error:
        note(f"lag is not known: {error}")
        return {}
