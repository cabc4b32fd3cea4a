"""Every preflight finding on a table that really has the fault, and none on one that has not."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_chista.findings import Finding
from tests.integration.sources.findings import by_check, only, table_findings


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
