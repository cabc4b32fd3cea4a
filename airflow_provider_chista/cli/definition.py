"""What ``airflow chista`` understands.

Airflow calls :func:`get_cli_commands` at every ``airflow`` command, so this module imports nothing but Airflow's own
definitions.
"""

from __future__ import annotations

from typing import Any

from airflow.cli.cli_config import (
    ARG_OUTPUT,
    ARG_VERBOSE,
    ActionCommand,
    Arg,
    CLICommand,
    GroupCommand,
    lazy_load_command,
)


def _arg(*flags: str, **settings: Any) -> Arg:
    return Arg(flags, **settings)  # type: ignore[no-untyped-call]


ENGINES = ("mysql", "mariadb", "postgres")
ROLES = ("capture", "verify", "purge", "restore")
MODES = ("full", "digest", "sample")

TABLE = _arg("--table", required=True, metavar="SCHEMA.TABLE", help="Source table")
TARGET = _arg("--target", required=True, metavar="DATABASE.TABLE", help="Archive table in ClickHouse")
ONE_TARGET = _arg("--target", metavar="DATABASE.TABLE", help="Only this archive table (default: all)")

SOURCE = _arg(
    "--source-conn-id", required=True, metavar="ID", help="Connection of the source, as the verify user"
)
PURGE = _arg(
    "--purge-conn-id",
    metavar="ID",
    help="Connection of the source, as the purge user; what keeps rows from being purged then counts",
)
CAPTURE = _arg(
    "--capture-conn-id",
    metavar="ID",
    help="Connection of the source, as the capture user; its grants are asked when it has a password",
)
RESTORE = _arg(
    "--restore-conn-id", required=True, metavar="ID", help="Connection of the source, as the restore user"
)
KAFKA = _arg(
    "--kafka-conn-id",
    metavar="ID",
    default="kafka_default",
    help="Connection of Kafka (default: %(default)s)",
)
CONNECT = _arg(
    "--kafka-connect-conn-id",
    metavar="ID",
    default="kafka_connect_default",
    help="Connection of Kafka Connect (default: %(default)s)",
)
CLICKHOUSE = _arg(
    "--clickhouse-conn-id",
    metavar="ID",
    default="clickhouse_default",
    help="Connection of ClickHouse (default: %(default)s)",
)
REGISTRY = _arg(
    "--schema-registry-conn-id",
    metavar="ID",
    help="Connection of the schema registry, where the connector writes Avro",
)

TIME_COLUMN = _arg("--time-column", metavar="COLUMN", help="Column of the window's dates")
START = _arg("--window-start", metavar="DATE", help="First day of the window, ISO-8601, UTC")
END = _arg("--window-end", metavar="DATE", help="End of the window, exclusive")
ROW_KEYS = _arg(
    "--row-keys",
    nargs="+",
    metavar="KEY",
    default=(),
    help="Only these row keys, as the state tables spell them",
)

OFFSETS = _arg(
    "--offsets",
    nargs="+",
    metavar="PARTITION:OFFSET",
    help="Only these dead letters, such as 0:1234 0:1250",
)
GENERATION = _arg(
    "--generation", type=int, metavar="N", help="Only dead letters of this generation of the topic"
)


def _limit(what: str) -> Arg:
    return _arg(
        "--limit",
        type=int,
        default=100,
        metavar="N",
        help=f"Most {what} that are shown (default: %(default)s)",
    )


