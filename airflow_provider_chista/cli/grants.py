"""``airflow chista grants``: SQL for an administrator."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Sequence
from typing import get_args

from airflow_provider_chista.cli.command import EQUAL, command
from airflow_provider_chista.errors import FatalError
from airflow_provider_chista.model import TableId
from airflow_provider_chista.sources import Role, engine


@command
def grants(args: Namespace) -> int:
    """Print the statements; those that make users are comments, because they need a password."""
    if args.user and not args.role:
        raise FatalError("--user is the user of one role; give --role too")
    tables = [TableId.parse(table) for table in args.tables]
    source = engine(args.engine)
    lines = [
        f"-- First run sources/setup/{args.engine}.sql of the package airflow_provider_chista, which makes the control",
        "-- tables, and make the users with passwords of your own. Why each grant is needed: docs/grants.md",
    ]
    roles: Sequence[Role] = [args.role] if args.role else get_args(Role)
    for role in roles:
        create, *granted = source.grants_sql(role, tables, args.user or f"chista_{role}")
        lines += ["", f"-- {role}: {create}", *granted]
    sys.stdout.write("\n".join(lines) + "\n")
    return EQUAL
