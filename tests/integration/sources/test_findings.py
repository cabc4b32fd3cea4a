"""Every preflight finding on a server that really has the fault, and none on one that has not."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pytest

from airflow_provider_chista.findings import Finding
from airflow_provider_chista.model import TableId
from tests.integration.sources.findings import by_check, only


def test_the_stack_is_in_order(schema: Any) -> None:
    with schema.source("verify") as source:
        assert source.settings_findings() == []


@dataclass(frozen=True)
class WrongSetting:
    """A server with a fault in it, by an option of its start or by a statement that the finding's remedy must undo."""

    flavour: str
    check: str
    found: str
    remedy: str
    options: tuple[str, ...] = ()
    fault: str | None = None


BINLOG = ("--log-bin", "--server-id=9", "--binlog-format=ROW")
WRONG_SETTINGS = (
    WrongSetting("mysql", "log_bin", "'OFF'", "log_bin = binlog", ("--skip-log-bin",)),
    WrongSetting(
        "mysql",
        "binlog_format",
        "'STATEMENT'",
        "SET PERSIST binlog_format = 'ROW';",
        BINLOG,
        "SET GLOBAL binlog_format = 'STATEMENT'",
    ),
    WrongSetting(
        "mysql",
        "binlog_format",
        "'MIXED'",
        "SET PERSIST binlog_format = 'ROW';",
        BINLOG,
        "SET GLOBAL binlog_format = 'MIXED'",
    ),
    WrongSetting(
        "mysql",
        "binlog_row_image",
        "'MINIMAL'",
        "SET PERSIST binlog_row_image = 'FULL';",
        BINLOG,
        "SET GLOBAL binlog_row_image = 'MINIMAL'",
    ),
    WrongSetting(
        "mysql",
        "binlog_row_image",
        "'NOBLOB'",
        "SET PERSIST binlog_row_image = 'FULL';",
        BINLOG,
        "SET GLOBAL binlog_row_image = 'NOBLOB'",
    ),
    WrongSetting(
        "mysql",
        "binlog_row_value_options",
        "'PARTIAL_JSON'",
        "SET PERSIST binlog_row_value_options = '';",
        BINLOG,
        "SET GLOBAL binlog_row_value_options = 'PARTIAL_JSON'",
    ),
    WrongSetting(
        "mysql", "server_id", "'0'", "SET PERSIST server_id = 1;", BINLOG, "SET GLOBAL server_id = 0"
    ),
    WrongSetting("mariadb", "log_bin", "'OFF'", "log_bin = binlog"),
    WrongSetting(
        "mariadb",
        "binlog_format",
        "'MIXED'",
        "SET GLOBAL binlog_format = 'ROW';",
        BINLOG,
        "SET GLOBAL binlog_format = 'MIXED'",
    ),
    WrongSetting(
        "mariadb",
        "binlog_format",
        "'STATEMENT'",
        "SET GLOBAL binlog_format = 'ROW';",
        BINLOG,
        "SET GLOBAL binlog_format = 'STATEMENT'",
    ),
    WrongSetting(
        "mariadb",
        "binlog_row_image",
        "'MINIMAL'",
        "SET GLOBAL binlog_row_image = 'FULL';",
        BINLOG,
        "SET GLOBAL binlog_row_image = 'MINIMAL'",
    ),
    WrongSetting(
        "postgres",
        "wal_level",
        "replica",
        "ALTER SYSTEM SET wal_level = 'logical';",
        ("-c", "wal_level=replica"),
    ),
    WrongSetting(
        "postgres",
        "replication slot",
        "0 of 0 are in use",
        "ALTER SYSTEM SET max_replication_slots = 4;",
        ("-c", "wal_level=logical", "-c", "max_replication_slots=0", "-c", "max_wal_senders=0"),
    ),
)


@pytest.mark.parametrize(
    "wrong", WRONG_SETTINGS, ids=lambda wrong: f"{wrong.flavour}-{wrong.check}-{wrong.found}"
)
def test_a_wrong_setting_is_an_error_with_its_remedy(wrong: WrongSetting, throw_away: Any) -> None:
    server = throw_away.shared(wrong.flavour, *wrong.options)
    if wrong.fault:
        server.execute(wrong.fault)
    with server.source() as source:
        finding = only(source.settings_findings(), wrong.check)
        assert finding.severity == "error"
        assert wrong.found in finding.found
        assert wrong.remedy in finding.remedy
        if wrong.fault:
            server.execute(finding.remedy.partition(";")[0])
            assert wrong.check not in by_check(source.settings_findings())


def test_missing_control_tables_are_one_error(throw_away: Any, server: Any) -> None:
    with throw_away.shared(server.flavour, *PLAIN[server.flavour]).source() as source:
        missing = only(source.settings_findings(), "control tables")
    assert missing.severity == "error"
    assert "chista.heartbeat, chista.marker, chista.signal, chista.purge_log" in missing.found
    assert f"sources/setup/{server.flavour}.sql" in missing.remedy


PLAIN = {"mysql": BINLOG, "mariadb": BINLOG, "postgres": ("-c", "wal_level=logical")}


def test_the_set_up_of_the_package_mends_missing_control_tables(throw_away: Any, server: Any) -> None:
    other = throw_away.shared(server.flavour, *PLAIN[server.flavour])
    schema = "DATABASE" if server.flavour != "postgres" else "SCHEMA"
    with other.source() as source:
        other.execute(*[part for part in source.setup_sql().split(";\n") if part.strip()])
        assert source.settings_findings() == []
        other.execute(f"DROP {schema} chista" + (" CASCADE" if schema == "SCHEMA" else ""))


