"""``airflow chista verify``: compare archive and source now."""

from __future__ import annotations

from argparse import Namespace

from airflow_provider_chista.archive.comparison import comparison
from airflow_provider_chista.archive.connector import stored
from airflow_provider_chista.cli.command import EQUAL, author, command, connections, note, show, window
from airflow_provider_chista.model import TableId, describe


@command
def verify(args: Namespace) -> int:
    """Compare; rows that differ are a MismatchError."""
    name, target, chosen = TableId.parse(args.table), TableId.parse(args.target), window(args)
    options = comparison(
        mode=args.mode,
        sample=args.sample,
        seed=args.seed,
        row_keys=args.row_keys,
        first_key=args.first_key,
        end_key=args.end_key,
        parallel=args.parallel,
        part_rows=args.part_rows,
        mask_values=args.mask_values,
    )
    with connections(args).opened() as services:
        connector = args.connector
        prefix = stored(services.connect, connector)["topic.prefix"] if connector else None
        found = services.compare(
            name,
            target,
            chosen,
            options,
            author("verify"),
            connector=connector,
            topic_prefix=prefix,
            timeout=args.catch_up_timeout,
            stopped=lambda: False,
            log=note if args.verbose else lambda text: None,
        )
    show(
        args,
        [
            {
                "table": args.table,
                "target": args.target,
                "window": describe(chosen),
                "result": "equal",
                **found.summary(),
            }
        ],
    )
    return EQUAL