STATUS = ActionCommand(
    name="status",
    help="How each archived table stands",
    description=(
        "One line per archive table: newest proof and its age, purged and sealed rows, mismatched windows, unsealed batches, "
        "dead letters, quarantine, and the lag behind Kafka where Kafka answers."
    ),
    func=lazy_load_command("airflow_provider_chista.cli.status.status"),
    args=(ONE_TARGET, CLICKHOUSE, KAFKA, ARG_OUTPUT, ARG_VERBOSE),
)
WINDOWS = ActionCommand(
    name="windows",
    help="The windows of an archived table",
    description="One line per window of the ledger, the one that something happened to last first.",
    func=lazy_load_command("airflow_provider_chista.cli.status.windows"),
    args=(
        TARGET,
        _arg(
            "--state",
            metavar="STATE",
            default="",
            help="Only windows in this state, such as verified or mismatched",
        ),
        _limit("windows"),
        CLICKHOUSE,
        ARG_OUTPUT,
        ARG_VERBOSE,
    ),
)
VERIFY = ActionCommand(
    name="verify",
    help="Compare archive and source now",
    description=(
        "Compares a window, a range of keys, single keys or the whole table, as VerifyArchiveOperator does, and records "
        "it in the ledger. Exit code 0: equal; 1: rows differ; 2: it could not be done."
    ),
    func=lazy_load_command("airflow_provider_chista.cli.verify.verify"),
    args=(
        TABLE,
        TARGET,
        SOURCE,
        TIME_COLUMN,
        START,
        END,
        _arg(
            "--connector",
            metavar="NAME",
            help="Connector by which the archive is caught up when rows differ (default: not caught up)",
        ),
        _arg(
            "--catch-up-timeout",
            type=float,
            default=300.0,
            metavar="SECONDS",
            help="How long the connector may take to catch up (default: %(default)s)",
        ),
        _arg(
            "--mode",
            choices=MODES,
            default="full",
            help="full: each row, and the result is a proof; digest: sums of row hashes; sample: some parts "
            "(default: %(default)s)",
        ),
        _arg(
            "--sample",
            type=float,
            default=0.01,
            metavar="SHARE",
            help="Share of the parts that a sample compares (default: %(default)s)",
        ),
        _arg("--seed", type=int, metavar="N", help="Of the sample's draw (default: by chance)"),
        ROW_KEYS,
        _arg("--first-key", metavar="KEY", help="Only rows from this row key on"),
        _arg("--end-key", metavar="KEY", help="Only rows up to this row key, exclusive"),
        _arg("--parallel", type=int, default=1, metavar="N", help="Parts at a time (default: %(default)s)"),
        _arg(
            "--part-rows",
            type=int,
            metavar="ROWS",
            help="Rows of a part, about (default: as suits the mode)",
        ),
        _arg("--mask-values", action="store_true", help="Record digests of differing values, not the values"),
        CLICKHOUSE,
        KAFKA,
        CONNECT,
        REGISTRY,
        ARG_OUTPUT,
        ARG_VERBOSE,
    ),
)
LETTERS_LIST = ActionCommand(
    name="list",
    help="List dead letters",
    description="Records that could not be stored, with place and error; never their bytes.",
    func=lazy_load_command("airflow_provider_chista.cli.deadletters.list_letters"),
    args=(
        ONE_TARGET,
        _arg(
            "--state",
            metavar="STATE",
            default="open",
            help="open, replayed, discarded, or all (default: %(default)s)",
        ),
        _limit("letters"),
        CLICKHOUSE,
        ARG_OUTPUT,
        ARG_VERBOSE,
    ),
)
LETTERS_REPLAY = ActionCommand(
    name="replay",
    help="Store open dead letters after all",
    description="As ReplayDeadLettersOperator; run it after the cause was mended. Exit code 1: some failed again.",
    func=lazy_load_command("airflow_provider_chista.cli.deadletters.replay"),
    args=(
        TABLE,
        TARGET,
        SOURCE,
        OFFSETS,
        GENERATION,
        _arg(
            "--delete-policy",
            choices=("archive", "mirror", "ignore"),
            default="archive",
            help="The table's delete policy (default: %(default)s)",
        ),
        _arg(
            "--ignore-columns",
            nargs="+",
            metavar="COLUMN",
            default=(),
            help="Columns that neither the source nor the archive has; their values are dropped",
        ),
        CLICKHOUSE,
        REGISTRY,
        ARG_OUTPUT,
        ARG_VERBOSE,
    ),
)
LETTERS_DISCARD = ActionCommand(
    name="discard",
    help="Settle open dead letters without storing them",
    description="As DiscardDeadLettersOperator. Which ones has to be said: --offsets, or --all.",
    func=lazy_load_command("airflow_provider_chista.cli.deadletters.discard_letters"),
    args=(
        TARGET,
        _arg(
            "--reason",
            required=True,
            help="Why the records need not be in the archive; kept with each letter",
        ),
        OFFSETS,
        _arg("--all", action="store_true", dest="every", help="All open dead letters of the table"),
        GENERATION,
        CLICKHOUSE,
        ARG_OUTPUT,
        ARG_VERBOSE,
    ),
)
RESTORE_ROWS = ActionCommand(
    name="restore",
    help="What a restore would bring back to the source",
    description=(
        "Counts the archived rows that a restore of a window, of keys or of a purge batch would insert; writes nothing at "
        "the source. The restore itself is RestoreRowsOperator's, in a run that can be seen, killed and repeated."
    ),
    func=lazy_load_command("airflow_provider_chista.cli.restore.restore"),
    args=(
        _arg("--dry-run", action="store_true", required=True, help="Count only; there is no other way here"),
        TABLE,
        TARGET,
        SOURCE,
        RESTORE,
        TIME_COLUMN,
        START,
        END,
        ROW_KEYS,
        _arg("--batch-id", metavar="ID", default="", help="The rows that this purge batch has deleted"),
        CLICKHOUSE,
        ARG_OUTPUT,
        ARG_VERBOSE,
    ),
)
GRANTS = ActionCommand(
    name="grants",
    help="The exact GRANTs of the source's users",
    description="Prints SQL for an administrator to run; connects to nothing.",
    func=lazy_load_command("airflow_provider_chista.cli.grants.grants"),
    args=(
        _arg("--engine", required=True, choices=ENGINES, help="Engine of the source"),
        _arg(
            "--tables",
            nargs="+",
            metavar="SCHEMA.TABLE",
            default=("app.orders",),
            help="Tables to archive (default: app.orders, an example)",
        ),
        _arg("--role", choices=ROLES, help="Only this role (default: all)"),
        _arg(
            "--user",
            metavar="NAME",
            help="User of the role; MySQL and MariaDB take name@host (default: chista_ and the role)",
        ),
        ARG_VERBOSE,
    ),
)
DOCTOR = ActionCommand(
    name="doctor",
    help="Make all preflight checks",
    description=(
        "Checks source settings, grants, tables, Kafka, Kafka Connect, the connector and ClickHouse, as "
        "PreflightOperator does, and prints every finding with its remedy. Exit code 1: something must be mended first."
    ),
    func=lazy_load_command("airflow_provider_chista.cli.doctor.doctor"),
    args=(
        SOURCE,
        PURGE,
        CAPTURE,
        _arg(
            "--connector",
            metavar="NAME",
            help="Connector that must be there and run; without --tables: whose archived tables are checked",
        ),
        _arg(
            "--tables",
            nargs="+",
            metavar="TABLE=TARGET",
            default=(),
            help="Source tables and their archive tables, such as app.orders=archive.orders",
        ),
        _arg(
            "--listed",
            nargs="+",
            metavar="NAME",
            default=(),
            help="Foreign keys and triggers that are known and accepted, as the findings spell them",
        ),
        _arg(
            "--publication",
            metavar="NAME",
            help="The connector's publication, PostgreSQL only (default: that of --connector)",
        ),
        _arg(
            "--slot",
            metavar="NAME",
            help="The connector's replication slot, PostgreSQL only (default: that of --connector)",
        ),
        _arg(
            "--min-replicas",
            type=int,
            default=1,
            metavar="N",
            help="Replicas that each archive table must have (default: %(default)s)",
        ),
        CLICKHOUSE,
        KAFKA,
        CONNECT,
        REGISTRY,
        ARG_OUTPUT,
        ARG_VERBOSE,
    ),
)


def get_cli_commands() -> list[CLICommand]:
    """The group ``airflow chista``, for the key ``cli`` of the provider information."""
    letters = GroupCommand(
        name="dead-letters",
        help="Records that could not be stored",
        subcommands=(LETTERS_LIST, LETTERS_REPLAY, LETTERS_DISCARD),
    )
    return [
        GroupCommand(
            name="chista",
            help="Archives of airflow-provider-chista: state, comparisons, dead letters, grants, checks",
            subcommands=(STATUS, WINDOWS, VERIFY, letters, RESTORE_ROWS, GRANTS, DOCTOR),
        )
    ]
