"""Every preflight finding on a server or table that really has the fault, and none on one that has not."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pytest

from airflow_provider_chista.findings import Finding
from airflow_provider_chista.model import TableId


def by_check(findings: list[Finding]) -> dict[str, list[Finding]]:
    found: dict[str, list[Finding]] = {}
    for finding in findings:
        assert finding.remedy or finding.severity == "info", finding
        found.setdefault(finding.check, []).append(finding)
    return found


def only(findings: list[Finding], check: str) -> Finding:
    found = by_check(findings).get(check, [])
    assert len(found) == 1, findings
    return found[0]


def table_findings(schema: Any, name: str, **options: Any) -> list[Finding]:
    with schema.source("verify") as source:
        findings: list[Finding] = source.table_findings(source.catalogue(schema.id(name)), **options)
        return findings


# Settings of servers.


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


# Tables.


def test_a_plain_table_has_no_findings(schema: Any) -> None:
    schema.create("plain", "id INT PRIMARY KEY, name VARCHAR(25)")
    assert table_findings(schema, "plain") == []


def test_no_primary_key_is_an_error(schema: Any) -> None:
    schema.create("keyless", "id INT, name VARCHAR(25)")
    finding = only(table_findings(schema, "keyless"), "primary key")
    assert finding.severity == "error"
    assert "ADD PRIMARY KEY" in finding.remedy


def test_each_unsupported_column_is_an_error(schema: Any) -> None:
    schema.create("unsupported", "id INT PRIMARY KEY, _chista_a INT, _chista_b TEXT")
    findings = by_check(table_findings(schema, "unsupported"))["column"]
    assert [finding.subject for finding in findings] == [
        f"{schema.name}.unsupported._chista_a",
        f"{schema.name}.unsupported._chista_b",
    ]
    assert {finding.severity for finding in findings} == {"error"}
    assert all("exclude the column" in finding.remedy for finding in findings)


ACTIONS = {"CASCADE": "purge", "SET NULL": "purge", "NO ACTION": "warning"}


@pytest.mark.parametrize(("action", "severity"), ACTIONS.items())
def test_a_foreign_key_of_any_schema_is_found(schema: Any, server: Any, action: str, severity: str) -> None:
    """The child is in another schema, on which the verify user has no privilege at all."""
    parent, other = f"parent {action} é", f"{schema.name}_other-{action[:2]}"
    schema.create(parent, "id INT PRIMARY KEY")
    kind = "SCHEMA" if server.flavour == "postgres" else "DATABASE"
    child = server.quote(other, "child.x")
    server.execute(
        f"CREATE {kind} {server.quote(other)}",
        f"CREATE TABLE {child} (id INT PRIMARY KEY, p INT, CONSTRAINT fk_x FOREIGN KEY (p) "
        f"REFERENCES {schema.named(parent)} (id) ON DELETE {action})",
    )
    try:
        finding = only(table_findings(schema, parent), "foreign key")
        assert finding.severity == severity
        assert finding.subject == f"{other}.child.x(fk_x) -> {schema.name}.{parent}"
        if severity == "purge":
            assert f"ON DELETE {action}" in finding.found
            for listed in (f"{other}.child.x", f"{other}.child.x(fk_x)", finding.subject):
                assert only(table_findings(schema, parent, listed=[listed]), "foreign key").severity == "info"
            assert (
                only(table_findings(schema, parent, listed=["other.table"]), "foreign key").severity
                == "purge"
            )
    finally:
        server.execute(f"DROP TABLE {child}", f"DROP {kind} {server.quote(other)}")


def test_set_default_is_a_purge_finding(schema: Any) -> None:
    if schema.flavour != "postgres":
        pytest.skip("InnoDB knows no SET DEFAULT")
    schema.create("sd_parent", "id INT PRIMARY KEY")
    schema.create("sd_child", f"p INT DEFAULT 0 REFERENCES {schema.named('sd_parent')} ON DELETE SET DEFAULT")
    assert "ON DELETE SET DEFAULT" in only(table_findings(schema, "sd_parent"), "foreign key").found


TRIGGER_BODIES = {
    "mysql": "CREATE TRIGGER {trigger} AFTER DELETE ON {table} FOR EACH ROW SET @gone = OLD.id",
    "postgres": "CREATE TRIGGER on_delete AFTER DELETE ON {table} FOR EACH ROW EXECUTE FUNCTION {function}()",
}
TRIGGER_BODIES["mariadb"] = TRIGGER_BODIES["mysql"]


def test_a_delete_trigger_is_a_purge_finding(schema: Any) -> None:
    schema.create("triggered", "id INT PRIMARY KEY")
    if schema.flavour == "postgres":
        schema.server.execute(
            f"CREATE FUNCTION {schema.named('nothing')}() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN OLD; END'"
        )
    schema.server.execute(
        TRIGGER_BODIES[schema.flavour].format(
            trigger=schema.named("on_delete"),
            table=schema.named("triggered"),
            function=schema.named("nothing"),
        )
    )
    finding = only(table_findings(schema, "triggered"), "trigger")
    assert finding.severity == "purge"
    assert finding.subject == f"{schema.name}.on_delete on {schema.name}.triggered"
    assert (
        only(table_findings(schema, "triggered", listed=[f"{schema.name}.on_delete"]), "trigger").severity
        == "info"
    )


def test_an_insert_trigger_does_not_matter(schema: Any) -> None:
    schema.create("insert_triggered", "id INT PRIMARY KEY")
    body = TRIGGER_BODIES[schema.flavour].replace("AFTER DELETE", "AFTER INSERT").replace("OLD.id", "NEW.id")
    if schema.flavour == "postgres":
        schema.server.execute(
            f"CREATE FUNCTION {schema.named('nothing2')}() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'"
        )
    schema.server.execute(
        body.format(
            trigger=schema.named("on_insert"),
            table=schema.named("insert_triggered"),
            function=schema.named("nothing2"),
        )
    )
    assert table_findings(schema, "insert_triggered") == []


@pytest.fixture
def mysql_family(schema: Any) -> Any:
    if schema.flavour == "postgres":
        pytest.skip("of MySQL and MariaDB")
    return schema


@pytest.fixture
def postgres(schema: Any) -> Any:
    if schema.flavour != "postgres":
        pytest.skip("of PostgreSQL")
    return schema


def test_an_engine_without_transactions_is_a_purge_finding(mysql_family: Any) -> None:
    mysql_family.create("myisam", "id INT PRIMARY KEY", "ENGINE = MyISAM")
    finding = only(table_findings(mysql_family, "myisam"), "engine")
    assert finding.severity == "purge"
    assert "MyISAM" in finding.found
    assert "ENGINE = InnoDB" in finding.remedy


def test_system_versioning_is_an_error(schema: Any) -> None:
    if schema.flavour != "mariadb":
        pytest.skip("of MariaDB")
    schema.create("versioned", "id INT PRIMARY KEY", "WITH SYSTEM VERSIONING")
    assert only(table_findings(schema, "versioned"), "system versioning").severity == "error"


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


def test_foreign_keys_and_triggers_that_cannot_be_seen_are_purge_findings(mysql_family: Any) -> None:
    """The purge user has neither PROCESS nor TRIGGER: unsure means no, and the missing grant is named."""
    mysql_family.create("unseen", "id INT PRIMARY KEY")
    with mysql_family.source("purge") as source:
        findings = source.table_findings(source.catalogue(mysql_family.id("unseen")))
    foreign_key, trigger = only(findings, "foreign key"), only(findings, "trigger")
    assert {foreign_key.severity, trigger.severity} == {"purge"}
    assert foreign_key.remedy == "GRANT PROCESS ON *.* TO 'chista_purge'@'%';"
    assert trigger.remedy == f"GRANT TRIGGER ON `{mysql_family.name}`.`unseen` TO 'chista_purge'@'%';"


@pytest.mark.parametrize(
    ("identity", "columns", "severity"),
    [
        ("NOTHING", "id INT PRIMARY KEY", "error"),
        ("USING INDEX {index}", "id INT PRIMARY KEY, u INT NOT NULL UNIQUE", "error"),
        ("DEFAULT", "id INT PRIMARY KEY, t TEXT", "warning"),
        ("DEFAULT", "id INT PRIMARY KEY, t VARCHAR(400), u VARCHAR(400)", "warning"),
        ("DEFAULT", "id INT PRIMARY KEY, t VARCHAR(25)", None),
        ("FULL", "id INT PRIMARY KEY, t TEXT", None),
        ("USING INDEX {key}", "id INT PRIMARY KEY, t VARCHAR(25)", None),
    ],
)
def test_replica_identities(postgres: Any, identity: str, columns: str, severity: str | None) -> None:
    name = f"identity_{abs(hash((identity, columns)))}"
    postgres.create(name, columns)
    place = identity.format(index=f"{name}_u_key", key=f"{name}_pkey")
    postgres.server.execute(f"ALTER TABLE {postgres.named(name)} REPLICA IDENTITY {place}")
    findings = table_findings(postgres, name)
    if severity is None:
        assert findings == []
    else:
        finding = only(findings, "replica identity")
        assert finding.severity == severity
        assert "REPLICA IDENTITY FULL" in finding.remedy
        postgres.server.execute(finding.remedy)
        assert table_findings(postgres, name) == []


def test_publications(postgres: Any) -> None:
    name, publication = postgres.named("published"), f"pub_{postgres.name}"
    postgres.create("published", "id INT PRIMARY KEY, a INT")
    server = postgres.server

    def findings() -> list[Finding]:
        return table_findings(postgres, "published", publication=publication)

    def mended() -> None:
        """What the finding says mends it."""
        server.execute(only(findings(), "publication").remedy)
        assert findings() == []

    assert only(findings(), "publication").found == "it does not exist"
    try:
        mended()
        server.execute(f"ALTER PUBLICATION {publication} DROP TABLE {name}")
        assert only(findings(), "publication").found == "it does not contain the table"
        mended()
        server.execute(f"ALTER PUBLICATION {publication} SET (publish = 'insert, update')")
        assert "does not publish" in only(findings(), "publication").found
        mended()
        for part in (f"{name} WHERE (id > 5)", f"{name} (id)"):
            server.execute(
                f"ALTER PUBLICATION {publication} DROP TABLE {name}",
                f"ALTER PUBLICATION {publication} ADD TABLE {part}",
            )
            assert "leaves rows or columns" in only(findings(), "publication").found
            mended()
    finally:
        server.execute(f"DROP PUBLICATION IF EXISTS {publication}")


def test_partitioned_tables_are_published_through_their_root(postgres: Any) -> None:
    publication = f"parts_{postgres.name}"
    postgres.create("parted", "id INT PRIMARY KEY, a INT", "PARTITION BY RANGE (id)")
    postgres.server.execute(
        f"CREATE TABLE {postgres.named('parted_1')} PARTITION OF {postgres.named('parted')} FOR VALUES FROM (0) TO (100)",
        f"CREATE PUBLICATION {publication} FOR TABLE {postgres.named('parted')}",
    )
    try:
        finding = only(table_findings(postgres, "parted", publication=publication), "publication")
        assert "partitions as tables of their own" in finding.found
        postgres.server.execute(
            finding.remedy, f"ALTER TABLE {postgres.named('parted_1')} REPLICA IDENTITY NOTHING"
        )
        assert (
            only(table_findings(postgres, "parted", publication=publication), "replica identity").severity
            == "error"
        )
    finally:
        postgres.server.execute(f"DROP PUBLICATION {publication}")


def test_a_type_that_has_the_name_of_another_kind_of_type_is_an_error(postgres: Any) -> None:
    """Debezium finds types by their name without schema; a table is a type too."""
    own, other = postgres.name, f"{postgres.name}_tenant"
    server, unlike = postgres.server, f"unlike_{own}"
    server.execute(
        f"CREATE SCHEMA {other}",
        f"CREATE TABLE {other}.{unlike} (a INT)",
        f"CREATE DOMAIN {own}.{unlike} AS NUMERIC(12,4)",
        f"CREATE TYPE {own}.alike_{own} AS ENUM ('sad')",
        f"CREATE TYPE {other}.alike_{own} AS ENUM ('ok')",
        f"CREATE DOMAIN {own}.price_{own} AS NUMERIC(12,4)",
        f"CREATE DOMAIN {other}.price_{own} AS NUMERIC(10,2)",
        f"CREATE TABLE {other}.text (a INT)",
        f"CREATE TYPE {own}.kind_{own} AS ENUM ('x')",
        f"CREATE DOMAIN {other}.kind_{own} AS TEXT",
    )
    try:
        postgres.create(
            "named",
            f"id INT PRIMARY KEY, p {own}.{unlike}, e {own}.alike_{own}, d {own}.price_{own}, t TEXT,"
            f" ks {own}.kind_{own}[]",
        )
        findings = by_check(table_findings(postgres, "named"))["type name"]
        assert [(f.severity, f.subject) for f in findings] == [
            ("error", f"{own}.named.ks"),
            ("error", f"{own}.named.p"),
        ]
        assert f"its type {own}.kind_{own} has the name of {other}.kind_{own}" in findings[0].found
        assert f"its type {own}.{unlike} has the name of {other}.{unlike}" in findings[1].found
    finally:
        server.execute(f"DROP SCHEMA {other} CASCADE")
    assert "type name" not in by_check(table_findings(postgres, "named"))


def test_a_delete_rule_is_a_purge_finding(postgres: Any) -> None:
    postgres.create("ruled", "id INT PRIMARY KEY")
    postgres.server.execute(f"CREATE RULE keep AS ON DELETE TO {postgres.named('ruled')} DO INSTEAD NOTHING")
    assert only(table_findings(postgres, "ruled"), "rule").severity == "purge"


def test_unlogged_and_inherited_tables_are_errors(postgres: Any) -> None:
    postgres.server.execute(f"CREATE UNLOGGED TABLE {postgres.named('unlogged')} (id INT PRIMARY KEY)")
    assert only(table_findings(postgres, "unlogged"), "persistence").severity == "error"
    postgres.create("ancestor", "id INT PRIMARY KEY")
    postgres.server.execute(
        f"CREATE TABLE {postgres.named('heir')} () INHERITS ({postgres.named('ancestor')})"
    )
    assert only(table_findings(postgres, "ancestor"), "inheritance").severity == "error"
