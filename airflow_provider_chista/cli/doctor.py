"""``airflow chista doctor``: all preflight checks."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import asdict

from airflow_provider_chista.archive.audit import archived_tables
from airflow_provider_chista.archive.connector import stored
from airflow_provider_chista.archive.preflight import ArchivePlan
from airflow_provider_chista.cli.command import EQUAL, FOUND, command, connections, redacted, show
from airflow_provider_chista.debezium.config import captures, topic_name
from airflow_provider_chista.errors import FatalError
from airflow_provider_chista.findings import Severity
from airflow_provider_chista.hooks.services import Services
from airflow_provider_chista.model import TableId


@command
def doctor(args: Namespace) -> int:
    """Print every finding; something that blocks is exit code 1."""
    targets = _given(args.tables)
    if not targets and not args.connector:
        raise FatalError(
            "name the tables to check: --tables TABLE=TARGET ..., or --connector for those that it captures"
        )
    with connections(args).opened() as services:
        config = (services.connect.config(args.connector) if args.connector else None) or {}
        targets = targets or _archived(services, args.connector)
        report = services.preflight(
            ArchivePlan(
                targets=targets,
                time_columns={},
                purged=tuple(targets) if args.purge_conn_id else (),
                listed=tuple(args.listed),
                slot=args.slot or config.get("slot.name"),
                publication=args.publication or config.get("publication.name"),
                avro=args.schema_registry_conn_id is not None,
                min_replicas=args.min_replicas,
            ),
            capture_conn_id=args.capture_conn_id,
            connector=args.connector,
        )
    if args.output == "table":
        # Lines, since a remedy is there to be pasted.
        sys.stdout.write(redacted(f"{report}\n"))
    else:
        show(args, [asdict(finding) for finding in report.findings])
    blocking = report.of(Severity.ERROR) + (report.of(Severity.PURGE) if args.purge_conn_id else [])
    return FOUND if blocking else EQUAL


def _given(pairs: Sequence[str]) -> dict[TableId, TableId]:
    targets = {}
    for pair in pairs:
        name, equals, target = pair.rpartition("=")
        if not equals:
            raise FatalError(
                f"{pair!r} names no pair of tables; write TABLE=TARGET, such as app.orders=archive.orders"
            )
        targets[TableId.parse(name)] = TableId.parse(target)
    return targets


def _archived(services: Services, connector: str) -> dict[TableId, TableId]:
    """The source's archived tables that the connector captures, by the ledger."""
    config = stored(services.connect, connector)
    known = archived_tables(services.control, services.source.flavour)
    prefix = config["topic.prefix"]
    targets = {name: target for target, name in known.items() if captures(config, topic_name(prefix, name))}
    if not targets:
        raise FatalError(
            f"the ledger knows no archive of a table that connector {connector} captures; give --tables TABLE=TARGET ..."
        )
    return targets