def test_a_server_without_binary_log_has_no_position(throw_away: Any) -> None:
    from airflow_provider_chista.errors import FatalError

    with (
        throw_away.shared("mariadb").source() as source,
        pytest.raises(FatalError, match="writes no binary log"),
    ):
        source.position()


def test_a_slot_that_exists_needs_no_free_one(throw_away: Any) -> None:
    server = throw_away.start("postgres", "-c", "wal_level=logical", "-c", "max_replication_slots=1")
    server.execute("SELECT pg_create_logical_replication_slot('mine', 'pgoutput')")
    with server.source() as source:
        assert "replication slot" not in by_check(source.settings_findings(slot="mine"))
        assert "1 of 1 are in use" in only(source.settings_findings(slot="other"), "replication slot").found


def test_a_slot_whose_wal_was_removed_is_an_error(throw_away: Any) -> None:
    limits = ("-c", "max_slot_wal_keep_size=1MB", "-c", "min_wal_size=32MB", "-c", "max_wal_size=32MB")
    server = throw_away.start("postgres", "-c", "wal_level=logical", *limits)
    server.execute(
        "SELECT pg_create_logical_replication_slot('stale', 'pgoutput')",
        "CREATE TABLE public.filler (t text)",
        *[
            "INSERT INTO public.filler SELECT repeat('x', 1000) FROM generate_series(1, 20000)",
            "SELECT pg_switch_wal()",
            "CHECKPOINT",
        ]
        * 4,
    )
    with server.source() as source:
        assert "changes are missing" in only(source.settings_findings(slot="stale"), "replication slot").found


def test_a_database_in_another_encoding_is_an_error(throw_away: Any) -> None:
    plain = throw_away.shared("postgres", *PLAIN["postgres"])
    plain.execute("CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
    server = replace(plain, database="latin")
    with server.source() as source:
        assert "LATIN1" in only(source.settings_findings(), "encoding").found


def test_an_interval_style_that_debezium_misreads_is_an_error_wherever_it_is_set(throw_away: Any) -> None:
    server = throw_away.start("postgres", "-c", "wal_level=logical", "-c", "intervalstyle=sql_standard")

    def found() -> list[Finding]:
        with server.source() as source:
            return by_check(source.settings_findings()).get("intervalstyle", [])

    def mended() -> None:
        """What the only finding says mends it."""
        (finding,) = found()
        assert (finding.severity, "postgres IN DATABASE postgres is" in finding.found) == ("error", True)
        server.execute(finding.remedy.partition(";")[0])
        assert found() == []

    mended()
    places = ("ROLE postgres IN DATABASE postgres", "ROLE postgres", "DATABASE postgres", "ROLE ALL")
    for place in places:
        server.execute(*(f"ALTER {other} RESET ALL" for other in places))
        server.execute(f"ALTER {place} SET intervalstyle = 'iso_8601'")
        assert found() == [], place
        server.execute(f"ALTER {place} SET intervalstyle = 'sql_standard'")
        mended()
    # Roles that replicate and are no superusers are the likelier ones of a connector.
    server.execute(
        "CREATE ROLE other LOGIN",
        "CREATE ROLE capturing LOGIN REPLICATION",
        'CREATE ROLE "Captu ring" LOGIN REPLICATION',
        "ALTER ROLE capturing SET intervalstyle = 'postgres_verbose'",
    )
    assert ['"Captu ring" IN DATABASE postgres' in finding.found for finding in found()] == [True]


def test_a_domain_over_an_enumeration_anywhere_is_an_error(throw_away: Any) -> None:
    server = throw_away.shared("postgres", *PLAIN["postgres"])
    server.execute(
        "CREATE SCHEMA elsewhere",
        "CREATE TYPE elsewhere.mood AS ENUM ('sad')",
        'CREATE DOMAIN elsewhere."Mo od" AS elsewhere.mood',
        'CREATE DOMAIN elsewhere.happy AS elsewhere."Mo od"',
        "CREATE DOMAIN elsewhere.plain AS TEXT",
    )
    try:
        with server.source() as source:
            finding = only(source.settings_findings(), "domain")
            assert finding.severity == "error"
            assert finding.found.startswith('elsewhere."Mo od", elsewhere.happy: ')
            server.execute(finding.remedy.partition(";")[0])
            assert "domain" not in by_check(source.settings_findings())
    finally:
        server.execute("DROP SCHEMA elsewhere CASCADE")


@pytest.mark.parametrize(
    ("flavour", "option"),
    [
        ("mysql", "--binlog-ignore-db=d"),
        ("mariadb", "--binlog-ignore-db=d"),
        ("mariadb", "--binlog-do-db=other"),
    ],
)
def test_a_database_that_the_binary_log_leaves_out_is_an_error(
    throw_away: Any, flavour: str, option: str
) -> None:
    other = throw_away.start(flavour, *BINLOG, option)
    other.execute("CREATE DATABASE d", "CREATE TABLE d.t (id INT PRIMARY KEY)")
    with other.source() as source:
        finding = only(source.table_findings(source.catalogue(TableId("d", "t"))), "binary log filter")
    assert finding.severity == "error"
