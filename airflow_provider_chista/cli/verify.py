"""``airflow chista verify``: compare archive and source now."""

from __future__ import annotations

from argparse import Namespace

from airflow_provider_chista.archive.comparison import comparison
from airflow_provider_chista.cli.command import EQUAL, author, command, connections, note, show, window
from airflow_provider_chista.errors import FatalError
from airflow_provider_chista.hooks.services import Services
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
        found = services.compare(
            name,
            target,
            chosen,
            options,
            author("verify"),
            connector=args.connector,
            topic_prefix=_prefix(services, args.connector),
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


def _prefix(services: Services, connector: str | None) -> str | None:
    """The ``topic.prefix`` of a connector, as Kafka Connect has stored it."""
    if connector is None:
        return None
    config = services.connect.config(connector)
    if config is None:
        raise FatalError(
            f"Kafka Connect has no connector {connector}; leave out --connector to compare as things are"
        )
    return config["topic.prefix"]
