"""``airflow chista restore --dry-run``: what a restore would bring back."""

from __future__ import annotations

from argparse import Namespace

from airflow_provider_chista.archive.restore import Restore, RestoreOptions, Selection
from airflow_provider_chista.cli.command import EQUAL, author, command, connections, note, show, window
from airflow_provider_chista.model import TableId


@command
def restore(args: Namespace) -> int:
    """Count; nothing is written at the source."""
    name, target = TableId.parse(args.table), TableId.parse(args.target)
    selection = Selection(window(args), tuple(args.row_keys), args.batch_id)
    with connections(args).opened() as services:
        table = services.archived(name, target)
        report = Restore(
            services.restore_source,
            services.manifests(table, target),
            services.ledger(name, target, selection.window, author("restore")),
            selection,
            RestoreOptions(dry_run=True),
        ).run()
        note(f"the statement of a restore: {services.restore_source.restore_sql(table)}")
    show(
        args, [{"table": args.table, "target": args.target, "selection": str(selection), **report.summary()}]
    )
    return EQUAL
