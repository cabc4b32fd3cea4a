"""``airflow chista dead-letters``: list, replay, discard."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence

from airflow_provider_chista.archive.deadletters import Letters, discard, listed
from airflow_provider_chista.archive.policies import DeletePolicy
from airflow_provider_chista.archive.replay import Replay
from airflow_provider_chista.cli.command import EQUAL, FOUND, author, command, connections, note, show
from airflow_provider_chista.errors import FatalError
from airflow_provider_chista.hooks import options
from airflow_provider_chista.model import TableId


@command
def list_letters(args: Namespace) -> int:
    """Dead letters without their bytes."""
    target = TableId.parse(args.target) if args.target else None
    with connections(args).opened() as services:
        state = "" if args.state == "all" else args.state
        found = listed(services.control, target, state, args.limit, masked=options.masked())
    show(args, found, wide=("topic", "error_class", "reason", "task", "dag_id", "run_id"))
    if len(found) == args.limit:
        note(f"the first {args.limit} dead letters; --limit shows more")
    return EQUAL


@command
def replay(args: Namespace) -> int:
    """Store open letters after all."""
    name, target = TableId.parse(args.table), TableId.parse(args.target)
    letters = Letters.parse(target, _offsets(args.offsets), args.generation)
    who = author("dead-letters replay")
    with connections(args).opened() as services:
        policy = DeletePolicy(args.delete_policy)
        sink = services.sink(name, target, policy, f"{who.task_id} {who.run_id}", args.ignore_columns)
        report = Replay(sink, letters, who).run()
    show(args, [report.summary()])
    return FOUND if report.still_open else EQUAL


@command
def discard_letters(args: Namespace) -> int:
    """Settle open letters without their records."""
    if args.every == bool(args.offsets):
        raise FatalError(
            "say which dead letters are meant: --offsets PARTITION:OFFSET ..., or --all; not both"
        )
    letters = Letters.parse(TableId.parse(args.target), _offsets(args.offsets), args.generation)
    with connections(args).opened() as services:
        discarded = discard(services.control, letters, args.reason, author("dead-letters discard"))
    show(args, [{"target": args.target, "discarded": discarded}])
    return EQUAL


def _offsets(given: Sequence[str] | None) -> dict[str, list[str]] | None:
    """Offsets by partition, from ``0:1234`` texts; None: all."""
    if given is None:
        return None
    offsets: dict[str, list[str]] = {}
    for text in given:
        partition, colon, offset = text.partition(":")
        if not (colon and partition.isdecimal() and offset.isdecimal()):
            raise FatalError(f"{text!r} names no dead letter; write PARTITION:OFFSET, such as 0:1234")
        offsets.setdefault(partition, []).append(offset)
    return offsets
